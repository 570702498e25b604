"""What a table may forget: snapshots that no undo needs, branches that nobody will publish, files that nobody names.

Belongs here: the rules, over facts that are handed in. Does not belong here: reading metadata, committing, deleting
(`eventlake_aws.tidy_tables`); ages are settings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple


class SnapshotFact(NamedTuple):
    snapshot_id: int
    parent_id: int | None
    made_at: datetime


@dataclass(frozen=True)
class BranchFact:
    """A branch that a job staged on. `has_ended`: its load has its outcome, or there is no load that could want it."""

    name: str
    staged_at: datetime
    has_ended: bool
    is_held: bool


class StoredFile(NamedTuple):
    key: str
    size_bytes: int
    last_modified: datetime


def snapshots_to_expire(
    snapshots: Iterable[SnapshotFact], main: int | None, heads: Collection[int], now: datetime, undo_window: timedelta
) -> tuple[int, ...]:
    """Those made before the window, but for every branch's head and for what `main` showed when the window began.

    So each load that was published within the window can be taken back, and what is held can be looked at.
    """
    by_id = {snapshot.snapshot_id: snapshot for snapshot in snapshots}
    begin = now - undo_window
    kept = {snapshot.snapshot_id for snapshot in by_id.values() if snapshot.made_at >= begin} | set(heads)
    current = by_id.get(main) if main is not None else None
    while current is not None and current.made_at >= begin:
        current = by_id.get(current.parent_id) if current.parent_id is not None else None
    if current is not None:
        kept.add(current.snapshot_id)
    return tuple(sorted(by_id.keys() - kept))


def branches_to_drop(
    branches: Iterable[BranchFact], now: datetime, orphan_age: timedelta, undo_window: timedelta
) -> tuple[str, ...]:
    """Branches of loads that have ended and hold nothing; of loads that never ended, when nobody can mean them any
    more. Young ones stay: a job may have staged them a moment ago."""
    return tuple(
        sorted(
            branch.name
            for branch in branches
            if not branch.is_held and now - branch.staged_at > (orphan_age if branch.has_ended else undo_window)
        )
    )


def orphans(
    stored: Iterable[StoredFile], named: Collection[str], now: datetime, orphan_age: timedelta
) -> tuple[StoredFile, ...]:
    """Files under a table that no kept snapshot names. A young one may be a running job's, which commits at its end."""
    return tuple(file for file in stored if file.key not in named and now - file.last_modified > orphan_age)
