"""Whose a uuid is, whatever order batches run in and wherever they die."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlake.admission import Candidate, examine
from eventlake.claims import Claim, ClaimContest, Judgement, Settlement, Wish, claim_for, judge
from tests.builders import CODE_HASH, EIGHT_O_CLOCK_MS, EIGHT_O_CLOCK_SECONDS, a_uuid, an_arrival, an_event
from tests.single_draws import tuples_at_once

HOUR_MS = 3_600_000
WINDOW_SECONDS = 24 * 3600


def a_claim(
    number: int = 0, *, uuid: int = 1, content: str = "same", hours: float = 0, shard_id: str = "shardId-0"
) -> Claim:
    """The claim of record `number`, which arrived `hours` after eight o'clock."""
    arrival = an_arrival(
        an_event(event_uuid=a_uuid(uuid), content=content, created_at=EIGHT_O_CLOCK_SECONDS - 30 * 3600),
        number=number,
        shard_id=shard_id,
        arrived_at_ms=EIGHT_O_CLOCK_MS + int(hours * HOUR_MS),
    )
    candidate = examine(arrival, CODE_HASH)
    assert isinstance(candidate, Candidate), candidate
    return claim_for(candidate, WINDOW_SECONDS)


@pytest.mark.parametrize(
    ("claim", "judgement"),
    [
        (a_claim(0), Judgement.DELIVER),
        (a_claim(1, hours=23.999), Judgement.DUPLICATE),
        (a_claim(1, hours=-5), Judgement.DUPLICATE),
        (a_claim(1, hours=1, content="other"), Judgement.UUID_CONFLICT),
        (a_claim(1, hours=24), Judgement.TAKE_OVER),
        (a_claim(1, hours=24, content="other"), Judgement.TAKE_OVER),
    ],
)
def test_a_claim_is_judged_against_the_one_that_stands(claim: Claim, judgement: Judgement) -> None:
    assert judge(claim, standing=a_claim(0)) is judgement


def test_only_the_first_of_a_uuid_claims_and_the_others_are_judged_against_it() -> None:
    first, twin, other, stranger = a_claim(0), a_claim(1), a_claim(2, content="other"), a_claim(3, uuid=2)
    contest = ClaimContest([first, twin, other, stranger])
    assert contest.wishes() == [Wish(first, None), Wish(stranger, None)]
    contest.learn({first.event_uuid: first, stranger.event_uuid: stranger})
    assert contest.wishes() == []
    assert contest.settlements == {
        first.owner: Settlement(Judgement.DELIVER, first.owner),
        twin.owner: Settlement(Judgement.DUPLICATE, first.owner),
        other.owner: Settlement(Judgement.UUID_CONFLICT, first.owner),
        stranger.owner: Settlement(Judgement.DELIVER, stranger.owner),
    }


def test_an_expired_claim_is_replaced_only_if_it_still_stands() -> None:
    expired, late, rival = a_claim(0), a_claim(1, hours=30), a_claim(2, hours=29)
    contest = ClaimContest([late])
    contest.learn({expired.event_uuid: expired})
    assert contest.wishes() == [Wish(late, instead_of=expired)]
    # when a rival was faster
    contest.learn({expired.event_uuid: rival})
    assert contest.settlements == {late.owner: Settlement(Judgement.DUPLICATE, rival.owner)}


def test_a_claim_that_was_cleaned_up_between_two_looks_is_claimed_anew() -> None:
    contest = ClaimContest([a_claim(0)])
    contest.learn({})
    assert contest.wishes() == [Wish(a_claim(0), None)]
    contest.learn({a_claim(0).event_uuid: a_claim(7, hours=-30)})
    contest.learn({})
    assert contest.wishes() == [Wish(a_claim(0), None)]


# ---- any interleaving, any crash


