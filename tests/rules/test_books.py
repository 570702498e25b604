"""The books: they balance when nothing is lost, and name each planted loss with its station when something is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlake import books
from eventlake.books import Balance, ClaimFinding, Ledger, Station, strike_balance
from eventlake.identity import RecordIdentity
from tests.single_draws import tuples_at_once

SHARDS = ("shardId-000000000000", "shardId-000000000001")
BASE = 49571234567890123456789012345678901234567890123456789012
VERDICTS = {
    "admitted": books.ADMITTED,
    "duplicate": books.DUPLICATE,
    "rejected": books.REJECTED,
    "replayed": books.REPLAYED,
}
STATES = {
    "loaded": books.LOADED,
    "quarantined": books.QUARANTINED,
    "duplicate": books.LOAD_DUPLICATE,
    "held": books.HELD,
    "waiting": books.WAITING,
}


# (shard, offset) -> (verdict, state of an admitted one, type, event day)
fates = st.dictionaries(
    tuples_at_once(SHARDS, range(10**6)),
    tuples_at_once(sorted(VERDICTS), sorted(STATES), ["payment", "lesson"], ["2026-11-20", "2026-11-21"]),
    max_size=30,
)
Fates = dict[tuple[str, int], tuple[str, str, str, str]]


def ledger_of(records: Fates, lost: tuple[str, int] | None = None, stage: str = "") -> Ledger:
    """A lake in which all is well, but for one record that is lost at one stage."""
    ledger = Ledger()
    for (shard, offset), (verdict, state, event_type, day) in records.items():
        number = BASE + offset
        is_lost = (shard, offset) == lost
        ledger.note(shard, number, books.RECEIVED, event_type=event_type, arrival_day="2026-11-21")
        if is_lost and stage in ("function", "delivery"):
            continue
        mark = VERDICTS[verdict]
        if verdict != "admitted":
            ledger.note(shard, number, mark, event_type=event_type, arrival_day="2026-11-21")
            continue
        landing = {"held": books.HELD, "waiting": books.WAITING}.get(state, 0)
        if is_lost:
            landing = books.UNRECORDED if stage == "list" else 0
        ledger.note(shard, number, mark | landing, event_type=event_type, arrival_day="2026-11-21", event_day=day)
        if not is_lost and not landing:
            ledger.note(shard, number, STATES[state], event_type=event_type, event_day=day)
    return ledger


@given(fates)
def test_a_lake_without_losses_balances(records: Fates) -> None:
    balance = strike_balance(ledger_of(records), {})
    assert balance.is_balanced
    assert sum(tally.received for tally in balance.stream) == len(records)
    for tally in balance.stream:
        assert tally.received == tally.admitted + tally.duplicate + tally.rejected + tally.replayed
    for landed in balance.tables:
        parts = landed.loaded + landed.quarantined + landed.duplicate + landed.held + landed.waiting
        assert landed.landed == parts
    admitted = [fate for fate in records.values() if fate[0] == "admitted"]
    assert sum(tally.landed for tally in balance.tables) == len(admitted)
    assert sum(tally.loaded for tally in balance.tables) == sum(fate[1] == "loaded" for fate in admitted)


@settings(max_examples=60)
@given(fates.filter(bool), st.data())
def test_a_planted_loss_is_named_with_its_station(records: Fates, data: st.DataObject) -> None:
    lost = data.draw(st.sampled_from(sorted(records)))
    records[lost] = ("admitted", "loaded", *records[lost][2:])
    stage, claim, station = data.draw(
        st.sampled_from(
            [
                ("function", ClaimFinding.NONE, Station.ADMIT_EVENTS),
                ("delivery", ClaimFinding.OWN, Station.FIREHOSE),
                ("delivery", ClaimFinding.OTHERS, Station.FIREHOSE),
                ("list", ClaimFinding.OWN, Station.RECORD_LANDING),
                ("load", ClaimFinding.OWN, Station.LOAD_EVENTS),
            ]
        )
    )
    identity = RecordIdentity(lost[0], BASE + lost[1])
    ledger = ledger_of(records, lost, stage)
    assert ledger.undecided() == ([identity] if stage in ("function", "delivery") else [])
    balance = strike_balance(ledger, {identity: claim})
    assert [(one.identity, one.station) for one in balance.differences] == [(identity, station)]
    assert (claim is ClaimFinding.OWN and stage == "delivery") == ("claimed by itself" in balance.differences[0].what)
    assert balance.stations == {station.value: 1}
    named = sum(tally.differences for tally in (*balance.stream, *balance.tables))
    assert named == 1


def struck(*marks: int, is_stream_complete: bool = True) -> Balance:
    ledger = Ledger()
    for mark in marks:
        ledger.note(SHARDS[0], BASE, mark, event_type="payment", arrival_day="2026-11-21", event_day="2026-11-21")
    return strike_balance(ledger, {}, is_stream_complete)


@pytest.mark.parametrize(
    ("marks", "station", "what"),
    [
        ((books.RECEIVED, books.ADMITTED, books.LOADED, books.LOADED), Station.LOAD_EVENTS, "loaded twice"),
        ((books.RECEIVED, books.ADMITTED, books.LOADED, books.QUARANTINED), Station.LOAD_EVENTS, "loaded and in open"),
        ((books.RECEIVED, books.REJECTED, books.LOADED), Station.RAW_BUCKET, "loaded, but not in raw"),
        ((books.ADMITTED, books.LOADED), Station.STREAM, "the stream never had it"),
    ],
)
def test_what_is_too_much_is_named_too(marks: tuple[int, ...], station: Station, what: str) -> None:
    (difference,) = struck(*marks).differences
    assert difference.station is station
    assert what in difference.what


@pytest.mark.parametrize(
    "marks",
    [
        # at least once: in raw twice, delivered as admitted and as duplicate, waiting again after a rewrite
        (books.RECEIVED, books.ADMITTED, books.ADMITTED, books.LOADED),
        (books.RECEIVED, books.ADMITTED, books.DUPLICATE, books.LOADED),
        (books.RECEIVED, books.ADMITTED | books.WAITING, books.LOADED, books.LOAD_DUPLICATE),
        (books.RECEIVED, books.ADMITTED | books.HELD, books.QUARANTINED),
        # a line that nobody can read: only its object knows it
        (books.ADMITTED | books.UNREADABLE, books.QUARANTINED),
    ],
)
def test_one_identity_counts_once(marks: tuple[int, ...]) -> None:
    balance = struck(*marks)
    assert balance.is_balanced
    assert sum(tally.landed for tally in balance.tables) == 1
    assert sum(tally.received for tally in balance.stream) == (books.RECEIVED in marks)


def test_a_stream_that_forgot_cannot_accuse() -> None:
    assert struck(books.ADMITTED, books.LOADED, is_stream_complete=False).is_balanced


def test_who_speaks_first_names_the_group() -> None:
    ledger = Ledger()
    ledger.note(SHARDS[0], BASE, books.RECEIVED, event_type="unknown", arrival_day="2026-11-21")
    ledger.note(SHARDS[0], BASE, books.REJECTED, event_type="payment", arrival_day="2026-11-21")
    (tally,) = strike_balance(ledger, {}).stream
    assert (tally.event_type, tally.received, tally.rejected) == ("unknown", 1, 1)
    assert ledger.verdict_of(SHARDS[0], BASE) == "rejected"


def test_the_same_number_in_two_shards_is_two_records() -> None:
    ledger = Ledger()
    note: Callable[..., None] = ledger.note
    note(SHARDS[0], BASE, books.RECEIVED, arrival_day="2026-11-21")
    note(SHARDS[1], BASE, books.RECEIVED, arrival_day="2026-11-21")
    assert len(ledger) == 2
    assert not ledger.has(SHARDS[1], BASE, books.ADMITTED)
    assert ledger.state_of("nobody", 1) is None
