"""Rebuilds: which landings they read again; and in every order and overlap with loads, the same content."""

from __future__ import annotations

from collections.abc import Set
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlake.errors import TerminalError
from eventlake.load_plan import Landing, LoadKind, LoadPlan
from eventlake.rebuild_plan import (
    LoadedLanding,
    ShownName,
    days_between,
    days_that_fit,
    of_types,
    plan_rebuild,
    tables_of_rebuild,
)
from tests.lake_model import Contract, Line, ModelLake
from tests.single_draws import builds_at_once, subsets_at_once, tuples_at_once

DAYS = ("2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21")
CONTRACTS = frozenset({("payment", "order"), ("lesson", "exercise")})

# ---------------------------------------------------------------- the plan

PAIRS = (("payment", "order"), ("lesson", "exercise"), ("mystery", "thing"), ("payment", "unknown"))


def spanned(number: int, pair: tuple[str, str], first: int, length: int, size: int, is_error: bool) -> LoadedLanding:
    area, names = ("errors", frozenset({pair, ("lesson", "exercise")})) if is_error else ("late", frozenset())
    pair = ("", "") if is_error else pair
    landing = Landing(f"{area}/{number}", "e", size, area, *pair, pairs=names)
    return LoadedLanding(landing, DAYS[first], DAYS[min(first + length, 3)])


loaded_landings = st.lists(
    builds_at_once(spanned, range(41), PAIRS, range(4), range(3), range(101), (False, True)),
    max_size=15,
    unique_by=lambda one: one.landing.identity,
)
some_days = subsets_at_once(DAYS).filter(len)
SHOWN_NAMES = tuple(
    ShownName(table, event_type, event_subtype)
    for table in ("events.uncontracted", "events.payment_events")
    for event_type in ("payment", "lesson", "mystery")
    for event_subtype in ("order", "exercise", "thing")
)
shown_names = subsets_at_once(SHOWN_NAMES)


def plan(loaded: list[LoadedLanding], days: Set[str], shown: Set[ShownName] | None = None) -> LoadPlan:
    bases = {"events.payment_events": 7}
    return plan_rebuild("d-0123456789-g1", loaded, sorted(days), CONTRACTS, bases, shown or (), "k", "now", ["r"])


@given(loaded_landings, some_days, shown_names)
def test_every_landing_that_touches_the_days_is_read_for_each_table_that_takes_its_names(
    loaded: list[LoadedLanding], days: Set[str], shown: Set[ShownName]
) -> None:
    made = plan(loaded, days, shown)
    assert (made.kind, set(made.days), made.left_waiting) == (LoadKind.REBUILD, days, 0)
    for one in loaded:
        touches = any(one.first_day <= day <= one.last_day for day in days)
        holders = {table.table for table in made.tables if one.landing in table.landings}
        assert holders == (set(one.landing.tables(CONTRACTS)) if touches else set())
    assert [table.table for table in made.tables] == [
        table.table for table in LoadPlan.from_json(made.to_json()).tables
    ]
    assert set(tables_of_rebuild(loaded, days, CONTRACTS, shown)) == {table.table for table in made.tables}
    for table in made.tables:
        if not table.landings:
            # it only gives rows away, to a table of this plan
            homes = {f"events.{name.event_type}_events" for name in shown if name.table == table.table}
            assert homes | {"events.uncontracted"} & {other.table for other in made.tables if other.landings}


@given(loaded_landings, some_days)
def test_a_plan_survives_its_text(loaded: list[LoadedLanding], days: Set[str]) -> None:
    made = plan(loaded, days)
    again = LoadPlan.from_json(made.to_json())
    assert again.to_json() == made.to_json()
    assert (again.kind, again.days, again.requests) == (LoadKind.REBUILD, made.days, ("r",))


def test_a_name_that_got_a_contract_leaves_the_table_of_those_without() -> None:
    order = spanned(1, ("payment", "order"), 0, 0, 10, is_error=False)
    left = {ShownName("events.uncontracted", "payment", "order")}
    tables = {table.table: table.landings for table in plan([order], {DAYS[0]}, left).tables}
    assert tables == {"events.payment_events": (order.landing,), "events.uncontracted": ()}
    # nobody takes rows away for which nothing is read again
    assert plan([], {DAYS[0]}, left).tables == ()
    other = {ShownName("events.uncontracted", "mystery", "thing")}
    assert [table.table for table in plan([order], {DAYS[0]}, other).tables] == ["events.payment_events"]


@given(loaded_landings, subsets_at_once(("payment", "lesson")))
def test_types_narrow_a_rebuild_and_none_means_all(loaded: list[LoadedLanding], types: Set[str]) -> None:
    kept = list(of_types(loaded, types))
    if not types:
        assert kept == loaded
        return
    for one in kept:
        names = one.landing.pairs or {(one.landing.event_type, one.landing.event_subtype)}
        assert {event_type for event_type, _ in names} <= types
    whole = [one for one in loaded if one.landing.area != "errors" and one.landing.event_type in types]
    assert [one for one in kept if one.landing.area != "errors"] == whole


