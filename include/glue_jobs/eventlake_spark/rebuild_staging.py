"""What a rebuild makes of the days of one table: the rows whose lines it read again are replaced, all others kept.

Belongs here: which rows of `main` those are, what differs, and a branch on which the days that differ are written anew.
Does not belong here: the verdict on each line (judgement), publishing (the worker).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from eventlake.errors import TerminalError
from eventlake.load_plan import table_of_pair
from eventlake.settings import UNCONTRACTED_TABLE
from eventlake_spark.batch import Batch
from eventlake_spark.judgement import LOADED, Layout, Published
from eventlake_spark.read_landings import Landings
from eventlake_spark.table_ddl import PARTITION, IcebergTable, Staged
from eventlake_spark.table_lines import content_hash, text

ADDED, REMOVED, CHANGED, SAME, KEPT = "added", "removed", "changed", "same", "kept"
_HOME, _IS_READ = "`the home`", "`is read again`"


@dataclass(frozen=True)
class _Count:
    """How many rows of a day fared alike; `home` is the table that takes their name now."""

    day: str
    what: str
    home: str | None
    rows: int


def published_of_rebuild(session: SparkSession, table: IcebergTable, landings: Landings) -> Published:
    """The rows of the plan's days, and whether each is kept because its line is not read again."""
    rows = _with_fate(session, table.rows_at(table.require_snapshot(), landings.plan.days, ()), table.name, landings)
    return Published(
        rows.selectExpr(
            "event_date AS held_day",
            "event_uuid AS held_uuid",
            f"NOT {_IS_READ} AS is_kept",
            "shard_id AS held_shard",
            "sequence_number AS held_number",
            "raw_object AS held_object",
            "load_id AS held_load",
        ),
        are_all_kept=False,
    )


def replace_days(
    session: SparkSession, batch: Batch, landings: Landings, layout: Layout, load_id: str, job_run_id: str
) -> None:
    """Compares what the lines say with what readers see, and stages the days that differ; where none does, nothing."""
    counts = _compared(session, batch, landings, layout)
    batch.changed_days = frozenset(count.day for count in counts if count.what in (ADDED, REMOVED, CHANGED))
    moved: Counter[str] = Counter()
    for count in counts:
        if count.what == REMOVED and count.home is not None and count.home != batch.entry.table:
            moved[count.home] += count.rows
    batch.diff = {
        "added": _sum(counts, ADDED),
        "removed": _sum(counts, REMOVED) - sum(moved.values()),
        "changed": _sum(counts, CHANGED),
        "departed": dict(sorted(moved.items())),
    }
    if batch.changed_days:
        of_days = [count for count in counts if count.day in batch.changed_days]
        batch.staged = _written(session, batch, landings, layout, of_days, load_id, job_run_id)


def _compared(session: SparkSession, batch: Batch, landings: Landings, layout: Layout) -> list[_Count]:
    loaded = batch.judged.where(f"verdict = '{LOADED}'").selectExpr(
        "row.event_date AS `new day`",
        "row.event_uuid AS `new uuid`",
        f"{layout.bucket('row.event_uuid')} AS `new bucket`",
        f"{content_hash(batch.lines, 'row')} AS `new hash`",
    )
    held = batch.table.rows_at(batch.table.require_snapshot(), landings.plan.days, batch.lines.columns)
    held = _with_fate(session, held, batch.entry.table, landings).selectExpr(
        "event_date AS `old day`",
        "event_uuid AS `old uuid`",
        f"{layout.bucket('event_uuid')} AS `old bucket`",
        f"{content_hash(batch.lines)} AS `old hash`",
        _HOME,
        _IS_READ,
    )
    both = layout.spread(loaded, "`new day`", "`new bucket`").hint("merge").join(
        layout.spread(held, "`old day`", "`old bucket`"),
        F.expr("`new day` = `old day` AND `new bucket` = `old bucket` AND `new uuid` = `old uuid`"),
        "full",
    )  # fmt: skip
    what = (
        f"CASE WHEN `old uuid` IS NULL THEN '{ADDED}' WHEN NOT {_IS_READ} THEN '{KEPT}'"
        f" WHEN `new uuid` IS NULL THEN '{REMOVED}' WHEN `new hash` <> `old hash` THEN '{CHANGED}' ELSE '{SAME}' END"
    )
    day = "CAST(coalesce(`new day`, `old day`) AS STRING)"
    rows = both.groupBy(F.expr(day), F.expr(what), F.expr(_HOME)).count().collect()
    return [_Count(row[0], row[1], row[2], row[3]) for row in rows]


