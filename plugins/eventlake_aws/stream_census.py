"""Every record that the stream still keeps, read from the stream itself: the side of the books that nobody can gloss.

Shares no code with the admission of events, on purpose: if both read the type wrong in one way, no book would show it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, NamedTuple

from eventlake.identity import RecordIdentity
from eventlake.settings import Settings
from eventlake_aws.clients import Clients
from eventlake_aws.stream_shards import answers, shard_ids

_THREADS = 8
_RECORDS_A_CALL = 10_000
_UNKNOWN_TYPE = "unknown"
# arrival times are approximate: neighbours in a shard may stand the wrong way round
_DISORDER_MOST = timedelta(minutes=1)


class StreamRecord(NamedTuple):
    """One record, without its content."""

    shard_id: str
    sequence_number: int
    arrived_at: datetime
    event_type: str

    @property
    def arrival_day(self) -> str:
        return self.arrived_at.strftime("%Y-%m-%d")


def read_stream(
    clients: Clients,
    settings: Settings,
    since: datetime,
    until: datetime | None,
    take: Callable[[Sequence[StreamRecord]], None],
) -> None:
    """Hands every record that arrived since then to `take`, a batch at once, up to the tip or a little past `until`."""
    _read_shards(clients, settings, since, until, _facts, take)


def uuids_of(
    clients: Clients, settings: Settings, since: datetime, wanted: Collection[RecordIdentity]
) -> dict[RecordIdentity, str]:
    """The uuids of a few records, by a second reading: keeping a million uuids for a few would be dear."""
    found: dict[RecordIdentity, str] = {}

    def keep(records: Sequence[tuple[RecordIdentity, str | None]]) -> None:
        found.update((identity, uuid) for identity, uuid in records if uuid is not None and identity in wanted)

    _read_shards(clients, settings, since, None, _identity_and_uuid, keep)
    return found


def _read_shards(
    clients: Clients,
    settings: Settings,
    since: datetime,
    until: datetime | None,
    of_record: Callable[[str, dict[str, Any]], Any],
    take: Callable[[Any], None],
) -> None:
    lock = Lock()

    def read(shard_id: str) -> None:
        _read_shard(clients.kinesis, settings.stream, shard_id, since, until, of_record, take, lock)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(read, shard_ids(clients.kinesis, settings.stream)))


def _read_shard(
    client: Any,
    stream: str,
    shard_id: str,
    since: datetime,
    until: datetime | None,
    of_record: Callable[[str, dict[str, Any]], Any],
    take: Callable[[Any], None],
    lock: Lock,
) -> None:
    start = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": since}
    for answer in answers(client, stream, shard_id, start, _RECORDS_A_CALL):
        records = answer["Records"]
        # the iterator may begin a little early
        batch = [of_record(shard_id, record) for record in records if record["ApproximateArrivalTimestamp"] >= since]
        if batch:
            with lock:
                take(batch)
        # an empty answer is no end: only the tip is, or a closed shard's last record
        if int(answer.get("MillisBehindLatest", 0)) == 0:
            break
        if until is not None and records and records[-1]["ApproximateArrivalTimestamp"] > until + _DISORDER_MOST:
            break


def _facts(shard_id: str, record: dict[str, Any]) -> StreamRecord:
    return StreamRecord(
        shard_id,
        int(record["SequenceNumber"]),
        record["ApproximateArrivalTimestamp"].astimezone(UTC),
        _type_of(record["Data"]),
    )


def _type_of(data: bytes) -> str:
    name = _field(data, "event_name")
    event_type = name.split(":", 1)[0] if name is not None else ""
    is_plain = event_type.isascii() and event_type.replace("_", "a").isalnum() and event_type == event_type.lower()
    return event_type if is_plain else _UNKNOWN_TYPE


def _identity_and_uuid(shard_id: str, record: dict[str, Any]) -> tuple[RecordIdentity, str | None]:
    uuid = _field(record["Data"], "event_uuid")
    return RecordIdentity(shard_id, int(record["SequenceNumber"])), None if uuid is None else uuid.lower()


def _field(data: bytes, name: str) -> str | None:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    value = event.get(name) if isinstance(event, dict) else None
    return value if isinstance(value, str) else None
