"""Whoever reads while loads publish sees whole loads that the gate let through, and nothing else."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest
from lake_builders import NOW, Lake, Sent
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.transforms import IdentityTransform
from test_live_care import ROLLUP

from eventlake.load_plan import LoadPlan
from eventlake.rollup_plan import sources_text
from eventlake_aws import load_store
from eventlake_aws.load_steps import plan_and_store_load
from eventlake_aws.publish import JOB_RUN_ID_PROPERTY
from eventlake_aws.publish_load import publish_load
from eventlake_aws.rollups import ROLLUP_RUN_ID_PROPERTY, SOURCES_PROPERTY, plan_rollups, publish_rollups
from tests.contract_builders import a_schema

PAYMENTS, LESSONS, DAILY = "events.payment_events", "events.lesson_events", "rollups.payments_daily"
EVENTS_OF_LOAD = 3
DAY = "2026-11-21"
FAILED = {"expectation": "expect_x", "column": None, "severity": "critical", "success": False}
DAILY_ROW = pa.schema([pa.field("event_date", pa.date32()), pa.field("payments", pa.int64())])


@dataclass
class Published:
    """What readers may see, as the loads say it: `begun` before main moves, `done` after it."""

    begun: dict[str, set[Any]] = field(default_factory=lambda: {PAYMENTS: set(), LESSONS: set(), DAILY: set()})
    done: dict[str, set[Any]] = field(default_factory=lambda: {PAYMENTS: set(), LESSONS: set(), DAILY: set()})


@dataclass
class Reader:
    """Polls the tables from a thread of its own until it is told to stop."""

    lake: Lake
    published: Published
    stopped: threading.Event = field(default_factory=threading.Event)
    polls: int = 0
    wrong: list[str] = field(default_factory=list)

    def poll(self) -> None:
        while not self.stopped.is_set():
            for name in (PAYMENTS, LESSONS):
                self._look(name, self._loads)
            self._look(DAILY, self._counts)
            self.polls += 1

    def _look(self, name: str, read: Callable[[str], Counter[Any]]) -> None:
        at_least = set(self.published.done[name])
        seen = read(name)
        unpublished = set(seen) - self.published.begun[name]
        if name == DAILY:
            # one row a day: of the counts that were ever published it is the last, or one that is just coming
            is_whole = len(seen) <= 1 and max(at_least, default=0) <= max(seen, default=0)
        else:
            is_whole = set(seen.values()) <= {EVENTS_OF_LOAD} and at_least <= set(seen)
        if unpublished or not is_whole:
            self.wrong.append(f"{name}: {dict(seen)}, unpublished {unpublished}, at least {at_least}")

    def _loads(self, name: str) -> Counter[str]:
        """Load -> rows of it."""
        return Counter(self._column(name, "load_id"))

    def _counts(self, name: str) -> Counter[int]:
        """Count -> rows that say it."""
        return Counter(self._column(name, "payments"))

    def _column(self, name: str, column: str) -> list[Any]:
        try:
            values: list[Any] = self.lake.catalog.load_table(name).scan().to_arrow().column(column).to_pylist()
        except NoSuchTableError:
            return []
        return values


@pytest.mark.parametrize("loads", [6, pytest.param(100, marks=pytest.mark.long)])
def test_a_reader_never_sees_a_row_that_is_not_published_or_half_a_load(lake: Lake, loads: int) -> None:
    # given
    schemas = {key: a_schema(key=key) for key in ("payment/order", "lesson/exercise")}
    lake.define(schemas, {"payments_daily": ROLLUP})
    published = Published()
    reader = Reader(lake, published)
    thread = threading.Thread(target=reader.poll)
    thread.start()
    # when: of each three loads one has bad payments, and one after a bad one a bad rollup
    try:
        for number in range(loads):
            load(lake, number, published, is_good=number % 3 != 1)
            roll_up(lake, number, published, is_good=number % 3 != 2)
    finally:
        reader.stopped.set()
        thread.join()
    # then
    assert not reader.wrong, reader.wrong[:3]
    assert reader.polls > loads, "nobody looked"
    held = len([number for number in range(loads) if number % 3 == 1])
    assert (len(published.done[PAYMENTS]), len(published.done[LESSONS])) == (loads - held, loads)
    assert published.done[DAILY], "no rollup was published"


def load(lake: Lake, number: int, published: Published, *, is_good: bool) -> None:
    events = {
        table: [Sent(f"{event_type}-{number}-{one}", number * 10 + one, *pair) for one in range(EVENTS_OF_LOAD)]
        for table, event_type, pair in (
            (PAYMENTS, "payment", ("payment", "order")),
            (LESSONS, "lesson", ("lesson", "exercise")),
        )
    }
    for rows in events.values():
        lake.land(rows, name=str(number))
    plan = planned(lake, number)
    entries = [
        lake.receipt_entry(plan, entry.table, "jr_1", events[entry.table], validation=said(is_good, entry.table))
        for entry in plan.tables
    ]
    lake.write_receipt(plan, "jr_1", entries)
    good = {LESSONS} | ({PAYMENTS} if is_good else set())
    for table in good:
        published.begun[table].add(plan.load_id)
    outcome = publish_load(lake.clients, lake.settings, load_id=plan.load_id, job_run_id="jr_1", now=NOW)
    assert set(outcome["published"]) == good
    for table in good:
        published.done[table].add(plan.load_id)


def planned(lake: Lake, number: int) -> LoadPlan:
    of_run = {"dag_id": "load_events", "run_id": f"run-{number}", "areas": ["raw"], "now": NOW}
    answer = plan_and_store_load(lake.clients, lake.settings, **of_run)
    return load_store.read_plan(lake.clients, lake.settings, answer["load_id"])


def said(is_good: bool, table: str = PAYMENTS) -> dict[str, Any]:
    is_failed = not is_good and table == PAYMENTS
    return {"success": not is_failed, "results": [FAILED] if is_failed else []}


def roll_up(lake: Lake, number: int, published: Published, *, is_good: bool) -> None:
    """As the job would: the day's row in place of the former one, counted from what the plan's snapshot shows."""
    plan = plan_rollups(lake.clients, lake.settings, dag_id="load_events", run_id=f"run-{number}", now=NOW)
    if plan["nothing_to_do"]:
        return
    folder = f"control/rollups/{plan['rollup_run_id']}/"
    body = lake.clients.s3.get_object(Bucket=lake.settings.lake_bucket, Key=f"{folder}plan.json")["Body"].read()
    (entry,) = json.loads(body)["rollups"]
    count = lake.catalog.load_table(PAYMENTS).scan(snapshot_id=entry["sources"][PAYMENTS]).to_arrow().num_rows
    base, branch = daily_snapshot(lake), f"b_{number}"
    properties = {
        ROLLUP_RUN_ID_PROPERTY: plan["rollup_run_id"],
        JOB_RUN_ID_PROPERTY: "jr_r",
        SOURCES_PROPERTY: sources_text(entry["sources"]),
    }
    replaced = [task.file.file_path for task in lake.catalog.load_table(DAILY).scan().plan_files()]
    row = pa.Table.from_pylist([{"event_date": NOW.date(), "payments": count}], schema=DAILY_ROW)
    staged = lake.replace(DAILY, replaced, row, branch, properties)
    receipt = {
        "rollup_run_id": plan["rollup_run_id"],
        "job_run_id": "jr_r",
        "rollups": [
            {
                "name": entry["name"],
                "table": DAILY,
                "base_snapshot_id": base,
                "staged_snapshot_id": staged,
                "branch": branch,
                "added_records": 1,
                "days": {DAY: 1},
                "error": None,
                "validation": said(is_good),
            }
        ],
    }
    lake.put_lake(f"{folder}receipt-jr_r.json", json.dumps(receipt).encode())
    if is_good:
        published.begun[DAILY].add(count)
    run = {"rollup_run_id": plan["rollup_run_id"], "job_run_id": "jr_r", "now": NOW}
    outcome = publish_rollups(lake.clients, lake.settings, **run)
    assert list(outcome["published"]) == ([DAILY] if is_good else []), outcome
    if is_good:
        published.done[DAILY].add(count)


def daily_snapshot(lake: Lake) -> int:
    """What the rollup shows; the empty table that the job makes, before anything was published."""
    if not lake.catalog.table_exists(DAILY):
        location = f"{lake.settings.warehouse_uri}/rollups.db/payments_daily"
        made = lake.catalog.create_table(DAILY, schema=DAILY_ROW, location=location)
        with made.update_spec() as update:
            update.add_field("event_date", IdentityTransform(), "event_date")
        lake.catalog.load_table(DAILY).append(DAILY_ROW.empty_table())
    snapshot = lake.catalog.load_table(DAILY).current_snapshot()
    assert snapshot is not None
    return snapshot.snapshot_id
