"""The rollup job: planned dates are replaced whole on a branch, from the snapshots that the plan names."""

from __future__ import annotations

import json
from typing import Any

import pytest

import roll_up
from disk_lake.lake import LAKE, DiskLake
from eventlake.definitions import build_bundle
from eventlake.rollup_plan import RollupEntry, RollupPlan, parse_rollup_receipt
from eventlake_spark.rollup_staging import over_views
from tests.spark.event_lines import a_line

CONTRACTS = {
    "payment/order": {
        "title": "Order",
        "description": "An order was paid.",
        "type": "object",
        "properties": {"amount": {"type": "number", "x-decimal": [12, 2], "description": "Money.", "x-pii": "none"}},
        "required": [],
        "x-owner": "payments",
        "x-retention-class": "standard",
        "x-event-names": ["payment:order"],
    }
}
ROLLUP = """-- description: Money per day.
-- partition: event_date
-- sources: events.payment_events
SELECT event_date, sum(amount) AS total, 'events.payment_events' AS origin
FROM events.payment_events GROUP BY event_date
"""
NO_EXPECTATIONS = {"name": "money", "expectations": []}
SECONDS_OF_A_DAY = 86_400
NOON_21ST = 1_795_262_400  # 2026-11-21T12:00:00Z


class Rollups:
    """Plans and runs the job on a disk lake, and publishes as the worker would."""

    def __init__(self, lake: DiskLake) -> None:
        self.lake = lake
        self.runs = 0

    def run(
        self, *dates: str, sql: str = ROLLUP, expected_exit: int = 0, suite: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        self.runs += 1
        body, digest = build_bundle(CONTRACTS, {"money": suite or NO_EXPECTATIONS}, {"money": sql})
        key = f"control/definitions/{digest}-{self.runs}.json"
        self.lake.store.create(f"s3://{LAKE}/{key}", body)
        source = self.lake.main_of("events.payment_events")
        assert source is not None
        entry = RollupEntry(
            "money", "rollups.money", self.lake.main_of("rollups.money"), {"events.payment_events": source}, dates
        )
        plan = RollupPlan(f"roll-{self.runs}", "2026-11-21T08:10:00Z", key, (entry,))
        prefix, run_id = f"s3://{LAKE}/control/rollups/roll-{self.runs}/", f"jr_rollup_{self.runs}"
        self.lake.store.create(f"{prefix}plan.json", plan.to_json())
        self.lake.tables.add("rollups.money")
        argv = ["--JOB_RUN_ID", run_id, "--plan_uri", f"{prefix}plan.json", "--receipt_prefix", prefix]
        assert roll_up.main(argv, self.lake.store, self.lake.session) == expected_exit
        text = self.lake.store.read(f"{prefix}receipt-{run_id}.json")
        parse_rollup_receipt(text)
        return dict(json.loads(text)["rollups"][0])

    def publish(self, entry: dict[str, Any]) -> None:
        self.lake.publish({"tables": [entry]})

    def totals(self) -> dict[str, str]:
        rows = self.lake.session.sql("SELECT event_date, total FROM glue_catalog.rollups.money").collect()
        return {str(row.event_date): str(row.total) for row in rows}


@pytest.fixture
def rollups(lake: DiskLake) -> Rollups:
    """A lake with one payment on each of two days."""
    lake.define(CONTRACTS)
    pay(lake, 1, "10.10", days_ago=0)
    pay(lake, 2, "20.20", days_ago=1)
    return Rollups(lake)


def pay(lake: DiskLake, number: int, amount: str, days_ago: int) -> None:
    from tests.spark.event_lines import Written

    created_at = NOON_21ST - days_ago * SECONDS_OF_A_DAY
    line = a_line(
        number,
        arrived_at_ms=(NOON_21ST + 60) * 1000,
        event_name="payment:order",
        created_at=created_at,
        amount=Written(amount),
    )
    lake.load_and_publish(lake.land([line], day=f"2026-11-{21 - days_ago}"))


def test_nobody_sees_a_rollup_before_it_is_published(rollups: Rollups) -> None:
    # when
    entry = rollups.run("2026-11-20", "2026-11-21")
    # then
    assert rollups.totals() == {}
    assert (entry["added_records"], entry["days"]) == (2, {"2026-11-20": 1, "2026-11-21": 1})
    rollups.publish(entry)
    assert rollups.totals() == {"2026-11-20": "20.20", "2026-11-21": "10.10"}


def test_the_suite_of_a_rollup_judges_the_dates_that_are_rebuilt(rollups: Rollups) -> None:
    # given: no total is above ten, which that of the 21st is
    most = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "total", "max_value": 10},
        "meta": {"severity": "critical", "why": "nobody sells for more"},
    }
    suite = {"name": "money", "expectations": [most]}
    # when
    entry = rollups.run("2026-11-20", "2026-11-21", suite=suite)
    # then
    assert (entry["staged_snapshot_id"] is not None, entry["validation"]["success"]) == (True, False)
    [answer] = entry["validation"]["results"]
    assert (answer["unexpected_count"], answer["observed"]) == (2, "2 of 2 rows unexpected")
    assert answer["detail"] == {"why": "nobody sells for more", "event_uuids": []}


