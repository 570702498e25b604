"""A compacted day holds the rows it held, in few sorted files, and nobody sees it before it is published."""

from __future__ import annotations

import copy
import itertools
import json
from collections import Counter
from typing import Any

import pytest

import compact_tables
from disk_lake.lake import DiskLake
from eventlake.compaction import CompactionEntry, CompactionPlan, parse_compaction_receipt
from eventlake_spark import compaction
from tests.builders import a_uuid
from tests.spark.test_load_events import PAYMENT, a_payment

TABLE = "events.payment_events"
DAY, DAY_BEFORE = "2026-11-21", "2026-11-20"
NOON, DAY_SECONDS = 1_795_248_000, 86_400


def compacted(
    lake: DiskLake,
    days: tuple[str, ...],
    rows: int,
    files_needed: int = 1,
    cut_days: tuple[str, ...] = (),
    base: int | None = None,
    exit_code: int = 0,
) -> dict[str, Any]:
    entry = CompactionEntry(TABLE, base or lake.main_of(TABLE) or 0, days, cut_days, rows, 9, 3, files_needed)
    plan = CompactionPlan("close_day-0123456789-g1", "now", (entry,))
    return lake.run_job(compact_tables.main, plan.to_json(), [], exit_code)


def files_in_order(lake: DiskLake) -> Counter[str]:
    """How many files each day has; of one day none overlaps another."""
    bounds = lake.rows(
        f"SELECT event_date day, min(event_uuid) low, max(event_uuid) high FROM {TABLE}"
        " GROUP BY event_date, input_file_name() ORDER BY 1, 2"
    )
    assert all(lower.high < upper.low for lower, upper in itertools.pairwise(bounds) if lower.day == upper.day)
    return Counter(str(row.day) for row in bounds)


def test_a_compacted_day_holds_the_same_rows_in_one_sorted_file(lake: DiskLake) -> None:
    # given: two days in three files, the last of which came when the contract had grown
    lake.define({"payment/order": PAYMENT})
    yesterday = [a_payment(number, created_at=NOON - DAY_SECONDS) for number in range(10, 30)]
    lake.load_and_publish(lake.land([a_payment(4, items=[{"sku": "x"}]), a_payment(2), *yesterday]))
    grown = copy.deepcopy(PAYMENT)
    grown["properties"]["colour"] = {"type": "string"}
    grown["properties"]["items"]["items"]["properties"]["size"] = {"type": "integer"}
    lake.define({"payment/order": grown})
    lake.load_and_publish(lake.land([a_payment(3, colour="red", items=[{"size": 4}]), a_payment(1)]))
    everything = f"SELECT * FROM {TABLE} ORDER BY event_uuid"
    before, main = lake.rows(everything), lake.main_of(TABLE)

    # when
    receipt = compacted(lake, (DAY,), rows=4)

    # then: staged, not seen
    (table,) = parse_compaction_receipt(json.dumps(receipt)).tables
    assert (table.error, table.files_added, lake.main_of(TABLE)) == (None, 1, main)
    lake.publish(receipt)
    assert lake.rows(everything) == before
    in_file_order = lake.rows(f"SELECT event_uuid FROM {TABLE} WHERE event_date = '{DAY}'")
    assert [row.event_uuid for row in in_file_order] == [a_uuid(number) for number in (1, 2, 3, 4)]
    assert [row.n for row in lake.rows(f"SELECT record_count n FROM {TABLE}.files ORDER BY 1")] == [4, 20]
    (made,) = lake.rows(f"SELECT summary s FROM {TABLE}.snapshots WHERE snapshot_id = {table.staged_snapshot_id}")
    told = {name: made.s[name] for name in ("added-records", "deleted-records", "eventlake.compaction_id")}
    assert told == {"added-records": "4", "deleted-records": "4", "eventlake.compaction_id": "close_day-0123456789-g1"}

    # and a main that moved since the plan is left alone
    moved = compacted(lake, (DAY,), rows=4, base=main, exit_code=1)
    assert "the next run plans it again" in moved["tables"][0]["error"]


def test_only_a_day_that_needs_several_files_is_cut_and_in_the_order_of_the_table(lake: DiskLake) -> None:
    # given: four rows of a day, and twenty of each of the two before it
    lake.define({"payment/order": PAYMENT})
    earlier = [
        a_payment(day * 100 + number, created_at=NOON - day * DAY_SECONDS) for day in (1, 2) for number in range(20)
    ]
    lake.load_and_publish(lake.land([*earlier, *(a_payment(number) for number in range(4))]))
    everything = f"SELECT * FROM {TABLE} ORDER BY event_uuid"
    before = lake.rows(everything)
    days = (DAY, DAY_BEFORE, "2026-11-19")

    # when: each of them fits in one file
    lake.publish(compacted(lake, days, rows=44, files_needed=3))

    # then: no file more than that, however the rows are spread over the days
    assert [row.n for row in lake.rows(f"SELECT record_count n FROM {TABLE}.files ORDER BY 1")] == [4, 20, 20]

    # and when: one of them needs several
    lake.publish(compacted(lake, days, rows=44, files_needed=6, cut_days=(DAY_BEFORE,)))

    # then
    assert lake.rows(everything) == before
    files = files_in_order(lake)
    assert (files[DAY], files["2026-11-19"]) == (1, 1)
    assert files[DAY_BEFORE] >= 3

    # and when: the plan names no days, as of a table that has none
    lake.publish(compacted(lake, (), rows=44, files_needed=6))

    # then: any of them may be cut
    assert lake.rows(everything) == before
    assert min(files_in_order(lake)[day] for day in (DAY_BEFORE, "2026-11-19")) >= 2


def test_rows_that_change_on_the_way_are_seen(lake: DiskLake, monkeypatch: pytest.MonkeyPatch) -> None:
    # given: a writer that changes a value
    lake.define({"payment/order": PAYMENT})
    lake.load_and_publish(lake.land([a_payment(1)]))
    lay_out = compaction._laid_out
    monkeypatch.setattr(compaction, "_laid_out", lambda rows, entry: lay_out(rows.replace("o-1", "o-7"), entry))

    # when
    receipt = compacted(lake, (DAY,), rows=1, exit_code=1)

    # then
    assert "valid is the same twice" in receipt["tables"][0]["error"]
    assert receipt["tables"][0]["staged_snapshot_id"] is None
