"""Which line of a batch is loaded, a duplicate, in conflict or bad: each gets one verdict, judged against the others
and against what readers see.

Belongs here: the judgement of one table's lines. Does not belong here: which lines are read, which rows the table
keeps, what is written where (stage, rebuild_staging).

Nearly every line of a load is the only one of its uuid, and nobody has to compare it with anything. So the lines of a
large one stay where they were read; by a number for each uuid it is found out which may have an equal, and only those
are compared. What fits one file is one task from line to file, where sorting costs less than another query. A rebuild
meets an equal in readers' rows line by line: all are spread over (day, bucket of uuid), so that equal uuids of a day
meet.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from eventlake_spark.table_lines import TableLines, content

# gzip bytes of raw (about 600,000 events)
BYTES_OF_ONE_FILE = 64 * 1024**2
# What fits one file is one task: four tasks and their queries cost a quarter more (350,000 events: 16 CPU-s for 13). It
# ends later where cores stand idle, which a run of several tables rarely leaves.
BYTES_OF_ONE_TASK = BYTES_OF_ONE_FILE
# of raw, packed: of so many lines (about four million) every worker can hold a number each; and so many rows of numbers
BYTES_TO_BROADCAST = 512 * 1024**2
ROWS_TO_BROADCAST = 4_000_000
# the same for equals; where it is the same for others too, they are compared for nothing
KEY_OF = "xxhash64({day}, {uuid})"

LOADED, DUPLICATE, CONFLICT, BAD, KNOWN = "loaded", "duplicate", "conflict", "bad", "known"
_IS_BAD = "original IS NOT NULL"
_FIRST = "row.ingested_at, row.shard_id, length(row.sequence_number), row.sequence_number"


@dataclass(frozen=True)
class Layout:
    """How a batch is spread: the tasks that judge it, the files that it writes for each day, and whether numbers of its
    lines are brought to rows that are compared with them, or both are sorted."""

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

    def bucket(self, uuid: str) -> str:
        return f"pmod(xxhash64({uuid}), {self.files_a_day})"

    def joined_by(self, few: DataFrame) -> str:
        """How rows that are few in nearly every batch meet its lines: counted where the batch is so large that they may
        be many."""
        if self.join_by == "broadcast" or few.count() <= ROWS_TO_BROADCAST:
            return "broadcast"
        return self.join_by

    def spread(self, rows: DataFrame, day: str, bucket: str | Column) -> DataFrame:
        return rows.coalesce(1) if self.tasks == 1 else rows.repartition(self.tasks, day, bucket)


@dataclass(frozen=True)
class Published:
    """Rows that readers see on the days of the batch: `held_day`, `held_uuid`. Where not all are kept, as in a rebuild,
    also `is_kept`, and of those that are derived anew `held_shard`, `held_number`, `held_object`, `held_load`."""

    rows: DataFrame
    are_all_kept: bool


def judged_lines(read: DataFrame, lines: TableLines, published: Published | None, layout: Layout) -> DataFrame:
    """Lines as they were read (line_reading.read_lines), each with its `verdict`: kept in memory."""
    if layout.tasks > 1 and (published is None or published.are_all_kept):
        return _judged_where_equal(read, lines, published, layout)
    return _judged_side_by_side(read, lines, published, layout)


def _judged_where_equal(read: DataFrame, lines: TableLines, published: Published | None, layout: Layout) -> DataFrame:
    """The verdicts of a large load: of a line that is the only one of its uuid, nothing is compared with anything."""
    kept = _keyed(read).selectExpr("*", "monotonically_increasing_id() AS place").localCheckpoint(eager=True)
    good = kept.where(f"NOT ({_IS_BAD})")
    keys = good.select("key")
    held = None
    if published is not None:
        held = published.rows.selectExpr("*", f"{_key('held_day', 'held_uuid')} AS key")
        held = held.join(keys.hint(layout.join_by), "key", "semi").localCheckpoint(eager=True)
        keys = keys.unionAll(held.select("key"))
    # equal numbers of different uuids are possible and do no harm: here nothing is decided yet
    asked = keys.groupBy("key").count().where("count > 1").select("key").localCheckpoint(eager=True)
    equals = good.join(asked.hint(layout.joined_by(asked)), "key", "semi")
    compared = _among_equals(_with_places(equals, "0"), lines, _FIRST)
    verdict = "verdict"
    if held is not None:
        compared = compared.join(
            held.hint(layout.joined_by(held)), F.expr("day = held_day AND uuid = held_uuid"), "left"
        )
        verdict = f"CASE WHEN held_uuid IS NOT NULL THEN '{KNOWN}' ELSE verdict END"
    found = compared.selectExpr("place", f"{verdict} AS verdict").where(f"verdict <> '{LOADED}'")
    found = found.localCheckpoint(eager=True)
    verdict = f"CASE WHEN {_IS_BAD} THEN '{BAD}' ELSE coalesce(verdict, '{LOADED}') END"
    beside = kept.join(found.hint(layout.joined_by(found)), "place", "left")
    return beside.selectExpr("row", "original", "line", f"{verdict} AS verdict")


def _judged_side_by_side(read: DataFrame, lines: TableLines, published: Published | None, layout: Layout) -> DataFrame:
    """The verdicts of a load of one task, and of a rebuild: each line is beside those of its day and bucket of uuid."""
    placed = layout.spread(_with_places(_keyed(read), layout.bucket("row.event_uuid")), "day", "bucket")
    is_known, row = "false", F.col("row")
    if published is None:
        judged = _among_equals(placed, lines, _FIRST)
    elif published.are_all_kept:
        # readers' rows have no say in which line is first: so near them, the lines need not be sorted a second time
        judged = _beside_published(_among_equals(placed, lines, _FIRST), published, layout)
        is_known = "held_uuid IS NOT NULL"
    else:
        # the winner of a uuid stays the winner while its line is there, whatever else turned up since
        is_winner = "coalesce(row.shard_id = held_shard AND row.sequence_number = held_number, false)"
        same_object = "coalesce(row.raw_object = held_object, false)"
        beside = _beside_published(placed, published, layout).selectExpr("*", f"{is_winner} AS is_winner")
        judged = _among_equals(beside, lines, f"is_winner DESC, {same_object} DESC, {_FIRST}")
        is_known = "held_uuid IS NOT NULL AND is_kept"
        row = row.withField("load_id", F.expr("CASE WHEN is_winner THEN held_load ELSE row.load_id END"))
    verdict = F.expr(f"CASE WHEN {is_known} AND NOT ({_IS_BAD}) THEN '{KNOWN}' ELSE verdict END")
    return judged.select(row.alias("row"), "original", "line", verdict.alias("verdict")).localCheckpoint(eager=True)


def _key(day: str, uuid: str) -> str:
    return KEY_OF.format(day=day, uuid=uuid)


def _keyed(read: DataFrame) -> DataFrame:
    return read.selectExpr("*", f"{_key('row.event_date', 'row.event_uuid')} AS key")


def _with_places(read: DataFrame, bucket: str) -> DataFrame:
    return read.selectExpr("*", "row.event_date AS day", "row.event_uuid AS uuid", f"{bucket} AS bucket")


def _beside_published(placed: DataFrame, published: Published, layout: Layout) -> DataFrame:
    """Each line with the row of its uuid that readers see, if there is one."""
    keys = f"{layout.bucket('held_uuid')} AS held_bucket", f"{_key('held_day', 'held_uuid')} AS held_key"
    held = layout.spread(published.rows.selectExpr("*", *keys), "held_day", "held_bucket")
    same = "key = held_key AND day = held_day AND bucket = held_bucket AND uuid = held_uuid"
    return placed.hint("merge").join(held, F.expr(f"{same} AND NOT ({_IS_BAD})"), "left")


def _among_equals(placed: DataFrame, lines: TableLines, in_order: str) -> DataFrame:
    """The verdict of each line among those of its uuid, the first of which is loaded."""
    # the key first: what is sorted is compared by its first eight bytes, in which days and uuids may all be alike
    equals = f"OVER (PARTITION BY key, day, bucket, uuid, {_IS_BAD} ORDER BY {in_order})"
    # few lines have an equal before them: only of those the content is written out
    verdict = (
        f"CASE WHEN {_IS_BAD} THEN '{BAD}' WHEN ordinal = 1 THEN '{LOADED}'"
        f" WHEN to_json({content(lines, 'row')}) = to_json({content(lines, 'first')}) THEN '{DUPLICATE}'"
        f" ELSE '{CONFLICT}' END"
    )
    return (
        placed.selectExpr("*", f"row_number() {equals} AS ordinal", f"first_value(row) {equals} AS first")
        .selectExpr("*", f"{verdict} AS verdict")
        .drop("ordinal", "first")
    )
