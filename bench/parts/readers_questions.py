"""What readers ask a table, and what they have to open for it: one day, one subtype, one uuid.

Runs in the laptop's environment, with PyIceberg as `make why` does. Files whose bounds rule a row out are
not opened; of an opened file, row groups whose statistics do so are not read.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any
from urllib.parse import urlparse

import pyarrow.parquet as pq
from pyiceberg.table import StaticTable, Table

from bench.parts.measured import tell

LOOKUPS = 7
SUBTYPE = "event_subtype"


def main(order: dict[str, Any]) -> None:
    table = StaticTable.from_metadata(order["metadata"])
    told = {}
    for name in ("before", "after"):
        snapshot_id = order[name]
        told[name] = {
            "whole": _opened(table, snapshot_id),
            "one_day": _opened(table, snapshot_id, f"event_date == '{order['day']}'"),
            "one_subtype": _opened(table, snapshot_id, f"{SUBTYPE} == '{order['subtype']}'", order["subtype"]),
            "lookup_s": _lookup_s(table, snapshot_id, order["uuids"]),
        }
    tell(told)


def _opened(table: Table, snapshot_id: int, row_filter: str = "true", subtype: str | None = None) -> dict[str, int]:
    tasks = list(table.scan(row_filter=row_filter, snapshot_id=snapshot_id).plan_files())
    sizes = [size for task in tasks for size in _matching_groups(task.file.file_path, subtype)]
    return {"files": len(tasks), "row_groups": len(sizes), "bytes": sum(sizes)}


def _matching_groups(path: str, subtype: str | None) -> list[int]:
    """Bytes of each row group that may hold the subtype."""
    metadata = pq.read_metadata(urlparse(path).path)
    place = metadata.schema.names.index(SUBTYPE) if subtype else 0
    found = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        bounds = group.column(place).statistics
        if subtype is None or bounds.min <= subtype <= bounds.max:
            found.append(sum(group.column(column).total_compressed_size for column in range(group.num_columns)))
    return found


def _lookup_s(table: Table, snapshot_id: int, uuids: list[str]) -> float:
    """Median over uuids that are there; the first one only warms up."""
    spent = []
    for uuid in uuids[: LOOKUPS + 1]:
        started = time.monotonic()
        found = table.scan(
            row_filter=f"event_uuid == '{uuid}'", selected_fields=("event_name", "load_id"), snapshot_id=snapshot_id
        ).to_arrow()
        spent.append(time.monotonic() - started)
        if found.num_rows != 1:
            raise RuntimeError(f"looking up {uuid}: received {found.num_rows} rows, valid is one")
    return round(statistics.median(spent[1:]), 3)


if __name__ == "__main__":
    main(json.load(sys.stdin))