@given(loaded_landings, st.lists(st.sampled_from(DAYS), min_size=1), st.integers(0, 400))
def test_days_are_taken_as_they_come_up_to_the_ceiling(
    loaded: list[LoadedLanding], days: list[str], ceiling: int
) -> None:
    fitting = days_that_fit(loaded, days, ceiling)
    assert list(fitting) == list(dict.fromkeys(days))[: len(fitting)]
    assert fitting
    size = sum({one.landing.identity: one.landing.size_bytes for one in loaded if one.touches(fitting)}.values())
    assert size <= ceiling or len(fitting) == 1
    if ceiling >= sum(one.landing.size_bytes for one in loaded):
        assert set(fitting) == set(days)


def test_days_between_are_days_in_order() -> None:
    assert days_between("2026-02-27", "2026-03-01") == ("2026-02-27", "2026-02-28", "2026-03-01")
    with pytest.raises(TerminalError, match="not after the last"):
        days_between("2026-03-01", "2026-02-27")


# ---------------------------------------------------------------- any order and overlap of loads and rebuilds

WHOLE = Contract(lambda content: content)
# cannot see the second letter, and finds contents that begin with `x` bad
NARROW = Contract(lambda content: None if content.startswith("x") else content[:1])


def a_lake(copies: list[tuple[int, int, int]], agree: bool) -> ModelLake:
    """Lines (uuid, day, landing) in the order of the stream. `agree`: copies of a uuid say the same."""
    landings: dict[str, list[Line]] = {name: [] for name in "abcd"}
    for number, (uuid, day, landing) in enumerate(copies):
        said = f"{'xyz'[uuid % 3]}{uuid}" if agree else f"{'xyz'[number % 3]}{number}"
        # a uuid occurs on one day, unless its copies disagree
        where = DAYS[uuid % 3] if agree else DAYS[day]
        landings["abcd"[landing]].append(Line(number, f"u{uuid}", where, said))
    return ModelLake(landings, WHOLE)  # type: ignore[arg-type]  # a list is a sequence


copies = st.lists(tuples_at_once(range(6), range(3), range(4)), max_size=14)
Doing = tuple[str, Set[str]]
DOINGS: list[Doing] = [
    (what, frozenset(some))
    for what, things in (("load", "abcd"), ("rebuild", DAYS))
    for size in range(1, 5)
    for some in combinations(things, size)
]
acts = st.lists(st.sampled_from(DOINGS), max_size=8)


def act(lake: ModelLake, doings: list[Doing]) -> None:
    for what, which in doings:
        lake.load(which) if what == "load" else lake.rebuild(which)


@given(copies, acts, acts)
def test_loads_and_rebuilds_in_any_order_and_overlap_give_the_same_content(
    lines: list[tuple[int, int, int]],
    one_way: list[Doing],
    another: list[Doing],
) -> None:
    first, second = a_lake(lines, agree=True), a_lake(lines, agree=True)
    act(first, [*one_way, ("load", set("abcd"))])
    act(second, [*another, ("load", set("abcd"))])
    assert first.content == second.content
    assert first.quarantine == second.quarantine == set()


@given(copies, acts, some_days)
def test_a_rebuild_under_the_same_contract_changes_nothing(
    lines: list[tuple[int, int, int]], doings: list[Doing], days: Set[str]
) -> None:
    """Whatever copies say: the winner of a uuid is kept, and so is the lineage of its row."""
    lake = a_lake(lines, agree=False)
    act(lake, doings)
    before, moves, bad = dict(lake.table), lake.moves, set(lake.quarantine)
    lake.rebuild(days)
    assert (lake.table, lake.moves, lake.quarantine) == (before, moves, bad)


@given(copies, acts, acts)
def test_a_rebuild_of_all_days_is_what_the_new_contract_would_have_given(
    lines: list[tuple[int, int, int]], doings: list[Doing], later: list[Doing]
) -> None:
    # given: loaded under one contract, rebuilt under another, with whatever in between
    lake, fresh = a_lake(lines, agree=True), a_lake(lines, agree=True)
    act(lake, [*doings, ("load", set("abcd"))])
    lake.contract = fresh.contract = NARROW
    act(lake, later)
    lake.rebuild(DAYS)
    fresh.load("abcd")
    assert lake.content == fresh.content
    assert lake.quarantine == fresh.quarantine
    # and back again
    lake.contract = WHOLE
    lake.rebuild(DAYS)
    lake.rebuild(DAYS)
    widened = a_lake(lines, agree=True)
    widened.load("abcd")
    assert (lake.content, lake.quarantine) == (widened.content, set())


@given(copies, acts, some_days)
def test_a_rebuild_leaves_other_days_alone(
    lines: list[tuple[int, int, int]], doings: list[Doing], days: Set[str]
) -> None:
    lake = a_lake(lines, agree=False)
    act(lake, doings)
    before = {key: row for key, row in lake.table.items() if key[0] not in days}
    lake.contract = NARROW
    lake.rebuild(days)
    assert {key: row for key, row in lake.table.items() if key[0] not in days} == before