def _written(
    session: SparkSession,
    batch: Batch,
    landings: Landings,
    layout: Layout,
    counts: Sequence[_Count],
    load_id: str,
    job_run_id: str,
) -> Staged:
    """The days that differ, whole, in place of what they were."""
    days = ", ".join(f"DATE '{day}'" for day in sorted(batch.changed_days))
    table = batch.table
    table.create_branch(batch.branch)
    rows = batch.loaded_rows.where(f"{PARTITION} IN ({days})")
    if _sum(counts, KEPT):
        shown = table.rows_of_branch(batch.branch, f"{PARTITION} IN ({days})")
        kept = _with_fate(session, shown, batch.entry.table, landings).where(f"NOT {_IS_READ}")
        rows = kept.drop(_HOME.strip("`"), _IS_READ.strip("`")).unionByName(rows, allowMissingColumns=True)
        rows = layout.spread(rows, PARTITION, F.expr(layout.bucket("event_uuid")))
    (
        table.filled_up(rows)
        .writeTo(f"{table.identifier}.branch_{batch.branch}")
        .option("snapshot-property.eventlake.load_id", load_id)
        .option("snapshot-property.eventlake.job_run_id", job_run_id)
        .option("fanout-enabled", "false")
        .overwrite(F.expr(f"{PARTITION} IN ({days})"))
    )
    staged = table.staged(batch.branch)
    new = _sum(counts, ADDED, CHANGED, SAME, KEPT)
    old = _sum(counts, REMOVED, CHANGED, SAME, KEPT)
    if (staged.added_records, staged.removed_records, staged.parent_id) != (new, old, table.base_snapshot_id):
        raise TerminalError(
            f"staging the rebuild of {batch.entry.table}: received a snapshot of {staged.added_records} rows for "
            f"{staged.removed_records} on {staged.parent_id}; valid is {new} rows for {old} on "
            f"{table.base_snapshot_id}; run the rebuild again"
        )
    return staged


def _with_fate(session: SparkSession, rows: DataFrame, table: str, landings: Landings) -> DataFrame:
    """Each row with the table that takes its name now, and whether this rebuild reads its line again for that table."""
    homes = {table, UNCONTRACTED_TABLE} if table != UNCONTRACTED_TABLE else {one.table for one in landings.plan.tables}
    read = [
        (entry.table, landing.object_key)
        for entry in landings.plan.tables
        if entry.table in homes
        for landing in entry.landings
    ]
    again = session.createDataFrame(read, "`read for` string, `read object` string").distinct().coalesce(1)
    pairs = landings.pairs_with_contract
    names = [f"{text(f'{one[0]}/{one[1]}')}, {text(table_of_pair(*one, pairs))}" for one in sorted(pairs)]
    found = f"element_at(map({', '.join(names)}), concat(event_type, '/', event_subtype))" if names else "NULL"
    home = f"coalesce({found}, {text(UNCONTRACTED_TABLE)})"
    joined = rows.selectExpr("*", f"{home} AS {_HOME}").join(
        F.broadcast(again), F.expr(f"{_HOME} = `read for` AND raw_object = `read object`"), "left"
    )
    return joined.selectExpr("*", f"`read object` IS NOT NULL AS {_IS_READ}").drop("read for", "read object")


def _sum(counts: Sequence[_Count], *what: str) -> int:
    return sum(count.rows for count in counts if count.what in what)
