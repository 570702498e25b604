"""One incident, one message: what an alert says, and which alerts are the same incident. Never a payload.

Belongs here: the message and the folding rule. Does not belong here: sending it (`eventlake_aws.alerts`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from eventlake.errors import TerminalError

MOST_SAMPLES = 10
# an incident that lasts is told again after this long, with what was folded meanwhile
REMIND_AFTER = timedelta(hours=24)

LOAD_HELD = "load held by the quality gate"
MEDIUM_FAILED = "published with failed medium expectations"
# what a good load of the same table clears
LOAD_TROUBLES = (LOAD_HELD, MEDIUM_FAILED)


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


def incident_key(what: str, where: str, dataset: str) -> str:
    """The same kind of trouble at the same place is the same incident, however often it is seen."""
    digest = hashlib.sha256("\n".join((what, where, dataset)).encode()).hexdigest()[:12]
    return f"{dataset}/{digest}"


@dataclass(frozen=True)
class Alert:
    """`what` is the kind of trouble and never holds a number, so that tomorrow's alert is known to be the same one."""

    what: str
    severity: Severity
    where: str
    since: datetime
    count: int
    samples: tuple[str, ...]
    runbook: str
    run_url: str
    owner: str
    dataset: str
    detail: str = ""

    def __post_init__(self) -> None:
        if self.since.tzinfo is None:
            raise TerminalError(
                f"making the alert {self.what!r}: received a time without a zone; valid is UTC; pass an aware datetime"
            )

    @property
    def incident(self) -> str:
        return incident_key(self.what, self.where, self.dataset)

    def to_json(self) -> str:
        return json.dumps(
            {
                "incident": self.incident,
                "state": "open",
                "severity": self.severity.value,
                "what": self.what,
                "where": self.where,
                "since": self.since.isoformat(),
                "count": self.count,
                "samples": list(self.samples[:MOST_SAMPLES]),
                "runbook": self.runbook,
                "run_url": self.run_url,
                "owner": self.owner,
                "dataset": self.dataset,
                "detail": self.detail,
            }
        )

    @property
    def subject(self) -> str:
        """SNS takes 100 characters of ASCII."""
        text = f"[{self.severity.value}] {self.dataset}: {self.what}"
        return text.encode("ascii", "replace").decode()[:100]

    @property
    def attributes(self) -> dict[str, str]:
        return {"severity": self.severity.value, "owner": self.owner, "dataset": self.dataset}


@dataclass(frozen=True)
class OpenIncident:
    """What is remembered of an incident that was told and has not cleared."""

    incident: str
    severity: Severity
    opened_at: datetime
    told_at: datetime
    folded: int
    what: str
    owner: str
    dataset: str

    def closing_json(self, now: datetime) -> str:
        """The message that ends an incident, so that nobody goes on looking."""
        return json.dumps(
            {
                "incident": self.incident,
                "state": "closed",
                "severity": self.severity.value,
                "what": self.what,
                "since": self.opened_at.isoformat(),
                "closed_at": now.isoformat(),
                "folded": self.folded,
                "owner": self.owner,
                "dataset": self.dataset,
            }
        )

    @property
    def attributes(self) -> dict[str, str]:
        return {"severity": self.severity.value, "owner": self.owner, "dataset": self.dataset}


def must_tell(known: OpenIncident | None, alert: Alert, now: datetime) -> bool:
    """New, worse than told, or told too long ago; anything else is folded into the message that left."""
    if known is None:
        return True
    ranks = list(Severity)
    return ranks.index(alert.severity) < ranks.index(known.severity) or now - known.told_at >= REMIND_AFTER


def alerts_of_outcome(
    outcome: Mapping[str, Any], owners: Mapping[str, str], run_url: str, since: datetime
) -> tuple[Alert, ...]:
    """What a load's outcome has to tell: held tables, and published ones with a medium failure."""
    alerts = [
        Alert(
            what=LOAD_HELD,
            severity=Severity.HIGH,
            where=table,
            since=since,
            count=len(reasons),
            samples=(),
            runbook="docs/runbooks/load-held.md",
            run_url=run_url,
            owner=owners.get(table, "data-platform"),
            dataset=table,
            detail=f"load {outcome['load_id']}: {'; '.join(reasons)}"[:1000],
        )
        for table, reasons in sorted(outcome["held"].items())
    ]
    alerts += [
        Alert(
            what=MEDIUM_FAILED,
            severity=Severity.MEDIUM,
            where=table,
            since=since,
            count=len(warnings),
            samples=(),
            runbook="docs/runbooks/load-held.md",
            run_url=run_url,
            owner=owners.get(table, "data-platform"),
            dataset=table,
            detail="; ".join(warnings)[:1000],
        )
        for table, warnings in sorted(outcome["warnings"].items())
        if warnings
    ]
    return tuple(alerts)
