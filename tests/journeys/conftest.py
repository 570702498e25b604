"""Lakes for journeys, each in a folder of its own, and none of their processes left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.lake import Lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Lake]:
    """A folder for a lake; whatever still runs from it afterwards is stopped, and is a failure. A module
    that wants DAGs to keep their schedules names them in KEPT_SCHEDULES."""
    kept_schedules = getattr(request.module, "KEPT_SCHEDULES", ())
    one = Lake(tmp_path_factory.mktemp("lake"), "lake-journey", kept_schedules=kept_schedules)
    failed_before = request.session.testsfailed
    yield one
    if one.processes():
        one.make("down", may_fail=True)
    if request.session.testsfailed > failed_before:
        print(one.log_tails())
    assert one.processes() == []


@pytest.fixture(scope="session")
def real_events() -> Path | None:
    """The real events with counts, where they lie beside the checkout."""
    folder = Path(__file__).resolve().parents[3] / "shared/data/git-events"
    return folder if folder.is_dir() else None
