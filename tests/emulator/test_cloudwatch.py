"""Services report what AWS documents, and it can be asked for as AWS documents it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from tests.emulator.behaviours import promised
from tests.emulator.measured import MINUTE_SECONDS, make_queue, reported, seconds_ago, value_of
from tests.emulator.running import ROLE, Emulator, make_bucket, make_function, wait_for

SERVICE = "CloudWatch"

MOVED = "moves the clock"


def put(emulator: Emulator, namespace: str, value: float, at: datetime, **dimensions: str) -> None:
    datum = {
        "MetricName": "m",
        "Value": value,
        "Timestamp": at,
        "Dimensions": [{"Name": name, "Value": one} for name, one in dimensions.items()],
    }
    emulator.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])


def ask(emulator: Emulator, namespace: str, start: datetime, **options: Any) -> dict[str, Any]:
    metric = {"Namespace": namespace, "MetricName": "m"}
    found = emulator.client("cloudwatch").get_metric_data(
        StartTime=start,
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
        MetricDataQueries=[{"Id": "m", "MetricStat": {"Metric": metric, "Period": MINUTE_SECONDS, "Stat": "Sum"}}],
        **options,
    )
    result: dict[str, Any] = found["MetricDataResults"][0]
    return result


@promised(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#dimension-combinations",
    closed_by="cloudwatch_metrics",
)
def test_each_set_of_dimensions_is_a_metric_of_its_own_and_so_is_the_empty_one(emulator: Emulator, name: str) -> None:
    put(emulator, name, 1, seconds_ago(30))
    put(emulator, name, 10, seconds_ago(30), Shop="north")
    put(emulator, name, 100, seconds_ago(30), Shop="north", Till="1")
    assert value_of(emulator, name, "m", "Sum") == 1
    assert value_of(emulator, name, "m", "Sum", Shop="north") == 10
    assert value_of(emulator, name, "m", "Sum", Shop="north", Till="1") == 100


@promised(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html",
    closed_by="cloudwatch_metrics",
)
def test_the_newest_value_comes_first_unless_asked_otherwise(emulator: Emulator, name: str) -> None:
    for value, minutes in ((1, 3), (2, 2), (3, 1)):
        put(emulator, name, value, seconds_ago(minutes * MINUTE_SECONDS))
    start = seconds_ago(10 * MINUTE_SECONDS)
    newest_first = ask(emulator, name, start)
    assert newest_first["Values"] == [3, 2, 1]
    assert newest_first["Timestamps"] == sorted(newest_first["Timestamps"], reverse=True)
    assert ask(emulator, name, start, ScanBy="TimestampAscending")["Values"] == [1, 2, 3]


@promised(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html",
    closed_by="cloudwatch_metrics",
)
def test_a_start_within_a_minute_is_rounded_down_to_the_minute(emulator: Emulator, name: str) -> None:
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
    put(emulator, name, 7, minute + timedelta(seconds=10))
    assert ask(emulator, name, minute + timedelta(seconds=40))["Values"] == [7]


EMBEDDED = """
import json
def handler(event, context):
    print("an ordinary line")
    print(json.dumps({
        "_aws": {"Timestamp": event["at_ms"], "CloudWatchMetrics": [
            {"Namespace": event["name"], "Dimensions": [["Shop"], ["Shop", "Till"]],
             "Metrics": [{"Name": "Sold", "Unit": "Count"}, {"Name": "Seconds"}]}]},
        "Shop": "north", "Till": "1", "Sold": 3, "Seconds": [1.5, 2.5], "order": {"Sold": 99}}))
    print(json.dumps({
        "_aws": {"Timestamp": event["at_ms"], "CloudWatchMetrics": [
            {"Namespace": event["name"], "Dimensions": [["Shop"]], "Metrics": [{"Name": "Sold"}]}]},
        "Shop": 17, "Sold": 1000}))
