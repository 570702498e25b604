"""Who acts, with which client, and what they have at hand: the stage on which events are built.

Belongs here: people, clients, identifiers, random values of common kinds. Does not belong here: what an event says.
"""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from simulator.words import NAMES, QUERIES, SENTENCES

MICROSECONDS = 1_000_000

# locale, country, currency, time zone, how many of a hundred
LOCALES = (
    ("en-US", "US", "USD", "America/New_York", 18), ("en-GB", "GB", "GBP", "Europe/London", 10),
    ("es-MX", "MX", "MXN", "America/Mexico_City", 8), ("es-ES", "ES", "EUR", "Europe/Madrid", 6),
    ("pt-BR", "BR", "BRL", "America/Sao_Paulo", 9), ("de-DE", "DE", "EUR", "Europe/Berlin", 7),
    ("fr-FR", "FR", "EUR", "Europe/Paris", 6), ("hi-IN", "IN", "INR", "Asia/Kolkata", 6),
    ("ja-JP", "JP", "JPY", "Asia/Tokyo", 6), ("zh-TW", "TW", "USD", "Asia/Taipei", 4),
    ("ko-KR", "KR", "KRW", "Asia/Seoul", 4), ("pl-PL", "PL", "PLN", "Europe/Warsaw", 3),
    ("tr-TR", "TR", "EUR", "Europe/Istanbul", 3), ("uk-UA", "UA", "EUR", "Europe/Kyiv", 2),
    ("ru-KZ", "KZ", "USD", "Asia/Almaty", 1), ("ar-EG", "EG", "USD", "Africa/Cairo", 3),
    ("he-IL", "IL", "USD", "Asia/Jerusalem", 1),
    ("bn-BD", "BD", "USD", "Asia/Dhaka", 1),
    ("ta-IN", "IN", "INR", "Asia/Kolkata", 1), ("th-TH", "TH", "USD", "Asia/Bangkok", 1),
    ("vi-VN", "VN", "USD", "Asia/Ho_Chi_Minh", 1), ("el-GR", "GR", "EUR", "Europe/Athens", 1),
)  # fmt: skip
_LOCALE_DECK = tuple(row for row in LOCALES for _ in range(row[4]))
PLATFORMS = ("web",) * 4 + ("android",) * 4 + ("ios",) * 3
_VERSIONS = ("8.4.0", "8.4.1", "8.5.0", "8.5.2", "8.5.2", "8.5.2", "8.6.0", "7.19.3")
_BASE_36 = "0123456789abcdefghijklmnopqrstuvwxyz"
# a tenth of the people make half of the traffic
_PEOPLE = 400_000


