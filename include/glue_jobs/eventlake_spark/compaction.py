"""Writing some days of one table again on a branch: the same rows, in few files, sorted as the table is.

Does not belong here: which days (the plan says), publishing (the worker).
"""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from eventlake.compaction import CompactionEntry
from eventlake.errors import TerminalError, TransientError
from eventlake.load_plan import branch_name
from eventlake_spark.failure import told
from eventlake_spark.table_ddl import PARTITION, SORT_BY, open_table


class Fingerprint(NamedTuple):
    """Of rows in any order: equal for equal rows, and hardly ever for others."""

    rows: int
    sum_of_hashes: int


def stage_compaction(
    session: SparkSession, entry: CompactionEntry, compaction_id: str, job_run_id: str
) -> dict[str, Any]:
    """The entry of the receipt. What was written is read back and has to be what was there."""
    table = open_table(session, entry.table)
    if table is None or table.base_snapshot_id != entry.base_snapshot_id:
        shown = None if table is None else table.base_snapshot_id
        raise TransientError(
            f"compacting {entry.table}: received a main at {shown}; valid is the planned snapshot "
            f"{entry.base_snapshot_id}; the next run plans it again"
        )
    branch = branch_name(compaction_id, job_run_id)
    table.create_branch(branch)
    before = table.rows_of_branch(branch, _where(entry))
    was = _fingerprint(before)
    (
        _laid_out(before, entry)
        .writeTo(f"{table.identifier}.branch_{branch}")
        .option("snapshot-property.eventlake.compaction_id", compaction_id)
        .option("snapshot-property.eventlake.job_run_id", job_run_id)
        .option("fanout-enabled", "false")
        .overwrite(F.expr(_where(entry)))
    )
    staged = table.staged(branch)
    became = _fingerprint(table.rows_of_branch(branch, _where(entry)))
    if was != became or was.rows != entry.rows:
        raise TerminalError(
            f"compacting {entry.table}: received {became} after {was}; valid is the same twice, of the {entry.rows} "
            "rows that were planned; nothing was published; look at the table's newest snapshot"
        )
    return _entry(entry, branch, staged.snapshot_id, staged.added_files, None)


def failed_compaction(entry: CompactionEntry, compaction_id: str, job_run_id: str, error: Exception) -> dict[str, Any]:
    """The entry of a table that nothing may be published of."""
    return _entry(entry, branch_name(compaction_id, job_run_id), None, 0, told(error))


def _entry(
    entry: CompactionEntry, branch: str, staged_snapshot_id: int | None, files_added: int, error: str | None
) -> dict[str, Any]:
    return {
        "table": entry.table,
        "base_snapshot_id": entry.base_snapshot_id,
        "staged_snapshot_id": staged_snapshot_id,
        "branch": branch,
        "files_added": files_added,
        "error": error,
    }


def _where(entry: CompactionEntry) -> str:
    days = ", ".join(f"DATE '{day}'" for day in entry.days)
    return f"{PARTITION} IN ({days})" if days else "true"


def _laid_out(rows: DataFrame, entry: CompactionEntry) -> DataFrame:
    """As many parts as files are needed; Iceberg sorts each by day and by the table's own order when it writes it.

    Parts are ranges of equal size. Where one ends within a day, that day gets a file more, so a day that needs but one
    is a single value to them: the range ends before it or after it.
    """
    if entry.files_needed == 1:
        return rows.coalesce(1)
    cut_days = [date.fromisoformat(day) for day in entry.cut_days]
    is_cut = F.col(PARTITION).isin(cut_days) if entry.days else F.lit(True)
    order = [F.when(is_cut, F.col(column)) for column in SORT_BY if column in rows.columns]
    if PARTITION in rows.columns:
        order.insert(0, F.col(PARTITION))
    return rows.repartitionByRange(entry.files_needed, *order) if order else rows.repartition(entry.files_needed)


def _fingerprint(rows: DataFrame) -> Fingerprint:
    columns = ", ".join(f"`{column}`" for column in rows.columns)
    row = rows.selectExpr("count(*)", f"CAST(sum(CAST(xxhash64({columns}) AS DECIMAL(38,0))) AS STRING)").collect()[0]
    return Fingerprint(int(row[0]), int(row[1] or 0))
