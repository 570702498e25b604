"""All names that the product sends, who builds their payloads, and how events follow each other in a session.

Belongs here: which events come, in which order and how often. Does not belong here: what is in them (`*_events.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from simulator import identity_events, learning_events, money_events, people_events, school_events, tutor_events
from simulator.scene import MICROSECONDS, Scene

Builder = Callable[[Scene, str], dict[str, Any]]
# what happens next in a session: seconds to wait, and the event's name
Step = tuple[float, str]

BUILDERS: dict[str, Builder] = {
    **identity_events.BUILDERS,
    **learning_events.BUILDERS,
    **money_events.BUILDERS,
    **people_events.BUILDERS,
    **school_events.BUILDERS,
    **tutor_events.BUILDERS,
}

# subtype -> its names' details, and how often the deck of single events holds each; the many events of sessions come
# on top, so that few names make most of the traffic
SINGLES: dict[str, dict[str, int]] = {
    "account/created": {"": 6, "invited": 2, "imported": 1},
    "account/profile": {"updated": 5, "completed": 1, "avatar:changed": 2},
    "account/email": {"verified": 4, "change:requested": 1, "change:confirmed": 1},
    "account/login": {"succeeded": 9, "failed": 3, "challenged": 1},
    "account/closed": {"": 2, "erasure:requested": 1},
    "session/started": {"": 1, "deep_link": 2},
    "session/screen": {"viewed": 1, "left": 3},
    "session/ended": {"": 1, "timeout": 3},
    "lesson/started": {"": 1, "preview": 2, "offline": 1},
    "lesson/progress": {"reported": 1, "saved": 4},
    "lesson/exercise": {"answered": 1, "skipped": 1, "hint:shown": 1, "answer:corrected": 2},
    "lesson/completed": {"": 1, "retake": 3, "perfect": 3},
    "lesson/abandoned": {"": 1, "no_hearts": 2},
    "exercise/attempt": {"submitted": 1, "graded": 1, "regraded": 1},
    "exercise/practice": {"started": 1, "finished": 1, "streak:kept": 2},
    "exercise/report": {"filed": 3, "accepted": 1, "declined": 1},
    "course/viewed": {"": 1, "syllabus": 2},
    "course/enrolled": {"": 2, "gift": 1, "school": 1},
    "course/completed": {"": 2, "with_honours": 1},
    "course/left": {"": 2, "access_expired": 1},
    "course/published": {"": 1, "revision": 1, "translation": 1},
    "payment/order": {"created": 1, "completed": 2, "abandoned": 1, "card:declined": 1, "wallet:declined": 1},
    "payment/method": {"added": 2, "removed": 1, "expired": 1},
    "payment/dispute": {"opened": 1, "won": 1, "lost": 1},
    "subscription/trial": {"started": 3, "converted": 2, "expired": 2},
    "subscription/plan": {"upgraded": 2, "downgraded": 1, "seats:changed": 1},
    "subscription/renewal": {"succeeded": 7, "failed": 2, "retry:scheduled": 1},
    "subscription/cancelled": {"": 2, "saved": 1, "by_store": 1},
    "refund/requested": {"": 1, "by_support": 1},
    "refund/decided": {"approved": 1, "reduced": 1, "refused": 1},
    "refund/settled": {"": 1, "as_credit": 1},
    "invoice/issued": {"": 3, "corrected": 1},
    "invoice/paid": {"": 3, "late": 1, "in_part": 1},
    "invoice/credited": {"": 1, "in_part": 1},
    "notification/sent": {"push": 14, "email": 6, "in_app": 4, "sms": 1},
    "notification/opened": {"": 3, "link:followed": 3},
    "notification/bounced": {"soft": 1, "hard": 1},
    "notification/preference": {"changed": 1, "unsubscribed": 1},
    "search/query": {"submitted": 1, "refined": 1, "empty": 1},
    "search/result": {"clicked": 1, "saved": 1},
    "search/suggestion": {"accepted": 1, "dismissed": 2},
    "review/submitted": {"": 3, "edited": 1},
    "review/moderated": {"approved": 2, "removed": 1, "appealed": 1},
    "review/vote": {"helpful": 3, "unhelpful": 1, "withdrawn": 1},
    "message/sent": {"": 3, "attachment": 1, "voice": 1},
    "message/read": {"": 2, "all": 1},
    "message/flagged": {"": 1, "by_filter": 1, "upheld": 1},
    "tutor/application": {"submitted": 1, "withdrawn": 1},
    "tutor/vetting": {"passed": 2, "failed": 1, "interview:held": 1},
    "tutor/availability": {"published": 3, "withdrawn": 1},
    "tutor/payout": {"sent": 2, "bank:rejected": 1},
    "booking/requested": {"": 1, "instant": 2},
    "booking/confirmed": {"": 1, "automatically": 1},
    "booking/changed": {"moved": 1, "extended": 1},
    "booking/cancelled": {"by_learner": 1, "by_tutor": 1, "by_system": 1},
    "booking/attended": {"": 3, "no_show": 1},
    "certificate/issued": {"": 2, "replacement": 1},
    "certificate/verified": {"": 3, "by_employer": 2},
    "certificate/revoked": {"": 1, "reinstated": 1},
    "support/ticket": {"opened": 3, "answered": 3, "escalated": 1, "solved": 2, "reopened": 1},
    "support/satisfaction": {"rated": 1, "declined": 1},
    "support/chat": {"started": 2, "handed_over": 1, "ended": 2},
    "experiment/exposure": {"logged": 9, "forced": 1},
    "experiment/allocation": {"opened": 1, "shifted": 1, "stopped": 1},
    "experiment/result": {"computed": 2, "significant": 1},
    "device/registered": {"": 2, "again": 1},
    "device/crash": {"reported": 2, "hang:reported": 1},
    "device/download": {"completed": 3, "failed": 1, "removed": 1},
    "referral/link": {"created": 1, "shared": 2, "visited": 2},
    "referral/joined": {"": 1, "first_purchase": 1},
    "referral/reward": {"granted": 1, "expired": 1, "revoked": 1},
    "playback/started": {"": 1, "autoplay": 2},
    "playback/progress": {"reported": 1, "stalled": 2, "sought": 2},
    "playback/ended": {"": 1, "error": 2},
    "classroom/roster": {"imported": 1, "joined": 2, "removed": 1},
    "classroom/assignment": {"created": 2, "submitted": 5, "graded": 3},
    "classroom/licence": {"purchased": 1, "extended": 1, "lapsed": 1},
}


def _full_name(subtype_path: str, detail: str) -> str:
    name = subtype_path.replace("/", ":")
    return f"{name}:{detail}" if detail else name


EVENT_NAMES: tuple[str, ...] = tuple(
    _full_name(path, detail) for path, details in SINGLES.items() for detail in details
)
_SINGLES_DECK = tuple(
    _full_name(path, detail)
    for path, details in SINGLES.items()
    for detail, times in details.items()
    for _ in range(times)
)
_BUILDER_OF_NAME = {
    name: (BUILDERS["/".join(name.split(":")[:2])], ":".join(name.split(":")[2:])) for name in EVENT_NAMES
}


def payload_of(name: str, scene: Scene) -> dict[str, Any]:
    """The sender's own fields of one event."""
    build, detail = _BUILDER_OF_NAME[name]
    return build(scene, detail)


