"""A stream of records does what AWS documents of numbers, order, limits and shards."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.emulator.behaviours import promised
from tests.emulator.measured import value_of
from tests.emulator.running import Emulator, wait_for

SERVICE = "Kinesis"

KEYS = 2**128
DAY_SECONDS = 86_400
LIMITS = "https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html"
API = "https://docs.aws.amazon.com/kinesis/latest/APIReference"


def client(emulator: Emulator) -> Any:
    """One that tells a refusal instead of asking again."""
    return emulator.client("kinesis", retries={"total_max_attempts": 1})


def put(kinesis: Any, stream: str, *texts: str, at: int = 0) -> list[dict[str, Any]]:
    """Records whose place in the stream is the hash key `at`."""
    records = [{"Data": text.encode(), "PartitionKey": text, "ExplicitHashKey": str(at)} for text in texts]
    answers: list[dict[str, Any]] = kinesis.put_records(StreamName=stream, Records=records)["Records"]
    return answers


def shards(kinesis: Any, stream: str) -> dict[str, dict[str, Any]]:
    return {one["ShardId"]: one for one in kinesis.list_shards(StreamName=stream)["Shards"]}


def open_shards(kinesis: Any, stream: str) -> dict[str, dict[str, Any]]:
    listed = shards(kinesis, stream)
    return {name: one for name, one in listed.items() if "EndingSequenceNumber" not in one["SequenceNumberRange"]}


def hash_range(shard: dict[str, Any]) -> tuple[int, int]:
    return int(shard["HashKeyRange"]["StartingHashKey"]), int(shard["HashKeyRange"]["EndingHashKey"])


def iterator(kinesis: Any, stream: str, shard_id: str, kind: str = "TRIM_HORIZON", **place: Any) -> str:
    answer = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard_id, ShardIteratorType=kind, **place)
    return str(answer["ShardIterator"])


def texts(kinesis: Any, stream: str, shard_id: str) -> list[str]:
    records = kinesis.get_records(ShardIterator=iterator(kinesis, stream, shard_id))["Records"]
    return [one["Data"].decode() for one in records]


def measured(emulator: Emulator, stream: str, metric: str, statistic: str = "Sum") -> float | None:
    return value_of(emulator, "AWS/Kinesis", metric, statistic, StreamName=stream)


@promised(f"{API}/API_PutRecord.html", closed_by="kinesis")
def test_sequence_numbers_are_56_digits_and_rise(emulator: Emulator, name: str) -> None:
    kinesis = emulator.client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    numbers = [kinesis.put_record(StreamName=name, Data=b"x", PartitionKey="one")["SequenceNumber"] for _ in range(5)]
    assert numbers == sorted(numbers, key=int)
    assert {(len(number), number[:2]) for number in numbers} == {(56, "49")}


# ---- limits


@promised(f"{API}/API_PutRecords.html", closed_by="kinesis_writing")
def test_a_shard_takes_1000_records_a_second_and_put_records_fails_in_part(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=2)
    started, taken = time.monotonic(), 0
    for _ in range(20):
        answer = kinesis.put_records(
            StreamName=name,
            Records=[{"Data": b"x", "PartitionKey": str(n), "ExplicitHashKey": "0"} for n in range(499)]
            + [{"Data": b"x", "PartitionKey": "other", "ExplicitHashKey": str(KEYS - 1)}],
        )
        taken += 499 - answer["FailedRecordCount"]
        if answer["FailedRecordCount"]:
            break
    assert 1000 <= taken <= 1000 * (1 + time.monotonic() - started)
    failed = [one for one in answer["Records"] if "ErrorCode" in one]
    assert len(answer["Records"]) == 500 and len(failed) == answer["FailedRecordCount"]
    assert {one["ErrorCode"] for one in failed} == {"ProvisionedThroughputExceededException"}
    assert all("SequenceNumber" not in one for one in failed)
    assert f"shardId-000000000000 in stream {name}" in failed[0]["ErrorMessage"]
    assert answer["Records"][-1]["ShardId"] == "shardId-000000000001", "the other shard takes its own"
    read = kinesis.get_records(ShardIterator=iterator(kinesis, name, "shardId-000000000000"))["Records"]
    assert len(read) == taken, "what was refused is not there"


@promised(LIMITS, closed_by="kinesis_writing")
def test_a_shard_takes_one_mebibyte_a_second_and_put_record_raises(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=1)
    taken = 0
    with pytest.raises(kinesis.exceptions.ProvisionedThroughputExceededException):
        # the second one is refused, unless the machine took a second for it
        for _ in range(5):
            kinesis.put_record(StreamName=name, Data=bytes(1_000_000), PartitionKey="one")
            taken += 1
    assert taken > 0
    time.sleep(1)
    kinesis.put_record(StreamName=name, Data=bytes(1_000_000), PartitionKey="one")


@promised("https://docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html", closed_by="kinesis_writing")
def test_a_new_on_demand_stream_takes_four_megabytes_a_second(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    records = [
        {"Data": bytes(50_000), "PartitionKey": str(n), "ExplicitHashKey": str(n * KEYS // 100)} for n in range(100)
    ]
    answer = kinesis.put_records(StreamName=name, Records=records)
    assert 4_000_000 <= (100 - answer["FailedRecordCount"]) * 50_000 <= 4 * 1024**2


@promised(f"{API}/API_GetRecords.html", closed_by="kinesis_reading")
def test_a_shard_answers_five_get_records_a_second(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=1)
    here, answered = iterator(kinesis, name, "shardId-000000000000"), 0
    with pytest.raises(kinesis.exceptions.ProvisionedThroughputExceededException):
        for _ in range(50):
            kinesis.get_records(ShardIterator=here)
            answered += 1
    assert answered >= 5
    time.sleep(0.3)
    kinesis.get_records(ShardIterator=here)


@promised(f"{API}/API_GetRecords.html", closed_by="kinesis_reading")
def test_a_shard_gives_two_mebibytes_a_second(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=1)
    fill(kinesis, name, 3)
    here, answered = iterator(kinesis, name, "shardId-000000000000"), 0
    with pytest.raises(kinesis.exceptions.ProvisionedThroughputExceededException):
        # five calls may be answered at once; the second of these is refused, unless the machine took long for the first
        for _ in range(5):
            assert len(kinesis.get_records(ShardIterator=here)["Records"]) == 3
            answered += 1
    assert answered > 0


@pytest.mark.long
@promised(f"{API}/API_GetRecords.html", closed_by="kinesis_reading")
def test_an_answer_holds_ten_mebibytes_and_costs_five_seconds(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=1)
    fill(kinesis, name, 11)
    asked_at = time.monotonic()
    first = kinesis.get_records(ShardIterator=iterator(kinesis, name, "shardId-000000000000"))
    assert len(first["Records"]) == 10 and first["MillisBehindLatest"] > 0
    rest: list[dict[str, Any]] = []
    while not rest:
        with contextlib.suppress(kinesis.exceptions.ProvisionedThroughputExceededException):
            rest = kinesis.get_records(ShardIterator=first["NextShardIterator"])["Records"]
    assert len(rest) == 1
    assert 5 <= time.monotonic() - asked_at < 20


def fill(kinesis: Any, stream: str, records: int) -> None:
    """So many records of nearly 1 MiB, each as soon as the one shard takes it."""

    def is_taken() -> bool:
        try:
            kinesis.put_record(StreamName=stream, Data=bytes(1_040_000), PartitionKey="one")
        except kinesis.exceptions.ProvisionedThroughputExceededException:
            return False
        return True

    for _ in range(records):
        wait_for(is_taken, "room in the shard")


@promised(f"{API}/API_GetRecords.html", closed_by="kinesis_reading", only_here="moves the clock")
def test_an_iterator_keeps_its_place_when_records_expire(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=1)
    put(kinesis, name, "a", "b")
    read = kinesis.get_records(ShardIterator=iterator(kinesis, name, "shardId-000000000000"))
    try:
        emulator.fault(clock_ahead_seconds=DAY_SECONDS + 60)
        assert texts(kinesis, name, "shardId-000000000000") == []
    finally:
        emulator.fault()
    put(kinesis, name, "c")
    behind = kinesis.get_records(ShardIterator=read["NextShardIterator"])["Records"]
    assert [one["Data"] for one in behind] == [b"c"]


# ---- resharding


@promised(f"{API}/API_SplitShard.html", closed_by="kinesis_resharding")
def test_a_split_shard_closes_and_two_children_share_its_keys(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=1)
    put(kinesis, name, "before")
    kinesis.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(KEYS // 4))
    parent, lower, upper = shards(kinesis, name).values()
    assert (
        parent["SequenceNumberRange"]["EndingSequenceNumber"] < lower["SequenceNumberRange"]["StartingSequenceNumber"]
    )
    assert {lower["ParentShardId"], upper["ParentShardId"]} == {parent["ShardId"]}
    assert (hash_range(lower), hash_range(upper)) == ((0, KEYS // 4 - 1), (KEYS // 4, KEYS - 1))
    (after,) = put(kinesis, name, "after", at=KEYS // 4)
    assert after["ShardId"] == upper["ShardId"]
    assert texts(kinesis, name, parent["ShardId"]) == ["before"], "the parent keeps its records"
    with pytest.raises(kinesis.exceptions.ResourceInUseException):
        kinesis.split_shard(StreamName=name, ShardToSplit=parent["ShardId"], NewStartingHashKey="5")


@promised(f"{API}/API_MergeShards.html", closed_by="kinesis_resharding")
def test_merged_shards_close_and_one_child_names_both(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=3)
    first, second, third = shards(kinesis, name)
    put(kinesis, name, "before", at=KEYS // 2)
    with pytest.raises(kinesis.exceptions.InvalidArgumentException):
        kinesis.merge_shards(StreamName=name, ShardToMerge=first, AdjacentShardToMerge=third)
    kinesis.merge_shards(StreamName=name, ShardToMerge=first, AdjacentShardToMerge=second)
    *_, child = shards(kinesis, name).values()
    assert (child["ParentShardId"], child["AdjacentParentShardId"]) == (first, second)
    assert hash_range(child) == (0, hash_range(shards(kinesis, name)[third])[0] - 1)
    assert texts(kinesis, name, second) == ["before"]


@promised(f"{API}/API_GetRecords.html", closed_by="kinesis_resharding")
def test_a_closed_shard_is_read_to_its_end_which_names_its_children(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=1)
    put(kinesis, name, "a", "b")
    here = iterator(kinesis, name, "shardId-000000000000")
    kinesis.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(KEYS // 2))
    part = kinesis.get_records(ShardIterator=here, Limit=1)
    assert part["NextShardIterator"] and "ChildShards" not in part
    rest = kinesis.get_records(ShardIterator=part["NextShardIterator"])
    assert [one["Data"] for one in rest["Records"]] == [b"b"]
    assert rest.get("NextShardIterator") is None and rest["MillisBehindLatest"] == 0
    assert [(one["ShardId"], one["ParentShards"]) for one in rest["ChildShards"]] == [
        ("shardId-000000000001", ["shardId-000000000000"]),
        ("shardId-000000000002", ["shardId-000000000000"]),
    ]


@promised(f"{API}/API_UpdateShardCount.html", closed_by="kinesis_resharding")
def test_a_changed_count_makes_equal_shards_and_loses_no_record(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=2)
    sent = {f"{count}-{part}" for count in (2, 4, 3) for part in range(8)}
    for count in (4, 3, None):
        before = len(open_shards(kinesis, name))
        for part in range(8):
            (answer,) = put(kinesis, name, f"{before}-{part}", at=part * KEYS // 8)
            assert answer["ShardId"] in open_shards(kinesis, name)
        if count is not None:
            answer = kinesis.update_shard_count(StreamName=name, TargetShardCount=count, ScalingType="UNIFORM_SCALING")
            assert (answer["CurrentShardCount"], answer["TargetShardCount"]) == (before, count)
            widths = [end - start + 1 for start, end in map(hash_range, open_shards(kinesis, name).values())]
            assert len(widths) == count and sum(widths) == KEYS
            assert max(widths) - min(widths) <= count
    assert {text for shard_id in shards(kinesis, name) for text in texts(kinesis, name, shard_id)} == sent


@promised(f"{API}/API_UpdateShardCount.html", closed_by="kinesis_resharding")
def test_a_count_over_double_or_under_half_or_of_an_on_demand_stream_is_refused(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=4)
    for count in (9, 1):
        with pytest.raises(kinesis.exceptions.InvalidArgumentException):
            kinesis.update_shard_count(StreamName=name, TargetShardCount=count, ScalingType="UNIFORM_SCALING")
    kinesis.create_stream(StreamName=f"{name}x", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    with pytest.raises(kinesis.exceptions.ClientError, match="ValidationException"):
        kinesis.update_shard_count(StreamName=f"{name}x", TargetShardCount=5, ScalingType="UNIFORM_SCALING")
    assert len(shards(kinesis, name)) == 4


@promised(
    "https://docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-after-resharding.html",
    closed_by="kinesis_resharding",
    only_here="moves the clock",
)
def test_a_closed_shard_is_listed_until_its_retention_ends(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=1)
    kinesis.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(KEYS // 2))
    children = set(open_shards(kinesis, name))
    assert set(shards(kinesis, name)) == {"shardId-000000000000"} | children
    try:
        emulator.fault(clock_ahead_seconds=DAY_SECONDS + 60)
        assert set(shards(kinesis, name)) == children
    finally:
        emulator.fault()


@promised(f"{API}/API_SequenceNumberRange.html", closed_by="kinesis_listing")
def test_a_closed_shard_names_its_last_number_and_does_not_count_as_open(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=2)
    first, second = shards(kinesis, name)
    (record,) = put(kinesis, name, "a")
    kinesis.merge_shards(StreamName=name, ShardToMerge=first, AdjacentShardToMerge=second)
    listed = shards(kinesis, name)
    ends = [listed[shard_id]["SequenceNumberRange"].get("EndingSequenceNumber") for shard_id in (first, second)]
    begin = listed["shardId-000000000002"]["SequenceNumberRange"]
    assert record["SequenceNumber"] < min(ends) <= max(ends) < begin["StartingSequenceNumber"]
    assert "EndingSequenceNumber" not in begin
    described = kinesis.describe_stream(StreamName=name)["StreamDescription"]["Shards"]
    assert described == list(listed.values())
    summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 1


@promised(f"{API}/API_ListShards.html", closed_by="kinesis_listing")
def test_a_page_of_shards_is_asked_for_by_its_token_alone(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=3)
    first = kinesis.list_shards(StreamName=name, MaxResults=2)
    rest = kinesis.list_shards(NextToken=first["NextToken"])
    assert [one["ShardId"] for one in (*first["Shards"], *rest["Shards"])] == list(shards(kinesis, name))
    with pytest.raises(kinesis.exceptions.InvalidArgumentException, match="cannot be provided together"):
        kinesis.list_shards(StreamName=name, NextToken=first["NextToken"])


@promised(f"{API}/API_ShardFilter.html", closed_by="kinesis_listing")
def test_shards_are_listed_by_when_they_were_open(emulator: Emulator, name: str) -> None:
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=1)
    kinesis.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(KEYS // 2))
    parent, *children = shards(kinesis, name)

    def listed(**shard_filter: Any) -> list[str]:
        return [one["ShardId"] for one in kinesis.list_shards(StreamName=name, ShardFilter=shard_filter)["Shards"]]

    now = datetime.now(UTC)
    assert listed(Type="AT_LATEST") == children
    assert listed(Type="AFTER_SHARD_ID", ShardId=children[0]) == children[1:]
    assert listed(Type="FROM_TRIM_HORIZON") == [parent, *children]
    assert listed(Type="AT_TRIM_HORIZON") == [parent]
    assert listed(Type="FROM_TIMESTAMP", Timestamp=now + timedelta(seconds=2)) == children
    assert listed(Type="FROM_TIMESTAMP", Timestamp=now - timedelta(seconds=60)) == [parent, *children]
    assert listed(Type="AT_TIMESTAMP", Timestamp=now - timedelta(seconds=60)) == [parent]


# ---- metrics


@promised("https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html", closed_by="kinesis_metrics")
def test_a_stream_counts_what_it_takes_and_refuses(emulator: Emulator, name: str) -> None:
    """By StreamName: IncomingRecords, IncomingBytes, WriteProvisionedThroughputExceeded."""
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=1)
    records = [{"Data": bytes(100_000), "PartitionKey": "one"} for _ in range(15)]
    refused = kinesis.put_records(StreamName=name, Records=records)["FailedRecordCount"]
    assert refused == 5
    assert measured(emulator, name, "IncomingRecords") == 10
    assert measured(emulator, name, "IncomingBytes") == 10 * (100_000 + len("one"))
    assert measured(emulator, name, "WriteProvisionedThroughputExceeded") == 5
    put(kinesis, name, "a")
    assert measured(emulator, name, "IncomingRecords", "Minimum") == 1, "a measurement is of one request"


@promised("https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html", closed_by="kinesis_metrics")
def test_a_stream_counts_refused_readings_and_how_old_the_read_are(emulator: Emulator, name: str) -> None:
    """By StreamName: ReadProvisionedThroughputExceeded, GetRecords.IteratorAgeMilliseconds."""
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=1)
    put(kinesis, name, "a")
    time.sleep(0.2)
    here = iterator(kinesis, name, "shardId-000000000000")
    with pytest.raises(kinesis.exceptions.ProvisionedThroughputExceededException):
        for _ in range(50):
            kinesis.get_records(ShardIterator=here)
    assert measured(emulator, name, "ReadProvisionedThroughputExceeded") == 1
    assert 200 <= (measured(emulator, name, "GetRecords.IteratorAgeMilliseconds", "Maximum") or 0) < 60_000


def test_a_stream_that_outgrows_the_memory_is_read_as_before(
    another_emulator: Callable[..., Emulator], name: str
) -> None:
    # given: forty of three hundred records in memory at most, the others on disk
    emulator = another_emulator(EMULATOR_ROWS_IN_MEMORY="40")
    kinesis = client(emulator)
    kinesis.create_stream(StreamName=name, ShardCount=1)
    sent = [str(number).encode() for number in range(300)]
    for start in range(0, 300, 30):
        entries = [{"Data": data, "PartitionKey": "one"} for data in sent[start : start + 30]]
        assert kinesis.put_records(StreamName=name, Records=entries)["FailedRecordCount"] == 0
    first = iterator(kinesis, name, "shardId-000000000000")

    # when
    records = read_on(kinesis, first)

    # then
    assert [one["Data"] for one in records] == sent
    # 280 is the first of those in memory
    for index in (0, 150, 280):
        number, arrival = records[index]["SequenceNumber"], records[index]["ApproximateArrivalTimestamp"]
        at = iterator(kinesis, name, "shardId-000000000000", "AT_SEQUENCE_NUMBER", StartingSequenceNumber=number)
        assert read_on(kinesis, at) == records[index:]
        # boto3 cuts the milliseconds off
        second = arrival.replace(microsecond=0)
        since = iterator(kinesis, name, "shardId-000000000000", "AT_TIMESTAMP", Timestamp=second)
        assert read_on(kinesis, since) == [one for one in records if one["ApproximateArrivalTimestamp"] >= second]

    # and after a new start they are there, until their time is over
    emulator.stop()
    kinesis = client(emulator.start())
    assert read_on(kinesis, iterator(kinesis, name, "shardId-000000000000")) == records
    emulator.fault(clock_ahead_seconds=25 * 3600)
    assert read_on(kinesis, iterator(kinesis, name, "shardId-000000000000")) == []


def read_on(kinesis: Any, iterator: str) -> list[dict[str, Any]]:
    """All records from there on, some at once."""
    records: list[dict[str, Any]] = []
    while True:
        try:
            answer = kinesis.get_records(ShardIterator=iterator, Limit=200)
        except kinesis.exceptions.ProvisionedThroughputExceededException:
            time.sleep(0.1)
            continue
        records += answer["Records"]
        iterator = answer["NextShardIterator"]
        if answer["MillisBehindLatest"] == 0:
            return records
