"""A decision on held data has a reason, and goes with the plan of the load that carries it out."""

from __future__ import annotations

import pytest

from eventlake.errors import TerminalError
from eventlake.load_plan import Landing, LoadPlan, plan_load
from eventlake.release import Release, ReleaseAction

HELD = "load_events-0123456789-g1"


@pytest.mark.parametrize("reason", ["", "ok", " " * 20, "  because \n"])
def test_a_decision_without_a_reason_is_refused(reason: str) -> None:
    with pytest.raises(TerminalError, match=r"received the reason .*; valid is a sentence"):
        Release(HELD, ReleaseAction.SUPERSEDE, reason, "ada")


@pytest.mark.parametrize("action", ReleaseAction)
def test_the_plan_of_its_load_tells_the_decision(action: ReleaseAction) -> None:
    release = Release(HELD, action, "the producer confirmed the amounts", "ada")
    landing = Landing("raw/a", "e", 1, "raw", "payment", "order")
    plan = plan_load("release_load-0123456789-g1", [landing], (), {}, (), 100, "d", "t", release=release)
    again = LoadPlan.from_json(plan.to_json())
    assert (again, again.to_json()) == (plan, plan.to_json())
    assert release.accepts_failures is (action is ReleaseAction.PUBLISH_ANYWAY)
