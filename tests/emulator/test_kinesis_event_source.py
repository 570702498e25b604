"""A stream feeds a function as AWS documents it: in order, again after a failure, and never silently lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.emulator.behaviours import promised
from tests.emulator.measured import value_of
from tests.emulator.running import Emulator, make_bucket, make_function, objects, wait_for
from tests.machine_speed import slowness

SERVICE = "Kinesis to Lambda"

# Records what it was called with, one object a call; raises or reports where the data says so.
HANDLER = """
import base64, boto3, json, os, time, uuid
s3 = boto3.client("s3")
def handler(event, context):
    seen = [(r["eventID"], base64.b64decode(r["kinesis"]["data"]).decode()) for r in event["Records"]]
    call = {"at": time.time(), "pid": os.getpid(), "records": seen, "first": event["Records"][0]}
    s3.put_object(Bucket=os.environ["BUCKET"], Key=f"{time.time_ns()}-{uuid.uuid4()}", Body=json.dumps(call))
    switch = os.environ.get("BEHAVIOUR")
    if switch == "linger":
        time.sleep(0.3)
    is_held = "held" in [text for _, text in seen]
    while is_held and not s3.list_objects_v2(Bucket=os.environ["BUCKET"], Prefix="go")["KeyCount"]:
        time.sleep(0.05)
    bad = [r["kinesis"]["sequenceNumber"] for r, (_, text) in zip(event["Records"], seen) if text.startswith("bad")]
    if bad and switch == "raise":
        raise ValueError("a bad record")
    if bad and switch == "report":
        return {"batchItemFailures": [{"itemIdentifier": one} for one in bad]}
