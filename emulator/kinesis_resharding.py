"""SplitShard, MergeShards, UpdateShardCount: shards close and keep their records, and children take over their keys.

Belongs in here: which shards a stream has and which of them are open
(https://docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-after-resharding.html). A change is done when the
call answers, so a stream is never seen UPDATING. Does not belong here: how shards are listed (kinesis_listing.py),
reading parents before children (kinesis_positions.py), when a closed shard goes (kinesis.py).

ministack serves requests one after another, so no record comes in while shards change; the table of shards is replaced
and never changed, because other threads read it.
"""

from __future__ import annotations

import time
from typing import Any

from ministack.core import responses
from ministack.services import kinesis

from emulator import patches

FIX = "kinesis_resharding"

CHANGES_A_DAY = 10
_DAY_SECONDS = 86_400

_Shard = dict[str, Any]
_Stream = dict[str, Any]
_Answer = tuple[int, dict[str, str], Any]


class _RefusedError(Exception):
    """What AWS answers instead."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def install() -> None:
    for place, change in (
        ("services.kinesis:_split_shard", split_shard),
        ("services.kinesis:_merge_shards", merge_shards),
        ("services.kinesis:_update_shard_count", update_shard_count),
    ):
        patches.replace(FIX, place, _answering(change))
    patches.replace(FIX, "services.kinesis:_route_to_shard", route_to_shard)


def _answering(change: Any) -> Any:
    def answer(request: dict[str, Any]) -> _Answer:
        name, stream = kinesis._resolve_stream(request)
        try:
            if stream is None:
                raise _RefusedError("ResourceNotFoundException", f"Stream {name} not found")
            _require_provisioned(stream)
            body = change(stream, request)
        except _RefusedError as refusal:
            refused: _Answer = responses.error_response_json(refusal.code, str(refusal), 400)
            return refused
        kinesis.esm_wake.set()
        answered: _Answer = responses.json_response(body)
        return answered

    return answer


def _require_provisioned(stream: _Stream) -> None:
    if stream.get("StreamModeDetails", {}).get("StreamMode") == "ON_DEMAND":
        raise _RefusedError(
            "ValidationException", f"Stream {stream['StreamName']} is in on-demand mode, which manages its own shards"
        )


# ---- the three calls


def split_shard(stream: _Stream, request: dict[str, Any]) -> dict[str, Any]:
    parent_id = request.get("ShardToSplit")
    shard = _require_open(stream, parent_id)
    at = int(request.get("NewStartingHashKey") or 0)
    if not int(shard["starting_hash_key"]) < at <= int(shard["ending_hash_key"]):
        raise _RefusedError("InvalidArgumentException", f"NewStartingHashKey {at} is not within shard {parent_id}")
    _split(stream, str(parent_id), at)
    return {}


def merge_shards(stream: _Stream, request: dict[str, Any]) -> dict[str, Any]:
    first_id, second_id = request.get("ShardToMerge"), request.get("AdjacentShardToMerge")
    first, second = _require_open(stream, first_id), _require_open(stream, second_id)
    lower, upper = sorted((first, second), key=_start_of)
    if int(lower["ending_hash_key"]) + 1 != _start_of(upper):
        raise _RefusedError("InvalidArgumentException", f"Shards {first_id} and {second_id} are not adjacent")
    _merge(stream, str(first_id), str(second_id))
    return {}


def update_shard_count(stream: _Stream, request: dict[str, Any]) -> dict[str, Any]:
    """Uniform: cuts the open shards at the new borders, then joins what lies between two borders."""
    target, current = int(request.get("TargetShardCount") or 0), len(open_shards(stream))
    _require_target(stream, current, target)
    if target != current:
        _scale(stream, target)
        stream["changes_of_count"] = [*_changes_today(stream), time.time()]
    return {
        "StreamName": stream["StreamName"],
        "StreamARN": stream["StreamARN"],
        "CurrentShardCount": current,
        "TargetShardCount": target,
    }


def _require_target(stream: _Stream, current: int, target: int) -> None:
    if target < 1:
        raise _RefusedError("ValidationException", f"TargetShardCount {target} is less than 1")
    if target > 2 * current:
        raise _RefusedError("InvalidArgumentException", f"{target} shards are more than double the {current} of now")
    if 2 * target < current:
        raise _RefusedError(
            "InvalidArgumentException", f"{target} shards are less than half of the {current} open ones"
        )
    if len(_changes_today(stream)) >= CHANGES_A_DAY:
        raise _RefusedError("LimitExceededException", f"The shard count changed {CHANGES_A_DAY} times within 24 hours")


def _changes_today(stream: _Stream) -> list[float]:
    return [one for one in stream.get("changes_of_count", []) if one > time.time() - _DAY_SECONDS]


def _scale(stream: _Stream, target: int) -> None:
    ranges = [(int(start), int(end)) for start, end in kinesis._compute_hash_ranges(target)]
    for start, _ in ranges:
        shard_id = route_to_shard(start, stream)
        if _start_of(stream["shards"][shard_id]) < start:
            _split(stream, shard_id, start)
    for start, end in ranges:
        pieces = [shard_id for shard_id, shard in open_shards(stream).items() if start <= _start_of(shard) <= end]
        pieces.sort(key=lambda shard_id: _start_of(stream["shards"][shard_id]))
        while len(pieces) > 1:
            pieces[:2] = [_merge(stream, pieces[0], pieces[1])]


# ---- closing and opening


def _split(stream: _Stream, parent_id: str, at: int) -> None:
    parent = stream["shards"][parent_id]
    lower = _child(parent["starting_hash_key"], str(at - 1), parent_id)
    upper = _child(str(at), parent["ending_hash_key"], parent_id)
    _take_over(stream, [parent_id], [lower, upper])


def _merge(stream: _Stream, first_id: str, second_id: str) -> str:
    lower, upper = sorted((stream["shards"][first_id], stream["shards"][second_id]), key=_start_of)
    child = _child(lower["starting_hash_key"], upper["ending_hash_key"], first_id, second_id)
    return _take_over(stream, [first_id, second_id], [child])[0]


def _child(start: str, end: str, parent_id: str, adjacent_id: str | None = None) -> _Shard:
    return {
        "records": [],
        "starting_hash_key": start,
        "ending_hash_key": end,
        "parent_shard_id": parent_id,
        "adjacent_parent_shard_id": adjacent_id,
    }


def _take_over(stream: _Stream, parent_ids: list[str], children: list[_Shard]) -> list[str]:
    """The parents end with a number, the children begin with later ones; gives the children's names."""
    for parent_id in parent_ids:
        parent = stream["shards"][parent_id]
        parent["ending_sequence_number"] = kinesis._next_sequence_number()
        parent["closed_at"] = time.time()
    for child in children:
        child["starting_sequence_number"] = kinesis._next_sequence_number()
        child["opened_at"] = time.time()
    # the numbers of shards that have gone are not given again
    first_number = max(stream.get("shards_made", 0), kinesis._max_shard_index(stream) + 1)
    named = {f"shardId-{number:012d}": child for number, child in enumerate(children, start=first_number)}
    stream["shards_made"] = first_number + len(children)
    stream["shards"] = {**stream["shards"], **named}
    return list(named)


# ---- which shards there are


def is_open(shard: _Shard) -> bool:
    return not shard.get("ending_sequence_number")


def open_shards(stream: _Stream) -> dict[str, _Shard]:
    return {shard_id: shard for shard_id, shard in stream["shards"].items() if is_open(shard)}


def route_to_shard(hash_key: int, stream: _Stream) -> str:
    for shard_id, shard in stream["shards"].items():
        if is_open(shard) and _start_of(shard) <= hash_key <= int(shard["ending_hash_key"]):
            return str(shard_id)
    raise ValueError(f"no open shard of {stream['StreamName']} holds the hash key {hash_key}")


def _start_of(shard: _Shard) -> int:
    return int(shard["starting_hash_key"])


def _require_open(stream: _Stream, shard_id: str | None) -> _Shard:
    shard: _Shard | None = stream["shards"].get(shard_id)
    if shard is None:
        raise _RefusedError("ResourceNotFoundException", f"Shard {shard_id} of {stream['StreamName']} not found")
    if not is_open(shard):
        raise _RefusedError("ResourceInUseException", f"Shard {shard_id} of {stream['StreamName']} is closed")
    return shard
