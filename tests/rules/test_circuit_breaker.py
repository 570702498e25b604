"""Rates over their ceilings, which rejections stand beside a load, and what a rebuild leaves out meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from eventlake.circuit_breaker import (
    Ceilings,
    Rejection,
    names_without_stopped,
    rates_over_ceiling,
    with_rejections,
    with_rejections_of,
    without_stopped,
)
from eventlake.load_plan import Landing, LoadPlan, TablePlan
from eventlake.rebuild_plan import LoadedLanding, ShownName
from eventlake.receipt import Counts

PAYMENTS, LESSONS, UNCONTRACTED = "events.payment_events", "events.lesson_events", "events.uncontracted"
CONTRACTS = frozenset({("payment", "order"), ("lesson", "exercise")})
STOPPED = {PAYMENTS}


def at(minute: int) -> datetime:
    return datetime(2026, 11, 21, 8, minute, tzinfo=UTC)


def landing(event_type: str, minute: int, area: str = "raw") -> Landing:
    pair = (event_type, "order" if event_type == "payment" else "exercise")
    return Landing(f"{area}/{event_type}/{minute}", "e", 1, area, *pair, landed_at=f"2026-11-21T08:{minute:02}:00.000Z")


def planned(*entries: TablePlan) -> LoadPlan:
    return LoadPlan("load_events-0123456789-g1", "now", "k", ("raw",), entries, 0, 1)


@pytest.mark.parametrize(
    ("counts", "rejected", "said"),
    [
        (Counts(100, 75, 0, 25), 33, []),
        (Counts(100, 74, 0, 26), 0, ["26 of 100 lines quarantined, over the ceiling of 25%"]),
        (Counts(100, 100, 0, 0), 34, ["34 of 134 records rejected at admission, over the ceiling of 25%"]),
        # a handful of records says nothing, of either rate
        (Counts(10, 0, 0, 10), 9, []),
        (Counts(10, 10, 0, 0), 10, ["10 of 20 records rejected at admission, over the ceiling of 25%"]),
    ],
)
def test_a_rate_over_its_ceiling_is_told_in_numbers(counts: Counts, rejected: int, said: list[str]) -> None:
    assert [str(rate) for rate in rates_over_ceiling(counts, rejected, Ceilings())] == said


def test_rejections_count_for_their_type_since_its_own_oldest_landing() -> None:
    # given: payments have waited for longer than lessons
    plan = planned(
        TablePlan(PAYMENTS, "payment", 1, (landing("payment", 10), landing("payment", 40))),
        TablePlan(LESSONS, "lesson", 1, (landing("lesson", 30),)),
        TablePlan(UNCONTRACTED, None, 1, (landing("mystery", 5),)),
    )
    rejections = [Rejection(event_type, at(minute)) for event_type in ("payment", "lesson") for minute in (9, 10, 29)]
    # when
    told = with_rejections(plan, [*rejections, Rejection("mystery", at(50)), Rejection("un.readable", at(50))])
    # then
    assert {entry.table: entry.rejected for entry in told.tables} == {PAYMENTS: 2, LESSONS: 0, UNCONTRACTED: 0}
    assert LoadPlan.from_json(told.to_json()).table(PAYMENTS) == replace(told.tables[0], landings=stored(told))


def stored(plan: LoadPlan) -> tuple[Landing, ...]:
    return tuple(replace(one, landed_at="") for one in plan.tables[0].landings)


def test_late_landings_alone_are_not_measured_by_the_rejections_of_the_hour() -> None:
    plan = planned(TablePlan(PAYMENTS, "payment", 1, (landing("payment", 1, "late"),)))
    assert with_rejections(plan, [Rejection("payment", at(50))] * 99) == plan


def test_what_is_released_keeps_the_rate_for_which_it_was_held() -> None:
    held = planned(replace(TablePlan(PAYMENTS, "payment", 1, (landing("payment", 1),)), rejected=70))
    release = planned(replace(held.tables[0], rejected=0), TablePlan(LESSONS, "lesson", 1, ()))
    assert [entry.rejected for entry in with_rejections_of(release, held).tables] == [70, 0]


def test_a_rebuild_reads_nothing_of_a_stopped_table() -> None:
    of_error = Landing("errors/x", "e", 1, "errors", "", "", pairs=frozenset({("payment", "order"), ("lesson", "x")}))
    only_stopped = replace(of_error, object_key="errors/y", pairs=frozenset({("payment", "order")}))
    unnamed = replace(of_error, object_key="errors/z", pairs=frozenset())
    loaded = [
        LoadedLanding(one, "2026-11-20", "2026-11-21")
        for one in (landing("payment", 1), landing("lesson", 1), of_error, only_stopped, unnamed)
    ]
    left = {one.landing.object_key: one.landing.pairs for one in without_stopped(loaded, CONTRACTS, STOPPED)}
    assert left == {"raw/lesson/1": frozenset(), "errors/x": {("lesson", "x")}, "errors/z": frozenset()}
    assert list(without_stopped(loaded, CONTRACTS, ())) == loaded


def test_no_row_moves_from_or_into_a_stopped_table() -> None:
    names = [
        ShownName(UNCONTRACTED, "payment", "order"),
        ShownName(UNCONTRACTED, "lesson", "exercise"),
        ShownName(PAYMENTS, "payment", "unknown"),
    ]
    assert list(names_without_stopped(names, CONTRACTS, STOPPED)) == [names[1]]
