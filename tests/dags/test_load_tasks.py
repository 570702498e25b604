"""The gate and the words: what turns a run red, what a run's note says, and what an alert of a failed task says."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

import eventlake_aws.load_steps
import eventlake_aws.rollups
from eventlake.alerting import Severity
from eventlake.errors import TerminalError
from eventlake_airflow import load_tasks
from eventlake_airflow.day_tasks import describe_books
from eventlake_airflow.failure_alerts import failure_alert
from eventlake_airflow.load_tasks import (
    describe_diffs,
    describe_outcome,
    failed_tasks,
    plan_whole_load,
    require_quality,
)

OUTCOME: dict[str, Any] = {
    "load_id": "load_events-0123456789-g1",
    "published": {"events.lesson_events": 10, "events.payment_events": 5},
    "held": {},
    "failed": {},
    "stale": [],
    "warnings": {},
    "duplicates": 0,
    "quarantined": 2,
    "receipt_uri": "s3://lake/receipt.json",
}
HELD = OUTCOME | {"published": {}, "held": {"events.payment_events": ["critical: x"]}}


class FakeInstance:
    """As much of a task instance as the gate asks for."""

    task_id, dag_id, run_id = "require_quality", "load_events", "run"

    def __init__(
        self, states: dict[str, str], plan: dict[str, Any] | None = None, rollups: dict[str, Any] | None = None
    ) -> None:
        self.states = states
        self.planned = {"plan_load": plan, "plan_rollups": rollups}

    def get_task_states(self, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:
        return {"run": self.states}

    def xcom_pull(self, task_ids: str) -> Any:
        return self.planned.get(task_ids)


class Gate:
    """Runs the gate on faked neighbours and remembers what it noted and abandoned."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        states: dict[str, str],
        plan: dict[str, Any] | None,
        rollups: dict[str, Any] | None = None,
    ) -> None:
        self.abandoned: list[str] = []
        self.notes: list[str] = []
        run = SimpleNamespace(dag_id="load_events", run_id="run")
        context = {"ti": FakeInstance(states, plan, rollups), "dag_run": run}
        monkeypatch.setattr(load_tasks, "get_current_context", lambda: context)
        monkeypatch.setattr(load_tasks, "aws_clients", lambda: None)
        monkeypatch.setattr(load_tasks, "note", self.notes.append)
        monkeypatch.setattr(eventlake_aws.load_steps, "abandon_load", self._abandon)
        monkeypatch.setattr(eventlake_aws.rollups, "abandon_rollups", self._abandon)

    def _abandon(self, clients: Any, settings: Any, **named: str) -> None:
        self.abandoned += named.values()

    def pass_through(self, outcome: Any, rolled_up: Any = None) -> None:
        require_quality.function(outcome, rolled_up)


def test_the_gate_opens_when_all_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    states, planned = {"publish_load": "success", "require_quality": "running"}, {"load_id": OUTCOME["load_id"]}
    gate = Gate(monkeypatch, states, planned, {"rollup_run_id": "rollups-1"})
    gate.pass_through(OUTCOME, OUTCOME | {"load_id": "rollups-1"})
    assert gate.abandoned == []


def test_the_gate_opens_when_there_was_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch, {"plan_load": "success", "stage_load": "skipped"}, None)
    gate.pass_through(None)
    assert gate.abandoned == []


@pytest.mark.parametrize(("outcome", "rolled_up"), [(HELD, None), (OUTCOME, HELD)])
def test_a_held_table_closes_the_gate_by_name(monkeypatch: pytest.MonkeyPatch, outcome: Any, rolled_up: Any) -> None:
    gate = Gate(monkeypatch, {"publish_load": "success"}, {"load_id": OUTCOME["load_id"]})
    with pytest.raises(TerminalError, match=r"held tables events\.payment_events"):
        gate.pass_through(outcome, rolled_up)


def test_a_failed_task_closes_the_gate_and_frees_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"stage_load": "failed", "publish_load": "upstream_failed", "require_quality": "running"}
    gate = Gate(monkeypatch, states, {"load_id": "load-1"})
    with pytest.raises(TerminalError, match="failed tasks stage_load"):
        gate.pass_through(None)
    assert gate.abandoned == ["load-1"]
    assert gate.notes == ["Red: failed tasks stage_load."]


def test_a_failed_rollup_frees_the_rollups(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"stage_rollups": "failed", "publish_rollups": "upstream_failed"}
    gate = Gate(monkeypatch, states, {"load_id": OUTCOME["load_id"]}, {"rollup_run_id": "rollups-1"})
    with pytest.raises(TerminalError, match="failed tasks stage_rollups"):
        gate.pass_through(OUTCOME)
    assert gate.abandoned == ["rollups-1"]


def test_a_rebuild_that_somebody_overtook_closes_the_gate_and_a_load_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    overtaken = OUTCOME | {"stale": ["events.lesson_events"]}
    gate = Gate(monkeypatch, {"publish_load": "success"}, None)
    gate.pass_through(overtaken)
    with pytest.raises(TerminalError, match=r"wrote while they were rebuilt events\.lesson_events.*clear plan_rebuild"):
        gate.pass_through(overtaken | {"kind": "rebuild"})


def test_a_failure_after_the_load_closes_the_gate_too(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch, {"publish_load": "success", "balance_books": "failed"}, {"load_id": OUTCOME["load_id"]})
    with pytest.raises(TerminalError, match="balance_books"):
        gate.pass_through(OUTCOME)
    assert gate.abandoned == []


def test_what_could_not_run_is_named_when_nothing_failed_by_itself() -> None:
    instance = FakeInstance({"publish_load": "upstream_failed", "plan_load": "success"})
    assert failed_tasks(instance, "load_events", "run") == ["publish_load"]


