"""Moving one table's `main` to a staged snapshot, or not: the last fence before readers.

Belongs here: the checks against the table itself, and the one commit. Does not belong here: the verdict on quality
(`eventlake.verdict`), the landings, the quarantine (`load_steps`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table
from pyiceberg.table import update as table_update
from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRefType
from pyiceberg.table.snapshots import Snapshot, ancestors_of

from eventlake_aws.iceberg_catalog import commit_again

# PyIceberg's updates are pydantic models that take field names as well as aliases; mypy sees the aliases only
_UPDATE: Any = table_update

LOAD_ID_PROPERTY = "eventlake.load_id"
JOB_RUN_ID_PROPERTY = "eventlake.job_run_id"
COMPACTION_ID_PROPERTY = "eventlake.compaction_id"


@dataclass(frozen=True)
class Staged:
    """What a receipt says was staged."""

    table: str
    base_snapshot_id: int | None
    staged_snapshot_id: int
    branch: str
    added_records: int
    # None: nobody counted them before, as in the days that a rollup replaces
    removed_records: int | None
    # what the snapshot must say of itself, so that nobody publishes an orphan's work by its number
    properties: Mapping[str, str]


@dataclass(frozen=True)
class Published:
    table: str
    snapshot_id: int


@dataclass(frozen=True)
class Stale:
    """Somebody published in between: the staged rows were compared with a main that is no more."""

    table: str
    reason: str


@dataclass(frozen=True)
class Refused:
    """The snapshot is not what the receipt says. Trying again cannot help."""

    table: str
    reason: str


def main_snapshot_id(catalog: GlueCatalog, table_name: str) -> int | None:
    """What readers see now; None when there is no table or nothing was ever published."""
    try:
        table = catalog.load_table(table_name)
    except NoSuchTableError:
        return None
    return _main(table)


def publish_table(catalog: GlueCatalog, staged: Staged) -> Published | Stale | Refused:
    """`main` := staged, in the same commit that drops the branch, if nothing moved. Publishing twice is harmless."""
    return commit_again(f"publishing {staged.table}", lambda: _publish_once(catalog, staged))


def inspect_staged(catalog: GlueCatalog, staged: Staged) -> Published | Stale | Refused | None:
    """What publishing would answer without moving anything; None when it would move main."""
    try:
        return _answer(catalog.load_table(staged.table), staged)
    except NoSuchTableError:
        return Refused(staged.table, "there is no such table")


def drop_branch(catalog: GlueCatalog, table_name: str, branch: str) -> bool:
    """Drops the branch of a load that will never be published; False when it is gone already."""

    def attempt() -> bool:
        table = catalog.load_table(table_name)
        if branch not in table.metadata.refs:
            return False
        catalog.commit_table(table, (_same_table(table),), (_UPDATE.RemoveSnapshotRefUpdate(ref_name=branch),))
        return True

    return commit_again(f"dropping branch {branch} of {table_name}", attempt)


def move_main(catalog: GlueCatalog, table_name: str, seen: int | None, target: int) -> Published | Stale:
    """Undo's one act: main := target, if main is still what was seen when the undo was planned."""

    def attempt() -> Published | Stale:
        table = catalog.load_table(table_name)
        if _main(table) != seen:
            return Stale(table_name, f"main is {_main(table)}, was {seen}")
        _set_main(catalog, table, seen, target, None)
        return Published(table_name, target)

    return commit_again(f"moving main of {table_name}", attempt)


def _publish_once(catalog: GlueCatalog, staged: Staged) -> Published | Stale | Refused:
    try:
        table = catalog.load_table(staged.table)
    except NoSuchTableError:
        return Refused(staged.table, "there is no such table")
    answer = _answer(table, staged)
    if answer is not None:
        return answer
    _set_main(catalog, table, staged.base_snapshot_id, staged.staged_snapshot_id, staged.branch)
    return Published(staged.table, staged.staged_snapshot_id)


def _answer(table: Table, staged: Staged) -> Published | Stale | Refused | None:
    snapshot = table.metadata.snapshot_by_id(staged.staged_snapshot_id)
    if snapshot is None:
        return Refused(staged.table, f"no snapshot {staged.staged_snapshot_id} in the table")
    wrong = _mismatch(snapshot, staged)
    if wrong is not None:
        return Refused(staged.table, wrong)
    main = _main(table)
    if main is not None and staged.staged_snapshot_id in {one.snapshot_id for one in _ancestors(table, main)}:
        return Published(staged.table, staged.staged_snapshot_id)
    if main != staged.base_snapshot_id:
        return Stale(staged.table, f"main is {main}, staged on {staged.base_snapshot_id}")
    if not _follows(table, snapshot, staged.base_snapshot_id):
        reason = f"the staged snapshot's parent {snapshot.parent_snapshot_id} is not the base {main}"
        return Refused(staged.table, reason)
    return None


def _mismatch(snapshot: Snapshot, staged: Staged) -> str | None:
    summary = snapshot.summary.additional_properties if snapshot.summary is not None else {}
    for verb, said in (("added", staged.added_records), ("deleted", staged.removed_records)):
        counted = int(summary.get(f"{verb}-records", "0"))
        if said is not None and counted != said:
            return f"the snapshot {verb} {counted} records, the receipt says {said}"
    for name, expected in staged.properties.items():
        if summary.get(name) != expected:
            return f"the snapshot's {name} is {summary.get(name)!r}, awaited is {expected!r}"
    return None


def _follows(table: Table, snapshot: Snapshot, base: int | None) -> bool:
    """Directly, or over the empty snapshot that Spark makes to hang a branch of a never-written table on."""
    if snapshot.parent_snapshot_id == base:
        return True
    if snapshot.parent_snapshot_id is None:
        return False
    parent = table.metadata.snapshot_by_id(snapshot.parent_snapshot_id)
    if parent is None or parent.summary is None or parent.parent_snapshot_id != base:
        return False
    properties = parent.summary.additional_properties
    return all(properties.get(f"{verb}-data-files", "0") == "0" for verb in ("added", "deleted"))


def _set_main(catalog: GlueCatalog, table: Table, base: int | None, target: int, branch: str | None) -> None:
    updates = [_UPDATE.SetSnapshotRefUpdate(ref_name=MAIN_BRANCH, type=SnapshotRefType.BRANCH, snapshot_id=target)]
    if branch is not None and branch in table.metadata.refs:
        updates.append(_UPDATE.RemoveSnapshotRefUpdate(ref_name=branch))
    catalog.commit_table(
        table,
        (_same_table(table), _UPDATE.AssertRefSnapshotId(ref=MAIN_BRANCH, snapshot_id=base)),
        tuple(updates),
    )


def _same_table(table: Table) -> Any:
    """A table dropped and made anew bears the same name and is another one."""
    return _UPDATE.AssertTableUUID(uuid=table.metadata.table_uuid)


def _main(table: Table) -> int | None:
    ref = table.metadata.refs.get(MAIN_BRANCH)
    return None if ref is None else ref.snapshot_id


def _ancestors(table: Table, snapshot_id: int) -> list[Snapshot]:
    snapshot = table.metadata.snapshot_by_id(snapshot_id)
    return [] if snapshot is None else list(ancestors_of(snapshot, table.metadata))
