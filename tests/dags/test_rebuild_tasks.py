"""Planning a rebuild: it waits for leases without a worker, asks again, and skips what is not to be done."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

import eventlake_aws.load_store
import eventlake_aws.rebuild_requests
import eventlake_aws.rebuild_steps
from eventlake.errors import TransientError
from eventlake_airflow import rebuild_tasks
from eventlake_airflow.operators import PlanUnderLeases
from eventlake_airflow.rebuild_tasks import plan_chosen_days, plan_day_of_run

PLAN: dict[str, Any] = {
    "load_id": "replay_events-0123456789-g1",
    "days": ["2026-11-20", "2026-11-21"],
    "tables": {f"events.{name}_events": 2 for name in "abcdefg"},
    "landings": 14,
    "bytes": 3 * 1024**2,
    "stopped": {},
    "nothing_to_do": False,
    "leased": [],
}
# nothing of it is read on these ways
NO_CONTEXT: Any = {}
LEASED = {"nothing_to_do": True, "leased": ["type#payment"]}


def an_operator(answers: list[dict[str, Any]], firsts: list[bool]) -> PlanUnderLeases:
    def plan(context: Any, is_first: bool) -> dict[str, Any]:
        firsts.append(is_first)
        return answers.pop(0)

    return PlanUnderLeases(task_id="plan_rebuild", plan=plan, delay_seconds=5, patience_seconds=60)


def test_a_taken_lease_is_awaited_without_a_worker_and_asked_for_again() -> None:
    firsts: list[bool] = []
    operator = an_operator([LEASED, LEASED, PLAN], firsts)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(NO_CONTEXT)
    assert deferred.value.trigger.serialize()[1]["watched"] == ["lease:eventlake-local-leases/type#payment"]
    since = deferred.value.kwargs["waiting_since"]
    # somebody else was faster
    with pytest.raises(TaskDeferred) as again:
        operator.execute_complete(NO_CONTEXT, {"states": {}}, since)
    assert again.value.kwargs["waiting_since"] == since
    assert operator.execute_complete(NO_CONTEXT, {"states": {}}, since) == PLAN
    assert firsts == [True, False, False]


def test_patience_ends_and_is_retried() -> None:
    with pytest.raises(TransientError, match="type#payment in other hands"):
        an_operator([LEASED], []).execute_complete(NO_CONTEXT, {}, 1.0)


class Planning:
    """Fakes of what lies behind the planning tasks, and what they were asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]) -> None:
        self.notes: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str]] = []
        monkeypatch.setattr(rebuild_tasks, "aws_clients", lambda: None)
        monkeypatch.setattr(rebuild_tasks, "now", lambda: datetime(2026, 11, 21))
        monkeypatch.setattr(rebuild_tasks, "note", self.notes.append)

        def plan(clients: Any, settings: Any, **given: Any) -> dict[str, Any]:
            self.asked.append(given)
            return answer

        def ask(clients: Any, settings: Any, name: str, day: str) -> None:
            self.requests.append((name, day))

        monkeypatch.setattr(eventlake_aws.rebuild_steps, "plan_and_store_rebuild", plan)
        monkeypatch.setattr(eventlake_aws.rebuild_steps, "plan_and_store_asked_days", plan)
        monkeypatch.setattr(eventlake_aws.rebuild_requests, "ask_for_day", ask)
        outcome = {"days": {"events.a_events": ["2026-11-20"]}, "held": {"events.b_events": ["x"]}, "failed": {}}
        monkeypatch.setattr(eventlake_aws.load_store, "read_outcome", lambda *_: outcome)


def by_hand(**params: Any) -> Any:
    chosen = {"types": [], "first_day": "2026-11-20", "last_day": "2026-11-21", "dry_run": False}
    return {"dag_run": SimpleNamespace(dag_id="replay_events", run_id="run-1"), "params": chosen | params}


def of_day(recomputes: bool) -> Any:
    day = {"day": "2026-11-20", "recomputes": recomputes}
    instance = SimpleNamespace(xcom_pull=lambda task_ids: day)
    return {"dag_run": SimpleNamespace(dag_id="close_day", run_id="run-1"), "ti": instance}


def test_a_dry_run_tells_and_ends_there(monkeypatch: pytest.MonkeyPatch) -> None:
    planning = Planning(monkeypatch, PLAN)
    with pytest.raises(AirflowSkipException):
        plan_chosen_days(by_hand(dry_run=True), True)
    assert planning.notes == [
        "Would rebuild 2 days from 2026-11-20 to 2026-11-21 from 14 landings of 3.0 MiB: events.a_events (2 landings), "
        "events.b_events (2 landings), events.c_events (2 landings), events.d_events (2 landings), "
        "events.e_events (2 landings), 2 tables more."
    ]
    assert (planning.asked[0]["dry_run"], planning.asked[0]["days"]) == (True, ("2026-11-20", "2026-11-21"))
    assert plan_chosen_days(by_hand(), True) == PLAN
    assert planning.notes[1].startswith("Rebuild replay_events-0123456789-g1: 2 days")


def test_what_the_breaker_stops_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = {"events.h_events": "load_events-0123456789-g1"}
    planning = Planning(monkeypatch, PLAN | {"tables": {"events.a_events": 2}, "stopped": stopped})
    plan_chosen_days(by_hand(), True)
    assert planning.notes == [
        "Rebuild replay_events-0123456789-g1: 2 days from 2026-11-20 to 2026-11-21 from 14 landings of 3.0 MiB: "
        "events.a_events (2 landings); left out: events.h_events, too bad in load_events-0123456789-g1 (release_load, "
        "then rebuild these days)."
    ]


def test_a_run_that_only_closes_its_day_asks_for_no_rebuild(monkeypatch: pytest.MonkeyPatch) -> None:
    planning = Planning(monkeypatch, PLAN)
    with pytest.raises(AirflowSkipException):
        plan_day_of_run(of_day(recomputes=False), True)
    assert (planning.asked, planning.requests) == ([], [])


def test_a_run_asks_for_its_day_once_and_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    planning = Planning(monkeypatch, LEASED)
    assert plan_day_of_run(of_day(recomputes=True), True) == LEASED
    assert plan_day_of_run(of_day(recomputes=True), False) == LEASED
    ((name, day),) = planning.requests
    assert (name.startswith("2026-11-20-"), day) == (True, "2026-11-20")
    assert [asked["request"] for asked in planning.asked] == [name, name]
    assert planning.asked[0]["dag_id"] == "close_day.rebuild"


def test_a_run_whose_day_somebody_else_rebuilt_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    planning = Planning(monkeypatch, {"served_by": "close_day.rebuild-0123456789-g1", "leased": []})
    with pytest.raises(AirflowSkipException):
        plan_day_of_run(of_day(recomputes=True), False)
    assert planning.notes == [
        "2026-11-20 was rebuilt with other days by close_day.rebuild-0123456789-g1: events.a_events; "
        "held: events.b_events."
    ]
