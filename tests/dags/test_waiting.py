"""Deferring and coming back: the trigger's event, the sensors, and what each state of each table leads to."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from eventlake.errors import TerminalError, TransientError
from eventlake_airflow import sensors, triggers, watches
from eventlake_airflow.sensors import StatesSensor, WatermarkSensor
from eventlake_airflow.states import Outlook
from eventlake_airflow.triggers import StatesTrigger, WatermarkTrigger
from eventlake_airflow.watches import WATCH_KINDS, Watched, WatchKind

EVERY_STATE = [
    (kind, state, outlook) for kind in WATCH_KINDS for state, outlook in WATCH_KINDS[kind].table.outlooks.items()
]


def sensor_of(*watched: Watched) -> StatesSensor:
    return StatesSensor(task_id="await_it", watched=watched, delay_seconds=1, patience_seconds=60)


def event_of(states: dict[Watched, str]) -> dict[str, Any]:
    return {"states": {str(thing): state for thing, state in states.items()}}


@pytest.mark.parametrize(("kind", "state", "outlook"), EVERY_STATE)
def test_a_sensor_comes_back_as_the_table_says(kind: str, state: str, outlook: Outlook) -> None:
    # given a sensor that waited for one thing
    thing = Watched(kind, "name")
    sensor, event = sensor_of(thing), event_of({thing: state})
    # when its trigger reports the state, then good goes on, bad is final, and waiting too long is retried
    if outlook is Outlook.GOOD:
        assert sensor.execute_complete({}, event) == {f"{kind}:name": state}
    else:
        error = TerminalError if outlook is Outlook.BAD else TransientError
        with pytest.raises(error, match=f"{kind}:name is {state}"):
            sensor.execute_complete({}, event)


@pytest.mark.parametrize(
    "event",
    [None, {}, {"status": "success"}, {"states": {}}, {"states": ["ACTIVE"]}, {"states": {"stream:another": "ACTIVE"}}],
)
def test_an_event_that_does_not_answer_the_question_is_refused(event: Any) -> None:
    with pytest.raises(TerminalError, match="resuming from a deferral"):
        sensor_of(Watched("stream", "events")).execute_complete({}, event)


def test_a_state_nobody_knows_fails_the_sensor() -> None:
    thing = Watched("stream", "events")
    with pytest.raises(TerminalError, match="received 'MELTING'"):
        sensor_of(thing).execute_complete({}, event_of({thing: "MELTING"}))


def test_bad_news_are_told_although_others_are_still_waited_for() -> None:
    bad, slow = Watched("delivery_stream", "raw"), Watched("stream", "events")
    with pytest.raises(TerminalError, match="delivery_stream:raw is DELETING"):
        sensor_of(bad, slow).execute_complete({}, event_of({bad: "DELETING", slow: "CREATING"}))


def answer_at_once(monkeypatch: pytest.MonkeyPatch, states: dict[Watched, str]) -> None:
    async def look(things: Any, aws_conn_id: Any) -> dict[Watched, str]:
        return {thing: states[thing] for thing in things}

    monkeypatch.setattr(sensors, "look", look)


def test_what_is_decided_at_the_first_look_needs_no_deferral(monkeypatch: pytest.MonkeyPatch) -> None:
    thing = Watched("stream", "events")
    answer_at_once(monkeypatch, {thing: "ACTIVE"})
    assert sensor_of(thing).execute({}) == {"stream:events": "ACTIVE"}
    answer_at_once(monkeypatch, {thing: "DELETING"})
    with pytest.raises(TerminalError, match="stream:events is DELETING"):
        sensor_of(thing).execute({})


def test_what_is_not_decided_defers_and_resumes_in_execute_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_at_once(monkeypatch, {Watched("stream", "events"): "CREATING"})
    with pytest.raises(TaskDeferred) as deferral:
        sensor_of(Watched("stream", "events")).execute({})
    assert deferral.value.method_name == "execute_complete"
    trigger = deferral.value.trigger
    assert isinstance(trigger, StatesTrigger)
    assert (trigger.watched, trigger.attempts) == (["stream:events"], 60)


# ---------------------------------------------------------------- the trigger itself


def run_trigger(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[str]], attempts: int = 10) -> Any:
    """The trigger's event, when each stream named answers with its list of states, the last one for ever."""
    left = {name: list(states) for name, states in answers.items()}
    asked: list[str] = []

    async def ask(client: Any, name: str) -> str:
        asked.append(name)
        return left[name].pop(0) if len(left[name]) > 1 else left[name][0]

    async def no_client(stack: Any, service: str, aws_conn_id: str | None) -> None:
        return None

    kind = WATCH_KINDS["stream"]
    monkeypatch.setitem(watches.WATCH_KINDS, "stream", WatchKind(kind.service, ask, kind.table))
    monkeypatch.setattr(triggers, "_client", no_client)
    trigger = StatesTrigger([f"stream:{name}" for name in answers], 0.001, attempts, None)

    async def events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    (event,) = asyncio.run(events())
    return event, len(asked)


