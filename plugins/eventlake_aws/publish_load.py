"""The end of a load: what its receipt is worth, table by table, made visible or held.

Order is what makes a crash harmless: bad rows first, then `main`, then the landings, then the books of the load, then
the outcome, then the leases. Whatever was done before a crash is found done by the next try.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog

from eventlake.errors import TerminalError
from eventlake.load_plan import LoadPlan, TablePlan
from eventlake.receipt import Receipt, TableReceipt, require_same_load
from eventlake.settings import Settings
from eventlake.verdict import Ceilings, Hold, judge
from eventlake_aws import landing_list, load_store
from eventlake_aws.clients import Clients
from eventlake_aws.control_tables import LOADS, VALIDATIONS, append_rows, read_rows
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.landing_list import LandingOutcome
from eventlake_aws.load_metrics import count_load_ended
from eventlake_aws.load_steps import release_leases
from eventlake_aws.publish import (
    JOB_RUN_ID_PROPERTY,
    LOAD_ID_PROPERTY,
    Published,
    Refused,
    Staged,
    Stale,
    drop_branch,
    inspect_staged,
    publish_table,
)
from eventlake_aws.quarantine_rows import append_quarantine, read_sidecar, resolve_loaded
from eventlake_aws.row_filters import all_of, equals

_LOG = logging.getLogger(__name__)
_THREADS = 4

PUBLISHED, EMPTY, HELD, STALE = "published", "empty", "held", "stale"


@dataclass(frozen=True)
class TableEnd:
    """How one table of the load ended. `reasons`: why held or stale, or the medium expectations that failed."""

    table: str
    status: str
    reasons: tuple[str, ...]
    receipt: TableReceipt | None


def publish_load(
    clients: Clients, settings: Settings, *, load_id: str, job_run_id: str, now: datetime
) -> dict[str, Any]:
    """Publishes what the awaited run staged. Idempotent; an ended load answers with its outcome."""
    ended = load_store.read_outcome(clients, settings, load_id)
    if ended is not None:
        return ended
    plan = load_store.read_plan(clients, settings, load_id)
    receipt = load_store.read_receipt(clients, settings, load_id, job_run_id)
    require_same_load(receipt, load_id, job_run_id)
    _require_planned(plan, receipt)
    catalog = open_catalog(settings)
    with ThreadPoolExecutor(_THREADS) as pool:
        judged = list(pool.map(lambda table: _judged(catalog, settings, receipt, table), plan.tables))
    quarantined = _append_bad_rows(clients, catalog, settings, receipt, judged, now)
    with ThreadPoolExecutor(_THREADS) as pool:
        ends = list(pool.map(lambda end: _published(catalog, receipt, end), judged))
    for end in ends:
        if end.status == PUBLISHED and end.receipt is not None:
            resolve_loaded(catalog, settings, end.table, end.receipt.event_type, load_id, now)
    _mark_landings(clients, settings, plan, ends)
    _write_load_rows(catalog, settings, plan, receipt, ends, now)
    outcome = _outcome(
        receipt, ends, quarantined, load_store.papers(clients, settings).receipt_uri(load_id, job_run_id)
    )
    outcome = load_store.write_outcome(clients, settings, load_id, outcome)
    release_leases(clients, settings, plan)
    count_load_ended(clients, settings)
    _LOG.info(json.dumps({"decision": "publish_load"} | outcome))
    return outcome


def _require_planned(plan: LoadPlan, receipt: Receipt) -> None:
    unplanned = sorted({table.table for table in receipt.tables} - {table.table for table in plan.tables})
    if unplanned:
        raise TerminalError(
            f"publishing load {plan.load_id}: received receipts for {unplanned}; valid are tables of the plan; "
            "nothing was published; look at the job's log"
        )


def _judged(catalog: GlueCatalog, settings: Settings, receipt: Receipt, plan: TablePlan) -> TableEnd:
    """The verdict before anything moves. A table that stands to be published has the status PUBLISHED already."""
    table = receipt.table(plan.table)
    if table is None:
        return TableEnd(plan.table, HELD, ("the receipt does not speak of this table",), None)
    verdict = judge(table, plan, Ceilings(settings.quarantine_rate_ceiling))
    if isinstance(verdict, Hold):
        return TableEnd(plan.table, HELD, verdict.reasons, table)
    if table.staged_snapshot_id is None:
        return TableEnd(plan.table, EMPTY, verdict.warnings, table)
    return _end(table, inspect_staged(catalog, _staged(receipt, table)), verdict.warnings)


def _published(catalog: GlueCatalog, receipt: Receipt, end: TableEnd) -> TableEnd:
    """Moves main for a table that stands to be published; others end as they were judged."""
    if end.status == PUBLISHED and end.receipt is not None:
        end = _end(end.receipt, publish_table(catalog, _staged(receipt, end.receipt)), end.reasons)
    if end.status == STALE and end.receipt is not None:
        # nobody will publish it, and a branch keeps its files from expiry
        drop_branch(catalog, end.table, end.receipt.branch)
    return end


def _end(table: TableReceipt, answer: Published | Stale | Refused | None, warnings: tuple[str, ...]) -> TableEnd:
    if isinstance(answer, Stale):
        return TableEnd(table.table, STALE, (answer.reason,), table)
    if isinstance(answer, Refused):
        return TableEnd(table.table, HELD, (answer.reason,), table)
    return TableEnd(table.table, PUBLISHED, warnings, table)


def _staged(receipt: Receipt, table: TableReceipt) -> Staged:
    if table.staged_snapshot_id is None:
        raise TerminalError(
            f"publishing {table.table} of load {receipt.load_id}: received no staged snapshot; valid is one when "
            "rows were loaded; look at the job's log"
        )
    return Staged(
        table.table,
        table.base_snapshot_id,
        table.staged_snapshot_id,
        table.branch,
        table.counts.loaded,
        0,
        {LOAD_ID_PROPERTY: receipt.load_id, JOB_RUN_ID_PROPERTY: receipt.job_run_id},
    )


def _append_bad_rows(
    clients: Clients,
    catalog: GlueCatalog,
    settings: Settings,
    receipt: Receipt,
    judged: Iterable[TableEnd],
    now: datetime,
) -> dict[str, int]:
    """Bad rows of every table that was read, held ones too: they are why. A stale table's come again."""
    counted = [end.receipt for end in judged if end.receipt is not None and end.receipt.error is None]
    expected = sum(table.counts.quarantined for table in counted)
    rows = read_sidecar(load_store.read_uri(clients, receipt.quarantine_uri)) if receipt.quarantine_uri else []
    if len(rows) < expected:
        raise TerminalError(
            f"publishing load {receipt.load_id}: received {len(rows)} quarantined rows in {receipt.quarantine_uri}; "
            f"valid are the {expected} of the receipt; nothing was published; run the load again"
        )
    stale_types = {end.receipt.event_type for end in judged if end.status == STALE and end.receipt is not None}
    return append_quarantine(
        catalog, settings, [row for row in rows if row.get("event_type") not in stale_types], receipt.load_id, now
    )


