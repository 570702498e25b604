"""What a load job says it did. The worker believes a receipt and nothing else (`eventlake.receipt` reads it)."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from eventlake.load_plan import TablePlan, branch_name
from eventlake_spark.batch import Batch
from eventlake_spark.failure import told
from eventlake_spark.judgement import BAD, CONFLICT, DUPLICATE, LOADED
from eventlake_spark.objects import ObjectStore


def table_entry(
    batch: Batch, quarantined_by_reason: Mapping[str, int], validation: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The entry of a table whose lines all got a verdict."""
    verdicts = [side.verdict for side in batch.sides]
    staged = batch.staged
    return {
        "table": batch.entry.table,
        "event_type": batch.entry.event_type,
        "base_snapshot_id": batch.table.base_snapshot_id,
        "staged_snapshot_id": None if staged is None else staged.snapshot_id,
        "branch": batch.branch,
        "counts": {
            "lines": batch.lines_read,
            "loaded": batch.count(LOADED),
            "duplicate": verdicts.count(DUPLICATE),
            "quarantined": verdicts.count(BAD) + verdicts.count(CONFLICT),
        },
        "added_records": 0 if staged is None else staged.added_records,
        "removed_records": 0 if staged is None else staged.removed_records,
        "added_files": 0 if staged is None else staged.added_files,
        "diff": batch.diff,
        "days": _rows_by_day(batch),
        "landings": _landings(batch),
        "quarantined_by_reason": dict(quarantined_by_reason),
        "validation": validation,
        "error": None,
    }


def failed_entry(entry: TablePlan, load_id: str, job_run_id: str, error: Exception) -> dict[str, Any]:
    """The entry of a table that nothing may be published of."""
    return {
        "table": entry.table,
        "event_type": entry.event_type,
        "base_snapshot_id": entry.base_snapshot_id,
        "staged_snapshot_id": None,
        "branch": branch_name(load_id, job_run_id),
        "counts": {"lines": 0, "loaded": 0, "duplicate": 0, "quarantined": 0},
        "added_records": 0,
        "removed_records": 0,
        "added_files": 0,
        "diff": None,
        "days": {},
        "landings": [],
        "quarantined_by_reason": {},
        "validation": None,
        "error": told(error),
    }


def write_receipt(receipt: Mapping[str, Any], uri: str, store: ObjectStore) -> None:
    store.create(uri, json.dumps(receipt, ensure_ascii=False, separators=(",", ":")).encode())


def code_hash(packages: Sequence[str] = ("eventlake", "eventlake_spark")) -> str:
    """Names the code that ran: the modules of both packages, wherever they were imported from."""
    digest = hashlib.sha256()
    for package in packages:
        for module in sorted(files(package).iterdir(), key=lambda each: each.name):
            if module.name.endswith(".py"):
                digest.update(f"{package}/{module.name}\n".encode())
                digest.update(module.read_bytes())
    return digest.hexdigest()[:12]


def _rows_by_day(batch: Batch) -> dict[str, int]:
    """Of a load the days of its rows; of a rebuild those that it changes, be it by taking their last row."""
    days: dict[str, int] = defaultdict(int, dict.fromkeys(batch.changed_days, 0))
    for tally in batch.tallies:
        if tally.verdict == LOADED and tally.day is not None and (batch.diff is None or tally.day in days):
            days[tally.day] += tally.rows
    return dict(sorted(days.items()))


def _landings(batch: Batch) -> list[dict[str, Any]]:
    """Every planned object, also one without a line of this table; days are those of all rows that say one."""
    lines: dict[str, int] = defaultdict(int)
    days: dict[str, list[str]] = defaultdict(list)
    for tally in batch.tallies:
        lines[tally.raw_object] += tally.rows
        if tally.day is not None:
            days[tally.raw_object].append(tally.day)
    return [
        {
            "object_key": landing.object_key,
            "etag": landing.etag,
            "lines": lines.pop(landing.object_key, 0),  # an object planned twice is read once
            "first_day": min(days[landing.object_key], default=None),
            "last_day": max(days[landing.object_key], default=None),
        }
        for landing in batch.entry.landings
    ]
