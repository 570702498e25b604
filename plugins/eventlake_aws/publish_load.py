"""The end of a load: what its receipt is worth, table by table, made visible or held.

Order is what makes a crash harmless: bad rows first, then `main`, then the landings, then the books of the load, then
the outcome, then the leases. Whatever was done before a crash is found done by the next try. In a rebuild `main` comes
first: until it moves, readers see the rows that are bad now.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog

from eventlake.circuit_breaker import Ceilings
from eventlake.errors import TerminalError
from eventlake.load_plan import LoadKind, LoadPlan, TablePlan
from eventlake.receipt import Receipt, TableReceipt, require_same_load
from eventlake.settings import Settings
from eventlake.verdict import Fail, Hold, judge
from eventlake_aws import load_store, rebuild_requests
from eventlake_aws.clients import Clients
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.load_ends import (
    COMING_AGAIN,
    DONE,
    EMPTY,
    FAILED,
    HELD,
    PUBLISHED,
    STALE,
    TableEnd,
    outcome_of,
    write_load_rows,
)
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
from eventlake_aws.settle_load import append_bad_rows, mark_landings, resolve_published, settle_rebuild

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
        judged = list(pool.map(lambda table: _judged(catalog, settings, receipt, plan, table), plan.tables))
    if plan.kind is LoadKind.REBUILD:
        ends = _publish_all(catalog, receipt, judged)
        quarantined = settle_rebuild(clients, catalog, settings, plan, receipt, ends, now)
    else:
        quarantined = append_bad_rows(clients, catalog, settings, receipt, judged, now)
        ends = _publish_all(catalog, receipt, judged)
        resolve_published(catalog, settings, ends, load_id, now)
        mark_landings(clients, settings, plan, ends)
    write_load_rows(catalog, settings, plan, receipt, ends, now)
    receipt_uri = load_store.papers(clients, settings).receipt_uri(load_id, job_run_id)
    outcome = outcome_of(plan, receipt, ends, quarantined, receipt_uri)
    outcome = load_store.write_outcome(clients, settings, load_id, outcome)
    # a day that somebody wrote meanwhile goes on waiting, for whoever asks next
    if not outcome["stale"]:
        rebuild_requests.mark_served(clients, settings, plan.requests, load_id)
    release_leases(clients, settings, plan)
    if plan.kind is LoadKind.LOAD:
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


def _judged(catalog: GlueCatalog, settings: Settings, receipt: Receipt, plan: LoadPlan, entry: TablePlan) -> TableEnd:
    """The verdict before anything moves. A table that stands to be published has the status PUBLISHED already."""
    table = receipt.table(entry.table)
    accepts_failures = plan.release is not None and plan.release.accepts_failures
    verdict = judge(table, entry, Ceilings.of(settings), accepts_failures=accepts_failures)
    if isinstance(verdict, Fail):
        return TableEnd(entry.table, FAILED, verdict.reasons, table)
    assert table is not None, "a table without a receipt has failed"
    if isinstance(verdict, Hold):
        return TableEnd(entry.table, HELD, verdict.reasons, table, verdict.trips_breaker)
    if table.staged_snapshot_id is None:
        return TableEnd(entry.table, EMPTY, verdict.warnings, table)
    return _end(table, inspect_staged(catalog, _staged(receipt, table)), verdict.warnings)


def _publish_all(catalog: GlueCatalog, receipt: Receipt, judged: Sequence[TableEnd]) -> list[TableEnd]:
    """A table whose rows move to another one comes after that, so that no reader misses them."""

    def publish(ends: Iterable[TableEnd]) -> list[TableEnd]:
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(lambda end: _published(catalog, receipt, end), ends))

    staying = publish(end for end in judged if not _destinations(end))
    ended = {end.table: end for end in staying}
    leaving = [end for end in judged if _destinations(end)]
    return staying + publish(_unless_missing(end, ended) for end in leaving)


def _destinations(end: TableEnd) -> list[str]:
    diff = None if end.receipt is None else end.receipt.diff
    return [] if diff is None else sorted(diff.departed)


def _unless_missing(end: TableEnd, ended: Mapping[str, TableEnd]) -> TableEnd:
    missing = [table for table in _destinations(end) if table not in ended or ended[table].status not in DONE]
    if end.status != PUBLISHED or not missing:
        return end
    return TableEnd(
        end.table, HELD, (f"rows of it belong to {', '.join(missing)}, which does not take them",), end.receipt
    )


def _published(catalog: GlueCatalog, receipt: Receipt, end: TableEnd) -> TableEnd:
    """Moves main for a table that stands to be published; others end as they were judged."""
    if end.status == PUBLISHED and end.receipt is not None:
        end = _end(end.receipt, publish_table(catalog, _staged(receipt, end.receipt)), end.reasons)
    if end.status in COMING_AGAIN and end.receipt is not None and end.receipt.staged_snapshot_id is not None:
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
        table.counts.loaded if table.diff is None else table.added_records,
        table.removed_records,
        {LOAD_ID_PROPERTY: receipt.load_id, JOB_RUN_ID_PROPERTY: receipt.job_run_id},
    )
