"""The lines of a file in their order, each with its fate: sessions, single events, and everything that goes wrong.

Belongs here: mixing kinds exactly, times of arrival, copies. Does not belong here: payloads (`*_events.py`), what
breaks (breaks.py, poison.py), how senders write (senders.py). Memory holds about an hour of traffic, at any size.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from simulator.breaks import BREAKS, Break
from simulator.catalogue import EVENT_NAMES, Deck, deck_of_singles, payload_of, session
from simulator.oracle import Fate
from simulator.poison import POISON, Victim, reasons
from simulator.scene import MICROSECONDS, Scene
from simulator.senders import written
from simulator.traffic import Draw, Traffic, slots

_DAY_US = 86_400 * MICROSECONDS
# between two sessions come single events: one with this chance, then perhaps another
_SINGLE_CHANCE = 0.75
# types that no contract names, and unknown subtypes of known types
UNCONTRACTED_NAMES = (
    "lesson:note:added", "payment:wallet:topped_up", "account:streak:frozen", "message:reaction:added",
    "livestream:room:joined", "livestream:hand:raised", "partner:webhook:received", "quest:completed",
)  # fmt: skip


class Line(NamedTuple):
    """One line of the file, without its line break."""

    data: bytes
    fate: Fate


class Made(NamedTuple):
    """One event before it is queued."""

    arrives_us: int
    line: Line


def lines(traffic: Traffic) -> Iterator[Line]:
    """All lines of the simulation, in the order in which the stream gets them."""
    return _Stream(traffic).lines()


class _Stream:
    def __init__(self, traffic: Traffic) -> None:
        self._random = Random(traffic.seed)
        self._now_us = traffic.now * MICROSECONDS
        self._counts = traffic.counts()
        self._traffic = traffic
        self._singles = deck_of_singles(self._random)
        self._late_names = Deck(EVENT_NAMES, self._random)
        self._breaks = Deck(BREAKS, self._random)
        self._uncontracted_names = Deck(UNCONTRACTED_NAMES, self._random)
        self._reasons = reasons(self._counts["poison"], self._random)
        base = {k: v for k, v in self._counts.items() if k not in ("duplicates", "conflicts")}
        self._kinds = Draw(base, self._random)
        self._base_lines = sum(base.values())
        admitted = self._base_lines - base["poison"]
        # each admitted line is copied, contradicted, or neither
        self._copies = Draw(
            {
                "duplicate": self._counts["duplicates"],
                "conflict": self._counts["conflicts"],
                "none": admitted - self._counts["duplicates"] - self._counts["conflicts"],
            },
            self._random,
        )
        self._makers = {
            "late": self._late,
            "contract_breaking": self._contract_breaking,
            "uncontracted": self._uncontracted,
            "poison": self._poison,
        }
        self._queue: list[tuple[int, int, Line]] = []
        self._queued = 0
        self._session: Iterator[Made] = iter(())

    def lines(self) -> Iterator[Line]:
        for start_us, end_us, count in slots(self._traffic, self._base_lines):
            while self._queue and self._queue[0][0] < start_us:
                yield heapq.heappop(self._queue)[2]
            for _ in range(count):
                self._make(self._kinds.take(), start_us, end_us)
        while self._queue:
            yield heapq.heappop(self._queue)[2]

    def _make(self, kind: str, start_us: int, end_us: int) -> None:
        if kind == "good":
            made = self._good(start_us, end_us)
        else:
            at_us = start_us + int(self._random.random() * (end_us - start_us))
            made = self._makers[kind](Scene(self._random, at_us))
        arrives_us = max(made.arrives_us, start_us)
        self._put(arrives_us, made.line)
        if kind != "poison":
            self._copy(arrives_us, made.line)

    def _put(self, arrives_us: int, line: Line) -> None:
        self._queued += 1
        heapq.heappush(self._queue, (arrives_us, self._queued, line))

    # kinds ------------------------------------------------------------------------------------------------------------

    def _good(self, start_us: int, end_us: int) -> Made:
        made = next(self._session, None)
        if made is None:
            at_us = start_us + int(self._random.random() * (end_us - start_us))
            scene = Scene(self._random, at_us)
            if self._random.random() < _SINGLE_CHANCE:
                return self._event(self._singles.draw(), scene)
            self._session = self._session_events(scene)
            made = next(self._session)
        return made

    def _session_events(self, scene: Scene) -> Iterator[Made]:
        for name in session(scene):
            if scene.at_us >= self._now_us:
                return
            yield self._event(name, scene)

    def _late(self, scene: Scene) -> Made:
        arrives_us = scene.at_us
        # older than two days whenever the file is sent
        scene.at_us -= int((4 + 26 * self._random.random()) * _DAY_US)
        scene.session_started_us = scene.at_us
        return self._event(self._late_names.draw(), scene, arrives_us=arrives_us, late=True)

    def _contract_breaking(self, scene: Scene) -> Made:
        fault: Break = self._breaks.draw()
        payload = payload_of(fault.event_name, scene)
        fault.apply(payload)
        return self._finished(fault.event_name, payload, scene, "quarantine", fault.reason)

    def _uncontracted(self, scene: Scene) -> Made:
        payload = scene.by_client() | {
            "room": scene.hexadecimal(8),
            "note": scene.text(300),
            "level": scene.between(1, 9),
        }
        return self._finished(self._uncontracted_names.draw(), payload, scene, "table", "events.uncontracted")

    def _poison(self, scene: Scene) -> Made:
        reason = self._reasons.pop()
        name = self._singles.draw()
        victim = Victim(self._random, scene.uuid(), name, self._traffic.now, payload_of(name, scene))
        data = POISON[reason](victim)
        return Made(scene.at_us, Line(data, Fate("rejected", reason, _sha256(data))))

    # making -----------------------------------------------------------------------------------------------------------

    def _event(self, name: str, scene: Scene, arrives_us: int | None = None, late: bool = False) -> Made:
        table = f"events.{name.partition(':')[0]}_events"
        return self._finished(name, payload_of(name, scene), scene, "table", table, arrives_us, late)

    def _finished(
        self,
        name: str,
        payload: dict[str, Any],
        scene: Scene,
        kind: str,
        place: str,
        arrives_us: int | None = None,
        late: bool = False,
    ) -> Made:
        event_uuid = scene.uuid()
        data, created_us = written(event_uuid, name, scene.at_us, payload, scene)
        if arrives_us is None:
            arrives_us = scene.at_us + self._delay_us(scene)
        return Made(arrives_us, Line(data, Fate(kind, place, event_uuid, created_us, late)))

    def _delay_us(self, scene: Scene) -> int:
        """Most events are there within seconds; a phone in a tunnel sends minutes later."""
        mean_seconds = 400.0 if scene.app["platform"] != "web" and self._random.random() < 0.03 else 0.8
        return int(self._random.expovariate(1 / mean_seconds) * MICROSECONDS)

    # copies -----------------------------------------------------------------------------------------------------------

    def _copy(self, arrived_us: int, line: Line) -> None:
        kind = self._copies.take()
        if kind == "none":
            return
        if kind == "duplicate":
            self._put(self._copy_arrives_us(arrived_us), Line(line.data, Fate("duplicate", "", line.fate.identity)))
        else:
            data = self._contradiction(line)
            self._put(self._copy_arrives_us(arrived_us), Line(data, Fate("rejected", "uuid_conflict", _sha256(data))))

    def _copy_arrives_us(self, arrived_us: int) -> int:
        """Half of the copies come at once (a retry after a lost answer), half hours later (a client's journal)."""
        if self._random.random() < 0.5:
            return arrived_us + int(self._random.random() * 2 * MICROSECONDS)
        left_us = max(self._now_us - arrived_us, MICROSECONDS)
        return arrived_us + int(self._random.random() * min(left_us, 10 * 3_600 * MICROSECONDS))

    def _contradiction(self, line: Line) -> bytes:
        """The same uuid with other bytes: another field, another spelling of the uuid, or only another space."""
        upper, lower = line.fate.identity.upper().encode(), line.fate.identity.encode()
        choice = self._random.random()
        if choice < 0.6:
            return line.data[:-1] + b',"client_retry":' + str(int(choice * 10) + 1).encode() + b"}"
        if choice < 0.8:
            return line.data.replace(lower, upper, 1) if lower in line.data else line.data.replace(upper, lower, 1)
        return line.data[:-1] + b" }"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
