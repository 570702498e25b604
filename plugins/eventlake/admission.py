"""May a record come in? One record in, one answer out: a Candidate (it may claim its uuid) or a Rejected with a reason.

Pure and total: any bytes get exactly one answer, nothing here raises, and the answer depends on the record alone. Time
is the record's arrival, never now, so a retry or a second reading of the stream says the same.
What does not belong here: what other records say about the same uuid (claims.py).
"""

from __future__ import annotations

import json
import math
import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, DecimalException
from enum import Enum
from typing import Any, NamedTuple, NoReturn

from eventlake.arrival import Arrival
from eventlake.enrichment import RESERVED_FIELDS, enriched_line
from eventlake.layout import partition_of

# https://docs.aws.amazon.com/firehose/latest/dev/limits.html: 1,000 KiB a record, before base64
LARGEST_LINE_BYTES = 1_024_000
EARLIEST_CREATED_AT_SECONDS = 946_684_800  # 2000-01-01
LATEST_AHEAD_SECONDS = 86_400
# jq 1.6, which Firehose reads events with, refuses deeper ones; and a limit of our own keeps the answer the same
# whatever is left of the interpreter's stack
DEEPEST_NESTING = 256
# type and subtype become folders and a table name; S3 keys end at 1,024 bytes
LONGEST_NAME_PART = 64
LONGEST_EVENT_NAME = 256

ENVELOPE_FIELDS = frozenset({"event_uuid", "event_name", "created_at", "producer"})


class RejectionReason(Enum):
    """Why a record is not an event of the lake."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    AMBIGUOUS_ENVELOPE = "ambiguous_envelope"
    RESERVED_FIELD = "reserved_field"
    MISSING_EVENT_UUID = "missing_event_uuid"
    INVALID_EVENT_UUID = "invalid_event_uuid"
    MISSING_EVENT_NAME = "missing_event_name"
    INVALID_EVENT_NAME = "invalid_event_name"
    MISSING_CREATED_AT = "missing_created_at"
    INVALID_CREATED_AT = "invalid_created_at"
    CREATED_TOO_EARLY = "created_too_early"
    CREATED_IN_FUTURE = "created_in_future"
    TOO_LARGE = "too_large"
    UUID_CONFLICT = "uuid_conflict"  # given by the claims, not here


class Candidate(NamedTuple):
    """An event that may come in if its uuid is its own. `line` is what raw would hold."""

    arrival: Arrival
    event_uuid: str  # lower case; the sender's spelling stays in the line
    event_name: str
    line: bytes


class Rejected(NamedTuple):
    """A record that may not come in, with as much of its envelope as can be trusted."""

    arrival: Arrival
    reason: RejectionReason
    event_uuid: str | None
    event_name: str | None


class NumberText(str):
    """A JSON number as it was written. A float would round it, an int of 5,000 digits would raise."""

    __slots__ = ()


def examine(arrival: Arrival, code_hash: str) -> Candidate | Rejected:
    """The one answer for one record."""
    fields = _top_level_fields(arrival.data)
    if isinstance(fields, RejectionReason):
        return Rejected(arrival, fields, None, None)
    event_uuid = _event_uuid(fields.get("event_uuid"))
    event_name = _event_name(fields.get("event_name"))
    created_at_us = _created_at_us(fields.get("created_at"), arrival.arrived_at_ms)
    trusted_uuid = event_uuid if isinstance(event_uuid, str) else None
    trusted_name = event_name if isinstance(event_name, str) else None
    if not RESERVED_FIELDS.isdisjoint(fields):
        return Rejected(arrival, RejectionReason.RESERVED_FIELD, trusted_uuid, trusted_name)
    if isinstance(event_uuid, RejectionReason):
        return Rejected(arrival, event_uuid, None, trusted_name)
    if isinstance(event_name, RejectionReason):
        return Rejected(arrival, event_name, event_uuid, None)
    if isinstance(created_at_us, RejectionReason):
        return Rejected(arrival, created_at_us, event_uuid, event_name)
    partition = partition_of(created_at_us // 1_000_000, arrival.arrived_at_ms // 1_000)
    line = enriched_line(arrival, event_name, created_at_us, partition, code_hash)
    if len(line) > LARGEST_LINE_BYTES:
        return Rejected(arrival, RejectionReason.TOO_LARGE, event_uuid, event_name)
    return Candidate(arrival, event_uuid, event_name, line)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


# Objects as tuples of pairs: the same speed as dicts, and a name that is there twice stays visible.
_DECODER = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=NumberText, parse_float=NumberText, parse_constant=_refuse_constant
)


def _top_level_fields(data: bytes) -> dict[str, Any] | RejectionReason:
    try:
        # strictly UTF-8: json.loads would guess UTF-16 and skip a byte order mark
        document = _DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return RejectionReason.NOT_JSON
    if data.count(b"{") + data.count(b"[") > DEEPEST_NESTING and _nesting(data) > DEEPEST_NESTING:
        return RejectionReason.NOT_JSON
    if type(document) is not tuple:
        return RejectionReason.NOT_AN_OBJECT
    fields = dict(document)
    if len(fields) < len(document):
        names = [name for name, _ in document]
        if any(names.count(name) > 1 for name in ENVELOPE_FIELDS):
            return RejectionReason.AMBIGUOUS_ENVELOPE
    return fields


_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_BRACKET = re.compile(rb"[\[\]{}]")


def _nesting(data: bytes) -> int:
    """How deep a valid JSON text is nested."""
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_NAME = re.compile(
    rf"[a-z0-9_]{{1,{LONGEST_NAME_PART}}}:[a-z0-9_]{{1,{LONGEST_NAME_PART}}}(?::[a-z0-9_]{{1,{LONGEST_NAME_PART}}})*"
)


def _event_uuid(value: object) -> str | RejectionReason:
    if value is None:
        return RejectionReason.MISSING_EVENT_UUID
    if type(value) is not str or not _UUID.fullmatch(value):
        return RejectionReason.INVALID_EVENT_UUID
    return value.lower()


def _event_name(value: object) -> str | RejectionReason:
    if value is None:
        return RejectionReason.MISSING_EVENT_NAME
    if type(value) is not str or len(value) > LONGEST_EVENT_NAME or not _NAME.fullmatch(value):
        return RejectionReason.INVALID_EVENT_NAME
    return value


# rounds nothing, and a number beyond any exponent is infinite, which is out of all bounds
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])


def _created_at_us(value: object, arrived_at_ms: int) -> int | RejectionReason:
    """Whole microseconds, rounded down so that no event moves to the next day. Compared before it is rounded."""
    if value is None:
        return RejectionReason.MISSING_CREATED_AT
    if type(value) is not NumberText:
        return RejectionReason.INVALID_CREATED_AT
    try:
        # keeps 1e400 as it is written; nothing below writes it out
        microseconds = Decimal(value).scaleb(6, _EXACT)
    except DecimalException:
        return RejectionReason.INVALID_CREATED_AT
    if microseconds < EARLIEST_CREATED_AT_SECONDS * 1_000_000:
        return RejectionReason.CREATED_TOO_EARLY
    if microseconds > LATEST_AHEAD_SECONDS * 1_000_000 + arrived_at_ms * 1_000:
        return RejectionReason.CREATED_IN_FUTURE
    return math.floor(microseconds)
