"""What a whole tree of processes costs: processor seconds and memory, read from /proc.

Belongs in here: reading. What does not: what ran, and what it should cost.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from laptop.memory import proportional_bytes

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")

Usage = dict[int, float]


def family(root_pid: int) -> set[int]:
    """The process and all that it started, directly or not, and that still runs."""
    children: dict[int, set[int]] = defaultdict(set)
    for folder in Path("/proc").glob("[0-9]*"):
        parent = _parent(int(folder.name))
        if parent is not None:
            children[parent].add(int(folder.name))
    found, waiting = set(), {root_pid}
    while waiting:
        found |= waiting
        waiting = {child for pid in waiting for child in children[pid]} - found
    return found


def processor_seconds(pid: int) -> float:
    """Of one process and its children that have ended; 0 when it is gone."""
    fields = _stat(pid)
    return sum(int(fields[index]) for index in (11, 12, 13, 14)) / _TICKS_A_SECOND if fields else 0.0


def memory_bytes(root_pid: int) -> int:
    """Of the whole family, each shared page counted once (PSS)."""
    return sum(map(proportional_bytes, family(root_pid)))


def processor_seconds_by_role(root_pid: int, role: Callable[[str], str]) -> dict[str, float]:
    """Of the family, summed by what `role` calls each command line."""
    seconds: dict[str, float] = defaultdict(float)
    for pid in family(root_pid):
        seconds[role(_command(pid))] += processor_seconds(pid)
    return dict(seconds)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _parent(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