class Scene:
    """One person at one moment. Identifiers that were made stay until they are forgotten, so that events agree."""

    __slots__ = (
        "app", "at_us", "correct", "country", "currency", "done", "email", "kept_values", "language", "locale",
        "person_name", "planned", "random", "session_id", "session_started_us", "time_zone", "user_id",
    )  # fmt: skip

    def __init__(self, random: Random, at_us: int) -> None:
        self.random = random
        self.at_us = self.session_started_us = at_us
        # most people are the young accounts that come back daily: the cube favours small numbers
        number = int(random.random() ** 3 * _PEOPLE)
        self.user_id = 1_000_003 + number * 17
        self.locale, self.country, self.currency, self.time_zone, _ = _LOCALE_DECK[number * 7919 % len(_LOCALE_DECK)]
        self.language = self.locale[:2]
        names = NAMES[self.language]
        self.person_name = names[number % len(names)]
        self.email = f"learner.{number:06d}@{('example.com', 'example.org', 'mail.example.net')[number % 3]}"
        self.session_id = self.uuid()
        self.app: dict[str, Any] = {
            "platform": PLATFORMS[number * 31 % len(PLATFORMS)],
            "version": self.one_of(_VERSIONS),
            "locale": self.locale,
        }
        self.kept_values: dict[str, Any] = {}
        self.planned, self.done, self.correct = 12, 0, 0

    # values -----------------------------------------------------------------------------------------------------------

    def one_of(self, values: Any) -> Any:
        """One of a sequence."""
        return values[int(self.random.random() * len(values))]

    def some_of(self, values: Any, most: int) -> list[Any]:
        """One to `most` different ones of a sequence, in its order."""
        start, count = int(self.random.random() * len(values)), 1 + int(self.random.random() * most)
        return [values[(start + step) % len(values)] for step in range(min(count, len(values)))]

    def between(self, low: int, high: int) -> int:
        """An integer, both ends included."""
        return low + int(self.random.random() * (high - low + 1))

    def few(self, mean: float, high: int) -> int:
        """A non-negative integer, mostly near the mean, seldom far above."""
        return min(int(self.random.expovariate(1 / mean)), high)

    def decimal(self, low: float, high: float, digits: int = 2) -> float:
        """A fraction with at most so many digits; its shortest text is exact."""
        return round(low + self.random.random() * (high - low), digits)

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self.random.random() < probability

    def uuid(self) -> str:
        """A version 4 UUID, lower case."""
        digits = f"{self.random.getrandbits(128):032x}"
        variant = "89ab"[int(digits[16], 16) % 4]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"

    def new_id(self, prefix: str) -> str:
        """`ord_` and ten characters."""
        return f"{prefix}_{''.join(self.random.choices(_BASE_36, k=10))}"

    def hexadecimal(self, length: int) -> str:
        """So many hexadecimal digits."""
        return f"{self.random.getrandbits(length * 4):0{length}x}"

    # what stays the same over the events of one story -----------------------------------------------------------------

    def kept(self, prefix: str) -> str:
        """The identifier of this kind that the story is about."""
        if prefix not in self.kept_values:
            self.kept_values[prefix] = self.new_id(prefix)
        return str(self.kept_values[prefix])

    def kept_uuid(self, what: str) -> str:
        """The same for kinds whose identifiers are UUIDs."""
        if what not in self.kept_values:
            self.kept_values[what] = self.uuid()
        return str(self.kept_values[what])

    def kept_number(self, what: str, low: int, high: int) -> int:
        """A number that the story keeps."""
        if what not in self.kept_values:
            self.kept_values[what] = self.between(low, high)
        return int(self.kept_values[what])

    def forget(self, *what: str) -> None:
        """The story goes on with other ones."""
        for each in what:
            self.kept_values.pop(each, None)

    # words and times --------------------------------------------------------------------------------------------------

    def text(self, longest: int = 240) -> str:
        """One or more sentences in the person's language, at most so many characters."""
        sentences = SENTENCES[self.language]
        parts, length = [self.one_of(sentences)], 0
        # escapes of six bytes a character must not carry an event over 8 kB
        budget = longest if self.language in ("en", "es", "pt", "de", "fr", "pl", "tr", "vi") else min(longest, 900)
        wanted = int(self.random.random() ** 3 * budget)
        while (length := length + len(parts[-1]) + 1) < wanted:
            parts.append(self.one_of(sentences))
        return ("\n" if self.chance(0.05) else " ").join(parts)[:longest]

    def query(self) -> str:
        """What the person types into the search box."""
        return str(self.one_of(QUERIES.get(self.language, QUERIES["en"])))

    def date(self, days: int) -> str:
        """The day so many days from now, ISO."""
        return datetime.fromtimestamp(self.at_us // MICROSECONDS + days * 86_400, UTC).strftime("%Y-%m-%d")

    def moment(self, hours: int) -> str:
        """The full quarter hour so many hours from now, RFC 3339."""
        seconds = self.at_us // MICROSECONDS // 900 * 900 + hours * 3_600
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    # what many events begin with --------------------------------------------------------------------------------------

    def by_client(self) -> dict[str, Any]:
        """The fields that every event of a client has."""
        return {"user_id": self.user_id, "session_id": self.session_id, "app": self.app}

    def by_server(self) -> dict[str, Any]:
        """The fields that every event of a server has."""
        return {"user_id": self.user_id, "request_id": self.uuid()}
