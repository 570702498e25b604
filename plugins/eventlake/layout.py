"""Where things lie in the raw bucket, and how a key is read back. Names of buckets and tables are in settings.py.

The partition of an event is decided here, once; the function writes it into `_lake`, and Firehose only repeats it.
Hive keys, zero-padded, so that ranges of days are ranges of keys.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from eventlake.timestamps import SECONDS_PER_DAY, iso_day

# Firehose keeps 500 partitions open per stream and sends the rest to its error prefix: event days of any age would
# overrun that in one backfill. https://docs.aws.amazon.com/firehose/latest/dev/limits.html
LATE_AFTER_DAYS = 2

# A waiting landing is found by querying slots; one slot would be one hot partition of the index.
WAITING_SLOTS = 16

DECISIONS_PREFIX = "decisions/"
LARGE_BODIES_PREFIX = "decisions/large/"


class Area(Enum):
    """The areas whose objects are landings."""

    RAW = "raw"
    LATE = "late"
    ERRORS = "errors"


class Partition(NamedTuple):
    """Where an event lies: its area, and the day (ISO) that names the folder."""

    area: Area
    day: str


class RawKey(NamedTuple):
    """What the key of a landing says. Firehose's error objects hold any type, so theirs are empty."""

    area: Area
    event_type: str
    event_subtype: str
    day: str


_EVENT_KEY = re.compile(
    r"(?P<area>raw|late)/event_type=(?P<type>[a-z0-9_]+)/event_subtype=(?P<subtype>[a-z0-9_]+)"
    r"/year=(?P<year>\d{4})/month=(?P<month>\d{2})/day=(?P<day>\d{2})/[^/]+"
)
_ERROR_KEY = re.compile(r"errors/[^/]+/(?P<year>\d{4})/(?P<month>\d{2})/(?P<day>\d{2})/(?:.*/)?[^/]+")


def partition_of(created_at_seconds: int, arrived_at_seconds: int) -> Partition:
    """The partition of an event that occurred and arrived at these times: old events lie by the day of arrival."""
    return _partition_of_days(created_at_seconds // SECONDS_PER_DAY, arrived_at_seconds // SECONDS_PER_DAY)


@lru_cache(maxsize=1024)
def _partition_of_days(created_on: int, arrived_on: int) -> Partition:
    if arrived_on - created_on <= LATE_AFTER_DAYS:
        return Partition(Area.RAW, iso_day(created_on))
    return Partition(Area.LATE, iso_day(arrived_on))


def event_prefix(area: Area, event_type: str, event_subtype: str, day: str) -> str:
    """The folder of one area, type, subtype and day."""
    year, month, day_of_month = day.split("-")
    return (
        f"{area.value}/event_type={event_type}/event_subtype={event_subtype}"
        f"/year={year}/month={month}/day={day_of_month}/"
    )


def parse_raw_key(key: str) -> RawKey | None:
    """What a key (already URL-decoded) says, or None if no object of ours is called so."""
    if found := _EVENT_KEY.fullmatch(key):
        day = f"{found['year']}-{found['month']}-{found['day']}"
        return RawKey(Area(found["area"]), found["type"], found["subtype"], day)
    if found := _ERROR_KEY.fullmatch(key):
        return RawKey(Area.ERRORS, "", "", f"{found['year']}-{found['month']}-{found['day']}")
    return None


def decisions_prefix(verdict: str, day: str) -> str:
    """The folder of the decisions of one verdict and day of arrival."""
    year, month, day_of_month = day.split("-")
    return f"{DECISIONS_PREFIX}verdict={verdict}/year={year}/month={month}/day={day_of_month}/"


def large_body_key(shard_id: str, sequence_number: str, day: str) -> str:
    """Where a body lies that is too large for a decision record. One record, one key: putting it twice is harmless."""
    year, month, day_of_month = day.split("-")
    return f"{LARGE_BODIES_PREFIX}year={year}/month={month}/day={day_of_month}/{shard_id}-{sequence_number}"


def waiting_slot(area: Area, object_key: str) -> str:
    """The slot of the `waiting` index under which a landing is found, as `raw#07`."""
    return f"{area.value}#{crc32(object_key.encode()) % WAITING_SLOTS:02d}"


def waiting_slots(area: Area) -> tuple[str, ...]:
    """All slots of an area, for whoever reads what waits."""
    return tuple(f"{area.value}#{slot:02d}" for slot in range(WAITING_SLOTS))