def test_the_trigger_waits_until_all_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    event, asked = run_trigger(monkeypatch, {"a": ["CREATING", "UPDATING", "ACTIVE"], "b": ["ACTIVE"]})
    assert event == {"states": {"stream:a": "ACTIVE", "stream:b": "ACTIVE"}}
    assert asked == 6


@pytest.mark.parametrize("final", ["DELETING", "NEVER_HEARD_OF"])
def test_a_bad_or_unknown_state_ends_the_wait_for_all(monkeypatch: pytest.MonkeyPatch, final: str) -> None:
    event, asked = run_trigger(monkeypatch, {"a": ["CREATING", final], "b": ["CREATING"]})
    assert event == {"states": {"stream:a": final, "stream:b": "CREATING"}}
    assert asked == 4


def test_the_trigger_gives_up_after_its_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    event, asked = run_trigger(monkeypatch, {"a": ["CREATING"]}, attempts=3)
    assert (event, asked) == ({"states": {"stream:a": "CREATING"}}, 3)


def test_the_triggerer_can_make_the_trigger_again_from_what_it_serializes() -> None:
    path, arguments = StatesTrigger(["stream:a"], 2, 5, "aws_default").serialize()
    assert path == "eventlake_airflow.triggers.StatesTrigger"
    assert StatesTrigger(**arguments).serialize() == (path, arguments)


# ---------------------------------------------------------------- the watermark


WATERMARKS = [None, "2026-11-21T08:00:00+00:00", "2026-11-21T09:00:00+00:00"]
UNTIL = "2026-11-21T09:00:00+00:00"


def watermark_sensor(**given: Any) -> WatermarkSensor:
    return WatermarkSensor(
        task_id="await_watermark", delay_seconds=1, patience_seconds=60, **(given or {"until": UNTIL})
    )


@pytest.mark.parametrize("watermark", WATERMARKS)
def test_a_watermark_is_fresh_from_the_time_asked_for(watermark: str | None) -> None:
    state = triggers.watermark_state(watermark, UNTIL)
    assert state == ("fresh" if watermark == UNTIL else "lagging")


def test_a_fresh_watermark_is_given_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "read_watermark", lambda: UNTIL)
    assert watermark_sensor().execute({}) == UNTIL


@pytest.mark.parametrize("watermark", WATERMARKS[:2])
def test_a_lagging_watermark_is_waited_for(monkeypatch: pytest.MonkeyPatch, watermark: str | None) -> None:
    monkeypatch.setattr(sensors, "read_watermark", lambda: watermark)
    with pytest.raises(TaskDeferred) as deferral:
        watermark_sensor().execute({})
    assert deferral.value.kwargs == {"until": UNTIL}
    # and the trigger ends once it is fresh
    answers = iter(WATERMARKS)
    monkeypatch.setattr(triggers, "read_watermark", lambda: next(answers))

    async def events() -> list[Any]:
        return [event.payload async for event in WatermarkTrigger(UNTIL, 0.001, 10).run()]

    assert asyncio.run(events()) == [{"watermark": UNTIL, "state": "fresh"}]


def test_a_watermark_that_stays_behind_is_retried_and_names_both_times() -> None:
    sensor = watermark_sensor()
    assert sensor.execute_complete({}, {"watermark": UNTIL, "state": "fresh"}, until=UNTIL) == UNTIL
    with pytest.raises(TransientError, match=r"2026-11-20.*2026-11-21T09"):
        sensor.execute_complete({}, {"watermark": "2026-11-20T00:00:00+00:00", "state": "lagging"}, until=UNTIL)
    for event in (None, {}, {"watermark": UNTIL}, {"watermark": UNTIL, "state": "melting"}):
        with pytest.raises(TerminalError):
            sensor.execute_complete({}, event, until=UNTIL)


def test_a_watermark_sensor_is_told_one_time_only() -> None:
    for given in ({"most_lag": None, "until": None}, {"most_lag": timedelta(hours=1), "until": UNTIL}):
        with pytest.raises(TerminalError, match="exactly one"):
            watermark_sensor(**given)
