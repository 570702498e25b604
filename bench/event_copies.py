"""Raw objects of any number of events: a simulated day, admitted by the product's own rules, copied with other uuids.

A copy's uuid differs in its first eight digits, so a line that came twice has its twin in the same copy. What does not
belong here: simulating, admitting, and who reads the objects.
"""

from __future__ import annotations

import gzip
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

from eventlake.admission import Candidate, examine
from eventlake.arrival import Arrival
from eventlake.enrichment import split_event_name
from eventlake.layout import Area, event_prefix

# what Firehose buffers at least where it partitions by keys of the records
# https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning.html
OBJECT_BYTES = 64 * 1024**2
GZIP_LEVEL = 4
CODE_HASH = "0123456789ab"
_UUID_DIGITS_CHANGED = 8
_UUID_LETTERS = 36
_DAY_LETTERS = len("2026-11-21")
_ADDED = b',"created_datetime":"'


@dataclass(frozen=True)
class RawEvent:
    """A line of raw, and where in it lie the uuid's text and the day on which it occurred."""

    event_type: str
    event_subtype: str
    line: bytes
    uuid_at: int
    day_at: int

    @property
    def day(self) -> str:
        return self.line[self.day_at : self.day_at + _DAY_LETTERS].decode()

    def copy(self, number: int, day: bytes) -> bytes:
        """The line with another uuid, on this day; copy 0 has its own uuid."""
        if number == 0:
            return self.line[: self.day_at] + day + self.line[self.day_at + _DAY_LETTERS :]
        digits = f"{number:0{_UUID_DIGITS_CHANGED}x}".encode()
        after_digits = self.line[self.uuid_at + _UUID_DIGITS_CHANGED : self.day_at]
        return self.line[: self.uuid_at] + digits + after_digits + day + self.line[self.day_at + _DAY_LETTERS :]


@dataclass(frozen=True)
class RawObject:
    key: str
    size_bytes: int
    event_type: str
    event_subtype: str
    lines: int
    line_bytes: int


def admitted(arrivals: Iterable[Arrival], pairs: Collection[tuple[str, str]]) -> list[RawEvent]:
    """What admission lets into `raw/`, of these types and subtypes, in its order."""
    events = []
    for arrival in arrivals:
        answer = examine(arrival, CODE_HASH)
        if not isinstance(answer, Candidate):
            continue
        event_type, event_subtype, _ = split_event_name(answer.event_name)
        added_at = answer.line.rfind(_ADDED)
        uuid_at = answer.line.lower().find(answer.event_uuid.encode())
        is_raw = f'"area":"{Area.RAW.value}"'.encode() in answer.line[added_at:]
        if is_raw and uuid_at >= 0 and (event_type, event_subtype) in pairs:
            events.append(RawEvent(event_type, event_subtype, answer.line, uuid_at, added_at + len(_ADDED)))
    return events


def renamed(event: RawEvent, event_type: str) -> RawEvent:
    """The event under the name of another type."""
    uuid = event.line[event.uuid_at : event.uuid_at + _UUID_LETTERS]
    line = event.line.replace(f'"{event.event_type}:'.encode(), f'"{event_type}:'.encode(), 1)
    line = line.replace(f'"event_type":"{event.event_type}"'.encode(), f'"event_type":"{event_type}"'.encode())
    return RawEvent(event_type, event.event_subtype, line, line.find(uuid), line.rfind(_ADDED) + len(_ADDED))


def most_frequent_types(events: Iterable[RawEvent], number: int) -> list[str]:
    return [event_type for event_type, _ in Counter(event.event_type for event in events).most_common(number)]


def write_objects(
    bucket: Path,
    name: str,
    events: Sequence[RawEvent],
    wanted: int,
    first_copy: int = 1,
    repeats: int = 0,
    days_back: Collection[int] = (0,),
) -> list[RawObject]:
    """`wanted` lines on each of the days, as objects of a bucket: whole copies of the events, then the first of them;
    `repeats`: how many of the first events are there once more as copy 0."""
    written: list[RawObject] = []
    whole_copies, rest = divmod(wanted, len(events))
    for place, back in enumerate(days_back):
        first = first_copy + place * (whole_copies + 1)
        groups: dict[tuple[str, str, str], list[Iterator[bytes]]] = defaultdict(list)
        for number in range(first, first + whole_copies):
            _group(groups, events, number, back)
        _group(groups, events[:rest], first + whole_copies, back)
        _group(groups, events[:repeats], 0, back)
        for group in sorted(groups):
            written += _written(bucket, f"{name}-{back:03d}", group, itertools.chain.from_iterable(groups[group]))
    return written


def to_json(objects: Iterable[RawObject]) -> str:
    return json.dumps([asdict(each) for each in objects])


def _group(
    groups: dict[tuple[str, str, str], list[Iterator[bytes]]], events: Sequence[RawEvent], number: int, back: int
) -> None:
    of_group: dict[tuple[str, str, str], list[RawEvent]] = defaultdict(list)
    for event in events:
        of_group[event.event_type, event.event_subtype, event.day].append(event)
    for (event_type, event_subtype, day), members in of_group.items():
        shifted = (date.fromisoformat(day) - timedelta(days=back)).isoformat()
        lines = map(RawEvent.copy, members, itertools.repeat(number), itertools.repeat(shifted.encode()))
        groups[event_type, event_subtype, shifted].append(lines)


def _written(bucket: Path, name: str, group: tuple[str, str, str], lines: Iterator[bytes]) -> Iterator[RawObject]:
    event_type, event_subtype, day = group
    prefix = event_prefix(Area.RAW, event_type, event_subtype, day)
    for number in itertools.count():
        part = list(_up_to(OBJECT_BYTES, lines))
        if not part:
            return
        body = gzip.compress(b"\n".join(part) + b"\n", GZIP_LEVEL)
        key = f"{prefix}{name}-{number:04d}.gz"
        (bucket / prefix).mkdir(parents=True, exist_ok=True)
        (bucket / key).write_bytes(body)
        line_bytes = sum(map(len, part)) + len(part)
        yield RawObject(key, len(body), event_type, event_subtype, len(part), line_bytes)


def _up_to(most_bytes: int, lines: Iterator[bytes]) -> Iterator[bytes]:
    taken = 0
    while taken < most_bytes:
        line = next(lines, None)
        if line is None:
            return
        taken += len(line) + 1
        yield line
