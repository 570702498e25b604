"""What looks wrong about a whole event day of a table: too few rows or too many, silence, a uuid on two days.

Belongs here: the rules, and the baseline that they compare with. Nothing here holds a load: by the time a day is over,
readers have seen it. Does not belong here: counting rows (`eventlake_aws.day_profiles`), telling people.

The baseline is robust, as https://en.wikipedia.org/wiki/Median_absolute_deviation has it: the median of the same hours
of earlier weeks, and how far these weeks lie around it. One odd week moves neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import sqrt
from statistics import median
from typing import Protocol, TypeVar

HOURS = 24
DAY_SECONDS = 86_400
DAYS_OF_A_WEEK = 7
# fewer weeks are no baseline; older ones say little of today
FEWEST_WEEKS, MOST_WEEKS = 3, 8
# a median absolute deviation of normal noise, as its standard deviation
_DEVIATION = 1.4826
# how many of them a day may lie off before it is told
DEVIATIONS = 6
# what is half as much again is worth a look, what differs by a handful of rows is not
_SHARE, _FEWEST_ROWS = 0.5, 20
_FEWEST_SILENT_SECONDS = 3_600
MOST_SAMPLES = 10

FEWER, MORE, SILENT, TWO_DAYS = "fewer rows than usual", "more rows than usual", "silent", "one uuid on two days"
BROKEN_PRODUCER = "too many rows of a producer quarantined"
# and the name of the column
DANGLING = "nothing behind"
_KINDS = (FEWER, MORE, SILENT, TWO_DAYS, BROKEN_PRODUCER)


class OfDay(Protocol):
    """Whatever was counted on one event day."""

    @property
    def day(self) -> str: ...


Counted = TypeVar("Counted", bound=OfDay)


@dataclass(frozen=True)
class DayProfile:
    """One event day of a table in numbers. `last_second`: of the day, when its last event happened; None: no row."""

    table: str
    day: str
    hourly_rows: tuple[int, ...]
    last_second: int | None

    @property
    def rows(self) -> int:
        return sum(self.hourly_rows)

    @property
    def silent_seconds(self) -> int:
        """From the last event to the end of the day."""
        return DAY_SECONDS if self.last_second is None else DAY_SECONDS - self.last_second


@dataclass(frozen=True)
class Finding:
    """`what` is the kind of trouble and holds no number. `rows`: that are concerned, missing ones too."""

    what: str
    table: str
    severity: str
    rows: int
    observed: str
    expected: str
    samples: tuple[str, ...] = ()


def findings_of_day(
    profile: DayProfile, earlier: Iterable[DayProfile], on_other_days: Mapping[str, str]
) -> tuple[Finding, ...]:
    """`earlier`: of the same table, any days. `on_other_days`: uuids of this day that stand on another, and which."""
    weeks = same_weekdays(profile, earlier)
    found = [*_of_volume(profile, weeks), *_of_silence(profile, weeks)] if len(weeks) >= FEWEST_WEEKS else []
    if on_other_days:
        days = sorted(set(on_other_days.values()))
        found.append(
            Finding(
                TWO_DAYS,
                profile.table,
                "high",
                len(on_other_days),
                f"{len(on_other_days)} uuids also on {', '.join(days)}",
                "each uuid on one day",
                tuple(sorted(on_other_days))[:MOST_SAMPLES],
            )
        )
    return tuple(found)


def is_of_a_day(what: str) -> bool:
    """Whether a trouble is one that the checks of a whole day find, and so one that they may close."""
    return what in _KINDS or what.startswith(f"{DANGLING} ")


def same_weekdays(profile: Counted, earlier: Iterable[Counted]) -> list[Counted]:
    """The newest earlier days that are whole weeks away."""
    day = date.fromisoformat(profile.day)

    def weeks_before(other: Counted) -> float:
        return (day - date.fromisoformat(other.day)).days / DAYS_OF_A_WEEK

    known = [other for other in earlier if weeks_before(other) >= 1 and weeks_before(other).is_integer()]
    return sorted(known, key=lambda other: other.day, reverse=True)[:MOST_WEEKS]


def usual(values: Sequence[float]) -> tuple[float, float]:
    """The middle of what earlier weeks had, and their deviation from it; one odd week moves neither."""
    middle = median(values)
    return middle, median(abs(value - middle) for value in values) * _DEVIATION


def _of_volume(profile: DayProfile, weeks: Sequence[DayProfile]) -> Iterable[Finding]:
    usual_rows = [_usual_rows([week.hourly_rows[hour] for week in weeks]) for hour in range(HOURS)]
    for what, sign in ((FEWER, -1), (MORE, 1)):
        hours = [
            hour
            for hour, (middle, allowed) in enumerate(usual_rows)
            if sign * (profile.hourly_rows[hour] - middle) > allowed
        ]
        if hours:
            here = sum(profile.hourly_rows[hour] for hour in hours)
            there = round(sum(usual_rows[hour][0] for hour in hours))
            # a table that usually has rows and has none today is an outage, not a slow day
            severity = "high" if not profile.rows else "medium"
            named = ", ".join(f"{hour:02}" for hour in hours)
            yield Finding(
                what,
                profile.table,
                severity,
                abs(here - there),
                f"{here} rows in the hours {named}",
                f"about {there}, as in these hours of {len(weeks)} earlier weeks",
            )


def _usual_rows(counts: Sequence[int]) -> tuple[float, float]:
    """The middle of earlier counts, and how far from it a count may lie."""
    middle, deviation = usual(counts)
    # counts of rare things scatter by the root of what is expected
    return middle, max(DEVIATIONS * deviation, _SHARE * middle, DEVIATIONS * sqrt(middle), _FEWEST_ROWS)


def _of_silence(profile: DayProfile, weeks: Sequence[DayProfile]) -> Iterable[Finding]:
    silences = [week.silent_seconds for week in weeks if week.rows]
    # a day without any row is told by its volume
    if not profile.rows or len(silences) < FEWEST_WEEKS:
        return
    middle, deviation = usual(silences)
    allowed = max(middle + DEVIATIONS * deviation, 2 * middle, middle + _FEWEST_SILENT_SECONDS)
    if profile.silent_seconds > allowed:
        yield Finding(
            SILENT,
            profile.table,
            "medium",
            0,
            f"no event in the last {_minutes(profile.silent_seconds)} of the day",
            f"about {_minutes(middle)}, as in {len(silences)} earlier weeks",
        )


def _minutes(seconds: float) -> str:
    return f"{round(seconds / 60)} minutes"
