"""What is true of every folder of tests. Not here: fixtures; those lie beside the tests that need them."""

from __future__ import annotations

import gc
import os

from hypothesis import HealthCheck, settings

# No deadline and no judgement of slowness: the machine may be shared, and time is measured elsewhere. In CI the same
# examples each time, so that a red run is about the change; at a desk new ones, and more, so that they still find
# something.
IS_CI = "CI" in os.environ
settings.register_profile(
    "eventlake",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=IS_CI,
    max_examples=60 if IS_CI else 100,
)
settings.load_profile("eventlake")

# Properties make and drop many small values, hardly any in cycles: looking for those every 700 takes a sixth of the
# time of tests/rules.
gc.set_threshold(100_000, 20, 20)
