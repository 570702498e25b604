"""A million events, what the brief expects of an hour, in one go: sent faster than that, loaded by the schedule alone
while more come in, and in the end every one of them where the simulator's oracle wants it.

Beside it are told how long an event takes until it lies in S3 and until a reader sees it, and the memory of it all.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from laptop.memory import PeakMemory, memory_of
from tests.journeys.lake import Lake, wait_until
from tests.journeys.test_simulated_lake import last_balance, simulate

pytestmark = pytest.mark.long  # half an hour

KEPT_SCHEDULES = ("LOAD",)
EVENTS = 1_000_000
# one million in an hour
LEAST_EVENTS_PER_SECOND = 278
LANDING_TIMEOUT_SECONDS = 900
LOADING_TIMEOUT_SECONDS = 1_200
# balances a million records, one by one
CLOSING_TIMEOUT_SECONDS = 1_200


@dataclass(frozen=True)
class BusyLake(Lake):
    """A lake that loads every five minutes: each load meets events that came in while the one before it ran."""

    def choices(self) -> dict[str, str]:
        return super().choices() | {"LAKE_LOAD_SCHEDULE": "*/5 * * * *"}


@pytest.fixture(scope="module")
def busy_lake(lake: Lake) -> Iterator[BusyLake]:
    busy = BusyLake(lake.home, lake.prefix, kept_schedules=KEPT_SCHEDULES)
    print(busy.make("up"))
    yield busy
    busy.make("down")


def test_a_million_events_end_where_they_belong(
    busy_lake: BusyLake, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    # given
    events, oracle = simulate(tmp_path, "million", EVENTS, seed=41)
    reader, late = busy_lake.reader(), set(oracle["late"])
    at_once = sum(len(set(uuids) - late) for uuids in oracle["tables"].values())
    busy_lake.airflow().unpause("load_events")
    # when
    with PeakMemory(lambda: memory_of(busy_lake.process_ids())) as memory:
        started = time.monotonic()
        print(busy_lake.make("send", f"INPUT={events}", timeout_seconds=EVENTS // LEAST_EVENTS_PER_SECOND))
        sent_seconds = time.monotonic() - started
        lines_of: dict[str, int] = {}
        wait_until(lambda: lines_in_s3(busy_lake, lines_of) >= EVENTS, "every verdict in S3", LANDING_TIMEOUT_SECONDS)
        landed_seconds = time.monotonic() - started
        wait_until(lambda: rows(busy_lake) >= at_once, f"{at_once:,} rows in tables", LOADING_TIMEOUT_SECONDS)
        loaded_seconds = time.monotonic() - started
        busy_lake.run_dag("close_day", timeout_seconds=CLOSING_TIMEOUT_SECONDS)
    # then
    assert EVENTS / landed_seconds >= LEAST_EVENTS_PER_SECOND
    assert reader.event_uuids() == {table: sorted(uuids) for table, uuids in oracle["tables"].items()}
    assert reader.quarantined() == {reason: sorted(uuids) for reason, uuids in oracle["quarantine"].items()}
    assert reader.rejected() == {reason: sorted(hashes) for reason, hashes in oracle["rejected"].items()}
    assert reader.duplicates() == sorted(oracle["duplicates"])
    assert last_balance(busy_lake) == (set(), [])
    # a test that passes is silent: its figures stand in the results' file, .cache/tests/journeys.xml
    record_property(
        "million",
        f"{EVENTS:,} events: sent after {sent_seconds:.0f} s, in S3 after {landed_seconds:.0f} s "
        f"({EVENTS / landed_seconds:,.0f} a second), in tables after {loaded_seconds:.0f} s; "
        f"peak memory {memory.peak_bytes / 1024**3:.1f} GiB",
    )
    record_property("from send to raw", told(seconds_to_raw(busy_lake)))
    record_property("from send to queryable", told(seconds_to_queryable(busy_lake)))


def lines_in_s3(lake: Lake, lines_of: dict[str, int]) -> int:
    """Every record has one line, in raw/, late/ or decisions/. `lines_of`: of the objects that were read before."""
    client, bucket = lake.reader().client("s3"), lake.variables()["LAKE_RAW_BUCKET"]
    pages = client.get_paginator("list_objects_v2")
    for prefix in ("raw/", "late/", "decisions/verdict="):
        for entry in pages.paginate(Bucket=bucket, Prefix=prefix).search("Contents[] || `[]`"):
            if entry["Key"] not in lines_of:
                body = client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                lines_of[entry["Key"]] = len(gzip.decompress(body).splitlines())
    return sum(lines_of.values())


def rows(lake: Lake) -> int:
    catalog = lake.reader().catalog()
    found = 0
    for name in lake.reader().table_names("events"):
        snapshot = catalog.load_table(name).current_snapshot()
        found += int(snapshot.summary["total-records"]) if snapshot is not None else 0
    return found


def seconds_to_raw(lake: Lake) -> pa.Array:
    """Of each row: from its arrival on the stream until its object was there."""
    reader = lake.reader()
    pages = reader.client("s3").get_paginator("list_objects_v2")
    written = {
        entry["Key"]: entry["LastModified"].timestamp()
        for page in pages.paginate(Bucket=lake.variables()["LAKE_RAW_BUCKET"])
        for entry in page.get("Contents", [])
    }
    return waits(lake, "raw_object", written)


def seconds_to_queryable(lake: Lake) -> pa.Array:
    """Of each row: from its arrival on the stream until the load that has it was published."""
    published = lake.reader().column("control.loads", "load_id", "published_at")
    return waits(lake, "load_id", {load_id: at.timestamp() for load_id, at in published if isinstance(at, datetime)})


def waits(lake: Lake, column: str, ends: dict[str, float]) -> pa.Array:
    """Seconds from `ingested_at` to the moment that `ends` has for the value of a column, for each row."""
    found: list[Any] = []
    for name in lake.reader().table_names("events"):
        table = lake.reader().catalog().load_table(name).scan(selected_fields=("ingested_at", column)).to_arrow()
        keys = table[column].combine_chunks().dictionary_encode()
        at_end = pa.array([ends[key.as_py()] for key in keys.dictionary], pa.float64())
        began = pc.divide(pc.cast(pc.cast(table["ingested_at"], pa.int64()), pa.float64()), 1e6)
        found.append(pc.subtract(at_end.take(keys.indices), began.combine_chunks()))
    return pa.concat_arrays(found)


def told(seconds: pa.Array) -> str:
    half, most = pc.quantile(seconds, q=[0.5, 0.95]).to_pylist()
    return f"p50 {half:,.1f} s, p95 {most:,.1f} s ({len(seconds):,} rows)"
