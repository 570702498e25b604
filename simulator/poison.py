"""Records that the stream must refuse, each with its reason. Belongs here: what broken senders put on a stream.

Does not belong here: a second record of a known uuid (stream.py makes those), rows that break a contract (breaks.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

# Firehose's 1,000 KiB for the enriched record, and the stream's 1 MiB a record with its key
_OVER_THE_LIMIT_BYTES = 1_030_000
_DAY = 86_400


class Victim(NamedTuple):
    """A good event that is about to be spoilt."""

    random: Random
    event_uuid: str
    event_name: str
    now: int
    payload: dict[str, Any]

    def record(self, **changed: Any) -> bytes:
        """The event with some top-level fields put in place of others; None takes a field out."""
        envelope = {"event_uuid": self.event_uuid, "event_name": self.event_name, "created_at": self.now - 60}
        fields = {**envelope, **self.payload, **changed}
        return json.dumps({k: v for k, v in fields.items() if v is not None}, ensure_ascii=False).encode()

    def one_of(self, *choices: Any) -> Any:
        """One of these."""
        return self.random.choice(choices)


def _not_json(victim: Victim) -> bytes:
    good = victim.record()
    return bytes(
        victim.one_of(
            good[: len(good) // 2],
            good[:-1],
            good + b"}",
            good.replace(b'"created_at": ', b'"created_at": NaN, "was": ', 1),
            good.replace(b'"event_name"', b"event_name", 1),
            good.replace(b'", "', b'\xff\xfe", "', 1),  # no UTF-8
            victim.record(note="Gr\u00fc\u00dfe").decode().encode("latin-1", "replace"),  # an old sender's encoding
            b'{"event_uuid": "\xed\xa0\x80"}',  # half a surrogate pair
            b"\xef\xbb\xbf" + good,  # a byte order mark
            b"GET /health HTTP/1.1",
        )
    )


def _not_an_object(victim: Victim) -> bytes:
    return bytes(victim.one_of(b"[" + victim.record() + b"]", b"42", b"null", b'"lesson:started"', b"true", b"[]"))


def _ambiguous_envelope(victim: Victim) -> bytes:
    second = victim.one_of('"event_name":"lesson:started"', '"created_at":1', '"event_uuid":"x"')
    return victim.record()[:-1] + f",{second}}}".encode()


def _reserved_field(victim: Victim) -> bytes:
    name = victim.one_of("_lake", "created_datetime", "event_type", "event_subtype", "event_detail")
    return victim.record(**{name: victim.one_of("mine", 7, {"area": "raw"})})


def _missing(field: str) -> Callable[[Victim], bytes]:
    def spoil(victim: Victim) -> bytes:
        return victim.record(**{field: None})

    return spoil


def _invalid_event_uuid(victim: Victim) -> bytes:
    good = victim.event_uuid
    return victim.record(
        event_uuid=victim.one_of("", good[:-1], good.replace("-", ""), f"{{{good}}}", "g" + good[1:], 12345)
    )


def _invalid_event_name(victim: Victim) -> bytes:
    return victim.record(
        event_name=victim.one_of(
            "lesson", "LessonStarted", "Lesson:Started", "lesson::started", "lesson:started:", "урок:начат", 7
        )
    )


def _invalid_created_at(victim: Victim) -> bytes:
    return victim.record(
        created_at=victim.one_of("2026-11-21T08:00:00Z", str(victim.now), True, {"seconds": victim.now}, [])
    )


def _created_too_early(victim: Victim) -> bytes:
    return victim.record(created_at=victim.one_of(0, -1, 946_684_799, 946_684_799.999999, 20_261_121))


def _created_in_future(victim: Victim) -> bytes:
    ahead = victim.random.randrange(30, 400) * _DAY
    return victim.record(created_at=victim.one_of(victim.now + ahead, victim.now + ahead + 0.25, victim.now * 1000))


def _too_large(victim: Victim) -> bytes:
    return victim.record(debug_dump="x" * _OVER_THE_LIMIT_BYTES)


POISON: dict[str, Callable[[Victim], bytes]] = {
    "not_json": _not_json,
    "not_an_object": _not_an_object,
    "ambiguous_envelope": _ambiguous_envelope,
    "reserved_field": _reserved_field,
    "missing_event_uuid": _missing("event_uuid"),
    "invalid_event_uuid": _invalid_event_uuid,
    "missing_event_name": _missing("event_name"),
    "invalid_event_name": _invalid_event_name,
    "missing_created_at": _missing("created_at"),
    "invalid_created_at": _invalid_created_at,
    "created_too_early": _created_too_early,
    "created_in_future": _created_in_future,
    "too_large": _too_large,
}
MOST_TOO_LARGE = 2


def reasons(count: int, random: Random) -> list[str]:
    """So many reasons in random order, all of them alike often, but only a few of the megabyte ones."""
    small = [reason for reason in POISON if reason != "too_large"]
    large = min(MOST_TOO_LARGE, count // len(POISON))
    chosen = [small[number % len(small)] for number in range(count - large)] + ["too_large"] * large
    random.shuffle(chosen)
    return chosen