@dataclass
class Lake:
    """A claims table and raw, as far as claims matter. Each write is atomic, as DynamoDB's are."""

    table: dict[str, Claim] = field(default_factory=dict)
    raw: list[Claim] = field(default_factory=list)

    def write(self, wish: Wish) -> None:
        if self.table.get(wish.claim.event_uuid) == wish.instead_of:
            self.table[wish.claim.event_uuid] = wish.claim

    def run(self, batch: list[Claim]) -> Iterator[None]:
        """One invocation; it may be left for dead at each yield."""
        contest = ClaimContest(batch)
        while wishes := contest.wishes():
            for wish in wishes:
                self.write(wish)
                yield
            contest.learn({w.claim.event_uuid: self.table[w.claim.event_uuid] for w in wishes})
        assert set(contest.settlements) == {claim.owner for claim in batch}
        for claim in batch:
            if contest.settlements[claim.owner].judgement is Judgement.DELIVER:
                self.raw.append(claim)
                yield


@st.composite
def shards_of_batches(draw: st.DrawFn, hours: Sequence[float], contents: str) -> list[list[list[Claim]]]:
    """Up to three shards, each a list of batches in order of arrival."""
    shards = []
    for shard in range(draw(st.integers(1, 3))):
        records = draw(st.lists(tuples_at_once(range(1, 4), contents, hours), min_size=1, max_size=6))
        records.sort(key=lambda record: record[2])
        claims = [
            a_claim(number, uuid=uuid, content=content, hours=at, shard_id=f"shardId-{shard}")
            for number, (uuid, content, at) in enumerate(records)
        ]
        size = draw(st.integers(1, 4))
        shards.append([claims[start : start + size] for start in range(0, len(claims), size)])
    return shards


def play(shards: list[list[list[Claim]]], schedule: list[tuple[int, bool]]) -> Lake:
    """Run the shards' batches side by side as the schedule says (which shard moves, does it die), then to the end."""
    lake = Lake()
    waiting = [list(batches) for batches in shards]
    running: dict[int, Iterator[None]] = {}

    def move(shard: int, dies: bool) -> None:
        if not waiting[shard]:
            return
        invocation = running.setdefault(shard, lake.run(waiting[shard][0]))
        if dies:
            del running[shard]  # the event source calls again with the same batch
        elif next(invocation, "ended") == "ended":
            del running[shard]
            waiting[shard].pop(0)

    for shard, dies in schedule:
        move(shard % len(shards), dies)
    while any(waiting):
        for shard in range(len(shards)):
            move(shard, False)
    return lake


# up to five days; a whole day apart is the window's very end
QUARTER_HOURS = [quarter / 4 for quarter in range(481)]
SCHEDULES = st.lists(tuples_at_once(range(3), [False, False, False, True]), max_size=25)


@given(shards_of_batches(QUARTER_HOURS[:93], "ab"), SCHEDULES)
@settings(max_examples=60, deadline=None)
def test_within_the_window_each_uuid_has_exactly_one_owner(
    shards: list[list[list[Claim]]], schedule: list[tuple[int, bool]]
) -> None:
    lake = play(shards, schedule)
    sent = {claim.event_uuid for batches in shards for batch in batches for claim in batch}
    owners = {uuid: {claim.owner for claim in lake.raw if claim.event_uuid == uuid} for uuid in sent}
    assert all(len(owners[uuid]) == 1 for uuid in sent), owners


@given(shards_of_batches(QUARTER_HOURS, "ab"), SCHEDULES)
@settings(max_examples=60, deadline=None)
def test_beyond_the_window_nothing_is_lost_and_owners_are_a_window_apart(
    shards: list[list[list[Claim]]], schedule: list[tuple[int, bool]]
) -> None:
    lake = play(shards, schedule)
    sent = {claim.event_uuid for batches in shards for batch in batches for claim in batch}
    assert {claim.event_uuid for claim in lake.raw} == sent
    delivered = {claim.owner: claim for claim in lake.raw}.values()
    for one in delivered:
        for other in delivered:
            if one.event_uuid == other.event_uuid and one.arrived_at_ms < other.arrived_at_ms:
                assert other.arrived_at_ms >= one.expires_at_seconds * 1_000
