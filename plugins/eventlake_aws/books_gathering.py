"""Gathering what the books are struck from: stream, decisions, raw objects, landings, tables, quarantine, sidecars.

Belongs here: which facts about which records. Does not belong here: what follows from them (`eventlake.books`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from pyiceberg.catalog.glue import GlueCatalog

from eventlake import books
from eventlake.books import Difference, Ledger, Station
from eventlake.identity import RecordIdentity
from eventlake.load_plan import type_of_table
from eventlake.settings import Settings
from eventlake_aws import landing_list
from eventlake_aws.clients import Clients
from eventlake_aws.quarantine_rows import open_identities
from eventlake_aws.raw_census import DecidedRecord, ObjectLines, raw_objects, read_decisions, read_raw
from eventlake_aws.raw_lines import RawLine
from eventlake_aws.stream_census import StreamRecord, read_stream
from eventlake_aws.table_census import (
    DroppedDuplicate,
    TableRow,
    dropped_duplicates,
    event_tables,
    published_rows,
    read_table,
    twins_in_table,
)

_VERDICT_MARKS = {"duplicate": books.DUPLICATE, "rejected": books.REJECTED, "replayed": books.REPLAYED}
_STATUS_MARKS = {"waiting": books.WAITING, "held": books.HELD, "superseded": books.SUPERSEDED}
# the stream tells a record's arrival in one precision, the function writes it in another
EDGE = timedelta(seconds=1)


@dataclass(frozen=True)
class Scope:
    """The records that the books speak of: those that arrived in this time. `as_of`: the books are true for it."""

    since: datetime
    until: datetime
    as_of: datetime

    @property
    def arrival_days(self) -> tuple[date, ...]:
        days = (self.until.date() - self.since.date()).days
        return tuple(self.since.date() + timedelta(days=number) for number in range(days + 1))

    def surely_holds(self, ingested_at: datetime) -> bool:
        """At the edges of the time, only the stream's own word decides whether a record belongs to the books."""
        return self.since + EDGE <= ingested_at <= self.until - EDGE


@dataclass
class Gathered:
    """What was seen, beside the ledger itself."""

    ledger: Ledger = field(default_factory=Ledger)
    # by arrival day and type: came after the time the books are true for
    in_flight: Counter[tuple[str, str]] = field(default_factory=Counter)
    landed_objects: int = 0
    # types of which something is held: a twin may be among it
    held_types: set[str] = field(default_factory=set)
    rejection_reasons: dict[RecordIdentity, str] = field(default_factory=dict)
    quarantine_reasons: dict[tuple[str, int], str] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)
    further_differences: list[Difference] = field(default_factory=list)


def gather_stream_half(clients: Clients, settings: Settings, scope: Scope, gathered: Gathered) -> None:
    ledger = gathered.ledger

    def receive(records: Sequence[StreamRecord]) -> None:
        for record in records:
            if record.arrived_at > scope.until:
                # later days are another balance's business, what came after the watermark is on its way
                is_in_flight = record.arrived_at > scope.as_of
                gathered.in_flight[(record.arrival_day, record.event_type)] += is_in_flight
                continue
            ledger.note(
                record.shard_id,
                record.sequence_number,
                books.RECEIVED,
                event_type=record.event_type,
                arrival_day=record.arrival_day,
            )

    def decide(record: DecidedRecord) -> None:
        mark = _VERDICT_MARKS.get(record.verdict)
        if mark is None or not _belongs(ledger, scope, record):
            return
        ledger.note(
            record.shard_id,
            record.sequence_number,
            mark,
            event_type=record.event_type or books.UNKNOWN_TYPE,
            arrival_day=record.arrival_day,
        )
        if record.reason is not None:
            gathered.rejection_reasons[RecordIdentity(record.shard_id, record.sequence_number)] = record.reason

    read_stream(clients, settings, scope.since, None if scope.until == scope.as_of else scope.until, receive)
    read_decisions(clients, settings, scope.arrival_days, decide)


