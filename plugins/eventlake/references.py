"""What rows of one table say of another one: each value of a column is one that some other event has brought.

A suite declares them under `meta.references`, which Great Expectations leaves alone; they need rows of other types and
days, so that `close_day` asks for them, and nothing is held. Belongs here: reading them, and which share of values
without a counterpart is too large. Does not belong here: finding the counterparts (`eventlake_aws.day_references`).

Some values never have one: what they refer to happened before the lake, or outside it. Only a share that is larger
than in the same weekdays before is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eventlake.day_checks import DANGLING, DEVIATIONS, FEWEST_WEEKS, Finding, same_weekdays, usual
from eventlake.errors import TerminalError

_TARGET = re.compile(r"(?P<event_type>[a-z0-9_]+)\.(?P<column>[A-Za-z_][A-Za-z0-9_]{0,127})")
_SEVERITIES = ("high", "medium", "low")
# a share this much above the usual one is worth a look, a handful of values is not
_SHARE = 0.05
_FEWEST_VALUES = 20


@dataclass(frozen=True)
class Reference:
    """Values of `column` are values of `to_column` in the table of `to_type`."""

    column: str
    to_type: str
    to_column: str
    severity: str
    why: str


@dataclass(frozen=True)
class ReferenceProfile:
    """One reference on one event day: its different values, those without a counterpart, and uuids of rows with one."""

    table: str
    column: str
    target: str
    day: str
    values: int
    missing: int
    severity: str = "medium"
    samples: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        return self.missing / self.values if self.values else 0.0

    @property
    def name(self) -> tuple[str, str, str]:
        return (self.table, self.column, self.target)


def parse_references(suite: str, document: Any) -> tuple[Reference, ...]:
    """The list under `meta.references` of a suite; raises TerminalError for anything else."""
    meta = document.get("meta") or {}
    listed = meta.get("references", []) if isinstance(meta, Mapping) else meta
    if not isinstance(listed, list):
        raise _refused(suite, listed, 'a list under "meta": {"references": [...]}')
    return tuple(_reference(suite, each) for each in listed)


def _reference(suite: str, document: Any) -> Reference:
    if not isinstance(document, Mapping) or not isinstance(document.get("column"), str):
        raise _refused(suite, document, 'an object such as {"column": "order_id", "to": "payment.order_id", ...}')
    target = _TARGET.fullmatch(str(document.get("to")))
    if target is None:
        raise _refused(suite, document.get("to"), "a type and its column under `to`, such as payment.order_id")
    severity = document.get("severity")
    if severity not in _SEVERITIES:
        raise _refused(suite, f"severity {severity!r}", f"one of {', '.join(_SEVERITIES)}: it alerts and holds nothing")
    return Reference(document["column"], target["event_type"], target["column"], severity, str(document.get("why", "")))


def _refused(suite: str, received: object, valid: str) -> TerminalError:
    return TerminalError(
        f"reading the references of suite {suite}: received {str(received)[:200]}; valid is {valid}; correct the suite"
    )


def findings_of_references(
    profiles: Iterable[ReferenceProfile], earlier: Iterable[ReferenceProfile]
) -> tuple[Finding, ...]:
    """What lacks its counterpart more often than in earlier weeks, the weeks of each reference apart."""
    known = list(earlier)
    found = []
    for profile in profiles:
        weeks = same_weekdays(profile, [other for other in known if other.name == profile.name])
        if len(weeks) < FEWEST_WEEKS or profile.missing < _FEWEST_VALUES:
            continue
        share, deviation = usual([week.share for week in weeks])
        if profile.share > share + max(_SHARE, DEVIATIONS * deviation):
            found.append(_finding(profile, share, len(weeks)))
    return tuple(found)


def _finding(profile: ReferenceProfile, usual_share: float, weeks: int) -> Finding:
    return Finding(
        f"{DANGLING} {profile.column}",
        profile.table,
        profile.severity,
        profile.missing,
        f"{profile.missing} of {profile.values} values of {profile.column} are not in {profile.target}",
        f"about {usual_share:.0%}, as in {weeks} earlier weeks",
        profile.samples,
    )
