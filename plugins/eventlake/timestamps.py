"""Times as text, always UTC, always by integer arithmetic: a float loses the microsecond from 2^53 on.

What does not belong here: reading a clock (entry points do that and pass the time in).
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

SECONDS_PER_DAY = 86_400


@lru_cache(maxsize=1024)
def iso_day(day: int) -> str:
    """`2026-11-21`, of a day counted from 1970 on. Cached: the events of one batch share few days."""
    return datetime.fromtimestamp(day * SECONDS_PER_DAY, UTC).strftime("%Y-%m-%d")


def iso_second(seconds: int) -> str:
    """`2026-11-21T08:00:00`, without zone."""
    day, second = divmod(seconds, SECONDS_PER_DAY)
    minute, second = divmod(second, 60)
    return f"{iso_day(day)}T{minute // 60:02d}:{minute % 60:02d}:{second:02d}"


def iso_from_milliseconds(milliseconds: int) -> str:
    """`2026-11-21T08:00:01.123Z`, always three digits."""
    seconds, rest = divmod(milliseconds, 1_000)
    return f"{iso_second(seconds)}.{rest:03d}Z"


def iso_from_microseconds(microseconds: int) -> str:
    """`2026-11-21T08:00:00Z`, or with six digits where there is a fraction."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{iso_second(seconds)}.{rest:06d}Z" if rest else f"{iso_second(seconds)}Z"
