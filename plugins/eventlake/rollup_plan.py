"""Which dates of which rollups are out of date: those whose source files changed since the rollup last looked.

Files, not rows, are compared: an undo, a rebuild or an erasure changes files too, so it reaches every rollup by itself.
Does not belong here: listing files (`eventlake_aws.rollups`), the SELECTs (`definitions`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from eventlake.errors import TerminalError
from eventlake.receipt import Validation, parse_validation


class Window(StrEnum):
    """What one row of a rollup is about. A window is named by its first day; a week begins on Monday."""

    DAY = "day"
    WEEK = "week"

    def first_day(self, day: str) -> str:
        """Of the window that the day lies in."""
        if self is Window.DAY:
            return day
        known = date.fromisoformat(day)
        return (known - timedelta(days=known.weekday())).isoformat()

    def days(self, first_day: str) -> tuple[str, ...]:
        """All days of a window."""
        if self is Window.DAY:
            return (first_day,)
        monday = date.fromisoformat(first_day)
        return tuple((monday + timedelta(days=number)).isoformat() for number in range(7))


class DataFile(NamedTuple):
    """One file of a source table's snapshot. `content` names the file and the delete files that apply to it."""

    content: str
    day: str


@dataclass(frozen=True)
class SourceChange:
    """One source of a rollup: the snapshot it shows now and the days that differ from the one seen."""

    table: str
    snapshot_id: int
    changed_days: frozenset[str]


@dataclass(frozen=True)
class RollupEntry:
    name: str
    table: str
    base_snapshot_id: int | None
    sources: Mapping[str, int]
    # the first days of the windows that are out of date
    dates: tuple[str, ...]


@dataclass(frozen=True)
class RollupPlan:
    rollup_run_id: str
    created_at: str
    definitions_key: str
    rollups: tuple[RollupEntry, ...]

    def entry(self, table: str) -> RollupEntry | None:
        return next((entry for entry in self.rollups if entry.table == table), None)

    def to_json(self) -> bytes:
        body = {
            "rollup_run_id": self.rollup_run_id,
            "created_at": self.created_at,
            "definitions_key": self.definitions_key,
            "rollups": [
                {
                    "name": entry.name,
                    "table": entry.table,
                    "base_snapshot_id": entry.base_snapshot_id,
                    "sources": dict(sorted(entry.sources.items())),
                    "dates": list(entry.dates),
                }
                for entry in self.rollups
            ],
        }
        return json.dumps(body, separators=(",", ":")).encode()

    @staticmethod
    def from_json(text: bytes | str) -> RollupPlan:
        """Raises TerminalError when the text is no plan of rollups."""
        try:
            body: dict[str, Any] = json.loads(text)
            return RollupPlan(
                body["rollup_run_id"],
                body["created_at"],
                body["definitions_key"],
                tuple(
                    RollupEntry(
                        entry["name"],
                        entry["table"],
                        entry["base_snapshot_id"],
                        {str(table): int(snapshot) for table, snapshot in entry["sources"].items()},
                        tuple(entry["dates"]),
                    )
                    for entry in body["rollups"]
                ),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TerminalError(
                f"reading a plan of rollups: received {type(error).__name__} {error}; "
                "valid is the JSON that plan_rollups wrote; clear the task plan_rollups"
            ) from error


def changed_days(seen: Iterable[DataFile] | None, current: Iterable[DataFile]) -> frozenset[str]:
    """Days with a file that came or went. Nothing seen, or what was seen is expired: every day there is."""
    now = frozenset(current)
    return frozenset(file.day for file in now ^ frozenset(seen or ()))


def plan_rollup(
    name: str, base_snapshot_id: int | None, changes: Iterable[SourceChange], window: Window = Window.DAY
) -> RollupEntry | None:
    """The rebuild of one rollup, window by window; None when it has seen everything."""
    known = list(changes)
    dates = sorted({window.first_day(day) for change in known for day in change.changed_days})
    if not dates:
        return None
    sources = {change.table: change.snapshot_id for change in known}
    return RollupEntry(name, f"rollups.{name}", base_snapshot_id, sources, tuple(dates))


def sources_text(sources: Mapping[str, int]) -> str:
    """As a rollup's snapshot remembers what it has seen: the same sources give the same text."""
    return json.dumps(dict(sources), sort_keys=True, separators=(",", ":"))


def parse_sources(text: str | None) -> dict[str, int]:
    """What a rollup's snapshot has seen; nothing when it does not say (then everything is rebuilt)."""
    if text is None:
        return {}
    try:
        return {str(table): int(snapshot) for table, snapshot in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


# ---------------------------------------------------------------- the receipt of a rollup job


@dataclass(frozen=True)
class RollupReceiptEntry:
    name: str
    table: str
    base_snapshot_id: int | None
    staged_snapshot_id: int | None
    branch: str
    added_records: int
    days: Mapping[str, int]
    error: str | None
    validation: Validation | None


@dataclass(frozen=True)
class RollupReceipt:
    rollup_run_id: str
    job_run_id: str
    rollups: tuple[RollupReceiptEntry, ...]


def parse_rollup_receipt(text: bytes | str) -> RollupReceipt:
    """Raises TerminalError when the text is no receipt of a rollup job."""
    try:
        body: dict[str, Any] = json.loads(text)
        entries = tuple(
            RollupReceiptEntry(
                entry["name"],
                entry["table"],
                entry["base_snapshot_id"],
                entry["staged_snapshot_id"],
                entry["branch"],
                int(entry["added_records"]),
                {str(day): int(rows) for day, rows in entry["days"].items()},
                entry["error"],
                parse_validation(entry["validation"]),
            )
            for entry in body["rollups"]
        )
        return RollupReceipt(body["rollup_run_id"], body["job_run_id"], entries)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TerminalError(
            f"reading the receipt of a rollup job: received {type(error).__name__}: {error}; "
            "valid is the JSON that roll_up writes as its last act; look at the job's log and run it again"
        ) from error
