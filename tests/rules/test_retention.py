"""Declared retention against rules and objects; and the template's own rules are the declared ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eventlake.retention import (
    RAW_BUCKET_RETENTION,
    FindingKind,
    Retention,
    StoredObject,
    audit_objects,
    audit_rules,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
BIG = 10**6


def rule(retention: Retention) -> dict[str, Any]:
    made: dict[str, Any] = {
        "Status": "Enabled",
        "Filter": {"Prefix": retention.prefix},
        "Transitions": [
            {"StorageClass": step.storage_class, "Days": step.after_days} for step in retention.transitions
        ],
        "NoncurrentVersionExpiration": {"NoncurrentDays": retention.old_versions_days},
    }
    if retention.expires_after_days is not None:
        made["Expiration"] = {"Days": retention.expires_after_days}
    return made


def rules() -> list[dict[str, Any]]:
    uploads = {"Status": "Enabled", "Prefix": "", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
    return [*(rule(one) for one in RAW_BUCKET_RETENTION), uploads]


def kinds(actual: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(finding.kind.value, finding.where) for finding in audit_rules("b", RAW_BUCKET_RETENTION, actual)]


def test_rules_as_declared_are_fine() -> None:
    assert kinds(rules()) == []


def test_no_rules_at_all_is_one_finding() -> None:
    assert kinds([]) == [("no_lifecycle", "b")]
    assert kinds([one | {"Status": "Disabled"} for one in rules()]) == [("no_lifecycle", "b")]


def test_each_deviation_is_named() -> None:
    actual = rules()
    actual[0]["Expiration"]["Days"] = 30
    del actual[1]
    actual.append({"Status": "Enabled", "Filter": {"And": {"Prefix": "warehouse/"}}, "Expiration": {"Days": 1}})
    assert kinds(actual) == [("wrong_rule", "b/raw/"), ("missing_rule", "b/late/"), ("undeclared_rule", "b/warehouse/")]


@pytest.mark.parametrize(
    ("age_days", "size", "storage_class", "kind"),
    [
        (0, BIG, "STANDARD", None),
        (29, BIG, "STANDARD", None),
        (31, BIG, "STANDARD", None),
        (31, BIG, "STANDARD_IA", None),
        (34, BIG, "STANDARD", FindingKind.OVERDUE),
        (34, 1000, "STANDARD", None),
        (34, BIG, "GLACIER_IR", FindingKind.TOO_COLD),
        (94, BIG, "STANDARD_IA", FindingKind.OVERDUE),
        (94, BIG, "GLACIER_IR", None),
        (94, BIG, "DEEP_ARCHIVE", FindingKind.TOO_COLD),
        (2, BIG, "STANDARD_IA", FindingKind.TOO_COLD),
        (2560, BIG, "GLACIER_IR", FindingKind.OVERDUE),
    ],
)
def test_objects_are_as_old_as_their_class(
    age_days: int, size: int, storage_class: str, kind: FindingKind | None
) -> None:
    stored = StoredObject("raw/x", size, storage_class, NOW - timedelta(days=age_days))
    found = audit_objects("b", RAW_BUCKET_RETENTION, [stored, stored], NOW)
    assert [(finding.kind, finding.count) for finding in found] == ([] if kind is None else [(kind, 2)])


def test_a_folder_nobody_declared_is_named() -> None:
    stored = StoredObject("backup/x", 1, "STANDARD", NOW)
    (finding,) = audit_objects("b", RAW_BUCKET_RETENTION, [stored], NOW)
    assert (finding.kind, finding.where) == (FindingKind.UNDECLARED_PREFIX, "b/backup")
