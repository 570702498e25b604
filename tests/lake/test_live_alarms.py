"""The template's alarms on a lake as it is deployed: a trouble raises its alarm, its end clears it, and both are told.

The function, the bucket and the queue are in real trouble; hours pass on the server's clock alone.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from lake_builders import wait_until

from deploy import deploy
from eventlake.decision_log import METRICS_NAMESPACE
from eventlake.settings import DATABASES, Settings
from eventlake_aws.clients import Clients
from eventlake_aws.load_metrics import count_load_ended

EVENT = {"event_uuid": str(uuid.uuid4()), "event_name": "payment:order", "created_at": 1_795_000_000}


class DeployedLake:
    """A lake made by the template, and the minutes that its server's clock has been moved ahead."""

    def __init__(self, settings: Settings, ahead: Callable[[timedelta], None]) -> None:
        self.settings = settings
        self.clients = Clients(settings)
        self.sqs, self.functions, self.firehose = (
            boto3.client(service, region_name=settings.region) for service in ("sqs", "lambda", "firehose")
        )
        self._ahead = ahead
        self._minutes_ahead = 0
        self._arrived: list[dict[str, Any]] = []

    def pass_minutes(self, minutes: int) -> None:
        self._minutes_ahead += minutes
        self._ahead(timedelta(minutes=self._minutes_ahead))

    def alarm_becomes(self, name: str, state: str) -> None:
        def is_there() -> bool:
            alarms = self.clients.cloudwatch.describe_alarms(AlarmNames=[f"{self.settings.prefix}-{name}"])
            return bool(alarms["MetricAlarms"][0]["StateValue"] == state)

        wait_until(is_there, f"{name} to be {state}")

    def told(self, name: str, state: str) -> dict[str, Any]:
        """The next message about this alarm, which says this state; what is told of others stays."""
        alarm = f"{self.settings.prefix}-{name}"
        inbox = self.sqs.get_queue_url(QueueName=self.settings.alerts_inbox_queue)["QueueUrl"]

        def arrived() -> bool:
            for message in self.sqs.receive_message(QueueUrl=inbox, MaxNumberOfMessages=10).get("Messages", []):
                self.sqs.delete_message(QueueUrl=inbox, ReceiptHandle=message["ReceiptHandle"])
                self._arrived.append(json.loads(json.loads(message["Body"])["Message"]))
            return any(message["AlarmName"] == alarm for message in self._arrived)

        wait_until(arrived, f"the message that {name} is {state}")
        message = next(message for message in self._arrived if message["AlarmName"] == alarm)
        self._arrived.remove(message)
        assert message["NewStateValue"] == state, message["NewStateReason"]
        return message

    def waits_for_a_point(self, namespace: str, name: str, **dimensions: str) -> None:
        def points() -> float:
            return self.metric(namespace, name, "SampleCount", **dimensions)

        before = points()
        wait_until(lambda: points() > before, f"another point of {name}")

    def metric(self, namespace: str, name: str, statistic: str, **dimensions: str) -> float:
        now = datetime.now(UTC)
        points = self.clients.cloudwatch.get_metric_statistics(
            Namespace=namespace,
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(days=2),
            Period=86_400,
            Statistics=[statistic],
        )["Datapoints"]
        return float(sum(point[statistic] for point in points))


@pytest.fixture
def deployed(environment: None, ahead: Callable[[timedelta], None], tmp_path: Path) -> DeployedLake:
    settings = Settings(prefix=f"t{uuid.uuid4().hex[:8]}", delivery_buffer_seconds=1)
    lake = DeployedLake(settings, ahead)
    for database in DATABASES:  # of lakes that this server had before
        with contextlib.suppress(lake.clients.glue.exceptions.EntityNotFoundException):
            lake.clients.glue.delete_database(Name=database)
    parameters = {"StreamMode": "PROVISIONED", "ShardCount": "1"}
    deploy(settings, build_folder=tmp_path, definitions_folders=[], parameters=parameters, say=lambda _: None)
    return lake


