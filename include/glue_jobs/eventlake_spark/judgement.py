"""Which line of a batch is loaded, a duplicate, in conflict or bad: each gets one verdict, judged against the others
and against what readers see.

Belongs here: the judgement, as one query over one table's lines. Does not belong here: which lines are read, which rows
the table keeps, what is written where (stage, rebuild_staging).

A small batch is one task from file to file; a large one is spread over (day, bucket of uuid), so that equal uuids of a
day meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from eventlake_spark.row_parsing import TableLines, column_expressions, content, content_hash, parse_expression, quoted
from eventlake_spark.row_rules import is_bad

# gzip bytes of raw that one task reads, judges and writes in good time (about 50,000 events)
BYTES_OF_ONE_TASK = 8 * 1024**2
BYTES_OF_ONE_FILE = 64 * 1024**2

LOADED, DUPLICATE, CONFLICT, BAD, KNOWN = "loaded", "duplicate", "conflict", "bad", "known"
# beside the table's own columns; no contract can name a field so
VERDICT, HASH, ORIGINAL = "`the verdict`", "`the content`", "`the line`"
_IS_BAD, _BUCKET = "`is bad`", "`the bucket`"
_PLACE, _FIRST_ONE, _IS_WINNER = "`the place`", "`the first one`", "`is the winner`"
_FIRST = "ingested_at, shard_id, length(sequence_number), sequence_number"


@dataclass(frozen=True)
class Layout:
    """How a batch is spread: the tasks that judge it, and the files that it writes for each day."""

    tasks: int
    files_a_day: int

    @staticmethod
    def of(size_bytes: int, days: int) -> Layout:
        """`days`: how many the batch is meant for; an hourly load is nearly all of one."""
        if size_bytes <= BYTES_OF_ONE_TASK:
            return Layout(1, 1)
        files_a_day = max(1, round(size_bytes / days / BYTES_OF_ONE_FILE))
        return Layout(max(4, 2 * files_a_day * days), files_a_day)

    @property
    def bucket(self) -> str:
        return f"pmod(xxhash64(event_uuid), {self.files_a_day})"

    def spread(self, rows: DataFrame, day: str, bucket: str | Column) -> DataFrame:
        return rows.coalesce(1) if self.tasks == 1 else rows.repartition(self.tasks, day, bucket)


@dataclass(frozen=True)
class Published:
    """Rows that readers see on the days of the batch: `held day`, `held uuid`. Where not all are kept, as in a rebuild,
    also `is kept`, and of those that are derived anew `held shard`, `held number`, `held object`, `held load`."""

    rows: DataFrame
    are_all_kept: bool


def judged_lines(
    lines: TableLines,
    raw: DataFrame,
    published: Published | None,
    layout: Layout,
    load_id: str,
    only_days: Sequence[str],
    counted: Observation,
) -> DataFrame:
    """Every line with the table's columns and its verdict. `only_days`: a line of another day is none of this batch."""
    columns = column_expressions(lines, load_id)
    typed = raw.selectExpr("value", "raw_object", f"{parse_expression(lines)} AS e").selectExpr(
        f"value AS {ORIGINAL}",
        f"{is_bad(lines)} AS {_IS_BAD}",
        *(f"{made} AS {quoted(name)}" for name, made in columns.items()),
    )
    if only_days:
        days = ", ".join(f"DATE '{day}'" for day in only_days)
        # a line without a day is bad, and stands in quarantine for every day
        typed = typed.where(f"event_date IN ({days}) OR event_date IS NULL")
    typed = typed.observe(counted, F.count(F.lit(1)).alias("lines"))
    typed = typed.selectExpr(
        *map(quoted, columns),
        _IS_BAD,
        # as long as all columns together: of other lines, the few that need their text look it up where it lies
        f"CASE WHEN {_IS_BAD} THEN {ORIGINAL} END AS {ORIGINAL}",
        f"{layout.bucket} AS {_BUCKET}",
    )
    typed = layout.spread(typed, "event_date", _BUCKET)
    is_known, kept_load_id = "false", "load_id"
    if published is None:
        judged = _among_equals(typed, lines, _FIRST)
    elif published.are_all_kept:
        # readers' rows have no say in which line is first: so near them, the lines need not be sorted a second time
        judged = _beside_published(_among_equals(typed, lines, _FIRST), published, layout)
        is_known = "`held uuid` IS NOT NULL"
    else:
        # the winner of a uuid stays the winner while its line is there, whatever else turned up since
        is_winner = "coalesce(shard_id = `held shard` AND sequence_number = `held number`, false)"
        same_object = "coalesce(raw_object = `held object`, false)"
        beside = _beside_published(typed, published, layout).selectExpr("*", f"{is_winner} AS {_IS_WINNER}")
        judged = _among_equals(beside, lines, f"{_IS_WINNER} DESC, {same_object} DESC, {_FIRST}")
        is_known = "`held uuid` IS NOT NULL AND `is kept`"
        kept_load_id = f"CASE WHEN {_IS_WINNER} THEN `held load` ELSE load_id END"
    verdict = f"CASE WHEN {is_known} AND NOT {_IS_BAD} THEN '{KNOWN}' ELSE {VERDICT} END"
    hashed = content_hash(lines) if only_days else f"CASE WHEN {is_known} THEN {content_hash(lines)} END"
    return judged.selectExpr(
        *(f"{kept_load_id} AS load_id" if name == "load_id" else quoted(name) for name in columns),
        f"{verdict} AS {VERDICT}",
        f"{hashed} AS {HASH}",
        ORIGINAL,
    )


def _beside_published(rows: DataFrame, published: Published, layout: Layout) -> DataFrame:
    """Each line with the row of its uuid that readers see, if there is one."""
    bucket = layout.bucket.replace("event_uuid", "`held uuid`")
    held = published.rows.selectExpr("*", f"{bucket} AS `held bucket`")
    held = layout.spread(held, "`held day`", "`held bucket`")
    same = f"event_date = `held day` AND {_BUCKET} = `held bucket` AND event_uuid = `held uuid` AND NOT {_IS_BAD}"
    return rows.hint("merge").join(held, F.expr(same), "left")


def _among_equals(rows: DataFrame, lines: TableLines, in_order: str) -> DataFrame:
    """The verdict of each line among those of its uuid, the first of which is loaded."""
    equals = f"OVER (PARTITION BY event_date, {_BUCKET}, event_uuid, {_IS_BAD} ORDER BY {in_order})"
    own = content(lines)
    # few lines have an equal before them: only of those the content is written out
    verdict = (
        f"CASE WHEN {_IS_BAD} THEN '{BAD}' WHEN {_PLACE} = 1 THEN '{LOADED}'"
        f" WHEN to_json({own}) = to_json({_FIRST_ONE}) THEN '{DUPLICATE}' ELSE '{CONFLICT}' END"
    )
    return (
        rows.selectExpr("*", f"row_number() {equals} AS {_PLACE}", f"first_value({own}) {equals} AS {_FIRST_ONE}")
        .selectExpr("*", f"{verdict} AS {VERDICT}")
        .drop(_PLACE.strip("`"), _FIRST_ONE.strip("`"))
    )
