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
SEVERITIES = (BREAKING, "additive", "notice")
MISSING = "missing_field"
MOST_LINES = 200

log = logging.getLogger(__name__)


@task(on_success_callback=clear_failure)
def report_drift() -> dict[str, Any]:
    """Breaking drift alerts and leaves the run green: rows that break their contract are in quarantine already."""
    from eventlake_aws.crawl_report import report_crawl
    from eventlake_aws.crawled_catalog import drop_repeated_columns

    log.info(json.dumps({"decision": "drop_repeated_columns", "tables": drop_repeated_columns(aws_clients())}))
    report = report_crawl(aws_clients(), SETTINGS, run_id=get_current_context()["dag_run"].run_id, now=now())
    # the worst first: the log and the answer hold so many, control.crawls holds all
    lines = sorted(report["lines"], key=lambda line: SEVERITIES.index(line["severity"]))
    for line in lines[:MOST_LINES]:
        log.info(json.dumps({"drift": line}))
    for name, uri in report["patches"].items():
        log.info(json.dumps({"contract": name, "patch": uri}))
    for name, reason in report["left_out"].items():
        log.info(json.dumps({"field": name, "no_patch": reason}))
    breaking = [line for line in lines if line["severity"] == BREAKING]
    if breaking:
        tell(DRIFT, Severity.MEDIUM, count=len(breaking), counted="fields", detail="; ".join(map(_in_words, breaking)))
    else:
        settle(DRIFT)
    note(_summary(report))
    return report | {"lines": lines[:MOST_LINES]}


def _in_words(line: dict[str, Any]) -> str:
    field = f"{line['event_type']}/{line['event_subtype']} {line['field']}"
    if line["kind"] == MISSING:
        return f"{field} did not come, {line['expected']}"
    return f"{field} is {line['seen']}, not {line['expected']}"


def _summary(report: dict[str, Any]) -> str:
    """The run's note. The patches of a run lie in one folder, so one of their addresses says where all are."""
    drift = f"{report['additive']} additive, {report['breaking']} breaking" if report["lines"] else "none"
    text = f"Crawled; {report['tables']} event types came in the last days. Drift against the contracts: {drift}."
    if report["patches"]:
        name, uri = next(iter(report["patches"].items()))
        text += (
            f" Patches of {len(report['patches'])} contracts: make contract PATCH={uri.removesuffix(f'{name}.json')}"
        )
    return text
