"""The tasks of a load, as DAGs string them together: plan, stage, publish, roll up, and the gate that ends a run.

What belongs in here: handing Airflow's facts (run, clock, XCom) to eventlake_aws, and a note about its answer; no rule.
eventlake_aws is imported inside the tasks: it brings PyIceberg, which no parse of a DAG should pay for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from eventlake.errors import TerminalError
from eventlake.load_plan import LoadKind
from eventlake_airflow.failure_alerts import clear_failure
from eventlake_airflow.notes import note
from eventlake_airflow.operators import PlanUnderLeases, StageJob
from eventlake_airflow.published_assets import PUBLISHED_TABLES, announce_published
from eventlake_airflow.schedules import SETTINGS

if TYPE_CHECKING:
    from eventlake_aws.clients import Clients

PLANNING_TASKS = ("plan_load", "plan_rebuild", "plan_release")
BLAMED_STATES = ("failed", "upstream_failed")


def aws_clients() -> Clients:
    from eventlake_aws.clients import Clients

    return Clients.from_settings(SETTINGS)


def now() -> datetime:
    """The clock, read at the door and handed down."""
    return datetime.now(UTC)


@task.short_circuit(ignore_downstream_trigger_rules=False)
def plan_load(areas: Sequence[str]) -> dict[str, Any] | None:
    """Write down what this run will load; nothing waiting skips the job and leaves the run green."""
    from eventlake_aws.load_steps import plan_and_store_load

    run = get_current_context()["dag_run"]
    plan = plan_and_store_load(aws_clients(), SETTINGS, dag_id=run.dag_id, run_id=run.run_id, areas=areas, now=now())
    note(describe_load(plan, areas))
    return None if plan["nothing_to_do"] else plan


def plan_whole_load(areas: Sequence[str]) -> PlanUnderLeases:
    """As `plan_load`, of everything that waits: what another writer has is waited for, and not left to the next run."""

    def plan(context: Context, is_first: bool) -> dict[str, Any]:
        from eventlake_aws.load_steps import plan_and_store_load

        run = context["dag_run"]
        planned = plan_and_store_load(
            aws_clients(), SETTINGS, dag_id=run.dag_id, run_id=run.run_id, areas=areas, now=now(), needs_all=True
        )
        if planned["leased"]:
            return planned
        note(describe_load(planned, areas))
        if planned["nothing_to_do"]:
            raise AirflowSkipException("nothing is to be loaded")
        return planned

    return PlanUnderLeases(task_id="plan_load", plan=plan)


def describe_load(plan: Mapping[str, Any], areas: Sequence[str]) -> str:
    """One line for people: what a load takes, and what it leaves."""
    if plan["nothing_to_do"]:
        leased = f"; leased elsewhere: {', '.join(plan['leased_types'])}" if plan["leased_types"] else ""
        return f"Nothing to load: no landing waits in {', '.join(areas)}{leased}."
    left = f", {plan['left_waiting']} left for the next run" if plan["left_waiting"] else ""
    return f"Load {plan['load_id']}: {plan['landings']} landings into {plan['tables']} tables{left}."


def stage_load(plan: Any, task_id: str = "stage_load") -> StageJob:
    """The Glue job that reads the plan's objects and stages a branch a table."""
    return StageJob(
        task_id=task_id,
        job_name=SETTINGS.load_job,
        plan=plan,
        plan_arguments=("load_id", "plan_uri", "receipt_prefix"),
        arguments={"--raw_bucket": SETTINGS.raw_bucket},
    )


@task(outlets=[PUBLISHED_TABLES])
def publish_load(plan: dict[str, Any], staged: dict[str, str]) -> dict[str, Any]:
    """Publish what the receipt of the awaited run is worth; hold the rest. No receipt, no success."""
    from eventlake_aws.publish_load import publish_load as publish

    outcome = publish(aws_clients(), SETTINGS, load_id=plan["load_id"], job_run_id=staged["job_run_id"], now=now())
    announce_published(outcome["load_id"], {table: outcome["days"].get(table, []) for table in outcome["published"]})
    note(describe_outcome(outcome))
    return outcome


