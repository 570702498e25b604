"""The end of a load: what its receipt is worth, table by table, made visible or held.

Order is what makes a crash harmless: bad rows first, then `main`, then the landings, then the books of the load, then
the outcome, then the leases. Whatever was done before a crash is found done by the next try.
"""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog

from eventlake.errors import TerminalError
from eventlake.load_plan import LoadPlan, TablePlan
from eventlake.receipt import Receipt, TableReceipt, require_same_load
from eventlake.settings import Settings
from eventlake.verdict import Ceilings, Hold, judge
from eventlake_aws import load_store
from eventlake_aws.clients import Clients
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.load_ends import EMPTY, HELD, PUBLISHED, STALE, TableEnd, outcome_of, write_load_rows
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
from eventlake_aws.settle_load import append_bad_rows, mark_landings, resolve_published

_LOG = logging.getLogger(__name__)
_THREADS = 4


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
    quarantined = append_bad_rows(clients, catalog, settings, receipt, judged, now)
    with ThreadPoolExecutor(_THREADS) as pool:
        ends = list(pool.map(lambda end: _published(catalog, receipt, end), judged))
    resolve_published(catalog, settings, ends, load_id, now)
    mark_landings(clients, settings, plan, ends)
    write_load_rows(catalog, settings, plan, receipt, ends, now)
    receipt_uri = load_store.papers(clients, settings).receipt_uri(load_id, job_run_id)
    outcome = outcome_of(receipt, ends, quarantined, receipt_uri)
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
