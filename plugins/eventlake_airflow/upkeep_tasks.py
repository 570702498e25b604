"""The tasks that keep tables fit: days in many small files written again, and what a table may forget forgotten.

What belongs in here: handing Airflow's facts to eventlake_aws, and a note about its answer; no rule. Upkeep stands
beside a day's loads, rollups and books: nobody waits for it, and none of them fails with it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param, TriggerRule, get_current_context, task

from eventlake.errors import TerminalError
from eventlake_airflow.load_tasks import aws_clients, now
from eventlake_airflow.notes import note
from eventlake_airflow.operators import StageJob
from eventlake_airflow.schedules import SETTINGS

RUN, DRY_RUN, SKIP = "run", "dry run", "skip"
UPKEEP_PARAMS = {
    "upkeep": Param(
        RUN,
        enum=[RUN, DRY_RUN, SKIP],
        title="Upkeep of the tables",
        description="Compaction, expiry of snapshots, orphaned files. A dry run only says what it would do.",
    ),
}
MEBIBYTE = 1024**2
MOST_NAMED = 5

log = logging.getLogger(__name__)


@task.short_circuit(ignore_downstream_trigger_rules=False, trigger_rule=TriggerRule.NONE_FAILED)
def plan_compaction(upkeep: str) -> dict[str, Any] | None:
    """Write down which days lie in so many small files that writing them again pays; none skips the job."""
    from eventlake_aws.compact_tables import plan_and_store_compaction

    if upkeep == SKIP:
        return None
    run = get_current_context()["dag_run"]
    plan = plan_and_store_compaction(
        aws_clients(), SETTINGS, dag_id=run.dag_id, run_id=run.run_id, dry_run=upkeep == DRY_RUN, now=now()
    )
    if plan["entries"] or upkeep == DRY_RUN:
        note(describe_compaction(plan, upkeep == DRY_RUN))
    return None if plan["nothing_to_do"] or upkeep == DRY_RUN else plan


def stage_compaction(plan: Any) -> StageJob:
    """The Glue job that writes the planned days again on a branch a table."""
    return StageJob(task_id="stage_compaction", job_name=SETTINGS.compaction_job, plan=plan)


@task
def publish_compaction(plan: dict[str, Any], staged: dict[str, str]) -> dict[str, Any]:
    """Publish what holds the same rows; a table that somebody wrote meanwhile is left for the next day."""
    from eventlake_aws.compact_tables import publish_compaction as publish

    outcome: dict[str, Any] = publish(
        aws_clients(), SETTINGS, compaction_id=plan["compaction_id"], job_run_id=staged["job_run_id"], now=now()
    )
    stale = f"; left for the next day: {', '.join(outcome['stale'])}" if outcome["stale"] else ""
    note(f"Compacted {len(outcome['compacted'])} tables{stale}.")
    if outcome["failed"]:
        raise TerminalError(
            f"compacting: received {'; '.join(f'{table}: {why}' for table, why in outcome['failed'].items())}; "
            "valid are days with the rows that they had; readers see the days as they were; read the job's log"
        )
    return outcome


@task(trigger_rule=TriggerRule.ALL_DONE)
def tidy_tables(upkeep: str) -> dict[str, Any]:
    """Forget what nobody needs: old snapshots, branches of the past, files that nothing names."""
    from eventlake_aws.compact_tables import abandon_compaction
    from eventlake_aws.tidy_tables import tidy_tables as tidy

    context = get_current_context()
    plan = context["ti"].xcom_pull(task_ids="plan_compaction")
    if plan is not None:
        # given back long ago, unless a task between failed for good
        abandon_compaction(aws_clients(), SETTINGS, compaction_id=plan["compaction_id"])
    if upkeep == SKIP:
        return {}
    run = context["dag_run"]
    tidied = tidy(
        aws_clients(), SETTINGS, owner=f"tidy {run.dag_id} {run.run_id}", dry_run=upkeep == DRY_RUN, now=now()
    )
    if tidied["tables"]:
        note(describe_tidying(tidied))
    for table, what in tidied.pop("tables").items():
        log.info(json.dumps({"table": table} | what))
    return tidied


def describe_compaction(plan: Mapping[str, Any], is_dry_run: bool) -> str:
    """One line for people: what a compaction does, or would do."""
    entries = plan["entries"]
    if not entries:
        return "Compaction: no day would be worth writing again."
    before, after = (sum(entry[name] for entry in entries) for name in ("files", "files_needed"))
    size = sum(entry["size_bytes"] for entry in entries) / MEBIBYTE
    named = [f"{entry['table']} ({len(entry['days']) or 'all'} days)" for entry in entries[:MOST_NAMED]]
    named += [f"{len(entries) - MOST_NAMED} tables more"] if len(entries) > MOST_NAMED else []
    leased = f"; leased elsewhere: {', '.join(plan['leased_elsewhere'])}" if plan["leased_elsewhere"] else ""
    does = "Would compact" if is_dry_run else "Compacting"
    return f"{does} {before} files of {size:.1f} MiB to {after}: {', '.join(named)}{leased}."


def describe_tidying(tidied: Mapping[str, Any]) -> str:
    """One line for people: what was forgotten, or would be."""
    what = (
        f"{tidied['snapshots']} snapshots, {tidied['branches']} branches, {tidied['files']} orphaned files "
        f"({tidied['bytes'] / MEBIBYTE:.1f} MiB)"
    )
    leased = f"; left to the next day, leased: {', '.join(tidied['leased_elsewhere'])}"
    return (
        f"{'Would forget' if tidied['dry_run'] else 'Forgot'} {what} in {len(tidied['tables'])} tables"
        f"{leased if tidied['leased_elsewhere'] else ''}."
    )
