"""What a load of the lake costs in processor seconds, beside what others would run: `make bench ONLY=load`.

Every part is a process of its own on the same raw objects; it tells its own cost, the start of Python and Java apart.
BENCH_EVENTS is the size of the largest comparison, BENCH_EVENTS / 5 that of the others: 5 million and 1 million.
Belongs in here: which parts, what of them makes a figure. What does not: the parts (bench/parts), the events
(event_copies), dlt, which takes longer than all of these together (merge).
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from bench.event_copies import most_frequent_types
from bench.part_runs import SIMULATED, Batch, PartRuns, cold_cpu_s
from bench.results import Figure, Measured
from eventlake.load_plan import table_of_type
from laptop.entry import whole_number

EVENTS = 5_000_000
TYPES = 11
# of the batch: rows that the table has already, and how many times the batch is as large as the day's earlier loads
REPEATS_SHARE = 0.0003
HISTORY_PART = 10
WARM_ROUNDS = 2


def measure() -> Measured:
    largest = whole_number("BENCH_EVENTS", EVENTS)
    with PartRuns.open(min(SIMULATED, largest)) as bench:
        return _measured(bench, largest)


def _measured(bench: PartRuns, largest: int) -> Measured:
    usual = largest // 5
    types = most_frequent_types(bench.events, TYPES)
    one, table = types[:1], table_of_type(types[0])
    repeats = round(usual * REPEATS_SHARE)
    history = bench.batch("history", types, usual // HISTORY_PART, first_copy=0)
    truth, known = bench.folder / "truth", bench.folder / "known"
    bench.load(history, publish=True, truth=str(known))
    warm_batch = bench.batch("usual", one, usual, repeats=repeats)
    warm = bench.load(warm_batch, rounds=1 + WARM_ROUNDS)
    many_batch = bench.batch("types", types, usual, repeats=repeats)
    many, many_with_gate = bench.load(many_batch), bench.load(many_batch, with_gate=True)
    large_batch = bench.batch("large", one, largest, repeats=repeats)
    large = bench.load(large_batch, truth=str(truth))
    naive_result = bench.folder / "naive"
    naive = bench.part("naive_job", "jobs", event_type=one[0], objects=str(large_batch.file), result=str(naive_result))
    wrong = bench.part(
        "naive_mistakes", "laptop", naive=str(naive_result), loaded=f"{truth}/{table}", history=f"{known}/{table}",
        naive_columns=naive["columns"], columns=large["columns"][table],
    )  # fmt: skip
    duckdb = bench.part(
        "duckdb_load", "laptop", event_type=one[0], objects=str(large_batch.file), history=f"{known}/{table}",
        result=str(bench.folder / "duckdb_rows"),
    )  # fmt: skip
    physical = bench.part("physical_parts", "laptop", objects=str(warm_batch.file))
    warm_cpu_s = statistics.mean(each["cpu_s"] for each in warm["rounds"][1:])
    figures = [
        Figure(
            "load_cpu_s_per_million_warm", _rounded(_per_million(warm_cpu_s, warm_batch)), "CPU-s",
            "one type, in a process that has loaded before", "<= 40",
        ),
        Figure(
            "load_cold_cpu_s_1m_11_types", _rounded(cold_cpu_s(many)), "CPU-s",
            f"{many_batch.lines:,} events of {TYPES} types in a fresh process: what one hourly run costs", "<= 90",
        ),
        Figure(
            "load_start_cpu_s", _rounded(many["start"]["cpu_s"]), "CPU-s",
            "of every run before its first load: Python, Java, the session; in no other figure",
        ),
        Figure(
            "gate_cpu_s_11_types", _rounded(cold_cpu_s(many_with_gate) - cold_cpu_s(many)), "CPU-s",
            "what the suites add to the cold load of these types, the import of Great Expectations included",
        ),
        Figure(
            "load_vs_duckdb_5m", _rounded(cold_cpu_s(large) / cold_cpu_s(duckdb)), "times",
            f"our load / a DuckDB script of the same rules, {large_batch.lines:,} events of one type, both cold",
            "<= 2.2",
        ),
        Figure(
            "naive_vs_load_5m", _rounded(cold_cpu_s(naive) / cold_cpu_s(large)), "times",
            f"the usual Spark job / our load, {large_batch.lines:,} events of one type, both cold", ">= 1.15",
        ),
        Figure("naive_bad_rows", wrong["bad_rows"], "rows", "that break the contract and stand in the naive table"),
        Figure("naive_double_rows", wrong["double_rows"], "rows", "of a uuid that the naive table or history has"),
        Figure("naive_text_columns", len(wrong["text_columns"]), "columns", "that became text because of a few lines"),
        Figure(
            "physical_cpu_s_per_million", _rounded(_per_million(physical["cpu_s"], warm_batch)), "CPU-s",
            "unpack, parse and write Parquet, each alone: what no load of these events goes below",
        ),
        Figure("load_vs_physical", _rounded(warm_cpu_s / physical["cpu_s"]), "times", "the warm load / these parts"),
    ]  # fmt: skip
    rounds = ", ".join(str(each["cpu_s"]) for each in warm["rounds"])
    remarks = [
        f"Batches: usual, {warm_batch.sizes}, of {one[0]}; types, {many_batch.sizes}, of {', '.join(types)}; large, "
        f"{large_batch.sizes}, of {one[0]}. The tables' history on the same days: {history.sizes}.",
        f"What the load said of large: {_told(large['rounds'][0])}; of types: {_told(many['rounds'][0])}.",
        f"What the DuckDB script said of large: {_told(duckdb['rounds'][0])}; {duckdb['left_out']} of its "
        f"{duckdb['rules']} rules are left out, and it commits to no table.",
        f"CPU-s of the usual load, the first one cold: {rounds}. Of large, cold: the load {cold_cpu_s(large)}, DuckDB "
        f"{cold_cpu_s(duckdb)}, the usual Spark job {cold_cpu_s(naive)}.",
        f"Columns that the usual Spark job made text: {', '.join(wrong['text_columns']) or 'none'}.",
        f"Physical parts, CPU-s: {', '.join(f'{name} {spent}' for name, spent in physical['parts'].items())}.",
        "Not measured: S3 and the Glue catalog (tables and objects lie on this disk), several executors, publishing "
        "and the settling of quarantine by the worker. Copies of a day differ in uuids only, so they pack better than "
        "a real day of that size.",
    ]
    return Measured(figures, remarks)


def _per_million(cpu_s: float, batch: Batch) -> float:
    return cpu_s / batch.lines * 1e6


def _told(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{counts[name]:,} {name}" for name in ("lines", "loaded", "duplicate", "quarantined"))


def _rounded(value: float) -> float:
    return round(value, 2)
