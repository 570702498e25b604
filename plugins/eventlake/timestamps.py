"""Times as text, always UTC, always by integer arithmetic: a float loses the microsecond from 2^53 on.

What does not belong here: reading a clock (entry points do that and pass the time in).
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

SECONDS_PER_DAY = 86_400


@lru_cache(maxsize=8192)
def iso_second(seconds: int) -> str:
    """`2026-11-21T08:00:00`, without zone. Cached: the events of one batch share few seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def iso_from_milliseconds(milliseconds: int) -> str:
    """`2026-11-21T08:00:01.123Z`, always three digits."""
    seconds, rest = divmod(milliseconds, 1_000)
    return f"{iso_second(seconds)}.{rest:03d}Z"


def iso_from_microseconds(microseconds: int) -> str:
    """`2026-11-21T08:00:00Z`, or with six digits where there is a fraction."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{iso_second(seconds)}.{rest:06d}Z" if rest else f"{iso_second(seconds)}Z"
