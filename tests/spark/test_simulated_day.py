"""A simulated day through the real load job, all types at once, against the oracle that knows where each line must end.

Stream, landing and publishing are stood in for: what is judged here is the job, its contracts, suites and rules.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from disk_lake.lake import DiskLake
from eventlake.admission import Candidate, examine
from eventlake.enrichment import split_event_name
from simulator.oracle import Oracle
from simulator.stream import lines
from simulator.traffic import Traffic
from tests.builders import CODE_HASH, EIGHT_O_CLOCK_SECONDS, an_arrival

INCLUDE = Path(__file__).parents[2] / "include"
TRAFFIC = Traffic(
    events=2_000, seed=21, now=EIGHT_O_CLOCK_SECONDS, contract_breaking=0.06, late=0.03, uncontracted=0.01
)


def _documents(folder: str, pattern: str) -> dict[str, Any]:
    files = sorted((INCLUDE / folder).glob(pattern))
    return {
        str(file.relative_to(INCLUDE / folder).with_suffix("")): json.loads(file.read_text(encoding="utf-8"))
        for file in files
    }


@pytest.mark.long
def test_a_simulated_day_ends_where_its_oracle_says(lake: DiskLake) -> None:
    # given: everything that admission lets in, twice as a retry would, by type and subtype
    lake.define(_documents("contracts", "*/*.json"), _documents("expectations", "*.json"))
    oracle = Oracle(TRAFFIC.seed, TRAFFIC.events)
    admitted: dict[tuple[str, str], dict[str, bytes]] = defaultdict(dict)
    for number, line in enumerate(lines(TRAFFIC)):
        oracle.note(line.fate)
        answer = examine(an_arrival(line.data, number=number), CODE_HASH)
        if isinstance(answer, Candidate):
            event_type, subtype, _ = split_event_name(answer.event_name)
            admitted[event_type, subtype].setdefault(answer.event_uuid, answer.line)
    landings = [lake.land([*each.values(), *list(each.values())[:2]], *pair) for pair, each in admitted.items()]
    # when
    receipt = lake.load(*landings)
    # then
    assert {entry["table"]: entry["error"] for entry in receipt["tables"] if entry["error"]} == {}
    failed = {
        entry["table"]: [result for result in entry["validation"]["results"] if result["success"] is not True]
        for entry in receipt["tables"]
        if entry["validation"]["success"] is not True
    }
    assert failed == {}
    staged = {
        entry["table"]: {row.event_uuid for row in lake.staged_rows(entry, "event_uuid")}
        for entry in receipt["tables"]
        if entry["staged_snapshot_id"] is not None
    }
    book = oracle.document()
    assert staged == {table: set(uuids) for table, uuids in book["tables"].items()}
    quarantined = defaultdict(set)
    for row in lake.beside(receipt, "quarantine_uri"):
        quarantined[row["reason"]].add(row["event_uuid"])
    assert quarantined == {reason: set(uuids) for reason, uuids in book["quarantine"].items()}
    counts = [entry["counts"] for entry in receipt["tables"]]
    assert sum(each["lines"] for each in counts) == sum(
        each["loaded"] + each["duplicate"] + each["quarantined"] for each in counts
    )
