"""How much memory a lake takes, looked at while it works."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

LOOK_EVERY_SECONDS = 4.0


class PeakMemory:
    """Use as a context: `peak_bytes` is the largest of what `bytes_now` saw."""

    def __init__(self, bytes_now: Callable[[], int]) -> None:
        self._bytes_now = bytes_now
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
            self.peak_bytes = max(self.peak_bytes, self._bytes_now())


def memory_of(pids: Iterable[int]) -> int:
    """Of processes of this machine; pages that they share count once in all (PSS)."""
    return sum(map(proportional_bytes, pids))


def proportional_bytes(pid: int) -> int:
    """0 for a process that ended meanwhile."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
