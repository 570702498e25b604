"""The task of `close_day` that looks at the whole day, beside earlier ones: it alerts, and holds nothing.

What belongs in here: handing Airflow's facts to eventlake_aws, and the words for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from airflow.sdk import TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from eventlake.day_checks import Finding
from eventlake_airflow.failure_alerts import run_url
from eventlake_airflow.load_tasks import aws_clients, now
from eventlake_airflow.notes import note
from eventlake_airflow.schedules import SETTINGS


@task(trigger_rule=TriggerRule.NONE_FAILED)
def check_day(day: dict[str, Any]) -> dict[str, Any]:
    """Compare the day with the same weekdays before it. A day that is not over yet has nothing to be compared."""
    from eventlake_aws.day_alerts import tell_findings
    from eventlake_aws.day_profiles import check_day as check

    if not day["closes"]:
        raise AirflowSkipException("the day is not over")
    run = get_current_context()["dag_run"]
    checked = date.fromisoformat(day["day"])
    findings = check(aws_clients(), SETTINGS, day=checked, run_id=run.run_id, now=now())
    if findings:
        note(describe_findings(day["day"], findings))
    if day["recomputes"]:
        # what is found in history is kept in control.day_checks; nobody is woken for it, and no newer trouble closed
        return {"findings": len(findings), "alerts": 0}
    url = run_url(run.dag_id, run.run_id)
    told = tell_findings(aws_clients(), SETTINGS, day=checked, findings=findings, run_url=url, now=now())
    return {"findings": len(findings)} | told


def describe_findings(day: str, findings: Sequence[Finding]) -> str:
    """One line for people: what looks wrong about the day."""
    return f"{day} looks wrong: " + "; ".join(f"{one.table} {one.what} ({one.observed})" for one in findings) + "."
