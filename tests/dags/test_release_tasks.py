"""A release asks for what a person decided, says what it does, and leaves nothing to stage where nothing is loaded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

import eventlake_aws.release_steps
from eventlake.errors import TerminalError
from eventlake_airflow import release_tasks
from eventlake_airflow.release_tasks import plan_decision

PLAN: dict[str, Any] = {
    "load_id": "release_load-0123456789-g1",
    "event_types": ["lesson", "payment"],
    "landings": 3,
    "bytes": 3 * 1024**2,
    "nothing_to_do": False,
    "leased": [],
}
CHOSEN: dict[str, Any] = {
    "load_id": "load_events-0123456789-g1",
    "action": "publish anyway",
    "tables": [],
    "reason": "the producer confirmed the amounts",
    "dry_run": False,
}


class Decision:
    """A run of release_load up to its plan, with the answer that the hands give."""

    def __init__(self, patch: pytest.MonkeyPatch, answer: dict[str, Any], user: str | None = "ada") -> None:
        self.asked: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.run = SimpleNamespace(dag_id="release_load", run_id="manual__1", triggering_user_name=user)

        def plan(*_: Any, **asked: Any) -> dict[str, Any]:
            self.asked.append(asked)
            return answer

        patch.setattr(eventlake_aws.release_steps, "plan_and_store_release", plan)
        patch.setattr(release_tasks, "note", self.notes.append)
        patch.setattr(release_tasks, "aws_clients", lambda: None)

    def plan(self, **chosen: Any) -> dict[str, Any]:
        context: Any = {"dag_run": self.run, "params": CHOSEN | chosen}
        return plan_decision(context, is_first=True)


def test_the_decision_is_handed_on_with_the_name_of_who_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    decision = Decision(monkeypatch, PLAN)
    assert decision.plan(tables=["events.payment_events"]) == PLAN
    [asked] = decision.asked
    release = asked["release"]
    assert (release.load_id, release.action.value, release.reason, release.decided_by) == (
        CHOSEN["load_id"],
        "publish anyway",
        CHOSEN["reason"],
        "ada",
    )
    assert (asked["tables"], asked["dry_run"]) == (["events.payment_events"], False)
    assert decision.notes == [
        "3 landings of 3.0 MiB (lesson, payment) that load_events-0123456789-g1 holds are published whatever fails, "
        "says ada."
    ]


def test_who_is_not_known_is_not_invented(monkeypatch: pytest.MonkeyPatch) -> None:
    decision = Decision(monkeypatch, PLAN, user=None)
    decision.plan()
    assert decision.asked[0]["release"].decided_by == "whoever used the command line"


@pytest.mark.parametrize(
    ("chosen", "answer", "said"),
    [
        ({"dry_run": True}, {}, "would be published whatever fails"),
        ({"action": "supersede"}, {}, "are superseded"),
        ({}, {"landings": 0}, "load_events-0123456789-g1 holds nothing"),
    ],
)
def test_what_is_not_to_be_loaded_is_skipped(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, Any], answer: dict[str, Any], said: str
) -> None:
    decision = Decision(monkeypatch, PLAN | {"nothing_to_do": True} | answer)
    with pytest.raises(AirflowSkipException):
        decision.plan(**chosen)
    assert said in decision.notes[0]


def test_a_taken_table_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    decision = Decision(monkeypatch, {"nothing_to_do": True, "leased": ["type#payment"]})
    assert decision.plan()["leased"] == ["type#payment"]
    assert decision.notes == []


def test_a_decision_without_a_reason_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TerminalError, match="received the reason 'ok'"):
        Decision(monkeypatch, PLAN).plan(reason="ok")
