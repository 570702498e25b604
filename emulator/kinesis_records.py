"""Kinesis: the records of a shard, the latest in memory and the others on disk.

Belongs in here: the sequence of a shard's records, and the places in it. Does not belong here: the file (row_store.py),
how long records stay (kinesis.py), who reads them (kinesis_reading.py, kinesis_event_source.py). Readers follow close
behind the writers, so that what they ask for is nearly always in memory.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from ministack.core import responses
from ministack.services import kinesis

from emulator import checkpoint_file
from emulator.row_store import ROWS_IN_MEMORY, RowStore

# of each shard; twice as many at most
_LATEST_IN_MEMORY = ROWS_IN_MEMORY // 2
_WALKED_AT_ONCE = 500

_Record = dict[str, Any]

_store: RowStore | None = None


def install(store: RowStore) -> None:
    global _store
    _store = store
    checkpoint_file.teach(ShardRecords, ShardRecords.saved, lambda saved: ShardRecords(*saved))


class ShardRecords(Sequence[_Record]):
    """Takes what a list takes of ministack: appending, lengths, indexes, slices, walking through it.

    One thread appends, others read: `_held` changes as a whole.
    """

    def __init__(self, space: str, first: int, first_in_memory: int, latest: list[_Record]) -> None:
        """`first` and `first_in_memory` are numbers; a record keeps its number when others before it are gone."""
        self.space = space
        self.first = first
        self._held = (first_in_memory, latest)

    def append(self, record: _Record) -> None:
        _, latest = self._held
        latest.append(record)
        if len(latest) >= 2 * _LATEST_IN_MEMORY:
            self.keep_in_memory(_LATEST_IN_MEMORY)

    def keep_in_memory(self, count: int) -> None:
        assert _store is not None
        first_in_memory, latest = self._held
        leaving = len(latest) - count
        for number, record in enumerate(latest[:leaving], first_in_memory):
            _store.put(self.space, number, "", record)
        self._held = (first_in_memory + leaving, latest[leaving:])

    def without_first(self, count: int) -> ShardRecords:
        """The records but for the first ones, which are gone for good."""
        assert _store is not None
        first_in_memory, latest = self._held
        first = self.first + count
        _store.remove_below(self.space, first)
        gone = max(0, first - first_in_memory)
        return ShardRecords(self.space, first, first_in_memory + gone, latest[gone:])

    @property
    def on_disk(self) -> int:
        """How many of them, the first ones, are not in memory."""
        return self._held[0] - self.first

    def __len__(self) -> int:
        first_in_memory, latest = self._held
        return first_in_memory - self.first + len(latest)

    @overload
    def __getitem__(self, place: int) -> _Record: ...
    @overload
    def __getitem__(self, place: slice) -> list[_Record]: ...
    def __getitem__(self, place: int | slice) -> _Record | list[_Record]:
        if isinstance(place, slice):
            start, end, step = place.indices(len(self))
            return self._between(start, end)[::step]
        index = place + len(self) if place < 0 else place
        if not 0 <= index < len(self):
            raise IndexError(place)
        return self._between(index, index + 1)[0]

    def _between(self, start: int, end: int) -> list[_Record]:
        first_in_memory, latest = self._held
        on_disk = first_in_memory - self.first
        in_memory = latest[max(0, start - on_disk) : max(0, end - on_disk)]
        if start >= min(end, on_disk):
            return in_memory
        assert _store is not None
        return _store.between(self.space, self.first + start, self.first + min(end, on_disk)) + in_memory

    def __iter__(self) -> Iterator[_Record]:
        return walk(self, 0)

    def saved(self) -> tuple[str, int, int, list[_Record]]:
        """What a checkpoint holds of them, and `ShardRecords` takes."""
        return self.space, self.first, *self._held


def walk(records: Sequence[_Record], start: int) -> Iterator[_Record]:
    """Those from an index on that are there now."""
    end = len(records)
    for place in range(start, end, _WALKED_AT_ONCE):
        yield from records[place : min(end, place + _WALKED_AT_ONCE)]


def without_first(records: Sequence[_Record], count: int) -> Sequence[_Record]:
    return records.without_first(count) if isinstance(records, ShardRecords) else records[count:]


def with_room(records: Sequence[_Record]) -> Sequence[_Record]:
    """The same records, those that a list has too many of on disk."""
    if isinstance(records, ShardRecords) or len(records) < 2 * _LATEST_IN_MEMORY or _store is None:
        return records
    roomy = ShardRecords(responses.new_uuid(), 0, 0, list(records))
    roomy.keep_in_memory(_LATEST_IN_MEMORY)
    return roomy


def place_of(records: Sequence[_Record], wanted: Any, key: Callable[[_Record], Any], *, is_behind_equals: bool) -> int:
    """The index of the first record whose key is `wanted` or higher; higher, if it is behind equals."""
    search = bisect.bisect_right if is_behind_equals else bisect.bisect_left
    in_memory = records.on_disk if isinstance(records, ShardRecords) else 0
    if in_memory and in_memory < len(records) and key(records[in_memory]) < wanted:
        return search(records, wanted, lo=in_memory, key=key)
    return search(records, wanted, hi=min(len(records), in_memory + 1) if in_memory else len(records), key=key)


def spaces() -> Iterator[str]:
    """Where the rows of all shards lie."""
    for stream in kinesis._streams.all_values():
        for shard in stream["shards"].values():
            if isinstance(shard["records"], ShardRecords):
                yield shard["records"].space


def arrival_of(record: _Record) -> float:
    """Unix seconds."""
    arrival: float = record["ApproximateArrivalTimestamp"]
    return arrival


def number_of(record: _Record) -> str:
    return str(record["SequenceNumber"])
