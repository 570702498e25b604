"""`make demo INPUT=…`: events whose names no contract of the project knows, drafted contracts, exact counts."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.lake import Lake

STAND_IN = Path(__file__).parent / "data/push-events.ndjson"


def counts_of(lines: list[bytes]) -> dict[str, Any]:
    """What a file holds, and what an exact load of it reaches: the first of each uuid, by type."""
    types = [json.loads(line)["event_name"].partition(":")[0] for line in lines]
    first = dict(reversed([(json.loads(line)["event_uuid"], name) for line, name in zip(lines, types, strict=True)]))
    return {
        "lines": len(lines),
        "distinct": len(first),
        "by_type": dict(Counter(types)),
        "rows_by_type": dict(Counter(first.values())),
    }


def demo_reaches(lake: Lake, source: Path, counts: dict[str, Any]) -> None:
    print(lake.make("demo", f"INPUT={source}"))
    report = json.loads((lake.home / "demo.json").read_text())
    assert report["residual"] == 0
    assert (report["sent"], report["sent_distinct"]) == (counts["lines"], counts["distinct"])
    assert report["duplicates"] == counts["lines"] - counts["distinct"]
    assert (report["rejected"], report["quarantined"]) == ({}, {})
    assert report["tables"] == {f"events.{name}_events": rows for name, rows in counts["rows_by_type"].items()}
    assert lake.processes() == []


def test_the_real_events_reach_their_counts(lake: Lake, real_events: Path | None) -> None:
    if real_events is None:
        pytest.skip("the real events (git-events) do not lie beside this checkout; the stand-in below covers the path")
    told = json.loads((real_events / "2018-q4.counts.json").read_text())
    with gzip.open(real_events / "2018-q4.ndjson.gz") as file:
        counts = counts_of(file.read().splitlines())
    assert {name: told[name] for name in ("lines", "distinct", "by_type")}.items() <= counts.items()
    demo_reaches(lake, real_events / "2018-q4.ndjson.gz", counts)


def test_a_stand_in_for_the_real_events_reaches_its_counts(lake: Lake, real_events: Path | None) -> None:
    if real_events is not None:
        pytest.skip("the real events are here and were loaded above")
    demo_reaches(lake, STAND_IN, counts_of(STAND_IN.read_bytes().splitlines()))
