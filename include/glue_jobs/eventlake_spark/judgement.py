"""Which line of a batch is loaded, a duplicate, in conflict or bad: each gets one verdict, judged against the others
and against what readers see.

Belongs here: the judgement of one table's lines. Does not belong here: which lines are read, which rows the table
keeps, what is written where (stage, rebuild_staging).

Nearly every line of a load is the only one of its uuid, and nobody has to compare it with anything. So the lines of a
large one stay where they were read; by a number for each uuid it is found out which may have an equal, and only those
are compared. A small one is one task from file to file, where sorting costs less than another query. A rebuild meets an
equal in readers' rows line by line: all are spread over (day, bucket of uuid), so that equal uuids of a day meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from eventlake_spark.row_parsing import TableLines, column_expressions, content, parse_expression, quoted, text
from eventlake_spark.row_rules import is_bad

# gzip bytes of raw that one task reads, judges and writes in good time (about 50,000 events)
BYTES_OF_ONE_TASK = 8 * 1024**2
BYTES_OF_ONE_FILE = 64 * 1024**2
# of raw, packed: of so many lines (about four million) every worker can hold a number each
BYTES_TO_BROADCAST = 512 * 1024**2
# the same for equals; where it is the same for others too, they are compared for nothing
KEY_OF = "xxhash64({day}, {uuid})"

LOADED, DUPLICATE, CONFLICT, BAD, KNOWN = "loaded", "duplicate", "conflict", "bad", "known"
# beside the table's own columns; no contract can name a field so
VERDICT, ORIGINAL = "`the verdict`", "`the line`"
_IS_BAD, _BUCKET, _KEY, _ROW = "`is bad`", "`the bucket`", "`the key`", "`the row`"
_PLACE, _FIRST_ONE, _IS_WINNER = "`the place`", "`the first one`", "`is the winner`"
_FIRST = "ingested_at, shard_id, length(sequence_number), sequence_number"
_TEXT = "`the text`"
# as long as all columns together: of other lines, the few that need their text look it up where it lies
_OWN_TEXT = f"CASE WHEN {_IS_BAD} THEN {_TEXT} END AS {ORIGINAL}"


@dataclass(frozen=True)
class Layout:
    """How a batch is spread: the tasks that judge it, the files that it writes for each day, and whether the few lines
    that need a comparison are brought to the others or all are sorted."""

    tasks: int
    files_a_day: int
    join_by: str = "broadcast"

    @staticmethod
    def of(size_bytes: int, days: int) -> Layout:
        """`days`: how many the batch is meant for; an hourly load is nearly all of one."""
        if size_bytes <= BYTES_OF_ONE_TASK:
            return Layout(1, 1)
        files_a_day = max(1, round(size_bytes / days / BYTES_OF_ONE_FILE))
        join_by = "broadcast" if size_bytes <= BYTES_TO_BROADCAST else "merge"
        return Layout(max(4, 2 * files_a_day * days), files_a_day, join_by)

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
    """Every line with the table's columns, its verdict and, where it is bad, its text: kept in memory.

    `only_days`: a line of another day is none of this batch. `counted`: gets how many lines there are.
    """
    columns = column_expressions(lines, load_id)
    parsed = raw.selectExpr("value", "raw_object", f"{parse_expression(lines)} AS e")
    if layout.tasks > 1 and (published is None or published.are_all_kept):
        judged = _judged_where_equal(parsed, columns, published, lines, layout, counted)
    else:
        judged = _judged_side_by_side(parsed, columns, published, lines, layout, only_days, counted)
    return judged.selectExpr(*map(quoted, columns), VERDICT, ORIGINAL)


def _judged_where_equal(
    parsed: DataFrame,
    columns: Mapping[str, str],
    published: Published | None,
    lines: TableLines,
    layout: Layout,
    counted: Observation,
) -> DataFrame:
    """The verdicts of a large load: of a line that is the only one of its uuid, nothing is compared with anything."""
    made = ", ".join(f"{text(name)}, {expression}" for name, expression in columns.items())
    # one value, which goes through whatever comes next without being taken apart
    typed = parsed.selectExpr(f"value AS {_TEXT}", f"{is_bad(lines)} AS {_IS_BAD}", f"named_struct({made}) AS r")
    typed = _counted(typed, counted)
    key = KEY_OF.format(day="r.event_date", uuid="r.event_uuid")
    kept = typed.selectExpr(
        "r", _IS_BAD, _OWN_TEXT, f"{key} AS {_KEY}", f"monotonically_increasing_id() AS {_ROW}"
    ).localCheckpoint(eager=True)
    good = kept.where(f"NOT {_IS_BAD}")
    keys = good.selectExpr(f"{_KEY} AS key")
    held = None
    if published is not None:
        held_key = KEY_OF.format(day="`held day`", uuid="`held uuid`")
        held = published.rows.selectExpr("*", f"{held_key} AS `held key`")
        held = held.join(keys.hint(layout.join_by), F.expr("`held key` = key"), "semi").localCheckpoint(eager=True)
        keys = keys.unionAll(held.selectExpr("`held key`"))
    # equal numbers of different uuids are possible and do no harm: here nothing is decided yet
    asked = keys.groupBy("key").count().where("count > 1").select("key")
    equals = good.join(asked.hint(layout.join_by), F.expr(f"{_KEY} = key"), "semi")
    compared = _among_equals(equals.selectExpr("r.*", _IS_BAD, _ROW, f"0 AS {_BUCKET}"), lines, _FIRST)
    if held is None:
        verdict = VERDICT
    else:
        same = F.expr("event_date = `held day` AND event_uuid = `held uuid`")
        compared = compared.join(held.hint(layout.join_by), same, "left")
        verdict = f"CASE WHEN `held uuid` IS NOT NULL THEN '{KNOWN}' ELSE {VERDICT} END"
    found = compared.selectExpr(f"{_ROW} AS row", f"{verdict} AS verdict").where(f"verdict <> '{LOADED}'")
    found = found.localCheckpoint(eager=True)
    verdict = f"CASE WHEN {_IS_BAD} THEN '{BAD}' ELSE coalesce(verdict, '{LOADED}') END"
    beside = kept.join(found.hint(layout.join_by), F.expr(f"{_ROW} = row"), "left")
    return beside.selectExpr("r.*", f"{verdict} AS {VERDICT}", ORIGINAL)


def _judged_side_by_side(
    parsed: DataFrame,
    columns: Mapping[str, str],
    published: Published | None,
    lines: TableLines,
    layout: Layout,
    only_days: Sequence[str],
    counted: Observation,
) -> DataFrame:
    """The verdicts of a small load, and of a rebuild: every line is put beside those of its day and bucket of uuid."""
    typed = parsed.selectExpr(
        f"value AS {_TEXT}",
        f"{is_bad(lines)} AS {_IS_BAD}",
        *(f"{made} AS {quoted(name)}" for name, made in columns.items()),
    )
    if only_days:
        days = ", ".join(f"DATE '{day}'" for day in only_days)
        # a line without a day is bad, and stands in quarantine for every day
        typed = typed.where(f"event_date IN ({days}) OR event_date IS NULL")
    typed = _counted(typed, counted)
    typed = typed.selectExpr(*map(quoted, columns), _IS_BAD, _OWN_TEXT, f"{layout.bucket} AS {_BUCKET}")
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
    return judged.selectExpr(
        *(f"{kept_load_id} AS load_id" if name == "load_id" else quoted(name) for name in columns),
        f"{verdict} AS {VERDICT}",
        ORIGINAL,
    ).localCheckpoint(eager=True)


def _counted(typed: DataFrame, counted: Observation) -> DataFrame:
    return typed.observe(counted, F.count(F.lit(1)).alias("lines"))


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
