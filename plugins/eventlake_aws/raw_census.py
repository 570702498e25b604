"""Every record that lies in the raw bucket, admitted or decided against, for some days of arrival.

The bucket's own listing says what there is: the list of landings is one of the things being checked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from threading import Lock
from typing import NamedTuple

from eventlake.circuit_breaker import Rejection
from eventlake.decisions import Verdict
from eventlake.layout import decisions_prefix
from eventlake.settings import Settings
from eventlake_aws.bucket_listing import ListedObject, list_folders, list_objects
from eventlake_aws.clients import Clients
from eventlake_aws.raw_lines import RawLine, facts_of_line, lines_of_object

_THREADS = 8
# how far the folder's day may lie from the day of arrival: event days two back and one ahead, deliveries a day late
_EVENT_DAYS_BEFORE, _DAYS_AFTER = 2, 2


class DecidedRecord(NamedTuple):
    """One record that did not come in, without its bytes."""

    shard_id: str
    sequence_number: int
    ingested_at: str
    event_type: str | None
    verdict: str
    reason: str | None

    @property
    def arrival_day(self) -> str:
        return self.ingested_at[:10]


class ObjectLines(NamedTuple):
    """What one landing holds. `unreadable` lines are there, but say not who they are."""

    landed: ListedObject
    lines: Sequence[RawLine]
    unreadable: int


def raw_objects(clients: Clients, settings: Settings, arrival_days: Sequence[date] | None) -> list[ListedObject]:
    """Landings that may hold records which arrived on these days; all landings when no day is named."""
    client, bucket = clients.s3, settings.raw_bucket
    if arrival_days is None:
        return [one for area in ("raw/", "late/", "errors/") for one in list_objects(client, bucket, area)]
    first, last = min(arrival_days), max(arrival_days)
    folders = [
        subtype
        for area in ("raw/", "late/")
        for event_type in list_folders(client, bucket, area)
        for subtype in list_folders(client, bucket, event_type)
    ]
    errors = list_folders(client, bucket, "errors/")
    ranges = [
        (folder, _hive(first - timedelta(_EVENT_DAYS_BEFORE)), _hive(last + timedelta(_DAYS_AFTER)))
        for folder in folders
    ]
    ranges += [(folder, f"{first:%Y/%m/%d}/", f"{last + timedelta(_DAYS_AFTER):%Y/%m/%d}/") for folder in errors]
    with ThreadPoolExecutor(_THREADS) as pool:
        listed = pool.map(
            lambda one: list(list_objects(client, bucket, one[0], start_after=one[0] + one[1], until=one[0] + one[2])),
            ranges,
        )
        return [found for objects in listed for found in objects]


def read_raw(
    clients: Clients, settings: Settings, objects: Iterable[ListedObject], take: Callable[[ObjectLines], None]
) -> None:
    """Hands what each object holds to `take`, never two at once."""
    client, lock = clients.s3, Lock()

    def read(listed: ListedObject) -> None:
        body = client.get_object(Bucket=settings.raw_bucket, Key=listed.key)["Body"].read()
        facts = [facts_of_line(line) for line in lines_of_object(listed.key, body)]
        readable = [fact for fact in facts if fact is not None]
        with lock:
            take(ObjectLines(listed, readable, len(facts) - len(readable)))

    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(read, objects):
            pass


def read_decisions(
    clients: Clients, settings: Settings, arrival_days: Sequence[date] | None, take: Callable[[DecidedRecord], None]
) -> int:
    """Hands every decision on a record of these days to `take`; says how many objects were read."""
    client, lock = clients.s3, Lock()
    keys = list(_decision_keys(clients, settings, arrival_days))

    def read(key: str) -> None:
        body = client.get_object(Bucket=settings.raw_bucket, Key=key)["Body"].read()
        decided = [_decision(line) for line in lines_of_object(key, body)]
        with lock:
            for record in decided:
                if record is not None:
                    take(record)

    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(read, keys):
            pass
    return len(keys)


def read_rejections(clients: Clients, settings: Settings, since: datetime, now: datetime) -> list[Rejection]:
    """Records that were rejected, by what was written down of them since a time, each once."""
    client, bucket = clients.s3, settings.raw_bucket
    # a folder bears the day of arrival, and a delivery may be a day late
    days = [since.date() + timedelta(days=number) for number in range(-1, (now.date() - since.date()).days + 1)]
    folders = [decisions_prefix(Verdict.REJECTED.value, day.isoformat()) for day in days]
    objects = [found for folder in folders for found in list_objects(client, bucket, folder)]

    def read(listed: ListedObject) -> list[tuple[tuple[str, int], Rejection]]:
        body = client.get_object(Bucket=bucket, Key=listed.key)["Body"].read()
        records = [record for line in lines_of_object(listed.key, body) if (record := _decision(line)) is not None]
        return [
            ((one.shard_id, one.sequence_number), Rejection(one.event_type, listed.last_modified))
            for one in records
            if one.event_type
        ]

    with ThreadPoolExecutor(_THREADS) as pool:
        known = dict(
            pair for pairs in pool.map(read, (one for one in objects if one.last_modified >= since)) for pair in pairs
        )
    return list(known.values())


def _decision_keys(clients: Clients, settings: Settings, arrival_days: Sequence[date] | None) -> Iterator[str]:
    client, bucket = clients.s3, settings.raw_bucket
    folders = [folder for folder in list_folders(client, bucket, "decisions/") if "verdict=" in folder]
    error_folders = list_folders(client, bucket, "decisions-errors/")
    for folder in (*folders, *error_folders):
        start, until = "", None
        if arrival_days is not None:
            first, last = min(arrival_days), max(arrival_days) + timedelta(_DAYS_AFTER)
            is_hive = folder in folders
            start = folder + (_hive(first) if is_hive else f"{first:%Y/%m/%d}/")
            until = folder + (_hive(last) if is_hive else f"{last:%Y/%m/%d}/")
        for found in list_objects(client, bucket, folder, start_after=start, until=until):
            yield found.key


def _decision(line: bytes) -> DecidedRecord | None:
    try:
        body = json.loads(line)
        return DecidedRecord(
            body["shard_id"],
            int(body["sequence_number"]),
            body["ingested_at"],
            body.get("event_type"),
            body["verdict"],
            body.get("reason"),
        )
    except (ValueError, KeyError, TypeError):
        # not ours to judge here: the record it was about shows up as undecided
        return None


def _hive(day: date) -> str:
    return f"year={day:%Y}/month={day:%m}/day={day:%d}/"
