"""`make bench [ONLY=stream]`: measures, prints, and writes bench/results.json and bench/RESULTS.md.

Belongs in here: which benchmarks there are. What does not: what they measure (one module each).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench import admission, gate, growth, load, merge, readers, results, stream
from eventlake.errors import TerminalError
from laptop import entry

BENCHMARKS: dict[str, Callable[[], results.Measured]] = {
    "admission": admission.measure,
    "gate": gate.measure,
    "growth": growth.measure,
    "load": load.measure,
    "merge": merge.measure,
    "readers": readers.measure,
    "stream": stream.measure,
}


def main() -> int:
    only = entry.given("LAKE_ONLY")
    chosen = only.split(",") if only else list(BENCHMARKS)
    unknown = set(chosen) - set(BENCHMARKS)
    if unknown:
        known = ", ".join(BENCHMARKS)
        raise TerminalError(f"reading ONLY={only}: no benchmark is called {', '.join(sorted(unknown))}; known: {known}")
    for name in chosen:
        measured = BENCHMARKS[name]()
        results.record(name, measured, f"make bench ONLY={name}", datetime.now(UTC).date().isoformat())
        for figure in measured.figures:
            print(f"  {figure.key:<34} {figure.value:>12,g} {figure.unit:<10} {figure.target}")
        for remark in measured.remarks:
            print(f"  {remark}")
    print(f"written: {results.FILE.relative_to(Path.cwd())}, {results.PAGE.relative_to(Path.cwd())}")
    return 0


if __name__ == "__main__":
    entry.run(main)