def _mark_landings(clients: Clients, settings: Settings, plan: LoadPlan, ends: Iterable[TableEnd]) -> None:
    """An object of the error prefix feeds several tables: it waits if one is stale, is held if one is held."""
    status_of_table = {end.table: end.status for end in ends}
    statuses: dict[tuple[str, str], set[str]] = {}
    for table in plan.tables:
        for landing in table.landings:
            statuses.setdefault(landing.identity, set()).add(status_of_table[table.table])
    learned = _learned([end.receipt for end in ends if end.receipt is not None])
    loaded: list[LandingOutcome] = []
    held: list[LandingOutcome] = []
    for identity, seen in statuses.items():
        outcome = learned.get(identity, LandingOutcome(*identity, 0, None, None))
        if STALE in seen:
            continue
        (held if HELD in seen else loaded).append(outcome)
    landing_list.mark_loaded(clients, settings, plan.load_id, loaded)
    landing_list.mark_held(clients, settings, plan.load_id, held)


def _learned(receipts: Iterable[TableReceipt]) -> dict[tuple[str, str], LandingOutcome]:
    """What all tables together learned of each landing."""
    learned: dict[tuple[str, str], LandingOutcome] = {}
    for landing in (landing for receipt in receipts for landing in receipt.landings):
        known = learned.get(landing.identity)
        first_days = [day for day in (landing.first_day, known.first_day if known else None) if day]
        last_days = [day for day in (landing.last_day, known.last_day if known else None) if day]
        learned[landing.identity] = LandingOutcome(
            landing.object_key,
            landing.etag,
            landing.lines + (known.lines if known else 0),
            min(first_days, default=None),
            max(last_days, default=None),
        )
    return learned


