"""ListShards, DescribeStream, DescribeStreamSummary: closed shards are listed with their ends until they expire.

Belongs in here: its pages and filters
(https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html), what a listed shard looks like. Does
not belong here: opening and closing (kinesis_resharding.py), expiry (kinesis.py).
"""

from __future__ import annotations

import json
import math
from typing import Any

from ministack.core import responses
from ministack.services import kinesis

from emulator import clock, patches
from emulator.kinesis_resharding import is_open, open_shards

FIX = "kinesis_listing"

PAGE_SHARDS = 1_000
# a token names the stream by itself
_NOT_WITH_TOKEN = ("StreamName", "StreamARN", "StreamCreationTimestamp", "ExclusiveStartShardId", "ShardFilter")

_Shard = dict[str, Any]
_Stream = dict[str, Any]
_Answer = tuple[int, dict[str, str], Any]


def install() -> None:
    patches.replace(FIX, "services.kinesis:_list_shards", list_shards)
    shard_out = patches.replace(FIX, "services.kinesis:_shard_out", None)
    kinesis._shard_out = lambda shard_id, shard: _with_end(shard_out(shard_id, shard), shard)
    summarise = patches.replace(FIX, "services.kinesis:_describe_stream_summary", None)
    kinesis._describe_stream_summary = lambda request: _with_open_shards(summarise, request)


def list_shards(request: dict[str, Any]) -> _Answer:
    token = request.get("NextToken")
    name, after = "", str(request.get("ExclusiveStartShardId") or "")
    if token is not None:
        if also := [one for one in _NOT_WITH_TOKEN if one in request]:
            return _refused("InvalidArgumentException", f"NextToken and {also[0]} cannot be provided together.")
        place, error = kinesis._decode_list_shards_token(token)
        if error or place is None:
            return _refused(error or "InvalidArgumentException", "NextToken is expired or invalid")
        name, _, after = place.partition("/")
        request = {"StreamName": name, "MaxResults": request.get("MaxResults")}
    name, stream = kinesis._resolve_stream(request)
    if stream is None:
        return _refused("ResourceNotFoundException", f"Stream {name} not found")
    kinesis._expire_records(stream)
    try:
        listed = _filtered(stream, request.get("ShardFilter") or {"Type": "FROM_TRIM_HORIZON"})
    except (KeyError, ValueError):
        return _refused("InvalidArgumentException", f"Invalid ShardFilter {request['ShardFilter']}")
    return _page(stream, [one for one in listed if one > after], int(request.get("MaxResults") or PAGE_SHARDS))


def _page(stream: _Stream, left: list[str], most: int) -> _Answer:
    page = left[:most]
    answer: dict[str, Any] = {"Shards": [kinesis._shard_out(one, stream["shards"][one]) for one in page]}
    if len(left) > most:
        answer["NextToken"] = kinesis._encode_list_shards_token(f"{stream['StreamName']}/{page[-1]}")
    answered: _Answer = responses.json_response(answer)
    return answered


def _filtered(stream: _Stream, shard_filter: dict[str, Any]) -> list[str]:
    kind, shards = shard_filter["Type"], sorted(stream["shards"].items())
    if kind == "AFTER_SHARD_ID":
        return [shard_id for shard_id, _ in shards if shard_id > shard_filter["ShardId"]]
    if kind == "AT_LATEST":
        return list(open_shards(stream))
    trim_horizon = clock.now() - stream["RetentionPeriodHours"] * 3600
    moment = float(shard_filter["Timestamp"]) if kind.endswith("_TIMESTAMP") else trim_horizon
    lives = [
        (shard_id, shard.get("opened_at", -math.inf), shard.get("closed_at", math.inf)) for shard_id, shard in shards
    ]
    if kind in ("FROM_TIMESTAMP", "FROM_TRIM_HORIZON"):
        return [shard_id for shard_id, _, closed_at in lives if closed_at >= moment]
    if kind in ("AT_TIMESTAMP", "AT_TRIM_HORIZON"):
        return [shard_id for shard_id, opened_at, closed_at in lives if opened_at <= moment <= closed_at]
    raise ValueError(kind)


def _with_end(listed: dict[str, Any], shard: _Shard) -> dict[str, Any]:
    if not is_open(shard):
        listed["SequenceNumberRange"]["EndingSequenceNumber"] = shard["ending_sequence_number"]
    return listed


def _with_open_shards(summarise: Any, request: dict[str, Any]) -> _Answer:
    answer: _Answer = summarise(request)
    _, stream = kinesis._resolve_stream(request)
    if stream is None:
        return answer
    body = json.loads(answer[2])
    body["StreamDescriptionSummary"]["OpenShardCount"] = len(open_shards(stream))
    answered: _Answer = responses.json_response(body)
    return answered


def _refused(code: str, message: str) -> _Answer:
    refused: _Answer = responses.error_response_json(code, message, 400)
    return refused
