"""Rebuilding some dates of one rollup on a branch: its SELECT over the sources as the plan saw them, and nothing else.

Does not belong here: which dates (the plan says), what a rollup selects (`include/rollups`), publishing (the worker).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from eventlake.definitions import Rollup
from eventlake.errors import TerminalError
from eventlake.load_plan import branch_name
from eventlake.rollup_plan import RollupEntry, sources_text
from eventlake.settings import SPARK_CATALOG
from eventlake.table_schema import Column
from eventlake_spark.failure import told
from eventlake_spark.table_ddl import PARTITION, IcebergTable, Staged, ready_table

# rows and how many they are -> what their suite says of them, as a receipt does
Gate = Callable[[DataFrame, int], Mapping[str, Any]]

_SOURCE = re.compile(r"'(?:[^'\\]|\\.|'')*'|\bevents\.([a-z0-9_]+)")


def stage_rollup(
    session: SparkSession, entry: RollupEntry, rollup: Rollup, gate: Gate, rollup_run_id: str, job_run_id: str
) -> dict[str, Any]:
    """The entry of the receipt. The dates are replaced whole, so a date that has no rows any more ends empty."""
    rows = rebuilt_rows(session, entry, rollup).persist()
    try:
        days = {row[0]: row[1] for row in rows.groupBy(F.expr(f"CAST({PARTITION} AS STRING)")).count().collect()}
        _require_planned_dates(entry, rollup, days)
        columns = [Column(field.name, field.dataType.simpleString()) for field in rows.schema.fields]
        table = ready_table(session, entry.table, columns, owner="rollups", sort_by=())
        branch = branch_name(rollup_run_id, job_run_id)
        staged = _replace_dates(table, branch, rows, entry, rollup_run_id, job_run_id)
        # dates that end empty have nothing to say
        validation = gate(rows, sum(days.values())) if days else None
    finally:
        rows.unpersist()
    if staged.added_records != sum(days.values()):
        raise TerminalError(
            f"staging {entry.table}: received a snapshot of {staged.added_records} rows; valid is "
            f"{sum(days.values())}, as selected; run the rollup again"
        )
    return {
        "name": entry.name,
        "table": entry.table,
        "base_snapshot_id": table.base_snapshot_id,
        "staged_snapshot_id": staged.snapshot_id,
        "branch": branch,
        "added_records": staged.added_records,
        "days": dict(sorted(days.items())),
        "error": None,
        "validation": validation,
    }


def failed_rollup(entry: RollupEntry, rollup_run_id: str, job_run_id: str, error: Exception) -> dict[str, Any]:
    """The entry of a rollup that nothing may be published of."""
    return {
        "name": entry.name,
        "table": entry.table,
        "base_snapshot_id": entry.base_snapshot_id,
        "staged_snapshot_id": None,
        "branch": branch_name(rollup_run_id, job_run_id),
        "added_records": 0,
        "days": {},
        "error": told(error),
        "validation": None,
    }


def rebuilt_rows(session: SparkSession, entry: RollupEntry, rollup: Rollup) -> DataFrame:
    """What the SELECT gives for the planned dates, from the planned snapshots of its sources."""
    dates = _dates([day for first_day in entry.dates for day in rollup.window.days(first_day)])
    views = {}
    for table, snapshot_id in entry.sources.items():
        view = f"{entry.name}__{table.partition('.')[2]}"
        session.sql(
            f"SELECT * FROM {SPARK_CATALOG}.{table} VERSION AS OF {snapshot_id} WHERE {PARTITION} IN ({dates})"
        ).createOrReplaceTempView(view)
        views[table] = view
    return session.sql(over_views(rollup.select, views))


def over_views(select: str, views: Mapping[str, str]) -> str:
    """The SELECT with each source's name replaced by its view's; what stands in texts stays."""

    def replaced(found: re.Match[str]) -> str:
        return found[0] if found[1] is None else views[f"events.{found[1]}"]

    return _SOURCE.sub(replaced, select)


def _replace_dates(
    table: IcebergTable, branch: str, rows: DataFrame, entry: RollupEntry, rollup_run_id: str, job_run_id: str
) -> Staged:
    table.create_branch(branch)
    (
        rows.coalesce(1)
        .sortWithinPartitions(PARTITION)
        .writeTo(f"{table.identifier}.branch_{branch}")
        .option("snapshot-property.eventlake.rollup_run_id", rollup_run_id)
        .option("snapshot-property.eventlake.job_run_id", job_run_id)
        .option("snapshot-property.eventlake.sources", sources_text(entry.sources))
        .overwrite(F.expr(f"{PARTITION} IN ({_dates(entry.dates)})"))
    )
    return table.staged(branch)


def _dates(dates: Sequence[str]) -> str:
    return ", ".join(f"DATE '{date}'" for date in dates)


def _require_planned_dates(entry: RollupEntry, rollup: Rollup, days: Mapping[str, int]) -> None:
    unplanned = sorted(str(day) for day in set(days) - set(entry.dates))
    if unplanned:
        raise TerminalError(
            f"rebuilding {entry.table}: received rows for {json.dumps(unplanned[:3])}; valid is each {rollup.window} "
            f"of its sources, {entry.dates[0]} to {entry.dates[-1]}; let its SELECT take {PARTITION} from its source"
        )
