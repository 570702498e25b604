"""Faults that a test asks for: the JSON file that EMULATOR_FAULTS names, read again when it changes.

    {"firehose_refuse_every": 7}   every 7th record of PutRecordBatch is refused with ServiceUnavailableException
    {"outage_firehose": 1}           each request to Firehose is answered with 503 (outages.py)
    {"checkpoint_hangs": 1}          a checkpoint that is being written does not come to its end (checkpoints.py)
    {"crawl_hangs": 1}               a crawl comes no further until it is stopped (crawled_catalog.py)
    {"clock_ahead_seconds": 86400}   what acts by time alone sees tomorrow (clock.py)

Belongs in here: what may go wrong on request. Does not belong here: who lets it go wrong. Without the variable nothing
ever does.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

_seen: tuple[int, dict[str, int]] = (0, {})


def fault(name: str) -> int:
    """The number that the file gives for this fault, 0 for none."""
    global _seen
    path = os.environ.get("EMULATOR_FAULTS")
    if not path:
        return 0
    try:
        changed_at = Path(path).stat().st_mtime_ns
        if changed_at != _seen[0]:
            _seen = (changed_at, json.loads(Path(path).read_text()))
    except (OSError, ValueError):
        return 0
    return int(_seen[1].get(name, 0))
