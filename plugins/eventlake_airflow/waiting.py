"""How long a deferred task waits, and reading what its trigger reported: nothing is taken on trust."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from eventlake.errors import TerminalError, TransientError
from eventlake_airflow.states import Outlook
from eventlake_airflow.watches import Watched

AWS_CONNECTION = "aws_default"
# a trigger ends by itself; beyond this it hangs in a call
DEFERRAL_MARGIN = timedelta(minutes=5)


@dataclass(frozen=True)
class Patience:
    """How often to look, and for how long."""

    delay_seconds: float
    seconds: float

    @property
    def attempts(self) -> int:
        return max(1, round(self.seconds / self.delay_seconds))

    @property
    def deadline(self) -> timedelta:
        """When to stop believing in the trigger; a task's execution timeout must not come before it."""
        return timedelta(seconds=self.seconds) + DEFERRAL_MARGIN


def read_states(event: Mapping[str, Any] | None, expected: Iterable[Watched]) -> dict[Watched, str]:
    """The states that a StatesTrigger reported, one for each of `expected`. Raises TerminalError on any other event."""
    wanted = {str(thing): thing for thing in expected}
    states = (event or {}).get("states")
    if not isinstance(states, dict) or set(states) != set(wanted):
        raise TerminalError(
            f"resuming from a deferral: received {event!r}; valid is a state for each of {sorted(wanted)}; "
            "clear the task, and if it comes back look at the triggerer's log"
        )
    return {wanted[name]: str(state) for name, state in states.items()}


def require_good(states: Mapping[Watched, str], waited_seconds: float) -> None:
    """Return when all is good. Raises TerminalError for what is bad, TransientError for what is not ready yet."""
    outlooks = {thing: thing.outlook(state) for thing, state in states.items()}
    bad = _named(states, outlooks, Outlook.BAD)
    if bad:
        raise TerminalError(f"watching: {bad}; valid is {_good_states(outlooks, Outlook.BAD)}; see the alarm's runbook")
    waiting = _named(states, outlooks, Outlook.WAIT)
    if waiting:
        raise TransientError(
            f"watching: still {waiting} after {waited_seconds:.0f} s; valid is {_good_states(outlooks, Outlook.WAIT)}; "
            "it is retried, then look at the thing named"
        )


def _named(states: Mapping[Watched, str], outlooks: Mapping[Watched, Outlook], outlook: Outlook) -> str:
    return ", ".join(f"{thing} is {states[thing]}" for thing in sorted(outlooks) if outlooks[thing] is outlook)


def _good_states(outlooks: Mapping[Watched, Outlook], outlook: Outlook) -> str:
    tables = [thing.table() for thing in outlooks if outlooks[thing] is outlook]
    good = {state for table in tables for state, meaning in table.outlooks.items() if meaning is Outlook.GOOD}
    return " or ".join(sorted(good))
