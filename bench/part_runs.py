"""Batches of raw objects in a folder, and the parts of a benchmark that run on them as processes of their own.

What does not belong here: which parts there are (bench/parts), which of them make a figure.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.admission import simulated_arrivals
from bench.event_copies import RawEvent, RawObject, admitted, to_json, write_objects
from eventlake.errors import TerminalError
from laptop.entry import say
from laptop.home import CHECKOUT

# of which all batches are copies
SIMULATED = 250_000
RAW_BUCKET = "a-raw"
# options of a part that its line of progress names
_TOLD = ("rounds", "with_gate", "publish", "days")


@dataclass(frozen=True)
class Batch:
    """Raw objects that parts read, and the file that names them."""

    objects: list[RawObject]
    file: Path

    @property
    def lines(self) -> int:
        return sum(each.lines for each in self.objects)

    @property
    def sizes(self) -> str:
        line_bytes, size_bytes = (sum(getattr(each, n) for each in self.objects) for n in ("line_bytes", "size_bytes"))
        return f"{self.lines:,} lines, {line_bytes / 1e6:,.0f} MB, {size_bytes / 1e6:,.0f} MB packed"


class PartRuns:
    """A folder with raw objects and tables, and the parts that run on it."""

    def __init__(self, folder: Path, events: list[RawEvent]) -> None:
        self.folder = folder
        self.events = events

    @classmethod
    @contextlib.contextmanager
    def open(cls, simulated: int) -> Iterator[PartRuns]:
        """In a folder that is gone afterwards, with what admission lets in of so many simulated events."""
        pairs = {(file.parent.name, file.stem) for file in (CHECKOUT / "include" / "contracts").glob("*/*.json")}
        say(f"simulating {simulated:,} events")
        events = admitted(simulated_arrivals(simulated), pairs)
        with tempfile.TemporaryDirectory(prefix="eventlake-bench-") as folder:
            yield cls(Path(folder), events)

    def batch(self, name: str, types: list[str], lines: int, **options: Any) -> Batch:
        say(f"writing {name}: {lines:,} events of {len(types)} types")
        events = [event for event in self.events if event.event_type in types]
        return self.batch_of(name, events, lines, **options)

    def batch_of(self, name: str, events: list[RawEvent], lines: int, **options: Any) -> Batch:
        objects = write_objects(self.folder / RAW_BUCKET, name, events, lines, **options)
        file = self.folder / f"{name}.json"
        file.write_text(to_json(objects))
        return Batch(objects, file)

    def part(self, module: str, environment: str, **order: Any) -> dict[str, Any]:
        """Runs one part to its end; what it told."""
        return run_part(self.folder, module, environment, {"folder": str(self.folder), **order})

    def load(self, batch: Batch, rounds: int = 1, **options: Any) -> dict[str, Any]:
        order = {"rounds": rounds, "publish": False, "with_gate": False, "truth": "", **options}
        return self.part("load_job", "jobs", objects=str(batch.file), **order)


def cold_cpu_s(told: Mapping[str, Any]) -> float:
    """Of the first round of a part, in its fresh process."""
    return float(told["rounds"][0]["cpu_s"])


def run_part(folder: Path, module: str, environment: str, order: Mapping[str, Any]) -> dict[str, Any]:
    say(f"running {module} {' '.join(f'{name}={value}' for name, value in order.items() if name in _TOLD)}")
    places = (CHECKOUT, CHECKOUT / "plugins", CHECKOUT / "scripts", CHECKOUT / "include" / "glue_jobs")
    command = [str(CHECKOUT / ".venvs" / environment / "bin" / "python"), "-m", f"bench.parts.{module}"]
    run = subprocess.run(
        command,
        # not as an argument: a hundred contracts are longer than one may be
        input=json.dumps(order),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))},
        capture_output=True,
        text=True,
    )
    if run.returncode != 0:
        last = " | ".join(line for line in (run.stderr or run.stdout).splitlines() if line.strip())[-600:]
        raise TerminalError(f"running bench/parts/{module}.py: it ended with {run.returncode}: {last}")
    return dict(json.loads(run.stdout.splitlines()[-1]))