"""


@promised(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html",
    closed_by="embedded_metrics",
)
def test_a_log_line_in_the_embedded_metric_format_becomes_metrics(emulator: Emulator, name: str) -> None:
    """Of each set of dimensions; an invalid one does not; both stay log lines."""
    make_function(emulator, name, EMBEDDED)
    event = {"at_ms": int(time.time() * 1000), "name": name}
    emulator.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
    for where in ({"Shop": "north"}, {"Shop": "north", "Till": "1"}):
        reported(emulator, name, "Sold", "Sum", 3, **where)
        assert value_of(emulator, name, "Seconds", "Sum", **where) == 4
        assert value_of(emulator, name, "Seconds", "SampleCount", **where) == 2
    listed = emulator.client("cloudwatch").list_metrics(Namespace=name)["Metrics"]
    assert len(listed) == 4
    logged = emulator.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    assert [json.loads(one["message"])["Sold"] for one in logged if "_aws" in one["message"]] == [3, 1000]


@promised(
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html",
    closed_by="sqs_metrics",
    only_here=MOVED,
)
def test_a_queue_reports_each_minute_what_waits_in_it(
    emulator: Emulator, name: str, ahead: Callable[[int], None]
) -> None:
    sqs = emulator.client("sqs")
    url, _ = make_queue(emulator, name)
    make_queue(emulator, f"{name}-unused")
    started = time.monotonic()
    # no level is ever higher than in the end: a minute may end between any two of these
    sqs.send_message(QueueUrl=url, MessageBody="taken")
    sqs.receive_message(QueueUrl=url, VisibilityTimeout=600)
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=600)
    for number in range(2):
        sqs.send_message(QueueUrl=url, MessageBody=f"{number}")
    ahead(15 * MINUTE_SECONDS)
    for metric_name, value in (("Visible", 2), ("NotVisible", 1), ("Delayed", 1)):
        reported(emulator, "AWS/SQS", f"ApproximateNumberOfMessages{metric_name}", "Maximum", value, QueueName=name)

    def age() -> float:
        return value_of(emulator, "AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", QueueName=name) or 0

    wait_for(lambda: age() >= 15 * MINUTE_SECONDS, "the age of the oldest message")
    assert age() <= 15 * MINUTE_SECONDS + time.monotonic() - started
    where = {"QueueName": f"{name}-unused"}
    assert value_of(emulator, "AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", **where) is None


@promised(
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html",
    closed_by="sqs_metrics",
    only_here=MOVED,
)
def test_a_queue_counts_what_is_sent_received_and_deleted(
    emulator: Emulator, name: str, ahead: Callable[[int], None]
) -> None:
    """A message that goes to the dead letters by itself is not sent there."""
    sqs = emulator.client("sqs")
    _, dead_arn = make_queue(emulator, f"{name}-dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1})
    url, _ = make_queue(emulator, name, RedrivePolicy=redrive)
    entries = [{"Id": str(number), "MessageBody": str(number)} for number in range(3)]
    sqs.send_message_batch(QueueUrl=url, Entries=entries)
    taken = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2, VisibilityTimeout=0)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=taken[0]["ReceiptHandle"])
    # the second is received once more than it may be
    taken = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2)["Messages"]
    gone = [{"Id": "a", "ReceiptHandle": taken[0]["ReceiptHandle"]}]
    sqs.delete_message_batch(QueueUrl=url, Entries=gone)
    ahead(MINUTE_SECONDS)
    for metric_name, value in (("Sent", 3), ("Received", 3), ("Deleted", 2)):
        reported(emulator, "AWS/SQS", f"NumberOfMessages{metric_name}", "Sum", value, QueueName=name)
    reported(emulator, "AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", 1, QueueName=f"{name}-dead")
    assert value_of(emulator, "AWS/SQS", "NumberOfMessagesSent", "Sum", QueueName=f"{name}-dead") is None


@promised(
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html",
    closed_by="dynamodb_metrics",
)
def test_a_table_reports_the_capacity_the_latency_and_the_refusals_of_requests(emulator: Emulator, name: str) -> None:
    table = emulator.client("dynamodb")
    key = {"AttributeName": "id", "KeyType": "HASH"}
    definitions = [{"AttributeName": "id", "AttributeType": "S"}]
    table.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", AttributeDefinitions=definitions, KeySchema=[key])
    item = {"id": {"S": "1"}, "text": {"S": "x" * 2500}}
    assert "ConsumedCapacity" not in table.put_item(TableName=name, Item=item)
    asked = table.put_item(TableName=name, Item=item, ReturnConsumedCapacity="TOTAL")
    assert asked["ConsumedCapacity"]["CapacityUnits"] == 3
    insert = {"Statement": f"INSERT INTO \"{name}\" VALUE {{'id': '2'}}"}
    table.batch_execute_statement(Statements=[insert, insert])
    table.get_item(TableName=name, Key={"id": {"S": "1"}}, ConsistentRead=True)
    keys = [{"id": {"S": "1"}}, {"id": {"S": "2"}}]
    table.batch_get_item(RequestItems={name: {"Keys": keys, "ConsistentRead": True}})
    with contextlib.suppress(ClientError):
        table.put_item(TableName=name, Item={"id": {"S": "1"}}, ConditionExpression="attribute_not_exists(id)")
    errors = value_of(emulator, "AWS/DynamoDB", "UserErrors", "Sum") or 0
    with contextlib.suppress(ClientError):
        table.put_item(TableName=name, Item={"no key": {"S": "1"}})
    where = {"TableName": name}
    assert value_of(emulator, "AWS/DynamoDB", "ConsumedWriteCapacityUnits", "Sum", **where) == 3 + 3 + 2
    assert value_of(emulator, "AWS/DynamoDB", "ConsumedReadCapacityUnits", "Sum", **where) == 1 + 2
    assert value_of(emulator, "AWS/DynamoDB", "ConditionalCheckFailedRequests", "Sum", **where) == 1
    assert value_of(emulator, "AWS/DynamoDB", "UserErrors", "Sum") == errors + 1
    puts = value_of(emulator, "AWS/DynamoDB", "SuccessfulRequestLatency", "SampleCount", **where, Operation="PutItem")
    assert puts == 2


@promised(
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html",
    closed_by="s3_storage_metrics",
    only_here=MOVED,
)
def test_a_bucket_reports_bytes_by_class_and_objects_once_a_day(
    emulator: Emulator, name: str, ahead: Callable[[int], None]
) -> None:
    """With the versions that are not the newest any more, and delete markers."""
    s3 = emulator.client("s3")
    make_bucket(emulator, name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=name, Key="a", Body=b"x" * 100)
    s3.put_object(Bucket=name, Key="a", Body=b"x" * 10)
    s3.put_object(Bucket=name, Key="b", Body=b"x" * 1000, StorageClass="STANDARD_IA")
    s3.delete_object(Bucket=name, Key="b")
    ahead(86_400)
    where = {"BucketName": name, "StorageType": "AllStorageTypes"}
    reported(emulator, "AWS/S3", "NumberOfObjects", "Maximum", 4, **where)
    for storage_type, size in (("StandardStorage", 110), ("StandardIAStorage", 1000)):
        where = {"BucketName": name, "StorageType": storage_type}
        assert value_of(emulator, "AWS/S3", "BucketSizeBytes", "Maximum", **where) == size


@promised(
    "https://docs.aws.amazon.com/glue/latest/dg/monitor-observability.html",
    closed_by="glue_job_metrics",
)
def test_a_job_with_observability_reports_how_its_runs_ended(emulator: Emulator, name: str) -> None:
    """A job that does not ask for it reports nothing."""
    glue = emulator.client("glue")
    make_bucket(emulator, name)
    emulator.client("s3").put_object(Bucket=name, Key="job.py", Body=b"import sys; assert 'fail' not in sys.argv")
    command = {"Name": "glueetl", "ScriptLocation": f"s3://{name}/job.py"}
    limit = {"MaxConcurrentRuns": 3}
    glue.create_job(Name=name, Role=ROLE, GlueVersion="5.1", Command=command, ExecutionProperty=limit)
    told = {"--enable-observability-metrics": "true", "--enable-metrics": "true"}
    runs = [
        glue.start_job_run(JobName=name, Arguments=arguments)["JobRunId"]
        for arguments in (told, told | {"--how": "fail"}, {"--how": "quiet"})
    ]
    where = {"JobName": name, "Type": "count", "ObservabilityGroup": "error"}
    reported(emulator, "Glue", "glue.succeed.ALL", "Sum", 1, **where, JobRunId=runs[0])
    reported(emulator, "Glue", "glue.error.ALL", "Sum", 1, **where, JobRunId=runs[1])
    assert value_of(emulator, "Glue", "glue.error.ALL", "Sum", **where, JobRunId=runs[0]) == 0

    def is_over() -> bool:
        return bool(glue.get_job_run(JobName=name, RunId=runs[2])["JobRun"]["JobRunState"] == "SUCCEEDED")

    wait_for(is_over, "the quiet run's end")
    assert value_of(emulator, "Glue", "glue.succeed.ALL", "Sum", **where, JobRunId=runs[2]) is None
    reported(emulator, "Glue", "glue.succeed.ALL", "SampleCount", 2, **where, JobRunId="ALL")
    where = {"JobName": name, "Type": "count", "JobRunId": "ALL"}
    assert value_of(emulator, "Glue", "glue.driver.aggregate.elapsedTime", "SampleCount", **where) == 2


@promised(
    "https://docs.aws.amazon.com/firehose/latest/dev/cloudwatch-metrics.html",
    closed_by="firehose",
    only_here=MOVED,
)
def test_a_delivery_stream_reports_what_came_in_and_how_old_the_oldest_record_is(
    emulator: Emulator, name: str, ahead: Callable[[int], None]
) -> None:
    firehose = emulator.client("firehose")
    make_bucket(emulator, name)
    firehose.create_delivery_stream(
        DeliveryStreamName=name,
        ExtendedS3DestinationConfiguration={
            "BucketARN": f"arn:aws:s3:::{name}",
            "RoleARN": ROLE,
            "BufferingHints": {"IntervalInSeconds": 900, "SizeInMBs": 64},
        },
    )
    firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": b"12345"}, {"Data": b"678"}])
    where = {"DeliveryStreamName": name}
    assert value_of(emulator, "AWS/Firehose", "IncomingRecords", "Sum", **where) == 2
    assert value_of(emulator, "AWS/Firehose", "IncomingBytes", "Sum", **where) == 8
    ahead(20 * MINUTE_SECONDS)

    def age() -> float:
        return value_of(emulator, "AWS/Firehose", "DeliveryToS3.DataFreshness", "Maximum", **where) or 0

    assert wait_for(lambda: age() >= 20 * MINUTE_SECONDS, "an old record")
