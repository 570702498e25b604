"""Rows on disk: they read like a dictionary, and go back to any moment that a checkpoint may still need."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.row_store import EXIT_UNWRITABLE, RowStore
from tests.emulator.running import ROOT
from tests.single_draws import tuples_at_once

SPACES, KEYS, SORTS = ("t1", "t2"), ("a", "b"), ("", "x")
Rows = dict[tuple[str, str, str], int]

STEPS = ("put", "put", "put", "put", "remove", "remove", "seal", "forget")
steps = st.lists(tuples_at_once(STEPS, SPACES, KEYS, SORTS), min_size=12, max_size=60)


def rows_of(store: RowStore) -> Rows:
    return {
        (space, str(key), str(sort)): value
        for space in SPACES
        for key in store.keys(space)
        for sort, value in store.of_key(space, key)
    }


@given(steps, st.data())
@settings(max_examples=60)
def test_rows_are_what_was_put_last_and_go_back_to_a_checkpoint(
    done: list[tuple[str, str, str, str]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        store, now = RowStore(Path(folder) / "rows"), Rows()
        sealed: list[tuple[int, Rows]] = [(store.seal(), Rows())]
        for number, (what, *place) in enumerate(done):
            space, key, sort = place
            if what == "put":
                store.put(space, key, sort, number)
                now[space, key, sort] = number
            elif what == "remove":
                store.remove(space, key, sort)
                now.pop((space, key, sort), None)
            elif what == "seal":
                sealed.append((store.seal(), dict(now)))
            else:
                # the last checkpoint is on the disk
                store.forget_dead(sealed[-1][0])
                sealed = sealed[-1:]
            assert store.get(space, key, sort) == now.get((space, key, sort))
        assert rows_of(store) == now
        # a killed process loses what was not committed; its file is read by another
        store._database.close()
        number, then = data.draw(st.sampled_from(sealed))
        again = RowStore(Path(folder) / "rows")
        again.back_to(number, SPACES)
        assert rows_of(again) == then
        again.put("t1", "a", "", 77)
        assert again.seal() > number


def test_rows_of_a_space_that_no_store_knows_go(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "rows")
    for space in SPACES:
        store.put(space, 1, "", "x")
    store.back_to(store.seal(), ["t2"])
    assert [list(store.keys(space)) for space in SPACES] == [[], [1]]


def test_rows_whose_time_is_over_are_named_longest_waiting_first(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "rows")
    for key, expires in (("late", 30.0), ("first", 10.0), ("second", 20.0), ("never", None)):
        store.put("t", key, "", 0, expires)
    assert store.expired("t", 20.0, 5) == [("first", ""), ("second", "")]
    assert store.expired("t", 99.0, 1) == [("first", "")]
    store.put("t", "first", "", 1, 99.5)
    store.remember_expiry("t", [("never", "", 5.0)])
    assert store.expired("t", 99.0, 5) == [("never", ""), ("second", ""), ("late", "")]


def test_a_disk_that_is_full_ends_the_server_like_a_kill(tmp_path: Path) -> None:
    """SQLite takes back more than the change that failed: to go on would be to lose rows without a word."""
    fill = (
        "import sys; from pathlib import Path; from emulator.row_store import RowStore\n"
        "store = RowStore(Path(sys.argv[1])); store.put('t', 'sealed', '', 1); print(store.seal(), flush=True)\n"
        "for number in range(100_000): store.put('t', number, '', 'x' * 100)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", fill, str(tmp_path / "rows")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)),
    )
    assert ended.returncode == EXIT_UNWRITABLE, ended.stderr
    assert ended.stderr.count("\n") == 1 and "cannot be written" in ended.stderr and "Make room" in ended.stderr
    store = RowStore(tmp_path / "rows")
    store.back_to(int(ended.stdout), ["t"])
    assert list(store.keys("t")) == ["sealed"]
