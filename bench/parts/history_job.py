"""The load of one hour or day into a table with days of history, and into the same table without any.

Runs in the jobs' environment. The history is the first batch, written again for each earlier day with other uuids, a
commit a day, as daily loads would have left it. Rounds alternate: no history, all of it; none is published.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from bench.parts.lakes import bench_lake, counts, landings_of
from bench.parts.measured import Meter, tell
from eventlake_spark.table_ddl import open_table


def main(order: dict[str, Any]) -> None:
    earlier, batch = landings_of(order["earlier"]), landings_of(order["objects"])
    lake = bench_lake(order, batch)
    receipt = lake.load_and_publish(*earlier)
    (entry,) = receipt["tables"]
    table = f"glue_catalog.{entry['table']}"
    for back in range(1, order["days"] + 1):
        lake.session.sql(f"INSERT INTO {table} {earlier_day(lake.session.table(table).columns, entry, back)}")
    full = lake.main_of(entry["table"])
    rows = lake.session.table(table).count()
    spent: dict[str, list[dict[str, Any]]] = {"none": [], "all": []}
    meter = Meter()
    for _ in range(order["rounds"]):
        for name, snapshot_id in (("none", entry["base_snapshot_id"]), ("all", full)):
            opened = open_table(lake.session, entry["table"])
            assert opened is not None
            opened._table.manageSnapshots().setCurrentSnapshot(snapshot_id).commit()
            plan = lake.plan(*batch, load_id=f"bench-0123456789-g{len(spent['none']) + len(spent['all']) + 1}")
            meter.lap()
            receipt = lake.run(plan)
            spent[name].append({**meter.lap(), **counts(receipt)})
    tell({"history_rows": rows, **spent})


def earlier_day(columns: list[str], entry: dict[str, Any], back: int, where: str = "true", hint: str = "") -> str:
    """A query for the rows that a load staged, so many days back and with other uuids."""
    made = {
        "event_uuid": f"concat('{0xF0000000 + back:08x}', substr(event_uuid, 9))",
        "event_date": f"date_sub(event_date, {back})",
        "created_datetime": f"created_datetime - INTERVAL {back} DAYS",
    }
    select = ", ".join(f"{made.get(name, f'`{name}`')} AS `{name}`" for name in columns)
    rows = f"glue_catalog.{entry['table']} VERSION AS OF {entry['staged_snapshot_id']}"
    return f"SELECT {f'/*+ {hint} */' if hint else ''} {select} FROM {rows} WHERE {where}"


if __name__ == "__main__":
    main(json.load(sys.stdin))
