"""Asking for metrics, and reading what was told to a queue.

Belongs in here: what the tests of metrics, alarms and events share. Does not belong here: what is held of them.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.emulator.running import Emulator, wait_for

MINUTE_SECONDS = 60


def value_of(emulator: Emulator, namespace: str, metric_name: str, statistic: str, **dimensions: str) -> float | None:
    """The statistic over all that was measured in the hour before and the days after now; None when nothing was."""
    now = datetime.now(UTC)
    query = {
        "Id": "m",
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric_name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            },
            "Period": 604_800,
            "Stat": statistic,
        },
    }
    found = emulator.client("cloudwatch").get_metric_data(
        StartTime=now - timedelta(days=2), EndTime=now + timedelta(days=3), MetricDataQueries=[query]
    )
    values = found["MetricDataResults"][0]["Values"]
    return {"Sum": sum, "Maximum": max, "SampleCount": sum, "Minimum": min}[statistic](values) if values else None


def reported(emulator: Emulator, namespace: str, metric_name: str, statistic: str, value: float, **where: str) -> None:
    """Waits until the statistic is this value."""

    def is_there() -> bool:
        return value_of(emulator, namespace, metric_name, statistic, **where) == value

    wait_for(is_there, f"{metric_name} of {value}")


def make_queue(emulator: Emulator, name: str, **attributes: str) -> tuple[str, str]:
    """Its URL and its ARN."""
    sqs = emulator.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def messages(emulator: Emulator, url: str, number: int) -> list[dict[str, Any]]:
    """The next messages, out of the queue; waits for as many."""
    sqs = emulator.client("sqs")
    taken: list[dict[str, Any]] = []

    def take() -> bool:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            taken.append(json.loads(message["Body"]))
        return len(taken) >= number

    wait_for(take, f"{number} messages")
    return taken


def seconds_ago(seconds: float) -> datetime:
    return datetime.fromtimestamp(time.time() - seconds, UTC)