def test_the_gate_does_not_count_itself() -> None:
    assert failed_tasks(FakeInstance({"require_quality": "failed"}), "load_events", "run") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "Published: 15 rows into 2 tables; 2 quarantined."),
        ({"published": {}, "quarantined": 0}, "Published: nothing changed."),
        ({"held": {"events.payment_events": ["x"]}}, "held: events.payment_events"),
        ({"stale": ["events.lesson_events"]}, "to be staged again by the next run: events.lesson_events"),
        ({"duplicates": 3}, "3 duplicates"),
    ],
)
def test_a_note_says_what_happened_nothing_included(change: dict[str, Any], words: str) -> None:
    text = describe_outcome(OUTCOME | change)
    assert words in text
    assert text.endswith("Receipt: s3://lake/receipt.json")


def test_the_note_of_a_rebuild_is_its_difference() -> None:
    nothing = {"added": 0, "removed": 0, "changed": 0, "departed": {}, "days": []}
    diffs = {
        "events.payment_events": nothing | {"added": 5, "changed": 7, "days": ["2026-11-20", "2026-11-21"]},
        "events.uncontracted": nothing | {"departed": {"events.quest_events": 3}, "days": ["2026-11-21"]},
        "events.lesson_events": nothing,
    }
    assert describe_diffs(diffs) == (
        "events.payment_events +5 ~7 on 2 days; events.uncontracted 3 to events.quest_events on 1 days; "
        "1 tables as they were"
    )
    text = describe_outcome(OUTCOME | {"kind": "rebuild", "diffs": {"events.lesson_events": nothing}})
    assert text.startswith("Published: 1 tables as they were; 2 quarantined.")


def test_the_note_of_the_books_is_an_equation() -> None:
    summary = {
        "as_of": "2026-11-21T00:00:00+00:00",
        "balanced": False,
        "residual": 1,
        "received": 10,
        "admitted": 6,
        "duplicates": 2,
        "rejected": {"not_json": 1},
        "replayed": 0,
        "loaded": 5,
        "quarantined": {"wrong_type": 1},
        "waiting": 0,
        "held": 0,
    }
    text = describe_books("2026-11-20", summary)
    assert "differ by 1: received 10 = 6 admitted + 2 duplicate + 1 rejected + 0 replayed" in text


@pytest.mark.parametrize(("tags", "severity"), [({"tier:1"}, Severity.HIGH), ({"tier:2"}, Severity.MEDIUM)])
def test_a_failed_task_tells_its_own_message(tags: set[str], severity: Severity) -> None:
    started = datetime(2026, 11, 21, tzinfo=UTC)
    context: Any = {
        "ti": SimpleNamespace(dag_id="load_events", task_id="stage_load", run_id="manual__1+0", start_date=started),
        "dag": SimpleNamespace(tags=tags),
        "task": SimpleNamespace(owner="data-platform"),
        "exception": TerminalError("reading a plan: received nothing; valid is a plan; look"),
    }
    alert = failure_alert(context)
    assert (alert.severity, alert.dataset, alert.since) == (severity, "load_events", started)
    assert alert.detail == "stage_load: reading a plan: received nothing; valid is a plan; look"
    # a library may quote what it chokes on
    context["exception"] = ValueError("cannot read alice@example.com")
    assert failure_alert(context).detail == (
        "stage_load: ValueError; its words are left out, they may hold values of rows"
    )
    assert alert.run_url.endswith("/dags/load_events/runs/manual__1%2B0")
    # all failures of a DAG are one incident
    context["ti"].task_id = "publish_load"
    assert failure_alert(context).incident == alert.incident


WHOLE = {
    "load_id": "close_day-0123456789-g1",
    "landings": 3,
    "tables": 2,
    "left_waiting": 0,
    "nothing_to_do": False,
    "leased_types": [],
    "leased": [],
}
LOADS = "Load close_day-0123456789-g1: 3 landings into 2 tables"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (WHOLE, f"{LOADS}."),
        (
            WHOLE | {"left_waiting": 7},
            f"{LOADS}, 7 left for the next run.",
        ),
        (WHOLE | {"nothing_to_do": True}, "Nothing to load: no landing waits in raw, late."),
    ],
)
def test_a_day_loads_all_that_waits_and_waits_for_who_has_a_table(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], said: str
) -> None:
    # given: another writer has a table at first
    answers, asked, notes = [{"nothing_to_do": True, "leased": ["type#payment"]}, answer], [], []

    def plan(*_: Any, **of_run: Any) -> dict[str, Any]:
        asked.append(of_run)
        return answers.pop(0)

    monkeypatch.setattr(eventlake_aws.load_steps, "plan_and_store_load", plan)
    monkeypatch.setattr(load_tasks, "aws_clients", lambda: None)
    monkeypatch.setattr(load_tasks, "note", notes.append)
    operator = plan_whole_load(areas=["raw", "late"])
    context: Any = {"dag_run": SimpleNamespace(dag_id="close_day", run_id="run")}
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    assert deferred.value.trigger.serialize()[1]["watched"] == ["lease:eventlake-local-leases/type#payment"]
    # when: it is free
    since = deferred.value.kwargs["waiting_since"]
    if answer["nothing_to_do"]:
        with pytest.raises(AirflowSkipException):
            operator.execute_complete(context, {}, since)
    else:
        assert operator.execute_complete(context, {}, since) == answer
    # then
    assert notes == [said]
    assert [(one["areas"], one["needs_all"]) for one in asked] == [(["raw", "late"], True)] * 2
