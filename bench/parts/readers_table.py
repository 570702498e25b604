"""A table of many days in many small files, as a day of hourly loads leaves it, and the same after a compaction.

Runs in the jobs' environment. One day is loaded by the product; the others are written from it with other uuids, in a
commit for each of `loads_a_day`. Then the product's own plan and job compact what pays. Both snapshots stay.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import compact_tables
from bench.parts.history_job import earlier_day
from bench.parts.lakes import bench_lake, landings_of
from bench.parts.measured import Meter, tell
from disk_lake.lake import DiskLake
from eventlake.compaction import LiveFile, TableFiles, plan_compaction
from eventlake_spark.table_ddl import open_table

BYTE_CEILING = 8 * 1024**3
_SAMPLE = "SELECT event_uuid FROM glue_catalog.{} ORDER BY xxhash64(event_uuid) LIMIT 8"


def main(order: dict[str, Any]) -> None:
    landings = landings_of(order["objects"])
    lake = bench_lake(order, landings)
    (entry,) = lake.load_and_publish(*landings)["tables"]
    name, loads = entry["table"], order["loads_a_day"]
    columns = lake.session.table(f"glue_catalog.{name}").columns
    for back in range(1, order["days"] + 1):
        for load in range(loads):
            rows = earlier_day(columns, entry, back, f"pmod(xxhash64(event_uuid), {loads}) = {load}", "COALESCE(1)")
            lake.session.sql(f"INSERT INTO glue_catalog.{name} {rows}")
    before = lake.main_of(name)
    meter = Meter()
    lake.publish(_compacted(lake, name))
    spent = meter.lap()
    opened = open_table(lake.session, name)
    assert opened is not None
    tell(
        {
            "metadata": opened._table.operations().current().metadataFileLocation(),
            "rows": lake.session.table(f"glue_catalog.{name}").count(),
            "uuids": [row.event_uuid for row in lake.session.sql(_SAMPLE.format(name)).collect()],
            "before": before,
            "after": lake.main_of(name),
            "compaction": spent,
        }
    )


def _compacted(lake: DiskLake, name: str) -> dict[str, Any]:
    files = lake.session.sql(
        "SELECT CAST(partition.event_date AS STRING), file_size_in_bytes, record_count"
        f" FROM glue_catalog.{name}.files"
    ).collect()  # fmt: skip
    shown = TableFiles(name, lake.main_of(name) or 0, tuple(LiveFile(*row) for row in files))
    plan = plan_compaction("close_day-0123456789-g1", "now", [shown], "9999-12-31", BYTE_CEILING)
    return lake.run_job(compact_tables.main, plan.to_json(), [])


if __name__ == "__main__":
    main(json.load(sys.stdin))
