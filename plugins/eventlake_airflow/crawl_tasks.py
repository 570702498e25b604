"""The last task of `crawl_raw`: what the crawlers saw against the contracts: a report, and an alert when it breaks."""

from __future__ import annotations

import json
import logging
from typing import Any

from airflow.sdk import get_current_context, task

from eventlake.alerting import Severity
from eventlake_airflow.failure_alerts import clear_failure
from eventlake_airflow.incidents import Incident, settle, tell
from eventlake_airflow.load_tasks import aws_clients, now
from eventlake_airflow.notes import note
from eventlake_airflow.schedules import SETTINGS

DRIFT = Incident("raw breaks a contract", "raw", "raw", "docs/runbooks/contract-drift.md")
BREAKING = "breaking"
MOST_LINES = 200

log = logging.getLogger(__name__)


@task(on_success_callback=clear_failure)
def report_drift() -> dict[str, Any]:
    """Breaking drift alerts and leaves the run green: rows that break their contract are in quarantine already."""
    from eventlake_aws.crawl_report import report_crawl
    from eventlake_aws.crawled_catalog import drop_repeated_columns

    log.info(json.dumps({"decision": "drop_repeated_columns", "tables": drop_repeated_columns(aws_clients())}))
    report = report_crawl(aws_clients(), SETTINGS, run_id=get_current_context()["dag_run"].run_id, now=now())
    for line in report["lines"][:MOST_LINES]:
        log.info(json.dumps({"drift": line}))
    for name, patch in report["patches"].items():
        log.info(json.dumps({"contract": name, "patch": patch}))
    breaking = [line for line in report["lines"] if line["severity"] == BREAKING]
    if breaking:
        named = [f"{line['event_type']}.{line['field']} is {line['seen']}, not {line['expected']}" for line in breaking]
        tell(DRIFT, Severity.MEDIUM, count=len(breaking), counted="fields", detail="; ".join(named))
    else:
        settle(DRIFT)
    drift = f"{report['additive']} additive, {report['breaking']} breaking" if report["lines"] else "none"
    note(f"Crawled {report['tables']} event types. Drift against the contracts: {drift}.")
    return report | {"lines": report["lines"][:MOST_LINES]}
