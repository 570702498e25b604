"""What a person decides on data that a load held, and why: the release.

Belongs here: the decision and its text. Does not belong here: which landings are held, and carrying it out
(`eventlake_aws.release_steps`); what an accepted failure changes of a verdict (`verdict`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from eventlake.errors import TerminalError
from eventlake.given_reason import FEWEST_SIGNS, says_why


class ReleaseAction(StrEnum):
    """`gate again`: the rule was wrong and is corrected. `publish anyway`: the rule is right, and this data is to be
    seen all the same. `supersede`: this data is never to be seen; better data came, or will come, by another way."""

    GATE_AGAIN = "gate again"
    PUBLISH_ANYWAY = "publish anyway"
    SUPERSEDE = "supersede"


@dataclass(frozen=True)
class Release:
    """`load_id`: the load that holds the data. `decided_by`: who triggered the run, as Airflow knows them."""

    load_id: str
    action: ReleaseAction
    reason: str
    decided_by: str

    def __post_init__(self) -> None:
        if not says_why(self.reason):
            raise TerminalError(
                f"releasing load {self.load_id}: received the reason {self.reason!r}; valid is a sentence of at least "
                f"{FEWEST_SIGNS} signs that says why; trigger the run again with one"
            )

    @property
    def accepts_failures(self) -> bool:
        return self.action is ReleaseAction.PUBLISH_ANYWAY

    def to_json(self) -> dict[str, str]:
        return {
            "load_id": self.load_id,
            "action": self.action.value,
            "reason": self.reason,
            "decided_by": self.decided_by,
        }

    @staticmethod
    def from_json(body: Mapping[str, Any]) -> Release:
        return Release(body["load_id"], ReleaseAction(body["action"]), body["reason"], body["decided_by"])