class Deck:
    """Cards drawn in random order, all of them before any comes again: every name appears in a file of some size."""

    def __init__(self, cards: tuple[Any, ...], random: Random) -> None:
        self._cards, self._random, self._left = cards, random, list[Any]()

    def draw(self) -> Any:
        """The next card."""
        if not self._left:
            self._left = list(self._cards)
            self._random.shuffle(self._left)
        return self._left.pop()


def deck_of_singles(random: Random) -> Deck:
    """Names of events that come outside sessions, from servers and clients."""
    return Deck(_SINGLES_DECK, random)


def session(scene: Scene) -> Iterator[str]:
    """One person's session: yields names after having moved the scene's clock. Builders may be called in between."""
    for seconds, name in _session(scene):
        scene.at_us += int(seconds * MICROSECONDS)
        yield name


def _session(scene: Scene) -> Iterator[Step]:
    yield 0, "session:started"
    if scene.chance(0.2):
        yield 0.4, "experiment:exposure:logged"
    while True:
        yield 1 + scene.few(12, 300), "session:screen:viewed"
        yield from scene.one_of(_STORIES)(scene)
        if scene.chance(0.45):
            break
    yield 1 + scene.few(20, 600), "session:ended"


def _lesson(scene: Scene) -> Iterator[Step]:
    yield 2, "lesson:started"
    while scene.done < scene.planned:
        if scene.chance(0.02):
            yield 5, "lesson:abandoned"
            return
        if scene.chance(0.06):
            yield 6, "lesson:exercise:hint:shown"
        yield 3 + scene.few(11, 400), "lesson:exercise:skipped" if scene.chance(0.04) else "lesson:exercise:answered"
        if scene.done % 4 == 0:
            yield 0.2, "lesson:progress:reported"
    yield 1.5, "lesson:completed"


def _video(scene: Scene) -> Iterator[Step]:
    yield 3, "playback:started"
    for _ in range(1 + scene.few(4, 40)):
        yield 10, "playback:progress:stalled" if scene.chance(0.05) else "playback:progress:reported"
    yield 4, "playback:ended"


def _practice(scene: Scene) -> Iterator[Step]:
    yield 2, "exercise:practice:started"
    for _ in range(1 + scene.few(3, 25)):
        yield 4 + scene.few(14, 400), "exercise:attempt:submitted"
        yield 0.8, "exercise:attempt:graded"
    yield 2, "exercise:practice:finished"


def _search(scene: Scene) -> Iterator[Step]:
    yield 6, "search:query:submitted"
    if scene.chance(0.3):
        yield 9, "search:query:refined"
    if scene.chance(0.6):
        yield 5, "search:result:clicked"
        yield 3, "course:viewed"


def _purchase(scene: Scene) -> Iterator[Step]:
    yield 5, "course:viewed"
    yield 40, "payment:order:created"
    if scene.chance(0.15):
        yield 9, "payment:order:card:declined"
        if scene.chance(0.5):
            return
    yield 12, "payment:order:completed"
    yield 0.7, "invoice:issued"
    yield 0.2, "course:enrolled"
    yield 1.3, "notification:sent:email"


def _inbox(scene: Scene) -> Iterator[Step]:
    yield 2, "message:read"
    for _ in range(scene.few(1.2, 9)):
        yield 4 + scene.few(30, 900), "message:sent"


def _tutor(scene: Scene) -> Iterator[Step]:
    yield 25, "booking:requested"
    if scene.chance(0.7):
        yield 90, "booking:confirmed"
        yield 1, "notification:sent:push"


def _opened_notification(scene: Scene) -> Iterator[Step]:
    yield 1, "notification:opened"


_STORIES: tuple[Callable[[Scene], Iterator[Step]], ...] = (
    (_lesson,) * 9 + (_video,) * 4 + (_practice,) * 3 + (_search,) * 3 + (_opened_notification,) * 2
)
_STORIES += (_inbox,) * 2 + (_tutor, _purchase)
