"""The task of `audit_lifecycle`: what is stored against what was declared: a report, and an alert when they differ."""

from __future__ import annotations

import json
import logging
from typing import Any

from airflow.sdk import task

from eventlake.alerting import Severity
from eventlake_airflow.failure_alerts import clear_failure
from eventlake_airflow.incidents import Incident, settle, tell
from eventlake_airflow.load_tasks import aws_clients, now
from eventlake_airflow.notes import note
from eventlake_airflow.schedules import SETTINGS

FINDINGS = Incident("retention is not as declared", "buckets", "lifecycle", "docs/runbooks/lifecycle-finding.md")
# data is kept too long, or nothing says that it ever goes: a promise to people is broken
BREAKING_KINDS = frozenset({"missing_rule", "wrong_rule", "overdue", "no_lifecycle"})
GIBIBYTE = 1024**3
MOST_FINDINGS = 200

log = logging.getLogger(__name__)


@task(on_success_callback=clear_failure)
def audit_retention() -> dict[str, Any]:
    """Every finding is in the log and the answer; the breaking ones alert."""
    from eventlake_aws.retention_audit import audit_lifecycle

    report = audit_lifecycle(aws_clients(), SETTINGS, now=now())
    findings = report["findings"]
    for finding in findings[:MOST_FINDINGS]:
        log.info(json.dumps({"finding": finding}))
    breaking = [finding for finding in findings if finding["kind"] in BREAKING_KINDS]
    if breaking:
        named = [f"{one['kind']} at {one['where']}: {one['actual']}, not {one['expected']}" for one in breaking]
        tell(FINDINGS, Severity.HIGH, count=len(breaking), counted="findings", detail="; ".join(named))
    else:
        settle(FINDINGS)
    stored = f"{report['objects']} objects, {report['bytes'] / GIBIBYTE:.3f} GiB"
    orphans = f", {len(report['orphans'])} orphaned branches" if report["orphans"] else ""
    note(f"Audited {stored}: {len(findings)} findings, {len(breaking)} of them breaking{orphans}.")
    return report | {"findings": findings[:MOST_FINDINGS]}
