"""A closed day is checked whole and put into few files, without a row more or less."""

from __future__ import annotations

import json
from typing import Any

import pytest

import close_day
from tests.builders import a_uuid
from tests.spark.disk_lake import DiskLake
from tests.spark.test_load_events import PAYMENT, SUITE, a_payment

TODAY = "2026-11-21"


@pytest.fixture
def scattered(lake: DiskLake) -> DiskLake:
    """A lake whose day lies in four files, one row in each."""
    lake.define({"payment/order": PAYMENT}, {"payment": SUITE})
    for number in (4, 2, 3, 1):
        lake.load_and_publish(lake.land([a_payment(number)]))
    return lake


def closed(lake: DiskLake, base: int | None, expected_exit: int = 0) -> dict[str, Any]:
    plan = {
        "day_run_id": "close_day-0123456789-g1",
        "definitions_key": lake.definitions_key,
        "day": TODAY,
        "tables": [{"table": "events.payment_events", "event_type": "payment", "base_snapshot_id": base}],
    }
    (entry,) = lake.run_job(close_day, json.dumps(plan).encode(), [], expected_exit)["tables"]
    return dict(entry)


def test_a_day_is_validated_and_compacted_sorted(scattered: DiskLake) -> None:
    # when
    entry = closed(scattered, scattered.main_of("events.payment_events"))

    # then
    assert (entry["rows"], entry["files_before"], entry["files_after"]) == (4, 4, 1)
    assert entry["validation"]["success"] is True and len(entry["validation"]["results"]) == 2
    assert entry["snapshot_id"] == scattered.main_of("events.payment_events") != entry["base_snapshot_id"]
    rows = scattered.rows("SELECT event_uuid FROM events.payment_events")
    assert [row.event_uuid for row in rows] == [a_uuid(number) for number in (1, 2, 3, 4)]

    # and once more: nothing is left to do
    again = closed(scattered, scattered.main_of("events.payment_events"))
    assert (again["files_before"], again["files_after"], again["snapshot_id"]) == (1, 1, again["base_snapshot_id"])


def test_a_main_that_moved_since_the_plan_is_left_alone(scattered: DiskLake) -> None:
    planned = scattered.main_of("events.payment_events")
    scattered.load_and_publish(scattered.land([a_payment(5)]))
    entry = closed(scattered, planned, expected_exit=1)
    assert "plan the day again" in entry["error"]
    assert len(scattered.rows("SELECT file_path FROM glue_catalog.events.payment_events.files")) == 5
