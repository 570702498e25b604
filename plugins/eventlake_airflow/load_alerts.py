"""The tasks that tell what a load, a rebuild or a rollup ended like, right after it was decided: Data Docs and alerts.

What belongs in here: handing Airflow's facts to eventlake_aws. Beside the tasks that go on with the run: nothing waits
for them but the gate, so that an alert never waits for rollups or books, and rollups and books never for an alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import TriggerRule, get_current_context, task

from eventlake_airflow.failure_alerts import run_url
from eventlake_airflow.load_tasks import aws_clients, now
from eventlake_airflow.notes import note
from eventlake_airflow.schedules import SETTINGS

# SNS or DynamoDB out for a moment must lose no alert: minutes of tries, the first ones at once
TELLING_RETRIES = 6


@task(
    # also when there was nothing to publish: what was held before may be released, or due to be told again
    trigger_rule=TriggerRule.NONE_FAILED,
    retries=TELLING_RETRIES,
    retry_delay=timedelta(seconds=5),
)
def tell_load(outcome: dict[str, Any] | None) -> dict[str, Any]:
    """Write its Data Docs, alert on what was held or failed, close what is over, remind of what is still held."""
    from eventlake_aws.load_alerts import alert_on_outcome, settle_held_tables

    run = get_current_context()["dag_run"]
    url = run_url(run.dag_id, run.run_id)
    told: dict[str, Any] = {"alerts": 0, "sent": 0, "cleared": 0}
    notes: list[str] = []
    if outcome is not None:
        try:
            # before the alert, which links to it; an alert leaves all the same when it cannot be written
            notes.append(document(outcome, url))
        finally:
            told = alert_on_outcome(aws_clients(), SETTINGS, outcome=outcome, run_url=url, now=now())
    settled = settle_held_tables(aws_clients(), SETTINGS, now=now())
    if told["alerts"]:
        notes.append(
            f"Told: {told['alerts']} alerts, {told['alerts'] - told['sent']} of them folded into earlier ones."
        )
    if notes:
        note("\n".join(notes))
    return told | settled


def document(outcome: Mapping[str, Any], url: str) -> str:
    """The pages of what ended; gives the line for people that says where they are."""
    from eventlake_aws.data_docs import document_outcome

    documented = document_outcome(aws_clients(), SETTINGS, outcome=outcome, run_url=url)
    return f"Data Docs: {documented['data_docs_url']}"


def tell_rebuild(outcome: Any) -> Any:
    """As a load is told."""
    return tell_load.override(task_id="tell_rebuild")(outcome)


def tell_rollups(outcome: Any) -> Any:
    """As a load is told."""
    return tell_load.override(task_id="tell_rollups")(outcome)
