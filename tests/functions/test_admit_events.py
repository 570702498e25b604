"""admit_events with services in memory: what it writes, and that it may die anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from delivery import calls_of

from admit_events.handler import Lake, handler
from eventlake.errors import TransientError
from eventlake.settings import Settings
from tests.builders import (
    CODE_HASH,
    DAY_SECONDS,
    EIGHT_O_CLOCK_MS,
    SHARD,
    a_kinesis_batch,
    a_kinesis_record,
    a_sequence_number,
    a_uuid,
    an_event,
    as_sent,
)
from tests.functions.fakes import FakeDynamoDB, FakeFirehose, FakeS3, Faults, ProcessDiedError

SETTINGS = Settings()
KEYS = {SETTINGS.claims_table: ("event_uuid",), SETTINGS.positions_table: ("shard_id",)}
EVENTS = Path(__file__).parents[1] / "events"


@dataclass
class World:
    """Services that outlive the function, which is new at each call."""

    dynamodb: FakeDynamoDB = field(default_factory=lambda: FakeDynamoDB(KEYS))
    firehose: FakeFirehose = field(default_factory=FakeFirehose)
    s3: FakeS3 = field(default_factory=FakeS3)
    pauses: list[float] = field(default_factory=list)

    def admit(self, event: dict[str, Any], faults: Faults | None = None) -> Faults:
        faults = faults or Faults()
        self.dynamodb.faults = self.firehose.faults = self.s3.faults = faults
        lake = Lake(
            SETTINGS, CODE_HASH, self.dynamodb, self.firehose, self.s3, lambda: EIGHT_O_CLOCK_MS, self.pauses.append
        )
        handler(event, None, lake)
        return faults

    @property
    def raw(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.firehose.streams.get(SETTINGS.raw_delivery, [])]

    @property
    def decisions(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.firehose.streams.get(SETTINGS.decisions_delivery, [])]

    @property
    def positions(self) -> dict[str, str]:
        table = self.dynamodb.tables[SETTINGS.positions_table]
        return {item["shard_id"]["S"]: item["sequence_number"]["S"] for item in table.values()}


def numbers(records: Iterable[dict[str, Any]]) -> list[str]:
    """Sequence numbers of raw lines or of decision records."""
    return [(record.get("_lake") or record)["sequence_number"] for record in records]


def test_a_batch_as_kinesis_sends_it(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.admit(json.loads((EVENTS / "kinesis_event.json").read_text()))
    [event], [decision] = world.raw, world.decisions
    assert event["_lake"] == {
        "ingested_at": "2018-12-17T22:10:50.987Z",
        "shard_id": "shardId-000000000006",
        "sequence_number": "49590338271490256608559692538361571095921575989136588898",
        "area": "raw",
        "day": "2018-12-17",
        "code_hash": CODE_HASH,
    }
    assert (decision["verdict"], decision["reason"]) == ("rejected", "not_json")
    assert world.positions == {"shardId-000000000006": decision["sequence_number"]}
    line = json.loads(capsys.readouterr().out)
    assert {name: line[name] for name in line if name.startswith("Records")} == {
        "RecordsReceived": 2,
        "RecordsAdmitted": 1,
        "RecordsDuplicate": 0,
        "RecordsRejected": 1,
        "RecordsReplayed": 0,
        "RecordsDeliveredAgain": 0,
    }
    assert line["rejections"] == {"not_json": 1}
    assert "only a test" not in json.dumps(line)


def test_duplicates_and_conflicts_within_a_batch_and_across_batches() -> None:
    world = World()
    world.admit(a_kinesis_batch(an_event(), an_event(), an_event(amount=2), an_event(event_uuid=a_uuid(2))))
    world.admit(a_kinesis_batch(an_event(), an_event(amount=3), first_number=4))
    assert numbers(world.raw) == [a_sequence_number(n) for n in (0, 3)]
    assert [(d["verdict"], d["reason"], d["first_owner"]) for d in world.decisions] == [
        ("duplicate", None, f"{SHARD}:{a_sequence_number(0)}"),
        ("rejected", "uuid_conflict", f"{SHARD}:{a_sequence_number(0)}"),
    ] * 2


def test_the_window_is_measured_between_arrivals() -> None:
    world = World()
    two_days_ms = 2 * DAY_SECONDS * 1_000
    later = [a_kinesis_record(number=n, arrived_at_ms=EIGHT_O_CLOCK_MS + two_days_ms + n) for n in (1, 2)]
    world.admit({"Records": [a_kinesis_record(number=0, arrived_at_ms=EIGHT_O_CLOCK_MS), *later]})
    assert numbers(world.raw) == [a_sequence_number(n) for n in (0, 1)]
    assert numbers(world.decisions) == [a_sequence_number(2)]


def batch_of_everything() -> dict[str, Any]:
    """120 uuids (five INSERT calls), duplicates, conflicts and rejects among them, one of them too large to tell."""
    events: list[object] = [an_event(event_uuid=a_uuid(n)) for n in range(120)]
    events += [an_event(event_uuid=a_uuid(n)) for n in range(5)]
    events += [an_event(event_uuid=a_uuid(7), amount=1), b"not json", an_event(note="x" * 1_024_000)]
    return a_kinesis_batch(*events)


def moments_of_a_batch() -> int:
    return World().admit(batch_of_everything()).moments


def test_a_function_may_die_before_or_after_any_call_and_a_retry_finishes() -> None:
    batch = batch_of_everything()
    received = {record["kinesis"]["sequenceNumber"] for record in batch["Records"]}
    moments = moments_of_a_batch()
    assert moments > 15
    for crash_at in range(1, moments + 1):
        # given
        world = World()
        with pytest.raises(ProcessDiedError):
            world.admit(batch, Faults(crash_at=crash_at))
        # when
        world.admit(batch)
        # then each record has one verdict only, however often it was told, and each uuid one owner
        raw, decisions = set(numbers(world.raw)), set(numbers(world.decisions))
        assert raw == {a_sequence_number(n) for n in range(120)}, crash_at
        assert raw | decisions == received
        assert not raw & decisions
        assert world.positions == {SHARD: a_sequence_number(127)}


def test_a_position_is_never_ahead_of_what_was_handed_over() -> None:
    batch = batch_of_everything()
    for crash_at in range(1, moments_of_a_batch()):
        world = World()
        with pytest.raises(ProcessDiedError):
            world.admit(batch, Faults(crash_at=crash_at))
        if world.positions:
            assert len(set(numbers(world.raw)) | set(numbers(world.decisions))) == len(batch["Records"])


def test_reading_a_range_again_repeats_the_verdicts_and_never_moves_a_position_back() -> None:
    world = World()
    early = a_kinesis_batch(an_event(), an_event())
    later = {
        "Records": [a_kinesis_record(an_event(event_uuid=a_uuid(9)), number=2, arrived_at_ms=EIGHT_O_CLOCK_MS * 2)]
    }
    world.admit(early)
    world.admit(later)
    world.admit(early)
    assert numbers(world.raw) == [a_sequence_number(n) for n in (0, 2, 0)]
    assert numbers(world.decisions) == [a_sequence_number(1)] * 2
    assert world.positions == {SHARD: a_sequence_number(2)}


@pytest.mark.parametrize("faults", [Faults(throttled=40), Faults(unprocessed=45)], ids=["throttled", "unprocessed"])
def test_throttled_statements_and_unprocessed_keys_are_asked_again_after_a_pause(faults: Faults) -> None:
    # given 30 uuids that somebody holds
    world = World()
    world.admit(a_kinesis_batch(*[an_event(event_uuid=a_uuid(n)) for n in range(30)]))
    # when they come again, among others
    world.admit(a_kinesis_batch(*[an_event(event_uuid=a_uuid(n)) for n in range(60)], first_number=30), faults)
    # then
    assert numbers(world.raw) == [a_sequence_number(n) for n in (*range(30), *range(60, 90))]
    assert numbers(world.decisions) == [a_sequence_number(n) for n in range(30, 60)]
    assert world.pauses


def test_records_that_firehose_did_not_take_are_handed_over_again_and_no_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    world.admit(a_kinesis_batch(*[an_event(event_uuid=a_uuid(n)) for n in range(10)]), Faults(failed_puts=13))
    assert sorted(numbers(world.raw)) == [a_sequence_number(n) for n in range(10)]
    assert json.loads(capsys.readouterr().out)["RecordsDeliveredAgain"] == 13


@pytest.mark.parametrize("faults", [Faults(failed_puts=10**6), Faults(throttled=10**6)])
def test_a_service_that_stays_busy_fails_the_batch_and_notes_no_position(faults: Faults) -> None:
    world = World()
    with pytest.raises(TransientError, match="attempts were throttled or left work undone"):
        world.admit(a_kinesis_batch(an_event()), faults)
    assert world.positions == {}
    world.admit(a_kinesis_batch(an_event()))
    assert numbers(world.raw) == [a_sequence_number(0)]


def test_a_body_too_large_for_a_decision_lies_beside_it() -> None:
    world = World()
    sent = as_sent(an_event(note="x" * 1_024_000))
    world.admit(a_kinesis_batch(sent))
    [decision] = world.decisions
    assert (decision["reason"], decision["body"]) == ("too_large", None)
    assert world.s3.objects == {decision["body_reference"]: sent}
    assert decision["body_reference"].startswith(
        f"s3://{SETTINGS.raw_bucket}/decisions/large/year=2026/month=11/day=21/"
    )


def test_calls_keep_to_both_limits_of_firehose() -> None:
    sizes = [1_024_000] * 5 + [10] * 1_200
    lines = [bytes(size) for size in sizes]
    calls = list(calls_of(lines))
    assert [line for call in calls for line in call] == lines
    assert [len(call) for call in calls] == [4, 500, 500, 201]


def test_a_batch_of_nothing_but_rejects_makes_no_claim() -> None:
    world = World()
    world.admit(a_kinesis_batch(b"", b"[]"))
    assert world.dynamodb.tables[SETTINGS.claims_table] == {}
    assert SETTINGS.raw_delivery not in world.firehose.streams
