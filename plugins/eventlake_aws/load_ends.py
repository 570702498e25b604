"""How the tables of a load ended, and what is written down of it: rows of control.loads and control.validations, and
the outcome, the last word on a load.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog

from eventlake.load_plan import LoadKind, LoadPlan
from eventlake.receipt import Receipt, TableReceipt
from eventlake.settings import Settings
from eventlake_aws.control_tables import LOADS, append_rows, read_rows
from eventlake_aws.row_filters import all_of, equals
from eventlake_aws.validation_history import write_validations

PUBLISHED, EMPTY, HELD, STALE, FAILED = "published", "empty", "held", "stale", "failed"
DONE = (PUBLISHED, EMPTY)
# the landings of such a table go on waiting, and the next load takes them
COMING_AGAIN = (STALE, FAILED)
# a table that a rebuild found as it should be is not an empty load
_STATUS_OF_REBUILD = {PUBLISHED: "rebuilt", EMPTY: "unchanged"}


@dataclass(frozen=True)
class TableEnd:
    """How one table of the load ended. `reasons`: why held, stale or failed, or the medium expectations that failed.

    `trips_breaker`: it is held for a rate, so that no rebuild touches it until a person has decided.
    """

    table: str
    status: str
    reasons: tuple[str, ...]
    receipt: TableReceipt | None
    trips_breaker: bool = False


def write_load_rows(
    catalog: GlueCatalog,
    settings: Settings,
    plan: LoadPlan,
    receipt: Receipt,
    ends: Iterable[TableEnd],
    now: datetime,
) -> None:
    """A former try may have written them: then they are there, all in one commit or none."""
    of_this_run = all_of(equals("load_id", receipt.load_id), equals("job_run_id", receipt.job_run_id))
    # validations first: their absence beside a written load row would go unnoticed
    said = {end.table: end.receipt.validation for end in ends if end.receipt is not None}
    write_validations(catalog, settings, receipt.load_id, receipt.job_run_id, said, now)
    if not read_rows(catalog, settings, LOADS, of_this_run, ("load_id", "job_run_id")):
        append_rows(catalog, settings, LOADS, [_load_row(plan, receipt, end, now) for end in ends])


def _load_row(plan: LoadPlan, receipt: Receipt, end: TableEnd, now: datetime) -> dict[str, Any]:
    planned = plan.table(end.table)
    row: dict[str, Any] = {
        "load_id": receipt.load_id,
        "job_run_id": receipt.job_run_id,
        "table_name": end.table,
        "status": _STATUS_OF_REBUILD.get(end.status, end.status) if plan.kind is LoadKind.REBUILD else end.status,
        "reasons": json.dumps(end.reasons),
        # a rebuild holds no landing: there is nothing to decide on
        "trips_breaker": end.trips_breaker and plan.kind is LoadKind.LOAD,
        "rejected": planned.rejected if planned else 0,
        "landings": len(planned.landings) if planned else 0,
        "size_bytes": planned.size_bytes if planned else 0,
        "definitions_key": plan.definitions_key,
        "code_hash": receipt.code_hash,
        "started_at": receipt.started_at,
        "ended_at": receipt.ended_at,
        "published_at": now if end.status == PUBLISHED else None,
    }
    if end.receipt is None:
        return row
    counts, diff = end.receipt.counts, end.receipt.diff
    if diff is not None:
        row |= {"added": diff.added, "removed": diff.removed + sum(diff.departed.values()), "changed": diff.changed}
    return row | {
        "event_type": end.receipt.event_type,
        "lines": counts.lines,
        "loaded": counts.loaded,
        "duplicate": counts.duplicate,
        "quarantined": counts.quarantined,
        "added_files": end.receipt.added_files,
        "base_snapshot_id": end.receipt.base_snapshot_id,
        "staged_snapshot_id": end.receipt.staged_snapshot_id,
        "first_day": min(end.receipt.days, default=None),
        "last_day": max(end.receipt.days, default=None),
    }


def outcome_of(
    plan: LoadPlan, receipt: Receipt, ends: Iterable[TableEnd], newly_quarantined: Mapping[str, int], receipt_uri: str
) -> dict[str, Any]:
    done = [end for end in ends if end.status in DONE and end.receipt is not None]
    receipts = {end.table: end.receipt for end in done if end.receipt is not None}
    by_reason: Counter[str] = Counter()
    for table in receipts.values():
        by_reason.update(table.quarantined_by_reason)
    return {
        "load_id": receipt.load_id,
        "job_run_id": receipt.job_run_id,
        "kind": plan.kind,
        "published": {end.table: receipts[end.table].counts.loaded for end in done if end.status == PUBLISHED},
        "empty": [end.table for end in done if end.status == EMPTY],
        "held": {end.table: list(end.reasons) for end in ends if end.status == HELD},
        "failed": {end.table: list(end.reasons) for end in ends if end.status == FAILED},
        "stale": [end.table for end in ends if end.status == STALE],
        "warnings": {end.table: list(end.reasons) for end in done if end.reasons},
        "days": {table: sorted(one.days) for table, one in receipts.items() if one.days},
        "snapshots": {end.table: receipts[end.table].staged_snapshot_id for end in done if end.status == PUBLISHED},
        "diffs": {end.table: _told(end.receipt) for end in done if end.receipt is not None and end.receipt.diff},
        "duplicates": sum(table.counts.duplicate for table in receipts.values()),
        "quarantined": sum(table.counts.quarantined for table in receipts.values()),
        "quarantined_by_reason": dict(by_reason),
        "newly_quarantined": dict(newly_quarantined),
        "receipt_uri": receipt_uri,
        "duplicates_uri": receipt.duplicates_uri,
    }


def _told(receipt: TableReceipt) -> dict[str, Any]:
    assert receipt.diff is not None
    return {**asdict(receipt.diff), "days": sorted(receipt.days)}
