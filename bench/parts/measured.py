"""What a piece of work costs the process that does it and all that it started. What does not belong here: the work."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

from bench.processes import family, processor_seconds

# of every part that runs Spark: Java's share of the 16 GB of a G.1X worker, which the template asks for. AWS names no
# share; 10 leaves room for Python and what lies beside the heap. What less costs a load: decision 0017.
JAVA_MEMORY = "10g"


class Meter:
    """Processor and wall seconds from its making, or from the last `lap`, on."""

    def __init__(self) -> None:
        self._cpu, self._wall = _spent(), time.monotonic()

    def lap(self) -> dict[str, float]:
        cpu, wall = _spent(), time.monotonic()
        spent = {"cpu_s": round(cpu - self._cpu, 2), "wall_s": round(wall - self._wall, 2)}
        self._cpu, self._wall = cpu, wall
        return spent


def tell(result: Any) -> None:
    """The part's answer: the last line that it prints."""
    print(json.dumps(result, default=str), flush=True)


def costs_of(work: Callable[[], Any]) -> dict[str, float]:
    meter = Meter()
    work()
    return meter.lap()


def _spent() -> float:
    return sum(map(processor_seconds, family(os.getpid())))
