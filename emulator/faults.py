"""Faults that a test asks for: the JSON file that EMULATOR_FAULTS names, read again when it changes.

    {"firehose_refuse_every": 7}   every 7th record of PutRecordBatch is refused with ServiceUnavailableException
    {"outage_firehose": 1}           each request to Firehose is answered with 503 (outages.py)
    {"checkpoint_hangs": 1}          a checkpoint that is being written does not come to its end (checkpoints.py)
    {"crawl_hangs": 1}               a crawl comes no further until it is stopped (crawled_catalog.py)
    {"clock_ahead_seconds": 86400}   what acts by time alone sees tomorrow (clock.py)

Belongs in here: what may go wrong on request. Does not belong here: who lets it go wrong. Without the variable nothing
ever does. Whoever changes the file puts a new one in its place (tests/fault_file.py): written over, it is empty for a
moment, and a second change within a tick of the file system's clock would not be seen.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

# two files that follow each other within a tick of the file system's clock differ in their number
_Version = tuple[int, int]
_seen: tuple[_Version, dict[str, int]] = ((0, 0), {})


def fault(name: str) -> int:
    """The number that the file gives for this fault, 0 for none."""
    global _seen
    path = os.environ.get("EMULATOR_FAULTS")
    if not path:
        return 0
    try:
        found = Path(path).stat()
        version = (found.st_mtime_ns, found.st_ino)
        if version != _seen[0]:
            _seen = (version, json.loads(Path(path).read_text()))
    except (OSError, ValueError):
        return 0
    return int(_seen[1].get(name, 0))
