"""The listener that turns what tasks noted into the note of their run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from eventlake.settings import Settings
from eventlake_airflow import run_notes
from eventlake_plugin import EventlakePlugin, views


class FakeSession:
    """Answers the one query with the XComs of a run, in the order in which they were pushed."""

    def __init__(self, *values: str) -> None:
        self.rows = [SimpleNamespace(value=f'"{value}"') for value in values]
        self.asked = ""

    def scalars(self, query: Any) -> list[Any]:
        self.asked = str(query.compile(compile_kwargs={"literal_binds": True}))
        return self.rows


def run_with(monkeypatch: pytest.MonkeyPatch, session: FakeSession | None, former: Any = None) -> Any:
    monkeypatch.setattr(run_notes, "object_session", lambda dag_run: session)
    note = former.content if former else None
    return SimpleNamespace(dag_id="load_events", run_id="run-1", note=note, dag_run_note=former)


@pytest.mark.parametrize("end", [run_notes.on_dag_run_success, run_notes.on_dag_run_failed])
def test_a_run_that_ends_bears_the_lines_of_its_tasks(monkeypatch: pytest.MonkeyPatch, end: Any) -> None:
    session = FakeSession("Load a: 2 landings.", "Published: nothing changed.")
    run = run_with(monkeypatch, session)
    end(run, "over")
    assert run.note == "Load a: 2 landings.\nPublished: nothing changed."
    assert "load_events" in session.asked and "run-1" in session.asked and "run_note" in session.asked


def test_the_note_of_a_person_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_with(monkeypatch, FakeSession("ours"), SimpleNamespace(content="looked at", user_id="ada"))
    run_notes.write_note(run)
    assert run.note == "looked at"


def test_a_run_that_ends_again_says_what_happened_this_time(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_with(monkeypatch, FakeSession("second end"), SimpleNamespace(content="first end", user_id=None))
    run_notes.write_note(run)
    assert run.note == "second end"


def test_a_run_without_lines_or_without_a_session_gets_no_note(monkeypatch: pytest.MonkeyPatch) -> None:
    for session in (FakeSession(), None):
        run = run_with(monkeypatch, session)
        run_notes.write_note(run)
        assert run.note is None


def test_a_note_fits_its_column(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_with(monkeypatch, FakeSession("x" * 5000))
    run_notes.write_note(run)
    assert len(run.note) == run_notes.NOTE_LENGTH


def test_the_plugin_brings_the_listener() -> None:
    assert run_notes in EventlakePlugin.listeners


@pytest.mark.parametrize(
    ("base", "links"),
    [("", []), ("https://docs.example.com/lake/", ["https://docs.example.com/lake/index.html"])],
)
def test_the_ui_links_to_data_docs_where_a_browser_can_open_them(base: str, links: list[str]) -> None:
    assert [view["href"] for view in views(Settings(data_docs_base_url=base))] == links
    assert isinstance(EventlakePlugin.external_views, list)
