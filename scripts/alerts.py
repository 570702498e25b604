"""`make alerts`: what arrived in the lake's inbox of alerts, newest last, and what of it is still open. Takes nothing.

Alerts of the lake and alarms of CloudWatch come through one topic, in two forms; here they are told alike. What does
not belong here: what an alert says (eventlake.alerting).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import boto3

from eventlake.settings import Settings
from laptop import entry
from laptop.home import Home
from laptop.programs import adopt
from send import require_up

# while they are read, nobody else gets them; afterwards they are given back
READING_SECONDS = 60
MOST_A_CALL = 10
SHOWN_SAMPLES = 3


@dataclass(frozen=True)
class Arrived:
    """One message. `lines`: what there is to know beside its head."""

    at: datetime
    incident: str
    state: str
    severity: str
    what: str
    where: str
    lines: tuple[str, ...]


def main() -> int:
    home = Home.from_env(os.environ)
    require_up(home)
    adopt(home.read_env())
    settings = Settings.from_env(os.environ)
    print("\n".join(as_text(arrived(boto3.client("sqs"), settings))))
    return 0


def arrived(sqs: Any, settings: Settings) -> list[Arrived]:
    """Every message of the inbox, the newest last; all of them stay in it."""
    url = sqs.get_queue_url(QueueName=settings.alerts_inbox_queue)["QueueUrl"]
    received: dict[str, dict[str, Any]] = {}
    try:
        while messages := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=MOST_A_CALL, VisibilityTimeout=READING_SECONDS, WaitTimeSeconds=1
        ).get("Messages"):
            received |= {message["MessageId"]: message for message in messages}
    finally:
        for message in received.values():
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    told = [read_message(json.loads(message["Body"]), settings) for message in received.values()]
    return sorted(told, key=lambda one: one.at)


def read_message(envelope: dict[str, Any], settings: Settings) -> Arrived:
    at, body = datetime.fromisoformat(envelope["Timestamp"]), json.loads(envelope["Message"])
    return _alarm(at, body, settings) if "AlarmName" in body else _alert(at, body)


def _alert(at: datetime, body: dict[str, Any]) -> Arrived:
    count = f"{body['count']:,} {body['counted']}" if body.get("count") else ""
    samples = body.get("samples", [])
    named = f"such as {', '.join(samples[:SHOWN_SAMPLES])}" if samples else ""
    more = f"told {body['folded']} times more" if body.get("folded") else ""
    told = {
        "since": ", ".join(text for text in (body["since"], count, named, more) if text),
        "incident": body["incident"],
        "until": body.get("until"),
        "reason": body.get("reason"),
        "muted by": body.get("muted_by"),
        "detail": body.get("detail"),
        "why": body.get("why"),
        "readers see": body.get("last_good"),
        "load": body.get("load_id"),
        "data docs": body.get("data_docs"),
        "owner": body["owner"],
        "runbook": body.get("runbook"),
        "run": body.get("run_url"),
    }
    lines = tuple(f"{name:<12} {text}" for name, text in told.items() if text)
    return Arrived(at, body["incident"], body["state"], body["severity"], body["what"], body["where"], lines)


def _alarm(at: datetime, body: dict[str, Any], settings: Settings) -> Arrived:
    what, _, runbook = body["AlarmDescription"].partition("; runbook ")
    lines = (f"{'since':<12} {body['StateChangeTime']}", f"{'runbook':<12} {runbook}")
    state = "open" if body["NewStateValue"] == "ALARM" else "closed"
    where = body["AlarmName"].removeprefix(f"{settings.prefix}-")
    return Arrived(at, body["AlarmName"], state, "alarm", what, where, lines)


def as_text(messages: Iterable[Arrived]) -> list[str]:
    told: list[str] = []
    states: dict[str, str] = {}
    for one in messages:
        states[one.incident] = one.state
        told.append(f"{one.at:%Y-%m-%d %H:%M:%S}Z  {one.state:<6}  {one.severity:<8}  {one.what}: {one.where}")
        told += [f"    {line}" for line in one.lines] if one.state != "closed" else []
    still_open = sum(state != "closed" for state in states.values())
    return [*told, f"({still_open} open of {len(states)} incidents)" if states else "no alert has arrived"]


if __name__ == "__main__":
    entry.run(main)
