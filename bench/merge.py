"""What a load costs beside dlt, merging the same events on their uuid: `make bench ONLY=merge`, some twenty minutes.

BENCH_EVENTS is the size of the batch. Belongs in here: the two parts and their ratio. What does not: what else a load
is compared with (load).
"""

from __future__ import annotations

from bench.event_copies import most_frequent_types
from bench.part_runs import SIMULATED, PartRuns, cold_cpu_s
from bench.results import Figure, Measured
from laptop.entry import whole_number

EVENTS = 1_000_000


def measure() -> Measured:
    events = whole_number("BENCH_EVENTS", EVENTS)
    with PartRuns.open(min(SIMULATED, events)) as bench:
        batch = bench.batch("usual", most_frequent_types(bench.events, 1), events)
        load = bench.load(batch)
        dlt = bench.part("dlt_load", "bench", objects=str(batch.file))
    ratio = round(cold_cpu_s(dlt) / cold_cpu_s(load), 2)
    meaning = f"dlt merging on the uuid into DuckDB / our load, {batch.lines:,} events of one type, both cold"
    return Measured(
        [Figure("dlt_vs_load", ratio, "times", meaning, ">= 5")],
        [
            f"CPU-s: dlt {cold_cpu_s(dlt)}, the load {cold_cpu_s(load)}. The batch: {batch.sizes}.",
            "Not measured: a destination of dlt's that is no DuckDB on this disk; dlt judges no row.",
        ],
    )
