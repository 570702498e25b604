"""The lines of a plan's landings as Spark sees them: text, and the object each came from.

Belongs here: which lines of which object belong to a table. What does not belong here: what the lines say.

Objects of the error prefix are decoded by the driver: Firehose wraps the records that it could not deliver in JSON, and
one such object holds lines of several tables. So are objects that are not packed, which the lake does not write.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from eventlake.event_json import parse_event
from eventlake.load_plan import ERRORS_AREA, Landing, LoadKind, LoadPlan, TablePlan, table_of_pair
from eventlake.settings import UNCONTRACTED_TABLE
from eventlake_spark.objects import ObjectStore

_GZIP_MAGIC = b"\x1f\x8b"
_LINES = "value string, path string, number int"


@dataclass(frozen=True)
class LineOf:
    """One line of an object; `number` counts from 1, blank lines included."""

    number: int
    content: bytes


class Landings:
    """The objects of one plan, in one bucket."""

    def __init__(self, plan: LoadPlan, pairs_with_contract: Iterable[tuple[str, str]], bucket: str, store: ObjectStore):
        self.plan = plan
        self.pairs_with_contract = frozenset(pairs_with_contract)
        self._bucket = bucket
        self._store = store

    def frame(self, session: SparkSession, entry: TablePlan) -> DataFrame:
        """`value` of every line, in the order of an object's lines; `path` of the object, its key after the `root`;
        `number` of the line within its object, where the driver read it."""
        # a packed object is read by one task, whole
        packed = [landing for landing in entry.landings if self._is_packed(landing)]
        frames = []
        if packed:
            paths = sorted({self._store.spark_path(self.uri(landing.object_key)) for landing in packed})
            read = session.read.option("lineSep", "\n").text(paths)
            frames.append(read.selectExpr("value", "_metadata.file_path AS path", "CAST(NULL AS INT) AS number"))
        if len(packed) < len(entry.landings) or not packed:
            # rows leave a table of which a rebuild reads nothing
            rows = [
                (line.content.decode("utf-8", "replace"), f"{self.root}{landing.object_key}", line.number)
                for landing in entry.landings
                if not self._is_packed(landing)
                for line in self.lines(landing, entry.table)
            ]
            frames.append(session.createDataFrame(rows, _LINES).coalesce(1))
        return frames[0] if len(frames) == 1 else frames[0].unionByName(frames[1])

    @staticmethod
    def _is_packed(landing: Landing) -> bool:
        return landing.area != ERRORS_AREA and landing.object_key.endswith(".gz")

    def lines(self, landing: Landing, table: str) -> Iterator[LineOf]:
        """The lines of one object that belong to a table, read by the driver."""
        body = self._store.read(self.uri(landing.object_key))
        if body.startswith(_GZIP_MAGIC):
            body = gzip.decompress(body)
        lines = (LineOf(number, line) for number, line in enumerate(body.split(b"\n"), start=1) if line.strip())
        if landing.area != ERRORS_AREA:
            yield from lines
            return
        belongs = self._error_lines_of(landing, table)
        for wrapped in lines:
            for content in unwrapped(wrapped.content):
                if belongs(content):
                    yield LineOf(wrapped.number, content)

    @property
    def root(self) -> str:
        """What precedes a key in a path, without its scheme: Spark may write `file:/x` for `/x`."""
        return self._store.spark_path(self.uri("")).split("://", 1)[-1]

    def uri(self, object_key: str) -> str:
        return f"s3://{self._bucket}/{object_key}"

    def _error_lines_of(self, landing: Landing, table: str) -> Callable[[bytes], bool]:
        """Every line belongs to exactly one table of the plan: its type's, or one that takes what nobody claims. In a
        rebuild of some types it may belong to none: then it is not read again."""
        holders = sorted(entry.table for entry in self.plan.tables if landing in entry.landings)
        fallback = UNCONTRACTED_TABLE if UNCONTRACTED_TABLE in holders else holders[0]
        takes_all = self.plan.kind is LoadKind.LOAD

        def belongs(line: bytes) -> bool:
            pair = _pair_of(line)
            home = UNCONTRACTED_TABLE if pair is None else table_of_pair(*pair, self.pairs_with_contract)
            return table == (fallback if takes_all and home not in holders else home)

        return belongs


def unwrapped(wrapped: bytes) -> Sequence[bytes]:
    """The lines in one entry of an error object; an entry that cannot be read is its own only line."""
    try:
        data = base64.b64decode(json.loads(wrapped)["rawData"], validate=True)
    except (ValueError, KeyError, TypeError):
        return [wrapped]
    return [line for line in data.split(b"\n") if line.strip()]


def _pair_of(line: bytes) -> tuple[str, str] | None:
    try:
        event = parse_event(line)
    except ValueError:
        return None
    pair = (event.get("event_type"), event.get("event_subtype"))
    return pair if isinstance(pair[0], str) and isinstance(pair[1], str) else None
