"""Sensors of the lake: they defer at once, hold no worker while they wait, and judge the answer when they come back.

What belongs in here: sensors over the watches of watches.py, and the one over the watermark. All are deferrable and
resume in `execute_complete`, never in `poke`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator, Context

from eventlake_airflow.triggers import StatesTrigger
from eventlake_airflow.waiting import AWS_CONNECTION, read_states, require_good
from eventlake_airflow.watches import Watched


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
        delay_seconds: float,
        patience_seconds: float,
        aws_conn_id: str | None = AWS_CONNECTION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.watched = tuple(watched)
        self.delay_seconds = delay_seconds
        self.patience_seconds = patience_seconds
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Context) -> None:
        self.defer(
            trigger=StatesTrigger(
                watched=[str(thing) for thing in self.watched],
                delay_seconds=self.delay_seconds,
                attempts=max(1, round(self.patience_seconds / self.delay_seconds)),
                aws_conn_id=self.aws_conn_id,
            ),
            method_name="execute_complete",
            # the trigger ends by itself; this catches one that hangs in a call
            timeout=timedelta(seconds=self.patience_seconds + 300),
        )

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, str]:
        states = read_states(event, self.watched)
        require_good(states, self.patience_seconds)
        return {str(thing): state for thing, state in states.items()}
