"""What the lake knows about itself, as Iceberg tables: their columns, made when absent, appended to with patience.

Who fills them: loads and validations by publishing, books by `balance_books`, crawls by `crawl_report`, days by
closing a day, releases by `release_steps`, day profiles, checks and producer rates by `day_profiles`, quarantine.rows
by `quarantine_rows`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError
from pyiceberg.expressions import BooleanExpression
from pyiceberg.table import Table

from eventlake.settings import QUARANTINE_TABLE, Settings
from eventlake_aws.iceberg_catalog import commit_again

LOADS = "control.loads"
VALIDATIONS = "control.validations"
BOOKS = "control.books"
DAYS = "control.days"
CRAWLS = "control.crawls"
RELEASES = "control.releases"
DAY_PROFILES = "control.day_profiles"
DAY_CHECKS = "control.day_checks"
PRODUCER_RATES = "control.producer_rates"
DAY_REFERENCES = "control.day_references"

_TIME = pa.timestamp("us", tz="UTC")

_COLUMNS: Mapping[str, Sequence[tuple[str, pa.DataType]]] = {
    LOADS: (
        ("load_id", pa.string()),
        ("job_run_id", pa.string()),
        ("table_name", pa.string()),
        ("event_type", pa.string()),
        ("status", pa.string()),  # published, empty; of a rebuild rebuilt, unchanged; held, stale, failed
        ("lines", pa.int64()),
        ("loaded", pa.int64()),
        ("duplicate", pa.int64()),
        ("quarantined", pa.int64()),
        ("landings", pa.int64()),
        ("size_bytes", pa.int64()),
        ("added_files", pa.int64()),
        ("base_snapshot_id", pa.int64()),
        ("staged_snapshot_id", pa.int64()),
        ("first_day", pa.string()),
        ("last_day", pa.string()),
        ("reasons", pa.string()),  # JSON list: why held, or which medium expectations failed
        ("definitions_key", pa.string()),
        ("code_hash", pa.string()),
        ("started_at", pa.string()),
        ("ended_at", pa.string()),
        ("published_at", _TIME),
        # what a rebuild changed; null for a load
        ("added", pa.int64()),
        ("removed", pa.int64()),
        ("changed", pa.int64()),
        # records of the type that admission rejected while the landings came in
        ("rejected", pa.int64()),
        ("trips_breaker", pa.bool_()),  # held for a rate: rebuilds leave the table out until a person has decided
    ),
    VALIDATIONS: (
        ("load_id", pa.string()),
        ("job_run_id", pa.string()),
        ("table_name", pa.string()),
        ("expectation", pa.string()),
        ("column_name", pa.string()),
        ("severity", pa.string()),
        ("success", pa.bool_()),
        ("observed", pa.string()),
        ("unexpected_count", pa.int64()),
        ("rows", pa.int64()),  # that were looked at
        ("detail", pa.string()),
        ("validated_at", _TIME),
    ),
    BOOKS: (
        ("run_id", pa.string()),
        ("as_of", _TIME),
        ("half", pa.string()),  # stream: by arrival day; table: by event day
        ("day", pa.string()),
        ("event_type", pa.string()),
        ("balanced", pa.bool_()),
        ("received", pa.int64()),
        ("admitted", pa.int64()),
        ("duplicate", pa.int64()),
        ("rejected", pa.int64()),
        ("replayed", pa.int64()),
        ("in_flight", pa.int64()),
        ("landed", pa.int64()),
        ("loaded", pa.int64()),
        ("load_duplicate", pa.int64()),
        ("quarantined", pa.int64()),
        ("waiting", pa.int64()),
        ("held", pa.int64()),
        ("superseded", pa.int64()),
        ("differences", pa.int64()),
        ("stations", pa.string()),  # JSON object: station -> number of records
        ("samples", pa.string()),  # JSON list of identities
        ("written_at", _TIME),
    ),
    DAYS: (
        ("day", pa.string()),
        ("status", pa.string()),  # closed, reopened
        ("run_id", pa.string()),
        ("watermark", _TIME),
        ("balanced", pa.bool_()),
        ("rows", pa.int64()),
        ("note", pa.string()),
        ("written_at", _TIME),
    ),
    CRAWLS: (
        ("run_id", pa.string()),
        ("kind", pa.string()),
        ("severity", pa.string()),
        ("event_type", pa.string()),
        ("event_subtype", pa.string()),
        ("field", pa.string()),
        ("seen", pa.string()),
        ("expected", pa.string()),
        ("crawled_at", _TIME),
        ("patch_uri", pa.string()),  # of a new field: the patch of the contract that has it
    ),
    RELEASES: (
        ("release_id", pa.string()),  # the load that took the landings, or the name of the decision against them
        ("load_id", pa.string()),  # the load that held them
        ("action", pa.string()),  # gate again, publish anyway, supersede
        ("event_types", pa.string()),
        ("landings", pa.int64()),
        ("reason", pa.string()),
        ("decided_by", pa.string()),
        ("decided_at", _TIME),
    ),
    DAY_PROFILES: (
        ("day", pa.string()),
        ("table_name", pa.string()),
        ("rows", pa.int64()),
        ("hourly_rows", pa.string()),  # JSON list of 24, by the hour of the event, UTC
        ("last_second", pa.int64()),  # of the day, at which the last event happened
        ("run_id", pa.string()),
        ("written_at", _TIME),
    ),
    DAY_CHECKS: (
        ("day", pa.string()),
        ("table_name", pa.string()),
        ("what", pa.string()),
        ("severity", pa.string()),
        ("rows", pa.int64()),
        ("observed", pa.string()),
        ("expected", pa.string()),
        ("samples", pa.string()),  # JSON list of uuids
        ("run_id", pa.string()),
        ("checked_at", _TIME),
    ),
    DAY_REFERENCES: (
        ("day", pa.string()),
        ("table_name", pa.string()),
        ("column_name", pa.string()),
        ("target", pa.string()),
        ("distinct_values", pa.int64()),
        ("missing", pa.int64()),  # values that are nowhere in the target
        ("run_id", pa.string()),
        ("written_at", _TIME),
    ),
    PRODUCER_RATES: (
        ("day", pa.string()),
        ("table_name", pa.string()),
        ("producer", pa.string()),  # null: it does not say
        ("rows", pa.int64()),
        ("quarantined", pa.int64()),
        ("rate", pa.float64()),
        ("run_id", pa.string()),
        ("written_at", _TIME),
    ),
    QUARANTINE_TABLE: (
        ("event_type", pa.string()),
        ("event_subtype", pa.string()),
        ("producer", pa.string()),
        ("reason", pa.string()),
        ("rule", pa.string()),
        ("field", pa.string()),
        ("raw_object", pa.string()),
        ("line", pa.int64()),
        ("original_text", pa.string()),
        ("event_uuid", pa.string()),
        ("shard_id", pa.string()),
        ("sequence_number", pa.string()),
        ("event_date", pa.string()),
        ("load_id", pa.string()),
        ("first_seen_at", _TIME),
        ("resolved_by", pa.string()),  # null while open
        ("resolved_at", _TIME),
    ),
}


def ensure_control_tables(catalog: GlueCatalog, settings: Settings) -> None:
    """Makes every table that is absent."""
    for name in _COLUMNS:
        control_table(catalog, settings, name)


def control_table(catalog: GlueCatalog, settings: Settings, name: str) -> Table:
    """The table, made now if nobody did before; an older one gets the columns that are new here."""
    try:
        return _grown(catalog.load_table(name), arrow_schema(name))
    except NoSuchTableError:
        pass
    database, _, table = name.partition(".")
    try:
        return catalog.create_table(
            name,
            schema=arrow_schema(name),
            location=f"{settings.warehouse_uri}/{database}.db/{table}",
            properties={
                "format-version": "2",
                "write.parquet.compression-codec": "zstd",
                # a control table commits often and its metadata would pile up
                "write.metadata.delete-after-commit.enabled": "true",
                "write.metadata.previous-versions-max": "20",
            },
        )
    except TableAlreadyExistsError:
        return catalog.load_table(name)


def _grown(table: Table, schema: pa.Schema) -> Table:
    if not set(schema.names) <= set(table.schema().column_names):
        with table.update_schema() as update:
            update.union_by_name(schema)
    return table


def arrow_schema(name: str) -> pa.Schema:
    return pa.schema(list(_COLUMNS[name]))


def append_rows(catalog: GlueCatalog, settings: Settings, name: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """One commit. Appending twice doubles: callers look first whether their rows are there (`read_rows`)."""
    if not rows:
        return 0
    batch = pa.Table.from_pylist([dict(row) for row in rows], schema=arrow_schema(name))
    commit_again(f"appending to {name}", lambda: control_table(catalog, settings, name).append(batch))
    return len(rows)


def read_rows(
    catalog: GlueCatalog,
    settings: Settings,
    name: str,
    row_filter: BooleanExpression,
    columns: Sequence[str] = ("*",),
) -> list[dict[str, Any]]:
    table = control_table(catalog, settings, name)
    found = table.scan(row_filter=row_filter, selected_fields=tuple(columns)).to_arrow()
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows
