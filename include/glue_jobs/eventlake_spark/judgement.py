"""Which line of a batch is loaded, a duplicate, in conflict or bad: each gets one verdict, judged against the others
and against what readers see.

Belongs here: the judgement, as one query over one table's lines. Does not belong here: which lines are read, which rows
the table keeps, what is written where (stage).

A small batch is one task from file to file; a large one is spread over (day, bucket of uuid), so that equal uuids of a
day meet.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from eventlake_spark.row_parsing import TableLines, column_expressions, content_hash, parse_expression, quoted
from eventlake_spark.row_rules import is_bad

# gzip bytes of raw that one task reads, judges and writes in good time (about 50,000 events)
BYTES_OF_ONE_TASK = 8 * 1024**2
BYTES_OF_ONE_FILE = 64 * 1024**2

LOADED, DUPLICATE, CONFLICT, BAD, KNOWN = "loaded", "duplicate", "conflict", "bad", "known"
# beside the table's own columns; no contract can name a field so
VERDICT, HASH, ORIGINAL = "`the verdict`", "`the content`", "`the line`"
_IS_BAD, _BUCKET, _IS_KNOWN = "`is bad`", "`the bucket`", "`is known`"
_PLACE, _FIRST_HASH = "`the place`", "`the first content`"
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
    """Rows that readers see on the days of the batch: `held day`, `held uuid`."""

    rows: DataFrame


def judged_lines(
    lines: TableLines,
    raw: DataFrame,
    published: Published | None,
    layout: Layout,
    load_id: str,
    counted: Observation,
) -> DataFrame:
    """Every line with the table's columns and its verdict."""
    columns = column_expressions(lines, load_id)
    typed = raw.selectExpr("value", "raw_object", f"{parse_expression(lines)} AS e").selectExpr(
        f"value AS {ORIGINAL}",
        f"{is_bad(lines)} AS {_IS_BAD}",
        *(f"{made} AS {quoted(name)}" for name, made in columns.items()),
    )
    typed = typed.observe(counted, F.count(F.lit(1)).alias("lines"))
    typed = layout.spread(typed.selectExpr("*", f"{layout.bucket} AS {_BUCKET}"), "event_date", _BUCKET)
    is_known = "false"
    if published is not None:
        bucket = layout.bucket.replace("event_uuid", "`held uuid`")
        held = published.rows.selectExpr("*", f"{bucket} AS `held bucket`")
        held = layout.spread(held, "`held day`", "`held bucket`")
        same = f"event_date = `held day` AND {_BUCKET} = `held bucket` AND event_uuid = `held uuid` AND NOT {_IS_BAD}"
        typed = typed.hint("merge").join(held, F.expr(same), "left")
        is_known = "`held uuid` IS NOT NULL"
    among_equals = f"OVER (PARTITION BY event_date, {_BUCKET}, event_uuid, {_IS_BAD} ORDER BY {_FIRST})"
    ranked = typed.selectExpr("*", f"{content_hash(lines)} AS {HASH}", f"{is_known} AS {_IS_KNOWN}").selectExpr(
        "*",
        f"row_number() {among_equals} AS {_PLACE}",
        f"first_value({HASH}) {among_equals} AS {_FIRST_HASH}",
    )
    verdict = (
        f"CASE WHEN {_IS_BAD} THEN '{BAD}' WHEN {_IS_KNOWN} THEN '{KNOWN}' WHEN {_PLACE} = 1 THEN '{LOADED}'"
        f" WHEN {HASH} = {_FIRST_HASH} THEN '{DUPLICATE}' ELSE '{CONFLICT}' END"
    )
    return ranked.selectExpr(
        *(quoted(name) for name in columns),
        f"{verdict} AS {VERDICT}",
        f"CASE WHEN {_IS_KNOWN} THEN {HASH} END AS {HASH}",
        f"CASE WHEN ({verdict}) NOT IN ('{LOADED}', '{DUPLICATE}') THEN {ORIGINAL} END AS {ORIGINAL}",
    )
