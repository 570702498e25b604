"""Waiting, without holding a worker: the triggers that run in Airflow's triggerer.

A trigger ends with one event and never judges what comes next: the operator or sensor that deferred validates the
event in its `execute_complete`. Errors of AWS end the trigger; the task's retries answer them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from airflow.triggers.base import BaseTrigger, TriggerEvent

from eventlake.errors import TerminalError
from eventlake_airflow.schedules import SETTINGS
from eventlake_airflow.states import Outlook
from eventlake_airflow.watches import Watched, parse_watched, watch_kind


class StatesTrigger(BaseTrigger):
    """Polls things until all are good, one is bad, or the attempts are used up. Event: `{"states": {thing: state}}`."""

    def __init__(self, watched: Sequence[str], delay_seconds: float, attempts: int, aws_conn_id: str | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow leaves it untyped
        self.watched = [str(thing) for thing in watched]
        self.delay_seconds = delay_seconds
        self.attempts = attempts
        self.aws_conn_id = aws_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "watched": self.watched,
                "delay_seconds": self.delay_seconds,
                "attempts": self.attempts,
                "aws_conn_id": self.aws_conn_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        things = [parse_watched(text) for text in self.watched]
        states: dict[Watched, str] = {}
        async with AsyncExitStack() as stack:
            clients = {service: await _client(stack, service, self.aws_conn_id) for service in _services(things)}
            for _ in range(self.attempts):
                # first sleep: whoever deferred has just looked, and a trigger that fires while the worker still lets go
                # of the task makes Airflow take the task for a killed one
                await asyncio.sleep(self.delay_seconds)
                states = await _poll(things, clients)
                if is_decided(states):
                    break
        yield TriggerEvent({"states": {str(thing): state for thing, state in states.items()}})


async def look(things: Sequence[Watched], aws_conn_id: str | None) -> dict[Watched, str]:
    """One look at all of them."""
    async with AsyncExitStack() as stack:
        clients = {service: await _client(stack, service, aws_conn_id) for service in _services(things)}
        return await _poll(things, clients)


def is_decided(states: Mapping[Watched, str]) -> bool:
    """True when waiting longer can change nothing: a bad or unknown state ends the wait for all."""
    try:
        outlooks = {thing.outlook(state) for thing, state in states.items()}
    except TerminalError:
        return True  # execute_complete raises it, where a task's log shows it
    return Outlook.BAD in outlooks or Outlook.WAIT not in outlooks


async def _client(stack: AsyncExitStack, service: str, aws_conn_id: str | None) -> Any:
    hook: AwsGenericHook[Any] = AwsGenericHook(aws_conn_id=aws_conn_id, client_type=service)
    return await stack.enter_async_context(await hook.get_async_conn())


def _services(things: Sequence[Watched]) -> list[str]:
    return sorted({watch_kind(thing.kind).service for thing in things})


async def _poll(things: Sequence[Watched], clients: dict[str, Any]) -> dict[Watched, str]:
    kinds = [watch_kind(thing.kind) for thing in things]
    answers = [kind.ask(clients[kind.service], thing.name) for kind, thing in zip(kinds, things, strict=True)]
    return dict(zip(things, await asyncio.gather(*answers), strict=True))


class WatermarkTrigger(BaseTrigger):
    """Waits until all that was received before `until` lies in raw. Event: `{"watermark": time or None, "state"}`."""

    def __init__(self, until: str, delay_seconds: float, attempts: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow leaves it untyped
        self.until = until
        self.delay_seconds = delay_seconds
        self.attempts = attempts

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"until": self.until, "delay_seconds": self.delay_seconds, "attempts": self.attempts},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        watermark: str | None = None
        for _ in range(self.attempts):
            await asyncio.sleep(self.delay_seconds)
            watermark = await asyncio.to_thread(read_watermark)
            if watermark_state(watermark, self.until) == "fresh":
                break
        yield TriggerEvent({"watermark": watermark, "state": watermark_state(watermark, self.until)})


def watermark_state(watermark: str | None, until: str) -> str:
    """A state of the WATERMARK table. No watermark means that the stream has no shard to speak of."""
    if watermark is None:
        return "lagging"
    return "fresh" if datetime.fromisoformat(watermark) >= datetime.fromisoformat(until) else "lagging"


def read_watermark() -> str | None:
    """Asks boto3, which blocks: call it in a thread."""
    from eventlake_aws.clients import Clients
    from eventlake_aws.watermark_census import watermark_now

    answer = watermark_now(Clients.from_settings(SETTINGS), SETTINGS, now=datetime.now(UTC))
    watermark: str | None = answer["watermark"]
    return watermark
