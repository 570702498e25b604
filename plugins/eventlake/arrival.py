"""One record as the stream handed it over. What does not belong here: an opinion on what is in it (admission.py)."""

from __future__ import annotations

from typing import NamedTuple

from eventlake.identity import RecordIdentity


class Arrival(NamedTuple):
    """The sent bytes, who the record is and when the stream got it. The sequence number stays text: it is compared
    for equality only, and turning 56 digits into an integer and back costs more than the rest of the envelope."""

    data: bytes
    shard_id: str
    sequence_number: str
    arrived_at_ms: int

    @property
    def owner(self) -> str:
        """The identity as text, as claims and decisions carry it."""
        return f"{self.shard_id}:{self.sequence_number}"

    @property
    def identity(self) -> RecordIdentity:
        return RecordIdentity(self.shard_id, int(self.sequence_number))
