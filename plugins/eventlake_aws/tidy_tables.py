"""Tidying tables: snapshots expired, branches of the past dropped, files that nothing names deleted.

What to forget is decided by `eventlake.table_upkeep`, before anything is touched; a dry run ends there. Expiry only
forgets snapshots, and the files that were theirs alone go like all files that nothing names. So whatever a crash leaves
behind, the next run finds. Each table is tidied under its lease; one that is leased elsewhere is left for the next run.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.table import Table
from pyiceberg.table.refs import MAIN_BRANCH

from eventlake.leases import LeaseAnswer, lease_of_table
from eventlake.settings import ICEBERG_DATABASES, ROLLUPS_DATABASE, Settings
from eventlake.table_upkeep import SnapshotFact, StoredFile, branches_to_drop, orphans, snapshots_to_expire
from eventlake_aws import lease_store
from eventlake_aws.bucket_listing import list_objects
from eventlake_aws.clients import Clients
from eventlake_aws.iceberg_catalog import commit_again, open_catalog, tables_of
from eventlake_aws.publish import drop_branch
from eventlake_aws.rollups import seen_by_rollups
from eventlake_aws.staged_branches import staged_branches

_LOG = logging.getLogger(__name__)
_THREADS = 8
_MOST_DELETED_AT_ONCE = 1000


@dataclass(frozen=True)
class Tidying:
    """What one table is to forget."""

    table: str
    branches: tuple[str, ...]
    snapshots: tuple[int, ...]
    files: tuple[StoredFile, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.branches or self.snapshots or self.files)


def tidy_tables(clients: Clients, settings: Settings, *, owner: str, dry_run: bool, now: datetime) -> dict[str, Any]:
    """Tidies every table, or says what it would do. `owner`: who holds the leases meanwhile."""
    catalog = open_catalog(settings)
    names = tables_of(catalog, ICEBERG_DATABASES)
    seen = seen_by_rollups(catalog, [name for name in names if name.startswith(f"{ROLLUPS_DATABASE}.")])

    def tidy(name: str) -> tuple[Tidying, bool]:
        tidying = _tidying_of(clients, settings, catalog, name, seen.get(name, frozenset()), now)
        if dry_run or tidying.is_empty:
            return tidying, True
        return tidying, _carry_out(clients, settings, catalog, tidying, owner, now)

    with ThreadPoolExecutor(_THREADS) as pool:
        tidied = list(pool.map(tidy, names))
    done = [tidying for tidying, is_done in tidied if is_done and not tidying.is_empty]
    files = [file for tidying in done for file in tidying.files]
    answer = {
        "dry_run": dry_run,
        "tables": {tidying.table: _told(tidying) for tidying in done},
        "branches": sum(len(tidying.branches) for tidying in done),
        "snapshots": sum(len(tidying.snapshots) for tidying in done),
        "files": len(files),
        "bytes": sum(file.size_bytes for file in files),
        "leased_elsewhere": [tidying.table for tidying, is_done in tidied if not is_done],
    }
    _LOG.info(json.dumps({"decision": "tidy_tables"} | answer))
    return answer


def _told(tidying: Tidying) -> dict[str, Any]:
    return {
        "branches": list(tidying.branches),
        "snapshots": len(tidying.snapshots),
        "files": [file.key for file in tidying.files],
    }


def _tidying_of(
    clients: Clients, settings: Settings, catalog: GlueCatalog, name: str, seen: Collection[int], now: datetime
) -> Tidying:
    """`seen`: snapshots that rollups compare the newest one with; without them, they would rebuild every day."""
    table = catalog.load_table(name)
    undo_window, orphan_age = timedelta(days=settings.undo_window_days), timedelta(days=settings.orphan_age_days)
    branches = branches_to_drop(staged_branches(clients, settings, name, table), now, orphan_age, undo_window)
    snapshots = tuple(one for one in _expired(table, branches, now, undo_window) if one not in seen)
    old = orphans(_stored(clients, settings, table), (), now, orphan_age)
    if old:
        # listed first, read then: what a commit in between began to name is found named
        table = table.refresh()
        old = orphans(old, _named_keys(settings, table, snapshots), now, orphan_age)
    return Tidying(name, branches, snapshots, old)


def _carry_out(
    clients: Clients, settings: Settings, catalog: GlueCatalog, tidying: Tidying, owner: str, now: datetime
) -> bool:
    """False when another writer has the table."""
    lease = lease_of_table(tidying.table)
    if lease_store.take_lease(clients, settings, lease, owner, now) is LeaseAnswer.REFUSED:
        return False
    for branch in tidying.branches:
        drop_branch(catalog, tidying.table, branch)

    def expire() -> None:
        table = catalog.load_table(tidying.table)
        heads = {ref.snapshot_id for ref in table.metadata.refs.values()}
        there = {snapshot.snapshot_id for snapshot in table.metadata.snapshots}
        gone = sorted((set(tidying.snapshots) & there) - heads)
        if gone:
            table.maintenance.expire_snapshots().by_ids(gone).commit()

    if tidying.snapshots:
        commit_again(f"expiring snapshots of {tidying.table}", expire)
    _delete(clients, settings, tidying.files)
    lease_store.release_lease(clients, settings, lease, owner)
    return True


def _expired(table: Table, dropped: Collection[str], now: datetime, undo_window: timedelta) -> tuple[int, ...]:
    heads = {branch: ref.snapshot_id for branch, ref in table.metadata.refs.items() if branch not in dropped}
    facts = (
        SnapshotFact(
            snapshot.snapshot_id, snapshot.parent_snapshot_id, datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
        )
        for snapshot in table.metadata.snapshots
    )
    return snapshots_to_expire(facts, heads.get(MAIN_BRANCH), set(heads.values()), now, undo_window)


def _stored(clients: Clients, settings: Settings, table: Table) -> Iterator[StoredFile]:
    folder = _key(settings, table.location().rstrip("/") + "/")
    for found in list_objects(clients.s3, settings.lake_bucket, folder):
        yield StoredFile(found.key, found.size_bytes, found.last_modified)


def _named_keys(settings: Settings, table: Table, expired: Collection[int]) -> set[str]:
    """Every file that the table's metadata names, but for what expired snapshots alone do."""
    metadata = table.metadata
    named = {table.metadata_location, *(entry.metadata_file for entry in metadata.metadata_log)}
    named.update(statistics.statistics_path for statistics in (*metadata.statistics, *metadata.partition_statistics))
    manifests = {}
    for snapshot in metadata.snapshots:
        if snapshot.snapshot_id not in expired:
            named.add(snapshot.manifest_list)
            manifests.update({manifest.manifest_path: manifest for manifest in snapshot.manifests(table.io)})
    for path, manifest in manifests.items():
        named.add(path)
        named.update(entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io))
    return {_key(settings, path) for path in named}


def _key(settings: Settings, uri: str) -> str:
    """The key of a file in the lake bucket; a file elsewhere is named by its whole address, which no key equals."""
    return uri.split("://", 1)[-1].removeprefix(f"{settings.lake_bucket}/")


def _delete(clients: Clients, settings: Settings, files: Sequence[StoredFile]) -> None:
    for start in range(0, len(files), _MOST_DELETED_AT_ONCE):
        chunk = [{"Key": file.key} for file in files[start : start + _MOST_DELETED_AT_ONCE]]
        clients.s3.delete_objects(Bucket=settings.lake_bucket, Delete={"Objects": chunk, "Quiet": True})
