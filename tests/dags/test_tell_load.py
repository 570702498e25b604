"""What the tasks that tell do when a part of them cannot be done: alerts leave, and the task says what is missing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import eventlake_aws.data_docs
import eventlake_aws.load_alerts
from eventlake_airflow import load_alerts
from eventlake_airflow.load_alerts import tell_load

OUTCOME: dict[str, Any] = {"load_id": "load_events-0123456789-g1", "kind": "load"}


class Telling:
    """Runs the task beside a lake that is not there, and remembers what it did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fault: Exception | None = None) -> None:
        self.done: list[str] = []
        self.notes: list[str] = []
        self._fault = fault
        run = SimpleNamespace(dag_id="load_events", run_id="run")
        monkeypatch.setattr(load_alerts, "get_current_context", lambda: {"dag_run": run})
        monkeypatch.setattr(load_alerts, "aws_clients", lambda: None)
        monkeypatch.setattr(load_alerts, "note", self.notes.append)
        monkeypatch.setattr(eventlake_aws.data_docs, "document_outcome", self._document)
        monkeypatch.setattr(eventlake_aws.load_alerts, "alert_on_outcome", self._alert)
        monkeypatch.setattr(eventlake_aws.load_alerts, "settle_held_tables", self._settle)

    def _document(self, *_: Any, run_url: str, **__: Any) -> dict[str, Any]:
        self.done.append("document")
        if self._fault:
            raise self._fault
        assert run_url.endswith("/dags/load_events/runs/run")
        return {"data_docs_url": "http://docs/validations/a/index.html", "pages_written": 4}

    def _alert(self, *_: Any, **__: Any) -> dict[str, Any]:
        self.done.append("alert")
        return {"alerts": 2, "sent": 1, "cleared": 0}

    def _settle(self, *_: Any, **__: Any) -> dict[str, Any]:
        self.done.append("settle")
        return {"cleared": [], "reminded": []}


def test_data_docs_are_there_before_the_alert_that_links_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    telling = Telling(monkeypatch)
    tell_load.function(OUTCOME)
    assert telling.done == ["document", "alert", "settle"]
    (note,) = telling.notes
    assert note.splitlines() == [
        "Data Docs: http://docs/validations/a/index.html",
        "Told: 2 alerts, 1 of them folded into earlier ones.",
    ]


def test_an_alert_leaves_though_data_docs_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    telling = Telling(monkeypatch, fault=OSError("S3 is out"))
    with pytest.raises(OSError, match="S3 is out"):
        tell_load.function(OUTCOME)
    assert telling.done == ["document", "alert"]


def test_nothing_is_documented_when_nothing_was_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    telling = Telling(monkeypatch)
    tell_load.function(None)
    assert (telling.done, telling.notes) == (["settle"], [])
