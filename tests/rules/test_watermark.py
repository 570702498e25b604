"""The watermark never says more than what is in raw."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from eventlake.watermark import (
    MOST_POINTS,
    NOTHING_COVERED,
    SMALLEST_STEP,
    CoverPoint,
    ShardProgress,
    delivery_delay,
    lake_watermark,
    points_of,
    shard_watermark,
)
from tests.single_draws import tuples_at_once

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
DELAY = delivery_delay(timedelta(seconds=60), None)
# up to a thousand seconds
QUARTERS_OF_SECONDS = [quarter / 4 for quarter in range(4001)]


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def progress(
    arrived: float | None, noted: float | None, is_caught_up: bool, following: float | None = None
) -> ShardProgress:
    times = (None if seconds is None else ago(seconds) for seconds in (arrived, noted, following))
    return ShardProgress("s", *times, is_caught_up, 0)


def test_an_old_position_covers_its_arrival() -> None:
    assert shard_watermark(points_of(progress(100, 90, False), (), NOW), NOW, DELAY) == ago(100)


def test_a_young_position_covers_nothing_yet() -> None:
    # handed over a moment ago: Firehose may still hold it, however old the record is
    assert shard_watermark(points_of(progress(3600, 5, False), (), NOW), NOW, DELAY) == NOTHING_COVERED


def test_an_earlier_look_covers_meanwhile() -> None:
    earlier = [CoverPoint(ago(300), ago(400)), CoverPoint(ago(120), ago(200))]
    assert shard_watermark(points_of(progress(30, 5, False), earlier, NOW), NOW, DELAY) == ago(200)


def test_caught_up_and_delivered_is_now() -> None:
    assert shard_watermark(points_of(progress(100, 90, True), (), NOW), NOW, DELAY) == NOW
    assert shard_watermark(points_of(progress(None, None, True), (), NOW), NOW, DELAY) == NOW


def test_a_shard_nobody_reads_holds_the_lake() -> None:
    points = {"a": [CoverPoint(ago(300), ago(200))], "b": points_of(progress(None, None, False), (), NOW)}
    assert lake_watermark(points, NOW, DELAY) == NOTHING_COVERED
    assert lake_watermark({}, NOW, DELAY) is None


def test_a_shard_nobody_has_read_holds_from_its_first_record_on() -> None:
    unread = points_of(progress(None, None, False, following=5), (), NOW)
    assert shard_watermark(unread, NOW, DELAY) == ago(5) - SMALLEST_STEP
    # once it was read, only what was handed over counts
    assert shard_watermark(points_of(progress(100, 5, False, following=3), (), NOW), NOW, DELAY) == NOTHING_COVERED


def test_a_child_holds_the_lake_though_its_parent_is_done() -> None:
    points = {
        "closed parent": points_of(progress(400, 390, True), (), NOW),
        "read child": points_of(progress(200, 190, True), (), NOW),
        "unread child": points_of(progress(None, None, False, following=300), (), NOW),
    }
    assert lake_watermark(points, NOW, DELAY) == ago(300) - SMALLEST_STEP


def test_what_firehose_still_holds_delays() -> None:
    delay = delivery_delay(timedelta(seconds=60), timedelta(seconds=600))
    assert shard_watermark(points_of(progress(100, 90, True), (), NOW), NOW, delay) == NOTHING_COVERED


@given(st.lists(tuples_at_once(QUARTERS_OF_SECONDS, QUARTERS_OF_SECONDS), max_size=80))
def test_never_more_than_was_handed_over_in_time(pairs: list[tuple[float, float]]) -> None:
    points = [CoverPoint(ago(seen), ago(covered)) for seen, covered in pairs]
    kept = points_of(progress(None, None, False), points, NOW)
    assert len(kept) <= MOST_POINTS
    watermark = shard_watermark(kept, NOW, DELAY)
    assert watermark == NOTHING_COVERED or any(
        point.covered_up_to == watermark and point.seen_at <= NOW - DELAY for point in points
    )


def test_of_many_points_the_newest_are_kept() -> None:
    points = [CoverPoint(ago(seconds), ago(seconds + 1)) for seconds in range(1, MOST_POINTS + 4)]
    assert points_of(progress(None, None, False), points, NOW) == tuple(sorted(points))[3:]
