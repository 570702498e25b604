"""The emulator's clock: the machine's, moved ahead by as much as a test asks for (the fault `clock_ahead_seconds`).

Belongs in here: what time it is for whatever acts by time alone (lifecycle rules, restores, alarms). Does not belong
here: the times of records and requests; those are the machine's.
"""

from __future__ import annotations

import time

from emulator.faults import fault

AHEAD = "clock_ahead_seconds"


def now() -> float:
    """Unix seconds."""
    return time.time() + fault(AHEAD)
