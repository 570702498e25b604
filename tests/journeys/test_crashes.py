"""Kill anything at any point: nothing lost, nothing double, and a plain next run finishes the work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.crash_drill import CrashLake, run_drill

SEED = 5
KILLS = 5


@pytest.fixture
def crash_lake(tmp_path: Path) -> Iterator[CrashLake]:
    lake = CrashLake(tmp_path / "lake", "lake-crash", tmp_path / "faults.json")
    lake.make("up")
    yield lake
    lake.make("down")
    assert lake.processes() == []


@pytest.mark.long  # minutes of loads and kills; each kind of death has a quicker test of its own nearer to its code
def test_a_lake_that_is_killed_again_and_again_holds_everything_once(crash_lake: CrashLake, tmp_path: Path) -> None:
    outcome = run_drill(crash_lake, KILLS, SEED, tmp_path)
    print(outcome.told())
    assert not outcome.differences, outcome.told()
    assert len(outcome.kills) == KILLS
