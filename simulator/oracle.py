"""What must become of every line. Filled while the lines are made, so it knows without asking the lake.

Belongs here: the book of expected ends, and its JSON. Does not belong here: any rule of the lake.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, NamedTuple

from simulator.scene import MICROSECONDS


class Fate(NamedTuple):
    """Where one line ends. `place` is a table, or a reason; `identity` a uuid, or the sha256 of a rejected line."""

    kind: str  # "table", "quarantine", "rejected" or "duplicate"
    place: str
    identity: str
    created_us: int | None = None
    late: bool = False


class Oracle:
    """The expected ends, in the order of the file."""

    def __init__(self, seed: int, events: int) -> None:
        self.seed, self.events, self.sent = seed, events, 0
        self.tables: dict[str, list[str]] = defaultdict(list)
        self.quarantine: dict[str, list[str]] = defaultdict(list)
        self.rejected: dict[str, list[str]] = defaultdict(list)
        self.duplicates: list[str] = []
        self.late: list[str] = []
        self._first_us: int | None = None
        self._last_us: int | None = None

    def note(self, fate: Fate) -> None:
        """One more line was sent."""
        self.sent += 1
        if fate.kind == "duplicate":
            self.duplicates.append(fate.identity)
        else:
            book = {"table": self.tables, "quarantine": self.quarantine, "rejected": self.rejected}[fate.kind]
            book[fate.place].append(fate.identity)
        if fate.late:
            self.late.append(fate.identity)
        if fate.created_us is not None:
            self._first_us = fate.created_us if self._first_us is None else min(self._first_us, fate.created_us)
            self._last_us = fate.created_us if self._last_us is None else max(self._last_us, fate.created_us)

    def document(self) -> dict[str, Any]:
        """As JSON has it. `sent_distinct` counts different lines; the times are those of admitted events."""
        again = sum(len(hashes) - len(set(hashes)) for hashes in self.rejected.values())
        return {
            "seed": self.seed,
            "events": self.events,
            "sent": self.sent,
            "sent_distinct": self.sent - len(self.duplicates) - again,
            "first_created": _iso(self._first_us),
            "last_created": _iso(self._last_us),
            "tables": dict(sorted(self.tables.items())),
            "quarantine": dict(sorted(self.quarantine.items())),
            "rejected": dict(sorted(self.rejected.items())),
            "duplicates": self.duplicates,
            "late": self.late,
        }

    def to_bytes(self) -> bytes:
        """The same bytes for the same simulation."""
        return json.dumps(self.document(), separators=(",", ":")).encode() + b"\n"


def _iso(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    seconds, rest = divmod(microseconds, MICROSECONDS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:06d}Z" if rest else f"{text}Z"
