"""One table's batch: every line gets a verdict, good rows go to a branch, and the sums must hold.

Belongs here: reading a batch, keeping its judgement, and writing the rows of a load where no reader looks.
Does not belong here: the judgement itself (judgement), what a rebuild replaces (rebuild_staging), why a row is bad
(quarantine), whether the batch is good (validation), publishing (the worker).

A batch is judged once and kept in memory: it is counted, written, validated and explained from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql import Observation, SparkSession
from pyspark.sql import functions as F

from eventlake.errors import TerminalError
from eventlake.layout import Area, parse_raw_key
from eventlake.load_plan import ERRORS_AREA, LoadKind, TablePlan, branch_name
from eventlake_spark.batch import Batch, SideRow, Tally
from eventlake_spark.judgement import (
    BAD,
    CONFLICT,
    DUPLICATE,
    KNOWN,
    LOADED,
    Layout,
    Published,
    judged_lines,
)
from eventlake_spark.line_reading import read_lines
from eventlake_spark.read_landings import Landings
from eventlake_spark.rebuild_staging import published_of_rebuild, replace_days
from eventlake_spark.table_ddl import PARTITION, SORT_BY, IcebergTable, ready_table
from eventlake_spark.table_lines import TableLines, content_hash

# each has a file open, with a buffer for every column; of more days, one is written after the other
DAYS_WRITTEN_AT_ONCE = 16


def stage(
    session: SparkSession,
    lines: TableLines,
    entry: TablePlan,
    landings: Landings,
    load_id: str,
    job_run_id: str,
    key: bytes,
) -> Batch:
    """Judges the entry's lines against each other and the table's `main`. What a load adds, or the days that a rebuild
    changes, are on a branch then. `key`: under which personal values are hashed."""
    plan = landings.plan
    table = ready_table(session, entry.table, lines.columns, lines.owner, SORT_BY)
    base = table.require_snapshot()
    is_rebuild = plan.kind is LoadKind.REBUILD
    layout = Layout.of(entry.size_bytes, len(plan.days) or 1)
    counted = Observation()
    read = read_lines(landings.frame(session, entry), landings.root, lines, load_id, key, plan.days, counted)
    published = None
    if table.holds_rows():
        if is_rebuild:
            published = published_of_rebuild(session, table, landings)
        else:
            published = _held(session, table, _touched_days(session, landings, entry))
    judged = judged_lines(read, lines, published, layout)
    tallies = [
        Tally(row[0], row[1], row[2], row[3])
        for row in judged.selectExpr("row.raw_object AS object", "verdict", "row.event_date AS day")
        .groupBy("object", "verdict", "day")
        .count()
        .selectExpr("object", "verdict", "CAST(day AS STRING)", "count")
        .collect()
    ]
    batch = Batch(
        lines, entry, table, branch_name(load_id, job_run_id), judged, int(counted.get["lines"]), tallies, frozenset()
    )
    if batch.count(KNOWN):
        batch.conflicts = _conflicts(session, batch, base)
    if batch.count(DUPLICATE, CONFLICT, BAD, KNOWN):
        batch.sides = _sides(batch)
    _require_all_lines(batch)
    if is_rebuild:
        replace_days(session, batch, landings, layout, load_id, job_run_id)
    elif batch.count(LOADED):
        _write(batch, layout, load_id, job_run_id)
    return batch


def _held(session: SparkSession, table: IcebergTable, touched: Sequence[str]) -> Published | None:
    """What readers see on these days, all of which a load leaves as it is."""
    if not touched:
        return None
    days = ", ".join(f"DATE '{day}'" for day in touched)
    rows = session.sql(
        "SELECT event_date AS held_day, event_uuid AS held_uuid"
        f" FROM {table.identifier} VERSION AS OF {table.base_snapshot_id} WHERE event_date IN ({days})"
    )
    return Published(rows, are_all_kept=True)


def _touched_days(session: SparkSession, landings: Landings, entry: TablePlan) -> list[str]:
    """The event days that the batch may hold. The key of an object says it, but for those that arrived late."""
    days = set()
    by_arrival = []
    for landing in entry.landings:
        key = parse_raw_key(landing.object_key)
        if key is not None and key.area is Area.RAW and landing.area != ERRORS_AREA:
            days.add(key.day)
        else:
            by_arrival.append(landing)
    if by_arrival:
        late = TablePlan(entry.table, entry.event_type, entry.base_snapshot_id, tuple(by_arrival))
        written = """regexp_extract(value, '"created_datetime":"([0-9]{4}-[0-9]{2}-[0-9]{2})[^"]*","event_type"', 1)"""
        found = landings.frame(session, late).selectExpr(f"CAST(TRY_CAST({written} AS DATE) AS STRING) AS day")
        days.update(row.day for row in found.coalesce(1).distinct().collect() if row.day is not None)
    return sorted(days)


def _conflicts(session: SparkSession, batch: Batch, base: int) -> frozenset[str]:
    """Identities of rows that the table holds under the same uuid with other content. The same record is no conflict:
    a contract may have grown since it was loaded."""
    # no contract can name a field so: readers' rows come with all of their columns
    known = batch.judged.where(f"verdict = '{KNOWN}'").selectExpr(
        "row.event_date AS `own day`", "row.event_uuid AS `own uuid`", "row.shard_id AS `own shard`",
        "row.sequence_number AS `own number`", f"{content_hash(batch.lines, 'row')} AS `own content`",
    )  # fmt: skip
    days = sorted({tally.day for tally in batch.tallies if tally.verdict == KNOWN and tally.day is not None})
    held = batch.table.rows_at(base, days, batch.lines.columns)
    both = held.join(F.broadcast(known), F.expr("event_date = `own day` AND event_uuid = `own uuid`"))
    # of the days' rows only these few are hashed
    other = both.where(
        f"`own content` <> {content_hash(batch.lines)}"
        " AND NOT (`own shard` <=> shard_id AND `own number` <=> sequence_number)"
    )
    return frozenset(f"{row[0]}:{row[1]}" for row in other.selectExpr("`own shard`", "`own number`").collect())


def _sides(batch: Batch) -> list[SideRow]:
    """The rows that are not loaded; a known row is a duplicate or, where its content differs, a conflict."""
    rows = batch.judged.where(f"verdict <> '{LOADED}'").selectExpr(
        "verdict", "row.raw_object", "row.event_uuid", "row.event_subtype", "row.producer", "row.shard_id",
        "row.sequence_number", "CAST(row.event_date AS STRING)", "original", "line",
    )  # fmt: skip
    sides = []
    for row in rows.toLocalIterator():
        side = SideRow(*row)
        if side.verdict == KNOWN:
            is_conflict = side.identity in batch.conflicts
            side = replace(side, verdict=CONFLICT if is_conflict else DUPLICATE)
        sides.append(side)
    return sides


def _require_all_lines(batch: Batch) -> None:
    """What was read is what was judged, and what was judged is what goes somewhere."""
    judged = sum(tally.rows for tally in batch.tallies)
    going = batch.count(LOADED) + len(batch.sides)
    if not batch.lines_read == judged == going:
        raise TerminalError(
            f"staging {batch.entry.table}: received {batch.lines_read} lines read, {judged} judged, {going} with a way "
            "to go; valid is three times the same number; nothing was staged; run the load again, and if it repeats, "
            "look for a uuid that the table holds twice"
        )


def _write(batch: Batch, layout: Layout, load_id: str, job_run_id: str) -> None:
    """Appends the loaded rows to the attempt's branch and looks at what landed there.

    They lie as they were read, which is nearly by day: sorting them is the business of whoever writes a day in few
    files again (compaction)."""
    batch.table.create_branch(batch.branch)
    rows = batch.loaded_rows.coalesce(layout.files_a_day)
    has_few_days = len({tally.day for tally in batch.tallies if tally.verdict == LOADED}) <= DAYS_WRITTEN_AT_ONCE
    if not has_few_days:
        rows = rows.sortWithinPartitions(PARTITION)
    (
        batch.table.filled_up(rows)
        .writeTo(f"{batch.table.identifier}.branch_{batch.branch}")
        .option("snapshot-property.eventlake.load_id", load_id)
        .option("snapshot-property.eventlake.job_run_id", job_run_id)
        .option("use-table-distribution-and-ordering", "false")
        .option("fanout-enabled", str(has_few_days).lower())
        .append()
    )
    staged = batch.table.staged(batch.branch)
    if staged.added_records != batch.count(LOADED) or staged.parent_id != batch.table.base_snapshot_id:
        raise TerminalError(
            f"staging {batch.entry.table}: received a snapshot of {staged.added_records} rows on {staged.parent_id}; "
            f"valid is {batch.count(LOADED)} rows on {batch.table.base_snapshot_id}; run the load again"
        )
    batch.staged = staged
