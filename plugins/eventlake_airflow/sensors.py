"""Sensors of the lake: they look once, hold no worker while they wait, and judge the answer when they come back.

What belongs in here: sensors over the watches of watches.py, and the one over the watermark. All are deferrable and
resume in `execute_complete`, never in `poke`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator, Context

from eventlake.errors import TerminalError, TransientError
from eventlake_airflow.schedules import SCHEDULES
from eventlake_airflow.states import WATERMARK, Outlook
from eventlake_airflow.triggers import (
    StatesTrigger,
    WatermarkTrigger,
    is_decided,
    look,
    read_watermark,
    watermark_state,
)
from eventlake_airflow.waiting import AWS_CONNECTION, Patience, read_states, require_good
from eventlake_airflow.watches import Watched

# a healthy thing answers at once; what takes longer than this is worth a retry and then an alert
PATIENCE_SECONDS = 180


class StatesSensor(BaseSensorOperator):
    """Wait until all of `watched` are good. Something bad or unknown fails at once; something slow is retried.

    :param watched: what to watch (not templated: names come from settings)
    :param delay_seconds: pause between two looks
    :param patience_seconds: how long to wait before giving up
    """

    def __init__(
        self,
        *,
        watched: Sequence[Watched],
        delay_seconds: float = SCHEDULES.waiter_delay_seconds,
        patience_seconds: float = PATIENCE_SECONDS,
        aws_conn_id: str | None = AWS_CONNECTION,
        **kwargs: Any,
    ) -> None:
        patience = Patience(delay_seconds, patience_seconds)
        kwargs.setdefault("execution_timeout", patience.deadline)
        super().__init__(**kwargs)
        self.watched = tuple(watched)
        self.patience = patience
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Context) -> dict[str, str]:
        states = asyncio.run(look(self.watched, self.aws_conn_id))
        if is_decided(states):
            return self._conclude(states)
        return self.defer(
            trigger=StatesTrigger(
                watched=[str(thing) for thing in self.watched],
                delay_seconds=self.patience.delay_seconds,
                attempts=self.patience.attempts,
                aws_conn_id=self.aws_conn_id,
            ),
            method_name="execute_complete",
            timeout=self.patience.deadline,
        )

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, str]:
        return self._conclude(read_states(event, self.watched))

    def _conclude(self, states: Mapping[Watched, str]) -> dict[str, str]:
        require_good(states, self.patience.seconds)
        return {str(thing): state for thing, state in states.items()}


class WatermarkSensor(BaseSensorOperator):
    """Wait until everything received before a time lies in raw; gives back the watermark, the time that holds.

    :param until: the time, ISO with zone (templated); or else
    :param most_lag: how far the watermark may be behind the clock when the task starts
    """

    template_fields: Sequence[str] = ("until",)

    def __init__(
        self,
        *,
        until: Any = None,
        most_lag: timedelta | None = None,
        delay_seconds: float = SCHEDULES.waiter_delay_seconds,
        patience_seconds: float = PATIENCE_SECONDS,
        **kwargs: Any,
    ) -> None:
        patience = Patience(delay_seconds, patience_seconds)
        kwargs.setdefault("execution_timeout", patience.deadline)
        super().__init__(**kwargs)
        if (until is None) == (most_lag is None):
            raise TerminalError(
                f"building the sensor {self.task_id}: received until={until!r} and most_lag={most_lag!r}; "
                "valid is exactly one of them; correct the DAG"
            )
        self.until = until
        self.most_lag = most_lag
        self.patience = patience

    def execute(self, context: Context) -> str:
        until = self.until if self.most_lag is None else (datetime.now(UTC) - self.most_lag).isoformat()
        watermark = read_watermark()
        if watermark is not None and watermark_state(watermark, until) == "fresh":
            return watermark
        return self.defer(
            trigger=WatermarkTrigger(
                until=until,
                delay_seconds=self.patience.delay_seconds,
                attempts=self.patience.attempts,
            ),
            method_name="execute_complete",
            kwargs={"until": until},
            timeout=self.patience.deadline,
        )

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None, until: str = "") -> str:
        if not event or not {"watermark", "state"} <= set(event):
            raise TerminalError(
                f"resuming from a deferral: received {event!r}; valid is a watermark and its state; clear the task"
            )
        if WATERMARK.outlook(event["state"]) is Outlook.GOOD:
            return str(event["watermark"])
        raise TransientError(
            f"awaiting the watermark: received {event['watermark']} after {self.patience.seconds:.0f} s; "
            f"valid is {until} or later; it is retried; see docs/runbooks/stream-lag.md"
        )
