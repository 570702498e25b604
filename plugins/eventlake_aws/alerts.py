"""Telling people: one SNS message an incident, folded while it lasts, closed when it clears. What to say: `alerting`.

What is remembered of an open incident lies beside the leases: both are small claims that expire.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from eventlake.alerting import (
    LOAD_TROUBLES,
    Alert,
    OpenIncident,
    Severity,
    alerts_of_outcome,
    incident_key,
    must_tell,
)
from eventlake.load_plan import type_of_table
from eventlake.settings import Settings
from eventlake_aws.clients import Clients
from eventlake_aws.definitions_store import current_definitions

_LOG = logging.getLogger(__name__)
# an incident that nobody clears and nobody repeats is forgotten
_FORGET_AFTER = timedelta(days=7)


def raise_alert(clients: Clients, settings: Settings, alert: Alert, *, now: datetime) -> dict[str, Any]:
    """Sends the alert, or folds it into the message that left already. Sent, then noted: a crash may repeat it."""
    known = _read(clients, settings, alert.incident)
    is_told = must_tell(known, alert, now)
    if is_told:
        _send(clients, settings, alert.to_json(), alert.attributes, alert.subject)
    folded = 0 if known is None else known.folded + (0 if is_told else 1)
    _write(
        clients,
        settings,
        OpenIncident(
            alert.incident,
            alert.severity if known is None or is_told else known.severity,
            alert.since if known is None else known.opened_at,
            now if known is None or is_told else known.told_at,
            folded,
            alert.what,
            alert.owner,
            alert.dataset,
        ),
        now,
    )
    answer = {"sent": is_told, "incident": alert.incident, "folded": folded}
    _LOG.info(json.dumps({"decision": "raise_alert", "severity": alert.severity.value} | answer))
    return answer


def clear_alert(clients: Clients, settings: Settings, *, incident: str, now: datetime) -> dict[str, Any]:
    """Says that it is over, if it was open."""
    known = _read(clients, settings, incident)
    if known is None:
        return {"cleared": False, "incident": incident}
    _send(clients, settings, known.closing_json(now), known.attributes, f"[closed] {known.dataset}: {known.what}"[:100])
    clients.dynamodb.delete_item(TableName=settings.leases_table, Key={"lease_name": {"S": _item_name(incident)}})
    return {"cleared": True, "incident": incident}


def alert_on_load(
    clients: Clients, settings: Settings, *, outcome: Mapping[str, Any], run_url: str, now: datetime
) -> dict[str, Any]:
    """Tells what a load's outcome has to tell, and closes the incidents of tables that were published again."""
    definitions = current_definitions(clients, settings)
    tables = {*outcome["held"], *outcome["warnings"], *outcome["published"]}
    owners = {table: definitions.owner_of_type(type_of_table(table) or "") for table in tables}
    known_owners = {table: owner for table, owner in owners.items() if owner is not None}
    alerts = alerts_of_outcome(outcome, known_owners, run_url, now)
    answers = [raise_alert(clients, settings, alert, now=now) for alert in alerts]
    open_now = {alert.incident for alert in alerts}
    cleared = [
        incident
        for table in outcome["published"]
        for incident in (incident_key(what, table, table) for what in LOAD_TROUBLES)
        if incident not in open_now and clear_alert(clients, settings, incident=incident, now=now)["cleared"]
    ]
    return {"alerts": len(alerts), "sent": sum(answer["sent"] for answer in answers), "cleared": len(cleared)}


def _send(clients: Clients, settings: Settings, message: str, attributes: Mapping[str, str], subject: str) -> None:
    clients.sns.publish(
        TopicArn=settings.alerts_topic_arn,
        Message=message,
        Subject=subject,
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    )


def _item_name(incident: str) -> str:
    return f"incident#{incident}"


def _read(clients: Clients, settings: Settings, incident: str) -> OpenIncident | None:
    item = clients.dynamodb.get_item(
        TableName=settings.leases_table, Key={"lease_name": {"S": _item_name(incident)}}, ConsistentRead=True
    ).get("Item")
    if item is None:
        return None
    return OpenIncident(
        incident,
        Severity(item["severity"]["S"]),
        datetime.fromisoformat(item["opened_at"]["S"]),
        datetime.fromisoformat(item["told_at"]["S"]),
        int(item["folded"]["N"]),
        item["what"]["S"],
        item["owner"]["S"],
        item["dataset"]["S"],
    )


def _write(clients: Clients, settings: Settings, incident: OpenIncident, now: datetime) -> None:
    clients.dynamodb.put_item(
        TableName=settings.leases_table,
        Item={
            "lease_name": {"S": _item_name(incident.incident)},
            "severity": {"S": incident.severity.value},
            "opened_at": {"S": incident.opened_at.isoformat()},
            "told_at": {"S": incident.told_at.isoformat()},
            "folded": {"N": str(incident.folded)},
            "what": {"S": incident.what},
            "owner": {"S": incident.owner},
            "dataset": {"S": incident.dataset},
            "expires_at": {"N": str(int((now + _FORGET_AFTER).timestamp()))},
        },
    )
