"""What readers have to open: a day, a subtype or a uuid in a table of 90 days, before its days are compacted and after.

`make bench ONLY=readers`. BENCH_EVENTS / 5 rows: a million. What does not belong here: what the compaction is told
(`eventlake.compaction`).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from bench.event_copies import most_frequent_types
from bench.part_runs import SIMULATED, PartRuns
from bench.results import Figure, Measured
from laptop.entry import whole_number

EVENTS = 5_000_000
DAYS = 90
# of an hourly schedule, to make the table in minutes; enough for a compaction to pay
LOADS_A_DAY = 10
ASKED_DAYS_BACK = 45


def measure() -> Measured:
    rows = whole_number("BENCH_EVENTS", EVENTS) // 5
    with PartRuns.open(min(SIMULATED, rows)) as bench:
        one = most_frequent_types(bench.events, 1)
        batch = bench.batch("day", one, rows // (DAYS + 1), first_copy=0)
        table = bench.part(
            "readers_table", "jobs", objects=str(batch.file), with_gate=False, days=DAYS, loads_a_day=LOADS_A_DAY
        )
        events = [event for event in bench.events if event.event_type == one[0]]
        subtype = min({event.event_subtype for event in events})
        asked = date.fromisoformat(max(event.day for event in events)) - timedelta(days=ASKED_DAYS_BACK)
        told = bench.part(
            "readers_questions", "laptop", metadata=table["metadata"], before=table["before"], after=table["after"],
            day=asked.isoformat(), subtype=subtype, uuids=table["uuids"],
        )  # fmt: skip
    return Measured(_figures(told, table["rows"]), _remarks(told, table, one[0], subtype))


def _figures(told: dict[str, Any], rows: int) -> list[Figure]:
    figures = [
        Figure(
            f"reader_{question}_{name}_compaction",
            round(told[name][question]["bytes"] / told[name]["whole"]["bytes"], 4),
            "of all",
            f"bytes to read for {question.replace('_', ' ')} of a table with {DAYS} days, of the whole table's",
        )
        for question in ("one_day", "one_subtype")
        for name in ("before", "after")
    ]
    figures += [
        Figure(
            f"find_uuid_s_{name}_compaction", told[name]["lookup_s"], "s", f"one uuid among {rows:,} rows", "< 2"
        )
        for name in ("before", "after")
    ]  # fmt: skip
    return figures


def _remarks(told: dict[str, Any], table: dict[str, Any], event_type: str, subtype: str) -> list[str]:
    opened = "; ".join(
        f"{name} compaction "
        + ", ".join(
            f"{question.replace('_', ' ')} {told[name][question]['files']:,} files, "
            f"{told[name][question]['row_groups']:,} row groups, {told[name][question]['bytes'] / 1e6:,.1f} MB"
            for question in ("whole", "one_day", "one_subtype")
        )
        for name in ("before", "after")
    )
    return [
        f"{table['rows']:,} rows of {event_type}, {LOADS_A_DAY} commits for each of {DAYS} days; asked for the subtype "
        f"{subtype}. To open: {opened}.",
        "A row group is of 128 MB, Iceberg's own size: in a day that fits one of them a subtype rules nothing out, "
        "sorted or not.",
        f"The compaction took {table['compaction']['cpu_s']} CPU-s.",
        "Not measured: S3, where each file opened costs a round trip of some ten milliseconds more.",
    ]
