"""So much a second: what a service lets through, and what it owes after a large answer.

Belongs in here: the counting. Does not belong here: which limit applies to what (the services' modules).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Allowance:
    """A second's worth is there at first, comes back at its rate, and never becomes more than that.

    `now` is of time.monotonic().
    """

    a_second: float
    left: float = 0.0
    counted_at: float = float("-inf")

    def holds(self, amount: float, now: float) -> bool:
        """Whether so much may pass now; what is more than a second's worth passes when nothing was taken lately."""
        if now > self.counted_at:
            self.left = min(self.a_second, self.left + (now - self.counted_at) * self.a_second)
            self.counted_at = now
        return amount <= self.left or self.left >= self.a_second

    def take(self, amount: float) -> None:
        """May go below nothing: then it takes as much longer until something passes again."""
        self.left -= amount
