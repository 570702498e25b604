"""How long what is kept, and where: the declared retention, and what differs from it in configuration and in fact.

The template configures the buckets; this is what it is held against, because a template may be deployed in part, be
changed by hand, or have its properties dropped. Does not belong here: asking S3 (`eventlake_aws.retention_audit`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

# S3 runs its rules once a day and counts from the midnight after; an object is overdue only after that
_GRACE = timedelta(days=3)
# moving an object smaller than this to a colder class costs more than it saves, so S3 does not
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
SMALLEST_TRANSITION_BYTES = 128 * 1024

_WARMTH = (
    "STANDARD",
    "INTELLIGENT_TIERING",
    "STANDARD_IA",
    "ONEZONE_IA",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
)


@dataclass(frozen=True)
class Transition:
    storage_class: str
    after_days: int


@dataclass(frozen=True)
class Retention:
    """What is declared of one prefix. `expires_after_days` None: never by age."""

    prefix: str
    transitions: tuple[Transition, ...]
    expires_after_days: int | None
    old_versions_days: int


_COLDER = (Transition("STANDARD_IA", 30), Transition("GLACIER_IR", 90))
_SEVEN_YEARS = 2555

RAW_BUCKET_RETENTION = (
    Retention("raw/", _COLDER, _SEVEN_YEARS, 30),
    Retention("late/", _COLDER, _SEVEN_YEARS, 30),
    Retention("errors/", _COLDER, _SEVEN_YEARS, 30),
    Retention("decisions/", (Transition("STANDARD_IA", 30),), 365, 30),
    Retention("decisions-errors/", (Transition("STANDARD_IA", 30),), 365, 30),
)
# tables age by Iceberg's own expiry, never by S3: a rule of age would take files out of live snapshots
LAKE_BUCKET_RETENTION = (
    Retention("warehouse/", (), None, 7),
    Retention("control/", (Transition("STANDARD_IA", 90),), _SEVEN_YEARS, 30),
    Retention("data-docs/", (), 365, 7),
)
UNFINISHED_UPLOADS_DAYS = 7


class FindingKind(StrEnum):
    MISSING_RULE = "missing_rule"
    WRONG_RULE = "wrong_rule"
    UNDECLARED_RULE = "undeclared_rule"
    OVERDUE = "overdue"
    TOO_COLD = "too_cold"
    UNDECLARED_PREFIX = "undeclared_prefix"
    NO_LIFECYCLE = "no_lifecycle"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as declared. `count` objects share it."""

    kind: FindingKind
    where: str
    expected: str
    actual: str
    count: int = 1


@dataclass(frozen=True)
class StoredObject:
    key: str
    size_bytes: int
    storage_class: str
    last_modified: datetime


def audit_rules(bucket: str, declared: Sequence[Retention], actual: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Declared retention against a bucket's lifecycle rules, as GetBucketLifecycleConfiguration gives them."""
    rules = {_prefix(rule): rule for rule in actual if rule.get("Status") == "Enabled"}
    if not rules:
        return [Finding(FindingKind.NO_LIFECYCLE, bucket, f"{len(declared) + 1} rules", "no rule that is enabled")]
    findings: list[Finding] = []
    for retention in declared:
        where = f"{bucket}/{retention.prefix}"
        rule = rules.pop(retention.prefix, None)
        if rule is None:
            findings.append(Finding(FindingKind.MISSING_RULE, where, _told(retention), "no enabled rule"))
        elif _retention_of(retention.prefix, rule) != retention:
            told = _told(_retention_of(retention.prefix, rule))
            findings.append(Finding(FindingKind.WRONG_RULE, where, _told(retention), told))
    uploads = rules.pop("", {}).get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")
    if uploads != UNFINISHED_UPLOADS_DAYS:
        expected = f"unfinished uploads end after {UNFINISHED_UPLOADS_DAYS} days"
        findings.append(Finding(FindingKind.WRONG_RULE, bucket, expected, f"after {uploads}"))
    # a rule that nobody declared may delete what nobody meant to lose
    findings += [
        Finding(FindingKind.UNDECLARED_RULE, f"{bucket}/{prefix}", "no rule", _told(_retention_of(prefix, rule)))
        for prefix, rule in sorted(rules.items())
    ]
    return findings


def audit_objects(
    bucket: str, declared: Sequence[Retention], objects: Iterable[StoredObject], now: datetime
) -> list[Finding]:
    """What objects really are against what they should be by their age; one finding for all that share it."""
    counts: dict[tuple[FindingKind, str, str, str], int] = {}
    for stored in objects:
        retention = next((one for one in declared if stored.key.startswith(one.prefix)), None)
        if retention is None:
            top = stored.key.split("/", 1)[0]
            found = (FindingKind.UNDECLARED_PREFIX, f"{bucket}/{top}", "a declared prefix", stored.storage_class)
        else:
            judged = _judge(retention, stored, now)
            if judged is None:
                continue
            found = (judged[0], f"{bucket}/{retention.prefix}", judged[1], judged[2])
        counts[found] = counts.get(found, 0) + 1
    return [Finding(*found, count=number) for found, number in sorted(counts.items())]


def _judge(retention: Retention, stored: StoredObject, now: datetime) -> tuple[FindingKind, str, str] | None:
    age = now - stored.last_modified
    limit = retention.expires_after_days
    if limit is not None and age > timedelta(days=limit) + _GRACE:
        return FindingKind.OVERDUE, f"gone after {limit} days", "still there"
    due = [step.storage_class for step in retention.transitions if age > timedelta(days=step.after_days) + _GRACE]
    allowed = [step.storage_class for step in retention.transitions if age >= timedelta(days=step.after_days)]
    expected = due[-1] if due and stored.size_bytes >= SMALLEST_TRANSITION_BYTES else "STANDARD"
    coldest = allowed[-1] if allowed else "STANDARD"
    if _warmth(stored.storage_class) < _warmth(expected):
        return FindingKind.OVERDUE, expected, stored.storage_class
    if _warmth(stored.storage_class) > _warmth(coldest):
        return FindingKind.TOO_COLD, coldest, stored.storage_class
    return None


def _warmth(storage_class: str) -> int:
    return _WARMTH.index(storage_class) if storage_class in _WARMTH else len(_WARMTH)


def _prefix(rule: Mapping[str, Any]) -> str:
    """A rule's prefix stands in the rule, in its filter, or in a filter that asks for more."""
    found = rule.get("Filter", {})
    found = found.get("And", found)
    return str(found.get("Prefix", rule.get("Prefix", "")))


def _retention_of(prefix: str, rule: Mapping[str, Any]) -> Retention:
    transitions = tuple(
        sorted(
            (
                Transition(step["StorageClass"], int(step["Days"]))
                for step in rule.get("Transitions", [])
                if "Days" in step
            ),
            key=lambda step: step.after_days,
        )
    )
    expires = rule.get("Expiration", {}).get("Days")
    old_versions = rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays", 0)
    return Retention(prefix, transitions, None if expires is None else int(expires), int(old_versions))


def _told(retention: Retention) -> str:
    steps = [f"{step.storage_class} after {step.after_days} days" for step in retention.transitions]
    if retention.expires_after_days is not None:
        steps.append(f"gone after {retention.expires_after_days} days")
    steps.append(f"old versions gone after {retention.old_versions_days} days")
    return ", ".join(steps)
