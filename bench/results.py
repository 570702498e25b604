"""bench/results.json and bench/RESULTS.md: every figure with its machine, date and command.

A benchmark's figures replace its own older ones and leave the others alone. What does not belong here: measuring.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
FILE = FOLDER / "results.json"
PAGE = FOLDER / "RESULTS.md"

INTRODUCTION = """\
# Measured
Written by `make bench`; do not edit. Seconds are processor seconds of the whole tree of processes where they say CPU.
Compare figures of one run with each other; those of two runs, or two machines, only roughly.
"""


@dataclass(frozen=True)
class Figure:
    """One number under a key that others may rely on."""

    key: str
    value: float
    unit: str
    meaning: str
    target: str = ""


@dataclass(frozen=True)
class Measured:
    """What one benchmark found. `remarks` are lines for a reader: where the time goes, what was not measured."""

    figures: list[Figure]
    remarks: list[str]


def machine() -> str:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, {_processor()}, Python {platform.python_version()}"


def record(benchmark: str, measured: Measured, command: str, date: str) -> None:
    runs: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    runs[benchmark] = {
        "machine": machine(),
        "date": date,
        "command": command,
        "figures": {
            one.key: {"value": one.value, "unit": one.unit, "meaning": one.meaning, "target": one.target}
            for one in measured.figures
        },
        "remarks": measured.remarks,
    }
    # Benchmarks by name, figures in the order in which their benchmark tells them: both files say the same.
    FILE.write_text(json.dumps(dict(sorted(runs.items())), indent=2) + "\n")
    PAGE.write_text(page(runs))


def page(runs: dict[str, Any]) -> str:
    lines = [INTRODUCTION]
    for benchmark, run in sorted(runs.items()):
        lines += [
            f"## {benchmark}",
            f"`{run['command']}`, {run['date']}, on {run['machine']}.",
            "",
            "| key | value | unit | target | what it is |",
            "|---|---|---|---|---|",
            *(
                f"| `{key}` | {one['value']:,g} | {one['unit']} | {one['target']} | {one['meaning']} |"
                for key, one in run["figures"].items()
            ),
            "",
            *(f"- {remark}" for remark in run["remarks"]),
            "",
        ]
    return "\n".join(lines)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
