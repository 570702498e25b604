"""Which days are written again: many small files, past days, each once, and never again when it was done."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlake.compaction import (
    FEWEST_FILES_SAVED,
    TARGET_FILE_BYTES,
    WHOLE_TABLE,
    CompactionPlan,
    LiveFile,
    TableFiles,
    files_needed,
    files_saved,
    parse_compaction_receipt,
    plan_compaction,
)
from eventlake.errors import TerminalError
from tests.single_draws import builds_at_once

TODAY = "2026-11-21"
DAYS = ("2026-11-18", "2026-11-19", "2026-11-20", TODAY, WHOLE_TABLE)
MEBIBYTE = 1024**2

# of one byte up to three times the target, as many small ones as large ones
SIZES_BYTES = (1, 2, 1023, *(TARGET_FILE_BYTES * part // 64 + odd for part in (1, 4, 16, 32, 63) for odd in (0, 1, 77)),
               *(TARGET_FILE_BYTES * times + odd for times in (1, 2, 3) for odd in (-1, 0, 1)))  # fmt: skip
# some files of one kind: what pays are many alike
files_of_a_kind = builds_at_once(
    lambda number, *of_file: (LiveFile(*of_file),) * number,
    (1, 2, 3, 7, 8, 9, 10, 25),
    DAYS,
    SIZES_BYTES,
    (0, 1, 10**6),
)
tables = st.lists(
    st.builds(
        TableFiles,
        st.sampled_from([f"events.{name}_events" for name in "abcde"]),
        st.just(7),
        st.lists(files_of_a_kind, max_size=6).map(lambda kinds: tuple(chain.from_iterable(kinds))),
    ),
    max_size=5,
    unique_by=lambda table: table.table,
)


def plan(seen: list[TableFiles], ceiling: int = 10**12) -> CompactionPlan:
    return plan_compaction("close_day-0123456789-g1", "now", seen, TODAY, ceiling)


def files(number: int, size_bytes: int = MEBIBYTE, day: str = "2026-11-20") -> tuple[LiveFile, ...]:
    return tuple(LiveFile(day, size_bytes, 10) for _ in range(number))


@given(tables)
def test_a_day_is_planned_when_and_only_when_it_pays(seen: list[TableFiles]) -> None:
    planned = {entry.table: entry for entry in plan(seen).entries}
    for table in seen:
        days = {file.day for file in table.files}
        of_day = {day: [file for file in table.files if file.day == day] for day in days}
        worth = {day for day in days if day < TODAY and files_saved(of_day[day]) >= FEWEST_FILES_SAVED}
        entry = planned.get(table.table)
        assert (set() if entry is None else set(entry.days)) == worth - {WHOLE_TABLE}
        if entry is not None:
            counted = [file for day in worth for file in of_day[day]]
            assert (entry.files, entry.rows) == (len(counted), sum(file.rows for file in counted))
            assert entry.size_bytes == sum(file.size_bytes for file in counted)
            assert entry.base_snapshot_id == table.snapshot_id
            needed = {day: files_needed(sum(file.size_bytes for file in of_day[day])) for day in worth}
            assert entry.files_needed == sum(needed.values())
            assert set(entry.cut_days) == {day for day in worth - {WHOLE_TABLE} if needed[day] > 1}
            assert entry.files - entry.files_needed >= FEWEST_FILES_SAVED * len(worth)


@given(tables)
def test_what_was_compacted_never_pays_again(seen: list[TableFiles]) -> None:
    """Written again, a day has as many files as it needs and no more bytes than before."""
    for entry in plan(seen).entries:
        size = entry.size_bytes // entry.files_needed
        after = TableFiles(entry.table, 10, tuple(LiveFile("2026-11-20", size, 1) for _ in range(entry.files_needed)))
        assert plan([after]).entries == ()


@given(st.lists(st.integers(1, TARGET_FILE_BYTES // 64), min_size=1, max_size=60), st.integers(1, 64))
def test_one_small_file_more_never_makes_a_day_pay_less(sizes: list[int], more: int) -> None:
    before = [LiveFile("2026-11-20", size, 1) for size in sizes]
    # a file that fills up another one saves nothing; none costs anything
    assert files_saved([*before, LiveFile("2026-11-20", more, 1)]) >= files_saved(before)


@given(tables, st.integers(0, 20 * TARGET_FILE_BYTES))
def test_a_plan_stays_under_its_ceiling_or_is_one_day(seen: list[TableFiles], ceiling: int) -> None:
    made = plan(seen, ceiling)
    days = sum(len(entry.days) or 1 for entry in made.entries)
    assert made.size_bytes <= ceiling or days == 1
    assert bool(made.entries) == bool(plan(seen).entries)
    assert CompactionPlan.from_json(made.to_json()) == made


def test_what_does_not_fit_waits_for_the_next_day_and_saves_least() -> None:
    seen = [TableFiles("events.a_events", 1, (*files(20, day="2026-11-18"), *files(30, day="2026-11-19")))]
    assert [entry.days for entry in plan(seen, 49 * MEBIBYTE).entries] == [("2026-11-19",)]
    assert [entry.days for entry in plan(seen, 50 * MEBIBYTE).entries] == [("2026-11-18", "2026-11-19")]


def test_today_is_left_alone_and_few_or_large_files_too() -> None:
    assert plan([TableFiles("events.a_events", 1, files(30, day=TODAY))]).entries == ()
    assert plan([TableFiles("events.a_events", 1, files(FEWEST_FILES_SAVED))]).entries == ()
    assert plan([TableFiles("events.a_events", 1, files(30, TARGET_FILE_BYTES))]).entries == ()
    (entry,) = plan([TableFiles("events.a_events", 1, files(FEWEST_FILES_SAVED + 1))]).entries
    assert (entry.days, entry.files, entry.files_needed) == (("2026-11-20",), 9, 1)


def test_a_table_without_days_is_written_whole() -> None:
    (entry,) = plan([TableFiles("control.loads", 1, files(24, day=WHOLE_TABLE))]).entries
    assert (entry.days, entry.files_needed) == ((), 1)


def test_files_needed_are_rounded_up() -> None:
    assert [files_needed(size) for size in (0, 1, TARGET_FILE_BYTES, TARGET_FILE_BYTES + 1)] == [1, 1, 1, 2]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"compaction_id":"x"}', '{"compaction_id":"x","entries":[{}]}'])
def test_a_text_that_is_no_plan_or_receipt_is_refused(text: str) -> None:
    with pytest.raises(TerminalError, match="reading a plan of a compaction"):
        CompactionPlan.from_json(text)
    with pytest.raises(TerminalError, match="reading the receipt of a compaction"):
        parse_compaction_receipt(text)
