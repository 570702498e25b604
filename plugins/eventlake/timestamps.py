"""Times as text, always UTC, always by integer arithmetic: a float loses the microsecond from 2^53 on.

What does not belong here: reading a clock (entry points do that and pass the time in).
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

SECONDS_PER_DAY = 86_400
MINUTES_PER_DAY = 1_440


@lru_cache(maxsize=1024)
def iso_day(day: int) -> str:
    """`2026-11-21`, of a day counted from 1970 on. Cached: the events of one batch share few days."""
    return datetime.fromtimestamp(day * SECONDS_PER_DAY, UTC).strftime("%Y-%m-%d")


@lru_cache(maxsize=4096)
def _iso_minute(minutes: int) -> str:
    """`2026-11-21T08:00`, of a minute counted from 1970 on. Cached: some days' minutes are all that a batch has."""
    day, minute = divmod(minutes, MINUTES_PER_DAY)
    return f"{iso_day(day)}T{minute // 60:02d}:{minute % 60:02d}"


def iso_second(seconds: int) -> str:
    """`2026-11-21T08:00:00`, without zone."""
    minutes, second = divmod(seconds, 60)
    return f"{_iso_minute(minutes)}:{second:02d}"


def iso_from_milliseconds(milliseconds: int) -> str:
    """`2026-11-21T08:00:01.123Z`, always three digits."""
    seconds, rest = divmod(milliseconds, 1_000)
    return f"{iso_second(seconds)}.{rest:03d}Z"


def iso_from_microseconds(microseconds: int) -> str:
    """`2026-11-21T08:00:00Z`, or with six digits where there is a fraction."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{iso_second(seconds)}.{rest:06d}Z" if rest else f"{iso_second(seconds)}Z"
