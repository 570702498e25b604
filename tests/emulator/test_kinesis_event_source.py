"""A stream feeds a function as AWS documents it: in order, again after a failure, and never silently lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.emulator.behaviours import promised
from tests.emulator.running import Emulator, make_bucket, make_function, objects, wait_for

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

    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in sorted(objects(self.emulator, self.name).items())]

    def texts(self) -> list[list[str]]:
        return [[text for _, text in call["records"]] for call in self.calls()]


def failures(emulator: Emulator, name: str) -> list[dict[str, Any]]:
    sqs = emulator.client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    return [
        json.loads(one["Body"]) for one in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    ]


def on_failure(emulator: Emulator, name: str) -> dict[str, Any]:
    emulator.client("sqs").create_queue(QueueName=name)
    return {"DestinationConfig": {"OnFailure": {"Destination": f"arn:aws:sqs:eu-west-1:000000000000:{name}"}}}


@promised("https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html", closed_by="kinesis_event_source")
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


@promised(
    "https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html",
    closed_by="kinesis_event_source",
)
def test_a_batch_is_handed_over_at_once_by_a_warm_function(emulator: Emulator, name: str) -> None:
    """Environments are reused."""
    mapped = Mapped(emulator, name)
    mapped.put("warm up")
    wait_for(mapped.calls, "the first call")
    sent = time.time()
    mapped.put("now")
    wait_for(lambda: len(mapped.calls()) == 2, "the second call")
    first, second = mapped.calls()
    assert second["at"] - sent < 0.5
    assert first["pid"] == second["pid"]


@promised("https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-create.html", closed_by="kinesis_event_source")
def test_a_raise_is_retried_without_end_in_order_and_the_other_shard_goes_on(emulator: Emulator, name: str) -> None:
    """A shard waits for its failed batch."""
    mapped = Mapped(emulator, name, "raise", shards=2)
    mapped.put("bad", "after", shard_start=0)
    wait_for(lambda: len(mapped.calls()) >= 3, "the third attempt")
    mapped.put("good", shard_start=2**127)
    wait_for(lambda: ["good"] in mapped.texts(), "the other shard", seconds=3)
    tries = [call for call in mapped.calls() if "bad" in call["records"][0][1]]
    assert {tuple(text for _, text in call["records"]) for call in tries} <= {("bad",), ("bad", "after")}
    assert len({call["pid"] for call in tries}) == 1, "an exception does not cost a cold start"


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
    emulator.client("lambda").update_event_source_mapping(UUID=mapped.mapping["UUID"], Enabled=True)
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
    emulator.client("lambda").update_event_source_mapping(UUID=mapped.mapping["UUID"], Enabled=True)
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
    mapped = Mapped(emulator, name, MaximumBatchingWindowInSeconds=1)
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


@promised("https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html", closed_by="kinesis_event_source")
def test_the_position_survives_a_restart(another_emulator: Callable[..., Emulator], name: str) -> None:
    """A mapping goes on where it was."""
    emulator = another_emulator()
    mapped = Mapped(emulator, name)
    first = mapped.put("before")
    wait_for(mapped.calls, "a call")
    emulator.stop()
    emulator.start()
    again = mapped.__class__.__new__(mapped.__class__)
    again.emulator, again.name, again.kinesis = emulator, name, emulator.client("kinesis")
    second = again.put("after")
    wait_for(lambda: len(again.calls()) == 2, "the second call")
    assert again.texts() == [["before"], ["after"]]
    assert first < second, "sequence numbers rise over a restart"


@pytest.mark.timeout(60)
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
    kinesis.create_stream(StreamName=name, ShardCount=4)
    for start in range(0, 6000, 500):
        records = [{"Data": str(n).encode(), "PartitionKey": str(n)} for n in range(start, start + 500)]
        kinesis.put_records(StreamName=name, Records=records)
    before = emulator.processor_seconds()
    emulator.client("lambda").create_event_source_mapping(
        EventSourceArn=f"arn:aws:kinesis:eu-west-1:000000000000:stream/{name}", FunctionName=name,
        StartingPosition="TRIM_HORIZON", BatchSize=1000,
    )  # fmt: skip
    wait_for(lambda: dynamodb.describe_table(TableName=name)["Table"]["ItemCount"] == 6000, "6000 items", seconds=40)
    # two processor seconds are there each second; a new function's start is among what is counted here
    assert 6000 / (emulator.processor_seconds() - before) > 1500 / 2


def test_without_the_fix_a_reported_failure_is_lost(another_emulator: Callable[..., Emulator], name: str) -> None:
    """What the fix is for."""
    emulator = another_emulator(EMULATOR_WITHOUT="kinesis_event_source")
    mapped = Mapped(emulator, name, "report", FunctionResponseTypes=["ReportBatchItemFailures"])
    mapped.put("bad")
    wait_for(mapped.calls, "a call")
    time.sleep(2.5)
    assert mapped.texts() == [["bad"]], "nothing came again, and nobody was told"