def _write_load_rows(
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
    validations = [
        {
            "load_id": receipt.load_id,
            "job_run_id": receipt.job_run_id,
            "table_name": end.table,
            "expectation": result.expectation,
            "column_name": result.column,
            "severity": result.severity,
            "success": result.success,
            "observed": result.observed,
            "unexpected_count": result.unexpected_count,
            "detail": result.detail,
            "validated_at": now,
        }
        for end in ends
        if end.receipt is not None and end.receipt.validation is not None
        for result in end.receipt.validation.results
    ]
    if validations and not read_rows(catalog, settings, VALIDATIONS, of_this_run, ("load_id", "job_run_id")):
        append_rows(catalog, settings, VALIDATIONS, validations)
    if not read_rows(catalog, settings, LOADS, of_this_run, ("load_id", "job_run_id")):
        append_rows(catalog, settings, LOADS, [_load_row(plan, receipt, end, now) for end in ends])


def _load_row(plan: LoadPlan, receipt: Receipt, end: TableEnd, now: datetime) -> dict[str, Any]:
    planned = plan.table(end.table)
    row: dict[str, Any] = {
        "load_id": receipt.load_id,
        "job_run_id": receipt.job_run_id,
        "table_name": end.table,
        "status": end.status,
        "reasons": json.dumps(end.reasons),
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
    counts = end.receipt.counts
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


def _outcome(
    receipt: Receipt, ends: Iterable[TableEnd], newly_quarantined: Mapping[str, int], receipt_uri: str
) -> dict[str, Any]:
    done = [end for end in ends if end.status in (PUBLISHED, EMPTY) and end.receipt is not None]
    receipts = {end.table: end.receipt for end in done if end.receipt is not None}
    by_reason: Counter[str] = Counter()
    for table in receipts.values():
        by_reason.update(table.quarantined_by_reason)
    return {
        "load_id": receipt.load_id,
        "job_run_id": receipt.job_run_id,
        "published": {end.table: receipts[end.table].counts.loaded for end in done if end.status == PUBLISHED},
        "empty": [end.table for end in done if end.status == EMPTY],
        "held": {end.table: list(end.reasons) for end in ends if end.status == HELD},
        "stale": [end.table for end in ends if end.status == STALE],
        "warnings": {end.table: list(end.reasons) for end in done if end.reasons},
        "days": {table: sorted(one.days) for table, one in receipts.items() if one.days},
        "snapshots": {end.table: receipts[end.table].staged_snapshot_id for end in done if end.status == PUBLISHED},
        "duplicates": sum(table.counts.duplicate for table in receipts.values()),
        "quarantined": sum(table.counts.quarantined for table in receipts.values()),
        "quarantined_by_reason": dict(by_reason),
        "newly_quarantined": dict(newly_quarantined),
        "receipt_uri": receipt_uri,
        "duplicates_uri": receipt.duplicates_uri,
    }
