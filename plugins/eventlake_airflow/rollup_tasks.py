"""The tasks of a rollup: which dates changed since a rollup last looked, rebuild them, publish what was rebuilt.

What belongs in here: handing Airflow's facts to eventlake_aws. The three always run, whether the load before them had
anything to do or not: what a run that died owed its rollups, the next one pays.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from eventlake.load_alerts import ROLLUP
from eventlake_airflow.load_tasks import aws_clients, now
from eventlake_airflow.notes import note
from eventlake_airflow.operators import PlanUnderLeases, StageJob
from eventlake_airflow.published_assets import PUBLISHED_TABLES, announce_published
from eventlake_airflow.schedules import SETTINGS


@task.short_circuit(ignore_downstream_trigger_rules=False, trigger_rule=TriggerRule.NONE_FAILED)
def plan_rollups() -> dict[str, Any] | None:
    """Write down which dates of which rollups to rebuild; none skips the job."""
    from eventlake_aws.rollups import plan_rollups as plan

    run = get_current_context()["dag_run"]
    planned = plan(aws_clients(), SETTINGS, dag_id=run.dag_id, run_id=run.run_id, now=now())
    return None if planned["nothing_to_do"] else planned


def plan_all_rollups() -> PlanUnderLeases:
    """As `plan_rollups`, but what another run is rebuilding is waited for, and not left to the next run: that run may
    have looked before this one published."""

    def plan(context: Context, is_first: bool) -> dict[str, Any]:
        from eventlake_aws.rollups import plan_rollups as plan_and_store

        run = context["dag_run"]
        planned = plan_and_store(
            aws_clients(), SETTINGS, dag_id=run.dag_id, run_id=run.run_id, now=now(), needs_all=True
        )
        if planned["nothing_to_do"] and not planned["leased"]:
            raise AirflowSkipException("no rollup is out of date")
        return planned

    return PlanUnderLeases(task_id="plan_rollups", plan=plan, trigger_rule=TriggerRule.NONE_FAILED)


def stage_rollups(plan: Any) -> StageJob:
    """The Glue job that rebuilds the planned dates on a branch a rollup."""
    return StageJob(task_id="stage_rollups", job_name=SETTINGS.rollup_job, plan=plan)


@task(outlets=[PUBLISHED_TABLES])
def publish_rollups(plan: dict[str, Any], staged: dict[str, str]) -> dict[str, Any]:
    """Publish what the receipt of the awaited run is worth."""
    from eventlake_aws.rollups import publish_rollups as publish

    outcome: dict[str, Any] = publish(
        aws_clients(), SETTINGS, rollup_run_id=plan["rollup_run_id"], job_run_id=staged["job_run_id"], now=now()
    )
    announce_published(plan["rollup_run_id"], {table: outcome["days"].get(table, []) for table in outcome["published"]})
    note(f"Rolled up: {', '.join(sorted(outcome['published'])) or 'nothing changed'}.")
    # as alerts and the gate read it
    return outcome | {"kind": ROLLUP, "load_id": outcome["rollup_run_id"]}
