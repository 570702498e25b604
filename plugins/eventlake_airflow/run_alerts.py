"""What no task of a DAG can tell of itself: that its run is late, was cut off, or that its file does not parse.

What belongs in here: turning what Airflow says of a run or a file into an Alert, where Airflow says it (the triggerer
for a missed deadline, the DAG processor for the others). What does not: a task's own failure (failure_alerts).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.listeners import hookimpl
from airflow.sdk import Context
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from eventlake.alerting import LAKE_OWNER, Alert, Severity
from eventlake_airflow.failure_alerts import DETAIL_LENGTH, FILE_BROKEN, RUN_CUT_OFF, RUN_LATE, RUNBOOK, run_url
from eventlake_airflow.schedules import SETTINGS

LATE_RUNBOOK = "docs/runbooks/dag-late.md"
# the ends of a run that come to it without a failed task; others are told by the task
CUT_OFF = {
    "timed_out": "it took longer than its dagrun_timeout",
    "all_tasks_deadlocked": "none of its tasks could go on",
}
# thirty runs of a backfill wait for each other, and are late for nobody
UNHURRIED_RUNS = frozenset({"backfill"})
TELLING_ATTEMPTS = 5

log = logging.getLogger(__name__)


def deadline(late_after: timedelta, severity: Severity, owner: str) -> DeadlineAlert:
    """Of a DAG whose runs should have ended `late_after` they were queued."""
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=late_after,
        callback=AsyncCallback(tell_run_is_late, kwargs={"severity": severity.value, "owner": owner}),
    )


async def tell_run_is_late(severity: str, owner: str, context: Mapping[str, Any]) -> None:
    """Called by the triggerer when a deadline passed. Nobody calls again, so it tries for a while."""
    alert = late_alert(Severity(severity), owner, context)
    if alert is None:
        return
    for attempt in range(1, TELLING_ATTEMPTS + 1):
        try:
            await asyncio.to_thread(_raise, alert)
            return
        # whatever SNS or DynamoDB throws at one try, the next one may get through
        except Exception:
            if attempt == TELLING_ATTEMPTS:
                raise
            log.exception("telling that %s is late, attempt %d", alert.where, attempt)
            await asyncio.sleep(2**attempt)


def late_alert(severity: Severity, owner: str, context: Mapping[str, Any]) -> Alert | None:
    """None for a run that has ended: Airflow keeps the deadline of a failed run, whose failure was told."""
    run = context["dag_run"]
    if run["end_date"] is not None or run["run_type"] in UNHURRIED_RUNS:
        return None
    dag_id, run_id = run["dag_id"], run["dag_run_id"]
    return Alert(
        what=RUN_LATE,
        severity=severity,
        where=dag_id,
        since=_moment(context["deadline"]["deadline_time"]),
        count=1,
        counted="run",
        samples=(),
        runbook=LATE_RUNBOOK,
        run_url=run_url(dag_id, run_id),
        owner=owner,
        dataset=dag_id,
        detail=f"{run_id} was queued at {run['queued_at']} and has not ended",
    )


def alert_of_cut_off_run(context: Context) -> None:
    """`on_failure_callback` of every DAG: a run that failed although none of its tasks did."""
    alert = cut_off_alert(context)
    if alert is not None:
        _raise(alert)


def cut_off_alert(context: Mapping[str, Any]) -> Alert | None:
    dag, reason = context["dag"], context["reason"]
    if reason not in CUT_OFF:
        return None
    return Alert(
        what=RUN_CUT_OFF,
        severity=Severity.HIGH if "tier:1" in dag.tags else Severity.MEDIUM,
        where=dag.dag_id,
        since=datetime.now(UTC),
        count=1,
        counted="run",
        samples=(),
        runbook=RUNBOOK,
        run_url=run_url(dag.dag_id, context["run_id"]),
        owner=dag.owner,
        dataset=dag.dag_id,
        detail=f"{context['run_id']}: {CUT_OFF[reason]}",
    )


@hookimpl
def on_new_dag_import_error(filename: str, stacktrace: str) -> None:
    tell_of_broken_file(filename, stacktrace)


@hookimpl
def on_existing_dag_import_error(filename: str, stacktrace: str) -> None:
    """At every further parse: what could not be told before is told now, the rest is folded."""
    tell_of_broken_file(filename, stacktrace)


def tell_of_broken_file(filename: str, stacktrace: str) -> None:
    _raise(broken_file_alert(filename, stacktrace))


def broken_file_alert(filename: str, stacktrace: str) -> Alert:
    """A file has the name of its DAG, so the DAG's next green run ends it."""
    dag_id = Path(filename).stem
    lines = [line.strip() for line in stacktrace.splitlines() if line.strip()]
    return Alert(
        what=FILE_BROKEN,
        severity=Severity.HIGH,
        where=dag_id,
        since=datetime.now(UTC),
        count=1,
        counted="file",
        samples=(),
        runbook=RUNBOOK,
        run_url=run_url(dag_id, None),
        owner=LAKE_OWNER,
        dataset=dag_id,
        detail=f"{Path(filename).name}: {lines[-1] if lines else 'no reason given'}"[:DETAIL_LENGTH],
    )


def _raise(alert: Alert) -> None:
    from eventlake_aws.alerts import raise_alert
    from eventlake_aws.clients import Clients

    raise_alert(Clients.from_settings(SETTINGS), SETTINGS, alert, now=datetime.now(UTC))


def _moment(value: datetime | str) -> datetime:
    """Airflow hands it over as it is, or as text where the context went through JSON."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
