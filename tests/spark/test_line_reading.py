"""What the job's class makes of a line beside its verdict: the row, as its sender wrote it, and the number of the line.

What does not belong here: which lines are bad (test_row_rules), personal values (test_protection).
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, Observation, SparkSession

from disk_lake.lake import RAW, DiskLake
from eventlake.contract import parse_contract
from eventlake.load_plan import Landing
from eventlake_spark import judgement
from eventlake_spark.line_reading import read_lines
from eventlake_spark.table_lines import TableLines
from tests.builders import a_uuid
from tests.spark.event_lines import Written, a_line
from tests.spark.test_load_events import PAYMENT, a_payment

LOOSE = {
    "type": "object",
    "x-owner": "team",
    "x-retention-class": "financial",
    "x-event-names": ["payment:order"],
    "x-other-fields": True,
    "properties": {
        "anything": {},
        "open": {"type": "object"},
        "body": {"type": "string"},
        "ratio": {"type": "number"},
        "amount": {"type": "number", "x-decimal": [38, 20]},
        "deep": {"type": "object", "properties": {"names": {"type": "array", "items": {"type": "string"}}}},
    },
}


def rows_of(spark: SparkSession, *lines: str | bytes, root: str = "") -> list[Any]:
    """What is read of each line: `row`, `original` and `line`."""
    table = TableLines("events.payment_events", "payment", (parse_contract("payment/order", LOOSE),))
    return list(read_lines(as_raw(spark, lines), root, table, "a-load", b"", (), Observation()).collect())


def as_raw(spark: SparkSession, lines: tuple[str | bytes, ...]) -> DataFrame:
    given = [(line.decode() if isinstance(line, bytes) else line, "an/object", None) for line in lines]
    return spark.createDataFrame(given, "value string, path string, number int").coalesce(1)


def written(**fields: str) -> bytes:
    return a_line(1, **{name: Written(value) for name, value in fields.items()})


def test_json_text_and_other_fields_are_what_was_written(spark: SparkSession) -> None:
    line = written(
        anything='{ "a" : 1.10, "b": [1e400, "\\u00e9"] }', open="[ ]", body='"a body"', ratio="1e-3", amount="0e99",
        deep='{"names": ["\\ud800x", null], "unknown": 1}', some="1.10", what='{"x": "}"}', none="null",
        **{'a "quote"': '"\\""', "line\nbreak": "true"},
    )  # fmt: skip
    (read,) = rows_of(spark, line)
    row = read.row
    assert (row.anything, row.open, row.body) == ('{ "a" : 1.10, "b": [1e400, "\\u00e9"] }', "[ ]", "a body")
    assert (row.ratio, row.amount, row.deep.names) == (0.001, 0, ["?x", None])
    assert row.other_fields == '{"some":1.10,"what":{"x": "}"},"a \\"quote\\"":"\\"","line\\nbreak":true}'
    assert list(json.loads(row.other_fields)) == ["some", "what", 'a "quote"', "line\nbreak"]
    assert read.original is None


def test_of_a_repeated_name_the_table_gets_the_last_value(spark: SparkSession) -> None:
    good = written(zz="0").decode()
    repeating = good.replace('"zz":0', '"body":5,"body":"b","ratio":1,"ratio":null,"zz":1,"zz":2,"yy":1,"yy":null')
    (read,) = rows_of(spark, repeating)
    assert (read.row.body, read.row.ratio, read.row.other_fields, read.original) == ("b", None, '{"zz":2}', None)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.datetimes(datetime(2000, 1, 1), datetime(9999, 12, 31)), min_size=20, max_size=20),
    st.sampled_from(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dt%H:%M:%S.%fz"]),
    st.integers(-14 * 60, 14 * 60),
)
def test_moments_are_those_that_python_reads(
    spark: SparkSession, moments: list[datetime], form: str, offset_minutes: int
) -> None:
    offset = f"{'-' if offset_minutes < 0 else '+'}{abs(offset_minutes) // 60:02d}:{abs(offset_minutes) % 60:02d}"
    good = written().decode()
    texts = [f"{moment:{form}}".rjust(len(f"{datetime(2000, 1, 1):{form}}"), "0") for moment in moments]
    texts += [text[:-1] + offset for text in texts]
    lines = [good.replace("2026-11-21T08:00:00Z", text, 1) for text in texts]
    read = rows_of(spark, *lines)
    for text, each in zip(texts, read, strict=True):
        expected = datetime.fromisoformat(text.upper()).astimezone(UTC).replace(tzinfo=None)
        assert (each.row.created_datetime, each.row.event_date) == (expected, expected.date()), text
        assert each.row.created_at * 1_000_000 == (expected - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def test_a_moment_is_cut_to_microseconds(spark: SparkSession) -> None:
    good = written().decode()
    seconds = ["00.1", "00.123456789", "00.1234567891", "00.", "60", "0", "00.12345678x"]
    lines = [good.replace("08:00:00Z", f"08:00:{each}Z", 1) for each in seconds]
    read = rows_of(spark, *lines)
    assert [each.original is None for each in read] == [True, True, True, False, False, False, False]
    assert [each.row.created_datetime.microsecond for each in read[:3]] == [100_000, 123_456, 123_456]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.permutations(range(14)), min_size=2, max_size=6), st.sets(st.integers(0, 5)))
def test_fields_are_found_in_whatever_order_they_were_written(
    spark: SparkSession, orders: list[list[int]], left_out: set[int]
) -> None:
    # given: the same event, its fields in another order in each line, at the top and below
    fields = {**json.loads(written(body='"b"', ratio="2.5", unknown="1", amount="3")), "deep": {"x": 1, "names": ["n"]}}
    optional = ("body", "ratio", "unknown", "amount", "deep", "event_detail")
    for number in left_out:
        fields.pop(optional[number], None)
    lines = [json.dumps(_in_order(fields, order)) for order in orders]
    # when
    rows = [each.row for each in rows_of(spark, *lines)]
    # then
    assert rows == [rows[0]] * len(lines)
    assert [rows[0].body, rows[0].ratio, rows[0].amount] == [fields.get(name) for name in ("body", "ratio", "amount")]


def _in_order(value: Any, order: list[int]) -> Any:
    """The same, the names of every object in the order of these numbers."""
    if not isinstance(value, dict):
        return value
    names = sorted(value, key=lambda name: order[sorted(value).index(name) % len(order)])
    return {name: _in_order(value[name], order) for name in names}


def test_an_object_that_is_not_where_objects_are_ends_the_reading(spark: SparkSession) -> None:
    with pytest.raises(Exception, match="an object at an/object, which is not below another/"):
        rows_of(spark, written(), root="another/")


@pytest.mark.parametrize("bytes_of_one_task", [judgement.BYTES_OF_ONE_TASK, 0])
def test_a_bad_row_knows_its_line_though_objects_share_a_task(
    lake: DiskLake, monkeypatch: pytest.MonkeyPatch, bytes_of_one_task: int
) -> None:
    # given: bad lines at known places, blank ones between, in more objects than there are tasks
    monkeypatch.setattr(judgement, "BYTES_OF_ONE_TASK", bytes_of_one_task)
    lake.define({"payment/order": PAYMENT})
    landings, places = [], set()
    for number in range(1, 13):
        bad = a_payment(100 + number, amount=-1)
        lines = [b"", a_payment(number), b" \t", *[bad] * (number % 3 + 1), b"\r", a_payment(50 + number), b"no JSON"]
        landings.append(lake.land(lines))
        places |= {(landings[-1].object_key, place) for place, line in enumerate(lines, 1) if line in (bad, b"no JSON")}
    # when
    receipt = lake.load(*landings)
    # then
    rows = lake.beside(receipt, "quarantine_uri")
    assert {(row["raw_object"], row["line"]) for row in rows} == places
    assert len(rows) == len(places)


def test_an_object_that_is_not_packed_is_read_too(lake: DiskLake) -> None:
    # given: one that somebody put there
    lake.define({"payment/order": PAYMENT})
    packed = lake.land([a_payment(1)])
    key = packed.object_key.removesuffix(".gz") + ".ndjson"
    body = b"\n".join([a_payment(2), b"", a_payment(3, amount=-1)])
    lake.store.create(f"s3://{RAW}/{key}", body)
    plain = Landing(key, "etag", len(body), packed.area, packed.event_type, packed.event_subtype)
    # when
    receipt = lake.load(packed, plain)
    # then
    assert receipt["tables"][0]["counts"]["loaded"] == 2
    (row,) = lake.beside(receipt, "quarantine_uri")
    assert (row["raw_object"], row["line"]) == (key, 3)


def test_what_conflicts_is_told_by_its_own_text(lake: DiskLake) -> None:
    # given: it lies among other lines, in an object and in one entry of an error object
    lake.define({"payment/order": PAYMENT})
    lake.load_and_publish(lake.land([a_payment(1), a_payment(2)]))
    first = a_payment(11, event_uuid=a_uuid(1), amount=5)
    second = a_payment(12, event_uuid=a_uuid(2), amount=6)
    entry = {"rawData": base64.b64encode(a_payment(3) + b"\n" + second + b"\n" + a_payment(4) + b"\n").decode()}
    landings = (lake.land([a_payment(5), first]), lake.land_errors([json.dumps(entry)], {("payment", "order")}))
    # when
    receipt = lake.load(*landings)
    # then
    rows = lake.beside(receipt, "quarantine_uri")
    told = {(row["reason"], row["original_text"], row["line"]) for row in rows}
    assert told == {("uuid_conflict", first.decode(), 2), ("uuid_conflict", second.decode(), 1)}
