"""The tasks of a release: a person's decision on what a load held, planned under leases; then a load like others.

What belongs in here: handing Airflow's facts (params, who triggered) to eventlake_aws, and the words for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Context, Param
from airflow.sdk.exceptions import AirflowSkipException

from eventlake.given_reason import FEWEST_SIGNS, NOBODY_NAMED
from eventlake.release import Release, ReleaseAction
from eventlake_airflow.load_tasks import aws_clients, now
from eventlake_airflow.notes import note
from eventlake_airflow.operators import PlanUnderLeases
from eventlake_airflow.schedules import SETTINGS

MEBIBYTE = 1024**2

RELEASE_PARAMS = {
    "load_id": Param(
        type="string",
        pattern="^[A-Za-z0-9_.]+-[0-9a-f]{10}-g[0-9]+$",
        title="Load",
        description="The load that holds the data: load_id of the row in control.loads, or of the alert.",
    ),
    "action": Param(
        ReleaseAction.GATE_AGAIN.value,
        enum=[action.value for action in ReleaseAction],
        title="What to do",
        description="gate again: load it under the suites and contracts in force. publish anyway: load it, and take "
        "what fails. supersede: never load it.",
    ),
    "tables": Param(
        [],
        type="array",
        items={"type": "string", "pattern": "^events\\.[a-z0-9_]+$"},
        title="Tables",
        description="Of these tables only, one a line. Empty: of all that the load holds.",
    ),
    "reason": Param(
        type="string",
        minLength=FEWEST_SIGNS,
        title="Reason",
        description="Why, for whoever asks in half a year. Kept with your name in control.releases.",
    ),
    "dry_run": Param(True, type="boolean", title="Dry run", description="Only say what is held."),
}

_DOES = {
    ReleaseAction.GATE_AGAIN: "loaded and gated again",
    ReleaseAction.PUBLISH_ANYWAY: "published whatever fails",
    ReleaseAction.SUPERSEDE: "superseded",
}


def plan_release() -> PlanUnderLeases:
    """What to do with what the load holds. A dry run and a superseded load leave nothing to stage."""
    return PlanUnderLeases(task_id="plan_release", plan=plan_decision)


def plan_decision(context: Context, is_first: bool) -> dict[str, Any]:
    from eventlake_aws.release_steps import plan_and_store_release

    run, params = context["dag_run"], context["params"]
    release = Release(
        params["load_id"],
        ReleaseAction(params["action"]),
        params["reason"],
        run.triggering_user_name or NOBODY_NAMED,
    )
    plan = plan_and_store_release(
        aws_clients(),
        SETTINGS,
        dag_id=run.dag_id,
        run_id=run.run_id,
        release=release,
        tables=params["tables"],
        dry_run=params["dry_run"],
        now=now(),
    )
    if plan["leased"]:
        return plan
    note(describe_release(plan, release, is_dry_run=params["dry_run"]))
    if plan["nothing_to_do"]:
        raise AirflowSkipException("nothing is to be loaded")
    return plan


def describe_release(plan: Mapping[str, Any], release: Release, *, is_dry_run: bool) -> str:
    """One line for people: what is held, and what becomes of it."""
    if not plan["landings"]:
        return f"{release.load_id} holds nothing: it was decided on already, or held nothing of these tables."
    held = f"{plan['landings']} landings of {plan['bytes'] / MEBIBYTE:.1f} MiB ({', '.join(plan['event_types'])})"
    would = "would be" if is_dry_run else "are"
    return f"{held} that {release.load_id} holds {would} {_DOES[release.action]}, says {release.decided_by}."
