"""What a job says while it runs: one JSON line a decision, on its output. Time enters a job here and nowhere else."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime


def start_log(job: str) -> None:
    """Decisions of the job from INFO; of the libraries only what is wrong, and nothing of the one that looks at values:
    what Great Expectations cannot answer is told by the job."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(message)s")
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    logging.getLogger(job).setLevel(logging.INFO)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
