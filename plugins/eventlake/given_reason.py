"""The reason that a person gives for a decision, kept for whoever asks half a year later; decisions are not here."""

from __future__ import annotations

# "ok" tells nobody anything
FEWEST_SIGNS = 10


def says_why(reason: str) -> bool:
    return len(reason.strip()) >= FEWEST_SIGNS
