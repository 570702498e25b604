"""The lake that a measured part works on: its definitions, its session, its landings.

What does not belong here: what is measured.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.parts.measured import JAVA_MEMORY
from disk_lake.lake import RAW, DiskLake
from disk_lake.session import prepare_session
from eventlake.layout import Area
from eventlake.load_plan import Landing, table_of_type
from eventlake_spark.session import start_session

INCLUDE = Path(__file__).parents[2] / "include"
# no compiler is switched off and no archive of classes is there: as on Glue
SETTINGS = {
    "spark.driver.memory": JAVA_MEMORY,
    "spark.driver.maxResultSize": "256m",
    "spark.ui.showConsoleProgress": "false",
}


def bench_lake(order: Mapping[str, Any], landings: Iterable[Landing]) -> DiskLake:
    """A lake that shares tables and raw objects with the other parts of a benchmark, for a load of these landings."""
    folder = Path(order["folder"])
    prepare_session(folder, SETTINGS)
    sizes_bytes: Counter[str] = Counter()
    for landing in landings:
        sizes_bytes[str(landing.event_type)] += landing.size_bytes
    session = start_session("bench", max(sizes_bytes.values(), default=0))
    own = folder / f"process-{os.getpid()}"
    own.mkdir()
    (own / RAW).symlink_to(folder / RAW)
    lake = DiskLake(session, own)
    suites = definitions("expectations", "*.json") if order["with_gate"] else {}
    lake.define(order.get("contracts") or definitions("contracts", "*/*.json"), suites)
    lake.tables = {table_of_type(event_type) for event_type, _ in lake.pairs}
    return lake


def definitions(folder: str, pattern: str) -> dict[str, Any]:
    files = sorted((INCLUDE / folder).glob(pattern))
    return {
        str(file.relative_to(INCLUDE / folder).with_suffix("")): json.loads(file.read_text(encoding="utf-8"))
        for file in files
    }


def landings_of(objects_file: str) -> list[Landing]:
    return [
        Landing(
            each["key"],
            f"etag-{number}",
            each["size_bytes"],
            Area.RAW.value,
            each["event_type"],
            each["event_subtype"],
        )
        for number, each in enumerate(json.loads(Path(objects_file).read_text()))
    ]


def counts(receipt: Mapping[str, Any]) -> dict[str, int]:
    """The receipt's, over all tables. A part in which a table failed measures nothing."""
    failed = [entry["error"] for entry in receipt["tables"] if entry["error"]]
    if failed:
        raise RuntimeError(f"loading for a benchmark: {failed[0]}")
    names = ("lines", "loaded", "duplicate", "quarantined")
    return {name: sum(entry["counts"][name] for entry in receipt["tables"]) for name in names}
