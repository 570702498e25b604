"""How much memory a lake's processes take together, looked at while they work."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

from laptop.supervision import Supervisor

LOOK_EVERY_SECONDS = 4.0


class PeakMemory:
    """Use as a context: `peak_bytes` is the largest sum seen. Shared pages count once in all (PSS)."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _look(self) -> None:
        while not self._stop.wait(LOOK_EVERY_SECONDS):
            self.peak_bytes = max(self.peak_bytes, sum(map(proportional_bytes, self._supervisor.pids())))


def proportional_bytes(pid: int) -> int:
    """0 for a process that ended meanwhile."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
