"""How many records a second one core judges and enriches: the pure part of the function admit_events.

No AWS call is in it: claims, delivery and waiting for both are in the benchmark of the stream. Beside it, what parsing
the same bytes as JSON costs alone: no way of admitting them is faster than that.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable, Sequence

from bench.results import Figure, Measured
from eventlake.admission import Candidate, examine
from eventlake.arrival import Arrival
from laptop.entry import say
from simulator.stream import lines
from simulator.traffic import Traffic

EVENTS = 50_000
ROUNDS = 5
# what the template hands the function at once
BATCH_RECORDS = 1000
SEED = 11
# 2026-11-21T08:00:00Z: the same events in every run
NOW_SECONDS = 1_795_248_000
SHARD = "shardId-000000000000"
FIRST_SEQUENCE_NUMBER = 49590338271490256608559692538361571095921575989136588898
CODE_HASH = "0123456789ab"


def measure() -> Measured:
    say(f"examining {EVENTS:,} records, {ROUNDS} times")
    arrivals = simulated_arrivals(EVENTS)
    # a collection of what lies around would be counted to whoever happens to run
    gc.collect()
    gc.freeze()
    judged = _per_core_second(lambda arrival: examine(arrival, CODE_HASH), arrivals)
    parsed = _per_core_second(lambda arrival: _parsed(arrival.data), arrivals)
    gc.unfreeze()
    admitted = sum(isinstance(examine(arrival, CODE_HASH), Candidate) for arrival in arrivals)
    mean_bytes = sum(len(arrival.data) for arrival in arrivals) / len(arrivals)
    return Measured(
        figures=[
            Figure("admit_records_per_s", round(judged), "records/s", "judged and enriched by one core", ">= 60,000"),
            Figure("json_records_per_s", round(parsed), "records/s", "the same records, json.loads alone"),
            Figure("admit_vs_json", round(parsed / judged, 2), "times", "what admitting costs, in parsings"),
        ],
        remarks=[
            f"{len(arrivals):,} simulated records of {mean_bytes:,.0f} bytes in the mean, {admitted:,} of them fit to "
            f"come in; median of {ROUNDS} rounds, by processor time.",
            "Not measured: base64, claims, Firehose, and what AWS gives a function of a core.",
        ],
    )


def simulated_arrivals(events: int) -> list[Arrival]:
    """A simulated day as the stream hands it over, in its order, on one shard."""
    traffic = Traffic(events=events, seed=SEED, now=NOW_SECONDS)
    return [
        Arrival(line.data, SHARD, str(FIRST_SEQUENCE_NUMBER + number), NOW_SECONDS * 1000 + number // 1000)
        for number, line in enumerate(lines(traffic))
    ]


def _per_core_second(work: Callable[[Arrival], object], arrivals: Sequence[Arrival]) -> float:
    """What is made of a batch is let go after it, as in the function: collecting it all would count its collection."""
    rates = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for first in range(0, len(arrivals), BATCH_RECORDS):
            _ = [work(arrival) for arrival in arrivals[first : first + BATCH_RECORDS]]
        rates.append(len(arrivals) / (time.process_time() - started))
    return statistics.median(rates)


def _parsed(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return None
