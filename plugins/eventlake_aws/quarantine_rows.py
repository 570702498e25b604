"""Bad rows, from a load's sidecar into the table quarantine.rows: each record once, however often it is loaded.

Only the publishing worker writes that table, so an orphaned job can double nothing.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.table import Table

from eventlake.settings import QUARANTINE_TABLE, Settings
from eventlake_aws.control_tables import arrow_schema, control_table
from eventlake_aws.iceberg_catalog import commit_again
from eventlake_aws.row_filters import all_of, any_of, between, is_null, one_of

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
    catalog: GlueCatalog, settings: Settings, rows: Sequence[Mapping[str, Any]], load_id: str, now: datetime
) -> dict[str, int]:
    """Appends the rows nobody quarantined before, in one commit; says how many by reason."""
    unique = {identity_of(row): row for row in reversed(rows)}
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

    return commit_again(f"appending to {QUARANTINE_TABLE}", attempt)


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
