"""One event day of one table, whole: is it good, and does it lie in few files?

Belongs here: the full suite on a closed day, and putting its small files together. Compaction moves `main` (by
Iceberg's own `replace`, which changes no row), so the worker holds the type's lease while this runs.
Does not belong here: which days are due, what a failed suite means.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from eventlake.definitions import Bundle
from eventlake.errors import TerminalError, TransientError
from eventlake.settings import SPARK_CATALOG
from eventlake_spark.table_ddl import PARTITION, IcebergTable, open_table
from eventlake_spark.validation import Validator

# fewer files than this are not worth writing a day again
FEWEST_FILES_TO_COMPACT = 4
SMALL_FILE_BYTES = 96 * 1024**2


@dataclass(frozen=True)
class DayEntry:
    """One table's part of a day plan. `base_snapshot_id`: the snapshot that `main` has to show still."""

    table: str
    event_type: str | None
    base_snapshot_id: int


@dataclass(frozen=True)
class DayPlan:
    day_run_id: str
    definitions_key: str
    day: str
    tables: tuple[DayEntry, ...]

    @staticmethod
    def from_json(text: bytes | str) -> DayPlan:
        """Raises TerminalError when the text is no plan of a day."""
        try:
            body: dict[str, Any] = json.loads(text)
            return DayPlan(
                body["day_run_id"],
                body["definitions_key"],
                body["day"],
                tuple(
                    DayEntry(each["table"], each["event_type"], int(each["base_snapshot_id"]))
                    for each in body["tables"]
                ),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise TerminalError(
                f"reading the plan of a day: received {type(error).__name__} {error}; valid is JSON with day_run_id, "
                "definitions_key, day and tables (table, event_type, base_snapshot_id); start the job through its DAG"
            ) from error


def close_table(
    session: SparkSession, day: str, entry: DayEntry, definitions: Bundle, validator: Validator
) -> dict[str, Any]:
    """Validates the day as readers see it, then compacts it where that pays."""
    table = open_table(session, entry.table)
    if table is None or table.base_snapshot_id != entry.base_snapshot_id:
        shown = None if table is None else table.base_snapshot_id
        raise TransientError(
            f"closing {day} of {entry.table}: received a main at {shown}; valid is the planned snapshot "
            f"{entry.base_snapshot_id}; plan the day again"
        )
    where = f"{PARTITION} = DATE '{day}'"
    rows = session.sql(f"SELECT * FROM {table.identifier} VERSION AS OF {entry.base_snapshot_id} WHERE {where}")
    suite = definitions.suites.get(entry.event_type or entry.table.partition(".")[2])
    before = _files(session, table, day)
    counted = sum(each.rows for each in before)
    validation = validator.validate(rows, suite) if counted else None
    if _is_worth_it(before):
        _compact(session, table, where)
    after = _files(session, table, day)
    if sum(each.rows for each in after) != counted:
        raise TerminalError(
            f"compacting {day} of {entry.table}: received {sum(each.rows for each in after)} rows; valid is {counted}, "
            "as before; undo the newest snapshot of the table before anything else is written"
        )
    reopened = open_table(session, entry.table)
    assert reopened is not None
    return {
        "table": entry.table,
        "event_type": entry.event_type,
        "base_snapshot_id": entry.base_snapshot_id,
        "snapshot_id": reopened.base_snapshot_id,
        "rows": counted,
        "files_before": len(before),
        "files_after": len(after),
        "bytes_before": sum(each.size_bytes for each in before),
        "bytes_after": sum(each.size_bytes for each in after),
        "validation": validation,
        "error": None,
    }


def failed_table(entry: DayEntry, error: Exception) -> dict[str, Any]:
    counts = ("rows", "files_before", "files_after", "bytes_before", "bytes_after")
    nothing: Mapping[str, int] = dict.fromkeys(counts, 0)
    return {
        "table": entry.table,
        "event_type": entry.event_type,
        "base_snapshot_id": entry.base_snapshot_id,
        "snapshot_id": None,
        **nothing,
        "validation": None,
        "error": f"{type(error).__name__}: {' '.join(str(error).split())}"[:2000],
    }


@dataclass(frozen=True)
class _File:
    rows: int
    size_bytes: int


def _files(session: SparkSession, table: IcebergTable, day: str) -> Sequence[_File]:
    """The data files that `main` shows for the day."""
    found = session.sql(
        f"SELECT record_count, file_size_in_bytes FROM {table.identifier}.files"
        f" WHERE content = 0 AND partition.{PARTITION} = DATE '{day}'"
    )
    return [_File(int(row[0]), int(row[1])) for row in found.collect()]


def _is_worth_it(files: Sequence[_File]) -> bool:
    return sum(each.size_bytes < SMALL_FILE_BYTES for each in files) >= FEWEST_FILES_TO_COMPACT


def _compact(session: SparkSession, table: IcebergTable, where: str) -> None:
    """Sorted as the table is, so that readers of one subtype or uuid skip most of the file."""
    session.sql(
        f"CALL {SPARK_CATALOG}.system.rewrite_data_files(table => '{table.name}', strategy => 'sort',"
        f" where => \"{where}\", options => map('min-input-files', '{FEWEST_FILES_TO_COMPACT}'))"
    ).collect()
