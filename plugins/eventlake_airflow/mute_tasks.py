"""The task of `mute_incident`: what a person filled in, and who that was, handed to eventlake_aws; no rule."""

from __future__ import annotations

from airflow.sdk import Param, get_current_context, task

from eventlake.alerting import LONGEST_MUTE
from eventlake.given_reason import FEWEST_SIGNS, NOBODY_NAMED
from eventlake_airflow.failure_alerts import clear_failure
from eventlake_airflow.load_tasks import aws_clients, now
from eventlake_airflow.notes import note
from eventlake_airflow.schedules import SETTINGS

MUTE_PARAMS = {
    "incident": Param(type="string", minLength=1, title="Incident", description="As the alert names it."),
    "until": Param(
        type="string",
        format="date-time",
        title="Muted until",
        description=f"Told again from then on, if it lasts; within {LONGEST_MUTE.days} days.",
    ),
    "reason": Param(
        type="string",
        minLength=FEWEST_SIGNS,
        title="Reason",
        description="For whoever else is on call; told with your name.",
    ),
}


@task(on_success_callback=clear_failure)
def mute_open_incident() -> None:
    """Refused in one line, and not tried again, when no such incident is open."""
    from eventlake_aws.alerts import mute_incident

    context = get_current_context()
    params, who = context["params"], context["dag_run"].triggering_user_name or NOBODY_NAMED
    muted = mute_incident(
        aws_clients(),
        SETTINGS,
        incident=params["incident"],
        until=params["until"],
        reason=params["reason"],
        muted_by=who,
        now=now(),
    )
    note(f"{muted['what']} of {muted['dataset']} is muted until {muted['until']}, says {who}: unless it gets worse.")
