"""How a load's cost grows with the table's history, with the days that others reload, and with the number of types.

`make bench ONLY=growth`. A day's batch is BENCH_EVENTS / 50 events: 100,000. What does not belong here: what a load of
many events costs (load).
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from bench.event_copies import RawEvent, most_frequent_types, renamed
from bench.part_runs import SIMULATED, PartRuns, cold_cpu_s
from bench.results import Figure, Measured
from laptop.entry import whole_number
from laptop.home import CHECKOUT

EVENTS = 5_000_000
DAY_PART = 50
HISTORY_DAYS, RELOADED_DAYS = 90, 30
TYPES = 100
REPEATS_SHARE = 0.003
WARM_ROUNDS = 3


def measure() -> Measured:
    largest = whole_number("BENCH_EVENTS", EVENTS)
    with PartRuns.open(min(SIMULATED, largest)) as bench:
        history = _of_history(bench, largest // DAY_PART)
    with PartRuns.open(SIMULATED // 10) as bench:
        types = _of_types(bench)
    return Measured([*history.figures, *types.figures], [*history.remarks, *types.remarks])


def _of_history(bench: PartRuns, day: int) -> Measured:
    one = most_frequent_types(bench.events, 1)
    earlier = bench.batch("earlier", one, day, first_copy=0)
    batch = bench.batch("day", one, day, repeats=round(day * REPEATS_SHARE))
    # the first one only warms up
    files = {"earlier": str(earlier.file), "objects": str(batch.file)}
    told = bench.part("history_job", "jobs", **files, with_gate=False, days=HISTORY_DAYS, rounds=1 + WARM_ROUNDS)
    none, whole = ([each["cpu_s"] for each in told[name]] for name in ("none", "all"))
    month = bench.batch("month", one, day, days_back=range(RELOADED_DAYS))
    result = str(bench.folder / "reloaded")
    reload = bench.part("naive_job", "jobs", objects=str(month.file), result=result)
    load = bench.load(batch)
    return Measured(
        [
            Figure(
                "incremental_90d_vs_0d",
                round(statistics.mean(whole[1:]) / statistics.mean(none[1:]), 2),
                "times",
                f"{batch.lines:,} events into a table with {HISTORY_DAYS} days of {earlier.lines:,} rows / into an "
                "empty one, warm",
                "<= 1.25",
            ),
            Figure(
                "full_reload_vs_load_30d",
                round(cold_cpu_s(reload) / cold_cpu_s(load), 2),
                "times",
                f"the usual Spark job over {month.lines:,} events of {RELOADED_DAYS} days / our load of the last day, "
                "both cold",
                ">= 5",
            ),
        ],
        [
            f"CPU-s of a day's load, the first one cold: into an empty table {none}, into {told['history_rows']:,} "
            f"rows {whole}. Of them {told['all'][0]['duplicate']:,} lines were there already or twice.",
            f"CPU-s of the reload: {cold_cpu_s(reload)}; of the load of the last day in a process of its own: "
            f"{cold_cpu_s(load)}.",
        ],
    )


def _of_types(bench: PartRuns) -> Measured:
    """Many types with an event each: contracts of the product under other names."""
    first_of_pair = {(event.event_type, event.event_subtype): event for event in reversed(bench.events)}
    samples = [first_of_pair[pair] for pair in sorted(first_of_pair)]
    events, contracts = [], {}
    for number in range(TYPES):
        event = samples[number % len(samples)]
        event_type = f"{event.event_type}_{number:03d}"
        events.append(renamed(event, event_type))
        contracts[f"{event_type}/{event.event_subtype}"] = _contract(event, event_type)
    batch = bench.batch_of("types", events, len(events))
    told = bench.load(batch, rounds=1 + WARM_ROUNDS, contracts=contracts)
    warm = told["rounds"][1:]
    wall_s, cpu_s = (statistics.mean(each[name] for each in warm) / TYPES for name in ("wall_s", "cpu_s"))
    return Measured(
        [
            Figure(
                "overhead_s_per_type", round(wall_s, 3), "s", f"of each of {TYPES} types with one event, warm", "<= 0.5"
            ),
            Figure("overhead_cpu_s_per_type", round(cpu_s, 3), "CPU-s", "the same in processor time"),
            Figure(
                "cold_cpu_s_per_type",
                round(cold_cpu_s(told) / TYPES, 3),
                "CPU-s",
                "the same for the first load of a process, in which each table is also made",
            ),
        ],
        [f"CPU-s of the loads of {TYPES} types: {', '.join(str(each['cpu_s']) for each in told['rounds'])}."],
    )


def _contract(event: RawEvent, event_type: str) -> dict[str, Any]:
    file: Path = CHECKOUT / "include" / "contracts" / event.event_type / f"{event.event_subtype}.json"
    contract: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    names = [name.partition(":")[2] for name in contract["x-event-names"]]
    return {**contract, "x-event-names": [f"{event_type}:{name}" for name in names]}
