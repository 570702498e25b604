"""The tasks of `close_day` beside those of a load: which day, nothing forgotten, the books, and that it is over.

What belongs in here: handing Airflow's facts to the rules and to eventlake_aws. eventlake_aws is imported inside the
tasks: it brings PyIceberg, which no parse of a DAG should pay for.
"""

from __future__ import annotations

import json
import logging
from datetime import date, datetime, timedelta
from typing import Any

from airflow.sdk import Param, TriggerRule, get_current_context, task

from eventlake.alerting import Severity
from eventlake.errors import TerminalError
from eventlake_airflow.day_choice import CLOSE, RECOMPUTE, choose_day, choose_upkeep
from eventlake_airflow.incidents import Incident, settle, tell
from eventlake_airflow.load_tasks import aws_clients, now
from eventlake_airflow.notes import note
from eventlake_airflow.schedules import SETTINGS
from eventlake_airflow.sensors import StatesSensor, WatermarkSensor
from eventlake_airflow.upkeep_tasks import UPKEEP_PARAMS
from eventlake_airflow.watches import Watched

# a stopped shard is mended by people within a working day; the DAG's own timeout is longer
WATERMARK_PATIENCE = timedelta(hours=5)
BOOKS = Incident("the books do not balance", "books", "books", "docs/runbooks/books-differ.md")
MOST_NAMED = 10

DAY_PARAMS = UPKEEP_PARAMS | {
    "day": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Event day (UTC)",
        description="Empty: a scheduled run takes its own day; a run by hand balances everything and closes nothing.",
    ),
    "mode": Param(
        CLOSE,
        enum=[CLOSE, RECOMPUTE],
        title="Mode",
        description="recompute: derive the day anew from raw as well, as each run of a backfill does.",
    ),
}

log = logging.getLogger(__name__)


@task(multiple_outputs=True)
def resolve_day() -> dict[str, Any]:
    """The one place that looks at the run's dates; every later task reads what this says."""
    context = get_current_context()
    run = context["dag_run"]
    params = context["params"]
    choice = choose_day(str(run.run_type.value), params["mode"], params["day"], run.data_interval_start, run.run_after)
    return {
        "day": choice.day.isoformat() if choice.day else None,
        "until": choice.until.isoformat(),
        "closes": choice.closes,
        "recomputes": choice.recomputes,
        "upkeep": choose_upkeep(str(run.run_type.value), params["upkeep"]),
    }


def await_watermark(day: Any) -> WatermarkSensor:
    """Everything received before the day's end, or before the trigger of a run without a day, is in raw."""
    return WatermarkSensor(
        task_id="await_watermark", until=day["until"], patience_seconds=WATERMARK_PATIENCE.total_seconds()
    )


def await_landings() -> StatesSensor:
    """What is in raw is also noted as a landing."""
    return StatesSensor(task_id="await_landings", watched=[Watched("landings_queue", SETTINGS.landings_queue)])


@task
def check_landings() -> dict[str, Any]:
    """Bucket against landings, both ways: what was never noted is noted now, what vanished is told."""
    from eventlake_aws.sweep import sweep_landings

    found = sweep_landings(aws_clients(), SETTINGS, repair=True, now=now())
    if found["repaired"] or found["vanished_count"]:
        note(f"Landings: {found['repaired']} noted late, {found['vanished_count']} without their object.")
    return found


@task(trigger_rule=TriggerRule.NONE_FAILED)
def balance_books(day: str | None, watermark: str) -> dict[str, Any]:
    """Strike the balance as of the watermark. Differences fail the task, by name: they are what this lake is for."""
    from eventlake_aws.balance_books import balance

    summary = balance(
        aws_clients(),
        SETTINGS,
        arrival_days=[date.fromisoformat(day)] if day else None,
        as_of=datetime.fromisoformat(watermark),
        now=now(),
        run_id=get_current_context()["dag_run"].run_id,
    )
    note(describe_books(day, summary))
    if summary["residual"]:
        for difference in summary["differences"]:
            log.error(json.dumps({"difference": difference}))
        named = "; ".join(describe_difference(one) for one in summary["differences"][:MOST_NAMED])
        tell(
            BOOKS,
            Severity.CRITICAL,
            count=summary["residual"],
            counted="records",
            detail=named,
            samples=tuple(one["identity"] for one in summary["differences"][:MOST_NAMED]),
        )
        raise TerminalError(
            f"balancing the books of {day or 'all days'}: received {summary['residual']} differences at "
            f"{summary['stations']}: {named}; valid is none; see docs/runbooks/books-differ.md"
        )
    settle(BOOKS)
    return summary


def describe_books(day: str | None, summary: dict[str, Any]) -> str:
    rejected = sum(summary["rejected"].values())
    quarantined = sum(summary["quarantined"].values())
    outcome = "balance" if summary["balanced"] else f"differ by {summary['residual']}"
    return (
        f"Books of {day or 'all days'} as of {summary['as_of']} {outcome}: received {summary['received']} = "
        f"{summary['admitted']} admitted + {summary['duplicates']} duplicate + {rejected} rejected + "
        f"{summary['replayed']} replayed; {summary['loaded']} loaded, {quarantined} quarantined, "
        f"{summary['waiting']} waiting, {summary['held']} held."
    )


def describe_difference(difference: dict[str, str]) -> str:
    return f"{difference['identity']} at {difference['station']}: {difference['what']}"


@task(trigger_rule=TriggerRule.NONE_FAILED)
def mark_closed(day: dict[str, Any], watermark: str, books: dict[str, Any]) -> dict[str, Any]:
    """Close the day when it is over by the watermark; its books balance, or this task would not run."""
    from eventlake_aws.day_register import close_day

    if not day["closes"]:
        note(f"Nothing closed: {day['day'] or 'no day'} {'is not over' if day['day'] else 'was asked for'}.")
        return {"day": day["day"], "closed_now": False}
    run_id = get_current_context()["dag_run"].run_id
    answer = close_day(
        aws_clients(),
        SETTINGS,
        day=date.fromisoformat(day["day"]),
        watermark=datetime.fromisoformat(watermark),
        rows=books["loaded"],
        run_id=run_id,
        now=now(),
    )
    note(f"Closed {day['day']}." if answer["closed_now"] else f"{day['day']} was closed by {answer['closed_by']}.")
    return answer
