"""The steps of rolling up on the worker: what is out of date, and publishing what the job rebuilt.

Each rollup remembers in its snapshot which snapshots of its sources it has seen; nothing else keeps that state.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from eventlake.definitions import Rollup, parse_rollup
from eventlake.errors import TerminalError
from eventlake.leases import lease_of_table
from eventlake.load_plan import adopt_or_open, load_id_prefix
from eventlake.rollup_plan import (
    DataFile,
    RollupEntry,
    RollupPlan,
    RollupReceipt,
    RollupReceiptEntry,
    SourceChange,
    changed_days,
    parse_rollup_receipt,
    parse_sources,
    plan_rollup,
    sources_text,
)
from eventlake.settings import ROLLUPS_DATABASE, Settings
from eventlake.verdict import Fail, Hold, judge_rollup
from eventlake_aws import lease_store
from eventlake_aws.clients import Clients
from eventlake_aws.definitions_store import current_definitions
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.live_files import live_files
from eventlake_aws.paper_store import ROLLUPS_PREFIX, Papers
from eventlake_aws.publish import COMPACTION_ID_PROPERTY, JOB_RUN_ID_PROPERTY, Published, Staged, Stale, publish_table
from eventlake_aws.validation_history import write_validations

_LOG = logging.getLogger(__name__)

SOURCES_PROPERTY = "eventlake.sources"
ROLLUP_RUN_ID_PROPERTY = "eventlake.rollup_run_id"


def plan_rollups(
    clients: Clients, settings: Settings, *, dag_id: str, run_id: str, now: datetime, needs_all: bool = False
) -> dict[str, Any]:
    """Writes down every date of every rollup that is out of date, or adopts what a former try wrote.

    A rollup that another run is rebuilding is left to the next one. With `needs_all` nothing is planned then, and the
    leases to wait for are answered: what that run saw may be older than what this one has published.
    """
    papers = Papers(clients, settings, ROLLUPS_PREFIX)
    rollup_run_id, is_adopted = adopt_or_open(dag_id, run_id, papers.known(load_id_prefix(dag_id, run_id)))
    if is_adopted:
        plan = RollupPlan.from_json(papers.read_plan(rollup_run_id))
        lease_store.take_leases(clients, settings, _leases(plan), rollup_run_id, now)
        return _answer(papers, plan)
    definitions = current_definitions(clients, settings)
    catalog = open_catalog(settings)
    rollups = [parse_rollup(name, sql) for name, sql in sorted(definitions.rollups.items())]
    wanted = {_lease_of(rollup): rollup for rollup in rollups if _out_of_date(catalog, rollup) is not None}
    take = lease_store.take_all_or_none if needs_all else lease_store.take_what_is_free
    leased = take(clients, settings, wanted, rollup_run_id, now)
    if leased and needs_all:
        _LOG.info(json.dumps({"decision": "await_leases", "rollup_run_id": rollup_run_id, "leased": leased}))
        return {"nothing_to_do": True, "leased": leased}
    # looked at again only now: from here on nobody else may rebuild them
    entries = [_out_of_date(catalog, rollup) for lease, rollup in wanted.items() if lease not in leased]
    out_of_date = tuple(entry for entry in entries if entry is not None)
    plan = RollupPlan(rollup_run_id, now.isoformat(), definitions.key, out_of_date)
    if plan.rollups:
        plan = RollupPlan.from_json(papers.write_plan(rollup_run_id, plan.to_json()))
    for lease in sorted(set(wanted) - set(leased) - set(_leases(plan))):
        lease_store.release_lease(clients, settings, lease, rollup_run_id)
    return _answer(papers, plan)


def abandon_rollups(clients: Clients, settings: Settings, *, rollup_run_id: str) -> None:
    """Frees the leases of rollups whose job failed for good, so that the next run need not wait for their expiry."""
    plan = RollupPlan.from_json(Papers(clients, settings, ROLLUPS_PREFIX).read_plan(rollup_run_id))
    for lease in _leases(plan):
        lease_store.release_lease(clients, settings, lease, rollup_run_id)


def publish_rollups(
    clients: Clients, settings: Settings, *, rollup_run_id: str, job_run_id: str, now: datetime
) -> dict[str, Any]:
    """Publishes each rebuilt rollup that its suite lets through; any other is rebuilt by the next run. Idempotent."""
    papers = Papers(clients, settings, ROLLUPS_PREFIX)
    ended = papers.read_outcome(rollup_run_id)
    if ended is not None:
        return ended
    plan = RollupPlan.from_json(papers.read_plan(rollup_run_id))
    receipt = parse_rollup_receipt(papers.read_receipt(rollup_run_id, job_run_id))
    _require_same_run(receipt, plan, job_run_id)
    catalog = open_catalog(settings)
    outcome: dict[str, Any] = {
        "rollup_run_id": rollup_run_id,
        "job_run_id": job_run_id,
        "published": {},
        "empty": [],
        "held": {},
        "failed": {},
        "stale": [],
        "warnings": {},
        "days": {},
        "ended_at": now.isoformat(),
        "receipt_uri": papers.receipt_uri(rollup_run_id, job_run_id),
    }
    for entry in plan.rollups:
        done = next((one for one in receipt.rollups if one.table == entry.table), None)
        _publish_one(catalog, receipt, entry, done, outcome)
    said = {one.table: one.validation for one in receipt.rollups}
    write_validations(catalog, settings, rollup_run_id, job_run_id, said, now)
    outcome = papers.write_outcome(rollup_run_id, outcome)
    for lease in _leases(plan):
        lease_store.release_lease(clients, settings, lease, rollup_run_id)
    _LOG.info(json.dumps({"decision": "publish_rollups"} | outcome))
    return outcome


def _publish_one(
    catalog: GlueCatalog,
    receipt: RollupReceipt,
    entry: RollupEntry,
    done: RollupReceiptEntry | None,
    outcome: dict[str, Any],
) -> None:
    verdict = judge_rollup(done)
    if isinstance(verdict, Fail):
        outcome["failed"][entry.table] = list(verdict.reasons)
        return
    assert done is not None, "a rollup without a receipt has failed"
    if isinstance(verdict, Hold):
        outcome["held"][entry.table] = list(verdict.reasons)
        return
    if verdict.warnings:
        outcome["warnings"][entry.table] = list(verdict.warnings)
    if done.staged_snapshot_id is None:
        outcome["empty"].append(entry.table)
        return
    staged = Staged(
        entry.table,
        done.base_snapshot_id,
        done.staged_snapshot_id,
        done.branch,
        done.added_records,
        None,
        {
            ROLLUP_RUN_ID_PROPERTY: receipt.rollup_run_id,
            JOB_RUN_ID_PROPERTY: receipt.job_run_id,
            # a rollup that misremembers what it has seen is never rebuilt again
            SOURCES_PROPERTY: sources_text(entry.sources),
        },
    )
    answer = publish_table(catalog, staged)
    if isinstance(answer, Published):
        outcome["published"][entry.table] = done.added_records
        outcome["days"][entry.table] = list(entry.dates)
    elif isinstance(answer, Stale):
        outcome["stale"].append(entry.table)
    else:
        outcome["held"][entry.table] = [answer.reason]


def seen_by_rollups(catalog: GlueCatalog, rollups: Iterable[str]) -> dict[str, set[int]]:
    """Source table -> its snapshots that rollups have seen last."""
    seen: dict[str, set[int]] = defaultdict(set)
    for name in rollups:
        for source, snapshot_id in _seen(catalog.load_table(name).current_snapshot()).items():
            seen[source].add(snapshot_id)
    return seen


def _seen(snapshot: Snapshot | None) -> dict[str, int]:
    if snapshot is None or snapshot.summary is None:
        return {}
    return parse_sources(snapshot.summary.additional_properties.get(SOURCES_PROPERTY))


def _out_of_date(catalog: GlueCatalog, rollup: Rollup) -> RollupEntry | None:
    """What to rebuild; nothing while a source of the rollup has no table or was never published."""
    table = _load(catalog, f"{ROLLUPS_DATABASE}.{rollup.name}")
    snapshot = None if table is None else table.current_snapshot()
    seen = _seen(snapshot)
    changes: list[SourceChange] = []
    for name in rollup.sources:
        source = _load(catalog, name)
        shown = None if source is None else source.current_snapshot()
        if source is None or shown is None:
            return None
        changes.append(_change(name, source, shown.snapshot_id, seen.get(name)))
    return plan_rollup(rollup.name, None if snapshot is None else snapshot.snapshot_id, changes, rollup.window)


def _change(name: str, source: Table, current: int, seen: int | None) -> SourceChange:
    before = None
    if seen is not None and source.metadata.snapshot_by_id(seen) is not None:
        if _before_compactions(source, seen) == _before_compactions(source, current):
            return SourceChange(name, current, frozenset())
        before = _files(source, seen)
    return SourceChange(name, current, changed_days(before, _files(source, current)))


def _files(table: Table, snapshot_id: int) -> list[DataFile]:
    return [DataFile("\n".join([file.path, *file.deletes]), file.day) for file in live_files(table, snapshot_id)]


def _before_compactions(table: Table, snapshot_id: int) -> int:
    """The newest snapshot with these very rows that no compaction made: a rollup that has seen it has seen all."""
    snapshot = table.metadata.snapshot_by_id(snapshot_id)
    while snapshot is not None and snapshot.parent_snapshot_id is not None and snapshot.summary is not None:
        if COMPACTION_ID_PROPERTY not in snapshot.summary.additional_properties:
            break
        parent = table.metadata.snapshot_by_id(snapshot.parent_snapshot_id)
        if parent is None:
            break
        snapshot = parent
    return snapshot_id if snapshot is None else snapshot.snapshot_id


def _load(catalog: GlueCatalog, name: str) -> Table | None:
    try:
        return catalog.load_table(name)
    except NoSuchTableError:
        return None


def _lease_of(rollup: Rollup) -> str:
    return lease_of_table(f"{ROLLUPS_DATABASE}.{rollup.name}")


def _leases(plan: RollupPlan) -> list[str]:
    return [lease_of_table(entry.table) for entry in plan.rollups]


def _require_same_run(receipt: RollupReceipt, plan: RollupPlan, job_run_id: str) -> None:
    if (receipt.rollup_run_id, receipt.job_run_id) != (plan.rollup_run_id, job_run_id):
        raise TerminalError(
            f"publishing rollups {plan.rollup_run_id}: received a receipt of {receipt.rollup_run_id} run "
            f"{receipt.job_run_id}; valid is run {job_run_id}; nothing was published; clear stage_rollups"
        )


def _answer(papers: Papers, plan: RollupPlan) -> dict[str, Any]:
    return {
        "rollup_run_id": plan.rollup_run_id,
        "plan_uri": papers.plan_uri(plan.rollup_run_id),
        "receipt_prefix": papers.folder_uri(plan.rollup_run_id),
        "rollups": len(plan.rollups),
        "dates": sum(len(entry.dates) for entry in plan.rollups),
        "nothing_to_do": not plan.rollups,
        "leased": [],
    }
