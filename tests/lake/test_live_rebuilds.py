"""Rebuilds from plan to outcome against live tables: what they read, what they replace, and who they wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from lake_builders import NOW, Lake, Sent
from test_live_books import received, struck
from test_live_loads import planned, published

from eventlake.errors import TerminalError
from eventlake.load_plan import LoadPlan
from eventlake.settings import QUARANTINE_TABLE
from eventlake_aws import lease_store, load_store
from eventlake_aws.control_tables import LOADS, control_table
from eventlake_aws.publish import main_snapshot_id
from eventlake_aws.quarantine_rows import append_quarantine, open_identities
from eventlake_aws.rebuild_requests import ask_for_day, served_by, waiting_days
from eventlake_aws.rebuild_steps import plan_and_store_asked_days, plan_and_store_rebuild
from eventlake_aws.undo_load import undo_load

TABLE, UNCONTRACTED = "events.payment_events", "events.uncontracted"
DAY = "2026-11-21"
ONE, TWO, THREE = (Sent(f"uuid-{number}", 100 + number) for number in (1, 2, 3))


def loaded(lake: Lake, run_id: str, events: Sequence[Sent], table: str = TABLE, **changes: Any) -> str:
    """Lands events and loads them; gives the key of the object."""
    key = lake.land(events, name=run_id)
    _, plan = planned(lake, run_id)
    good = changes.pop("good", events)
    rows = [
        {
            "table": table,
            "event_type": event.event_type,
            "reason": "wrong_type",
            "shard_id": event.shard_id,
            "sequence_number": str(event.sequence_number),
            "raw_object": key,
            "line": number,
            "event_date": event.day,
        }
        for number, event in enumerate(events)
        if event not in good
    ]
    entry = lake.receipt_entry(plan, table, f"jr_{run_id}", good, quarantined=len(rows), **changes)
    lake.write_receipt(plan, f"jr_{run_id}", [entry], quarantine=rows)
    published(lake, plan, f"jr_{run_id}")
    return key


def opened(
    lake: Lake, run_id: str = "r-1", days: Sequence[str] = (DAY,), types: Sequence[str] = (), dry_run: bool = False
) -> dict[str, Any]:
    of_run = {"dag_id": "replay_events", "run_id": run_id, "now": NOW}
    return plan_and_store_rebuild(lake.clients, lake.settings, days=days, types=types, dry_run=dry_run, **of_run)


def plan_of(lake: Lake, answer: dict[str, Any]) -> LoadPlan:
    return load_store.read_plan(lake.clients, lake.settings, answer["load_id"])


def bad(event: Sent, table: str = TABLE) -> dict[str, Any]:
    return {
        "table": table,
        "event_type": event.event_type,
        "reason": "out_of_range",
        "shard_id": event.shard_id,
        "sequence_number": str(event.sequence_number),
        "raw_object": "raw/x.gz",
        "line": 1,
        "event_date": event.day,
    }


def open_numbers(lake: Lake) -> set[str | int]:
    return {place for _, place in open_identities(lake.catalog, lake.settings)}


def test_a_rebuild_replaces_rows_and_settles_the_quarantine(lake: Lake) -> None:
    # given: one row loaded, one in quarantine, one loaded twice by name
    key = loaded(lake, "run-1", [ONE, TWO, THREE], good=[ONE, THREE])
    assert open_numbers(lake) == {"102"}
    # when: a dry run tells and takes nothing
    told = opened(lake, dry_run=True)
    assert (told["tables"], told["days"], told["landings"]) == ({TABLE: 1}, [DAY], 1)
    assert lease_store.read_lease(lake.clients, lake.settings, "type#payment") is None
    assert not load_store.known_loads(lake.clients, lake.settings, "replay_events")
    # when: for real, 2 is good now and 3 is not any more
    answer = opened(lake)
    assert {name: answer[name] for name in ("tables", "days", "landings", "bytes")} == {
        name: told[name] for name in ("tables", "days", "landings", "bytes")
    }
    lease = lease_store.read_lease(lake.clients, lake.settings, "type#payment")
    assert lease is not None and lease.owner == answer["load_id"]
    plan = plan_of(lake, answer)
    entry = lake.rebuild_entry(plan, TABLE, "jr_r", [ONE, TWO], {"added": 1, "removed": 1}, quarantined=1)
    lake.write_receipt(plan, "jr_r", [entry], quarantine=[bad(THREE)])
    assert (lake.rows(TABLE), open_numbers(lake)) == (["uuid-1", "uuid-3"], {"102"})
    outcome = published(lake, plan, "jr_r")
    # then
    assert (lake.rows(TABLE), open_numbers(lake)) == (["uuid-1", "uuid-2"], {"103"})
    assert outcome["diffs"] == {TABLE: {"added": 1, "removed": 1, "changed": 0, "departed": {}, "days": [DAY]}}
    assert (outcome["published"], outcome["days"], outcome["newly_quarantined"]) == (
        {TABLE: 2},
        {TABLE: [DAY]},
        {"out_of_range": 1},
    )
    landing = lake.landing(key)
    assert (landing["status"], landing["rebuilt_by"]) == ("loaded", [plan.load_id])
    assert landing["loaded_by"] != plan.load_id
    row = lake.catalog.load_table(LOADS).scan(row_filter=f"load_id = '{plan.load_id}'").to_arrow().to_pylist()[0]
    assert (row["status"], row["added"], row["removed"], row["changed"]) == ("rebuilt", 1, 1, 0)
    assert lease_store.read_lease(lake.clients, lake.settings, "type#payment") is None
    assert published(lake, plan, "jr_r") == outcome
    # and back: 3 is good again, 2 is bad again, whose row of quarantine was resolved
    plan = plan_of(lake, opened(lake, "r-2"))
    entry = lake.rebuild_entry(plan, TABLE, "jr_s", [ONE, THREE], {"added": 1, "removed": 1}, quarantined=1)
    lake.write_receipt(plan, "jr_s", [entry], quarantine=[bad(TWO)])
    published(lake, plan, "jr_s")
    assert (lake.rows(TABLE), open_numbers(lake)) == (["uuid-1", "uuid-3"], {"102"})
    # and a rebuild that finds all as it should be moves nothing
    main = main_snapshot_id(lake.catalog, TABLE)
    plan = plan_of(lake, opened(lake, "r-3"))
    entry = lake.rebuild_entry(plan, TABLE, "jr_t", [ONE, THREE], {}, quarantined=1)
    lake.write_receipt(plan, "jr_t", [entry], quarantine=[bad(TWO)])
    outcome = published(lake, plan, "jr_t")
    assert (outcome["published"], outcome["empty"]) == ({}, [TABLE])
    assert (main_snapshot_id(lake.catalog, TABLE), open_numbers(lake)) == (main, {"102"})
    with pytest.raises(TerminalError, match="received a rebuild"):
        undo_load(lake.clients, lake.settings, load_id=plan.load_id, dry_run=True, now=NOW)


def test_only_what_was_loaded_is_read_again_and_only_for_the_days_and_types(lake: Lake) -> None:
    # given: of payments one landing loaded, one waiting, one of another day; one late over several days, one lesson
    mine = loaded(lake, "run-1", [ONE])
    loaded(lake, "run-2", [replace(TWO, day="2026-11-19")])
    lesson = loaded(lake, "run-3", [Sent("uuid-9", 900, "lesson", "exercise")], table="events.lesson_events")
    late = lake.land([replace(THREE, day="2026-11-21")], name="late", area="late")
    _, plan = planned(lake, "run-4", areas=("late",))
    entry = lake.receipt_entry(plan, TABLE, "jr_l", [replace(THREE, day="2026-11-02")])
    entry["landings"][0] |= {"first_day": "2026-11-01", "last_day": "2026-11-03"}
    lake.write_receipt(plan, "jr_l", [entry])
    published(lake, plan, "jr_l")
    lake.land([Sent("uuid-5", 105)], name="waits")

    def keys(answer: dict[str, Any]) -> set[str]:
        plan = plan_of(lake, answer)
        for one in plan.tables:
            lease_store.release_lease(lake.clients, lake.settings, f"type#{one.event_type}", plan.load_id)
        return {landing.object_key for landing in plan.landings}

    assert keys(opened(lake, "a")) == {mine, lesson}
    assert keys(opened(lake, "b", types=["payment"])) == {mine}
    assert keys(opened(lake, "c", days=["2026-11-02"])) == {late}
    assert opened(lake, "d", days=["2026-11-09"])["nothing_to_do"]
    with pytest.raises(
        TerminalError, match="received the types quest; valid are those with a contract: lesson, payment"
    ):
        opened(lake, "e", types=["quest"])
    lake.settings = replace(lake.settings, load_ceiling_bytes=1)
    with pytest.raises(TerminalError, match="here up to 2026-11-20; ask for fewer days"):
        opened(lake, "f", days=["2026-11-20", DAY])


def test_a_rebuild_waits_for_its_leases_and_leaves_other_types_alone(lake: Lake) -> None:
    # given: another writer has the payments
    loaded(lake, "run-1", [ONE])
    loaded(lake, "run-2", [Sent("uuid-9", 900, "lesson", "exercise")], table="events.lesson_events")
    lease_store.take_lease(lake.clients, lake.settings, "type#payment", "load-1", NOW)
    # when
    answer = opened(lake)
    # then: nothing is held meanwhile, so lessons are loaded
    assert (answer["leased"], answer["nothing_to_do"]) == (["type#payment"], True)
    assert lease_store.read_lease(lake.clients, lake.settings, "type#lesson") is None
    # and a rebuild of lessons alone does not wait
    assert opened(lake, "r-2", types=["lesson"])["tables"] == {"events.lesson_events": 1}
    lake.land([TWO], name="next")
    lease_store.release_lease(lake.clients, lake.settings, "type#payment", "load-1")
    assert planned(lake, "run-3")[0]["tables"] == 1
    # and a retry goes on with the rebuild that is open
    assert opened(lake, "r-2")["tables"] == {"events.lesson_events": 1}


def test_loads_of_other_types_go_through_while_a_rebuild_is_at_work(lake: Lake) -> None:
    # given: a rebuild of payments that is staged and not published; new payments and lessons
    loaded(lake, "run-1", [ONE])
    plan = plan_of(lake, opened(lake, types=["payment"]))
    entry = lake.rebuild_entry(plan, TABLE, "jr_r", [ONE], {"changed": 1})
    lake.write_receipt(plan, "jr_r", [entry])
    waiting = lake.land([TWO], name="next")
    # when: the hour's load
    loaded(lake, "run-2", [Sent("uuid-9", 900, "lesson", "exercise")], table="events.lesson_events")
    # then: lessons are readable, payments wait for the rebuild and not the other way round
    assert (lake.rows("events.lesson_events"), lake.landing(waiting)["status"]) == (["uuid-9"], "waiting")
    assert published(lake, plan, "jr_r")["stale"] == []
    # and the next hour's load takes them
    _, plan = planned(lake, "run-3")
    lake.write_receipt(plan, "jr_3", [lake.receipt_entry(plan, TABLE, "jr_3", [TWO])])
    assert published(lake, plan, "jr_3")["published"] == {TABLE: 1}
    assert lake.rows(TABLE) == ["uuid-1", "uuid-2"]


def test_the_books_balance_after_rows_have_moved(lake: Lake) -> None:
    # given: a name without a contract, one of its records dropped as a copy; a payment that its contract refuses
    first, second, copy = received(lake, 3, "quest")
    paid, refused = received(lake, 2)
    copy = replace(copy, event_uuid=first.event_uuid)
    dropped = {"table": UNCONTRACTED, "event_uuid": copy.event_uuid, "event_date": copy.day}
    dropped |= {"shard_id": copy.shard_id, "sequence_number": str(copy.sequence_number)}
    lake.land([first, second, copy], name="quests")
    lake.land([paid, refused], name="payments")
    _, plan = planned(lake)
    quests = lake.receipt_entry(plan, UNCONTRACTED, "jr_1", [first, second], duplicate=1)
    payments = lake.receipt_entry(plan, TABLE, "jr_1", [paid], quarantined=1)
    lake.write_receipt(plan, "jr_1", [quests, payments], quarantine=[bad(refused)], duplicates=[dropped])
    published(lake, plan, "jr_1")
    before = struck(lake)
    assert (before["balanced"], before["loaded"], before["quarantined"]) == (True, 3, {"out_of_range": 1})
    # when: the name gets a contract, and the payment is good under its own
    quest_table = "events.quest_events"
    lake.define({"quest/order": {}, "payment/order": {}})
    lake.publish_directly(quest_table, [])

    def rebuilt(run_id: str, quest: dict[str, Any], left: dict[str, Any], paying: dict[str, Any]) -> LoadPlan:
        plan = plan_of(lake, opened(lake, run_id, days=[first.day]))
        of_copy = [dropped | {"table": quest_table}]
        entries = [lake.rebuild_entry(plan, quest_table, f"jr_{run_id}", [first, second], quest, duplicate=1)]
        entries.append(lake.rebuild_entry(plan, TABLE, f"jr_{run_id}", [paid, refused], paying))
        if plan.table(UNCONTRACTED) is not None:
            entries.append(lake.rebuild_entry(plan, UNCONTRACTED, f"jr_{run_id}", [], left))
        lake.write_receipt(plan, f"jr_{run_id}", entries, duplicates=of_copy)
        assert published(lake, plan, f"jr_{run_id}")["held"] == {}
        return plan

    plan = rebuilt("r-1", {"added": 2}, {"departed": {quest_table: 2}}, {"added": 1})
    # then: all rows are in their tables, the quarantine says by whom, and no record is missing or there twice
    assert (lake.rows(UNCONTRACTED), lake.rows(quest_table)) == ([], [first.event_uuid, second.event_uuid])
    (row,) = lake.catalog.load_table(QUARANTINE_TABLE).scan().to_arrow().to_pylist()
    assert (row["sequence_number"], row["resolved_by"]) == (str(refused.sequence_number), plan.load_id)
    after = struck(lake, "books-2")
    assert (after["differences"], after["balanced"], after["quarantined"]) == ([], True, {})
    assert [after[name] for name in ("received", "admitted", "loaded", "load_duplicates")] == [5, 5, 4, 1]
    # and once more: no snapshot moves, and the books say the same
    tables = (UNCONTRACTED, quest_table, TABLE, QUARANTINE_TABLE)
    snapshots = [main_snapshot_id(lake.catalog, table) for table in tables]
    rebuilt("r-2", {}, {}, {})
    assert [main_snapshot_id(lake.catalog, table) for table in tables] == snapshots
    assert struck(lake, "books-3")["balanced"]


def test_a_load_that_publishes_meanwhile_makes_the_rebuild_stale(lake: Lake) -> None:
    # given: a rebuild whose lease ran out
    loaded(lake, "run-1", [ONE])
    plan = plan_of(lake, opened(lake))
    entry = lake.rebuild_entry(plan, TABLE, "jr_r", [], {"removed": 1}, quarantined=1)
    lake.write_receipt(plan, "jr_r", [entry], quarantine=[bad(ONE)])
    lease_store.release_lease(lake.clients, lake.settings, "type#payment", plan.load_id)
    loaded(lake, "run-2", [TWO])
    # when
    outcome = published(lake, plan, "jr_r")
    # then
    assert (outcome["stale"], outcome["published"], outcome["diffs"]) == ([TABLE], {}, {})
    assert (lake.rows(TABLE), open_numbers(lake)) == (["uuid-1", "uuid-2"], set())
    assert list(lake.catalog.load_table(TABLE).metadata.refs) == ["main"]
    # and clearing the plan rebuilds again
    assert opened(lake)["load_id"].endswith("-g2")


def test_a_held_rebuild_leaves_rows_and_quarantine_as_they_are(lake: Lake) -> None:
    # given: a name that moved; its own table is held
    loaded(lake, "run-1", [Sent("uuid-1", 101, "quest", "done")], table=UNCONTRACTED)
    lake.define({"quest/done": {"x-owner": "team-quests"}, "payment/order": {}})
    answer = opened(lake)
    assert answer["tables"] == {"events.quest_events": 1, UNCONTRACTED: 0}
    plan = plan_of(lake, answer)
    failed = {"expectation": "expect_x", "column": None, "severity": "critical", "success": False}
    lake.publish_directly("events.quest_events", [])
    quest = Sent("uuid-1", 101, "quest", "done")
    typed = lake.rebuild_entry(
        plan, "events.quest_events", "jr_r", [quest], {"added": 1}, validation={"success": False, "results": [failed]}
    )
    left = lake.rebuild_entry(plan, UNCONTRACTED, "jr_r", [], {"departed": {"events.quest_events": 1}})
    lake.write_receipt(plan, "jr_r", [typed, left])
    # when
    outcome = published(lake, plan, "jr_r")
    # then: it does not leave before it is taken
    assert outcome["held"]["events.quest_events"] == ["critical: expect_x, failed"]
    assert "belong to events.quest_events, which does not take them" in outcome["held"][UNCONTRACTED][0]
    assert (lake.rows(UNCONTRACTED), lake.rows("events.quest_events")) == (["uuid-1"], [])
    # and when it is taken, it leaves
    plan = plan_of(lake, opened(lake, "r-2"))
    typed = lake.rebuild_entry(plan, "events.quest_events", "jr_s", [quest], {"added": 1})
    left = lake.rebuild_entry(plan, UNCONTRACTED, "jr_s", [], {"departed": {"events.quest_events": 1}})
    lake.write_receipt(plan, "jr_s", [left, typed])
    assert published(lake, plan, "jr_s")["held"] == {}
    assert (lake.rows(UNCONTRACTED), lake.rows("events.quest_events")) == ([], ["uuid-1"])


def test_one_rebuild_serves_all_days_that_wait_for_one(lake: Lake) -> None:
    # given: two runs of a backfill
    other_day = "2026-11-20"
    loaded(lake, "run-1", [ONE])
    loaded(lake, "run-2", [replace(TWO, day=other_day)])
    ask_for_day(lake.clients, lake.settings, "close_day-a", DAY)
    ask_for_day(lake.clients, lake.settings, "close_day-b", other_day)

    def asked(run: str, day: str, ceiling: int = 10**9) -> dict[str, Any]:
        settings = replace(lake.settings, load_ceiling_bytes=ceiling)
        return plan_and_store_asked_days(
            lake.clients, settings, dag_id="close_day.rebuild", run_id=run, request=f"close_day-{run}", day=day, now=NOW
        )

    # when: one has the leases, the other waits
    answer = asked("a", DAY)
    assert (answer["days"], answer["leased"]) == ([other_day, DAY], [])
    assert asked("b", other_day)["leased"] == ["type#payment"]
    assert served_by(lake.clients, lake.settings, "close_day-b") is None
    plan = plan_of(lake, answer)
    lake.write_receipt(plan, "jr_r", [lake.rebuild_entry(plan, TABLE, "jr_r", [ONE, TWO], {})])
    published(lake, plan, "jr_r")
    # then
    assert asked("b", other_day) == {"served_by": plan.load_id, "nothing_to_do": True, "leased": []}
    assert waiting_days(lake.clients, lake.settings) == {}
    # and who asks again is served again; what does not fit waits, but never one's own day
    ask_for_day(lake.clients, lake.settings, "close_day-a", DAY)
    ask_for_day(lake.clients, lake.settings, "close_day-b", other_day)
    assert asked("a", DAY, ceiling=1)["days"] == [DAY]
    # and a day of which nothing was ever loaded is done at once
    ask_for_day(lake.clients, lake.settings, "close_day-c", "2026-10-01")
    lease_store.release_lease(lake.clients, lake.settings, "type#payment", plan_of(lake, asked("a", DAY)).load_id)
    assert asked("c", "2026-10-01", ceiling=1)["nothing_to_do"]
    assert served_by(lake.clients, lake.settings, "close_day-c") is not None


def test_a_control_table_of_before_gets_the_columns_that_are_new(lake: Lake) -> None:
    # given: a table as an older deployment made it
    table = control_table(lake.catalog, lake.settings, LOADS)
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("added").delete_column("removed").delete_column("changed")
    # when
    loaded(lake, "run-1", [ONE])
    # then
    (row,) = lake.catalog.load_table(LOADS).scan().to_arrow().to_pylist()
    assert (row["status"], row["added"]) == ("published", None)


def test_a_load_does_not_quarantine_again_what_was_resolved(lake: Lake) -> None:
    """The line of a row that a table has may come again, under a contract that has grown strict since."""
    loaded(lake, "run-1", [ONE, TWO], good=[ONE])
    plan = plan_of(lake, opened(lake))
    lake.write_receipt(plan, "jr_r", [lake.rebuild_entry(plan, TABLE, "jr_r", [ONE, TWO], {"added": 1})])
    published(lake, plan, "jr_r")
    assert append_quarantine(lake.catalog, lake.settings, [bad(TWO)], "load-9", NOW) == {}
    assert open_numbers(lake) == set()
