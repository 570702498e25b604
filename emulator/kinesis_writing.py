"""PutRecord and PutRecords: what a shard takes in a second, and the refusal of what is beyond it.

Belongs in here: write limits (https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html), which hold
for a shard of either capacity mode; the four shards with which an on-demand stream begins. Does not belong here: which
shard a key belongs to (ministack, kinesis_resharding.py); reading.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ministack.core import responses
from ministack.services import kinesis

from emulator import kinesis_metrics, patches
from emulator.allowances import Allowance

FIX = "kinesis_writing"

SHARD_RECORDS_A_SECOND = 1_000
SHARD_BYTES_A_SECOND = 1024 * 1024
# 4 MB/s and 4,000 records a second: "new data streams created with the on-demand capacity mode"
ON_DEMAND_SHARDS = 4
CALL_RECORDS = 500
CALL_BYTES = 5 * 1024 * 1024
REFUSAL = "ProvisionedThroughputExceededException"

_Answer = tuple[int, dict[str, str], Any]
_Handler = Callable[[dict[str, Any]], _Answer]


@dataclass
class _Shard:
    """What one shard may still take."""

    records: Allowance = field(default_factory=lambda: Allowance(SHARD_RECORDS_A_SECOND))
    payload: Allowance = field(default_factory=lambda: Allowance(SHARD_BYTES_A_SECOND))

    def takes(self, payload_bytes: int, now: float) -> bool:
        if not (self.records.holds(1, now) and self.payload.holds(payload_bytes, now)):
            return False
        self.records.take(1)
        self.payload.take(payload_bytes)
        return True


_shards: dict[tuple[str, str], _Shard] = defaultdict(_Shard)


def install() -> None:
    put_record = patches.replace(FIX, "services.kinesis:_put_record", None)
    put_records = patches.replace(FIX, "services.kinesis:_put_records", None)
    create_stream = patches.replace(FIX, "services.kinesis:_create_stream", None)
    kinesis._put_record = lambda request: _put_record(put_record, request)
    kinesis._put_records = lambda request: _put_records(put_records, request)
    kinesis._create_stream = lambda request: create_stream(_with_first_shards(request))


def _with_first_shards(request: dict[str, Any]) -> dict[str, Any]:
    is_on_demand = (request.get("StreamModeDetails") or {}).get("StreamMode") == "ON_DEMAND"
    return {**request, "ShardCount": ON_DEMAND_SHARDS} if is_on_demand else request


def refusal_text(stream: dict[str, Any], shard_id: str) -> str:
    name, account = stream["StreamName"], responses.get_account_id()
    return f"Rate exceeded for shard {shard_id} in stream {name} under account {account}."


def _put_record(put: _Handler, request: dict[str, Any]) -> _Answer:
    _, stream = kinesis._resolve_stream(request)
    if stream is None or not request.get("PartitionKey"):
        return put(request)
    shard_id = _shard_of(stream, request)
    payload_bytes = _payload_bytes(request)
    if not _shards[stream["StreamARN"], shard_id].takes(payload_bytes, time.monotonic()):
        _measure(stream, taken=0, taken_bytes=0, refused=1)
        return responses.error_response_json(REFUSAL, refusal_text(stream, shard_id), 400)
    answer = put(request)
    if answer[0] < 300:
        _measure(stream, taken=1, taken_bytes=payload_bytes, refused=0)
    return answer


def _put_records(put: _Handler, request: dict[str, Any]) -> _Answer:
    """Partly: an entry beyond what its shard takes fails by itself, in its place of the answer."""
    _, stream = kinesis._resolve_stream(request)
    entries = request.get("Records") or []
    sizes = [_payload_bytes(entry) for entry in entries]
    if stream is None or len(entries) > CALL_RECORDS or sum(sizes) > CALL_BYTES:
        # ministack refuses it as a whole
        return put(request)
    now = time.monotonic()
    taken: list[dict[str, Any]] = []
    taken_bytes = 0
    refused: dict[int, str] = {}
    for number, (entry, payload_bytes) in enumerate(zip(entries, sizes, strict=True)):
        shard_id = _shard_of(stream, entry)
        if _shards[stream["StreamARN"], shard_id].takes(payload_bytes, now):
            taken.append(entry)
            taken_bytes += payload_bytes
        else:
            refused[number] = shard_id
    answer = put({**request, "Records": taken} if refused else request)
    if answer[0] >= 300:
        return answer
    _measure(stream, len(taken), taken_bytes, len(refused))
    return _with_refused(answer, stream, refused) if refused else answer


def _with_refused(answer: _Answer, stream: dict[str, Any], refused: dict[int, str]) -> _Answer:
    body = json.loads(answer[2])
    results = iter(body["Records"])
    body["Records"] = [
        {"ErrorCode": REFUSAL, "ErrorMessage": refusal_text(stream, refused[number])}
        if number in refused
        else next(results)
        for number in range(len(body["Records"]) + len(refused))
    ]
    body["FailedRecordCount"] = len(refused)
    answered: _Answer = responses.json_response(body)
    return answered


def _measure(stream: dict[str, Any], taken: int, taken_bytes: int, refused: int) -> None:
    name = stream["StreamName"]
    kinesis_metrics.measure(name, kinesis_metrics.INCOMING_RECORDS, taken)
    kinesis_metrics.measure(name, kinesis_metrics.INCOMING_BYTES, taken_bytes)
    kinesis_metrics.measure(name, kinesis_metrics.WRITES_REFUSED, refused)


def _shard_of(stream: dict[str, Any], entry: dict[str, Any]) -> str:
    explicit = entry.get("ExplicitHashKey")
    hash_key = int(explicit) if explicit else kinesis._partition_key_to_hash(entry.get("PartitionKey", ""))
    return str(kinesis._route_to_shard(hash_key, stream))


def _payload_bytes(entry: dict[str, Any]) -> int:
    """Data and key; the data come as base64 and are not decoded only to be measured."""
    data = entry.get("Data") or ""
    return len(data) * 3 // 4 - data[-2:].count("=") + len(entry.get("PartitionKey", "").encode())