"""


class Mapped:
    """A stream, a function that writes down its calls, and the mapping between them."""

    def __init__(self, emulator: Emulator, name: str, behaviour: str = "", shards: int = 1, **mapping: Any) -> None:
        self.emulator, self.name = emulator, name
        make_bucket(emulator, name)
        self.kinesis = emulator.client("kinesis")
        self.kinesis.create_stream(StreamName=name, ShardCount=shards)
        self.arn = f"arn:aws:kinesis:eu-west-1:000000000000:stream/{name}"
        make_function(emulator, name, HANDLER, Environment={"Variables": {"BUCKET": name, "BEHAVIOUR": behaviour}})
        settings = {"StartingPosition": "TRIM_HORIZON", "BatchSize": 100, **mapping}
        self.mapping = emulator.client("lambda").create_event_source_mapping(
            EventSourceArn=self.arn, FunctionName=name, **settings
        )

    def put(self, *texts: str, shard_start: int | None = None) -> list[str]:
        where = {"ExplicitHashKey": str(shard_start)} if shard_start is not None else {}
        records = [{"Data": text.encode(), "PartitionKey": text, **where} for text in texts]
        answers = self.kinesis.put_records(StreamName=self.name, Records=records)["Records"]
        return [one["SequenceNumber"] for one in answers]

    def enable(self) -> None:
        self.emulator.client("lambda").update_event_source_mapping(UUID=self.mapping["UUID"], Enabled=True)

    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in sorted(objects(self.emulator, self.name).items())]

    def texts(self) -> list[list[str]]:
        return [[text for _, text in call["records"]] for call in self.calls()]

    def in_order(self) -> list[str]:
        return [text for texts in self.texts() for text in texts]

    def metric(self, name: str, statistic: str = "Sum") -> float | None:
        """Of the function, all in all."""
        return value_of(self.emulator, "AWS/Lambda", name, statistic, FunctionName=self.name)


def failures(emulator: Emulator, name: str) -> list[dict[str, Any]]:
    sqs = emulator.client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    return [
        json.loads(one["Body"]) for one in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    ]


def on_failure(emulator: Emulator, name: str) -> dict[str, Any]:
    emulator.client("sqs").create_queue(QueueName=name)
    return {"DestinationConfig": {"OnFailure": {"Destination": f"arn:aws:sqs:eu-west-1:000000000000:{name}"}}}


@promised("https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html", closed_by="kinesis")
def test_the_event_has_the_documented_shape(emulator: Emulator, name: str) -> None:
    mapped = Mapped(emulator, name)
    (number,) = mapped.put("one")
    (call,) = wait_for(mapped.calls, "a call")
    record = call["first"]
    assert record["eventID"] == f"shardId-000000000000:{number}"
    assert (record["eventSource"], record["eventName"]) == ("aws:kinesis", "aws:kinesis:record")
    assert record["eventSourceARN"] == mapped.arn
    assert abs(record["kinesis"]["approximateArrivalTimestamp"] - time.time()) < 30
    assert (len(number), number[:2]) == (56, "49")


@promised("https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html")
def test_a_batch_is_handed_over_at_once_by_a_warm_function(emulator: Emulator, name: str) -> None:
    """Environments are reused."""
    mapped = Mapped(emulator, name)
    mapped.put("warm up")
    wait_for(mapped.calls, "the first call")
    waits: list[float] = []
    # one that others on this machine did not disturb is enough
    while not waits or (min(waits) >= 0.5 and len(waits) < 10):
        sent = time.time()
        mapped.put("now")
        wait_for(lambda: len(mapped.calls()) == len(waits) + 2, "the next call")
        waits.append(mapped.calls()[-1]["at"] - sent)
    assert min(waits) < 0.5, waits
    assert len({call["pid"] for call in mapped.calls()}) == 1


@promised("https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html", closed_by="kinesis_event_source")
def test_shards_are_read_side_by_side(emulator: Emulator, name: str) -> None:
    """However long the function takes for a batch of one, those of another are handed over."""
    mapped = Mapped(emulator, name, shards=2)
    mapped.put("held", shard_start=0)
    wait_for(mapped.calls, "the call that does not end")
    mapped.put("good", shard_start=2**127)
    wait_for(lambda: ["good"] in mapped.texts(), "the other shard")
    emulator.client("s3").put_object(Bucket=name, Key="go", Body=b'{"records": []}')


@promised("https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-create.html")
def test_a_raise_is_retried_without_end_in_order_and_the_other_shard_goes_on(emulator: Emulator, name: str) -> None:
    """A shard waits for its failed batch."""
    mapped = Mapped(emulator, name, "raise", shards=2)
    mapped.put("bad", "after", shard_start=0)
    tries = wait_for(lambda: len(calls := mapped.calls()) >= 3 and calls, "the third attempt")
    assert {tuple(text for _, text in call["records"]) for call in tries} <= {("bad",), ("bad", "after")}
    assert len({call["pid"] for call in tries}) == 1, "an exception does not cost a cold start"
    mapped.put("good", shard_start=2**127)
    wait_for(lambda: ["good"] in mapped.texts(), "the other shard")


@promised(
    "https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html",
    closed_by="kinesis_event_source",
)
def test_report_batch_item_failures_starts_again_at_the_failed_record(emulator: Emulator, name: str) -> None:
    mapped = Mapped(
        emulator, name, "report", Enabled=False, FunctionResponseTypes=["ReportBatchItemFailures"],
        MaximumRetryAttempts=1, **on_failure(emulator, name),
    )  # fmt: skip
    numbers = mapped.put("a", "b", "bad", "c")
    mapped.enable()
    (failure,) = wait_for(lambda: failures(emulator, name), "the failed batch")
    assert mapped.texts() == [["a", "b", "bad", "c"], ["bad", "c"]]
    assert failure["KinesisBatchInfo"]["startSequenceNumber"] == numbers[2]


@promised(
    "https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html",
    closed_by="kinesis_event_source",
)
def test_bisect_isolates_the_record_and_the_rest_goes_through(emulator: Emulator, name: str) -> None:
    mapped = Mapped(
        emulator, name, "raise", Enabled=False, BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=0, **on_failure(emulator, name),
    )  # fmt: skip
    numbers = mapped.put("a", "b", "bad", "c")
    mapped.enable()
    (failure,) = wait_for(lambda: failures(emulator, name), "the failed record")
    wait_for(lambda: ["c"] in mapped.texts(), "what came after it")
    info = failure["KinesisBatchInfo"]
    assert (info["startSequenceNumber"], info["endSequenceNumber"]) == (numbers[2], numbers[2])
    assert (info["batchSize"], info["shardId"]) == (1, "shardId-000000000000")
    assert failure["requestContext"]["condition"] == "RetryAttemptsExhausted"
    delivered = [texts for texts in mapped.texts() if "bad" not in texts]
    assert delivered == [["a", "b"], ["c"]]


@promised(
    "https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html#invocation-eventsourcemapping-batching",
    closed_by="kinesis_event_source",
)
def test_the_batch_window_gathers(emulator: Emulator, name: str) -> None:
    # long beside the time that three records take, on any machine
    mapped = Mapped(emulator, name, MaximumBatchingWindowInSeconds=2)
    for text in ("a", "b", "c"):
        mapped.put(text)
        time.sleep(0.1)
    wait_for(mapped.calls, "a call")
    assert mapped.texts() == [["a", "b", "c"]]


@promised(
    "https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html",
    closed_by="kinesis_event_source",
)
def test_latest_sees_what_comes_after_its_creation(emulator: Emulator, name: str) -> None:
    """StartingPosition."""
    emulator.client("kinesis").create_stream(StreamName=f"{name}x", ShardCount=1)
    mapped = Mapped(emulator, name, StartingPosition="LATEST")
    mapped.put("new")
    wait_for(mapped.calls, "a call")
    assert mapped.texts() == [["new"]]


@promised(
    "https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html",
    closed_by="kinesis_event_source",
)
def test_at_timestamp_sees_what_arrived_since(emulator: Emulator, name: str) -> None:
    """StartingPositionTimestamp; whole seconds, because that is what the API carries."""
    kinesis = emulator.client("kinesis")
    kinesis.create_stream(StreamName=f"{name}x", ShardCount=1)
    kinesis.put_record(StreamName=f"{name}x", Data=b"old", PartitionKey="one")
    time.sleep(1.1)
    since = datetime.now(UTC).replace(microsecond=0)
    kinesis.put_record(StreamName=f"{name}x", Data=b"new", PartitionKey="one")
    mapped = Mapped(emulator, name)
    made = emulator.client("lambda").create_event_source_mapping(
        EventSourceArn=f"{mapped.arn}x", FunctionName=name,
        StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=since,
    )  # fmt: skip
    wait_for(mapped.calls, "a call")
    assert mapped.texts() == [["new"]]
    read = emulator.client("lambda").get_event_source_mapping(UUID=made["UUID"])
    assert read["StartingPositionTimestamp"] == since


@promised("https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html", closed_by="kinesis_event_source")
def test_a_parent_is_done_before_its_children_are_read(emulator: Emulator, name: str) -> None:
    """Order of a key holds over splits and merges: in-order processing at the partition-key level."""
    mapped = Mapped(emulator, name, "raise", Enabled=False, MaximumRetryAttempts=2, **on_failure(emulator, name))
    kinesis = mapped.kinesis
    mapped.put("bad", shard_start=0)
    kinesis.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    lower, upper = "shardId-000000000001", "shardId-000000000002"
    mapped.put("child", shard_start=0)
    kinesis.merge_shards(StreamName=name, ShardToMerge=lower, AdjacentShardToMerge=upper)
    mapped.put("grandchild", shard_start=0)
    mapped.enable()
    wait_for(lambda: "grandchild" in mapped.in_order(), "the grandchild's record")
    assert mapped.in_order() == ["bad", "bad", "bad", "child", "grandchild"]
    (failure,) = failures(emulator, name)
    assert failure["KinesisBatchInfo"]["shardId"] == "shardId-000000000000"


@promised("https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html", closed_by="kinesis_event_source")
def test_parallelization_factor_runs_batches_of_one_shard_at_once_each_key_in_order(
    emulator: Emulator, name: str
) -> None:
    mapped = Mapped(emulator, name, "linger", Enabled=False, ParallelizationFactor=4, BatchSize=1)
    records = [{"Data": f"{key}{turn}".encode(), "PartitionKey": key} for turn in range(2) for key in "abcdef"]
    mapped.kinesis.put_records(StreamName=name, Records=records)
    mapped.enable()
    wait_for(lambda: len(mapped.calls()) == len(records), "all records")
    seen = mapped.in_order()
    for key in "abcdef":
        assert [text for text in seen if text[0] == key] == [f"{key}{turn}" for turn in range(2)]
    calls = mapped.calls()
    # who comes while nobody else is at work finds the environment of the one before
    assert len({call["pid"] for call in calls}) > 1
    starts = sorted(call["at"] for call in calls)
    assert max(sum(start <= other < start + 0.3 for other in starts) for start in starts) <= 4


@promised("https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html", closed_by="lambda_metrics")
def test_invocations_of_a_source_are_counted(emulator: Emulator, name: str) -> None:
    """By FunctionName: Invocations, Errors, Duration."""
    mapped = Mapped(emulator, name, "raise", MaximumRetryAttempts=1)
    mapped.put("bad")
    wait_for(lambda: (mapped.metric("Invocations"), mapped.metric("Errors")) == (2, 2), "the metrics of both attempts")
    mapped.put("good")
    wait_for(lambda: mapped.metric("Invocations") == 3, "the metrics")
    assert mapped.metric("Errors") == 2
    assert 0 < (mapped.metric("Duration", "Maximum") or 0) < 20_000


@promised("https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html", closed_by="lambda_metrics")
def test_a_throttled_request_is_no_invocation(emulator: Emulator, name: str) -> None:
    mapped = Mapped(emulator, name, Enabled=False)
    functions = emulator.client("lambda")
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    mapped.put("one")
    mapped.enable()
    wait_for(lambda: mapped.metric("Throttles"), "a throttle")
    assert mapped.metric("Invocations") is None
    functions.delete_function_concurrency(FunctionName=name)
    wait_for(mapped.calls, "the call once there is room")


@promised(
    "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html", closed_by="kinesis_event_source"
)
def test_iterator_age_is_that_of_the_last_record_when_it_is_sent(emulator: Emulator, name: str) -> None:
    mapped = Mapped(emulator, name, Enabled=False)
    mapped.put("first")
    time.sleep(1)
    sent = time.time()
    mapped.put("last")
    mapped.enable()
    # told before the function starts
    age_milliseconds = wait_for(lambda: mapped.metric("IteratorAge", "Maximum"), "the metric")
    assert age_milliseconds <= (time.time() - sent) * 1000 + 1
    assert len(wait_for(mapped.calls, "a call")) == 1


@promised("https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html")
def test_the_position_survives_a_restart(another_emulator: Callable[..., Emulator], name: str) -> None:
    """A mapping goes on where it was, in the children of a shard that it has read."""
    emulator = another_emulator()
    mapped = Mapped(emulator, name)
    first = mapped.put("before")
    wait_for(mapped.calls, "a call")
    mapped.kinesis.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    emulator.stop()
    emulator.start()
    again = mapped.__class__.__new__(mapped.__class__)
    again.emulator, again.name, again.kinesis = emulator, name, emulator.client("kinesis")
    second = again.put("after")
    wait_for(lambda: len(again.calls()) == 2, "the second call")
    assert again.texts() == [["before"], ["after"]]
    assert first < second, "sequence numbers rise over a restart"


def test_1500_events_a_second_through_function_and_table(emulator: Emulator, name: str) -> None:
    """The lake's stream half, as fast as its demo needs it."""
    code = """
import base64, boto3, os
table = boto3.client("dynamodb")
def handler(event, context):
    rows = [(base64.b64decode(r["kinesis"]["data"]).decode(), r["eventID"]) for r in event["Records"]]
    for start in range(0, len(rows), 25):
        table.batch_execute_statement(Statements=[
            {"Statement": f"INSERT INTO {os.environ['TABLE']} VALUE {{'k': ?, 'owner': ?}}",
             "Parameters": [{"S": key}, {"S": owner}]} for key, owner in rows[start : start + 25]])
"""
    dynamodb, kinesis = emulator.client("dynamodb"), emulator.client("kinesis")
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
    )
    make_function(emulator, name, code, Environment={"Variables": {"TABLE": name}})
    # what is put at once, within what the shards take in a second
    kinesis.create_stream(StreamName=name, ShardCount=4)
    for start in range(0, 3000, 500):
        records = [{"Data": str(n).encode(), "PartitionKey": str(n)} for n in range(start, start + 500)]
        kinesis.put_records(StreamName=name, Records=records)
    before = emulator.processor_seconds()
    emulator.client("lambda").create_event_source_mapping(
        EventSourceArn=f"arn:aws:kinesis:eu-west-1:000000000000:stream/{name}", FunctionName=name,
        StartingPosition="TRIM_HORIZON", BatchSize=1000,
    )  # fmt: skip
    wait_for(lambda: dynamodb.describe_table(TableName=name)["Table"]["ItemCount"] == 3000, "3000 items")
    # two processor seconds are there each second; a new function's start is among what is counted here
    assert 3000 / (emulator.processor_seconds() - before) > 1500 / 2 / slowness()
