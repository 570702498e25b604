"""GetShardIterator and GetRecords: where an iterator stands, what one call gives, and how often it may be asked.

Belongs in here: read limits (https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html), the end of a
closed shard. An iterator stands behind a sequence number, not at an index: records expire under it. Does not belong
here: the Lambda event source, which reads the shards by itself and uses up nothing of these limits.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ministack.core import responses
from ministack.services import kinesis

from emulator import clock, kinesis_metrics, kinesis_records, patches
from emulator.allowances import Allowance
from emulator.kinesis_resharding import is_open
from emulator.kinesis_writing import REFUSAL, refusal_text

FIX = "kinesis_reading"

SHARD_CALLS_A_SECOND = 5
SHARD_BYTES_A_SECOND = 2 * 1024 * 1024
CALL_BYTES = 10 * 1024 * 1024
CALL_RECORDS = 10_000
# after an answer of CALL_BYTES
FULL_CALL_PAUSE_SECONDS = 5.0
_BEFORE_ALL = ""

_Record = dict[str, Any]
_Answer = tuple[int, dict[str, str], Any]


@dataclass
class _Shard:
    """What one shard may still give."""

    calls: Allowance = field(default_factory=lambda: Allowance(SHARD_CALLS_A_SECOND))
    payload: Allowance = field(default_factory=lambda: Allowance(SHARD_BYTES_A_SECOND))
    pause_until: float = float("-inf")

    def answers(self, now: float) -> bool:
        if now < self.pause_until or not (self.calls.holds(1, now) and self.payload.holds(0, now)):
            return False
        self.calls.take(1)
        return True

    def gave(self, payload_bytes: int, is_full: bool, now: float) -> None:
        self.payload.take(payload_bytes)
        if is_full:
            self.pause_until = now + FULL_CALL_PAUSE_SECONDS


_shards: dict[tuple[str, str], _Shard] = defaultdict(_Shard)


def install() -> None:
    patches.replace(FIX, "services.kinesis:_get_shard_iterator", get_shard_iterator)
    patches.replace(FIX, "services.kinesis:_get_records", get_records)


def get_shard_iterator(request: dict[str, Any]) -> _Answer:
    name, stream = kinesis._resolve_stream(request)
    if stream is None:
        return _refused("ResourceNotFoundException", f"Stream {name} not found")
    shard = stream["shards"].get(request.get("ShardId"))
    if shard is None:
        return _refused("ResourceNotFoundException", f"Shard {request.get('ShardId')} not found")
    kinesis._expire_records(stream)
    kind = request.get("ShardIteratorType")
    if kind == "AT_TIMESTAMP" and request.get("Timestamp") is None:
        return _refused("ValidationException", "Timestamp required for AT_TIMESTAMP")
    after = _place_before(shard["records"], kind, request)
    if after is None:
        return _refused("ValidationException", f"Invalid ShardIteratorType: {kind}")
    return _answered({"ShardIterator": _iterator(stream, str(request["ShardId"]), after)})


def _place_before(records: Sequence[_Record], kind: str | None, request: dict[str, Any]) -> str | None:
    """The sequence number behind which the reading begins; None for a type that does not exist."""
    number = str(request.get("StartingSequenceNumber") or "")
    if kind == "TRIM_HORIZON":
        return _BEFORE_ALL
    if kind == "AFTER_SEQUENCE_NUMBER":
        return number
    if kind == "LATEST":
        return number_before(records, len(records))
    if kind == "AT_SEQUENCE_NUMBER":
        return number_before(
            records, kinesis_records.place_of(records, number, kinesis_records.number_of, is_behind_equals=False)
        )
    if kind == "AT_TIMESTAMP":
        return number_before(records, first_since(records, float(request["Timestamp"])))
    return None


def number_before(records: Sequence[_Record], index: int) -> str:
    return str(records[index - 1]["SequenceNumber"]) if index else _BEFORE_ALL


def first_since(records: Sequence[_Record], seconds: float) -> int:
    """The index of the first record that arrived then or later."""
    return kinesis_records.place_of(records, seconds, kinesis_records.arrival_of, is_behind_equals=False)


def first_after(records: Sequence[_Record], number: str) -> int:
    """The index of the first record behind a sequence number."""
    return kinesis_records.place_of(records, number, kinesis_records.number_of, is_behind_equals=True)


def get_records(request: dict[str, Any]) -> _Answer:
    place = kinesis._shard_iterators.get(request.get("ShardIterator"))
    if place is None or time.time() - place["created_at"] > kinesis.ITERATOR_EXPIRY_SECONDS:
        return _refused("ExpiredIteratorException", "Iterator has expired or is invalid")
    stream = kinesis._streams.get(place["stream"])
    shard = stream["shards"].get(place["shard_id"]) if stream else None
    if stream is None or shard is None:
        return _refused("ResourceNotFoundException", f"Shard {place['shard_id']} of {place['stream']} not found")
    limit = int(request.get("Limit") or CALL_RECORDS)
    if limit > CALL_RECORDS:
        return _refused("InvalidArgumentException", f"Limit {limit} is more than {CALL_RECORDS}")
    allowed, now = _shards[stream["StreamARN"], place["shard_id"]], time.monotonic()
    if not allowed.answers(now):
        kinesis_metrics.measure(stream["StreamName"], kinesis_metrics.READS_REFUSED, 1)
        return _refused(REFUSAL, refusal_text(stream, place["shard_id"]))
    kinesis_metrics.measure(stream["StreamName"], kinesis_metrics.READS_REFUSED, 0)
    kinesis._expire_records(stream)
    records = shard["records"]
    start = first_after(records, place["after"])
    end, payload_bytes, is_full = _cut(records, start, start + limit)
    allowed.gave(payload_bytes, is_full, now)
    return _read(stream, place, records, start, end)


def _cut(records: Sequence[_Record], start: int, end: int) -> tuple[int, int, bool]:
    """Where the answer ends, its bytes, and whether it ends because it holds as much as an answer may."""
    payload_bytes = 0
    for index, record in enumerate(records[start:end], start):
        size = len(record["Data"]) * 3 // 4 + len(record["PartitionKey"].encode())
        if payload_bytes + size > CALL_BYTES:
            return index, payload_bytes, True
        payload_bytes += size
    return min(end, len(records)), payload_bytes, False


def _read(stream: dict[str, Any], place: dict[str, Any], records: Sequence[_Record], start: int, end: int) -> _Answer:
    shard_id = place["shard_id"]
    given = [_record_out(record, stream) for record in records[start:end]]
    is_at_tip = end == len(records)
    # 0 says that nothing is left
    behind = 0 if is_at_tip else max(1, int((time.time() - records[end]["ApproximateArrivalTimestamp"]) * 1000))
    answer: dict[str, Any] = {"Records": given, "MillisBehindLatest": behind}
    if is_at_tip and not is_open(stream["shards"][shard_id]):
        answer |= {"NextShardIterator": None, "ChildShards": children_of(stream, shard_id)}
    else:
        after = given[-1]["SequenceNumber"] if given else place["after"]
        answer["NextShardIterator"] = _iterator(stream, shard_id, after)
    note_age(stream, records[end - 1] if given else None)
    return _answered(answer)


def note_age(stream: dict[str, Any], last_record: _Record | None) -> None:
    """How old the last record of an answer is; 0 for a reader that has all."""
    age_seconds = clock.now() - last_record["ApproximateArrivalTimestamp"] if last_record else 0
    kinesis_metrics.measure(stream["StreamName"], kinesis_metrics.ITERATOR_AGE, max(0, round(age_seconds * 1000)))


def children_of(stream: dict[str, Any], shard_id: str) -> list[dict[str, Any]]:
    children = []
    for child_id, child in stream["shards"].items():
        parents = [one for one in (child["parent_shard_id"], child["adjacent_parent_shard_id"]) if one]
        if shard_id in parents:
            ends = {"StartingHashKey": child["starting_hash_key"], "EndingHashKey": child["ending_hash_key"]}
            children.append({"ShardId": child_id, "ParentShards": parents, "HashKeyRange": ends})
    return children


def _record_out(record: _Record, stream: dict[str, Any]) -> _Record:
    return {
        "SequenceNumber": record["SequenceNumber"],
        "ApproximateArrivalTimestamp": record["ApproximateArrivalTimestamp"],
        "Data": kinesis._ensure_base64(record["Data"]),
        "PartitionKey": record["PartitionKey"],
        "EncryptionType": stream.get("EncryptionType", "NONE"),
    }


def _iterator(stream: dict[str, Any], shard_id: str, after: str) -> str:
    token: str = responses.new_uuid()
    kinesis._shard_iterators[token] = {
        "stream": stream["StreamName"],
        "stream_arn": stream["StreamARN"],
        "shard_id": shard_id,
        "after": after,
        "created_at": time.time(),
    }
    return token


def _answered(body: dict[str, Any]) -> _Answer:
    answer: _Answer = responses.json_response(body)
    return answer


def _refused(code: str, message: str) -> _Answer:
    answer: _Answer = responses.error_response_json(code, message, 400)
    return answer
