"""SNS brings an alert to those who asked for it, as AWS documents it."""

from __future__ import annotations

import json
from typing import Any

from tests.emulator.behaviours import promised
from tests.emulator.running import Emulator

SERVICE = "SNS"


def subscribe(emulator: Emulator, topic: str, name: str, **attributes: str) -> str:
    """A queue that hears what the topic says; gives its URL."""
    url = str(emulator.client("sqs").create_queue(QueueName=name)["QueueUrl"])
    emulator.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:eu-west-1:000000000000:{name}", Attributes=attributes
    )
    return url


def publish(emulator: Emulator, topic: str, message: str, **attributes: str) -> None:
    emulator.client("sns").publish(
        TopicArn=topic,
        Subject="an alert",
        Message=message,
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    )


def received(emulator: Emulator, url: str, seconds: int = 20) -> list[dict[str, Any]]:
    answer = emulator.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=seconds, MessageAttributeNames=["All"]
    )
    return list(answer.get("Messages", []))


@promised("https://docs.aws.amazon.com/sns/latest/dg/sns-sqs-as-subscriber.html")
def test_a_queue_gets_the_message_in_an_envelope_with_its_attributes(emulator: Emulator, name: str) -> None:
    topic = emulator.client("sns").create_topic(Name=name)["TopicArn"]
    url = subscribe(emulator, topic, name)
    publish(emulator, topic, "text", severity="high", owner="team")
    (message,) = received(emulator, url)
    envelope = json.loads(message["Body"])
    assert (envelope["Type"], envelope["TopicArn"]) == ("Notification", topic)
    assert (envelope["Subject"], envelope["Message"]) == ("an alert", "text")
    assert envelope["MessageAttributes"] == {
        "severity": {"Type": "String", "Value": "high"},
        "owner": {"Type": "String", "Value": "team"},
    }


@promised("https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html")
def test_raw_delivery_leaves_the_envelope_away(emulator: Emulator, name: str) -> None:
    """RawMessageDelivery."""
    topic = emulator.client("sns").create_topic(Name=name)["TopicArn"]
    url = subscribe(emulator, topic, name, RawMessageDelivery="true")
    publish(emulator, topic, "text", severity="high")
    (message,) = received(emulator, url)
    assert message["Body"] == "text"
    assert message["MessageAttributes"]["severity"]["StringValue"] == "high"


@promised("https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html")
def test_a_subscriber_hears_only_what_its_filter_lets_through(emulator: Emulator, name: str) -> None:
    """FilterPolicy."""
    topic = emulator.client("sns").create_topic(Name=name)["TopicArn"]
    urls = {
        "urgent": subscribe(emulator, topic, f"{name}-u", FilterPolicy='{"severity": ["critical", "high"]}'),
        "others": subscribe(emulator, topic, f"{name}-o", FilterPolicy='{"owner": [{"anything-but": "team"}]}'),
        "all": subscribe(emulator, topic, f"{name}-a"),
    }
    for severity, owner in (("critical", "team"), ("low", "team"), ("high", "another")):
        publish(emulator, topic, severity, severity=severity, owner=owner)
    heard = {
        who: sorted(json.loads(message["Body"])["Message"] for message in received(emulator, url))
        for who, url in urls.items()
    }
    assert heard == {"urgent": ["critical", "high"], "others": ["high"], "all": ["critical", "high", "low"]}