def describe_outcome(outcome: Mapping[str, Any]) -> str:
    """One line for people: what became of a load."""
    published: Mapping[str, int] = outcome["published"]
    if outcome.get("kind") == LoadKind.REBUILD:
        parts = [describe_diffs(outcome["diffs"])]
    else:
        parts = [f"{sum(published.values())} rows into {len(published)} tables"] if published else ["nothing changed"]
    parts += [f"{outcome[name]} {name}" for name in ("duplicates", "quarantined") if outcome[name]]
    parts += [f"held: {', '.join(sorted(outcome['held']))}"] if outcome["held"] else []
    parts += [f"failed: {', '.join(sorted(outcome['failed']))}"] if outcome["failed"] else []
    parts += [f"to be staged again by the next run: {', '.join(outcome['stale'])}"] if outcome["stale"] else []
    return f"Published: {'; '.join(parts)}. Receipt: {outcome['receipt_uri']}"


def describe_diffs(diffs: Mapping[str, Mapping[str, Any]]) -> str:
    """Rows that a rebuild added, removed, changed and moved, table by table; those that are as they were by number."""
    told = []
    for table, diff in sorted(diffs.items()):
        counts = [
            f"{sign}{diff[name]}" for name, sign in (("added", "+"), ("removed", "-"), ("changed", "~")) if diff[name]
        ]
        counts += [f"{rows} to {other}" for other, rows in sorted(diff["departed"].items())]
        if counts:
            told.append(f"{table} {' '.join(counts)} on {len(diff['days'])} days")
    as_it_was = len(diffs) - len(told)
    return "; ".join([*told, f"{as_it_was} tables as they were"] if as_it_was or not told else told)


@task(
    trigger_rule=TriggerRule.ALL_DONE,
    # what failed before has told so itself, and what was held was told right after it was: no third message
    on_failure_callback=None,
    on_success_callback=clear_failure,
)
def require_quality(*outcomes: dict[str, Any] | None) -> None:
    """The last leaf: red when anything was held or any task before it failed, so that the run is red too.

    It takes nothing from `plan_load` directly: a short circuit skips its direct followers, whatever their trigger rule.
    """
    from eventlake_aws.load_steps import abandon_load
    from eventlake_aws.rollups import abandon_rollups

    context = get_current_context()
    run = context["dag_run"]
    ended = [outcome for outcome in outcomes if outcome is not None]
    for plan in (context["ti"].xcom_pull(task_ids=task_id) for task_id in PLANNING_TASKS):
        if plan is not None and plan["load_id"] not in {outcome["load_id"] for outcome in ended}:
            abandon_load(aws_clients(), SETTINGS, load_id=plan["load_id"])
    rollups = context["ti"].xcom_pull(task_ids="plan_rollups")
    if rollups is not None and rollups["rollup_run_id"] not in {outcome["load_id"] for outcome in ended}:
        abandon_rollups(aws_clients(), SETTINGS, rollup_run_id=rollups["rollup_run_id"])
    trouble: dict[str, list[str]] = {}
    for outcome in ended:
        is_rebuild = outcome.get("kind") == LoadKind.REBUILD
        trouble.setdefault("held tables", []).extend(sorted(outcome["held"]))
        trouble.setdefault("failed tables", []).extend(sorted(outcome["failed"]))
        # landings that a load could not publish wait for the next one; nobody asks for a rebuild again by himself
        overtaken = outcome["stale"] if is_rebuild else []
        trouble.setdefault("tables that somebody wrote while they were rebuilt", []).extend(overtaken)
    trouble["failed tasks"] = failed_tasks(context["ti"], run.dag_id, run.run_id)
    if received := describe_trouble(trouble):
        note(f"Red: {received}.")
        raise TerminalError(
            f"ending the run: received {received}; valid is none of it; all other tables are published; held: "
            "docs/runbooks/load-held.md; failed: docs/runbooks/load-failed.md, the next run tries again; a rebuild "
            "does when you clear plan_rebuild"
        )


def describe_trouble(trouble: Mapping[str, Sequence[str]]) -> str:
    return " and ".join(f"{what} {', '.join(names)}" for what, names in trouble.items() if names)


def failed_tasks(instance: Any, dag_id: str, run_id: str) -> list[str]:
    """Tasks of this run that failed; those that could not run for it only when nothing else is to blame."""
    states: Mapping[str, str] = instance.get_task_states(dag_id=dag_id, run_ids=[run_id]).get(run_id, {})
    others = {name: state for name, state in states.items() if name != instance.task_id}
    for blamed in BLAMED_STATES:
        failed = sorted(name for name, state in others.items() if state == blamed)
        if failed:
            return failed
    return []
