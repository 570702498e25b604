"""The gate beside one pass written by hand, on the rows that a load has staged, kept in memory as the load keeps them.

Runs in the jobs' environment. Rounds alternate; the first of each is cold, and counts for neither.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from bench.parts.lakes import bench_lake, definitions, landings_of
from bench.parts.measured import Meter, tell
from bench.parts.one_pass import unexpected_rows
from eventlake.definitions import Expectation, Suite, parse_suite
from eventlake.load_plan import type_of_table
from eventlake_spark.validation import Validator


def main(order: dict[str, Any]) -> None:
    landings = landings_of(order["objects"])
    lake = bench_lake(order, landings)
    (entry,) = lake.load(*landings)["tables"]
    staged = f"SELECT * FROM glue_catalog.{entry['table']} VERSION AS OF {entry['staged_snapshot_id']}"
    rows = lake.session.sql(staged).localCheckpoint(eager=True)
    count = rows.count()
    suite = suite_of(entry["table"])
    validator = Validator()
    gate: list[dict[str, Any]] = []
    one_pass: list[dict[str, Any]] = []
    meter = Meter()
    for _ in range(order["rounds"]):
        meter.lap()
        answer = validator.validate(rows, count, suite)
        gate.append(meter.lap())
        numbers = rows.selectExpr(*unexpected_rows(suite, count)).collect()[0]
        one_pass.append(meter.lap())
        require_same(suite.asked_of(count), answer, list(numbers))
    tell({"rows": count, "expectations": len(suite.asked_of(count)), "gate": gate, "one_pass": one_pass})


def suite_of(table: str) -> Suite:
    name = str(type_of_table(table))
    return parse_suite(name, definitions("expectations", "*.json")[name])


def require_same(asked: Sequence[Expectation], answer: dict[str, Any], numbers: list[int]) -> None:
    """Two that do not ask the same are not compared."""
    said = [result["success"] for result in answer["results"]]
    counted = [number == 0 for number in numbers]
    if said != counted:
        names = [one.type for one, a, b in zip(asked, said, counted, strict=True) if a != b]
        raise RuntimeError(f"comparing the gate with one pass: they differ on {names}: {said}, {numbers}")


if __name__ == "__main__":
    main(json.load(sys.stdin))
