"""Lines of events as raw holds them. What does not belong here: objects, and the jobs that read them (disk_lake)."""

from __future__ import annotations

import json
from typing import Any

from eventlake.admission import Candidate, examine
from tests.builders import CODE_HASH, a_uuid, an_arrival, an_event


def a_line(number: int = 1, arrived_at_ms: int | None = None, shard_id: str | None = None, **fields: Any) -> bytes:
    """An event as raw holds it, sent as record `number`. What is Written(...) stays as it is written."""
    event = an_event(**{"event_uuid": a_uuid(number), **fields})
    body = "{" + ",".join(f"{json.dumps(name)}:{_written(value)}" for name, value in event.items()) + "}"
    options: dict[str, Any] = {"number": number}
    if arrived_at_ms is not None:
        options["arrived_at_ms"] = arrived_at_ms
    if shard_id is not None:
        options["shard_id"] = shard_id
    examined = examine(an_arrival(body.encode(), **options), CODE_HASH)
    assert isinstance(examined, Candidate), examined
    return examined.line


class Written(str):
    """A JSON value as its sender wrote it."""

    __slots__ = ()


def _written(value: Any) -> str:
    return str(value) if isinstance(value, Written) else json.dumps(value)
