"""What a table forgets: never what an undo, a held load, a running job or a reader of the newest snapshot needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from eventlake.table_upkeep import (
    BranchFact,
    SnapshotFact,
    StoredFile,
    branches_to_drop,
    orphans,
    snapshots_to_expire,
)
from tests.single_draws import subsets_at_once, tuples_at_once

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
WINDOW, SAFE_AGE = timedelta(days=7), timedelta(days=3)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def a_history(ages: list[float]) -> list[SnapshotFact]:
    """Snapshots 1, 2, 3 … of main, oldest first, each on the one before."""
    ordered = sorted(ages, reverse=True)
    return [SnapshotFact(number + 1, number or None, ago(age)) for number, age in enumerate(ordered)]


QUARTER_DAYS = [quarter / 4 for quarter in range(121)]
ages = st.lists(st.sampled_from(QUARTER_DAYS), min_size=1, max_size=20)


@given(ages, st.data())
def test_each_publish_of_the_window_can_be_undone(history_ages: list[float], data: st.DataObject) -> None:
    history = a_history(history_ages)
    main = len(history)
    held = data.draw(st.sets(st.integers(1, main), max_size=3))
    expired = set(snapshots_to_expire(history, main, {main, *held}, NOW, WINDOW))
    assert main not in expired
    assert not expired & held
    for snapshot in history:
        if snapshot.made_at >= NOW - WINDOW:
            # itself and what it was published on
            assert snapshot.snapshot_id not in expired
            assert snapshot.parent_id not in expired
    # and no more is kept than that
    kept = {snapshot.snapshot_id for snapshot in history} - expired - held
    assert len([one for one in history if one.snapshot_id in kept and one.made_at < NOW - WINDOW]) <= 1


def test_what_main_showed_when_the_window_began_stays() -> None:
    history = a_history([20, 10, 8, 6, 1])
    assert snapshots_to_expire(history, 5, {5}, NOW, WINDOW) == (1, 2)


def test_a_quiet_table_keeps_what_it_shows() -> None:
    assert snapshots_to_expire(a_history([30, 20, 10]), 3, {3}, NOW, WINDOW) == (1, 2)


def test_staged_work_of_the_window_and_held_branches_stay() -> None:
    history = a_history([20, 10])
    staged = SnapshotFact(7, 2, ago(1))
    held = SnapshotFact(8, 1, ago(15))
    forgotten = SnapshotFact(9, 1, ago(15))
    assert snapshots_to_expire([*history, staged, held, forgotten], 2, {2, 8}, NOW, WINDOW) == (1, 9)


def test_a_table_that_was_never_published_keeps_what_is_young() -> None:
    assert snapshots_to_expire(
        [SnapshotFact(1, None, ago(9)), SnapshotFact(2, None, ago(1))], None, (), NOW, WINDOW
    ) == (1,)


def test_branches_go_when_nobody_can_mean_them_any_more() -> None:
    branches = [
        BranchFact("load_held", ago(40), has_ended=True, is_held=True),
        BranchFact("load_released", ago(4), has_ended=True, is_held=False),
        BranchFact("load_just_ended", ago(2), has_ended=True, is_held=False),
        BranchFact("load_running", ago(0.1), has_ended=False, is_held=False),
        BranchFact("load_stuck", ago(6), has_ended=False, is_held=False),
        BranchFact("load_given_up", ago(8), has_ended=False, is_held=False),
    ]
    assert branches_to_drop(branches, NOW, SAFE_AGE, WINDOW) == ("load_given_up", "load_released")


@given(st.lists(tuples_at_once(range(31), QUARTER_DAYS), unique_by=lambda one: one[0]), subsets_at_once(range(24)))
def test_only_old_files_that_nothing_names_are_orphans(stored: list[tuple[int, float]], named: set[int]) -> None:
    files = [StoredFile(f"t/{number}", 1, ago(age)) for number, age in stored]
    found = orphans(files, {f"t/{number}" for number in named}, NOW, SAFE_AGE)
    assert {file.key for file in found} == {
        f"t/{number}" for number, age in stored if number not in named and NOW - ago(age) > SAFE_AGE
    }
