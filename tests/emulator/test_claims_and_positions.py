"""The statements and conditions of admit_events mean the same to a real DynamoDB API as to the fake of its tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventlake.admission import Candidate, examine
from eventlake.claims import Claim, ClaimContest, Judgement, claim_for
from eventlake.positions import Position
from tests.builders import CODE_HASH, DAY_SECONDS, EIGHT_O_CLOCK_MS, a_uuid, an_arrival, an_event
from tests.emulator.conftest import Emulator
from tests.functions.fakes import FakeDynamoDB

sys.path.insert(0, str(Path(__file__).parents[2] / "include" / "lambdas" / "admit_events"))

from claims_table import ClaimsTable
from positions_table import note_positions

Table = Callable[[str], tuple[Any, str]]


@pytest.fixture(params=["fake", "emulator"])
def a_table(request: pytest.FixtureRequest, name: str) -> Table:
    """Makes a table with one key; gives the client and the table's name."""

    def make(key: str) -> tuple[Any, str]:
        if request.param == "fake":
            return FakeDynamoDB({name: (key,)}), name
        emulator: Emulator = request.getfixturevalue("emulator")
        dynamodb = emulator.client("dynamodb")
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        )
        return dynamodb, name

    return make


def claims_of(uuids: range, *, first_number: int, days: int = 0) -> list[Claim]:
    arrived_at_ms = EIGHT_O_CLOCK_MS + days * DAY_SECONDS * 1_000
    examined = [
        examine(
            an_arrival(an_event(event_uuid=a_uuid(n)), number=first_number + n, arrived_at_ms=arrived_at_ms), CODE_HASH
        )
        for n in uuids
    ]
    return [claim_for(candidate, DAY_SECONDS) for candidate in examined if isinstance(candidate, Candidate)]


def test_claims_are_won_lost_found_again_and_taken_over(a_table: Table) -> None:
    dynamodb, table = a_table("event_uuid")

    def settle(claims: list[Claim]) -> list[Judgement]:
        contest = ClaimContest(claims)
        ClaimsTable(dynamodb, table).settle(contest)
        return [contest.settlements[claim.owner].judgement for claim in claims]

    deliver, duplicate = Judgement.DELIVER, Judgement.DUPLICATE
    first, others = claims_of(range(60), first_number=0), claims_of(range(130), first_number=1_000)
    assert settle(first) == [deliver] * 60
    assert settle(first) == [deliver] * 60, "a retry finds its own claims"
    assert settle(others) == [duplicate] * 60 + [deliver] * 70
    late, later = (claims_of(range(30), first_number=number, days=1) for number in (2_000, 3_000))
    assert settle(late) == [deliver] * 30, "the window is over"
    assert settle(later) == [duplicate] * 30
    assert settle(first) == [duplicate] * 30 + [deliver] * 30, "whose claim was taken over is a duplicate now"


def test_positions_only_move_forward(a_table: Table) -> None:
    dynamodb, table = a_table("shard_id")
    for number, arrived_at_ms in ((5, 500), (7, 700), (6, 600), (8, 700)):
        note_positions(dynamodb, table, [Position("shard", str(number), arrived_at_ms)], "2026-11-21T08:00:00.000Z")
    if isinstance(dynamodb, FakeDynamoDB):
        [item] = dynamodb.tables[table].values()
    else:
        [item] = dynamodb.scan(TableName=table)["Items"]
    assert item == {
        "shard_id": {"S": "shard"},
        "sequence_number": {"S": "8"},
        "arrived_at": {"N": "700"},
        "updated_at": {"S": "2026-11-21T08:00:00.000Z"},
    }
