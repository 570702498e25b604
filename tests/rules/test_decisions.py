"""Each record has exactly one verdict, and those that stay outside are told about with their bytes."""

from __future__ import annotations

import base64
import json

import pytest

from eventlake.admission import examine
from eventlake.claims import Judgement, Settlement
from eventlake.decision_log import decision_line
from eventlake.decisions import Verdict, count_rejections, count_verdicts, decide, decision_record
from eventlake.errors import TerminalError
from eventlake.positions import Position, furthest_positions
from tests.builders import CODE_HASH, EIGHT_O_CLOCK_MS, SHARD, a_sequence_number, a_uuid, an_arrival, an_event, as_sent

FOUR = [examine(an_arrival(sent, number=n), CODE_HASH) for n, sent in enumerate([an_event()] * 3 + [b"not json"])]
OWNERS = [record.arrival.owner for record in FOUR]
SETTLED = {
    OWNERS[0]: Settlement(Judgement.DELIVER, OWNERS[0]),
    OWNERS[1]: Settlement(Judgement.DUPLICATE, OWNERS[0]),
    OWNERS[2]: Settlement(Judgement.UUID_CONFLICT, OWNERS[0]),
}


def test_each_record_gets_one_verdict_in_order_of_arrival() -> None:
    decisions = decide(FOUR, SETTLED)
    assert [d.verdict for d in decisions] == [
        Verdict.ADMITTED,
        Verdict.DUPLICATE,
        Verdict.REJECTED,
        Verdict.REJECTED,
    ]
    assert count_verdicts(decisions) == {"admitted": 1, "duplicate": 1, "rejected": 2, "replayed": 0}
    assert count_rejections(decisions) == {"not_json": 1, "uuid_conflict": 1}
    assert [d.line is not None for d in decisions] == [True, False, False, False]


@pytest.mark.parametrize("judgement", [None, Judgement.TAKE_OVER])
def test_a_record_without_a_verdict_stops_the_batch(judgement: Judgement | None) -> None:
    unsettled = {owner: settlement for owner, settlement in SETTLED.items() if owner != OWNERS[1]}
    if judgement:
        unsettled[OWNERS[1]] = Settlement(judgement, OWNERS[0])
    with pytest.raises(TerminalError, match=f"record {OWNERS[1]} has no verdict"):
        decide(FOUR, unsettled)


def test_a_record_with_two_verdicts_stops_the_batch() -> None:
    with pytest.raises(TerminalError, match=f"record {OWNERS[3]} is there 2 times"):
        decide([*FOUR, FOUR[3]], SETTLED)


def test_the_decision_record_of_a_duplicate() -> None:
    record = json.loads(decision_record(decide(FOUR, SETTLED)[1], CODE_HASH))
    assert base64.b64decode(record.pop("body")) == as_sent(an_event())
    assert record == {
        "verdict": "duplicate",
        "reason": None,
        "event_uuid": a_uuid(),
        "event_type": "payment",
        "event_name": "payment:order",
        "shard_id": SHARD,
        "sequence_number": a_sequence_number(1),
        "ingested_at": "2026-11-21T08:00:01.123Z",
        "first_owner": OWNERS[0],
        "body_reference": None,
        "code_hash": CODE_HASH,
    }


def test_the_decision_record_of_what_cannot_be_read() -> None:
    record = json.loads(decision_record(decide(FOUR, SETTLED)[3], CODE_HASH, "s3://bucket/key"))
    assert (record["reason"], record["event_type"], record["first_owner"]) == ("not_json", None, None)
    assert (record["body"], record["body_reference"]) == (None, "s3://bucket/key")


def test_a_position_is_the_largest_number_of_its_shard_not_the_largest_text() -> None:
    arrivals = [
        an_arrival(number=5, shard_id="b"),
        *(an_arrival(number=n)._replace(sequence_number=s) for n, s in [(0, "9"), (1, "10")]),
    ]
    assert furthest_positions(arrivals) == [
        Position("b", a_sequence_number(5), EIGHT_O_CLOCK_MS + 1_123),
        Position(SHARD, "10", EIGHT_O_CLOCK_MS + 1_123),
    ]


def test_the_decision_line_is_an_embedded_metric() -> None:
    line = json.loads(decision_line(lake="l", station="s", at_ms=5, counts={"Records": 3}, details={"reason": "x"}))
    assert line == {
        "reason": "x",
        "Records": 3,
        "Lake": "l",
        "Station": "s",
        "_aws": {
            "Timestamp": 5,
            "CloudWatchMetrics": [
                {
                    "Namespace": "EventLake",
                    "Dimensions": [["Lake", "Station"]],
                    "Metrics": [{"Name": "Records", "Unit": "Count"}],
                }
            ],
        },
    }