def gather_table_half(
    clients: Clients, catalog: GlueCatalog, settings: Settings, scope: Scope, gathered: Gathered
) -> None:
    ledger = gathered.ledger
    objects = raw_objects(clients, settings, scope.arrival_days)
    records = landing_list.landing_records(clients, settings, (listed.identity for listed in objects))
    load_ids: set[str] = set()

    def admit(held: ObjectLines) -> None:
        record = records.get(held.landed.identity)
        status = books.UNRECORDED if record is None else _STATUS_MARKS.get(record.status, 0)
        lines = [line for line in held.lines if _belongs(ledger, scope, line)]
        for line in lines:
            ledger.note(
                line.shard_id,
                line.sequence_number,
                books.ADMITTED | status,
                event_type=line.event_type,
                arrival_day=line.arrival_day,
                event_day=line.event_day,
            )
        for number in range(held.unreadable):
            # counted by its place among the unreadable lines of its object: it has no other name
            ledger.note(held.landed.key, number, books.ADMITTED | books.UNREADABLE | status, event_day="unknown")
        if record is not None and record.status == "held":
            gathered.held_types.update(line.event_type for line in lines)
        gathered.landed_objects += bool(lines) or bool(held.unreadable)
        if record is not None and record.loaded_by is not None and (lines or held.unreadable):
            load_ids.update((record.loaded_by, *record.rebuilt_by))

    read_raw(clients, settings, objects, admit)
    _gather_tables(catalog, scope, gathered)
    _gather_quarantine(catalog, settings, gathered)
    _gather_duplicates(catalog, gathered, dropped_duplicates(clients, settings, load_ids))


def _gather_tables(catalog: GlueCatalog, scope: Scope, gathered: Gathered) -> None:
    ledger = gathered.ledger

    def load(row: TableRow) -> None:
        is_known = ledger.has(row.shard_id, row.sequence_number, books.RECEIVED | books.ADMITTED)
        if not is_known and not scope.surely_holds(row.ingested_at):
            return
        ledger.note(row.shard_id, row.sequence_number, books.LOADED, event_type=row.event_type, event_day=row.event_day)

    for name in event_tables(catalog):
        table = catalog.load_table(name)
        gathered.tables[name] = published_rows(table)
        repeated = read_table(table, scope.since - EDGE, scope.until + EDGE, load)
        gathered.further_differences += [
            Difference(
                RecordIdentity(f"{name}/{uuid}", times),
                Station.LOAD_EVENTS,
                f"one uuid stands {times} times in {name}",
                "table",
                "",
                name,
            )
            for uuid, times in repeated.items()
        ]


def _gather_quarantine(catalog: GlueCatalog, settings: Settings, gathered: Gathered) -> None:
    unreadable: Counter[str] = Counter()
    for (holder, place), (event_type, reason) in open_identities(catalog, settings).items():
        if isinstance(place, str):
            identity = (holder, int(place))
        else:
            key = holder.split("://", 1)[-1].removeprefix(f"{settings.raw_bucket}/")
            identity = (key, unreadable[key])
            unreadable[key] += 1
        # quarantine is read whole: what did not land in the time of these books is not their business
        if gathered.ledger.has(*identity, books.ADMITTED):
            gathered.ledger.note(*identity, books.QUARANTINED, event_type=event_type or books.UNKNOWN_TYPE)
            gathered.quarantine_reasons[identity] = reason


def _gather_duplicates(catalog: GlueCatalog, gathered: Gathered, dropped: Sequence[DroppedDuplicate]) -> None:
    uuids: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for duplicate in dropped:
        if not gathered.ledger.has(duplicate.shard_id, duplicate.sequence_number, books.ADMITTED):
            continue
        gathered.ledger.note(duplicate.shard_id, duplicate.sequence_number, books.LOAD_DUPLICATE)
        uuids[duplicate.table][duplicate.event_day].add(duplicate.event_uuid)
    twins = {name: twins_in_table(catalog.load_table(name), by_day) for name, by_day in uuids.items()}
    # a rebuild may have dropped it again, in the table to which its name has moved since
    explained = {
        (one.shard_id, one.sequence_number) for one in dropped if one.event_uuid in twins.get(one.table, frozenset())
    }
    gathered.further_differences += [
        Difference(
            RecordIdentity(duplicate.shard_id, duplicate.sequence_number),
            Station.LOAD_EVENTS,
            "dropped as a duplicate, but no row has its uuid",
            "table",
            duplicate.event_day,
            duplicate.table,
        )
        for duplicate in dropped
        if type_of_table(duplicate.table) not in gathered.held_types
        and (duplicate.shard_id, duplicate.sequence_number) not in explained
        and gathered.ledger.state_of(duplicate.shard_id, duplicate.sequence_number) == "duplicate"
    ]


def _belongs(ledger: Ledger, scope: Scope, record: RawLine | DecidedRecord) -> bool:
    if ledger.has(record.shard_id, record.sequence_number, books.RECEIVED):
        return True
    return scope.surely_holds(datetime.fromisoformat(record.ingested_at))
