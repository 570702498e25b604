"""Up to when every received record is in raw: the time by which books can balance and days can close.

Firehose holds a record for a while after the function handed it over, and the function may lag behind the stream, so
neither an arrival time nor the clock alone says what has reached raw. What does: a moment at which everything up to
some arrival had been handed over, seen long enough ago for Firehose to have delivered it since.
Every shard that the stream still lists has its say: a closed one until it is read to its end, and a child of a split or
a merge from its first record on.
Does not belong here: asking the stream and the tables (`eventlake_aws.watermark_census`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# what an upload takes once a buffer is full
DELIVERY_MARGIN = timedelta(seconds=2)
# points kept of a shard: one a call, and calls are minutes apart
MOST_POINTS = 50

# the stream tells arrivals in milliseconds
SMALLEST_STEP = timedelta(milliseconds=1)
NOTHING_COVERED = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, order=True)
class CoverPoint:
    """At `seen_at`, everything of the shard that had arrived until `covered_up_to` was with Firehose."""

    seen_at: datetime
    covered_up_to: datetime


@dataclass(frozen=True)
class ShardProgress:
    """What can be known of a shard now.

    `position_*` None: the function never noted a position of this shard. `next_arrived_at`: when the first record
    behind the position arrived, or the first of all; None when there is none.
    """

    shard_id: str
    position_arrived_at: datetime | None
    position_noted_at: datetime | None
    next_arrived_at: datetime | None
    is_caught_up: bool
    millis_behind: int


def delivery_delay(buffer_interval: timedelta, oldest_in_delivery: timedelta | None) -> timedelta:
    """How long ago a record must have been handed over to be in raw for certain."""
    return buffer_interval + (oldest_in_delivery or timedelta(0)) + DELIVERY_MARGIN


def points_of(progress: ShardProgress, earlier: Iterable[CoverPoint], now: datetime) -> tuple[CoverPoint, ...]:
    """The points of a shard, the present one included; oldest first, not more than are kept."""
    points = set(earlier)
    if progress.position_arrived_at is not None and progress.position_noted_at is not None:
        points.add(CoverPoint(progress.position_noted_at, progress.position_arrived_at))
    elif progress.next_arrived_at is not None:
        # nobody has read this shard: before its first record there is nothing of it to deliver
        points.add(CoverPoint(NOTHING_COVERED, progress.next_arrived_at - SMALLEST_STEP))
    if progress.is_caught_up:
        # nothing came after the position: the same moment covers all the time since
        points.add(CoverPoint(progress.position_noted_at or NOTHING_COVERED, now))
    return tuple(sorted(points))[-MOST_POINTS:]


def shard_watermark(points: Iterable[CoverPoint], now: datetime, delay: timedelta) -> datetime:
    """The latest arrival up to which all of a shard is in raw."""
    old_enough = [point.covered_up_to for point in points if point.seen_at <= now - delay]
    return max(old_enough, default=NOTHING_COVERED)


def lake_watermark(
    points_of_shard: Mapping[str, Iterable[CoverPoint]], now: datetime, delay: timedelta
) -> datetime | None:
    """The slowest shard's watermark; None when there is no shard to speak of."""
    return min((shard_watermark(points, now, delay) for points in points_of_shard.values()), default=None)
