"""What stands wrong in the naive job's table, counted against the rows that our load let through.

Runs in the laptop's environment. What does not belong here: what either job costs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import duckdb

from bench.parts.measured import tell
from eventlake.table_schema import ENVELOPE_COLUMNS

# a reader can still cast these; a struct or a number that became text is another matter
_TEXT_IN_JSON = ("string", "timestamp", "date")


def main(order: dict[str, Any]) -> None:
    connection = duckdb.connect()
    for name in ("naive", "loaded", "history"):
        connection.execute(f"CREATE VIEW {name} AS SELECT lower(event_uuid) AS u FROM '{order[name]}/**/*.parquet'")
    rows, uuids, in_history, bad = (
        _number(connection, f"SELECT {what} FROM naive")
        for what in (
            "count(*)",
            "count(DISTINCT u)",
            "count(*) FILTER (u IN (FROM history))",
            "count(*) FILTER (u IS NULL OR u NOT IN (FROM history UNION ALL FROM loaded))",
        )
    )
    tell(
        {
            "bad_rows": bad,
            "double_rows": rows - uuids + in_history,
            "text_columns": turned_to_text(order["naive_columns"], order["columns"]),
        }
    )


def turned_to_text(naive: Mapping[str, str], columns: Mapping[str, str]) -> list[str]:
    """Columns that the contract gives another type and that inference could only read as text."""
    envelope = {column.name for column in ENVELOPE_COLUMNS}
    typed = [name for name, kind in columns.items() if name not in envelope and kind not in _TEXT_IN_JSON]
    return [name for name in typed if naive.get(name) == "string"]


def _number(connection: duckdb.DuckDBPyConnection, select: str) -> int:
    row = connection.execute(select).fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    main(json.load(sys.stdin))
