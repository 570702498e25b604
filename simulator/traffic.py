"""How much traffic of which kind: the settings of a simulation, and exact numbers from shares.

Does not belong here: making the events (stream.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from simulator.scene import MICROSECONDS

_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Traffic:
    """What is to be sent. Every share is of all lines, copies included."""

    events: int = 20_000
    seed: int = 7
    now: int = 0  # Unix seconds; no event is newer
    hours: int = 24  # on-time events come from so many hours before
    duplicates: float = 0.01
    conflicts: float = 0.002
    poison: float = 0.003
    contract_breaking: float = 0.005
    late: float = 0.01
    uncontracted: float = 0.002

    def counts(self) -> dict[str, int]:
        """Lines of each kind; they add up to `events`."""
        kinds = ("duplicates", "conflicts", "poison", "contract_breaking", "late", "uncontracted")
        counts = {kind: round(self.events * getattr(self, kind)) for kind in kinds}
        counts["good"] = self.events - sum(counts.values())
        if counts["good"] < counts["duplicates"] + counts["conflicts"]:
            raise ValueError(
                f"dividing {self.events} events into kinds: received shares of {sum(counts.values()) - counts['good']} "
                "special ones; valid is to leave good ones for every copy; lower the shares"
            )
        return counts


class Draw:
    """Draws kinds without putting back: random order, exact numbers, constant memory."""

    def __init__(self, counts: dict[str, int], random: Random) -> None:
        self._left = {kind: count for kind, count in counts.items() if count}
        self._total = sum(self._left.values())
        self._random = random

    def take(self) -> str:
        """The next kind."""
        place = self._random.random() * self._total
        kinds = iter(self._left.items())
        kind, left = next(kinds)
        while (place := place - left) >= 0:
            kind, left = next(kinds)
        self._left[kind] -= 1
        if not self._left[kind]:
            del self._left[kind]
        self._total -= 1
        return kind


def _weight(hour_of_day: float) -> float:
    """Traffic by hour, UTC: quiet at night, a small wave at noon, the evening's big one."""
    evening = math.exp(-(((hour_of_day - 18) / 3.2) ** 2))
    noon = 0.5 * math.exp(-(((hour_of_day - 11) / 2.5) ** 2))
    return 0.12 + noon + evening


def slots(traffic: Traffic, lines: int) -> Iterator[tuple[int, int, int]]:
    """Start and end (microseconds) of slices of the day, oldest first, with the number of lines that begin in each."""
    count = max(1, min(traffic.hours * 12, lines // 150))
    start = (traffic.now - traffic.hours * 3_600) * MICROSECONDS
    width = traffic.hours * 3_600 * MICROSECONDS // count
    weights = [_weight((start + width * n) / MICROSECONDS % _DAY_SECONDS / 3_600) for n in range(count)]
    total, done, passed = sum(weights), 0, 0.0
    for number, weight in enumerate(weights):
        passed += weight
        until = lines if number == count - 1 else round(lines * passed / total)
        yield start + width * number, start + width * (number + 1), until - done
        done = until
