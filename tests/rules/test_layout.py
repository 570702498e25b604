"""Where an event lies, and that a key says the same when it is read back."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlake.layout import (
    Area,
    Partition,
    RawKey,
    decisions_prefix,
    event_prefix,
    large_body_key,
    parse_raw_key,
    partition_of,
    waiting_slot,
    waiting_slots,
)
from tests.builders import DAY_SECONDS, EIGHT_O_CLOCK_SECONDS, SHARD, a_raw_key, a_sequence_number

MIDNIGHT = EIGHT_O_CLOCK_SECONDS - 8 * 3600
NAMES = st.text("abcxyz019_", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("created_at", "partition"),
    [
        (EIGHT_O_CLOCK_SECONDS, Partition(Area.RAW, "2026-11-21")),
        (EIGHT_O_CLOCK_SECONDS + DAY_SECONDS, Partition(Area.RAW, "2026-11-22")),
        (MIDNIGHT - 1, Partition(Area.RAW, "2026-11-20")),
        (MIDNIGHT - 2 * DAY_SECONDS, Partition(Area.RAW, "2026-11-19")),
        (MIDNIGHT - 2 * DAY_SECONDS - 1, Partition(Area.LATE, "2026-11-21")),
        (946_684_800, Partition(Area.LATE, "2026-11-21")),
    ],
)
def test_events_lie_by_their_own_day_and_old_ones_by_the_day_of_arrival(created_at: int, partition: Partition) -> None:
    assert partition_of(created_at, EIGHT_O_CLOCK_SECONDS) == partition


@given(
    area=st.sampled_from([Area.RAW, Area.LATE]),
    event_type=NAMES,
    event_subtype=NAMES,
    day=st.dates(date(2000, 1, 1)),
    name=st.text("abc.-019 +%", min_size=1, max_size=20),
)
@settings(max_examples=40)
def test_a_key_says_where_it_was_put(area: Area, event_type: str, event_subtype: str, day: date, name: str) -> None:
    key = event_prefix(area, event_type, event_subtype, day.isoformat()) + name
    assert parse_raw_key(key) == RawKey(area, event_type, event_subtype, day.isoformat())
    assert waiting_slot(area, key) in waiting_slots(area)


def test_keys_as_firehose_writes_them() -> None:
    assert parse_raw_key(a_raw_key()) == RawKey(Area.RAW, "payment", "order", "2026-11-21")
    assert event_prefix(Area.RAW, "payment", "order", "2026-11-21") + "080500-object.gz" == a_raw_key()
    error = "errors/processing-failed/2026/11/21/eventlake-local-raw-1-2026-11-21-08-00-00-x.gz"
    assert parse_raw_key(error) == RawKey(Area.ERRORS, "", "", "2026-11-21")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "raw/",
        "raw/notes.txt",
        "decisions/verdict=rejected/year=2026/month=11/day=21/x.gz",
        "decisions-errors/processing-failed/2026/11/21/x.gz",
        a_raw_key(name=""),
        a_raw_key(event_type="Payment"),
        a_raw_key() + "/further",
        "x" + a_raw_key(),
        "errors/x.gz",
    ],
)
def test_other_keys_are_nobodys_landing(key: str) -> None:
    assert parse_raw_key(key) is None


def test_decisions_lie_by_verdict_and_day_of_arrival_and_large_bodies_beside_them() -> None:
    assert decisions_prefix("rejected", "2026-11-01") == "decisions/verdict=rejected/year=2026/month=11/day=01/"
    assert large_body_key(SHARD, a_sequence_number(), "2026-11-01") == (
        f"decisions/large/year=2026/month=11/day=01/{SHARD}-{a_sequence_number()}"
    )
