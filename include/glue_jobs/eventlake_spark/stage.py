"""One table's batch: every line gets a verdict, good rows go to a branch, and the sums must hold.

Belongs here: which row is loaded, duplicate, conflict or bad, and writing the loaded ones where no reader looks.
Does not belong here: why a row is bad (quarantine), whether the batch is good (validation), publishing (the
worker).

A batch is judged once and kept in memory: it is counted, written, validated and explained from there. A small one
is one task from file to file; a large one is spread over (day, bucket of uuid), so that equal uuids of a day meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from eventlake.errors import TerminalError
from eventlake.layout import Area, parse_raw_key
from eventlake.load_plan import ERRORS_AREA, TablePlan, branch_name
from eventlake_spark.read_landings import Landings
from eventlake_spark.row_parsing import TableLines, column_expressions, content_hash, parse_expression, quoted, text
from eventlake_spark.row_rules import is_bad
from eventlake_spark.table_ddl import IcebergTable, Staged, ready_table

SORT_BY = ("event_subtype", "event_uuid")
# gzip bytes of raw that one task reads, judges and writes in good time (about 50,000 events)
BYTES_OF_ONE_TASK = 8 * 1024**2
BYTES_OF_ONE_FILE = 64 * 1024**2

LOADED, DUPLICATE, CONFLICT, BAD, KNOWN = "loaded", "duplicate", "conflict", "bad", "known"
# beside the table's own columns; no contract can name a field so
_VERDICT, _HASH, _ORIGINAL = "`the verdict`", "`the content`", "`the line`"
_LINE, _IS_BAD, _BUCKET, _IS_KNOWN = "`the text`", "`is bad`", "`the bucket`", "`is known`"
_PLACE, _FIRST_HASH = "`the place`", "`the first content`"
_FIRST = "ingested_at, shard_id, length(sequence_number), sequence_number"


@dataclass
class Batch:
    """What became of one table's lines. `sides` are the rows that were not loaded."""

    lines: TableLines
    entry: TablePlan
    table: IcebergTable
    branch: str
    judged: DataFrame
    lines_read: int
    tallies: list[Tally]
    conflicts: frozenset[str]  # identities of rows whose uuid the table holds with other content
    staged: Staged | None = None
    known: int = 0
    sides: list[SideRow] = field(default_factory=list)

    def count(self, *verdicts: str) -> int:
        return sum(tally.rows for tally in self.tallies if tally.verdict in verdicts)

    @property
    def loaded_rows(self) -> DataFrame:
        """The rows that were staged, from memory."""
        columns = [quoted(column.name) for column in self.lines.columns]
        return self.judged.where(f"{_VERDICT} = '{LOADED}'").selectExpr(*columns)


@dataclass(frozen=True)
class Tally:
    """How many rows of one object got one verdict on one event day."""

    raw_object: str
    verdict: str
    day: str | None
    rows: int


@dataclass(frozen=True)
class SideRow:
    """A row that is not loaded. `original` only where it goes to quarantine."""

    verdict: str
    raw_object: str
    event_uuid: str | None
    event_subtype: str | None
    producer: str | None
    shard_id: str | None
    sequence_number: str | None
    day: str | None
    original: str | None

    @property
    def identity(self) -> str:
        return f"{self.shard_id}:{self.sequence_number}"


def stage(
    session: SparkSession, lines: TableLines, entry: TablePlan, landings: Landings, load_id: str, job_run_id: str
) -> Batch:
    """Judges the entry's lines against each other and the table's `main`, and writes the new ones to a branch."""
    table = ready_table(session, entry.table, lines.columns, lines.owner, SORT_BY)
    base = table.require_snapshot()
    counted = Observation()
    raw = landings.frame(session, entry).observe(counted, F.count(F.lit(1)).alias("lines"))
    touched = _touched_days(session, landings, entry) if table.holds_rows() else []
    # kept as rows without their history: planning over the judgement again and again costs more than small batches do
    judged = _judged(session, lines, entry, raw, table, touched, load_id).localCheckpoint(eager=True)
    tallies = [
        Tally(row[0], row[1], row[2], row[3])
        for row in judged.groupBy("raw_object", _bare(_VERDICT), F.expr("CAST(event_date AS STRING)")).count().collect()
    ]
    batch = Batch(
        lines, entry, table, branch_name(load_id, job_run_id), judged, int(counted.get["lines"]), tallies, frozenset()
    )
    if batch.count(KNOWN):
        batch.conflicts = _conflicts(session, batch, base)
    if batch.count(DUPLICATE, CONFLICT, BAD, KNOWN):
        batch.sides = _sides(batch)
    _require_all_lines(batch)
    if batch.count(LOADED):
        _write(batch, load_id, job_run_id)
    return batch


