"""What every DAG of the lake has in common: owner, retries, timeouts, the failure alert, and the closed set of tags.

What belongs in here: arguments that DAG files spread into `@dag`. A DAG that bypasses them fails the house's tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryRule
from airflow.sdk.definitions.retry_policy import RetryAction

from eventlake.alerting import LAKE_OWNER, Severity
from eventlake.errors import TerminalError
from eventlake_airflow.failure_alerts import alert_of_failure
from eventlake_airflow.run_alerts import alert_of_cut_off_run, deadline

OWNER = LAKE_OWNER
# fixed: a start date that moves would move every schedule
START = datetime(2026, 1, 1, tzinfo=UTC)


class Tier(StrEnum):
    """What a failure means for whoever is on call."""

    DATA_LATE = "tier:1"  # readers see old data: act today
    CARE = "tier:2"  # readers see right data, upkeep is behind: act this week


class Area(StrEnum):
    """Which part of the lake a DAG works on."""

    STREAM = "area:stream"
    RAW = "area:raw"
    TABLES = "area:tables"
    BOOKS = "area:books"


# a TerminalError says that trying again cannot help; anything else is retried
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[RetryRule(exception=TerminalError, action=RetryAction.FAIL, reason="a terminal error: a retry cannot help")]
)

DEFAULT_ARGS: dict[str, Any] = {
    "owner": OWNER,
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": RETRY_POLICY,
    "execution_timeout": timedelta(minutes=30),
    "on_failure_callback": alert_of_failure,
}


def lake_dag(
    tier: Tier,
    areas: Sequence[Area],
    *,
    max_active_runs: int = 1,
    dagrun_timeout: timedelta = timedelta(hours=6),
    late_after: timedelta | None = None,
) -> dict[str, Any]:
    """What `@dag` gets beside schedule and page: on from the start, no catch-up, one run at a time unless said.

    `late_after`: a run that has not ended this long after it was queued is told; None: whoever triggered it watches it.
    """
    severity = Severity.HIGH if tier is Tier.DATA_LATE else Severity.MEDIUM
    return {
        "start_date": START,
        "catchup": False,
        "is_paused_upon_creation": False,
        "max_active_runs": max_active_runs,
        "dagrun_timeout": dagrun_timeout,
        "deadline": None if late_after is None else deadline(late_after, severity, OWNER),
        "on_failure_callback": alert_of_cut_off_run,
        "default_args": DEFAULT_ARGS,
        "tags": [tier.value, *(area.value for area in areas)],
    }
