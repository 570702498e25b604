"""Planning a load: nothing twice, nothing lost, oldest first, the same plan for the same question."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlake.errors import TerminalError
from eventlake.load_plan import (
    KnownLoad,
    Landing,
    LoadPlan,
    adopt_or_open,
    branch_name,
    generation_of,
    load_id_prefix,
    plan_load,
    table_of_pair,
    tables_wanted,
    type_of_table,
)
from tests.single_draws import builds_at_once

CONTRACTS = frozenset({("payment", "order"), ("payment", "refund"), ("lesson", "exercise")})
PAIRS = (*sorted(CONTRACTS), ("mystery", "thing"))
SETS_OF_PAIRS = [pairs for size in range(len(PAIRS) + 1) for pairs in combinations(PAIRS, size)]
TYPES = ("payment", "lesson", "mystery")


def landing(number: int, pair: tuple[str, str] = ("payment", "order"), size: int = 10, second: int = 0) -> Landing:
    return Landing(
        f"raw/{number}.gz", f"e{number}", size, "raw", *pair, landed_at=f"2026-11-21T08:00:{second:02d}.000Z"
    )


def error_landing(number: int, *pairs: tuple[str, str]) -> Landing:
    return Landing(f"errors/{number}", "e", 5, "errors", "", "", landed_at="2026", pairs=frozenset(pairs))


landings = st.lists(
    st.one_of(
        builds_at_once(landing, range(41), PAIRS, range(101), range(60)),
        builds_at_once(lambda number, pairs: error_landing(number, *pairs), range(10), SETS_OF_PAIRS),
    ),
    max_size=25,
    unique_by=lambda one: one.identity,
)


def plan(waiting: list[Landing], leased: frozenset[str] = frozenset(), ceiling: int = 10**9) -> LoadPlan:
    return plan_load(
        "d-0123456789-g1", waiting, CONTRACTS, {"events.payment_events": 7}, leased, ceiling, "k", "now", ["raw"]
    )


@given(
    landings,
    st.sets(st.sampled_from(["events.payment_events", "events.lesson_events", "events.uncontracted"])),
    st.integers(0, 300),
)
def test_each_landing_is_planned_or_left(waiting: list[Landing], leased: set[str], ceiling: int) -> None:
    made = plan(waiting, frozenset(leased), ceiling)
    taken = {one.identity for one in made.landings}
    assert taken <= {one.identity for one in waiting}
    assert len(taken) + made.left_waiting == len(waiting)
    for table in made.tables:
        assert table.table not in leased
        assert len({one.identity for one in table.landings}) == len(table.landings) > 0
    for one in waiting:
        # whole or not at all: a landing stands under every table it feeds
        if one.identity in taken:
            holders = {table.table for table in made.tables if one.identity in {x.identity for x in table.landings}}
            assert holders == set(one.tables(CONTRACTS))
    free = [one for one in waiting if not leased.intersection(one.tables(CONTRACTS))]
    assert bool(taken) == bool(free)
    assert made.size_bytes <= ceiling or len(taken) == 1


@given(landings, st.randoms(use_true_random=False))
def test_the_same_landings_give_the_same_bytes(waiting: list[Landing], random: Random) -> None:
    shuffled = list(waiting)
    random.shuffle(shuffled)
    assert plan(waiting).to_json() == plan(shuffled).to_json()


@given(landings)
def test_a_plan_survives_its_text(waiting: list[Landing]) -> None:
    made = plan(waiting)
    again = LoadPlan.from_json(made.to_json())
    assert again.to_json() == made.to_json()
    assert {one.identity for one in again.landings} == {one.identity for one in made.landings}


def test_oldest_first_and_no_overtaking() -> None:
    # given: the second oldest does not fit, a younger one would
    waiting = [landing(1, size=1, second=3), landing(2, size=90, second=2), landing(3, size=50, second=1)]
    made = plan(waiting, ceiling=100)
    assert [one.object_key for one in made.landings] == ["raw/3.gz"]
    assert made.left_waiting == 2


def test_a_table_that_piles_up_takes_no_others_place() -> None:
    # given: days of payments that no load gets through, and one hour of lessons
    pile = [landing(number, size=30, second=number) for number in range(10)]
    lessons = [landing(100 + number, ("lesson", "exercise"), size=20, second=50 + number) for number in range(2)]
    made = plan(pile + lessons, ceiling=130)
    assert {entry.table: [one.object_key for one in entry.landings] for entry in made.tables} == {
        "events.payment_events": ["raw/0.gz", "raw/1.gz", "raw/2.gz"],
        "events.lesson_events": ["raw/100.gz", "raw/101.gz"],
    }
    assert made.left_waiting == 7


@given(landings, st.integers(0, 300))
def test_of_each_table_the_oldest_are_taken(waiting: list[Landing], ceiling: int) -> None:
    made = plan(waiting, ceiling=ceiling)
    taken = {one.identity for one in made.landings}
    for table in {table for one in waiting for table in one.tables(CONTRACTS)}:
        of_table = [one for one in waiting if one.tables(CONTRACTS) == (table,)]
        newest_taken = max((one.landed_at for one in of_table if one.identity in taken), default="")
        assert all(one.identity in taken for one in of_table if one.landed_at < newest_taken)


def test_one_landing_over_the_ceiling_is_taken_alone() -> None:
    assert len(plan([landing(1, size=500), landing(2, size=1, second=9)], ceiling=100).landings) == 1


def test_tables_come_biggest_first_with_their_base() -> None:
    made = plan([landing(1, size=5), landing(2, ("lesson", "exercise"), size=50), landing(3, ("mystery", "thing"))])
    assert [(table.table, table.event_type, table.base_snapshot_id) for table in made.tables] == [
        ("events.lesson_events", "lesson", None),
        ("events.uncontracted", None, None),
        ("events.payment_events", "payment", 7),
    ]


def test_a_contracted_type_with_an_unknown_subtype_goes_to_uncontracted() -> None:
    assert table_of_pair("payment", "chargeback", CONTRACTS) == "events.uncontracted"


def test_an_error_object_stands_under_every_table_it_feeds() -> None:
    mixed = error_landing(1, ("payment", "order"), ("lesson", "exercise"), ("mystery", "thing"))
    assert tables_wanted([mixed], CONTRACTS) == ("events.lesson_events", "events.payment_events", "events.uncontracted")
    assert plan([mixed]).size_bytes == 5
    assert plan([mixed], frozenset({"events.lesson_events"})).tables == ()
    assert tables_wanted([error_landing(2)], CONTRACTS) == ("events.uncontracted",)


def test_types_of_tables() -> None:
    assert type_of_table("events.payment_events") == "payment"
    assert type_of_table("events.uncontracted") is None


def test_a_retry_adopts_and_clearing_opens() -> None:
    prefix = load_id_prefix("load_events", "run-1")
    assert adopt_or_open("load_events", "run-1", []) == (f"{prefix}1", False)
    assert adopt_or_open("load_events", "run-1", [KnownLoad(f"{prefix}1", False)]) == (f"{prefix}1", True)
    ended = [KnownLoad(f"{prefix}{number}", True) for number in (1, 2, 10)]
    assert adopt_or_open("load_events", "run-1", ended) == (f"{prefix}11", False)
    assert adopt_or_open("load_events", "run-2", ended)[0].endswith("-g1")


def test_a_name_that_is_no_load_id_is_refused() -> None:
    with pytest.raises(TerminalError, match="valid is <dag id>"):
        generation_of("load_events")


def test_two_attempts_never_share_a_branch() -> None:
    first = branch_name("load_events-0123456789-g1", "jr_aaaaaaaaaaaa")
    assert first == "load_load_events_0123456789_g1_aaaaaaaaaaaa"
    assert first != branch_name("load_events-0123456789-g1", "jr_bbbbbbbbbbbb")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"load_id":"x"}', "null"])
def test_a_text_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(TerminalError, match="reading a load plan"):
        LoadPlan.from_json(text)
