"""What looks wrong about a day: judged by earlier weeks, moved by none of them alone, and never by noise."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlake.day_checks import (
    FEWER,
    FEWEST_WEEKS,
    MORE,
    MOST_WEEKS,
    SILENT,
    TWO_DAYS,
    DayProfile,
    Finding,
    findings_of_day,
    same_weekdays,
)

DAY = date(2026, 11, 20)
TABLE = "events.lesson_events"
NOON = 12 * 3600
EVENING = 23 * 3600 + 3000
USUAL = (0,) * 6 + (400,) * 18


def profile(days_ago: int = 0, hourly: tuple[int, ...] = USUAL, last_second: int | None = EVENING) -> DayProfile:
    return DayProfile(TABLE, (DAY - timedelta(days=days_ago)).isoformat(), hourly, last_second)


WEEKS = [profile(7 * week) for week in range(1, 6)]


def found(day: DayProfile, earlier: list[DayProfile] = WEEKS) -> list[str]:
    return [finding.what for finding in findings_of_day(day, earlier, {})]


def test_a_usual_day_is_left_alone() -> None:
    assert found(profile()) == []


@pytest.mark.parametrize("weeks", range(FEWEST_WEEKS))
def test_without_a_baseline_nothing_is_said_of_volume(weeks: int) -> None:
    assert found(profile(hourly=(0,) * 24, last_second=None), WEEKS[:weeks]) == []


def test_hours_that_stay_empty_are_named_with_what_is_missing() -> None:
    hourly = (*USUAL[:20], 0, 3, *USUAL[22:])
    assert findings_of_day(profile(hourly=hourly), WEEKS, {}) == (
        Finding(
            FEWER,
            TABLE,
            "medium",
            797,
            "3 rows in the hours 20, 21",
            "about 800, as in these hours of 5 earlier weeks",
        ),
    )


def test_a_table_without_a_row_is_worse_than_one_with_few() -> None:
    (finding,) = findings_of_day(profile(hourly=(0,) * 24, last_second=None), WEEKS, {})
    assert (finding.what, finding.severity, finding.rows) == (FEWER, "high", 18 * 400)


def test_rows_at_hours_that_had_none_are_too_many() -> None:
    assert found(profile(hourly=(500, *USUAL[1:]))) == [MORE]
    assert found(profile(hourly=(5, *USUAL[1:]))) == [], "a handful is no trouble"


def test_a_day_that_ends_early_is_silent() -> None:
    late = [profile(7 * week, hourly=(10,) * 24) for week in range(1, 6)]
    (finding,) = findings_of_day(profile(hourly=(10,) * 24, last_second=NOON), late, {})
    assert (finding.what, finding.observed) == (SILENT, "no event in the last 720 minutes of the day")
    assert finding.expected == "about 10 minutes, as in 5 earlier weeks"


def test_a_uuid_on_two_days_needs_no_baseline() -> None:
    (finding,) = findings_of_day(profile(), [], {"b": "2026-11-19", "a": "2026-11-21"})
    assert (finding.what, finding.severity, finding.rows, finding.samples) == (TWO_DAYS, "high", 2, ("a", "b"))
    assert finding.observed == "2 uuids also on 2026-11-19, 2026-11-21"


def test_only_the_newest_whole_weeks_before_are_compared() -> None:
    earlier = [profile(days) for days in range(-14, 80)]
    weeks = same_weekdays(profile(), earlier)
    assert [(DAY - date.fromisoformat(week.day)).days for week in weeks] == [7 * n for n in range(1, MOST_WEEKS + 1)]


counts = st.integers(0, 5_000)
days = st.tuples(*[counts] * 24)


@given(days, st.integers(FEWEST_WEEKS, MOST_WEEKS))
def test_a_day_like_all_before_it_is_never_told(hourly: tuple[int, ...], weeks: int) -> None:
    assert found(profile(hourly=hourly), [profile(7 * week, hourly) for week in range(1, weeks + 1)]) == []


@given(days, days)
def test_one_odd_week_moves_nothing(hourly: tuple[int, ...], odd: tuple[int, ...]) -> None:
    usual = [profile(7 * week, hourly) for week in range(1, 6)]
    assert found(profile(hourly=hourly), [*usual[:4], profile(35, odd)]) == []


@given(st.lists(days, min_size=FEWEST_WEEKS, max_size=MOST_WEEKS), days)
def test_what_is_told_lies_outside_all_earlier_weeks_taken_by_hours(
    weeks: list[tuple[int, ...]], hourly: tuple[int, ...]
) -> None:
    told = findings_of_day(profile(hourly=hourly), [profile(7 * n, each) for n, each in enumerate(weeks, 1)], {})
    for finding in told:
        hours = [int(hour) for hour in finding.observed.rpartition("hours ")[2].split(", ")]
        for hour in hours:
            middle = sorted(week[hour] for week in weeks)[(len(weeks) - 1) // 2]
            assert (hourly[hour] < middle) if finding.what == FEWER else (hourly[hour] > middle)
