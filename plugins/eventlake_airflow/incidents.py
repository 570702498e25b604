"""Incidents that a DAG finds by itself (drift, lifecycle, books): told while they last, closed when they are over.

What belongs in here: filling in what every alert of a run has in common. What does not: folding (eventlake_aws).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from airflow.sdk import get_current_context

from eventlake.alerting import Alert, Severity, incident_key
from eventlake_airflow.failure_alerts import DETAIL_LENGTH, run_url
from eventlake_airflow.schedules import SETTINGS


@dataclass(frozen=True)
class Incident:
    """A kind of trouble that a DAG looks for. `what` holds no number: tomorrow's is the same incident."""

    what: str
    where: str
    dataset: str
    runbook: str

    @property
    def key(self) -> str:
        return incident_key(self.what, self.where, self.dataset)


def tell(
    incident: Incident, severity: Severity, *, count: int, counted: str, detail: str, samples: tuple[str, ...] = ()
) -> None:
    """Raise the incident from the current task."""
    from eventlake_aws.alerts import raise_alert
    from eventlake_aws.clients import Clients

    context = get_current_context()
    run = context["dag_run"]
    alert = Alert(
        what=incident.what,
        severity=severity,
        where=incident.where,
        since=datetime.now(UTC),
        count=count,
        counted=counted,
        samples=samples,
        runbook=incident.runbook,
        run_url=run_url(run.dag_id, run.run_id),
        owner=str(context["task"].owner),
        dataset=incident.dataset,
        detail=detail[:DETAIL_LENGTH],
    )
    raise_alert(Clients.from_settings(SETTINGS), SETTINGS, alert, now=datetime.now(UTC))


def settle(incident: Incident) -> None:
    """Say that it is over, if it was told."""
    from eventlake_aws.alerts import clear_alert
    from eventlake_aws.clients import Clients

    clear_alert(Clients.from_settings(SETTINGS), SETTINGS, incident=incident.key, now=datetime.now(UTC))
