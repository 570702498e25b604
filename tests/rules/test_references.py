"""Values without a counterpart: told when there are more than in earlier weeks, never for what was always so."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlake.day_checks import FEWEST_WEEKS, Finding, is_of_a_day
from eventlake.references import Reference, ReferenceProfile, findings_of_references, parse_references

DAY = date(2026, 11, 20)


def profile(missing: int, weeks_ago: int = 0, values: int = 1_000, column: str = "order_id") -> ReferenceProfile:
    day = (DAY - timedelta(weeks=weeks_ago)).isoformat()
    return ReferenceProfile("events.refund_events", column, "events.payment_events.order_id", day, values, missing)


WEEKS = [profile(missing, week) for week, missing in enumerate((30, 32, 28, 31), start=1)]


def test_a_share_above_that_of_earlier_weeks_is_told_in_numbers() -> None:
    (finding,) = findings_of_references([profile(200)], WEEKS)
    assert finding == Finding(
        "nothing behind order_id",
        "events.refund_events",
        "medium",
        200,
        "200 of 1000 values of order_id are not in events.payment_events.order_id",
        "about 3%, as in 4 earlier weeks",
    )
    assert is_of_a_day(finding.what)


@pytest.mark.parametrize(
    ("today", "earlier"),
    [
        (profile(80), WEEKS),
        # a handful, however large its share
        (profile(19, values=19), WEEKS),
        # no baseline, of its own
        (profile(900), WEEKS[: FEWEST_WEEKS - 1]),
        (profile(900, column="first_order_id"), WEEKS),
        (profile(0, values=0), WEEKS),
    ],
)
def test_what_is_usual_or_says_too_little_is_left_alone(
    today: ReferenceProfile, earlier: list[ReferenceProfile]
) -> None:
    assert findings_of_references([today], earlier) == ()


@given(st.integers(0, 1_000), st.lists(st.integers(0, 1_000), min_size=FEWEST_WEEKS, max_size=8))
def test_nothing_is_told_below_the_worst_earlier_week(missing: int, earlier: list[int]) -> None:
    weeks = [profile(one, week) for week, one in enumerate(earlier, start=1)]
    if findings_of_references([profile(missing)], weeks):
        assert missing > sorted(earlier)[len(earlier) // 2 - (len(earlier) + 1) % 2]


def test_references_are_read_from_a_suites_meta() -> None:
    said = {"column": "order_id", "to": "payment.order_id", "severity": "high", "why": "Money leaves."}
    assert parse_references("refund", {"meta": {"references": [said]}}) == (
        Reference("order_id", "payment", "order_id", "high", "Money leaves."),
    )
    assert parse_references("refund", {"name": "refund"}) == ()