def _judged(
    session: SparkSession,
    lines: TableLines,
    entry: TablePlan,
    raw: DataFrame,
    table: IcebergTable,
    touched: Sequence[str],
    load_id: str,
) -> DataFrame:
    """Every line with the table's columns and its verdict."""
    columns = column_expressions(lines, load_id)
    tasks, files_a_day = _layout(entry.size_bytes)
    bucket = f"pmod(xxhash64(event_uuid), {files_a_day})"
    typed = (
        raw.selectExpr("value", "raw_object", f"{parse_expression(lines)} AS e")
        .selectExpr(
            f"value AS {_LINE}",
            f"{is_bad(lines)} AS {_IS_BAD}",
            *(f"{made} AS {quoted(name)}" for name, made in columns.items()),
        )
        .selectExpr("*", f"{bucket} AS {_BUCKET}")
    )
    typed = typed.coalesce(1) if tasks == 1 else typed.repartition(tasks, "event_date", _BUCKET)
    is_known = "false"
    if touched:
        days = ", ".join(f"DATE '{day}'" for day in touched)
        held = session.sql(
            f"SELECT event_date AS `held day`, {bucket} AS `held bucket`, event_uuid AS `held uuid`"
            f" FROM {table.identifier} VERSION AS OF {table.base_snapshot_id} WHERE event_date IN ({days})"
        )
        held = held.coalesce(1) if tasks == 1 else held.repartition(tasks, "`held day`", "`held bucket`")
        same = f"event_date = `held day` AND {_BUCKET} = `held bucket` AND event_uuid = `held uuid` AND NOT {_IS_BAD}"
        typed = typed.hint("merge").join(held, F.expr(same), "left")
        is_known = "`held uuid` IS NOT NULL"
    among_equals = f"OVER (PARTITION BY event_date, {_BUCKET}, event_uuid, {_IS_BAD} ORDER BY {_FIRST})"
    ranked = typed.selectExpr("*", f"{content_hash(lines)} AS {_HASH}", f"{is_known} AS {_IS_KNOWN}").selectExpr(
        "*",
        f"row_number() {among_equals} AS {_PLACE}",
        f"first_value({_HASH}) {among_equals} AS {_FIRST_HASH}",
    )
    verdict = (
        f"CASE WHEN {_IS_BAD} THEN '{BAD}' WHEN {_IS_KNOWN} THEN '{KNOWN}' WHEN {_PLACE} = 1 THEN '{LOADED}'"
        f" WHEN {_HASH} = {_FIRST_HASH} THEN '{DUPLICATE}' ELSE '{CONFLICT}' END"
    )
    return ranked.selectExpr(
        *(quoted(name) for name in columns),
        f"{verdict} AS {_VERDICT}",
        f"CASE WHEN {_IS_KNOWN} THEN {_HASH} END AS {_HASH}",
        f"CASE WHEN ({verdict}) NOT IN ('{LOADED}', '{DUPLICATE}') THEN {_LINE} END AS {_ORIGINAL}",
    )


def _layout(size_bytes: int) -> tuple[int, int]:
    """Tasks that judge a batch, and files that it writes for each day."""
    if size_bytes <= BYTES_OF_ONE_TASK:
        return 1, 1
    files = max(1, round(size_bytes / BYTES_OF_ONE_FILE))
    return max(4, 2 * files), files


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
    known = batch.judged.where(f"{_VERDICT} = '{KNOWN}'").selectExpr(
        "event_date AS d", "event_uuid AS u", "shard_id AS s", "sequence_number AS n", f"{_HASH} AS content"
    )
    days = sorted({tally.day for tally in batch.tallies if tally.verdict == KNOWN and tally.day is not None})
    held = session.sql(f"SELECT * FROM {batch.table.identifier} VERSION AS OF {base}").where(
        f"event_date IN ({', '.join(f'DATE {text(day)}' for day in days)})"
    )
    # a snapshot has the columns of its time
    added = [column for column in batch.lines.columns if column.name not in held.columns]
    held = held.selectExpr("*", *(f"CAST(NULL AS {column.sql_type}) AS {quoted(column.name)}" for column in added))
    held = held.selectExpr(
        "event_date", "event_uuid", "shard_id", "sequence_number", f"{content_hash(batch.lines)} AS held_content"
    )
    both = held.join(F.broadcast(known), (held.event_date == F.col("d")) & (held.event_uuid == F.col("u")))
    other = both.where("content <> held_content AND NOT (s <=> shard_id AND n <=> sequence_number)")
    return frozenset(f"{row.s}:{row.n}" for row in other.select("s", "n").collect())


def _sides(batch: Batch) -> list[SideRow]:
    """The rows that are not loaded; a known row is a duplicate or, where its content differs, a conflict."""
    rows = batch.judged.where(f"{_VERDICT} <> '{LOADED}'").selectExpr(
        _VERDICT, "raw_object", "event_uuid", "event_subtype", "producer", "shard_id", "sequence_number",
        "CAST(event_date AS STRING)", _ORIGINAL,
    )  # fmt: skip
    sides = []
    for row in rows.toLocalIterator():
        side = SideRow(*row)
        if side.verdict == KNOWN:
            is_conflict = side.identity in batch.conflicts
            side = SideRow(
                CONFLICT if is_conflict else DUPLICATE, *list(row)[1:-1], side.original if is_conflict else None
            )
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


def _write(batch: Batch, load_id: str, job_run_id: str) -> None:
    """Appends the loaded rows to the attempt's branch and looks at what landed there."""
    batch.table.create_branch(batch.branch)
    (
        batch.loaded_rows.writeTo(f"{batch.table.identifier}.branch_{batch.branch}")
        .option("snapshot-property.eventlake.load_id", load_id)
        .option("snapshot-property.eventlake.job_run_id", job_run_id)
        .option("fanout-enabled", "false")
        .append()
    )
    staged = batch.table.staged(batch.branch)
    if staged.added_records != batch.count(LOADED) or staged.parent_id != batch.table.base_snapshot_id:
        raise TerminalError(
            f"staging {batch.entry.table}: received a snapshot of {staged.added_records} rows on {staged.parent_id}; "
            f"valid is {batch.count(LOADED)} rows on {batch.table.base_snapshot_id}; run the load again"
        )
    batch.staged = staged


def _bare(name: str) -> str:
    return name.strip("`")
