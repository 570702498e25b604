"""Whether everything that was received became something, by identity of records; and if not, which records, and where.

Stream half, per arrival day and type: received = admitted + duplicate + rejected + replayed.
Table half, per type and event day: landed = loaded + quarantined + duplicate + held + superseded + waiting.
One identity counts once in each half, in that order. Counters of our own processes are not evidence and not used.

Does not belong here: reading streams, buckets and tables (`eventlake_aws`: stream_census, raw_census, table_census).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from eventlake.identity import RecordIdentity

RECEIVED = 1 << 0
ADMITTED = 1 << 1
DUPLICATE = 1 << 2
REJECTED = 1 << 3
REPLAYED = 1 << 4
LOADED = 1 << 5
QUARANTINED = 1 << 6
LOAD_DUPLICATE = 1 << 7
HELD = 1 << 8
WAITING = 1 << 9
# lies in a raw object that the list of landings does not know
UNRECORDED = 1 << 10
# seen twice in a table, where each record is once
LOADED_TWICE = 1 << 11
# a line that nobody can read: known by its object only, so the stream half cannot speak of it
UNREADABLE = 1 << 12
# somebody decided that it is never to be loaded
SUPERSEDED = 1 << 13

_VERDICTS = ((ADMITTED, "admitted"), (DUPLICATE, "duplicate"), (REJECTED, "rejected"), (REPLAYED, "replayed"))
_STATES = (
    (LOADED, "loaded"),
    (QUARANTINED, "quarantined"),
    (LOAD_DUPLICATE, "duplicate"),
    (HELD, "held"),
    (SUPERSEDED, "superseded"),
    (WAITING, "waiting"),
)

_MARK_BITS = 16
_GROUP_BITS = 24
_MARK_MASK = (1 << _MARK_BITS) - 1
_GROUP_MASK = (1 << _GROUP_BITS) - 1
_SHARD_BITS = 24

UNKNOWN_TYPE = "unknown"
_NOWHERE = ("", UNKNOWN_TYPE)


class Station(StrEnum):
    """Where on its way a record was lost, or came in by a back door."""

    STREAM = "stream"
    ADMIT_EVENTS = "admit_events"
    FIREHOSE = "firehose"
    RECORD_LANDING = "record_landing"
    LOAD_EVENTS = "load_events"
    RAW_BUCKET = "raw_bucket"


class ClaimFinding(StrEnum):
    """What the claims say of a record that nobody decided on."""

    NONE = "no claim"
    OWN = "its own claim"
    OTHERS = "another record's claim"


class Ledger:
    """Every record once, with what is known of it: an integer each, so that a million takes about 100 MB."""

    def __init__(self) -> None:
        self._entries: dict[int, int] = {}
        self._shards: dict[str, int] = {}
        self._groups: dict[tuple[str, str], int] = {_NOWHERE: 0}
        self._names: list[tuple[str, str]] = [_NOWHERE]
        # equal values share one object: there are few different ones
        self._values: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def note(
        self,
        shard_id: str,
        sequence_number: int,
        mark: int,
        *,
        event_type: str = UNKNOWN_TYPE,
        arrival_day: str = "",
        event_day: str = "",
    ) -> None:
        """Adds a mark. Who first names the arrival day, and the event day, decides in which group the record counts."""
        key = sequence_number << _SHARD_BITS | self._shards.setdefault(shard_id, len(self._shards))
        old = self._entries.get(key, 0)
        new = old | mark
        if mark == LOADED and old & LOADED:
            new |= LOADED_TWICE
        if arrival_day and not _arrival_group(old):
            new |= self._group(arrival_day, event_type) << _MARK_BITS
        if event_day and not _event_group(old):
            new |= self._group(event_day, event_type) << (_MARK_BITS + _GROUP_BITS)
        self._entries[key] = self._values.setdefault(new, new)

    def has(self, shard_id: str, sequence_number: int, mark: int) -> bool:
        return bool(self._value(shard_id, sequence_number) & mark)

    def undecided(self) -> list[RecordIdentity]:
        """Received, and nobody decided on them: whose claims to look up."""
        undecided = [value for value in self._values if _is_undecided(value)]
        return [identity for identity, _ in self.with_values(undecided)]

    def verdict_of(self, shard_id: str, sequence_number: int) -> str | None:
        """The verdict that counts for a record."""
        return _first(self._value(shard_id, sequence_number), _VERDICTS)

    def state_of(self, shard_id: str, sequence_number: int) -> str | None:
        """What counts for a record on the table side."""
        return _first(self._value(shard_id, sequence_number), _STATES)

    def tally(self) -> Counter[int]:
        """How many records share each value."""
        return Counter(self._entries.values())

    def arrival_group(self, value: int) -> tuple[str, str]:
        """(arrival day, event type) that a value counts under."""
        return self._names[_arrival_group(value)]

    def event_group(self, value: int) -> tuple[str, str]:
        """(event day, event type) that a value counts under."""
        return self._names[_event_group(value)]

    def with_values(self, values: Iterable[int]) -> Iterator[tuple[RecordIdentity, int]]:
        """The records that have one of these values."""
        wanted = set(values)
        shards = list(self._shards)
        for key, value in self._entries.items():
            if value in wanted:
                yield RecordIdentity(shards[key & ((1 << _SHARD_BITS) - 1)], key >> _SHARD_BITS), value

    def _value(self, shard_id: str, sequence_number: int) -> int:
        shard = self._shards.get(shard_id)
        return 0 if shard is None else self._entries.get(sequence_number << _SHARD_BITS | shard, 0)

    def _group(self, day: str, event_type: str) -> int:
        group = self._groups.setdefault((day, event_type), len(self._groups))
        if group == len(self._names):
            self._names.append((day, event_type))
        return group


@dataclass(frozen=True)
class StreamTally:
    arrival_day: str
    event_type: str
    received: int = 0
    admitted: int = 0
    duplicate: int = 0
    rejected: int = 0
    replayed: int = 0
    differences: int = 0


@dataclass(frozen=True)
class TableTally:
    event_day: str
    event_type: str
    landed: int = 0
    loaded: int = 0
    quarantined: int = 0
    duplicate: int = 0
    held: int = 0
    superseded: int = 0
    waiting: int = 0
    differences: int = 0


@dataclass(frozen=True)
class Difference:
    """One record that is missing, or too many, and the station to look at."""

    identity: RecordIdentity
    station: Station
    what: str
    half: str
    day: str
    event_type: str


@dataclass(frozen=True)
class Balance:
    stream: tuple[StreamTally, ...]
    tables: tuple[TableTally, ...]
    differences: tuple[Difference, ...] = field(repr=False)

    @property
    def is_balanced(self) -> bool:
        return not self.differences

    @property
    def stations(self) -> dict[str, int]:
        return dict(Counter(difference.station.value for difference in self.differences))


def strike_balance(
    ledger: Ledger, claims: Mapping[RecordIdentity, ClaimFinding], is_stream_complete: bool = True
) -> Balance:
    """The books. `claims` speak of `ledger.undecided()`; an incomplete stream cannot say that a record never came."""
    stream: dict[tuple[str, str], Counter[str]] = {}
    tables: dict[tuple[str, str], Counter[str]] = {}
    bad_values: set[int] = set()
    for value, number in ledger.tally().items():
        stream_wrong = _is_stream_wrong(value, is_stream_complete)
        table_wrong = _table_trouble(value) is not None
        if value & RECEIVED or stream_wrong:
            counts = stream.setdefault(ledger.arrival_group(value), Counter())
            counts["received"] += number if value & RECEIVED else 0
            counts[_first(value, _VERDICTS) or "undecided"] += number
            counts["differences"] += number if stream_wrong else 0
        elif value & (ADMITTED | DUPLICATE | REJECTED | REPLAYED) and not value & UNREADABLE:
            counts = stream.setdefault(ledger.arrival_group(value), Counter())
            counts[_first(value, _VERDICTS) or "undecided"] += number
        if value & ADMITTED or table_wrong:
            counts = tables.setdefault(ledger.event_group(value), Counter())
            counts["landed"] += number if value & ADMITTED else 0
            counts[_first(value, _STATES) or "unaccounted"] += number
            counts["differences"] += number if table_wrong else 0
        if stream_wrong or table_wrong:
            bad_values.add(value)
    differences = [
        difference
        for identity, value in ledger.with_values(bad_values)
        for difference in _differences(ledger, identity, value, claims, is_stream_complete)
    ]
    return Balance(
        tuple(_stream_tally(day, event_type, counts) for (day, event_type), counts in sorted(stream.items())),
        tuple(_table_tally(day, event_type, counts) for (day, event_type), counts in sorted(tables.items())),
        tuple(sorted(differences, key=lambda one: (one.station, one.identity, one.half))),
    )


def _differences(
    ledger: Ledger,
    identity: RecordIdentity,
    value: int,
    claims: Mapping[RecordIdentity, ClaimFinding],
    is_stream_complete: bool,
) -> Iterator[Difference]:
    if _is_stream_wrong(value, is_stream_complete):
        station, what = _stream_trouble(value, claims.get(identity, ClaimFinding.NONE))
        yield Difference(identity, station, what, "stream", *ledger.arrival_group(value))
    trouble = _table_trouble(value)
    if trouble is not None:
        yield Difference(identity, *trouble, "table", *ledger.event_group(value))


def _is_undecided(value: int) -> bool:
    return bool(value & RECEIVED) and _first(value, _VERDICTS) is None


def _is_stream_wrong(value: int, is_stream_complete: bool) -> bool:
    if value & UNREADABLE:
        return False
    if _is_undecided(value):
        return True
    return is_stream_complete and not value & RECEIVED and _first(value, _VERDICTS) is not None


def _stream_trouble(value: int, claim: ClaimFinding) -> tuple[Station, str]:
    if not value & RECEIVED:
        return Station.STREAM, f"{_first(value, _VERDICTS)}, but the stream never had it"
    if claim is ClaimFinding.NONE:
        return Station.ADMIT_EVENTS, "received, but nobody decided on it: no verdict and no claim"
    if claim is ClaimFinding.OWN:
        return Station.FIREHOSE, "claimed by itself, but not in raw"
    return Station.FIREHOSE, "its uuid is another record's, but no decision says so"


def _table_trouble(value: int) -> tuple[Station, str] | None:
    state = _first(value, _STATES)
    if value & LOADED_TWICE:
        return Station.LOAD_EVENTS, "loaded twice"
    if value & LOADED and value & QUARANTINED:
        return Station.LOAD_EVENTS, "loaded and in open quarantine"
    if not value & ADMITTED:
        # only what a table holds must come from raw; a sidecar may name more than the books look at
        return (Station.RAW_BUCKET, "loaded, but not in raw") if value & LOADED else None
    if state is not None:
        return None
    if value & UNRECORDED:
        return Station.RECORD_LANDING, "in raw, but its object is not among the landings"
    return Station.LOAD_EVENTS, "landed and marked as loaded, but in no table, quarantine or duplicate list"


def _first(value: int, marks: Iterable[tuple[int, str]]) -> str | None:
    return next((name for mark, name in marks if value & mark), None)


def _arrival_group(value: int) -> int:
    return value >> _MARK_BITS & _GROUP_MASK


def _event_group(value: int) -> int:
    return value >> (_MARK_BITS + _GROUP_BITS) & _GROUP_MASK


def _stream_tally(day: str, event_type: str, counts: Counter[str]) -> StreamTally:
    names = ("received", "admitted", "duplicate", "rejected", "replayed", "differences")
    return StreamTally(day, event_type, *(counts[name] for name in names))


def _table_tally(day: str, event_type: str, counts: Counter[str]) -> TableTally:
    names = ("landed", "loaded", "quarantined", "duplicate", "held", "superseded", "waiting", "differences")
    return TableTally(day, event_type, *(counts[name] for name in names))
