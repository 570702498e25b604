"""Some lines of what came lately, by type and subtype: enough to say what a field holds, never all.

Does not belong here: what is made of it (drift, contract_patch), and counting (`raw_census` reads everything).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice

from eventlake.contract_draft import SeenSubtype
from eventlake.contract_terms import RESERVED_NAMES
from eventlake.event_json import UnreadableLineError, parse_event
from eventlake.layout import Area, event_prefix
from eventlake.settings import Settings
from eventlake_aws.bucket_listing import list_objects
from eventlake_aws.clients import Clients

OBJECTS_A_FOLDER = 2
BYTES_AN_OBJECT = 256 * 1024
_WITH_GZIP_HEADER = 31
_GZIP_MAGIC = b"\x1f\x8b"


def sampled(
    clients: Clients, settings: Settings, event_type: str, event_subtype: str, days: Sequence[date]
) -> SeenSubtype:
    """What the senders' own fields hold in the beginnings of some objects of these days' folders."""
    seen = SeenSubtype()
    for area in (Area.RAW, Area.LATE):
        for day in days:
            folder = event_prefix(area, event_type, event_subtype, day.isoformat())
            for entry in islice(list_objects(clients.s3, settings.raw_bucket, folder), OBJECTS_A_FOLDER):
                for line in _first_lines(clients, settings, entry.key):
                    _add(seen, line)
    return seen


def _first_lines(clients: Clients, settings: Settings, key: str) -> Iterator[bytes]:
    """Whole lines only: the last one of a beginning may be cut."""
    answer = clients.s3.get_object(Bucket=settings.raw_bucket, Key=key, Range=f"bytes=0-{BYTES_AN_OBJECT - 1}")
    body: bytes = answer["Body"].read()
    if body.startswith(_GZIP_MAGIC):
        body = zlib.decompressobj(_WITH_GZIP_HEADER).decompress(body)
    yield from body[: body.rfind(b"\n") + 1].split(b"\n")


def _add(seen: SeenSubtype, line: bytes) -> None:
    if not line.strip():
        return
    try:
        event = parse_event(line)
    except UnreadableLineError:
        return
    own = {name: value for name, value in event.items() if name.lower() not in RESERVED_NAMES}
    seen.add(str(event.get("event_name")), own)
