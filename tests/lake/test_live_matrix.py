"""Every severity, whatever its expectation answered, in every kind of run: what readers see, what becomes of the run,
and what the owner is told. Written down by hand: nothing here is asked of the rules that it tests.
"""

from __future__ import annotations

from typing import Any

import pytest
from lake_builders import NOW, Lake, Sent

from eventlake.load_plan import LoadPlan
from eventlake.release import Release, ReleaseAction
from eventlake_aws import load_store
from eventlake_aws.alerts import open_incidents
from eventlake_aws.load_alerts import alert_on_outcome, settle_held_tables
from eventlake_aws.load_steps import plan_and_store_load
from eventlake_aws.publish_load import publish_load
from eventlake_aws.rebuild_steps import plan_and_store_rebuild
from eventlake_aws.release_steps import plan_and_store_release
from tests.contract_builders import a_schema

SEVERITIES = ("critical", "high", "medium", "low")
ANSWERS = ("pass", "fail", "error", "missing")
PUBLISHED, HELD = "published", "held"

# (severity, answer) -> what readers and the run see, and how bad the alert is
GATED = {
    ("critical", "pass"): (PUBLISHED, None),
    ("critical", "fail"): (HELD, "critical"),
    ("critical", "error"): (HELD, "high"),
    ("critical", "missing"): (HELD, "high"),
    ("high", "pass"): (PUBLISHED, None),
    ("high", "fail"): (HELD, "high"),
    ("high", "error"): (HELD, "high"),
    ("high", "missing"): (HELD, "high"),
    ("medium", "pass"): (PUBLISHED, None),
    ("medium", "fail"): (PUBLISHED, "medium"),
    ("medium", "error"): (HELD, "high"),
    ("medium", "missing"): (HELD, "high"),
    ("low", "pass"): (PUBLISHED, None),
    ("low", "fail"): (PUBLISHED, None),
    ("low", "error"): (HELD, "high"),
    ("low", "missing"): (HELD, "high"),
}
# what a person took on: a failure is published and told, no answer is still no answer
ACCEPTED = GATED | {("critical", "fail"): (PUBLISHED, "medium"), ("high", "fail"): (PUBLISHED, "medium")}
CELLS = sorted(GATED)

Seen = dict[tuple[str, str], tuple[str, str | None]]


def test_the_matrix_is_whole() -> None:
    assert set(GATED) == {(severity, answer) for severity in SEVERITIES for answer in ANSWERS}


def test_a_scheduled_load(lake: Lake) -> None:
    landed(lake)
    plan = loading(lake)
    assert ended(lake, plan) == GATED


@pytest.mark.long  # sixteen tables twice
@pytest.mark.parametrize(
    ("action", "expected"), [(ReleaseAction.GATE_AGAIN, GATED), (ReleaseAction.PUBLISH_ANYWAY, ACCEPTED)]
)
def test_a_release(lake: Lake, action: ReleaseAction, expected: Seen) -> None:
    # given: all of it is held
    landed(lake)
    held = loading(lake)
    ended(lake, held, answer="missing")
    release = Release(held.load_id, action, "a test has looked at it", "ada")
    answer = plan_and_store_release(
        lake.clients,
        lake.settings,
        dag_id="release_load",
        run_id="r",
        release=release,
        tables=(),
        dry_run=False,
        now=NOW,
    )
    # then
    assert ended(lake, load_store.read_plan(lake.clients, lake.settings, answer["load_id"])) == expected


@pytest.mark.long  # sixteen tables twice
def test_a_backfill(lake: Lake) -> None:
    # given: all of it is published, and now its lines say one row more
    landed(lake)
    ended(lake, loading(lake), answer="pass")
    answer = plan_and_store_rebuild(
        lake.clients,
        lake.settings,
        dag_id="close_day.rebuild",
        run_id="b",
        days=["2026-11-21"],
        types=(),
        dry_run=False,
        now=NOW,
    )
    assert ended(lake, load_store.read_plan(lake.clients, lake.settings, answer["load_id"])) == GATED


def type_of(cell: tuple[str, str]) -> str:
    return "_".join(cell)


def event(cell: tuple[str, str], number: int = 0) -> Sent:
    return Sent(f"uuid-{type_of(cell)}-{number}", 100 + number, type_of(cell), "order")


def landed(lake: Lake) -> None:
    """One object of each cell's own type."""
    lake.define({f"{type_of(cell)}/order": a_schema(key=f"{type_of(cell)}/order") for cell in CELLS})
    for cell in CELLS:
        lake.land([event(cell)])


def loading(lake: Lake) -> LoadPlan:
    answer = plan_and_store_load(
        lake.clients, lake.settings, dag_id="load_events", run_id="run", areas=["raw"], now=NOW
    )
    return load_store.read_plan(lake.clients, lake.settings, answer["load_id"])


def ended(lake: Lake, plan: LoadPlan, answer: str | None = None) -> Seen:
    """Stages and publishes each cell with its answer, or all with one; gives what became of each."""
    job_run_id = f"jr_{plan.load_id}"
    entries = [staged(lake, plan, cell, job_run_id, answer or cell[1]) for cell in CELLS]
    lake.write_receipt(plan, job_run_id, entries)
    before = {cell: len(lake.rows(table_of(cell))) for cell in CELLS}
    outcome = publish_load(lake.clients, lake.settings, load_id=plan.load_id, job_run_id=job_run_id, now=NOW)
    alert_on_outcome(lake.clients, lake.settings, outcome=outcome, run_url="http://run", now=NOW)
    settle_held_tables(lake.clients, lake.settings, now=NOW)
    told = {one.dataset: one.severity.value for one in open_incidents(lake.clients, lake.settings)}
    seen: Seen = {}
    for cell in CELLS:
        is_shown = len(lake.rows(table_of(cell))) == before[cell] + 1
        # the gate that ends the run is red for what an outcome holds (tests/dags)
        is_red = table_of(cell) in outcome["held"]
        assert is_shown is not is_red, f"{cell}: readers see it: {is_shown}; the run is red for it: {is_red}"
        seen[cell] = (HELD if is_red else PUBLISHED, told.get(table_of(cell)))
    return seen


def staged(lake: Lake, plan: LoadPlan, cell: tuple[str, str], job_run_id: str, answer: str) -> dict[str, Any]:
    success = {"pass": True, "fail": False, "error": None}.get(answer)
    result = {"expectation": "expect_x", "column": None, "severity": cell[0], "success": success, "unexpected_count": 1}
    validation = None if answer == "missing" else {"success": success is True, "results": [result]}
    if plan.days:
        rows = [event(cell), event(cell, 1)]
        return lake.rebuild_entry(plan, table_of(cell), job_run_id, rows, {"added": 1}, validation=validation)
    return lake.receipt_entry(plan, table_of(cell), job_run_id, [event(cell)], validation=validation)


def table_of(cell: tuple[str, str]) -> str:
    return f"events.{type_of(cell)}_events"
