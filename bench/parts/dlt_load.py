"""What a user would install instead: dlt, merging on the uuid into DuckDB, as its documentation shows it.

Runs in an environment of its own (requirements/bench.in). No rules: dlt takes what comes; objects within an event stay
JSON, or each of them would become a table. https://dlthub.com/docs/general-usage/merge-loading
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.parts.measured import Meter, tell


def main(order: dict[str, Any]) -> None:
    meter = Meter()
    folder = Path(order["folder"])
    os.environ |= {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DLT_DATA_DIR": str(folder / "dlt"),
        "DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
    }
    import dlt

    paths = [folder / "a-raw" / each["key"] for each in json.loads(Path(order["objects"]).read_text())]

    @dlt.resource(write_disposition="merge", primary_key="event_uuid", max_table_nesting=0)
    def events() -> Iterator[list[Any]]:
        for path in paths:
            with gzip.open(path) as lines:
                # an event without its uuid would stop the whole load; admission lets none in
                yield [json.loads(line) for line in lines]

    destination = dlt.destinations.duckdb(str(folder / "dlt.duckdb"))
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="events", pipelines_dir=str(folder / "dlt"))
    start = meter.lap()
    pipeline.run(events())
    spent = meter.lap()
    with pipeline.sql_client() as client:
        rows = client.execute_sql("SELECT count(*) FROM events")[0][0]
    tell({"start": start, "rounds": [{**spent, "loaded": rows}]})


if __name__ == "__main__":
    main(json.load(sys.stdin))
