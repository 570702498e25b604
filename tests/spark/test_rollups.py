"""Each rollup over simulated rows gives what counting by hand gives. Staging them is tested with its job."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from eventlake.contract import Contract, parse_contract
from eventlake.definitions import SEVERITIES, Rollup, parse_rollup, parse_suite
from eventlake.table_schema import table_columns
from eventlake_spark.validation import Validator
from tests.spark.mutations import Row, for_spark, staged_rows
from tests.spark.pandas_gate import PandasGate, caught_alone

INCLUDE = Path(__file__).parents[2] / "include"
DAYS = (date(2026, 11, 20), date(2026, 11, 21))
ROLLUPS = {file.stem: parse_rollup(file.stem, file.read_text()) for file in (INCLUDE / "rollups").glob("*.sql")}
SUITES = {
    name: parse_suite(name, json.loads((INCLUDE / f"expectations/{name}.json").read_text())) for name in sorted(ROLLUPS)
}
each_rollup = pytest.mark.parametrize("name", sorted(ROLLUPS))
SOURCE_TYPES = sorted(
    {source[len("events.") : -len("_events")] for each in ROLLUPS.values() for source in each.sources}
)


def _contracts(event_type: str) -> list[Contract]:
    files = sorted((INCLUDE / "contracts" / event_type).glob("*.json"))
    return [parse_contract(f"{event_type}/{file.stem}", json.loads(file.read_text())) for file in files]


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Row]]:
    """Rows of two days for each source."""
    return {
        event_type: [
            row | {"event_date": day}
            for seed, day in enumerate(DAYS, start=5)
            for row in staged_rows(_contracts(event_type), of_each_name=6, seed=seed)
        ]
        for event_type in SOURCE_TYPES
    }


@pytest.fixture(scope="module")
def views(spark: Any, rows: dict[str, list[Row]]) -> Iterator[Any]:
    for event_type, each in rows.items():
        values, schema = for_spark(each, table_columns(_contracts(event_type)))
        spark.createDataFrame(values, schema).createOrReplaceTempView(f"{event_type}_events")
    yield spark
    for event_type in rows:
        spark.catalog.dropTempView(f"{event_type}_events")


def result(views: Any, name: str) -> list[Row]:
    rollup: Rollup = ROLLUPS[name]
    frame = views.sql(re.sub(r"\bevents\.", "", rollup.select))
    assert rollup.partition in frame.columns
    return [row.asDict() for row in frame.collect()]


def test_payment_totals_are_exact_sums_of_completed_orders(views: Any, rows: dict[str, list[Row]]) -> None:
    orders = [row for row in rows["payment"] if row["event_subtype"] == "order"]
    totals = {(each["event_date"], each["currency"]): each for each in result(views, "payment_totals_per_day")}
    assert set(totals) == {(row["event_date"], row["currency"]) for row in orders}
    for (day, currency), total in totals.items():
        completed = [
            row for row in orders if (row["event_date"], row["currency"], row["status"]) == (day, currency, "completed")
        ]
        assert total["orders_completed"] == len(completed)
        for amount in ("gross_amount", "discount_amount", "net_amount", "tax_amount"):
            assert total[amount] == sum((Decimal(row[amount]) for row in completed), Decimal(0))
    states = ("orders_created", "orders_completed", "charges_declined", "orders_abandoned")
    assert sum(total[state] for total in totals.values() for state in states) == len(orders)


def test_the_lesson_funnel_counts_each_step(views: Any, rows: dict[str, list[Row]]) -> None:
    funnel = result(views, "lesson_funnel_per_day")
    assert len({(each["event_date"], each["platform"]) for each in funnel}) == len(funnel)
    lessons = rows["lesson"]
    steps = Counter(row["event_subtype"] for row in lessons)
    assert sum(each["lessons_started"] for each in funnel) == steps["started"]
    assert sum(each["lessons_completed"] for each in funnel) == steps["completed"]
    assert sum(each["lessons_abandoned"] for each in funnel) == steps["abandoned"]
    assert sum(each["lessons_passed"] for each in funnel) == sum(row["passed"] is True for row in lessons)
    answers = [row for row in lessons if row["event_detail"] == "answered"]
    assert sum(each["exercises_answered"] for each in funnel) == len(answers)
    assert sum(each["exercises_right"] for each in funnel) == sum(row["outcome"] == "correct" for row in answers)
    assert sum(each["points"] for each in funnel) == sum(Decimal(row["points"] or 0) for row in lessons)
    assert all(each["mean_score"] is None or 0 <= each["mean_score"] <= 100 for each in funnel)


def test_active_users_count_people_once(views: Any, rows: dict[str, list[Row]]) -> None:
    found = {(each["event_date"], each["platform"]): each for each in result(views, "active_users_per_day")}
    seen = rows["session"] + rows["lesson"]
    for (day, platform), each in found.items():
        here = [row for row in seen if (row["event_date"], row["app"]["platform"]) == (day, platform)]
        assert each["active_users"] == len({row["user_id"] for row in here})
        assert each["learners"] == len(
            {row["user_id"] for row in here if row["event_type"] == "lesson" and row["event_subtype"] == "completed"}
        )
        assert each["sessions_started"] == sum(
            row["event_type"] == "session" and row["event_subtype"] == "started" for row in here
        )
        assert each["active_seconds"] == sum(row.get("active_seconds") or 0 for row in here)
    assert len(found) == len(DAYS) * 3


def test_every_learning_event_is_in_one_hour(views: Any, rows: dict[str, list[Row]]) -> None:
    found = result(views, "learning_events_per_name_and_hour")
    names: Counter[str] = Counter()
    for each in found:
        names[each["event_name"]] += each["events"]
    read = [source[len("events.") : -len("_events")] for source in ROLLUPS["learning_events_per_name_and_hour"].sources]
    assert names == Counter(row["event_name"] for event_type in read for row in rows[event_type])
    assert {(each["hour"].minute, each["hour"].second) for each in found} == {(0, 0)}


def test_active_users_of_a_week_count_people_of_all_its_days_once(views: Any, rows: dict[str, list[Row]]) -> None:
    # Friday and Saturday are days of one week
    found = {(each["event_date"], each["platform"]): each for each in result(views, "active_users_per_week")}
    assert {monday for monday, _ in found} == {date(2026, 11, 16)}
    seen = rows["session"] + rows["lesson"]
    for (_, platform), each in found.items():
        here = [row for row in seen if row["app"]["platform"] == platform]
        assert each["active_users"] == len({row["user_id"] for row in here})
        assert each["days_with_events"] == len({row["event_date"] for row in here})


def test_refunds_are_exact_sums_on_the_days_of_their_own_events(views: Any, rows: dict[str, list[Row]]) -> None:
    totals = {(each["event_date"], each["currency"]): each for each in result(views, "refunds_per_day")}
    assert set(totals) == {(row["event_date"], row["currency"]) for row in rows["refund"]}
    for (day, currency), total in totals.items():
        here = [row for row in rows["refund"] if (row["event_date"], row["currency"]) == (day, currency)]
        for subtype, amount in (("requested", "requested"), ("decided", "approved"), ("settled", "settled")):
            wanted = [row[f"{amount}_amount"] for row in here if row["event_subtype"] == subtype]
            assert total[f"{amount}_amount"] == sum((Decimal(one or 0) for one in wanted), Decimal(0))
        assert total["refunds_refused"] == sum(row["decision"] == "refused" for row in here)
        counted = ("refunds_requested", "refunds_granted", "refunds_refused", "refunds_settled")
        assert sum(total[each] for each in counted) == len(here)


@each_rollup
def test_a_rollup_passes_its_own_suite_in_both_engines(
    views: Any, validator: Validator, gate: PandasGate, name: str
) -> None:
    found = result(views, name)
    assert gate.failed(SUITES[name], found) == []
    answer = validator.validate(views.sql(re.sub(r"\bevents\.", "", ROLLUPS[name].select)), len(found), SUITES[name])
    assert (answer["success"], len(answer["results"])) == (True, len(SUITES[name].expectations)), answer


@each_rollup
def test_each_expectation_of_a_rollup_alone_catches_something(views: Any, gate: PandasGate, name: str) -> None:
    found = result(views, name)
    suite = SUITES[name]
    for expectation in suite.expectations:
        assert expectation.severity in SEVERITIES
        assert len(expectation.why) > 20
        assert any(caught_alone(gate, suite, expectation, found)), (
            f"{expectation.type} {dict(expectation.kwargs)}: no single changed value makes it fail alone; "
            "either another expectation says the same, or this one says nothing"
        )
