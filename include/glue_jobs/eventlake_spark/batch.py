"""What became of one table's lines, as counts and as rows: what a receipt is made of.

Does not belong here: how it came about (stage, judgement, rebuild_staging).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame

from eventlake.load_plan import TablePlan
from eventlake_spark.judgement import LOADED
from eventlake_spark.table_ddl import IcebergTable, Staged
from eventlake_spark.table_lines import TableLines


@dataclass
class Batch:
    """What became of one table's lines. `judged`: each with its verdict; `sides`: the rows that were not loaded."""

    lines: TableLines
    entry: TablePlan
    table: IcebergTable
    branch: str
    judged: DataFrame
    lines_read: int
    tallies: list[Tally]
    conflicts: frozenset[str]  # identities of rows whose uuid the table holds with other content
    staged: Staged | None = None
    sides: list[SideRow] = field(default_factory=list)
    # of a rebuild: what it changes, as the receipt says it, and on which days
    diff: Mapping[str, Any] | None = None
    changed_days: frozenset[str] = frozenset()

    def count(self, *verdicts: str) -> int:
        return sum(tally.rows for tally in self.tallies if tally.verdict in verdicts)

    @property
    def loaded_rows(self) -> DataFrame:
        """The rows that were staged, from memory."""
        return self.judged.where(f"verdict = '{LOADED}'").selectExpr("row.*")


@dataclass(frozen=True)
class Tally:
    """How many rows of one object got one verdict on one event day."""

    raw_object: str
    verdict: str
    day: str | None
    rows: int


@dataclass(frozen=True)
class SideRow:
    """A row that is not loaded. `original`: its text, where it is bad; `line`: its number within its object."""

    verdict: str
    raw_object: str
    event_uuid: str | None
    event_subtype: str | None
    producer: str | None
    shard_id: str | None
    sequence_number: str | None
    day: str | None
    original: str | None
    line: int

    @property
    def identity(self) -> str:
        return f"{self.shard_id}:{self.sequence_number}"
