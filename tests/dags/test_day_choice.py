"""Which day a run of `close_day` is about, from the facts of the run alone."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from eventlake.errors import TerminalError
from eventlake_airflow.day_choice import DayChoice, choose_day, choose_upkeep

AFTER = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)
STARTS = datetime(2026, 11, 20, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_a_run_with_an_interval_closes_the_day_it_starts_on(run_type: str) -> None:
    choice = choose_day(run_type, "close", None, STARTS, AFTER)
    assert choice == DayChoice(date(2026, 11, 20), MIDNIGHT, closes=True, recomputes=run_type == "backfill")


def test_a_run_by_hand_without_a_day_waits_for_what_was_sent_before_it_and_closes_nothing() -> None:
    assert choose_day("manual", "close", None, None, AFTER) == DayChoice(None, AFTER, closes=False)
    # the interval that Airflow derives from a logical date is not what somebody asked for
    assert choose_day("manual", "close", None, STARTS, AFTER) == DayChoice(None, AFTER, closes=False)


@pytest.mark.parametrize("run_type", ["manual", "scheduled", "backfill"])
def test_a_day_that_is_given_counts(run_type: str) -> None:
    choice = choose_day(run_type, "recompute", "2026-11-07", STARTS, AFTER)
    assert choice == DayChoice(date(2026, 11, 7), datetime(2026, 11, 8, tzinfo=UTC), closes=True, recomputes=True)


def test_a_day_is_made_anew_when_somebody_says_so_or_backfills_and_it_must_be_named() -> None:
    made_anew = [
        choose_day(run_type, "close", None, STARTS, AFTER).recomputes for run_type in ("scheduled", "backfill")
    ]
    assert made_anew == [False, True]
    with pytest.raises(TerminalError, match="to recompute: received none; valid is an event day"):
        choose_day("manual", "recompute", None, None, AFTER)


def test_a_day_that_is_not_over_is_balanced_and_stays_open() -> None:
    assert choose_day("manual", "close", "2026-11-21", None, AFTER) == DayChoice(
        date(2026, 11, 21), AFTER, closes=False
    )


def test_a_day_is_over_at_midnight_and_not_before() -> None:
    assert choose_day("manual", "close", "2026-11-20", None, MIDNIGHT).closes
    assert not choose_day("manual", "close", "2026-11-20", None, datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)).closes


def test_a_day_that_has_not_begun_is_refused() -> None:
    with pytest.raises(TerminalError, match=r"2026-11-22.*has begun"):
        choose_day("manual", "close", "2026-11-22", None, AFTER)


def test_thirty_runs_of_a_backfill_leave_the_upkeep_to_the_scheduled_ones() -> None:
    assert [choose_upkeep(run_type, "run") for run_type in ("scheduled", "manual", "backfill")] == [
        "run",
        "run",
        "skip",
    ]
    assert choose_upkeep("manual", "dry run") == "dry run"
