"""SQS, and the way from a bucket through a queue to a function, as AWS documents them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_plus

from tests.emulator.behaviours import promised
from tests.emulator.running import Emulator, make_bucket, make_function, wait_for

SERVICE = "SQS"


def make_queue(emulator: Emulator, name: str, dead_letters: str = "", **attributes: str) -> str:
    """Gives the queue's URL."""
    if dead_letters:
        policy = {"deadLetterTargetArn": arn(dead_letters), "maxReceiveCount": 2}
        attributes["RedrivePolicy"] = json.dumps(policy)
    return str(emulator.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])


def arn(name: str) -> str:
    return f"arn:aws:sqs:eu-west-1:000000000000:{name}"


def received(emulator: Emulator, url: str, seconds: int = 0) -> list[dict[str, Any]]:
    answer = emulator.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=seconds, AttributeNames=["All"]
    )
    return list(answer.get("Messages", []))


@promised("https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html")
def test_a_received_message_is_invisible_for_its_timeout_and_then_comes_again(emulator: Emulator, name: str) -> None:
    # one that is long enough to look at what is invisible, and one that is worth waiting for
    sqs = emulator.client("sqs")
    lasting = make_queue(emulator, f"{name}-lasting", VisibilityTimeout="60")
    short = make_queue(emulator, name, VisibilityTimeout="1")
    for url in (lasting, short):
        sqs.send_message(QueueUrl=url, MessageBody="a")
    assert received(emulator, lasting)
    assert not received(emulator, lasting)
    counts = sqs.get_queue_attributes(QueueUrl=lasting, AttributeNames=["All"])["Attributes"]
    assert (counts["ApproximateNumberOfMessages"], counts["ApproximateNumberOfMessagesNotVisible"]) == ("0", "1")
    (first,) = received(emulator, short)
    (second,) = received(emulator, short, seconds=20)
    assert (first["MessageId"], second["Attributes"]["ApproximateReceiveCount"]) == (second["MessageId"], "2")
    sqs.delete_message(QueueUrl=short, ReceiptHandle=second["ReceiptHandle"])
    assert not received(emulator, short, seconds=1)


@promised("https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html")
def test_a_message_that_was_received_too_often_goes_to_the_dead_letters(emulator: Emulator, name: str) -> None:
    """maxReceiveCount."""
    dead = make_queue(emulator, f"{name}-dead")
    url = make_queue(emulator, name, f"{name}-dead", VisibilityTimeout="0")
    emulator.client("sqs").send_message(QueueUrl=url, MessageBody="a")
    assert [len(received(emulator, url)) for _ in range(3)] == [1, 1, 0]
    (found,) = received(emulator, dead, seconds=20)
    assert found["Body"] == "a"


HANDLER = """
import json, os, boto3
from urllib.parse import unquote_plus
table = boto3.client("dynamodb")
table.describe_table(TableName=os.environ["TABLE"])
def handler(event, context):
    failed = []
    for message in event["Records"]:
        body = json.loads(message["body"])
        for record in body.get("Records", []):
            key = unquote_plus(record["s3"]["object"]["key"])
            item = {"k": {"S": key}, "etag": {"S": record["s3"]["object"]["eTag"]}}
            if "bad" in key:
                failed.append({"itemIdentifier": message["messageId"]})
            else:
                table.put_item(TableName=os.environ["TABLE"], Item=item)
    return {"batchItemFailures": failed}
"""


@promised("https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html")
def test_of_a_batch_from_a_bucket_only_the_failed_message_comes_again_and_then_is_dead(
    emulator: Emulator, name: str
) -> None:
    """ReportBatchItemFailures, maxReceiveCount."""
    dead = make_queue(emulator, f"{name}-dead")
    url = make_queue(emulator, name, f"{name}-dead", VisibilityTimeout="2")
    dynamodb = emulator.client("dynamodb")
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
    )
    make_function(emulator, name, HANDLER, Timeout=2, Environment={"Variables": {"TABLE": name}})
    # warm, so that no message becomes visible again while its batch waits for a cold start or a first connection
    emulator.client("lambda").invoke(FunctionName=name, Payload=b'{"Records": []}')
    emulator.client("lambda").create_event_source_mapping(
        EventSourceArn=arn(name), FunctionName=name, BatchSize=10, FunctionResponseTypes=["ReportBatchItemFailures"]
    )
    make_bucket(emulator, name)
    s3 = emulator.client("s3")
    told = {
        "QueueArn": arn(name),
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "raw/"}]}},
    }
    s3.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"QueueConfigurations": [told]}, SkipDestinationValidation=True
    )
    keys = [f"raw/event_type=x/day=0{n} +ä.gz" for n in range(3)]
    etags = {key: s3.put_object(Bucket=name, Key=key, Body=key.encode())["ETag"].strip('"') for key in keys}
    s3.put_object(Bucket=name, Key="raw/bad", Body=b"x")
    s3.put_object(Bucket=name, Key="elsewhere/c", Body=b"x")

    def recorded() -> dict[str, str]:
        return {one["k"]["S"]: one["etag"]["S"] for one in dynamodb.scan(TableName=name)["Items"]}

    wait_for(lambda: len(recorded()) == 3, "three rows")
    (message,) = wait_for(lambda: received(emulator, dead, seconds=1), "the dead letter")
    (record,) = json.loads(message["Body"])["Records"]
    assert (unquote_plus(record["s3"]["object"]["key"]), recorded()) == ("raw/bad", etags)
    assert not received(emulator, url)
