"""Leases, alerts, rollups' dates: the small rules beside the loads."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlake.alerting import Alert, Mute, OpenIncident, Severity, must_tell, parse_mute
from eventlake.errors import TerminalError
from eventlake.leases import Lease, LeaseAnswer, ask, lease_of_table
from eventlake.rollup_plan import (
    DataFile,
    RollupPlan,
    SourceChange,
    Window,
    changed_days,
    parse_rollup_receipt,
    parse_sources,
    plan_rollup,
    sources_text,
)
from tests.single_draws import subsets_at_once

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
files = subsets_at_once([DataFile(path, day) for path in "abcdef" for day in ("d1", "d2", "d3")])


@pytest.mark.parametrize(
    ("current", "answer"),
    [
        (None, LeaseAnswer.TAKEN),
        (Lease("l", "me", 101), LeaseAnswer.RENEWED),
        (Lease("l", "me", 1), LeaseAnswer.RENEWED),
        (Lease("l", "you", 101), LeaseAnswer.REFUSED),
        (Lease("l", "you", 100), LeaseAnswer.TAKEN),
    ],
)
def test_one_writer_at_a_time(current: Lease | None, answer: LeaseAnswer) -> None:
    assert ask(current, "me", 100) is answer


def test_leases_bear_the_types_name() -> None:
    tables = ("events.payment_events", "events.uncontracted", "events.uncontracted_events", "rollups.daily")
    assert [lease_of_table(table) for table in tables] == [
        "type#payment",
        "type#*",
        "type#uncontracted",
        "rollup#daily",
    ]


def alert(**changes: Any) -> Alert:
    fields = {
        "what": "lag",
        "severity": Severity.MEDIUM,
        "where": "stream",
        "since": NOW,
        "count": 1,
        "samples": ("u",) * 30,
        "runbook": "r",
        "run_url": "",
        "owner": "o",
        "dataset": "d",
    }
    return Alert(**(fields | changes))


def test_one_incident_however_often_it_is_seen() -> None:
    assert alert().incident == alert(count=9, since=NOW + timedelta(hours=1), severity=Severity.LOW).incident
    assert alert().incident != alert(where="elsewhere").incident
    assert len(json.loads(alert().to_json("", NOW))["samples"]) == 10
    assert len(alert(what="ü" * 200).subject) == 100


def test_an_alert_knows_its_zone() -> None:
    with pytest.raises(TerminalError, match="a time without a zone"):
        alert(since=NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("severity", "told_ago", "is_told"),
    [(Severity.MEDIUM, 1, False), (Severity.LOW, 1, False), (Severity.HIGH, 1, True), (Severity.LOW, 24, True)],
)
def test_told_again_only_when_worse_or_long_ago(severity: Severity, told_ago: int, is_told: bool) -> None:
    known = OpenIncident("i", Severity.MEDIUM, NOW, NOW - timedelta(hours=told_ago), 0, "lag", "o", "d")
    assert must_tell(known, alert(severity=severity), NOW) is is_told
    assert must_tell(None, alert(severity=severity), NOW)


@pytest.mark.parametrize(
    ("severity", "told_ago", "muted_for", "is_told"),
    [
        (Severity.MEDIUM, 48, 1, False),
        # worse than what was muted
        (Severity.HIGH, 1, 24, True),
        # the mute is over, however lately it was told
        (Severity.MEDIUM, 1, 0, True),
    ],
)
def test_what_is_muted_is_told_when_the_mute_ends_or_it_gets_worse(
    severity: Severity, told_ago: int, muted_for: int, is_told: bool
) -> None:
    mute = Mute(NOW + timedelta(hours=muted_for), "we know, a fix is on its way", "ada")
    told_at = NOW - timedelta(hours=told_ago)
    known = OpenIncident("i", Severity.MEDIUM, NOW, told_at, 0, "lag", "o", "d", mute=mute)
    assert must_tell(known, alert(severity=severity), NOW) is is_told


@pytest.mark.parametrize("until", ["2026-11-22", "2026-11-22T00:00Z", "2026-11-22T01:00+01:00"])
def test_a_mute_has_an_end_and_a_reason(until: str) -> None:
    assert parse_mute("i", until, " we know,  a fix\n comes ", "ada", NOW) == Mute(
        datetime(2026, 11, 22, tzinfo=UTC), "we know, a fix comes", "ada"
    )


@pytest.mark.parametrize(
    ("until", "reason", "words"),
    [
        ("", "we know of it", "the end ''"),
        ("soon", "we know of it", "the end 'soon'"),
        ("2026-11-21", "we know of it", "after now"),
        ("2027-11-21", "we know of it", "within 30 days"),
        ("2026-11-22", "  why?    ", "the reason"),
    ],
)
def test_a_mute_without_an_end_or_a_reason_is_refused(until: str, reason: str, words: str) -> None:
    with pytest.raises(TerminalError, match=words):
        parse_mute("i", until, reason, "ada", NOW)


@given(files, files)
def test_days_whose_files_came_or_went(seen: frozenset[DataFile], current: frozenset[DataFile]) -> None:
    changed = changed_days(seen, current)
    for day in ("d1", "d2", "d3"):
        before, after = ({file for file in side if file.day == day} for side in (seen, current))
        assert (day in changed) == (before != after)
    assert changed_days(None, current) == {file.day for file in current}


@given(st.dates(min_value=date(1970, 1, 1), max_value=date(2100, 1, 1)))
def test_each_day_lies_in_one_window_of_each_kind(day: date) -> None:
    for window, length in ((Window.DAY, 1), (Window.WEEK, 7)):
        first = window.first_day(day.isoformat())
        days = window.days(first)
        assert day.isoformat() in days
        assert len(set(days)) == length
        assert {window.first_day(each) for each in days} == {first}
    assert date.fromisoformat(Window.WEEK.first_day(day.isoformat())).weekday() == 0


def test_a_week_is_rebuilt_once_whichever_of_its_days_changed() -> None:
    change = SourceChange("events.a", 5, frozenset({"2026-11-16", "2026-11-22", "2026-11-23"}))
    entry = plan_rollup("weekly", 1, [change], Window.WEEK)
    assert entry is not None
    assert entry.dates == ("2026-11-16", "2026-11-23")


def test_a_rollup_that_has_seen_all_is_left_alone() -> None:
    nothing = SourceChange("events.a", 5, frozenset())
    assert plan_rollup("daily", 1, [nothing]) is None
    entry = plan_rollup("daily", 1, [nothing, SourceChange("events.b", 6, frozenset({"d2", "d1"}))])
    assert entry is not None
    assert (entry.table, entry.sources, entry.dates) == ("rollups.daily", {"events.a": 5, "events.b": 6}, ("d1", "d2"))
    plan = RollupPlan("r", "now", "k", (entry,))
    assert RollupPlan.from_json(plan.to_json()) == plan


@given(st.dictionaries(st.text(), st.integers()))
def test_sources_survive_their_text(sources: dict[str, int]) -> None:
    assert parse_sources(sources_text(sources)) == sources


@pytest.mark.parametrize("text", [None, "", "[]", "null", '{"a":"x"}'])
def test_a_rollup_that_forgot_its_sources_is_rebuilt(text: str | None) -> None:
    assert parse_sources(text) == {}


@pytest.mark.parametrize("text", ["", "{}", '{"rollups":[{}]}'])
def test_a_text_that_is_no_rollup_paper_is_refused(text: str) -> None:
    with pytest.raises(TerminalError, match="reading"):
        parse_rollup_receipt(text)
    with pytest.raises(TerminalError, match="reading"):
        RollupPlan.from_json(text)
