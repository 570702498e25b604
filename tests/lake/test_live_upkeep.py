"""Tables kept fit while they are read and written: no row comes or goes, and no writer spoils another."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from lake_builders import ROW, Lake, Sent
from test_live_care import ROLLUP, rolled_up, rollup_dates
from test_live_loads import planned, published

from eventlake.compaction import CompactionPlan
from eventlake.load_plan import branch_name
from eventlake_aws import lease_store
from eventlake_aws.compact_tables import plan_and_store_compaction, publish_compaction
from eventlake_aws.publish import COMPACTION_ID_PROPERTY, JOB_RUN_ID_PROPERTY, main_snapshot_id
from eventlake_aws.tidy_tables import tidy_tables

TABLE = "events.payment_events"
DAY = "2026-11-20"
# snapshots and objects bear the time of the machine: the tests move what they call now
NOW = datetime.now(UTC)
NEXT_DAY = datetime(2026, 11, 21, 0, 30, tzinfo=UTC)
EVENTS = [Sent(f"uuid-{number}", 100 + number, day=DAY) for number in range(10)]


def scatter(lake: Lake) -> None:
    """A past day in as many files as it has events, and one event of today."""
    lake.publish_directly(TABLE, [Sent("uuid-today", 900)])
    lake.publish_in_files(TABLE, EVENTS)


def files(lake: Lake) -> list[str]:
    return [task.file.file_path for task in lake.catalog.load_table(TABLE).scan().plan_files()]


def plan_compaction(lake: Lake, run_id: str = "run-1", dry_run: bool = False) -> dict[str, Any]:
    return plan_and_store_compaction(
        lake.clients, lake.settings, dag_id="close_day", run_id=run_id, dry_run=dry_run, now=NEXT_DAY
    )


def staged_compaction(lake: Lake, answer: dict[str, Any], job_run_id: str = "jr_c", lost_rows: int = 0) -> None:
    """What the job leaves: the day in one file on a branch, and its receipt."""
    key = answer["plan_uri"].split("/", 3)[3]
    body = lake.clients.s3.get_object(Bucket=lake.settings.lake_bucket, Key=key)["Body"].read()
    (entry,) = CompactionPlan.from_json(body).entries
    branch = branch_name(answer["compaction_id"], job_run_id)
    rows = lake.catalog.load_table(TABLE).scan(row_filter=f"event_date = '{DAY}'").to_arrow().cast(ROW)
    old = [path for path in files(lake) if f"event_date={DAY}" in path]
    said = {COMPACTION_ID_PROPERTY: answer["compaction_id"], JOB_RUN_ID_PROPERTY: job_run_id}
    staged = lake.replace(TABLE, old, rows.slice(lost_rows), branch, said)
    table = {
        "table": TABLE,
        "base_snapshot_id": entry.base_snapshot_id,
        "staged_snapshot_id": staged,
        "branch": branch,
        "files_added": 1,
        "error": None,
    }
    receipt = {"compaction_id": answer["compaction_id"], "job_run_id": job_run_id, "tables": [table]}
    prefix = answer["receipt_prefix"].split("/", 3)[3]
    lake.put_lake(f"{prefix}receipt-{job_run_id}.json", json.dumps(receipt).encode())


def publish(lake: Lake, answer: dict[str, Any], job_run_id: str = "jr_c") -> dict[str, Any]:
    return publish_compaction(
        lake.clients, lake.settings, compaction_id=answer["compaction_id"], job_run_id=job_run_id, now=NEXT_DAY
    )


def test_a_scattered_day_is_planned_under_its_lease_and_published_whole(lake: Lake) -> None:
    # given
    scatter(lake)
    rows = lake.rows(TABLE)
    # when: a dry run tells and takes nothing
    told = plan_compaction(lake, dry_run=True)
    assert [(entry["table"], list(entry["days"]), entry["files"]) for entry in told["entries"]] == [(TABLE, [DAY], 10)]
    assert lease_store.read_lease(lake.clients, lake.settings, "type#payment") is None
    # when: the same for real
    answer = plan_compaction(lake)
    assert answer["entries"] == told["entries"]
    assert plan_compaction(lake)["compaction_id"] == answer["compaction_id"], "a retry adopts"
    lease = lease_store.read_lease(lake.clients, lake.settings, "type#payment")
    assert lease is not None and lease.owner == answer["compaction_id"]
    staged_compaction(lake, answer)
    assert len(files(lake)) == 11
    outcome = publish(lake, answer)
    # then
    assert outcome["compacted"] == {TABLE: {"files_before": 10, "files_after": 1}}
    assert (len(files(lake)), lake.rows(TABLE)) == (2, rows)
    assert lease_store.read_lease(lake.clients, lake.settings, "type#payment") is None
    assert publish(lake, answer) == outcome
    assert plan_compaction(lake, "run-2")["nothing_to_do"]


def test_a_compaction_that_loses_a_row_is_never_seen(lake: Lake) -> None:
    scatter(lake)
    rows, answer = lake.rows(TABLE), plan_compaction(lake)
    staged_compaction(lake, answer, lost_rows=1)
    outcome = publish(lake, answer)
    assert outcome["failed"] == {TABLE: "the snapshot added 9 records, the receipt says 10"}
    assert lake.rows(TABLE) == rows
    assert list(lake.catalog.load_table(TABLE).metadata.refs) == ["main"]


def test_a_load_and_a_compaction_never_spoil_each_other(lake: Lake) -> None:
    # given: both staged on the same main
    scatter(lake)
    rows = lake.rows(TABLE)
    answer = plan_compaction(lake)
    staged_compaction(lake, answer)
    late = Sent("uuid-late", 950, day=DAY)
    lake.land([late])
    # the lease of the compaction ran out, or the load would have waited
    lease_store.release_lease(lake.clients, lake.settings, "type#payment", answer["compaction_id"])
    _, load = planned(lake)
    lake.write_receipt(load, "jr_1", [lake.receipt_entry(load, TABLE, "jr_1", [late])])
    # when: the load is faster
    assert published(lake, load)["published"] == {TABLE: 1}
    # then: the compaction is stale, leaves nothing behind, and the next run plans it again
    assert publish(lake, answer)["stale"] == [TABLE]
    assert lake.rows(TABLE) == sorted([*rows, "uuid-late"])
    assert list(lake.catalog.load_table(TABLE).metadata.refs) == ["main"]
    # and the other way round: the compaction is faster, the load's landings wait for its next run
    again = plan_compaction(lake, "run-2")
    staged_compaction(lake, again, "jr_d")
    lease_store.release_lease(lake.clients, lake.settings, "type#payment", again["compaction_id"])
    key = lake.land([Sent("uuid-later", 951, day=DAY)], name="later")
    _, load = planned(lake, "run-2")
    lake.write_receipt(load, "jr_2", [lake.receipt_entry(load, TABLE, "jr_2", [Sent("uuid-later", 951, day=DAY)])])
    assert publish(lake, again, "jr_d")["compacted"]
    assert (published(lake, load, "jr_2")["stale"], lake.landing(key)["status"]) == ([TABLE], "waiting")
    assert lake.rows(TABLE) == sorted([*rows, "uuid-late"])


def test_a_table_that_is_leased_elsewhere_is_left_for_the_next_day(lake: Lake) -> None:
    scatter(lake)
    lease_store.take_lease(lake.clients, lake.settings, "type#payment", "load-1", NEXT_DAY)
    answer = plan_compaction(lake)
    assert (answer["nothing_to_do"], answer["leased_elsewhere"]) == (True, [TABLE])
    assert tidied(lake, days=9)["leased_elsewhere"] == [TABLE]


def test_a_rollup_is_not_made_again_for_a_compaction(lake: Lake) -> None:
    # given: a rollup that has seen the scattered day
    lake.define({}, {"payments_daily": ROLLUP})
    scatter(lake)
    rolled_up(lake, rollup_dates(lake, "run-1")[0])
    answer = plan_compaction(lake)
    staged_compaction(lake, answer)
    publish(lake, answer)
    # then: not by the compaction, and not when what it has seen grows old
    assert rollup_dates(lake, "run-2")[1] == []
    assert tidied(lake, days=9)["snapshots"] > 0
    assert rollup_dates(lake, "run-3")[1] == []
    # but by rows that come later, for their day and the one that was written again
    lake.publish_directly(TABLE, [Sent("uuid-new", 990, day="2026-11-19")])
    assert rollup_dates(lake, "run-4")[1] == ["2026-11-19", DAY]


def tidied(lake: Lake, days: float, dry_run: bool = False) -> dict[str, Any]:
    """Tidies as if so many days had gone by; leases that the tests took belong to that time, too."""
    later = NOW + timedelta(days=days)
    for lease in ("type#payment",):
        held = lease_store.read_lease(lake.clients, lake.settings, lease)
        if held is not None:
            lease_store.take_lease(lake.clients, lake.settings, lease, held.owner, later)
    return tidy_tables(lake.clients, lake.settings, owner="tidy-1", dry_run=dry_run, now=later)


def keys(lake: Lake, prefix: str) -> set[str]:
    pages = lake.clients.s3.get_paginator("list_objects_v2").paginate(Bucket=lake.settings.lake_bucket, Prefix=prefix)
    return {entry["Key"] for page in pages for entry in page.get("Contents", [])}


def test_a_table_forgets_what_nobody_needs_and_readers_see_the_same(lake: Lake) -> None:
    # given: a scattered history, then compacted; a held load; a file that a dead job left
    scatter(lake)
    rows = lake.rows(TABLE)
    answer = plan_compaction(lake)
    staged_compaction(lake, answer)
    publish(lake, answer)
    lake.land([Sent("uuid-bad", 960, day=DAY)])
    _, load = planned(lake)
    failed = {"expectation": "expect_x", "column": None, "severity": "critical", "success": False}
    entry = lake.receipt_entry(
        load, TABLE, "jr_1", [Sent("uuid-bad", 960, day=DAY)], validation={"success": False, "results": [failed]}
    )
    lake.write_receipt(load, "jr_1", [entry])
    assert published(lake, load)["held"]
    table = lake.catalog.load_table(TABLE)
    folder = table.location().split("/", 3)[3] + "/"
    lake.put_lake(f"{folder}data/event_date={DAY}/left-behind.parquet", b"x" * 100)
    before = keys(lake, folder)

    # when: within the safe age and the window, nothing
    assert tidied(lake, days=2.9)["files"] == tidied(lake, days=2.9)["snapshots"] == 0
    # then only the file that nothing names
    assert tidied(lake, days=4) | {"tables": {}} == {
        "dry_run": False, "tables": {}, "branches": 0, "snapshots": 0, "files": 1, "bytes": 100, "leased_elsewhere": [],
    }  # fmt: skip
    assert before - keys(lake, folder) == {f"{folder}data/event_date={DAY}/left-behind.parquet"}

    # and after the window all but what main shows and what is held
    main = main_snapshot_id(lake.catalog, TABLE)
    told = tidied(lake, days=8, dry_run=True)
    assert len(lake.catalog.load_table(TABLE).metadata.snapshots) == 4
    done = tidied(lake, days=8)
    assert told["tables"] == done["tables"]
    kept = lake.catalog.load_table(TABLE).metadata
    assert {snapshot.snapshot_id for snapshot in kept.snapshots} == {main, entry["staged_snapshot_id"]}
    assert entry["branch"] in kept.refs
    assert lake.rows(TABLE) == rows
    assert len(lake.catalog.load_table(TABLE).scan(snapshot_id=entry["staged_snapshot_id"]).to_arrow()) == len(rows) + 1
    # the ten small files at the least, which no reader of today sees
    assert done["files"] >= len(done["tables"][TABLE]["files"]) > 10
    assert keys(lake, folder).isdisjoint(done["tables"][TABLE]["files"])
    assert lease_store.read_lease(lake.clients, lake.settings, "type#payment") is None
    # and again: nothing is left to forget
    assert (tidied(lake, days=8)["snapshots"], tidied(lake, days=8)["files"]) == (0, 0)
    # and the table is written as before
    lake.publish_directly(TABLE, [Sent("uuid-after", 970)])
    assert lake.rows(TABLE) == sorted([*rows, "uuid-after"])


def test_a_branch_of_a_load_that_let_go_is_dropped(lake: Lake) -> None:
    # given: an orphaned job staged after its load had ended; somebody's own branch
    lake.land([EVENTS[0]])
    _, load = planned(lake)
    lake.write_receipt(load, "jr_1", [lake.receipt_entry(load, TABLE, "jr_1", [EVENTS[0]])])
    published(lake, load)
    lake.stage(TABLE, [EVENTS[1]], load.load_id, "jr_orphan", branch="load_orphan")
    table = lake.catalog.load_table(TABLE)
    current = table.current_snapshot()
    assert current is not None
    table.manage_snapshots().create_branch(current.snapshot_id, "somebodys").commit()
    # when
    assert tidied(lake, days=2)["branches"] == 0
    assert tidied(lake, days=4)["tables"][TABLE]["branches"] == ["load_orphan"]
    # then
    assert sorted(lake.catalog.load_table(TABLE).metadata.refs) == ["main", "somebodys"]
