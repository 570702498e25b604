"""What a job keeps of an exception: enough to find the fault, and no value of a row, in receipts and logs alike."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pyspark.sql import SparkSession

import load_events
from disk_lake.lake import DiskLake
from eventlake.errors import TerminalError
from eventlake_spark.failure import log_failure, told, told_of_expectation
from eventlake_spark.validation import Validator
from tests.spark.test_load_events import PAYMENT, SUITE, a_payment

VALUE = "alice@example.com"


def raised_by(work: Callable[[], Any]) -> Exception:
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("it raised nothing")


def in_task(spark: SparkSession) -> Callable[[], Any]:
    return spark.createDataFrame([(VALUE,)], "v string").selectExpr("raise_error(v)").collect


def test_words_that_may_hold_a_value_are_left_out(spark: SparkSession, caplog: pytest.LogCaptureFixture) -> None:
    for work in (in_task(spark), lambda: int(VALUE), lambda: {}[VALUE]):
        error = raised_by(work)
        assert VALUE in str(error)
        log_failure(logging.getLogger("a job"), "loading a table", error)
        line = told(error)
        assert type(error).__name__ in line
        assert "raised at " in line
        assert "\n" not in line
        assert VALUE not in line + caplog.text
    assert "java.lang.RuntimeException" in caplog.text


def test_words_about_services_files_and_queries_are_kept(spark: SparkSession) -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no such right"}}, "GetObject")
    missing = raised_by(lambda: spark.sql("SELECT no_such_column FROM VALUES (1) AS t(x)"))
    java = raised_by(lambda: spark._jvm.java.io.FileInputStream("/no/such/file"))
    assert told(denied) == "ClientError: An error occurred (AccessDenied) when calling the GetObject operation: " + (
        "no such right"
    )
    assert told(TerminalError("reading x:  received y")) == "TerminalError: reading x: received y"
    assert "no_such_column" in told(missing)
    assert "Project" not in told(missing)
    assert "java.io.FileNotFoundException: /no/such/file" in told(java)


@pytest.mark.parametrize(
    ("message", "last_line", "expected"),
    [
        (f"bad value {VALUE}", f"ValueError: bad value {VALUE}", "the expectation raised ValueError"),
        (
            f"[CAST_INVALID_INPUT] The value '{VALUE}' cannot be cast",
            "great_expectations.exceptions.exceptions.MetricResolutionError: [CAST_INVALID_INPUT]",
            "the expectation raised MetricResolutionError: [CAST_INVALID_INPUT]",
        ),
        (
            'Error: The column "amuont" in BatchData does not exist.',
            'x.InvalidMetricAccessorDomainKwargsKeyError: Error: The column "amuont"',
            "the expectation raised InvalidMetricAccessorDomainKwargsKeyError: "
            'The column "amuont" in BatchData does not exist',
        ),
        (VALUE, VALUE, "the expectation raised an exception"),
    ],
)
def test_an_exception_within_an_expectation_is_told_by_its_kind(message: str, last_line: str, expected: str) -> None:
    trace = f'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    f()\n{last_line}\n'
    assert told_of_expectation({"exception_message": message, "exception_traceback": trace}) == expected


def test_a_load_whose_table_and_whose_gate_fail_over_a_value_says_it_nowhere(
    lake: DiskLake,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    # given: a gate that fails for one load, and a stage that fails for the next
    lake.define({"payment/order": PAYMENT}, {"payment": SUITE})
    landing = lake.land([a_payment(1, order_id=VALUE)])
    monkeypatch.setattr(Validator, "_ask", lambda *_: in_task(lake.session)())
    # when
    ungated = lake.load(landing)
    monkeypatch.setattr(load_events, "stage", lambda session, *_: in_task(session)())
    failed = lake.load(landing, load_id="load_events-0123456789-g2", expected_exit=1)
    # then
    note = ungated["tables"][0]["validation"]["note"]
    assert "java.lang.RuntimeException" in note
    assert "java.lang.RuntimeException" in failed["tables"][0]["error"]
    written = capfd.readouterr()
    assert "loading events.payment_events failed" in caplog.text
    for text in (json.dumps([ungated, failed]), caplog.text, written.out, written.err):
        assert VALUE not in text
