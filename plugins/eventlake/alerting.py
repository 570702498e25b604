"""One incident, one message: what an alert says, and which alerts are the same incident. Never a payload.

Belongs here: the message and the folding rule. Does not belong here: sending it (`eventlake_aws.alerts`), and what a
load has to tell (`load_alerts`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from eventlake.errors import TerminalError
from eventlake.given_reason import says_why

# who runs the lake, and is told of what nobody else owns
LAKE_OWNER = "data-platform"
MOST_SAMPLES = 10
# an incident that lasts is told again after this long, with what was folded meanwhile
REMIND_AFTER = timedelta(hours=24)
# what is muted for longer is not muted, it is forgotten
LONGEST_MUTE = timedelta(days=30)


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


def incident_key(what: str, where: str, dataset: str) -> str:
    """The same kind of trouble at the same place is the same incident, however often it is seen."""
    digest = hashlib.sha256("\n".join((what, where, dataset)).encode()).hexdigest()[:12]
    return f"{dataset}/{digest}"


def runbook_link(base_url: str, runbook: str) -> str:
    """Where a person opens it; without a base, where it lies in the repository."""
    return f"{base_url}{runbook}"


@dataclass(frozen=True)
class Alert:
    """`what` is the kind of trouble and never holds a number, so that tomorrow's alert is known to be the same one.

    `count` is how many `counted` are concerned; `samples` are identities, never a payload. `runbook` is a file of the
    repository; the message has its link. `load_id`: whose landings wait for a person to release them. `data_docs`: the
    page of the validation.
    """

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
    counted: str = "rows"
    why: str = ""
    last_good: str = ""
    load_id: str = ""
    data_docs: str = ""

    def __post_init__(self) -> None:
        if self.since.tzinfo is None:
            raise TerminalError(
                f"making the alert {self.what!r}: received a time without a zone; valid is UTC; pass an aware datetime"
            )

    @property
    def incident(self) -> str:
        return incident_key(self.what, self.where, self.dataset)

    def to_json(self, runbook_base_url: str, opened_at: datetime, folded: int = 0) -> str:
        """The message. Since when: since the incident is open, also where it is told again."""
        return json.dumps(
            {
                "incident": self.incident,
                "state": "open",
                "severity": self.severity.value,
                "what": self.what,
                "where": self.where,
                "since": opened_at.isoformat(),
                "count": self.count,
                "counted": self.counted,
                "samples": list(self.samples[:MOST_SAMPLES]),
                "why": self.why,
                "last_good": self.last_good,
                "load_id": self.load_id,
                "data_docs": self.data_docs,
                "runbook": runbook_link(runbook_base_url, self.runbook),
                "run_url": self.run_url,
                "owner": self.owner,
                "dataset": self.dataset,
                "detail": self.detail,
                "folded": folded,
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
class Mute:
    """A person knows of the incident and does not want to hear of it again before `until`, unless it gets worse."""

    until: datetime
    reason: str
    muted_by: str


@dataclass(frozen=True)
class OpenIncident:
    """What is remembered of an incident that was told and has not cleared. `message`: what was told last;
    `loads`: those whose landings wait for a person.
    """

    incident: str
    severity: Severity
    opened_at: datetime
    told_at: datetime
    folded: int
    what: str
    owner: str
    dataset: str
    message: str = ""
    loads: frozenset[str] = frozenset()
    mute: Mute | None = None

    def reminding_json(self) -> str:
        """What was told last, once more: nobody saw anything new, and it still is so."""
        return json.dumps(json.loads(self.message) | {"since": self.opened_at.isoformat(), "folded": self.folded})

    def closing_json(self, now: datetime) -> str:
        """The message that ends an incident, so that nobody goes on looking."""
        return json.dumps(
            {
                "incident": self.incident,
                "state": "closed",
                "severity": self.severity.value,
                "what": self.what,
                "where": json.loads(self.message)["where"] if self.message else self.dataset,
                "since": self.opened_at.isoformat(),
                "closed_at": now.isoformat(),
                "folded": self.folded,
                "owner": self.owner,
                "dataset": self.dataset,
            }
        )

    @property
    def subject(self) -> str:
        return f"[{self.severity.value}] {self.dataset}: {self.what}".encode("ascii", "replace").decode()[:100]

    @property
    def attributes(self) -> dict[str, str]:
        return {"severity": self.severity.value, "owner": self.owner, "dataset": self.dataset}

    def muting_json(self, mute: Mute) -> str:
        """The message that tells others why they will not hear of it."""
        return json.dumps(
            json.loads(self.closing_json(mute.until))
            | {
                "state": "muted",
                "until": mute.until.isoformat(),
                "reason": mute.reason,
                "muted_by": mute.muted_by,
            }
        )

    def must_remind(self, now: datetime) -> bool:
        """A day after it was told; of a muted one, once the mute is over."""
        return now - self.told_at >= REMIND_AFTER if self.mute is None else now >= self.mute.until


def must_tell(known: OpenIncident | None, alert: Alert, now: datetime) -> bool:
    """New, worse than told, or told too long ago; anything else is folded into the message that left."""
    if known is None:
        return True
    ranks = list(Severity)
    return ranks.index(alert.severity) < ranks.index(known.severity) or known.must_remind(now)


def parse_mute(incident: str, until: str, reason: str, muted_by: str, now: datetime) -> Mute:
    """Raises TerminalError for a mute without an end, or without a reason."""
    doing = f"muting {incident or 'an incident'}"
    try:
        end = datetime.fromisoformat(until)
    except ValueError:
        raise TerminalError(
            f"{doing}: received the end {until!r}; valid is a day or a moment in UTC, such as 2026-12-01 or "
            "2026-12-01T09:00Z"
        ) from None
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    if not now < end <= now + LONGEST_MUTE:
        raise TerminalError(
            f"{doing}: received an end at {end.isoformat()}; valid is one after now and within {LONGEST_MUTE.days} days"
        )
    if not says_why(reason):
        raise TerminalError(f"{doing}: received the reason {reason!r}; valid is a sentence for whoever else is on call")
    return Mute(end, " ".join(reason.split()), muted_by)
