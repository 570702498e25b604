"""The data files that readers of a snapshot see, with the event day that each is of. What follows is the callers'."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

from pyiceberg.table import Table

_EPOCH = date(1970, 1, 1)


class LiveDataFile(NamedTuple):
    """`day` is empty in a table without partitions. `deletes`: paths of the delete files that apply to it."""

    path: str
    day: str
    size_bytes: int
    rows: int
    deletes: tuple[str, ...]


def live_files(table: Table, snapshot_id: int) -> Iterator[LiveDataFile]:
    for task in table.scan(snapshot_id=snapshot_id).plan_files():
        # partitioned by day, and by nothing before it; Iceberg keeps a day as days since 1970
        days = [_EPOCH + timedelta(days=int(task.file.partition[0]))] if len(task.file.partition) else []
        yield LiveDataFile(
            task.file.file_path,
            days[0].isoformat() if days else "",
            task.file.file_size_in_bytes,
            task.file.record_count,
            tuple(sorted(delete.file_path for delete in task.delete_files)),
        )
