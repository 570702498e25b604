"""The circuit breaker against live tables: rejections hold a type, and stop its rebuilds until a person decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lake_builders import Lake, Sent
from test_live_books import decided

from eventlake.errors import TerminalError
from eventlake.load_plan import LoadPlan
from eventlake.release import Release, ReleaseAction
from eventlake_aws import load_store
from eventlake_aws.load_steps import plan_and_store_load
from eventlake_aws.publish_load import publish_load
from eventlake_aws.rebuild_steps import plan_and_store_rebuild
from eventlake_aws.release_steps import plan_and_store_release

PAYMENTS, LESSONS = "events.payment_events", "events.lesson_events"
OLD_PAYMENT, NEW_PAYMENT = Sent("uuid-0", 100), Sent("uuid-1", 101)
OLD_LESSON, NEW_LESSON = Sent("uuid-8", 800, "lesson", "exercise"), Sent("uuid-9", 900, "lesson", "exercise")
DAY = OLD_PAYMENT.day
REJECTED = 20


def test_a_type_that_is_mostly_rejected_is_held_and_not_rebuilt_until_a_person_decides(lake: Lake) -> None:
    # given: a good hour, and one in which most payments are turned away
    now = datetime.now(UTC)
    for event in (OLD_PAYMENT, OLD_LESSON):
        land(lake, event, now)
    assert set(published(lake, planned(lake, "run-1", now))["published"]) == {PAYMENTS, LESSONS}
    for event in (NEW_PAYMENT, NEW_LESSON):
        land(lake, event, now)
    for number in range(REJECTED):
        decided(lake, Sent(f"bad-{number}", 500 + number, ingested_at=iso(now)), "rejected", "missing_field")
    # when
    plan = planned(lake, "run-2", now)
    outcome = published(lake, plan)
    # then
    said = f"{REJECTED} of {REJECTED + 1} records rejected at admission, over the ceiling of 25%"
    assert (outcome["held"], set(outcome["published"])) == ({PAYMENTS: [said]}, {LESSONS})
    assert (lake.rows(PAYMENTS), lake.rows(LESSONS)) == (["uuid-0"], ["uuid-8", "uuid-9"])
    # and a rebuild goes round it, or is refused where it was asked for by name
    rebuild = rebuilt(lake, now, [])
    assert (rebuild["stopped"], list(rebuild["tables"])) == ({PAYMENTS: plan.load_id}, [LESSONS])
    with pytest.raises(TerminalError, match=r"received events\.payment_events, .* with release_load first"):
        rebuilt(lake, now, ["payment"])
    # and only a decision ends that: the same gate says the same of the same data
    again = released(lake, plan, ReleaseAction.GATE_AGAIN, now)
    assert published(lake, again)["held"] == {PAYMENTS: [said]}
    assert rebuilt(lake, now, [])["stopped"] == {PAYMENTS: again.load_id}
    accepted = released(lake, again, ReleaseAction.PUBLISH_ANYWAY, now)
    assert published(lake, accepted)["warnings"] == {PAYMENTS: [f"accepted: {said}"]}
    assert lake.rows(PAYMENTS) == ["uuid-0", "uuid-1"]
    assert (rebuilt(lake, now, ["payment"])["stopped"], list(rebuilt(lake, now, [])["tables"])) == (
        {},
        [LESSONS, PAYMENTS],
    )


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def land(lake: Lake, event: Sent, now: datetime) -> None:
    """A minute ago, and so before anything that the test writes down."""
    lake.land([event], name=event.event_uuid, landed_at=iso(now - timedelta(minutes=1)))


def planned(lake: Lake, run_id: str, now: datetime) -> LoadPlan:
    of_run = {"dag_id": "load_events", "run_id": run_id, "areas": ["raw"], "now": now}
    answer = plan_and_store_load(lake.clients, lake.settings, **of_run)
    return load_store.read_plan(lake.clients, lake.settings, answer["load_id"])


def published(lake: Lake, plan: LoadPlan) -> dict[str, Any]:
    """As the job would have staged it, every line good."""
    known = {event.event_uuid: event for event in (OLD_PAYMENT, NEW_PAYMENT, OLD_LESSON, NEW_LESSON)}
    job_run_id = f"jr_{plan.load_id[-14:]}"
    entries = []
    for entry in plan.tables:
        events = [known[landing.object_key.rpartition("/")[2].removesuffix(".gz")] for landing in entry.landings]
        entries.append(lake.receipt_entry(plan, entry.table, job_run_id, events))
    lake.write_receipt(plan, job_run_id, entries)
    now = datetime.fromisoformat(plan.created_at)
    return publish_load(lake.clients, lake.settings, load_id=plan.load_id, job_run_id=job_run_id, now=now)


def rebuilt(lake: Lake, now: datetime, types: list[str]) -> dict[str, Any]:
    """What a dry run says."""
    of_run = {"dag_id": "replay_events", "run_id": "r", "days": [DAY], "types": types, "dry_run": True, "now": now}
    return plan_and_store_rebuild(lake.clients, lake.settings, **of_run)


def released(lake: Lake, held: LoadPlan, action: ReleaseAction, now: datetime) -> LoadPlan:
    release = Release(held.load_id, action, "the producer's old version was switched off", "ada")
    of_run = {"dag_id": "release_load", "run_id": f"r-{action}", "tables": (), "dry_run": False, "now": now}
    answer = plan_and_store_release(lake.clients, lake.settings, release=release, **of_run)
    return load_store.read_plan(lake.clients, lake.settings, answer["load_id"])
