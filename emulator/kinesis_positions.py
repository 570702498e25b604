"""How far an event source mapping is in each shard: by sequence number, kept over a restart with ministack's state.

Belongs in here: where a mapping begins (TRIM_HORIZON, LATEST, AT_TIMESTAMP), which shards may be read (parents before
their children), the lanes of ParallelizationFactor. Does not belong here: reading and invoking
(kinesis_event_source.py).

A lane is a share of a shard's partition keys with a position of its own, so that records of one key stay in order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from ministack.core import arn as arns
from ministack.core import responses
from ministack.services import kinesis, lambda_svc

from emulator import kinesis_reading, kinesis_resharding, patches

MOST_LANES = 10
_AT_START = ""

_Stream = dict[str, Any]
_Shard = dict[str, Any]

_starting_timestamp: ContextVar[float | None] = ContextVar("starting_timestamp", default=None)


# ---- where a mapping begins


def install_anchor(fix: str) -> None:
    """The place is taken when the mapping is made: what is put after that counts, not what comes after a first look."""
    anchor = patches.replace(fix, "services.lambda_svc:_init_stream_position", None)
    lambda_svc._init_stream_position = lambda *arguments: _anchor(anchor, *arguments)
    create = patches.replace(fix, "services.lambda_svc:_create_esm", None)
    lambda_svc._create_esm = lambda request: _create(create, request)


def _create(create: Any, request: dict[str, Any]) -> Any:
    timestamp = request.get("StartingPositionTimestamp")
    if request.get("StartingPosition") == "AT_TIMESTAMP" and timestamp is None:
        return responses.error_response_json(
            "InvalidParameterValueException", "AT_TIMESTAMP needs a StartingPositionTimestamp", 400
        )
    known = set(lambda_svc._esms)
    token = _starting_timestamp.set(None if timestamp is None else float(timestamp))
    try:
        answer = create(request)
    finally:
        _starting_timestamp.reset(token)
    for mapping_id in set(lambda_svc._esms) - known if timestamp is not None else ():
        lambda_svc._esms[mapping_id]["StartingPositionTimestamp"] = float(timestamp)
    return answer


def _anchor(original: Any, mapping_id: str, source_arn: str, starting: str) -> None:
    original(mapping_id, source_arn, starting)
    stream = stream_of(source_arn)
    if stream is None:
        return
    timestamp = _starting_timestamp.get()
    if starting == "AT_TIMESTAMP" and timestamp is None:
        raise ValueError("AT_TIMESTAMP needs a StartingPositionTimestamp, which the emulator takes from the API alone")
    lambda_svc._kinesis_positions[mapping_id] = {
        shard_id: _first_position(shard["records"], starting, timestamp) for shard_id, shard in stream["shards"].items()
    }


def _first_position(records: list[dict[str, Any]], starting: str, timestamp: float | None) -> str:
    if starting == "LATEST":
        return kinesis_reading.number_before(records, len(records))
    if starting == "AT_TIMESTAMP" and timestamp is not None:
        return kinesis_reading.number_before(records, kinesis_reading.first_since(records, timestamp))
    return _AT_START


def stream_of(source_arn: str) -> _Stream | None:
    try:
        parsed = arns.parse_arn(source_arn)
    except arns.ArnParseError:
        return None
    if parsed.service != "kinesis":
        return None
    name = lambda_svc._kinesis_stream_name_from_arn_spec(parsed)
    stream: _Stream | None = kinesis._streams.get_scoped(parsed.account_id, parsed.region, name) if name else None
    return stream if stream and stream.get("StreamARN") == source_arn else None


# ---- which shards may be read


def readable_shards(mapping_id: str, stream: _Stream) -> Iterator[str]:
    """Shards with something to come whose parents are read to their ends."""
    shards = stream["shards"]
    for shard_id, shard in shards.items():
        parents = (shard["parent_shard_id"], shard["adjacent_parent_shard_id"])
        if not is_read(mapping_id, shard_id, shard) and all(
            # a parent that has expired has nothing left to read
            is_read(mapping_id, parent_id, shards[parent_id])
            for parent_id in parents
            if parent_id in shards
        ):
            yield shard_id


def is_read(mapping_id: str, shard_id: str, shard: _Shard) -> bool:
    return is_at_end(shard, min(_lanes(mapping_id, shard_id).values(), default=_AT_START))


def is_at_end(shard: _Shard, position: str) -> bool:
    """Nothing is left behind the position, and nothing will come."""
    records = shard["records"]
    return not kinesis_resharding.is_open(shard) and (not records or position >= records[-1]["SequenceNumber"])


# ---- lanes


def lanes_of(mapping: dict[str, Any]) -> int:
    return max(1, min(MOST_LANES, int(mapping.get("ParallelizationFactor") or 1)))


def is_of_lane(record: dict[str, Any], lane: int, lanes: int) -> bool:
    if lanes == 1:
        return True
    digest = hashlib.md5(record["PartitionKey"].encode(), usedforsecurity=False).digest()
    # the last bytes: the first ones chose the shard
    return int.from_bytes(digest[-4:], "big") % lanes == lane


def position(mapping_id: str, shard_id: str, lane: int, lanes: int) -> str:
    """The sequence number up to which a lane is done; a shard that came later is read from its start."""
    return str(_positions(mapping_id).get(_name(shard_id, lane, lanes), _AT_START))


def advance(mapping_id: str, shard_id: str, lane: int, lanes: int, sequence_number: str) -> None:
    _positions(mapping_id)[_name(shard_id, lane, lanes)] = sequence_number


def regroup(mapping_id: str, shard_id: str, lanes: int) -> None:
    """After a change of the factor the new lanes begin where the slowest old one was: some records come again."""
    names = [_name(shard_id, lane, lanes) for lane in range(lanes)]
    known = _lanes(mapping_id, shard_id)
    if set(known) == set(names):
        return
    slowest = min(known.values(), default=_AT_START)
    positions = _positions(mapping_id)
    for name in known:
        del positions[name]
    positions.update(dict.fromkeys(names, slowest))


def _name(shard_id: str, lane: int, lanes: int) -> str:
    return shard_id if lanes == 1 else f"{shard_id}/{lane}/{lanes}"


def _lanes(mapping_id: str, shard_id: str) -> dict[str, str]:
    return {name: value for name, value in list(_positions(mapping_id).items()) if name.partition("/")[0] == shard_id}


def _positions(mapping_id: str) -> dict[str, str]:
    if mapping_id not in lambda_svc._esms:
        # a batch was on its way when the mapping was deleted; nothing is kept of it
        return {}
    positions: dict[str, str] | None = lambda_svc._kinesis_positions.get(mapping_id)
    if positions is None:
        positions = lambda_svc._kinesis_positions[mapping_id] = {}
    return positions
