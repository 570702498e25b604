"""What is told of a run or a file that no task can tell: late, cut off, not parsed; and how Airflow comes to say it."""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk._shared.module_loading import import_string
from airflow.serialization.serialized_objects import DagSerialization

from eventlake.alerting import Severity
from eventlake_airflow import run_alerts
from eventlake_airflow.run_alerts import broken_file_alert, cut_off_alert, late_alert, tell_run_is_late
from eventlake_plugin import EventlakePlugin

DAGS = Path(__file__).resolve().parents[2] / "dags"
DEADLINE = datetime(2026, 11, 21, 9, 50, tzinfo=UTC)
RUN: dict[str, Any] = {
    "dag_id": "load_events",
    "dag_run_id": "scheduled__2026-11-21T09:05:00+00:00",
    "run_type": "scheduled",
    "queued_at": "2026-11-21T09:05:01Z",
    "end_date": None,
}


def missed(**changes: Any) -> dict[str, Any]:
    """What the scheduler hands to the callback of a missed deadline."""
    return {"dag_run": RUN | changes, "deadline": {"id": "d", "deadline_time": DEADLINE}}


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    bag = DagBag(dag_folder=str(DAGS))
    assert not bag.import_errors, bag.import_errors
    return dict(bag.dags)


def test_every_scheduled_dag_has_a_deadline_that_airflow_can_keep(dags: dict[str, Any]) -> None:
    for dag_id, dag in dags.items():
        if dag.timetable.__class__.__name__ == "NullTimetable":
            assert not dag.deadline, f"{dag_id}: whoever triggers a run by hand watches it"
            continue
        (deadline,) = dag.deadline
        assert deadline.interval < dag.dagrun_timeout, dag_id
        # as the scheduler stores it and the triggerer finds it again
        (stored,) = DagSerialization.to_dict(dag)["dag"]["deadline"]
        callback = stored["callback"]["__data__"]
        found = import_string(callback["path"])
        assert inspect.iscoroutinefunction(found)
        assert {*callback["kwargs"], "context"} == {*inspect.signature(found).parameters}
        assert Severity(callback["kwargs"]["severity"]) is (
            Severity.HIGH if "tier:1" in dag.tags else Severity.MEDIUM
        ), dag_id


def test_every_dag_tells_of_a_run_that_was_cut_off(dags: dict[str, Any]) -> None:
    for dag_id, dag in dags.items():
        assert dag.on_failure_callback is run_alerts.alert_of_cut_off_run, dag_id
        assert DagSerialization.to_dict(dag)["dag"]["has_on_failure_callback"] is True, dag_id


def test_a_late_run_is_told_with_its_run() -> None:
    alert = late_alert(Severity.HIGH, "data-platform", missed())
    assert alert is not None
    assert (alert.what, alert.where, alert.severity, alert.since) == (
        "run late",
        "load_events",
        Severity.HIGH,
        DEADLINE,
    )
    assert alert.run_url.endswith("/dags/load_events/runs/scheduled__2026-11-21T09%3A05%3A00%2B00%3A00")
    assert alert.runbook == "docs/runbooks/dag-late.md"


@pytest.mark.parametrize("changes", [{"end_date": "2026-11-21T09:20:00Z"}, {"run_type": "backfill"}])
def test_a_run_that_failed_in_time_and_one_of_a_backfill_are_late_for_nobody(changes: dict[str, Any]) -> None:
    """Airflow keeps the deadline of a run that failed."""
    assert late_alert(Severity.HIGH, "o", missed(**changes)) is None


def test_telling_that_a_run_is_late_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    waits: list[float] = []

    def raise_third_time(alert: Any) -> None:
        told.append(alert.what)
        if len(told) < 3:
            raise OSError("SNS is out")

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(run_alerts, "_raise", raise_third_time)
    monkeypatch.setattr(run_alerts.asyncio, "sleep", wait)
    asyncio.run(tell_run_is_late("high", "o", missed()))
    assert (told, waits) == (["run late"] * 3, [2, 4])


def test_a_run_that_failed_by_a_task_is_not_told_twice() -> None:
    dag = SimpleNamespace(dag_id="load_events", tags={"tier:1"}, owner="data-platform")
    assert cut_off_alert({"dag": dag, "run_id": "r", "reason": "task_failure"}) is None
    alert = cut_off_alert({"dag": dag, "run_id": "r", "reason": "timed_out"})
    assert alert is not None
    assert (alert.what, alert.severity, alert.detail) == (
        "run cut off",
        Severity.HIGH,
        "r: it took longer than its dagrun_timeout",
    )


def test_a_file_that_does_not_parse_is_told_by_its_last_line() -> None:
    alert = broken_file_alert("/dags/load_events.py", "Traceback\n  File x\nImportError: no such name\n")
    assert (alert.where, alert.detail) == ("load_events", "load_events.py: ImportError: no such name")
    assert alert.run_url.endswith("/dags/load_events")
    assert run_alerts in EventlakePlugin.listeners
