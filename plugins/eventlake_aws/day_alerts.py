"""Telling what was found in a whole day, to the owners of its tables, and closing what is not found any more.

Does not belong here: finding it (`day_profiles`), folding and sending (`alerts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from eventlake.alerting import Alert, Severity
from eventlake.day_checks import Finding, is_of_a_day
from eventlake.settings import Settings
from eventlake_aws.alerts import clear_alert, open_incidents, raise_alert
from eventlake_aws.clients import Clients
from eventlake_aws.definitions_store import current_definitions

RUNBOOK = "docs/runbooks/day-looks-wrong.md"


def tell_findings(
    clients: Clients, settings: Settings, *, day: date, findings: Sequence[Finding], run_url: str, now: datetime
) -> dict[str, Any]:
    """One alert a kind of trouble and table. A day that looks right closes what an earlier one opened."""
    definitions = current_definitions(clients, settings)
    alerts = [
        Alert(
            what=one.what,
            severity=Severity(one.severity),
            where=one.table,
            since=now,
            count=one.rows,
            counted="rows",
            samples=one.samples,
            runbook=RUNBOOK,
            run_url=run_url,
            owner=definitions.owner_of_table(one.table),
            dataset=one.table,
            detail=f"{day.isoformat()}: {one.observed}; usual is {one.expected}",
        )
        for one in findings
    ]
    sent = sum(raise_alert(clients, settings, alert, now=now)["sent"] for alert in alerts)
    found = {alert.incident for alert in alerts}
    over = [
        incident.incident
        for incident in open_incidents(clients, settings)
        if is_of_a_day(incident.what) and incident.incident not in found
    ]
    for incident in over:
        clear_alert(clients, settings, incident=incident, now=now)
    return {"alerts": len(alerts), "sent": sent, "cleared": len(over)}
