"""Firehose to S3 does what AWS documents of buffers, partitions, errors and limits."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

import pytest
from botocore.exceptions import ClientError

from tests.emulator.behaviours import promised
from tests.emulator.running import ROLE, Emulator, make_bucket, objects, wait_for
from tests.machine_speed import slowness

SERVICE = "Firehose"

JQ = '{type: .event_type, day: ._lake.day[8:10], area: (if .late then "late" else "raw" end)}'

PLAIN: dict[str, Any] = {
    "DynamicPartitioningConfiguration": {"Enabled": False},
    "ProcessingConfiguration": {"Enabled": False},
    "Prefix": "plain/",
}


def make_stream(emulator: Emulator, name: str, seconds: int = 1, bucket: bool = True, **changes: Any) -> None:
    if bucket:
        make_bucket(emulator, name)
    processors = [
        {
            "Type": "MetadataExtraction",
            "Parameters": [
                {"ParameterName": "MetadataExtractionQuery", "ParameterValue": JQ},
                {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
            ],
        },
        {
            "Type": "AppendDelimiterToRecord",
            "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}],
        },
    ]
    emulator.client("firehose").create_delivery_stream(
        DeliveryStreamName=name,
        DeliveryStreamType="DirectPut",
        ExtendedS3DestinationConfiguration={
            "BucketARN": f"arn:aws:s3:::{name}",
            "RoleARN": ROLE,
            "CompressionFormat": "GZIP",
            "BufferingHints": {"IntervalInSeconds": seconds, "SizeInMBs": 64},
            "DynamicPartitioningConfiguration": {"Enabled": True},
            "Prefix": "!{partitionKeyFromQuery:area}/type=!{partitionKeyFromQuery:type}"
            "/day=!{partitionKeyFromQuery:day}/!{timestamp:HHmmss}-",
            "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/",
            "ProcessingConfiguration": {"Enabled": True, "Processors": processors},
            **changes,
        },
    )


def event(number: int, event_type: str = "payment", **more: Any) -> bytes:
    return json.dumps({"n": number, "event_type": event_type, "_lake": {"day": "2026-11-21"}, **more}).encode()


def put(emulator: Emulator, name: str, records: list[bytes]) -> Any:
    return emulator.client("firehose").put_record_batch(
        DeliveryStreamName=name, Records=[{"Data": record} for record in records]
    )


@promised("https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning.html", closed_by="firehose")
def test_one_object_a_partition_gzip_with_newlines(emulator: Emulator, name: str) -> None:
    make_stream(emulator, name)
    put(emulator, name, [event(n, ("payment", "order")[n % 2], late=n == 6) for n in range(7)])
    found = wait_for(lambda: (got := objects(emulator, name)) and len(got) == 3 and got, "three objects")
    numbers = {
        key.rpartition("/")[0]: [json.loads(line)["n"] for line in gzip.decompress(body).splitlines()]
        for key, body in found.items()
    }
    assert numbers == {
        "raw/type=payment/day=21": [0, 2, 4],
        "raw/type=order/day=21": [1, 3, 5],
        "late/type=payment/day=21": [6],
    }
    assert all(gzip.decompress(body).endswith(b"\n") for body in found.values())
    # <prefix><stream>-<version>-<time>-<uuid>.gz, and no default time folders behind partition keys
    assert all(f"-{name}-1-" in key and key.endswith(".gz") for key in found)


@promised("https://docs.aws.amazon.com/firehose/latest/dev/buffering-hints.html", closed_by="firehose")
def test_a_buffer_waits_for_its_interval_and_no_longer(emulator: Emulator, name: str) -> None:
    make_stream(emulator, name, seconds=3)
    started = time.monotonic()
    put(emulator, name, [event(1)])
    time.sleep(0.5)
    put(emulator, name, [event(2)])
    # by default it would be five minutes
    found = wait_for(lambda: objects(emulator, name), "the object")
    assert time.monotonic() - started >= 3
    assert len(found) == 1
    assert gzip.decompress(next(iter(found.values()))).count(b"\n") == 2


@promised("https://docs.aws.amazon.com/firehose/latest/dev/buffering-hints.html", closed_by="firehose")
def test_a_full_buffer_does_not_wait(emulator: Emulator, name: str) -> None:
    """Whichever comes first."""
    make_stream(emulator, name, BufferingHints={"IntervalInSeconds": 900, "SizeInMBs": 1}, **PLAIN)
    for _ in range(2):
        put(emulator, name, [event(n, pad="x" * 90_000) for n in range(5)])
    assert not objects(emulator, name)
    put(emulator, name, [event(n, pad="x" * 150_000) for n in range(5)])
    assert len(wait_for(lambda: objects(emulator, name), "the object")) == 1


@promised(
    "https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning-partitioning-keys.html",
    closed_by="firehose",
)
def test_what_has_no_partition_goes_to_the_error_prefix(emulator: Emulator, name: str) -> None:
    make_stream(emulator, name)
    bad = [b"not json", b'{"event_type": "x"}', b'{"event_type": null, "_lake": {"day": "2026-11-21"}}']
    put(emulator, name, [*bad, event(1)])
    found = wait_for(lambda: objects(emulator, name, "errors/"), "the error object")
    assert len(found) == 1
    ((key, body),) = found.items()
    assert key.startswith("errors/processing-failed/2")
    lines = [json.loads(line) for line in gzip.decompress(body).splitlines()]
    assert [base64.b64decode(line["rawData"]) for line in lines] == bad
    assert all(
        {"attemptsMade", "arrivalTimestamp", "errorCode", "errorMessage", "attemptEndingTimestamp"} < line.keys()
        for line in lines
    )


@promised("https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html", closed_by="firehose")
def test_a_prefix_without_time_and_partitions_gets_the_default_folders(emulator: Emulator, name: str) -> None:
    """YYYY/MM/dd/HH by default."""
    make_stream(emulator, name, CompressionFormat="UNCOMPRESSED", **PLAIN)
    # the hour of their arrival, which may end meanwhile
    hours = [time.strftime("plain/%Y/%m/%d/%H/", time.gmtime())]
    put(emulator, name, [b"a", b"b"])
    hours.append(time.strftime("plain/%Y/%m/%d/%H/", time.gmtime()))
    found = wait_for(lambda: objects(emulator, name), "the object")
    assert list(found.values()) == [b"ab"]
    assert next(iter(found)).startswith(tuple(hours))


@promised("https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html", closed_by="firehose")
@pytest.mark.parametrize(
    ("records", "code"),
    [
        ([b"x" * 1_024_001], "ValidationException"),
        ([b"x"] * 501, "ValidationException"),
        ([b"x" * 1_000_000] * 5, "InvalidArgumentException"),
    ],
)
def test_a_request_over_a_limit_is_refused(emulator: Emulator, name: str, records: list[bytes], code: str) -> None:
    """1,000 KiB, 500, 4 MiB."""
    make_stream(emulator, name)
    with pytest.raises(ClientError) as refused:
        put(emulator, name, records)
    assert refused.value.response["Error"]["Code"] == code


@promised(
    "https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html",
    closed_by="firehose",
    only_here="injects a fault",
)
def test_some_records_of_a_batch_can_be_refused(emulator: Emulator, name: str) -> None:
    """FailedPutCount."""
    make_stream(emulator, name)
    emulator.fault(firehose_refuse_every=3)
    try:
        answer = put(emulator, name, [event(n) for n in range(9)])
    finally:
        emulator.fault()
    refused = [number for number, one in enumerate(answer["RequestResponses"]) if "ErrorCode" in one]
    assert answer["FailedPutCount"] == len(refused) == 3
    found = wait_for(lambda: objects(emulator, name), "the object")
    kept = {json.loads(line)["n"] for line in gzip.decompress(next(iter(found.values()))).splitlines()}
    assert kept == set(range(9)) - set(refused)


@promised("https://docs.aws.amazon.com/firehose/latest/dev/limits.html", closed_by="firehose")
def test_more_than_500_open_partitions_overflow_into_the_error_prefix(emulator: Emulator, name: str) -> None:
    make_stream(emulator, name, seconds=3)
    put(emulator, name, [event(n, f"type{n}") for n in range(300)])
    put(emulator, name, [event(n, f"type{n}") for n in range(300, 510)])
    errors = wait_for(lambda: objects(emulator, name, "errors/"), "the error object")
    lines = gzip.decompress(next(iter(errors.values()))).splitlines()
    assert len(lines) == 10
    assert json.loads(lines[0])["errorCode"] == "DynamicPartitioning.ActivePartitionLimitExceeded"


@promised(
    "https://docs.aws.amazon.com/firehose/latest/APIReference/API_ExtendedS3DestinationConfiguration.html",
    closed_by="firehose",
)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"BufferingHints": {"IntervalInSeconds": 60, "SizeInMBs": 63}}, "must be at least 64"),
        ({"ErrorOutputPrefix": ""}, "ErrorOutputPrefix"),
    ],
)
def test_a_stream_that_could_not_partition_is_refused(
    emulator: Emulator, name: str, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ClientError, match=reason):
        make_stream(emulator, name, **changes)


def test_what_nothing_here_does_is_refused(emulator: Emulator, name: str) -> None:
    """A processor that was stored and skipped would look as if it had run."""
    for number, changes in enumerate(
        (
            {"CompressionFormat": "Snappy"},
            {"S3BackupMode": "Enabled"},
            {"Prefix": "!{partitionKeyFromLambda:k}/"},
            {"ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "RecordDeAggregation"}]}},
            {"ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Lambda"}]}},
        )
    ):
        with pytest.raises(ClientError, match="here; use"):
            make_stream(emulator, f"{name}{number}", **changes)


RETRY = "https://docs.aws.amazon.com/firehose/latest/dev/retry.html"


def logging_to(emulator: Emulator, name: str) -> dict[str, Any]:
    emulator.client("logs").create_log_group(logGroupName=name)
    return {"Enabled": True, "LogGroupName": name, "LogStreamName": "delivery"}


def errors_said(emulator: Emulator, name: str) -> list[dict[str, Any]]:
    events = emulator.client("logs").filter_log_events(logGroupName=name)["events"]
    return [json.loads(event["message"]) for event in events]


def freshness(emulator: Emulator, name: str) -> float:
    now = time.time()
    found = emulator.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Firehose",
        MetricName="DeliveryToS3.DataFreshness",
        Dimensions=[{"Name": "DeliveryStreamName", "Value": name}],
        StartTime=now - 300,
        EndTime=now + 60,
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    return max((float(one["Maximum"]) for one in found), default=0.0)


@promised(RETRY, closed_by="firehose")
def test_a_missing_bucket_gets_its_objects_once_it_is_there(emulator: Emulator, name: str) -> None:
    """Retries, the error log and DeliveryToS3.DataFreshness."""
    make_stream(emulator, name, bucket=False, CloudWatchLoggingOptions=logging_to(emulator, name))
    put(emulator, name, [event(n) for n in range(5)])
    said = wait_for(lambda: errors_said(emulator, name), "the error log")
    assert [(one["errorCode"], one["destination"]) for one in said] == [("S3.NoSuchBucket", f"arn:aws:s3:::{name}")]
    wait_for(lambda: freshness(emulator, name) > 1, "the age of what waits")
    make_bucket(emulator, name)
    found = wait_for(lambda: objects(emulator, name), "the object")
    assert [gzip.decompress(body).count(b"\n") for body in found.values()] == [5]


@promised(
    "https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning-error-handling.html", closed_by="firehose"
)
def test_a_partition_that_cannot_be_written_goes_to_the_error_prefix(emulator: Emulator, name: str) -> None:
    """RetryOptions."""
    partitioning = {"Enabled": True, "RetryOptions": {"DurationInSeconds": 0}}
    make_stream(emulator, name, DynamicPartitioningConfiguration=partitioning)
    records = [event(1, "x" * 1200), event(2, "x" * 1200)]
    put(emulator, name, [*records, event(3)])
    found = wait_for(lambda: len(got := objects(emulator, name)) == 2 and got, "two objects")
    (error,) = [body for key, body in found.items() if key.startswith("errors/processing-failed/")]
    lines = [json.loads(line) for line in gzip.decompress(error).splitlines()]
    assert [base64.b64decode(line["rawData"]) for line in lines] == records


@promised(RETRY, closed_by="firehose", only_here="moves the clock")
def test_what_cannot_be_delivered_for_24_hours_is_lost_and_the_log_says_so(emulator: Emulator, name: str) -> None:
    make_stream(emulator, name, bucket=False, CloudWatchLoggingOptions=logging_to(emulator, name), **PLAIN)
    put(emulator, name, [b"a", b"b"])
    wait_for(lambda: errors_said(emulator, name), "the error log")
    emulator.fault(clock_ahead_seconds=24 * 3600)
    try:
        said = wait_for(lambda: len(got := errors_said(emulator, name)) == 2 and got, "a last word")
    finally:
        emulator.fault()
    assert "2 records are lost" in said[-1]["message"]


@promised("https://docs.aws.amazon.com/firehose/latest/dev/what-is-this-service.html", closed_by="firehose")
def test_a_stop_writes_what_waits_and_tells_of_it_and_keeps_what_it_cannot_write(
    another_emulator: Callable[..., Emulator], name: str
) -> None:
    """Accepted data is durable."""
    emulator = another_emulator()
    late = f"{name}-late"
    make_stream(emulator, name, seconds=900)
    make_stream(emulator, late, seconds=900, bucket=False)
    emulator.client("sqs").create_queue(QueueName=name)
    told = {"QueueArn": f"arn:aws:sqs:eu-west-1:000000000000:{name}", "Events": ["s3:ObjectCreated:*"]}
    emulator.client("s3").put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"QueueConfigurations": [told]}, SkipDestinationValidation=True
    )
    for stream in (name, late):
        put(emulator, stream, [event(n) for n in range(5)])
    assert emulator.stop() == 0
    emulator.start()
    make_bucket(emulator, late)
    found = objects(emulator, name)
    assert sum(gzip.decompress(body).count(b"\n") for body in found.values()) == 5
    sqs = emulator.client("sqs")
    queue = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    messages = [
        json.loads(one["Body"]) for one in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    ]
    told_of = [record["s3"]["object"]["key"] for one in messages for record in one.get("Records", [])]
    assert [unquote_plus(key) for key in told_of] == list(found)
    kept = wait_for(lambda: objects(emulator, late), "the object of the bucket that came late")
    assert sum(gzip.decompress(body).count(b"\n") for body in kept.values()) == 5


def test_3000_records_a_second_pass(emulator: Emulator, name: str) -> None:
    """The lake's headline rate has to fit through one stream; in processor time, whoever else is busy."""
    make_stream(emulator, name)
    batch = [event(n, f"type{n % 7}", pad="x" * 400) for n in range(500)]
    before = emulator.processor_seconds()
    for _ in range(10):
        assert put(emulator, name, batch)["FailedPutCount"] == 0
    wait_for(lambda: len(objects(emulator, name)) >= 7, "the objects")
    assert 5000 / (emulator.processor_seconds() - before) > 3000 / slowness()
