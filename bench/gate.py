"""What the gate costs beside the same questions in one pass that somebody wrote by hand: `make bench ONLY=gate`.

BENCH_EVENTS / 5 events of one type: a million. What does not belong here: the hand-written pass (bench/parts/one_pass).
"""

from __future__ import annotations

import statistics

from bench.event_copies import most_frequent_types
from bench.part_runs import SIMULATED, PartRuns
from bench.results import Figure, Measured
from laptop.entry import whole_number

EVENTS = 5_000_000
ROUNDS = 6


def measure() -> Measured:
    events = whole_number("BENCH_EVENTS", EVENTS) // 5
    with PartRuns.open(min(SIMULATED, events)) as bench:
        one = most_frequent_types(bench.events, 1)
        batch = bench.batch("usual", one, events)
        told = bench.part("gate_job", "jobs", objects=str(batch.file), with_gate=False, rounds=ROUNDS)
    gate, one_pass = ([each["cpu_s"] for each in told[name][1:]] for name in ("gate", "one_pass"))
    figures = [
        Figure(
            "gate_vs_one_pass", round(statistics.median(gate) / statistics.median(one_pass), 2), "times",
            f"the suite of {one[0]}, all of it good, by Great Expectations / by one aggregation, both warm", "<= 1.6",
        ),
        Figure(
            "gate_cpu_s_per_million", round(statistics.median(gate) / told["rows"] * 1e6, 2), "CPU-s",
            f"{told['expectations']} expectations, {told['rows']:,} staged rows in memory, warm",
        ),
    ]  # fmt: skip
    remarks = [
        f"CPU-s of each round, the first one cold: the gate {_told(told['gate'])}; one pass {_told(told['one_pass'])}. "
        "Both have to give the same answers.",
        "Not measured: the details that are asked for when an expectation fails.",
    ]
    return Measured(figures, remarks)


def _told(rounds: list[dict[str, float]]) -> str:
    return ", ".join(str(each["cpu_s"]) for each in rounds)
