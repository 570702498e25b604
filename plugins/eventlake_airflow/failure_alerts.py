"""The alert that leaves when a task has failed for good, and the word that it is over when the DAG works again.

What belongs in here: turning Airflow's context into an Alert. What does not: folding and sending (eventlake_aws).
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from airflow.sdk import Context, conf

from eventlake.alerting import Alert, Severity, incident_key
from eventlake.exception_words import quoted_or_named
from eventlake_airflow.notes import NOTE_KEY
from eventlake_airflow.schedules import SETTINGS

TASK_FAILED = "task failed"
RUN_LATE = "run late"
RUN_CUT_OFF = "run cut off"
FILE_BROKEN = "DAG file does not parse"
# what a green run of the DAG puts an end to
TROUBLES_OF_A_DAG = (TASK_FAILED, RUN_LATE, RUN_CUT_OFF, FILE_BROKEN)
RUNBOOK = "docs/runbooks/dag-failed.md"
DETAIL_LENGTH = 1000


def alert_of_failure(context: Context) -> None:
    """`on_failure_callback` of every task: all failures of a DAG are one incident until a run of it is green."""
    from eventlake_aws.alerts import raise_alert
    from eventlake_aws.clients import Clients

    alert = failure_alert(context)
    raise_alert(Clients.from_settings(SETTINGS), SETTINGS, alert, now=datetime.now(UTC))
    # last: for a task whose process was killed, Airflow calls this where no XCom can be left
    context["ti"].xcom_push(key=NOTE_KEY, value=f"Failed: {alert.detail}")


def clear_failure(context: Context) -> None:
    """`on_success_callback` of the last task of a DAG: whatever of it failed before is over."""
    from eventlake_aws.alerts import clear_alert
    from eventlake_aws.clients import Clients

    dag_id, clients = context["ti"].dag_id, Clients.from_settings(SETTINGS)
    for what in TROUBLES_OF_A_DAG:
        clear_alert(clients, SETTINGS, incident=incident_key(what, dag_id, dag_id), now=datetime.now(UTC))


def run_url(dag_id: str, run_id: str | None) -> str:
    """Where the UI shows the run; without a run, its DAG."""
    base = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    return f"{base}/dags/{dag_id}" + (f"/runs/{quote(run_id, safe='')}" if run_id else "")


def failure_alert(context: Context) -> Alert:
    """What a failed task has to tell. Severity follows the tier of its DAG."""
    instance = context["ti"]
    is_first_tier = "tier:1" in context["dag"].tags
    return Alert(
        what=TASK_FAILED,
        severity=Severity.HIGH if is_first_tier else Severity.MEDIUM,
        where=instance.dag_id,
        since=getattr(instance, "start_date", None) or datetime.now(UTC),
        count=1,
        counted="task",
        samples=(),
        runbook=RUNBOOK,
        run_url=run_url(instance.dag_id, instance.run_id),
        owner=str(context["task"].owner),
        dataset=instance.dag_id,
        detail=f"{instance.task_id}: {_said(context.get('exception'))}"[:DETAIL_LENGTH],
    )


def _said(exception: BaseException | str | None) -> str:
    """Airflow hands on the exception, or a text of its own."""
    if isinstance(exception, BaseException):
        return quoted_or_named(exception)
    return exception or "its process ended without a word"
