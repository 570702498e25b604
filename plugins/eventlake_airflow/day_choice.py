"""Which event day a run of `close_day` is about, up to when everything must have arrived, and whether it does upkeep.

What belongs in here: that choice, as a function of a run's facts. What does not: asking anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from eventlake.errors import TerminalError

MANUAL, BACKFILL = "manual", "backfill"
CLOSE, RECOMPUTE = "close", "recompute"


@dataclass(frozen=True)
class DayChoice:
    """`day` None: no day is meant; the books are struck over all that the stream keeps, and nothing is closed."""

    day: date | None
    until: datetime
    closes: bool
    # the day is derived anew from raw, beside loading what waits
    recomputes: bool = False


def choose_day(
    run_type: str, mode: str, given_day: str | None, interval_start: datetime | None, run_after: datetime
) -> DayChoice:
    """A day that is given counts; else the day on which the interval of a scheduled or a backfill run starts.

    A manual run without a day waits for what was received before somebody triggered it. Whoever backfills a day that
    was loaded long ago wants it made anew. Raises TerminalError when the day has not begun, or none is to be made anew.
    """
    recomputes = mode == RECOMPUTE or run_type == BACKFILL
    day = _day(run_type, given_day, interval_start)
    if day is None and recomputes:
        raise TerminalError(
            f"choosing the day to {RECOMPUTE}: received none; valid is an event day; trigger the run again with one"
        )
    if day is None:
        return DayChoice(None, run_after, closes=False)
    start = datetime.combine(day, time(), UTC)
    if start > run_after:
        raise TerminalError(
            f"choosing the day to close: received {day}; valid is a day that has begun by {run_after.isoformat()}; "
            "trigger the run again with another day"
        )
    end = start + timedelta(days=1)
    return DayChoice(day, min(end, run_after), closes=end <= run_after, recomputes=recomputes)


def choose_upkeep(run_type: str, wanted: str) -> str:
    """Once a day is enough for the tables: the thirty runs of a backfill leave it to the scheduled ones."""
    return "skip" if run_type == BACKFILL else wanted


def _day(run_type: str, given_day: str | None, interval_start: datetime | None) -> date | None:
    if given_day:
        return date.fromisoformat(given_day)
    # a manual run that was given a logical date carries the interval that ends there: not what was meant
    if run_type == MANUAL or interval_start is None:
        return None
    return interval_start.astimezone(UTC).date()
