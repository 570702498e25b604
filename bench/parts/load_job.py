"""The lake's own load, as a Glue job run does it: plan, row rules, quarantine, dedup against history, Iceberg commits.

Runs in the jobs' environment, with its tables and objects in a folder: no S3, no Glue. `rounds` loads of the same
objects in one process, each to a branch of its own, none published: the first is what a cold process costs, the others
a warm one. The start of Python and Java is told apart; without `with_gate` the gate is left out whole, its import too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.parts.measured import Meter, tell

CHECKOUT = Path(__file__).parents[2]


def main(order: dict[str, Any]) -> None:
    meter = Meter()
    if not order["with_gate"]:
        sys.modules["great_expectations"] = None
    from bench.parts.lakes import bench_lake, counts, landings_of

    landings = landings_of(order["objects"])
    lake = bench_lake(order, landings)
    start = meter.lap()
    rounds = []
    receipt: dict[str, Any] = {}
    for number in range(order["rounds"]):
        plan = lake.plan(*landings, load_id=f"bench-0123456789-g{number + 1}")
        # what plans in production is another process, and so is what publishes
        meter.lap()
        receipt = lake.run(plan)
        rounds.append({**meter.lap(), **counts(receipt)})
    if order["publish"]:
        lake.publish(receipt)
    if order["truth"]:
        for entry in receipt["tables"]:
            rows = f"SELECT event_uuid FROM glue_catalog.{entry['table']} VERSION AS OF {entry['staged_snapshot_id']}"
            lake.session.sql(rows).write.parquet(f"{order['truth']}/{entry['table']}")
    columns = {
        entry["table"]: dict(lake.session.table(f"glue_catalog.{entry['table']}").dtypes) for entry in receipt["tables"]
    }
    tell({"start": start, "rounds": rounds, "columns": columns})


if __name__ == "__main__":
    main(json.load(sys.stdin))
