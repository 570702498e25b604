"""What a person decides on held data, carried out against live tables: gated again, published anyway, superseded."""

from __future__ import annotations

from typing import Any

import pytest
from lake_builders import NOW, Lake, Sent

from eventlake.errors import TerminalError
from eventlake.leases import LeaseAnswer
from eventlake.load_plan import LoadPlan
from eventlake.release import Release, ReleaseAction
from eventlake_aws import lease_store, load_store
from eventlake_aws.control_tables import RELEASES
from eventlake_aws.load_steps import plan_and_store_load
from eventlake_aws.publish_load import publish_load
from eventlake_aws.release_steps import plan_and_store_release

PAYMENTS, LESSONS = "events.payment_events", "events.lesson_events"
PAYMENT = Sent("uuid-0", 100)
LESSON = Sent("uuid-9", 900, "lesson", "exercise")
FAILED = {"expectation": "expect_x", "column": None, "severity": "critical", "success": False}
WHY = "the producer confirmed the amounts"


def test_held_data_is_gated_again_and_may_be_held_again(lake: Lake) -> None:
    # given
    key, held = held_payment(lake)
    dry = released(lake, held, dry_run=True)
    assert (dry["landings"], dry["nothing_to_do"], lake.landing(key)["status"]) == (1, True, "held")
    # when: it is released, and a retry of the task goes on with the same load
    answer = released(lake, held)
    assert released(lake, held) == answer
    # then: until that load publishes, nobody else has the table
    assert (answer["landings"], answer["nothing_to_do"], lake.landing(key)["status"]) == (1, False, "waiting")
    assert lease_store.take_lease(lake.clients, lake.settings, "type#payment", "x", NOW) is LeaseAnswer.REFUSED
    plan = load_store.read_plan(lake.clients, lake.settings, answer["load_id"])
    assert published(lake, plan, success=False)["held"] == {PAYMENTS: ["critical: expect_x, failed"]}
    assert lake.landing(key)["held_by"] == plan.load_id
    # and the new holder is released in its turn
    again = load_store.read_plan(lake.clients, lake.settings, released(lake, plan, run_id="r-2")["load_id"])
    assert published(lake, again, success=True)["published"] == {PAYMENTS: 1}
    assert lake.rows(PAYMENTS) == ["uuid-0"]
    assert [(one["load_id"], one["action"]) for one in decisions(lake)] == [
        (held.load_id, "gate again"),
        (plan.load_id, "gate again"),
    ]


def test_what_a_person_accepts_is_published_and_stays_told(lake: Lake) -> None:
    _, held = held_payment(lake)
    answer = released(lake, held, ReleaseAction.PUBLISH_ANYWAY)
    plan = load_store.read_plan(lake.clients, lake.settings, answer["load_id"])
    outcome = published(lake, plan, success=False)
    assert (outcome["published"], outcome["held"]) == ({PAYMENTS: 1}, {})
    assert outcome["warnings"] == {PAYMENTS: ["accepted: critical: expect_x, failed"]}
    assert lake.rows(PAYMENTS) == ["uuid-0"]
    [decision] = decisions(lake)
    assert (decision["reason"], decision["decided_by"], decision["landings"]) == (WHY, "ada", 1)


def test_superseded_data_is_never_loaded(lake: Lake) -> None:
    key, held = held_payment(lake)
    for _ in range(2):
        answer = released(lake, held, ReleaseAction.SUPERSEDE)
        assert answer["nothing_to_do"]
    assert (lake.landing(key)["status"], lake.landing(key)["superseded_by"]) == ("superseded", answer["load_id"])
    assert "held_by" not in lake.landing(key)
    assert load(lake, "run-2")["nothing_to_do"]
    assert [one["action"] for one in decisions(lake)] == ["supersede"]


def test_only_the_tables_that_are_named_are_released(lake: Lake) -> None:
    payments, lessons = lake.land([PAYMENT]), lake.land([LESSON])
    held = planned(lake)
    published(lake, held, success=False)
    answer = released(lake, held, tables=[LESSONS])
    assert answer["event_types"] == ["lesson"]
    assert [lake.landing(key)["status"] for key in (payments, lessons)] == ["held", "waiting"]


def test_a_release_waits_for_the_writer_of_its_table(lake: Lake) -> None:
    key, held = held_payment(lake)
    lease_store.take_lease(lake.clients, lake.settings, "type#payment", "rebuild-1", NOW)
    assert released(lake, held) == {"nothing_to_do": True, "leased": ["type#payment"]}
    assert (lake.landing(key)["status"], decisions(lake)) == ("held", [])


def test_what_can_hold_nothing_is_refused_by_name(lake: Lake) -> None:
    _, held = held_payment(lake)
    with pytest.raises(TerminalError, match=r"received a load that has not ended, or that nobody knows; valid is one"):
        released(lake, "load_events-0123456789-g7")
    with pytest.raises(TerminalError, match=r"received the tables events\.y; valid are .*events\.payment_events"):
        released(lake, held, tables=["events.y"])


def held_payment(lake: Lake) -> tuple[str, LoadPlan]:
    """The key of a payment's object, and the load that holds it."""
    key = lake.land([PAYMENT])
    held = planned(lake)
    published(lake, held, success=False)
    assert lake.landing(key)["status"] == "held"
    return key, held


def load(lake: Lake, run_id: str) -> dict[str, Any]:
    return plan_and_store_load(lake.clients, lake.settings, dag_id="load_events", run_id=run_id, areas=["raw"], now=NOW)


def planned(lake: Lake, run_id: str = "run-1") -> LoadPlan:
    return load_store.read_plan(lake.clients, lake.settings, load(lake, run_id)["load_id"])


def published(lake: Lake, plan: LoadPlan, *, success: bool) -> dict[str, Any]:
    """As the job would have staged it, with a suite that says so of every table."""
    validation = {"success": success, "results": [] if success else [FAILED]}
    job_run_id = f"jr_{plan.load_id[-14:]}"
    events = {PAYMENTS: PAYMENT, LESSONS: LESSON}
    entries = [
        lake.receipt_entry(plan, entry.table, job_run_id, [events[entry.table]], validation=validation)
        for entry in plan.tables
    ]
    lake.write_receipt(plan, job_run_id, entries)
    return publish_load(lake.clients, lake.settings, load_id=plan.load_id, job_run_id=job_run_id, now=NOW)


def released(
    lake: Lake,
    held: LoadPlan | str,
    action: ReleaseAction = ReleaseAction.GATE_AGAIN,
    tables: tuple[str, ...] | list[str] = (),
    run_id: str = "r-1",
    *,
    dry_run: bool = False,
) -> dict[str, Any]:
    return plan_and_store_release(
        lake.clients,
        lake.settings,
        dag_id="release_load",
        run_id=run_id,
        release=Release(held if isinstance(held, str) else held.load_id, action, WHY, "ada"),
        tables=tables,
        dry_run=dry_run,
        now=NOW,
    )


def decisions(lake: Lake) -> list[dict[str, Any]]:
    if not lake.catalog.table_exists(RELEASES):
        return []
    rows: list[dict[str, Any]] = lake.catalog.load_table(RELEASES).scan().to_arrow().to_pylist()
    return sorted(rows, key=lambda row: row["load_id"])
