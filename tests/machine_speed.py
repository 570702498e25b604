"""How fast this machine is beside the one on which the rates and times that tests ask for were measured.

Belongs in here: the measure. Does not belong here: what is asked for, and why; a test asks for as much less.
"""

from __future__ import annotations

import json
import time

# what the work below took there
MEASURED_SECONDS = 0.1


def slowness() -> float:
    """How many processor seconds of this machine do what one did there; one at the least."""
    started = time.process_time()
    for number in range(20_000):
        json.loads(json.dumps({"number": number, "list": [number] * 10, "text": "x" * 100}))
    return max(1.0, (time.process_time() - started) / MEASURED_SECONDS)
