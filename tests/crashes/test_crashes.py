"""Kill anything at any point: nothing lost, nothing double, and a plain next run finishes the work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crashes.drill import CrashLake, run_drill

SEED = 5


@pytest.fixture
def crash_lake(tmp_path: Path) -> Iterator[CrashLake]:
    lake = CrashLake(tmp_path / "lake", "lake-crash", tmp_path / "faults.json")
    lake.make("up")
    yield lake
    lake.make("down")
    assert lake.processes() == []


# a hundred take an hour; five leave most kinds of death to the quicker tests that lie nearer to the code of each
@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=pytest.mark.long)])
def test_a_lake_that_is_killed_again_and_again_holds_everything_once(
    crash_lake: CrashLake, tmp_path: Path, kills: int
) -> None:
    outcome = run_drill(crash_lake, kills, SEED, tmp_path)
    print(outcome.told())
    assert not outcome.differences, outcome.told()
    assert len(outcome.kills) == kills
