"""Telling people: one SNS message an incident, folded while it lasts, closed when it clears. What to say: `alerting`.

What is remembered of an open incident lies beside the leases: both are small claims that expire. Does not belong here:
what a load has to tell (`load_alerts`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from eventlake.alerting import Alert, Mute, OpenIncident, Severity, must_tell, parse_mute
from eventlake.errors import TerminalError
from eventlake.given_reason import NOBODY_NAMED
from eventlake.settings import Settings
from eventlake_aws.clients import Clients

_LOG = logging.getLogger(__name__)
# an incident that nobody clears and nobody repeats is forgotten
_FORGET_AFTER = timedelta(days=7)


def raise_alert(clients: Clients, settings: Settings, alert: Alert, *, now: datetime) -> dict[str, Any]:
    """Sends the alert, or folds it into the message that left already. Sent, then noted: a crash may repeat it."""
    known = _read(clients, settings, alert.incident)
    is_told = must_tell(known, alert, now)
    opened_at = alert.since if known is None else known.opened_at
    # a task that is tried again tells of the same load once more, and that is no second time
    is_news = known is not None and not is_told and alert.load_id not in known.loads
    folded = 0 if known is None else known.folded + is_news
    message = alert.to_json(settings.runbook_base_url, opened_at, folded)
    if is_told:
        _send(clients, settings, message, alert.attributes, alert.subject)
    _write(
        clients,
        settings,
        OpenIncident(
            alert.incident,
            alert.severity if known is None or is_told else known.severity,
            opened_at,
            now if known is None or is_told else known.told_at,
            folded,
            alert.what,
            alert.owner,
            alert.dataset,
            message if known is None or is_told else known.message,
            frozenset({alert.load_id} - {""}) | (frozenset() if known is None else known.loads),
            # who mutes, mutes what he knows of: what is told again is not muted any more
            None if known is None or is_told else known.mute,
        ),
        now,
    )
    answer = {"sent": is_told, "incident": alert.incident, "folded": folded}
    _LOG.info(json.dumps({"decision": "raise_alert", "severity": alert.severity.value} | answer))
    return answer


def remind(clients: Clients, settings: Settings, incident: OpenIncident, *, now: datetime) -> bool:
    """Tells once more, once a day, what is still so though nobody saw it anew."""
    if not incident.must_remind(now):
        return False
    _send(clients, settings, incident.reminding_json(), incident.attributes, incident.subject)
    _write(clients, settings, replace(incident, told_at=now, mute=None), now)
    _LOG.info(json.dumps({"decision": "remind", "incident": incident.incident}))
    return True


def open_incidents(clients: Clients, settings: Settings) -> list[OpenIncident]:
    """All that was told and has not cleared."""
    pages = clients.dynamodb.get_paginator("scan").paginate(
        TableName=settings.leases_table,
        FilterExpression="begins_with(lease_name, :prefix)",
        ExpressionAttributeValues={":prefix": {"S": _item_name("")}},
        ConsistentRead=True,
    )
    return [_incident_of(item) for page in pages for item in page["Items"]]


def clear_alert(clients: Clients, settings: Settings, *, incident: str, now: datetime) -> dict[str, Any]:
    """Says that it is over, if it was open."""
    known = _read(clients, settings, incident)
    if known is None:
        return {"cleared": False, "incident": incident}
    _send(clients, settings, known.closing_json(now), known.attributes, f"[closed] {known.dataset}: {known.what}"[:100])
    clients.dynamodb.delete_item(TableName=settings.leases_table, Key={"lease_name": {"S": _item_name(incident)}})
    return {"cleared": True, "incident": incident}


def mute_incident(
    clients: Clients, settings: Settings, *, incident: str, until: str, reason: str, muted_by: str, now: datetime
) -> dict[str, Any]:
    """Nobody hears of it before `until`, unless it gets worse or is over; everybody hears why."""
    mute = parse_mute(incident, until, reason, muted_by, now)
    known = _read(clients, settings, incident)
    if known is None:
        open_now = ", ".join(sorted(one.incident for one in open_incidents(clients, settings))) or "none"
        raise TerminalError(f"muting {incident or 'an incident'}: it is not open; valid is one that is: {open_now}")
    _send(clients, settings, known.muting_json(mute), known.attributes, f"[muted] {known.dataset}: {known.what}"[:100])
    _write(clients, settings, replace(known, mute=mute), now)
    _LOG.info(
        json.dumps({"decision": "mute", "incident": incident, "until": mute.until.isoformat(), "muted_by": muted_by})
    )
    return {"incident": incident, "until": mute.until.isoformat(), "what": known.what, "dataset": known.dataset}


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
    return None if item is None else _incident_of(item)


def _incident_of(item: Mapping[str, Any]) -> OpenIncident:
    return OpenIncident(
        item["lease_name"]["S"].removeprefix(_item_name("")),
        Severity(item["severity"]["S"]),
        datetime.fromisoformat(item["opened_at"]["S"]),
        datetime.fromisoformat(item["told_at"]["S"]),
        int(item["folded"]["N"]),
        item["what"]["S"],
        item["owner"]["S"],
        item["dataset"]["S"],
        item.get("message", {}).get("S", ""),
        frozenset(item.get("loads", {}).get("SS", ())),
        _mute_of(item),
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
            "message": {"S": incident.message},
            # DynamoDB has no empty set
            **({"loads": {"SS": sorted(incident.loads)}} if incident.loads else {}),
            **_muted(incident.mute),
            "expires_at": {"N": str(int((_remembered_from(incident, now) + _FORGET_AFTER).timestamp()))},
        },
    )


def _mute_of(item: Mapping[str, Any]) -> Mute | None:
    if "muted_until" not in item:
        return None
    # whoever muted before names were kept
    muted_by = item.get("muted_by", {"S": NOBODY_NAMED})["S"]
    return Mute(datetime.fromisoformat(item["muted_until"]["S"]), item["mute_reason"]["S"], muted_by)


def _muted(mute: Mute | None) -> dict[str, Any]:
    if mute is None:
        return {}
    texts = {"muted_until": mute.until.isoformat(), "mute_reason": mute.reason, "muted_by": mute.muted_by}
    return {name: {"S": text} for name, text in texts.items()}


def _remembered_from(incident: OpenIncident, now: datetime) -> datetime:
    return now if incident.mute is None else max(now, incident.mute.until)
