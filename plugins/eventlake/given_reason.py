"""Why and by whom a decision was made, kept for whoever asks half a year later; decisions are not here."""

from __future__ import annotations

# "ok" tells nobody anything
FEWEST_SIGNS = 10
# Airflow knows no user of a run that its command line made, and `make` none at all
NOBODY_NAMED = "whoever used the command line"


def says_why(reason: str) -> bool:
    return len(reason.strip()) >= FEWEST_SIGNS
