"""Muting from Airflow's form: what was filled in and who that was goes to the one function that mutes."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import ParamValidationError

import eventlake_aws.alerts
from eventlake.errors import TerminalError
from eventlake_airflow import mute_tasks
from eventlake_airflow.mute_tasks import MUTE_PARAMS, mute_open_incident

INCIDENT = "events.payment_events/0123456789ab"
CHOSEN = {"incident": INCIDENT, "until": "2026-12-01T09:00:00Z", "reason": "a fix is on its way"}


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    left: list[str] = []
    monkeypatch.setattr(mute_tasks, "aws_clients", lambda: None)
    monkeypatch.setattr(mute_tasks, "note", left.append)
    return left


def run_by(monkeypatch: pytest.MonkeyPatch, user: str | None) -> None:
    context = {"params": CHOSEN, "dag_run": SimpleNamespace(triggering_user_name=user)}
    monkeypatch.setattr(mute_tasks, "get_current_context", lambda: context)
    mute_open_incident.function()


@pytest.mark.parametrize(("user", "named"), [("ada", "ada"), (None, "whoever used the command line")])
def test_what_was_filled_in_is_handed_on_with_the_name(
    monkeypatch: pytest.MonkeyPatch, notes: list[str], user: str | None, named: str
) -> None:
    asked: list[dict[str, Any]] = []

    def mute(*_: Any, **chosen: Any) -> dict[str, Any]:
        asked.append(chosen)
        return {"what": "load held", "dataset": "events.payment_events", "until": chosen["until"]}

    monkeypatch.setattr(eventlake_aws.alerts, "mute_incident", mute)
    run_by(monkeypatch, user)
    [chosen] = asked
    assert chosen.pop("now").utcoffset() == timedelta(0)
    assert chosen == CHOSEN | {"muted_by": named}
    assert notes == [
        f"load held of events.payment_events is muted until {CHOSEN['until']}, says {named}: unless it gets worse."
    ]


def test_what_is_refused_leaves_no_note(monkeypatch: pytest.MonkeyPatch, notes: list[str]) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise TerminalError("muting x: it is not open")

    monkeypatch.setattr(eventlake_aws.alerts, "mute_incident", refuse)
    with pytest.raises(TerminalError, match="not open"):
        run_by(monkeypatch, "ada")
    assert notes == []


def fill_in(chosen: dict[str, str]) -> None:
    """As the form and the API do."""
    ParamsDict({name: Param(value, **MUTE_PARAMS[name].schema) for name, value in chosen.items()}).validate()


@pytest.mark.parametrize("bad", [{"reason": "ok"}, {"incident": ""}])
def test_the_form_refuses_what_can_be_seen_to_be_wrong(bad: dict[str, str]) -> None:
    fill_in(CHOSEN)
    with pytest.raises(ParamValidationError):
        fill_in(CHOSEN | bad)
