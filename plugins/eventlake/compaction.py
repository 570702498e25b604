"""Which days lie in so many small files that writing them again pays; what the job for it is told and answers.

A compaction changes files and no row, so it is staged on a branch and published like a load, by the same fence.
Belongs here: the rule, the plan's text, the receipt. Does not belong here: listing a table's files (`eventlake_aws`),
writing them (the job `compact_tables`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eventlake.errors import TerminalError

TARGET_FILE_BYTES = 128 * 1024**2
# a file costs each reader milliseconds, writing a day again costs its readers nothing and a job CPU-seconds: for fewer
# files it is not worth it. Also what keeps a compacted day from being compacted again.
FEWEST_FILES_SAVED = 8
# the one "day" of a table without partitions
WHOLE_TABLE = ""


@dataclass(frozen=True)
class LiveFile:
    """One data file that readers see."""

    day: str
    size_bytes: int
    rows: int


@dataclass(frozen=True)
class TableFiles:
    """What `main` of a table shows at a snapshot."""

    table: str
    snapshot_id: int
    files: tuple[LiveFile, ...]


@dataclass(frozen=True)
class CompactionEntry:
    """Days of one table to write again. Empty `days`: the table has no days and is written whole.

    `cut_days` are those of them that need more than one file; each other day goes into one.
    """

    table: str
    base_snapshot_id: int
    days: tuple[str, ...]
    cut_days: tuple[str, ...]
    rows: int
    size_bytes: int
    files: int
    files_needed: int


@dataclass(frozen=True)
class CompactionPlan:
    compaction_id: str
    created_at: str
    entries: tuple[CompactionEntry, ...]

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.entries)

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(entry.table for entry in self.entries)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @staticmethod
    def from_json(text: bytes | str) -> CompactionPlan:
        """Raises TerminalError when the text is no plan of a compaction."""
        try:
            body: dict[str, Any] = json.loads(text)
            entries = tuple(
                CompactionEntry(**entry | {"days": tuple(entry["days"]), "cut_days": tuple(entry["cut_days"])})
                for entry in body["entries"]
            )
            return CompactionPlan(body["compaction_id"], body["created_at"], entries)
        except (ValueError, KeyError, TypeError) as error:
            raise TerminalError(
                f"reading a plan of a compaction: received {type(error).__name__} {error}; "
                "valid is the JSON that plan_compaction wrote; clear the task plan_compaction"
            ) from error


def files_needed(size_bytes: int) -> int:
    return max(1, -(-size_bytes // TARGET_FILE_BYTES))


def files_saved(files: Sequence[LiveFile]) -> int:
    """How many files fewer a day would have."""
    return len(files) - files_needed(sum(file.size_bytes for file in files))


def plan_compaction(
    compaction_id: str, created_at: str, tables: Iterable[TableFiles], before_day: str, byte_ceiling: int
) -> CompactionPlan:
    """Days before one (which still gets loads) whose writing pays; those that save most first, up to the ceiling."""
    days: dict[tuple[str, str], list[LiveFile]] = defaultdict(list)
    snapshots: dict[str, int] = {}
    for table in tables:
        snapshots[table.table] = table.snapshot_id
        for file in table.files:
            days[table.table, file.day].append(file)
    worthwhile = [
        (name, day, files)
        for (name, day), files in days.items()
        if day < before_day and files_saved(files) >= FEWEST_FILES_SAVED
    ]
    worthwhile.sort(key=lambda unit: (-files_saved(unit[2]), unit[0], unit[1]))
    taken: dict[str, dict[str, list[LiveFile]]] = defaultdict(dict)
    taken_bytes = 0
    for name, day, files in worthwhile:
        size_bytes = sum(file.size_bytes for file in files)
        # one that is larger than the ceiling goes alone, or it would wait for ever
        if taken and taken_bytes + size_bytes > byte_ceiling:
            continue
        taken_bytes += size_bytes
        taken[name][day] = files
    return CompactionPlan(
        compaction_id, created_at, tuple(_entry(name, snapshots[name], taken[name]) for name in sorted(taken))
    )


def _entry(table: str, snapshot_id: int, days: dict[str, list[LiveFile]]) -> CompactionEntry:
    files = [file for of_day in days.values() for file in of_day]
    needed = {day: files_needed(sum(file.size_bytes for file in of_day)) for day, of_day in days.items()}
    return CompactionEntry(
        table,
        snapshot_id,
        tuple(sorted(day for day in days if day != WHOLE_TABLE)),
        tuple(sorted(day for day in days if day != WHOLE_TABLE and needed[day] > 1)),
        sum(file.rows for file in files),
        sum(file.size_bytes for file in files),
        len(files),
        sum(needed.values()),
    )


# ---------------------------------------------------------------- the receipt of a compaction


@dataclass(frozen=True)
class CompactedTable:
    table: str
    base_snapshot_id: int
    staged_snapshot_id: int | None
    branch: str
    files_added: int
    error: str | None


@dataclass(frozen=True)
class CompactionReceipt:
    compaction_id: str
    job_run_id: str
    tables: tuple[CompactedTable, ...]

    def table(self, name: str) -> CompactedTable | None:
        return next((table for table in self.tables if table.table == name), None)


def parse_compaction_receipt(text: bytes | str) -> CompactionReceipt:
    """Raises TerminalError when the text is no receipt of a compaction."""
    try:
        body: dict[str, Any] = json.loads(text)
        tables = tuple(CompactedTable(**table) for table in body["tables"])
        return CompactionReceipt(body["compaction_id"], body["job_run_id"], tables)
    except (ValueError, KeyError, TypeError) as error:
        raise TerminalError(
            f"reading the receipt of a compaction: received {type(error).__name__}: {error}; "
            "valid is the JSON that compact_tables writes as its last act; look at the job's log and run it again"
        ) from error
