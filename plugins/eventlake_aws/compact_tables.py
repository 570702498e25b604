"""The steps of a compaction on the worker: which days pay, and publishing what the job wrote again.

Each table is compacted under its lease. A load that publishes in between makes the compaction stale, and not the other
way round: the next day's plan takes the day again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog

from eventlake.compaction import (
    FEWEST_FILES_SAVED,
    CompactedTable,
    CompactionEntry,
    CompactionPlan,
    CompactionReceipt,
    LiveFile,
    TableFiles,
    parse_compaction_receipt,
    plan_compaction,
)
from eventlake.errors import TerminalError
from eventlake.leases import lease_of_table
from eventlake.load_plan import adopt_or_open, load_id_prefix
from eventlake.settings import ICEBERG_DATABASES, Settings
from eventlake_aws import lease_store
from eventlake_aws.clients import Clients
from eventlake_aws.iceberg_catalog import open_catalog, tables_of
from eventlake_aws.live_files import live_files
from eventlake_aws.paper_store import COMPACTIONS_PREFIX, Papers
from eventlake_aws.publish import (
    COMPACTION_ID_PROPERTY,
    JOB_RUN_ID_PROPERTY,
    Published,
    Staged,
    Stale,
    drop_branch,
    publish_table,
)

_LOG = logging.getLogger(__name__)
_THREADS = 8


def plan_and_store_compaction(
    clients: Clients, settings: Settings, *, dag_id: str, run_id: str, dry_run: bool, now: datetime
) -> dict[str, Any]:
    """Writes down the days that are worth writing again, or adopts what a former try wrote. A dry run takes nothing."""
    papers = Papers(clients, settings, COMPACTIONS_PREFIX)
    compaction_id, is_adopted = adopt_or_open(dag_id, run_id, papers.known(load_id_prefix(dag_id, run_id)))
    if is_adopted:
        plan = CompactionPlan.from_json(papers.read_plan(compaction_id))
        lease_store.take_leases(clients, settings, _leases(plan.tables), compaction_id, now)
        return _answer(papers, plan, ())
    catalog = open_catalog(settings)

    def plan_of(tables: Iterable[str]) -> CompactionPlan:
        with ThreadPoolExecutor(_THREADS) as pool:
            seen = [files for files in pool.map(lambda name: _files_of(catalog, name), tables) if files is not None]
        today = now.date().isoformat()
        return plan_compaction(compaction_id, now.isoformat(), seen, today, settings.load_ceiling_bytes)

    plan = plan_of(tables_of(catalog, ICEBERG_DATABASES))
    if dry_run or not plan.entries:
        return _answer(papers, plan, ())
    leases = _leases(plan.tables)
    leased = lease_store.take_what_is_free(clients, settings, leases, compaction_id, now)
    refused = [table for table in plan.tables if lease_of_table(table) in leased]
    # the bases are read again only now: from here on nobody else may move them
    plan = plan_of(table for table in plan.tables if table not in refused)
    if plan.entries:
        plan = CompactionPlan.from_json(papers.write_plan(compaction_id, plan.to_json()))
    for lease in sorted(set(leases) - set(leased) - set(_leases(plan.tables))):
        lease_store.release_lease(clients, settings, lease, compaction_id)
    return _answer(papers, plan, refused)


def publish_compaction(
    clients: Clients, settings: Settings, *, compaction_id: str, job_run_id: str, now: datetime
) -> dict[str, Any]:
    """Publishes each table that was written again; says which are stale or failed. Idempotent."""
    papers = Papers(clients, settings, COMPACTIONS_PREFIX)
    ended = papers.read_outcome(compaction_id)
    if ended is not None:
        return ended
    plan = CompactionPlan.from_json(papers.read_plan(compaction_id))
    receipt = parse_compaction_receipt(papers.read_receipt(compaction_id, job_run_id))
    if (receipt.compaction_id, receipt.job_run_id) != (compaction_id, job_run_id):
        raise TerminalError(
            f"publishing compaction {compaction_id}: received a receipt of {receipt.compaction_id} run "
            f"{receipt.job_run_id}; valid is run {job_run_id}; nothing was published; clear stage_compaction"
        )
    catalog = open_catalog(settings)
    outcome: dict[str, Any] = {
        "compaction_id": compaction_id,
        "job_run_id": job_run_id,
        "compacted": {},
        "stale": [],
        "failed": {},
        "ended_at": now.isoformat(),
    }
    for entry in plan.entries:
        _publish_one(catalog, receipt, entry, outcome)
    outcome = papers.write_outcome(compaction_id, outcome)
    abandon_compaction(clients, settings, compaction_id=compaction_id)
    _LOG.info(json.dumps({"decision": "publish_compaction"} | outcome))
    return outcome


def abandon_compaction(clients: Clients, settings: Settings, *, compaction_id: str) -> list[str]:
    """Frees the leases, whatever became of the compaction."""
    plan = CompactionPlan.from_json(Papers(clients, settings, COMPACTIONS_PREFIX).read_plan(compaction_id))
    leases = _leases(plan.tables)
    return [lease for lease in leases if lease_store.release_lease(clients, settings, lease, compaction_id)]


def _publish_one(
    catalog: GlueCatalog, receipt: CompactionReceipt, entry: CompactionEntry, outcome: dict[str, Any]
) -> None:
    done = receipt.table(entry.table)
    if done is None or done.error is not None or done.staged_snapshot_id is None:
        outcome["failed"][entry.table] = "the receipt does not speak of it" if done is None else str(done.error)
        return
    answer = publish_table(catalog, _staged(receipt, entry, done, done.staged_snapshot_id))
    if isinstance(answer, Published):
        outcome["compacted"][entry.table] = {"files_before": entry.files, "files_after": done.files_added}
        return
    drop_branch(catalog, entry.table, done.branch)
    if isinstance(answer, Stale):
        outcome["stale"].append(entry.table)
    else:
        outcome["failed"][entry.table] = answer.reason


def _staged(receipt: CompactionReceipt, entry: CompactionEntry, done: CompactedTable, snapshot_id: int) -> Staged:
    return Staged(
        entry.table,
        entry.base_snapshot_id,
        snapshot_id,
        done.branch,
        # as many rows come as go, and the plan counted them before the job did
        added_records=entry.rows,
        removed_records=entry.rows,
        properties={COMPACTION_ID_PROPERTY: receipt.compaction_id, JOB_RUN_ID_PROPERTY: receipt.job_run_id},
    )


def _files_of(catalog: GlueCatalog, name: str) -> TableFiles | None:
    """None where nothing can pay: nothing published, or too few files in the whole table."""
    table = catalog.load_table(name)
    snapshot = table.current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return None
    if int(snapshot.summary.additional_properties.get("total-data-files", "0")) <= FEWEST_FILES_SAVED:
        return None
    files = list(live_files(table, snapshot.snapshot_id))
    # somebody else's delete files change how many rows a file shows; such days are theirs to write again
    foreign = {file.day for file in files if file.deletes}
    kept = tuple(LiveFile(file.day, file.size_bytes, file.rows) for file in files if file.day not in foreign)
    return TableFiles(name, snapshot.snapshot_id, kept)


def _leases(tables: Iterable[str]) -> list[str]:
    return [lease_of_table(table) for table in tables]


def _answer(papers: Papers, plan: CompactionPlan, refused: Sequence[str]) -> dict[str, Any]:
    answer = {
        "compaction_id": plan.compaction_id,
        "plan_uri": papers.plan_uri(plan.compaction_id),
        "receipt_prefix": papers.folder_uri(plan.compaction_id),
        "entries": [asdict(entry) for entry in plan.entries],
        "leased_elsewhere": list(refused),
        "nothing_to_do": not plan.entries,
    }
    _LOG.info(json.dumps({"decision": "plan_compaction"} | answer))
    return answer