def test_each_alarm_is_raised_by_its_trouble_and_cleared_by_its_end(deployed: DeployedLake) -> None:
    for name in ("landings-dead-letter", "stream-lag", "delivery-stale"):
        deployed.told(name, "OK")
    publish_silent(deployed)
    landings_dead_letter(deployed)
    stream_lag(deployed)
    delivery_stale(deployed)


def publish_silent(lake: DeployedLake) -> None:
    """A new lake is silent until its first load ends, and silent again three hours and two periods after it."""
    lake.told("publish-silent", "ALARM")
    count_load_ended(lake.clients, lake.settings)
    lake.pass_minutes(5)
    lake.told("publish-silent", "OK")
    lake.pass_minutes(3 * 60)
    lake.alarm_becomes("publish-silent", "OK")
    lake.pass_minutes(15)
    message = lake.told("publish-silent", "ALARM")
    assert "docs/runbooks/publish-silent.md" in message["AlarmDescription"]
    assert "36 missing datapoints were treated as [Breaching]" in message["NewStateReason"]


def landings_dead_letter(lake: DeployedLake) -> None:
    queue = lake.sqs.get_queue_url(QueueName=lake.settings.landings_dead_letter_queue)["QueueUrl"]
    lake.sqs.send_message(QueueUrl=queue, MessageBody="a landing that could not be written down")
    lake.pass_minutes(1)
    lake.told("landings-dead-letter", "ALARM")
    lake.sqs.purge_queue(QueueUrl=queue)
    lake.pass_minutes(1)
    lake.told("landings-dead-letter", "OK")


def stream_lag(lake: DeployedLake) -> None:
    """The function fails for everybody; its stream waits for it, and is read to the end once it works again."""
    function, functions = lake.settings.admit_function, lake.functions
    working = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    broken = {name: value for name, value in working.items() if name != "CODE_HASH"}
    functions.update_function_configuration(FunctionName=function, Environment={"Variables": broken})
    record = json.dumps(EVENT).encode()
    lake.clients.kinesis.put_record(StreamName=lake.settings.stream, PartitionKey="a", Data=record)
    lake.pass_minutes(12)
    for _ in range(3):
        lake.waits_for_a_point("AWS/Lambda", "IteratorAge", FunctionName=function)
        lake.pass_minutes(1)
    lake.told("stream-lag", "ALARM")
    functions.update_function_configuration(FunctionName=function, Environment={"Variables": working})
    where = {"Lake": lake.settings.prefix, "Station": "admit_events"}
    wait_until(lambda: lake.metric(METRICS_NAMESPACE, "RecordsAdmitted", "Sum", **where) == 1, "the record's verdict")
    lake.pass_minutes(6)
    lake.told("stream-lag", "OK")


def delivery_stale(lake: DeployedLake) -> None:
    """The bucket is gone, for longer than any buffer waits."""
    s3, bucket, where = lake.clients.s3, lake.settings.raw_bucket, {"DeliveryStreamName": lake.settings.raw_delivery}

    def pass_minutes(*minutes: int) -> None:
        for one in minutes:
            lake.pass_minutes(one)
            lake.waits_for_a_point("AWS/Firehose", "DeliveryToS3.DataFreshness", **where)

    def is_empty() -> bool:
        versions = s3.list_object_versions(Bucket=bucket).get("Versions", [])
        for one in versions:
            s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
        return not versions

    wait_until(lambda: lake.metric("AWS/Firehose", "DeliveryToS3.Records", "Sum", **where) == 1, "the first delivery")
    wait_until(is_empty, "an empty bucket")
    s3.delete_bucket(Bucket=bucket)
    lake.firehose.put_record(**where, Record={"Data": b"of no partition"})
    pass_minutes(16, 1, 1)
    lake.told("delivery-stale", "ALARM")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": lake.settings.region})
    wait_until(lambda: s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1, "the delivery")
    pass_minutes(1, 1, 1)
    lake.told("delivery-stale", "OK")
