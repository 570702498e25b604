"""The suites pass on every good delta, however small, and each expectation closes the gate on something no other sees.

Mutations run on GX's pandas engine (real expectations, milliseconds each); the last tests hold Spark to its answers.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("great_expectations", reason="the jobs' environment: .venvs/jobs/bin/python -m pytest tests/spark")


from check_suites import faults_of
from eventlake.contract import Contract, parse_contract
from eventlake.definitions import SEVERITIES, Expectation, Suite, parse_suite
from eventlake.table_schema import table_columns
from tests.spark.mutations import Row, for_spark, staged_rows
from tests.spark.pandas_gate import PandasGate, caught_alone

INCLUDE = Path(__file__).parents[2] / "include"


def read_suites() -> dict[str, Suite]:
    files = sorted((INCLUDE / "expectations").glob("*.json"))
    return {file.stem: parse_suite(file.stem, json.loads(file.read_text())) for file in files}


def read_contracts() -> dict[str, list[Contract]]:
    contracts: dict[str, list[Contract]] = defaultdict(list)
    for file in sorted((INCLUDE / "contracts").glob("*/*.json")):
        contract = parse_contract(f"{file.parent.name}/{file.stem}", json.loads(file.read_text()))
        contracts[contract.event_type].append(contract)
    return contracts


CONTRACTS = read_contracts()
# those of rollups are tested with the rollups
SUITES = {name: suite for name, suite in read_suites().items() if name in CONTRACTS}
each_type = pytest.mark.parametrize("event_type", sorted(SUITES))


def test_every_type_and_every_rollup_has_a_suite() -> None:
    rollups = {file.stem for file in (INCLUDE / "rollups").glob("*.sql")}
    assert set(read_suites()) == set(CONTRACTS) | rollups


@pytest.mark.parametrize(
    ("type_", "kwargs", "word"),
    [
        ("expect_column_values_to_be_nice", {"column": "event_uuid"}, "expect_column_values_to_be_nice"),
        ("expect_column_values_to_be_between", {"column": "amount", "maximum": 3}, "maximum"),
        ("expect_column_values_to_not_be_null", {}, "column"),
    ],
)
def test_what_great_expectations_cannot_run_is_named(
    tmp_path: Path, type_: str, kwargs: dict[str, Any], word: str
) -> None:
    planted = {"type": type_, "kwargs": kwargs, "meta": {"severity": "low"}}
    good = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "x"}, "meta": {"severity": "low"}}
    (tmp_path / "expectations").mkdir()
    file = tmp_path / "expectations/payment.json"
    file.write_text(json.dumps({"name": "payment", "expectations": [good, planted]}))
    (fault,) = faults_of(tmp_path)
    assert f"payment.json: received expectation 2, {type_}" in fault
    assert word in fault
    assert "\n" not in fault


def test_great_expectations_can_run_what_the_lake_is_told() -> None:
    assert list(faults_of(INCLUDE)) == []


@each_type
def test_a_suite_speaks_of_columns_that_exist_and_says_why(event_type: str) -> None:
    columns = {column.name for column in table_columns(CONTRACTS[event_type])}
    suite = SUITES[event_type]
    assert 4 <= len(suite.expectations) <= 8
    assert len({each.why for each in suite.expectations}) == len(suite.expectations)
    for each in suite.expectations:
        named = {each.kwargs[argument] for argument in ("column", "column_A", "column_B") if argument in each.kwargs}
        assert named <= columns, each
        assert each.severity in SEVERITIES
        assert len(each.why) > 20, each


@each_type
def test_names_of_a_suite_are_those_of_the_contracts(event_type: str) -> None:
    contracted = {name for contract in CONTRACTS[event_type] for name in contract.event_names}
    for each in SUITES[event_type].expectations:
        if each.kwargs.get("column") == "event_name":
            assert set(each.kwargs["value_set"]) == contracted
        if each.kwargs.get("column_A") == "event_name":
            assert {name for name, _ in each.kwargs["value_pairs_set"]} <= contracted


@each_type
def test_good_rows_pass_however_few(gate: PandasGate, event_type: str) -> None:
    assert gate.failed(SUITES[event_type], staged_rows(CONTRACTS[event_type], of_each_name=12, seed=2)) == []
    for row in staged_rows(CONTRACTS[event_type], of_each_name=1, seed=3):
        assert gate.failed(SUITES[event_type], [row]) == [], row["event_name"]


def enough_rows(event_type: str, expectation: Expectation) -> list[Row]:
    names = sum(len(contract.event_names) for contract in CONTRACTS[event_type])
    return staged_rows(CONTRACTS[event_type], of_each_name=max(2, ceil(expectation.from_rows / names)))


@each_type
def test_each_expectation_alone_catches_something(gate: PandasGate, event_type: str) -> None:
    suite = SUITES[event_type]
    for expectation in suite.expectations:
        rows = enough_rows(event_type, expectation)
        assert gate.failed(suite, rows) == [], "good rows, and enough of them"
        assert any(caught_alone(gate, suite, expectation, rows)), (
            f"{expectation.type} {dict(expectation.kwargs)}: no changed value makes it fail alone; "
            "either another expectation says the same, or this one says nothing"
        )


# two types that have an expectation of every kind between them
@pytest.mark.parametrize("event_type", ["account", "course"])
def test_spark_gives_the_same_answers(spark: Any, validator: Any, gate: PandasGate, event_type: str) -> None:
    suite = SUITES[event_type]
    good = staged_rows(CONTRACTS[event_type], of_each_name=1)
    asked = suite.asked_of(len(good))
    spoilt = [row for each in asked for row in next(caught_alone(gate, suite, each, good))]
    for rows in (good, spoilt):
        frame = spark.createDataFrame(*for_spark(rows, table_columns(CONTRACTS[event_type])))
        answer = validator.validate(frame, len(rows), suite)
        failed = [place for place, result in enumerate(answer["results"]) if result["success"] is not True]
        assert len(answer["results"]) == len(asked), answer
        assert failed == (list(range(len(asked))) if rows is spoilt else []), answer


@pytest.mark.parametrize(
    "event_type", sorted(name for name, suite in SUITES.items() if any(each.from_rows for each in suite.expectations))
)
def test_spark_asks_for_a_distribution_where_there_are_rows_enough(
    spark: Any, validator: Any, gate: PandasGate, event_type: str
) -> None:
    suite = SUITES[event_type]
    (expectation,) = (each for each in suite.expectations if each.from_rows)
    good = enough_rows(event_type, expectation)
    skewed = next(caught_alone(gate, suite, expectation, good))
    for rows, expected in ((good, []), (skewed, [expectation.type]), (skewed[: expectation.from_rows - 1], [])):
        frame = spark.createDataFrame(*for_spark(rows, table_columns(CONTRACTS[event_type])))
        answer = validator.validate(frame, len(rows), suite)
        failed = [result for result in answer["results"] if result["success"] is not True]
        assert [result["expectation"] for result in failed] == expected
        assert all(isinstance(result["observed"], float) for result in failed), "how far it is off"
        assert len(answer["results"]) == len(suite.asked_of(len(rows)))


def test_pairs_of_columns_are_counted_in_the_pass_of_all_others(spark: Any, validator: Any) -> None:
    """Great Expectations by itself runs more jobs for each pair."""
    whole = SUITES["lesson"]
    one_by_one = [each for each in whole.expectations if "column_pair" not in each.type]
    without_pairs = replace(whole, expectations=tuple(one_by_one))
    assert len(one_by_one) < len(whole.expectations)
    good = staged_rows(CONTRACTS["lesson"], of_each_name=3)
    frame = spark.createDataFrame(*for_spark(good, table_columns(CONTRACTS["lesson"])))

    def jobs(suite: Suite, group: str) -> int:
        spark.sparkContext.setJobGroup(group, "a gate")
        assert validator.validate(frame, len(good), suite)["success"] is True
        return len(spark.sparkContext.statusTracker().getJobIdsForGroup(group))

    # of pairs from a set Great Expectations counts all rows once more
    assert jobs(whole, "with pairs") <= jobs(without_pairs, "without pairs") + 1


@pytest.mark.parametrize(
    ("ignored", "good_share"),
    [("both_values_are_missing", 1 / 2), ("either_value_is_missing", 0), ("neither", 2 / 3)],
)
def test_of_pairs_with_a_missing_value_only_those_asked_count(
    spark: Any, validator: Any, ignored: str, good_share: float
) -> None:
    # of these, one is worse; what cannot be compared is not
    rows = spark.createDataFrame([(1, 2), (None, None), (3, None)], "a int, b int")
    for mostly in (0.4, 0.6, 0.9):
        kwargs = {"column_A": "a", "column_B": "b", "or_equal": True, "ignore_row_if": ignored, "mostly": mostly}
        more = Expectation("expect_column_pair_values_a_to_be_greater_than_b", kwargs, "high", "")
        (answer,) = validator.validate(rows, 3, Suite("pairs", (more,), {}))["results"]
        assert answer["success"] is (good_share >= mostly), answer
