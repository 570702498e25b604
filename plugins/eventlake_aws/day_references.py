"""The references of an event day, followed in what readers see, and kept in control.day_references.

Belongs here: looking for counterparts, reading earlier profiles. What the shares mean is `eventlake.references`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NoSuchTableError

from eventlake.day_checks import MOST_SAMPLES
from eventlake.definitions import parse_suite
from eventlake.load_plan import table_of_type
from eventlake.references import Reference, ReferenceProfile
from eventlake.settings import Settings
from eventlake_aws.control_tables import DAY_REFERENCES, read_rows
from eventlake_aws.row_filters import between, equals, one_of

# what an event refers to mostly came in the week before it; to look further would read more than the day is worth
_DAYS_BEFORE, _DAYS_AFTER = 7, 1


def references_of(suites: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Reference]]:
    """Table and reference, of all suites in force."""
    return [
        (table_of_type(event_type), reference)
        for event_type, document in sorted(suites.items())
        for reference in parse_suite(event_type, document).references
    ]


def follow(catalog: GlueCatalog, table_name: str, reference: Reference, day: date) -> ReferenceProfile:
    """How many of the day's values have no counterpart on the day itself, in the week before, or the day after."""
    target = table_of_type(reference.to_type)
    values, uuids = _values(catalog, table_name, reference.column, day)
    known = _counterparts(catalog, target, reference.to_column, day, values)
    is_missing = pc.invert(pc.is_in(values, value_set=known))
    missing = values.filter(is_missing)
    samples = sorted(uuids.filter(is_missing).to_pylist()[:MOST_SAMPLES])
    return ReferenceProfile(
        table_name,
        reference.column,
        f"{target}.{reference.to_column}",
        day.isoformat(),
        len(values.unique()),
        len(missing.unique()),
        reference.severity,
        tuple(samples),
    )


def earlier_references(catalog: GlueCatalog, settings: Settings, days: list[str]) -> list[ReferenceProfile]:
    """Of these days; of one that was followed twice, what was written last."""
    rows = read_rows(catalog, settings, DAY_REFERENCES, one_of("day", days))
    newest = {
        (row["table_name"], row["column_name"], row["target"], row["day"]): row
        for row in sorted(rows, key=lambda row: row["written_at"])
    }
    return [
        ReferenceProfile(*name, values=row["distinct_values"], missing=row["missing"]) for name, row in newest.items()
    ]


def row_of(profile: ReferenceProfile, run_id: str, now: datetime) -> dict[str, Any]:
    return {
        "day": profile.day,
        "table_name": profile.table,
        "column_name": profile.column,
        "target": profile.target,
        "distinct_values": profile.values,
        "missing": profile.missing,
        "run_id": run_id,
        "written_at": now,
    }


def _values(catalog: GlueCatalog, name: str, column: str, day: date) -> tuple[pa.Array, pa.Array]:
    """The column's values on the day and the uuids beside them, rows without one left out."""
    scanned = _scan(catalog, name, (column, "event_uuid"), equals("event_date", day.isoformat()))
    if scanned is None:
        return pa.array([], pa.string()), pa.array([], pa.string())
    table = scanned.filter(pc.is_valid(scanned.column(column)))
    return _texts(table.column(column)), _texts(table.column("event_uuid"))


def _counterparts(catalog: GlueCatalog, name: str, column: str, day: date, wanted: pa.Array) -> pa.Array:
    first, last = day - timedelta(days=_DAYS_BEFORE), day + timedelta(days=_DAYS_AFTER)
    scanned = _scan(catalog, name, (column,), between("event_date", first.isoformat(), last.isoformat()))
    if scanned is None:
        return wanted.slice(0, 0)
    values = _texts(scanned.column(column))
    return values.filter(pc.is_in(values, value_set=wanted)).unique()


def _scan(catalog: GlueCatalog, name: str, columns: tuple[str, ...], row_filter: Any) -> pa.Table | None:
    """None where there is no such table or column, or nothing was published."""
    try:
        table = catalog.load_table(name)
    except NoSuchTableError:
        return None
    if table.current_snapshot() is None or not set(columns) <= set(table.schema().column_names):
        return None
    return table.scan(row_filter=row_filter, selected_fields=columns).to_arrow()


def _texts(values: pa.ChunkedArray) -> pa.Array:
    """As one array, and of one type: two contracts may write a number differently wide."""
    return values.cast(pa.string()).combine_chunks()
