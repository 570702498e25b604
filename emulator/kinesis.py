"""Kinesis: sequence numbers of AWS's shape and order, and an expiry that costs nothing while nothing is old.

Belongs in here: the records of a shard and how long they stay. Does not belong here: how they come in
(kinesis_writing.py), which shards there are (kinesis_resharding.py), who reads them (kinesis_reading.py,
kinesis_event_source.py).
"""

from __future__ import annotations

import threading
import time
from typing import Any

from emulator import clock, kinesis_records, patches

FIX = "kinesis"
_SEQUENCE_DIGITS = 56

_lock = threading.Lock()
_last_milliseconds = 0
_counter = 0


def install() -> None:
    patches.replace(FIX, "services.kinesis:_next_sequence_number", next_sequence_number)
    patches.replace(FIX, "services.kinesis:_expire_records", expire_records)


def next_sequence_number() -> str:
    """56 digits that begin with 49, as AWS gives them, always rising, over restarts too: the clock leads.

    All have one length, so that the order of the texts is the order of the numbers.
    """
    global _last_milliseconds, _counter
    with _lock:
        now = int(time.time() * 1000)
        if now > _last_milliseconds:
            _last_milliseconds, _counter = now, 0
        _counter += 1
        head = f"49{_last_milliseconds:020d}"
        return f"{head}{_counter:0{_SEQUENCE_DIGITS - len(head)}d}"


def expire_records(stream: dict[str, Any]) -> None:
    """Drops what is older than the retention; ministack copies every record of the stream on every put for it."""
    oldest_kept = clock.now() - stream["RetentionPeriodHours"] * 3600
    for shard in stream["shards"].values():
        records = shard["records"] = kinesis_records.with_room(shard["records"])
        if records and records[0]["ApproximateArrivalTimestamp"] < oldest_kept:
            gone = kinesis_records.place_of(records, oldest_kept, kinesis_records.arrival_of, is_behind_equals=False)
            shard["records"] = kinesis_records.without_first(records, gone)
    if any(shard.get("closed_at", oldest_kept) < oldest_kept for shard in stream["shards"].values()):
        # a new table, since readers may be walking through the old one
        stream["shards"] = {
            shard_id: shard
            for shard_id, shard in stream["shards"].items()
            if shard.get("closed_at", oldest_kept) >= oldest_kept
        }