def test_a_week_is_rebuilt_from_all_its_days(rollups: Rollups) -> None:
    sql = ROLLUP.replace("-- sources", "-- window: week\n-- sources").replace(
        "SELECT event_date,", "SELECT CAST(date_trunc('WEEK', event_date) AS DATE) AS event_date,"
    )
    sql = sql.replace("GROUP BY event_date", "GROUP BY CAST(date_trunc('WEEK', event_date) AS DATE)")
    rollups.publish(rollups.run("2026-11-16", sql=sql))
    assert rollups.totals() == {"2026-11-16": "30.30"}


def test_only_the_planned_dates_are_rebuilt(rollups: Rollups) -> None:
    # given
    rollups.publish(rollups.run("2026-11-20", "2026-11-21"))
    pay(rollups.lake, 3, "5.00", days_ago=0)
    pay(rollups.lake, 4, "7.00", days_ago=1)
    # when
    rollups.publish(rollups.run("2026-11-21"))
    # then
    assert rollups.totals() == {"2026-11-20": "20.20", "2026-11-21": "15.10"}


def test_a_date_whose_rows_are_gone_ends_empty(rollups: Rollups) -> None:
    # given
    rollups.publish(rollups.run("2026-11-20", "2026-11-21"))
    rollups.lake.session.sql("DELETE FROM glue_catalog.events.payment_events WHERE event_date = DATE '2026-11-20'")
    # when
    rollups.publish(rollups.run("2026-11-20"))
    # then
    assert rollups.totals() == {"2026-11-21": "10.10"}


def test_the_staged_snapshot_remembers_what_it_has_seen(rollups: Rollups) -> None:
    from eventlake_spark.table_ddl import open_table

    entry = rollups.run("2026-11-21")
    table = open_table(rollups.lake.session, "rollups.money")
    assert table is not None
    seen = table.snapshot_property(entry["staged_snapshot_id"], "eventlake.sources")
    assert json.loads(str(seen)) == {"events.payment_events": rollups.lake.main_of("events.payment_events")}


def test_a_failing_select_says_so_in_its_receipt(rollups: Rollups) -> None:
    entry = rollups.run("2026-11-21", sql=ROLLUP.replace("sum(amount)", "sum(no_such_column)"), expected_exit=1)
    assert entry["staged_snapshot_id"] is None
    assert "no_such_column" in entry["error"]


def test_a_select_that_leaves_its_dates_is_refused(rollups: Rollups) -> None:
    sql = ROLLUP.replace("SELECT event_date,", "SELECT date_sub(event_date, 1) AS event_date,")
    entry = rollups.run("2026-11-21", sql=sql, expected_exit=1)
    assert "2026-11-20" in entry["error"]


def test_names_in_texts_stay() -> None:
    select = "SELECT 'events.a_events' AS origin FROM events.a_events JOIN events.ab_events USING (x)"
    views = {"events.a_events": "one", "events.ab_events": "two"}
    assert over_views(select, views) == "SELECT 'events.a_events' AS origin FROM one JOIN two USING (x)"
