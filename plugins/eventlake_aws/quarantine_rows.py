"""Bad rows, from a load's sidecar into the table quarantine.rows: each record once, however often it is loaded.

Only the publishing worker writes that table, so an orphaned job can double nothing.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zlib import crc32

import pyarrow as pa
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.expressions import BooleanExpression
from pyiceberg.table import Table

from eventlake.load_plan import table_of_type
from eventlake.settings import QUARANTINE_TABLE, UNCONTRACTED_TABLE, Settings
from eventlake_aws.control_tables import arrow_schema, control_table
from eventlake_aws.iceberg_catalog import commit_again
from eventlake_aws.row_filters import all_of, any_of, between, equals, is_null, one_of

# (shard, sequence number), or (raw object, line) of what could not be read
QuarantineIdentity = tuple[str, str | int]

_IDENTITY_COLUMNS = ("shard_id", "sequence_number", "raw_object", "line")


def read_sidecar(body: bytes) -> list[dict[str, Any]]:
    """The rows of a sidecar. Compression is told by the first bytes, never by a name."""
    text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def identity_of(row: Mapping[str, Any]) -> QuarantineIdentity:
    if row.get("shard_id") and row.get("sequence_number"):
        return (row["shard_id"], str(row["sequence_number"]))
    return (row["raw_object"], int(row["line"]))


def append_quarantine(
    catalog: GlueCatalog,
    settings: Settings,
    rows: Sequence[Mapping[str, Any]],
    load_id: str,
    now: datetime,
    *,
    reopen: bool = False,
) -> dict[str, int]:
    """Appends the rows nobody quarantined before, in one commit; says how many by reason.

    A row that was resolved stays so when a load meets its line again, for the table has it. A rebuild has just taken
    it out of the table: `reopen`.
    """
    unique = {identity_of(row): row for row in map(_with_place, reversed(rows))}
    if not unique:
        return {}

    def attempt() -> dict[str, int]:
        # read and append the same snapshot: the commit fails if another writer came between, and all is read again
        table = control_table(catalog, settings, QUARANTINE_TABLE)
        known = _known(table, unique.values())
        fresh = [row for identity, row in unique.items() if identity not in known]
        if fresh:
            columns = [_row(row, load_id, now) for row in fresh]
            table.append(pa.Table.from_pylist(columns, schema=arrow_schema(QUARANTINE_TABLE)))
        return dict(Counter(str(row["reason"]) for row in fresh))

    appended = commit_again(f"appending to {QUARANTINE_TABLE}", attempt)
    if reopen:
        doing = f"reopening in {QUARANTINE_TABLE}"
        commit_again(doing, lambda: _settle(catalog, settings, unique.keys(), None, None))
    return appended


def resolve_loaded(
    catalog: GlueCatalog,
    settings: Settings,
    table_name: str,
    event_type: str | None,
    these_rows: BooleanExpression,
    load_id: str,
    now: datetime,
    duplicates: Collection[QuarantineIdentity] = (),
) -> int:
    """Closes the open rows of records that are among these rows of the table now, or are duplicates of some; says how
    many. `event_type` None: whatever type they were taken for."""
    still_open = open_identities(catalog, settings, None if event_type is None else [event_type])
    numbers = sorted(place for _, place in still_open if isinstance(place, str))
    if not numbers:
        return 0
    rows = catalog.load_table(table_name).scan(
        row_filter=all_of(these_rows, between("sequence_number", numbers[0], numbers[-1])),
        selected_fields=("shard_id", "sequence_number"),
    )
    settled = ({identity_of(row) for row in rows.to_arrow().to_pylist()} | set(duplicates)) & set(still_open)
    return commit_again(f"resolving in {QUARANTINE_TABLE}", lambda: _settle(catalog, settings, settled, load_id, now))


def _settle(
    catalog: GlueCatalog,
    settings: Settings,
    records: Collection[QuarantineIdentity],
    load_id: str | None,
    now: datetime | None,
) -> int:
    """Open rows of these records get a load that resolved them; without a load, resolved ones are open again."""
    numbers = [place for _, place in records if isinstance(place, str)]
    if not numbers:
        return 0
    table = control_table(catalog, settings, QUARANTINE_TABLE)
    # rows of another shard may bear the same number: they are written back as they were
    same_numbers = one_of("sequence_number", numbers)
    rows = table.scan(row_filter=same_numbers).to_arrow().to_pylist()
    settled = 0
    for row in rows:
        if identity_of(row) in records and (row["resolved_by"] is None) != (load_id is None):
            row |= {"resolved_by": load_id, "resolved_at": now}
            settled += 1
    if settled:
        written = pa.Table.from_pylist(rows, schema=arrow_schema(QUARANTINE_TABLE))
        table.overwrite(written, overwrite_filter=same_numbers)
    return settled


def open_identities(
    catalog: GlueCatalog, settings: Settings, event_types: Collection[str] | None = None
) -> dict[QuarantineIdentity, tuple[str | None, str]]:
    """Open rows: identity -> (event type, reason)."""
    row_filter = is_null("resolved_by")
    if event_types is not None:
        row_filter = all_of(row_filter, one_of("event_type", event_types))
    scan = control_table(catalog, settings, QUARANTINE_TABLE).scan(
        row_filter=row_filter, selected_fields=(*_IDENTITY_COLUMNS, "event_type", "reason", "resolved_by")
    )
    return {identity_of(row): (row["event_type"], row["reason"]) for row in scan.to_arrow().to_pylist()}


def open_by_producer(
    catalog: GlueCatalog, settings: Settings, day: date, tables: Collection[str]
) -> dict[str, Counter[str | None]]:
    """Open rows of an event day: table -> producer -> rows. What none of the tables takes has no contract."""
    of_day = all_of(is_null("resolved_by"), equals("event_date", day.isoformat()))
    scan = control_table(catalog, settings, QUARANTINE_TABLE).scan(
        row_filter=of_day, selected_fields=("event_type", "producer", "resolved_by", "event_date")
    )
    found: dict[str, Counter[str | None]] = {}
    for row in scan.to_arrow().to_pylist():
        table = table_of_type(row["event_type"] or "")
        found.setdefault(table if table in tables else UNCONTRACTED_TABLE, Counter())[row["producer"]] += 1
    return found


def _with_place(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A line whose place the job could not find again is known by its text, as a negative place."""
    return row if row.get("line") is not None else {**row, "line": -crc32(str(row.get("original_text")).encode())}


def _known(table: Table, rows: Iterable[Mapping[str, Any]]) -> set[QuarantineIdentity]:
    """Identities that are there among those asked for. Ranges of numbers and names let Iceberg skip old files."""
    numbers = [str(row["sequence_number"]) for row in rows if row.get("sequence_number")]
    objects = [row["raw_object"] for row in rows if not row.get("sequence_number")]
    ranges = [
        between(column, min(values), max(values))
        for column, values in (("sequence_number", numbers), ("raw_object", objects))
        if values
    ]
    found = table.scan(row_filter=any_of(*ranges), selected_fields=_IDENTITY_COLUMNS).to_arrow().to_pylist()
    return {identity_of(row) for row in found}


def _row(row: Mapping[str, Any], load_id: str, now: datetime) -> dict[str, Any]:
    known = arrow_schema(QUARANTINE_TABLE).names
    kept = {name: row.get(name) for name in known}
    return kept | {"load_id": load_id, "first_seen_at": now, "resolved_by": None, "resolved_at": None}
