"""What lies in a raw object, read for counting and planning: who each record is, of which type and day.

Belongs here: bytes to facts. Does not belong here: which objects to read (`raw_census`), anything of admission: this
reader is how admission is checked, so it shares no code with it.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_GZIP_MAGIC = b"\x1f\x8b"

# The lake's own fields stand at the end of an event, in one order. A nested text of the sender cannot fake the end.
_TAIL = re.compile(
    rb',"created_datetime":"(?P<event_day>\d{4}-\d{2}-\d{2})T[^"]*"'
    rb',"event_type":"(?P<event_type>[^"\\]+)","event_subtype":"(?P<event_subtype>[^"\\]+)"'
    rb',"event_detail":(?:null|"[^"\\]*")'
    rb',"_lake":\{"ingested_at":"(?P<ingested_at>[^"\\]+)"'
    rb',"shard_id":"(?P<shard_id>[^"\\]+)","sequence_number":"(?P<sequence_number>\d+)"[^{}]*\}\}\s*\Z'
)


class RawLine(NamedTuple):
    """The facts of one admitted record."""

    shard_id: str
    sequence_number: int
    ingested_at: str
    event_type: str
    event_subtype: str
    event_day: str

    @property
    def arrival_day(self) -> str:
        return self.ingested_at[:10]


def unpacked(body: bytes) -> bytes:
    """Compression is told by the first bytes: names lie, and S3 may unpack on the way."""
    return gzip.decompress(body) if body.startswith(_GZIP_MAGIC) else body


def lines_of_object(key: str, body: bytes) -> Iterator[bytes]:
    """The lines that were delivered, taken out of what Firehose wraps them in under an error prefix."""
    is_error_object = key.startswith(("errors/", "decisions-errors/"))
    for line in unpacked(body).split(b"\n"):
        if not line.strip():
            continue
        yield _unwrapped(line) if is_error_object else line


def facts_of_line(line: bytes) -> RawLine | None:
    """None when the line is no event of ours: nobody can say who it is."""
    start = line.rfind(b',"created_datetime":"')
    found = _TAIL.match(line, start) if start >= 0 else None
    if found is not None:
        return RawLine(
            found["shard_id"].decode(),
            int(found["sequence_number"]),
            found["ingested_at"].decode(),
            found["event_type"].decode(),
            found["event_subtype"].decode(),
            found["event_day"].decode(),
        )
    return _facts_by_json(line)


def _facts_by_json(line: bytes) -> RawLine | None:
    """The slow way, for lines that somebody else wrote (a rebuild, a tool) in another order."""
    try:
        event: dict[str, Any] = json.loads(line)
        lake = event["_lake"]
        return RawLine(
            lake["shard_id"],
            int(lake["sequence_number"]),
            lake["ingested_at"],
            event["event_type"],
            event["event_subtype"],
            event["created_datetime"][:10],
        )
    except (ValueError, KeyError, TypeError):
        return None


def _unwrapped(line: bytes) -> bytes:
    """The event inside a line of Firehose's error prefix; the line itself when there is none to find."""
    try:
        return base64.b64decode(json.loads(line)["rawData"])
    except (ValueError, KeyError, TypeError):
        return line
