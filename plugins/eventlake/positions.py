"""How far each shard has been read. The watermark of the lake starts from here.

A position is noted after the batch was handed over, never before, so it may lag and never leads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from eventlake.arrival import Arrival


class Position(NamedTuple):
    """The last record of a shard that has its verdict and was handed to Firehose."""

    shard_id: str
    sequence_number: str
    arrived_at_ms: int


def furthest_positions(arrivals: Iterable[Arrival]) -> list[Position]:
    """The furthest record of each shard. Sequence numbers are compared as integers: as text 9… sorts after 49…."""
    furthest: dict[str, Arrival] = {}
    for arrival in arrivals:
        known = furthest.get(arrival.shard_id)
        if known is None or int(arrival.sequence_number) > int(known.sequence_number):
            furthest[arrival.shard_id] = arrival
    return [Position(a.shard_id, a.sequence_number, a.arrived_at_ms) for a in furthest.values()]
