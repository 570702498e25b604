"""Whose is an event_uuid? The judgement over one batch and what the claims table says. Pure: reading and writing the
table is the function's work.

Of each uuid the first record of the batch claims; the others are judged against whoever then holds the uuid. A record
that finds its own claim is a retry and is delivered again: the claim is written before delivery, so treating it as a
duplicate would lose the record whenever a function dies in between. That makes raw at-least-once; the load makes it
exact. Expiry is judged at the record's arrival; the table's TTL only cleans up, days late.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from eventlake.admission import Candidate


class Claim(NamedTuple):
    """One item of the claims table: who holds a uuid, with which bytes, and until when."""

    event_uuid: str
    owner: str
    fingerprint: str
    arrived_at_ms: int
    expires_at_seconds: int


class Judgement(Enum):
    """What a standing claim means for one record of the same uuid."""

    DELIVER = "deliver"  # the claim is the record's own
    DUPLICATE = "duplicate"  # the same bytes, within the window
    UUID_CONFLICT = "uuid_conflict"  # other bytes, within the window
    TAKE_OVER = "take_over"  # the window is over: the record may claim in its turn


class Wish(NamedTuple):
    """A claim that somebody should try to write: into nothing, or in place of an expired one if that still stands."""

    claim: Claim
    instead_of: Claim | None


class Settlement(NamedTuple):
    """The last word on one record: never TAKE_OVER."""

    judgement: Judgement
    first_owner: str


def claim_for(candidate: Candidate, window_seconds: int) -> Claim:
    """The claim that a candidate makes."""
    arrived_at_ms = candidate.arrival.arrived_at_ms
    return Claim(
        event_uuid=candidate.event_uuid,
        owner=candidate.arrival.owner,
        fingerprint=hashlib.sha256(candidate.arrival.data).hexdigest(),
        arrived_at_ms=arrived_at_ms,
        expires_at_seconds=arrived_at_ms // 1_000 + window_seconds,
    )


def judge(claim: Claim, standing: Claim) -> Judgement:
    """One record's claim against the one that stands in the table."""
    if claim.owner == standing.owner:
        return Judgement.DELIVER
    if claim.arrived_at_ms >= standing.expires_at_seconds * 1_000:
        return Judgement.TAKE_OVER
    if claim.fingerprint == standing.fingerprint:
        return Judgement.DUPLICATE
    return Judgement.UUID_CONFLICT


class ClaimContest:
    """The claims of one batch until each is settled: ask for `wishes`, try to write them, `learn` who holds the uuids,
    again until there are none. A wish that lost is judged against the winner; nothing is settled by a guess."""

    def __init__(self, claims: Iterable[Claim]) -> None:
        self.settlements: dict[str, Settlement] = {}
        self._open: dict[str, deque[Claim]] = {}
        self._expired: dict[str, Claim] = {}
        for claim in claims:
            self._open.setdefault(claim.event_uuid, deque()).append(claim)

    def wishes(self) -> list[Wish]:
        """At most one wish a uuid: that of its first open record."""
        return [Wish(queue[0], self._expired.get(event_uuid)) for event_uuid, queue in self._open.items()]

    def learn(self, standing: Mapping[str, Claim]) -> None:
        """Settle what can be settled against the claims that stand. A uuid left out is claimed anew: nobody held it."""
        for event_uuid in list(self._open):
            self._expired.pop(event_uuid, None)
            if holder := standing.get(event_uuid):
                self._settle(event_uuid, holder)

    def _settle(self, event_uuid: str, holder: Claim) -> None:
        queue = self._open[event_uuid]
        while queue:
            judgement = judge(queue[0], holder)
            if judgement is Judgement.TAKE_OVER:
                self._expired[event_uuid] = holder
                return
            self.settlements[queue.popleft().owner] = Settlement(judgement, holder.owner)
        del self._open[event_uuid]
