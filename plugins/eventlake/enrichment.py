"""What the lake adds to an event, at its end, leaving the sender's bytes as they are.

The sender's text is never parsed and written again: that would round fractions, cut big integers, reorder keys and
change escapes. What does not belong here: whether the event may come in (admission.py) and where it lies (layout.py).
"""

from __future__ import annotations

from eventlake.arrival import Arrival
from eventlake.layout import Partition
from eventlake.timestamps import iso_from_microseconds, iso_from_milliseconds

# A sender may not use these names at the top level of an event. `_replay` is here too: it belongs to events that the
# lake sends again by itself, which nothing does yet, so whoever sends it today is somebody else.
ADDED_FIELDS = frozenset({"created_datetime", "event_type", "event_subtype", "event_detail", "_lake"})
RESERVED_FIELDS = ADDED_FIELDS | {"_replay"}

_LINE_BREAKS_TO_SPACES = bytes.maketrans(b"\r\n", b"  ")
_JSON_WHITESPACE = b" \t\r\n"


def one_line(data: bytes) -> bytes:
    """A JSON text on one line. Valid JSON has no raw line break within a string, so each one lies between tokens."""
    return data.translate(_LINE_BREAKS_TO_SPACES).rstrip(_JSON_WHITESPACE)


def split_event_name(event_name: str) -> tuple[str, str, str | None]:
    """Type, subtype and detail: all parts after the second, or None."""
    event_type, event_subtype, *detail = event_name.split(":", 2)
    return event_type, event_subtype, detail[0] if detail else None


def enriched_line(arrival: Arrival, event_name: str, created_at_us: int, partition: Partition, code_hash: str) -> bytes:
    """The event with the lake's fields at its end. `arrival.data` is an admissible event, so it has fields already."""
    event_type, event_subtype, detail = split_event_name(event_name)
    # names, shard ids, numbers and hashes hold nothing that JSON would escape
    detail_text = "null" if detail is None else f'"{detail}"'
    added = (
        f',"created_datetime":"{iso_from_microseconds(created_at_us)}"'
        f',"event_type":"{event_type}","event_subtype":"{event_subtype}"'
        f',"event_detail":{detail_text}'
        f',"_lake":{{"ingested_at":"{iso_from_milliseconds(arrival.arrived_at_ms)}"'
        f',"shard_id":"{arrival.shard_id}","sequence_number":"{arrival.sequence_number}"'
        f',"area":"{partition.area.value}","day":"{partition.day}","code_hash":"{code_hash}"}}}}'
    )
    return one_line(arrival.data)[:-1] + added.encode()
