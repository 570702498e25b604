"""Loads from plan to outcome against live tables: published once, stale refused, orphans refused, undone, retried."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from lake_builders import NOW, Lake, Sent

from eventlake.errors import TerminalError
from eventlake.leases import LeaseAnswer
from eventlake.load_plan import LoadPlan
from eventlake_aws import lease_store, load_store
from eventlake_aws.control_tables import LOADS, VALIDATIONS
from eventlake_aws.load_steps import abandon_load, plan_and_store_load
from eventlake_aws.publish import Published, Stale, main_snapshot_id, move_main
from eventlake_aws.publish_load import publish_load
from eventlake_aws.release_steps import held_landings
from eventlake_aws.undo_load import undo_load
from eventlake_spark.objects import S3ObjectStore

TABLE = "events.payment_events"
FIRST, SECOND, THIRD = (Sent(f"uuid-{number}", 100 + number) for number in range(3))


def planned(lake: Lake, run_id: str = "run-1", areas: tuple[str, ...] = ("raw",)) -> tuple[dict[str, Any], LoadPlan]:
    answer = plan_and_store_load(lake.clients, lake.settings, dag_id="load_events", run_id=run_id, areas=areas, now=NOW)
    return answer, load_store.read_plan(lake.clients, lake.settings, answer["load_id"])


def published(lake: Lake, plan: LoadPlan, job_run_id: str = "jr_1") -> dict[str, Any]:
    return publish_load(lake.clients, lake.settings, load_id=plan.load_id, job_run_id=job_run_id, now=NOW)


def test_a_load_is_seen_only_after_publishing(lake: Lake) -> None:
    # given
    key = lake.land([FIRST, SECOND])
    answer, plan = planned(lake)
    assert (answer["tables"], answer["landings"], answer["nothing_to_do"]) == (1, 1, False)
    expectation = {"expectation": "expect_x", "column": "net", "severity": "medium", "success": False}
    entry = lake.receipt_entry(
        plan, TABLE, "jr_1", [FIRST, SECOND], validation={"success": False, "results": [expectation]}
    )
    lake.write_receipt(plan, "jr_1", [entry])
    assert lake.rows(TABLE) == []
    # when
    outcome = published(lake, plan)
    # then
    assert lake.rows(TABLE) == ["uuid-0", "uuid-1"]
    assert (outcome["published"], outcome["held"], outcome["days"]) == ({TABLE: 2}, {}, {TABLE: ["2026-11-21"]})
    assert outcome["warnings"] == {TABLE: ["medium: expect_x(net), failed"]}
    landing = lake.landing(key)
    assert (landing["status"], landing["loaded_by"], landing["lines"]) == ("loaded", plan.load_id, "2")
    assert "waiting_slot" not in landing
    assert list(lake.catalog.load_table(TABLE).metadata.refs) == ["main"]
    assert lease_store.read_lease(lake.clients, lake.settings, "type#payment") is None
    # and again: nothing more
    assert published(lake, plan) == outcome
    assert lake.catalog.load_table(LOADS).scan().to_arrow().num_rows == 1
    assert lake.catalog.load_table(VALIDATIONS).scan().to_arrow().num_rows == 1
    again = plan_and_store_load(
        lake.clients, lake.settings, dag_id="load_events", run_id="run-2", areas=["raw"], now=NOW
    )
    assert again["nothing_to_do"]


def test_a_crash_after_publishing_is_finished_by_the_next_try(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    # given: main moved, then the worker died before the landings were marked
    key = lake.land([FIRST])
    _, plan = planned(lake)
    lake.write_receipt(plan, "jr_1", [lake.receipt_entry(plan, TABLE, "jr_1", [FIRST])])
    with monkeypatch.context() as patch:
        patch.setattr("eventlake_aws.landing_list.mark_loaded", dies)
        with pytest.raises(KeyboardInterrupt):
            published(lake, plan)
    assert (lake.rows(TABLE), lake.landing(key)["status"]) == (["uuid-0"], "waiting")
    # when
    outcome = published(lake, plan)
    # then
    assert outcome["published"] == {TABLE: 1}
    assert (lake.rows(TABLE), lake.landing(key)["status"]) == (["uuid-0"], "loaded")


def dies(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_stale_load_is_refused_and_its_landings_wait(lake: Lake) -> None:
    # given: somebody published between staging and publishing
    lake.publish_directly(TABLE, [THIRD])
    key = lake.land([FIRST])
    _, plan = planned(lake)
    entry = lake.receipt_entry(plan, TABLE, "jr_1", [FIRST])
    lake.write_receipt(plan, "jr_1", [entry])
    lake.publish_directly(TABLE, [SECOND])
    # when
    outcome = published(lake, plan)
    # then
    assert (outcome["stale"], outcome["published"]) == ([TABLE], {})
    assert lake.rows(TABLE) == ["uuid-1", "uuid-2"]
    assert lake.landing(key)["status"] == "waiting"
    assert list(lake.catalog.load_table(TABLE).metadata.refs) == ["main"]
    # and the next run takes them
    _, next_plan = planned(lake, "run-2")
    lake.write_receipt(next_plan, "jr_2", [lake.receipt_entry(next_plan, TABLE, "jr_2", [FIRST])])
    assert published(lake, next_plan, "jr_2")["published"] == {TABLE: 1}
    assert lake.rows(TABLE) == ["uuid-0", "uuid-1", "uuid-2"]


def test_an_orphans_receipt_is_refused(lake: Lake) -> None:
    lake.land([FIRST])
    _, plan = planned(lake)
    entry = lake.receipt_entry(plan, TABLE, "jr_orphan", [FIRST])
    # an orphan's work under the awaited run's name
    lake.write_receipt(plan, "jr_1", [entry])
    outcome = published(lake, plan)
    assert list(outcome["held"]) == [TABLE]
    assert "jr_orphan" in outcome["held"][TABLE][0]
    assert lake.rows(TABLE) == []


def test_no_receipt_is_no_success(lake: Lake) -> None:
    lake.land([FIRST])
    _, plan = planned(lake)
    lake.write_receipt(plan, "jr_orphan", [lake.receipt_entry(plan, TABLE, "jr_orphan", [FIRST])])
    with pytest.raises(TerminalError, match="no receipt of job run jr_1"):
        published(lake, plan, "jr_1")


def test_two_appends_to_one_branch_are_refused(lake: Lake) -> None:
    # given: the snapshot's parent is another append to the same branch, not the base
    lake.land([FIRST])
    _, plan = planned(lake)
    lake.stage(TABLE, [FIRST], plan.load_id, "jr_1")
    entry = lake.receipt_entry(plan, TABLE, "jr_1", [FIRST])
    lake.write_receipt(plan, "jr_1", [entry])
    outcome = published(lake, plan)
    assert "is not the base" in outcome["held"][TABLE][0]
    assert lake.rows(TABLE) == []


def test_more_rows_than_the_receipt_says_are_refused(lake: Lake) -> None:
    lake.land([FIRST])
    _, plan = planned(lake)
    entry = lake.receipt_entry(plan, TABLE, "jr_1", [FIRST, SECOND])
    entry["counts"] |= {"lines": 1, "loaded": 1}
    entry["landings"][0]["lines"] = 1
    lake.write_receipt(plan, "jr_1", [entry])
    assert "added 2 records, the receipt says 1" in published(lake, plan)["held"][TABLE][0]


def test_a_held_load_is_kept(lake: Lake) -> None:
    # given
    key = lake.land([FIRST])
    _, plan = planned(lake)
    failed = {"expectation": "expect_x", "column": None, "severity": "critical", "success": False}
    entry = lake.receipt_entry(plan, TABLE, "jr_1", [FIRST], validation={"success": False, "results": [failed]})
    lake.write_receipt(plan, "jr_1", [entry])
    # when
    outcome = published(lake, plan)
    # then
    assert outcome["held"] == {TABLE: ["critical: expect_x, failed"]}
    assert (lake.rows(TABLE), lake.landing(key)["status"], lake.landing(key)["held_by"]) == ([], "held", plan.load_id)
    assert entry["branch"] in lake.catalog.load_table(TABLE).metadata.refs
    # and no other load takes it
    assert planned_landings(lake, "run-2") == 0


def test_the_history_says_why_a_suite_gave_no_answer(lake: Lake) -> None:
    lake.land([FIRST])
    _, plan = planned(lake)
    unanswered = {"success": None, "results": [], "note": "the type has no suite"}
    lake.write_receipt(plan, "jr_1", [lake.receipt_entry(plan, TABLE, "jr_1", [FIRST], validation=unanswered)])
    assert published(lake, plan)["held"] == {TABLE: ["no validation result: the type has no suite"]}
    [row] = lake.catalog.load_table(VALIDATIONS).scan().to_arrow().to_pylist()
    assert (row["expectation"], row["success"], row["detail"]) == ("the suite", None, "the type has no suite")


def test_a_table_that_the_job_could_not_judge_is_taken_by_the_next_load(lake: Lake) -> None:
    # given: the job broke on payments, after it had staged something or before
    key = lake.land([FIRST])
    _, plan = planned(lake)
    lake.write_receipt(plan, "jr_1", [lake.receipt_entry(plan, TABLE, "jr_1", [FIRST], error="out of memory")])
    # when
    outcome = published(lake, plan)
    # then: nobody has to release anything
    assert (outcome["failed"], outcome["held"]) == ({TABLE: ["error: out of memory"]}, {})
    assert (lake.rows(TABLE), lake.landing(key)["status"]) == ([], "waiting")
    assert planned(lake, "run-2")[0]["landings"] == 1


def test_one_writer_a_type(lake: Lake) -> None:
    # given: another load holds the lease of payments
    lake.land([FIRST])
    lesson = Sent("uuid-9", 900, "lesson", "exercise")
    lake.land([lesson])
    lease_store.take_lease(lake.clients, lake.settings, "type#payment", "rebuild-1", NOW)
    # when
    answer, plan = planned(lake)
    # then
    assert [table.table for table in plan.tables] == ["events.lesson_events"]
    assert (answer["leased_types"], answer["left_waiting"]) == ([TABLE], 1)
    lease = lease_store.read_lease(lake.clients, lake.settings, "type#payment")
    assert lease is not None
    assert lease.owner == "rebuild-1"


def test_who_needs_all_waits_for_the_writer_of_one_table(lake: Lake) -> None:
    # given: as above
    lake.land([FIRST])
    lake.land([Sent("uuid-9", 900, "lesson", "exercise")])
    lease_store.take_lease(lake.clients, lake.settings, "type#payment", "rebuild-1", NOW)
    of_run = {"dag_id": "close_day", "run_id": "run-1", "areas": ["raw"], "now": NOW, "needs_all": True}
    # when: nothing is planned, and nobody else is kept from the lessons meanwhile
    answer = plan_and_store_load(lake.clients, lake.settings, **of_run)
    assert answer == {"nothing_to_do": True, "leased": ["type#payment"]}
    assert lease_store.read_lease(lake.clients, lake.settings, "type#lesson") is None
    # then
    lease_store.release_lease(lake.clients, lake.settings, "type#payment", "rebuild-1")
    answer = plan_and_store_load(lake.clients, lake.settings, **of_run)
    assert (answer["leased"], answer["landings"]) == ([], 2)


def test_a_retry_adopts_the_open_load_and_clearing_opens_the_next(lake: Lake) -> None:
    lake.land([FIRST])
    first, plan = planned(lake)
    again, same = planned(lake)
    assert (again["load_id"], again["adopted"], same) == (first["load_id"], True, plan)
    lake.write_receipt(plan, "jr_1", [lake.receipt_entry(plan, TABLE, "jr_1", [FIRST])])
    published(lake, plan)
    lake.land([SECOND], name="b")
    cleared, _ = planned(lake)
    assert cleared["load_id"] == first["load_id"].removesuffix("1") + "2"


def test_leases(lake: Lake) -> None:
    take = lease_store.take_lease
    assert take(lake.clients, lake.settings, "type#a", "one", NOW) is LeaseAnswer.TAKEN
    assert take(lake.clients, lake.settings, "type#a", "one", NOW) is LeaseAnswer.RENEWED
    assert take(lake.clients, lake.settings, "type#a", "two", NOW) is LeaseAnswer.REFUSED
    assert take(lake.clients, lake.settings, "type#a", "two", NOW.replace(hour=12)) is LeaseAnswer.TAKEN
    assert not lease_store.release_lease(lake.clients, lake.settings, "type#a", "one")
    assert lease_store.release_lease(lake.clients, lake.settings, "type#a", "two")


def test_of_many_who_want_the_same_leases_at_once_one_gets_all_and_the_others_none(lake: Lake) -> None:
    """As the runs of a backfill do when a writer gives its leases back: if all of them could be refused, they would
    wake each other in vain."""
    names = [f"type#{letter}" for letter in "abcdefgh"]
    owners = [f"close_day-{number}" for number in range(6)]
    start = Barrier(len(owners))

    def ask(owner: str) -> bool:
        start.wait()
        return not lease_store.take_all_or_none(lake.clients, lake.settings, reversed(names), owner, NOW)

    with ThreadPoolExecutor(len(owners)) as pool:
        for _ in range(10):
            got = dict(zip(owners, pool.map(ask, owners), strict=True))
            held = {name: lease_store.read_lease(lake.clients, lake.settings, name) for name in names}
            holders = {lease.owner for lease in held.values() if lease is not None}
            assert holders == {owner for owner, has_all in got.items() if has_all}, held
            (winner,) = holders
            # and who comes later is told of all that it has to wait for
            assert lease_store.take_all_or_none(lake.clients, lake.settings, names, "later", NOW) == names
            for name in names:
                lease_store.release_lease(lake.clients, lake.settings, name, winner)


def test_abandoning_frees_the_leases(lake: Lake) -> None:
    lake.land([FIRST])
    _, plan = planned(lake)
    assert abandon_load(lake.clients, lake.settings, load_id=plan.load_id) == {"released": ["type#payment"]}
    assert planned(lake, "run-2")[0]["landings"] == 1


def test_main_moves_back_only_from_what_was_seen(lake: Lake) -> None:
    lake.publish_directly(TABLE, [FIRST])
    before = main_snapshot_id(lake.catalog, TABLE)
    lake.publish_directly(TABLE, [SECOND])
    after = main_snapshot_id(lake.catalog, TABLE)
    assert before is not None
    assert isinstance(move_main(lake.catalog, TABLE, before, before), Stale)
    assert isinstance(move_main(lake.catalog, TABLE, after, before), Published)
    assert lake.rows(TABLE) == ["uuid-0"]


def test_an_undone_load_comes_back_only_when_released(lake: Lake) -> None:
    # given: three loads
    plans = []
    for number, event in enumerate((FIRST, SECOND, THIRD), start=1):
        lake.land([event], name=f"n{number}")
        _, plan = planned(lake, f"run-{number}")
        lake.write_receipt(plan, f"jr_{number}", [lake.receipt_entry(plan, TABLE, f"jr_{number}", [event])])
        published(lake, plan, f"jr_{number}")
        plans.append(plan)
    oldest, _, newest = plans

    def undone(plan: LoadPlan, dry_run: bool) -> tuple[str, int]:
        answer = undo_load(lake.clients, lake.settings, load_id=plan.load_id, dry_run=dry_run, now=NOW)
        return answer["tables"][TABLE]["how"], answer["landings"]

    # when: dry runs change nothing; the newest goes by moving main, the oldest by its rows
    assert (undone(newest, True), undone(oldest, True)) == (("move_main", 1), ("delete_rows", 1))
    assert lake.rows(TABLE) == ["uuid-0", "uuid-1", "uuid-2"]
    assert undone(newest, False) == ("move_main", 1)
    assert lake.rows(TABLE) == ["uuid-0", "uuid-1"]
    assert undone(oldest, False) == ("delete_rows", 1)
    assert undone(oldest, False) == ("nothing", 0)
    # then
    assert lake.rows(TABLE) == ["uuid-1"]
    key = oldest.landings[0].object_key
    assert (lake.landing(key)["status"], lake.landing(key)["held_by"]) == ("held", oldest.load_id)
    assert planned_landings(lake, "run-4") == 0
    held = held_landings(lake.clients, lake.settings, oldest.load_id, ())
    assert [landing.object_key for landing in held] == [key]


def test_a_load_whose_plan_is_gone_says_so_and_what_to_do(lake: Lake) -> None:
    """Airflow may remember a load of which the stores know nothing any more: they went back, and it did not."""
    lake.land([FIRST])
    answer, plan = planned(lake)
    lake.clients.s3.delete_object(Bucket=lake.settings.lake_bucket, Key=answer["plan_uri"].split("/", 3)[3])
    with pytest.raises(TerminalError, match=r"received no s3://.*plan\.json.*clear the task that plans"):
        published(lake, plan)
    with pytest.raises(TerminalError, match=r"reading s3://.*plan\.json.*clear the task of the run that plans"):
        S3ObjectStore(lake.clients.s3).read(answer["plan_uri"])


def planned_landings(lake: Lake, run_id: str) -> int:
    answer = plan_and_store_load(
        lake.clients, lake.settings, dag_id="load_events", run_id=run_id, areas=["raw"], now=NOW
    )
    return int(answer["landings"])


@pytest.mark.long  # two minutes of writing what is then read in seconds
def test_a_hundred_thousand_landings_that_wait_are_planned_within_a_minute(lake: Lake) -> None:
    # given: what piles up when loads stand still for days
    day = "raw/event_type=payment/event_subtype=order/year=2026/month=11/day=21"
    lake.list_landings([f"{day}/{number:06d}.gz" for number in range(100_000)], FIRST)
    # when
    started = time.monotonic()
    answer, plan = planned(lake)
    seconds = time.monotonic() - started
    # then
    assert answer["landings"] == len({landing.identity for landing in plan.landings}) == 100_000
    assert answer["left_waiting"] == 0
    print(f"planned and stored in {seconds:.1f} s")
    assert seconds < 60
