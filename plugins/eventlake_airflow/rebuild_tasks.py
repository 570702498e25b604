"""The tasks of a rebuild: plan it under its leases, stage, publish; by hand for chosen days, or for the day of a run.

What belongs in here: handing Airflow's facts to eventlake_aws, and the words for people; no rule. Staging and
publishing are those of a load: a rebuild is a plan of another kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from airflow.sdk import Context, Param, TriggerRule
from airflow.sdk.exceptions import AirflowSkipException

from eventlake.rebuild_plan import days_between
from eventlake_airflow.load_tasks import aws_clients, now, publish_load
from eventlake_airflow.notes import note
from eventlake_airflow.operators import PlanUnderLeases
from eventlake_airflow.schedules import SETTINGS

MEBIBYTE = 1024**2
MOST_NAMED = 5

REPLAY_PARAMS = {
    "mode": Param("rebuild", enum=["rebuild"], title="Mode", description="rebuild: derive event days anew from raw."),
    "types": Param(
        [],
        type="array",
        items={"type": "string", "pattern": "^[a-z0-9_]+$"},
        title="Event types",
        description="Types that have a contract, one a line. Empty: all of them, and the names without a contract.",
    ),
    "first_day": Param(type="string", format="date", title="First event day (UTC)"),
    "last_day": Param(type="string", format="date", title="Last event day (UTC)"),
    "dry_run": Param(True, type="boolean", title="Dry run", description="Only say what would be read again."),
}


def plan_replay() -> PlanUnderLeases:
    """The rebuild of the types and days that a person chose."""
    return PlanUnderLeases(task_id="plan_rebuild", plan=plan_chosen_days)


def plan_day_again() -> PlanUnderLeases:
    """The rebuild of the day of a run that is to recompute it, together with all other days that wait for one."""
    return PlanUnderLeases(task_id="plan_rebuild", plan=plan_day_of_run, trigger_rule=TriggerRule.NONE_FAILED)


def publish_rebuild(plan: Any, staged: Any) -> Any:
    """As a load is published: what the receipt of the awaited run is worth, and what differs in the run's note."""
    return publish_load.override(task_id="publish_rebuild")(plan, staged)


def plan_chosen_days(context: Context, is_first: bool) -> dict[str, Any]:
    from eventlake_aws.rebuild_steps import plan_and_store_rebuild

    run, params = context["dag_run"], context["params"]
    plan = plan_and_store_rebuild(
        aws_clients(),
        SETTINGS,
        dag_id=run.dag_id,
        run_id=run.run_id,
        days=days_between(params["first_day"], params["last_day"]),
        types=params["types"],
        dry_run=params["dry_run"],
        now=now(),
    )
    if plan["leased"]:
        return plan
    note(describe_plan(plan, is_dry_run=params["dry_run"]))
    if plan["nothing_to_do"] or params["dry_run"]:
        raise AirflowSkipException("nothing is to be rebuilt")
    return plan


def plan_day_of_run(context: Context, is_first: bool) -> dict[str, Any]:
    from eventlake_aws.load_store import read_outcome
    from eventlake_aws.rebuild_requests import ask_for_day
    from eventlake_aws.rebuild_steps import plan_and_store_asked_days

    run = context["dag_run"]
    day = context["ti"].xcom_pull(task_ids="resolve_day")
    if not day["recomputes"]:
        raise AirflowSkipException("the run closes its day, and does not derive it anew")
    request = f"{day['day']}-{sha256(run.run_id.encode()).hexdigest()[:10]}"
    if is_first:
        ask_for_day(aws_clients(), SETTINGS, request, day["day"])
    plan = plan_and_store_asked_days(
        aws_clients(),
        SETTINGS,
        # beside the load of the same run, so under another name
        dag_id=f"{run.dag_id}.rebuild",
        run_id=run.run_id,
        request=request,
        day=day["day"],
        now=now(),
    )
    if plan["leased"]:
        return plan
    if "served_by" in plan:
        note(describe_service(day["day"], plan["served_by"], read_outcome(aws_clients(), SETTINGS, plan["served_by"])))
        raise AirflowSkipException(f"{day['day']} was rebuilt by {plan['served_by']}")
    note(describe_plan(plan, is_dry_run=False))
    if plan["nothing_to_do"]:
        raise AirflowSkipException("nothing is to be rebuilt")
    return plan


def describe_plan(plan: Mapping[str, Any], *, is_dry_run: bool) -> str:
    """One line for people: what a rebuild reads again, or would."""
    days = plan["days"]
    of_days = days[0] if len(days) == 1 else f"{len(days)} days from {days[0]} to {days[-1]}"
    left_out = _left_out(plan["stopped"])
    if plan["nothing_to_do"]:
        return f"Rebuild of {of_days}: no landing of it was loaded{left_out}."
    tables = [f"{table} ({landings} landings)" for table, landings in sorted(plan["tables"].items())]
    named = tables[:MOST_NAMED] + ([f"{len(tables) - MOST_NAMED} tables more"] if len(tables) > MOST_NAMED else [])
    does = "Would rebuild" if is_dry_run else f"Rebuild {plan['load_id']}:"
    size = f"{plan['landings']} landings of {plan['bytes'] / MEBIBYTE:.1f} MiB"
    return f"{does} {of_days} from {size}: {', '.join(named)}{left_out}."


def _left_out(stopped: Mapping[str, str]) -> str:
    """Tables that the circuit breaker stops: they stay as they are until a person has decided."""
    if not stopped:
        return ""
    loads = ", ".join(sorted(set(stopped.values())))
    return f"; left out: {', '.join(sorted(stopped))}, too bad in {loads} (release_load, then rebuild these days)"


def describe_service(day: str, load_id: str, outcome: Mapping[str, Any] | None) -> str:
    """One line for people: what somebody else's rebuild made of this day."""
    if outcome is None:
        return f"{day} had nothing to rebuild ({load_id})."
    touched = sorted(table for table, days in outcome["days"].items() if day in days)
    rest = [f"; {end}: {', '.join(sorted(outcome[end]))}" for end in ("held", "failed") if outcome[end]]
    return f"{day} was rebuilt with other days by {load_id}: {', '.join(touched) or 'nothing changed'}{''.join(rest)}."
