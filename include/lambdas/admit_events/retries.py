"""Trying again what a service asked us to: how often, with which pauses, and what to raise when it stays busy."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from eventlake.errors import TransientError

ATTEMPTS = 8
LONGEST_PAUSE_SECONDS = 2.0


def attempts(doing: str, sleep: Callable[[float], None] = time.sleep) -> Iterator[int]:
    """Yield 0, 1, 2, … with growing pauses between them; leave the loop when done. Raises TransientError at the end."""
    for attempt in range(ATTEMPTS):
        yield attempt
        # a random part, so that functions which were throttled together do not come back together
        sleep(min(LONGEST_PAUSE_SECONDS, 0.05 * 2**attempt) * random.uniform(0.5, 1.0))
    raise TransientError(
        f"{doing}: {ATTEMPTS} attempts were throttled or left work undone; valid is success of every item; "
        "the batch is retried by the event source, look at the service's throttling metrics if this goes on"
    )
