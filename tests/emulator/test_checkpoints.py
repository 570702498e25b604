"""After a kill all stores start together, from a moment shortly before."""

from __future__ import annotations

import itertools
import json
import os
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from emulator import moments
from tests.emulator.behaviours import promised
from tests.emulator.running import (
    CHECKPOINTS,
    PYTHON,
    ROLE,
    ROOT,
    Emulator,
    make_bucket,
    make_function,
    modified,
    objects,
    wait_for,
)

SERVICE = "Kinesis to Lambda"
KILLS = "kills the server"
INTERVAL_SECONDS = float(CHECKPOINTS["EMULATOR_CHECKPOINT_SECONDS"])

CLAIM_AND_DELIVER = """
import base64, boto3
dynamodb, firehose = boto3.client("dynamodb"), boto3.client("firehose")
def handler(event, context):
    name = context.function_name
    records = [base64.b64decode(record["kinesis"]["data"]) for record in event["Records"]]
    for start in range(0, len(records), 25):
        claims = [{"PutRequest": {"Item": {"k": {"S": one.decode()}}}} for one in records[start:start + 25]]
        assert not dynamodb.batch_write_item(RequestItems={name: claims})["UnprocessedItems"]
    delivery = [{"Data": record + b" "} for record in records]
    assert firehose.put_record_batch(DeliveryStreamName=name, Records=delivery)["FailedPutCount"] == 0
"""


@pytest.fixture
def emulator(another_emulator: Callable[..., Emulator]) -> Emulator:
    # few, so that what grows with every event is on disk
    return another_emulator(**CHECKPOINTS, EMULATOR_ROWS_IN_MEMORY="40")


def kill(emulator: Emulator) -> None:
    emulator.stop(signal.SIGKILL)


def no_further_checkpoint(emulator: Emulator) -> None:
    """The next one hangs."""
    emulator.fault(checkpoint_hangs=1)
    emulator.client("sqs").create_queue(QueueName="hang")
    wait_for((emulator.folder / "state/checkpoint.new").exists, "a checkpoint that hangs")


def said(emulator: Emulator) -> str:
    return (emulator.folder / "log").read_text()


def bodies(emulator: Emulator) -> int:
    return sum(path.is_file() for path in (emulator.folder / "s3/bodies").glob("*/*"))


def make_table(emulator: Emulator, name: str) -> None:
    emulator.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
    )


def items(emulator: Emulator, name: str) -> list[str]:
    pages = emulator.client("dynamodb").get_paginator("scan").paginate(TableName=name)
    return sorted(item["k"]["S"] for page in pages for item in page["Items"])


def put_item(emulator: Emulator, name: str, key: str) -> None:
    emulator.client("dynamodb").put_item(TableName=name, Item={"k": {"S": key}})


# ---- a stream, a function, a table, a delivery, a bucket and a queue


def make_path(emulator: Emulator, name: str) -> None:
    make_table(emulator, name)
    make_bucket(emulator, name)
    emulator.client("kinesis").create_stream(StreamName=name, ShardCount=2)
    sqs = emulator.client("sqs")
    arn = f"arn:aws:sqs:eu-west-1:000000000000:{name}"
    allowed = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:*", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.create_queue(QueueName=name, Attributes={"Policy": policy})
    emulator.client("s3").put_bucket_notification_configuration(
        Bucket=name,
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]},
    )
    emulator.client("firehose").create_delivery_stream(
        DeliveryStreamName=name,
        ExtendedS3DestinationConfiguration={
            "RoleARN": ROLE,
            "BucketARN": f"arn:aws:s3:::{name}",
            "BufferingHints": {"IntervalInSeconds": 1, "SizeInMBs": 5},
        },
    )
    make_function(emulator, name, CLAIM_AND_DELIVER)
    emulator.client("lambda").create_event_source_mapping(
        EventSourceArn=f"arn:aws:kinesis:eu-west-1:000000000000:stream/{name}",
        FunctionName=name,
        StartingPosition="TRIM_HORIZON",
        BatchSize=40,
    )


def send_until(killed: threading.Event, emulator: Emulator, name: str, sent: list[str]) -> None:
    kinesis = emulator.client("kinesis")
    for number in itertools.count():
        keys = [f"{number}-{one}" for one in range(20)]
        try:
            kinesis.put_records(StreamName=name, Records=[{"Data": key.encode(), "PartitionKey": key} for key in keys])
        except (BotoCoreError, ClientError):
            assert killed.wait(5), "refused by a server that lives"
            return
        sent += keys
        time.sleep(0.05)


def in_stream(emulator: Emulator, name: str) -> list[str]:
    kinesis = emulator.client("kinesis")
    found: list[str] = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        at = {"StreamName": name, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = kinesis.get_shard_iterator(**at)["ShardIterator"]
        found += [one["Data"].decode() for one in kinesis.get_records(ShardIterator=iterator)["Records"]]
    return sorted(found)


def delivered(emulator: Emulator, name: str) -> set[str]:
    return {key for body in objects(emulator, name).values() for key in body.decode().split()}


def told(emulator: Emulator, name: str) -> set[str]:
    """Keys of objects that a notification came for."""
    sqs = emulator.client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found: set[str] = set()
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        records = [record for one in messages for record in json.loads(one["Body"]).get("Records", [])]
        found |= {record["s3"]["object"]["key"] for record in records}
    return found


@promised(
    "https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html",
    closed_by="checkpoints",
    only_here=KILLS,
)
def test_what_a_stream_holds_is_delivered_whoever_dies(emulator: Emulator, name: str) -> None:
    """What was sent after the last checkpoint is gone; of what was sent before, all stores know the same."""
    # given
    make_path(emulator, name)
    sent: list[str] = []
    killed = threading.Event()
    sending = threading.Thread(target=send_until, args=(killed, emulator, name, sent))
    sending.start()
    # when
    wait_for(lambda: objects(emulator, name), "an object")
    emulator.wait_for_checkpoint()
    wait_for(lambda: len(objects(emulator, name)) >= 2, "objects")
    kill(emulator)
    killed.set()
    sending.join()
    emulator.start()
    # then
    kept = in_stream(emulator, name)
    assert kept and set(kept) <= {*sent, *(f"{len(sent) // 20}-{one}" for one in range(20))}
    wait_for(lambda: delivered(emulator, name) == set(kept), "all that is in the stream to be delivered, and no more")
    assert items(emulator, name) == kept
    assert told(emulator, name) == set(objects(emulator, name))
    assert "emulator: was killed; all stores are back at 20" in said(emulator)


# ---- S3


def test_a_body_that_was_replaced_is_still_there_for_the_last_checkpoint(emulator: Emulator, name: str) -> None:
    # given
    make_bucket(emulator, name)
    s3 = emulator.client("s3")
    for key in ("replaced", "deleted", "kept"):
        s3.put_object(Bucket=name, Key=key, Body=b"before", StorageClass="STANDARD_IA", Tagging="a=b")
    emulator.wait_for_checkpoint()
    no_further_checkpoint(emulator)
    # when
    s3.put_object(Bucket=name, Key="replaced", Body=b"after")
    s3.put_object(Bucket=name, Key="new", Body=b"after")
    s3.delete_object(Bucket=name, Key="deleted")
    kill(emulator)
    emulator.fault()
    emulator.start()
    # then
    assert objects(emulator, name) == dict.fromkeys(("replaced", "deleted", "kept"), b"before")
    assert bodies(emulator) == 3
    s3 = emulator.client("s3")
    assert s3.get_object_tagging(Bucket=name, Key="deleted")["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert s3.head_object(Bucket=name, Key="replaced")["StorageClass"] == "STANDARD_IA"


def test_bodies_that_nothing_speaks_of_go(emulator: Emulator, name: str) -> None:
    make_bucket(emulator, name)
    for number in range(10):
        emulator.client("s3").put_object(Bucket=name, Key="k", Body=str(number).encode())
    wait_for(lambda: bodies(emulator) == 1, "the bodies that were written over to go")
    assert objects(emulator, name) == {"k": b"9"}


def test_versions_and_an_unfinished_upload_are_kept(emulator: Emulator, name: str) -> None:
    # given
    make_bucket(emulator, name)
    s3 = emulator.client("s3")
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    first, second = (s3.put_object(Bucket=name, Key="k", Body=body)["VersionId"] for body in (b"one", b"two"))
    s3.delete_object(Bucket=name, Key="k")
    upload = s3.create_multipart_upload(Bucket=name, Key="big")["UploadId"]
    part = s3.upload_part(Bucket=name, Key="big", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    emulator.wait_for_checkpoint()
    # when
    kill(emulator)
    s3 = emulator.start().client("s3")
    # then
    assert objects(emulator, name) == {}
    read = [s3.get_object(Bucket=name, Key="k", VersionId=one)["Body"].read() for one in (first, second)]
    assert read == [b"one", b"two"]
    parts = {"Parts": [{"ETag": part, "PartNumber": 1}]}
    s3.complete_multipart_upload(Bucket=name, Key="big", UploadId=upload, MultipartUpload=parts)
    assert objects(emulator, name) == {"big": b"part"}


def test_what_time_did_while_no_server_ran_is_done_at_the_start(emulator: Emulator, name: str) -> None:
    # given
    make_bucket(emulator, name)
    s3 = emulator.client("s3")
    rule = {"ID": "gone", "Status": "Enabled", "Filter": {"Prefix": "gone/"}, "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
    s3.put_object(Bucket=name, Key="gone/k", Body=b"x")
    s3.put_object(Bucket=name, Key="cold", Body=b"x", StorageClass="GLACIER")
    s3.restore_object(Bucket=name, Key="cold", RestoreRequest={"Days": 10})
    emulator.wait_for_checkpoint()
    # when
    kill(emulator)
    emulator.fault(clock_ahead_seconds=3 * 86400)
    s3 = emulator.start().client("s3")
    # then
    wait_for(lambda: "Contents" not in s3.list_objects_v2(Bucket=name, Prefix="gone/"), "the rule of that midnight")
    assert 'ongoing-request="false"' in s3.head_object(Bucket=name, Key="cold")["Restore"]


# ---- the checkpoints themselves


def test_a_checkpoint_that_did_not_come_to_its_end_is_none(emulator: Emulator, name: str) -> None:
    """The one before counts, in all stores; and the process that wrote it ends with its server."""
    # given
    make_table(emulator, name)
    put_item(emulator, name, "before")
    emulator.wait_for_checkpoint()
    moment = modified(emulator.checkpoint)
    no_further_checkpoint(emulator)
    put_item(emulator, name, "after")
    # when
    kill(emulator)
    emulator.fault()
    emulator.start()
    # then
    assert items(emulator, name) == ["before"]
    assert modified(emulator.checkpoint) == moment
    line = next(line for line in said(emulator).splitlines() if "was killed" in line)
    back_at = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(moment))
    assert back_at in line and re.search(r"Z, \d+ s ago", line) and "Airflow" in line


def test_a_write_that_fails_is_one_line_and_the_server_goes_on(emulator: Emulator, name: str) -> None:
    # given
    make_table(emulator, name)
    put_item(emulator, name, "before")
    emulator.wait_for_checkpoint()
    assert emulator.process is not None
    unlimited = resource.prlimit(emulator.process.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    # when: what was begun before the limit has its end before the first that fails
    put_item(emulator, name, "0")
    wait_for(lambda: "the last one stays" in said(emulator), "a checkpoint that fails")
    moment = modified(emulator.checkpoint)
    for number in (1, 2):
        put_item(emulator, name, str(number))
        time.sleep(2 * INTERVAL_SECONDS)
    # then
    assert [line.count("the last one stays") for line in said(emulator).splitlines() if "checkpoint" in line] == [1]
    assert "File too large" in said(emulator)
    assert modified(emulator.checkpoint) == moment
    assert items(emulator, name) == ["0", "1", "2", "before"]
    # and when there is room again
    resource.prlimit(emulator.process.pid, resource.RLIMIT_FSIZE, unlimited)
    wait_for(lambda: "checkpoints are written again" in said(emulator), "a checkpoint")
    kill(emulator)
    assert items(emulator.start(), name) == ["0", "1", "2", "before"]


def test_a_server_to_which_nothing_happens_writes_nothing(emulator: Emulator, name: str) -> None:
    make_table(emulator, name)
    # looks for as long as some checkpoints take here and now
    started = time.monotonic()
    emulator.wait_for_checkpoint()
    seconds = 3 * (time.monotonic() - started)

    def reading_alone_writes_nothing() -> bool:
        moment, until = modified(emulator.checkpoint), time.monotonic() + seconds
        while time.monotonic() < until:
            items(emulator, name)
            time.sleep(INTERVAL_SECONDS)
        return modified(emulator.checkpoint) == moment

    # what the table has left to write comes first
    wait_for(reading_alone_writes_nothing, "a server that leaves its checkpoint alone", seconds=5 * seconds)


def test_who_writes_down_a_store_waits_for_nobody() -> None:
    """Its memory is a copy of one moment: a lock that somebody held then would never be released in it."""
    # given
    lock, is_held = moments.lock_of_store(), threading.Event()

    def hold() -> None:
        with lock:
            is_held.set()
            time.sleep(0.2)

    threading.Thread(target=hold).start()
    is_held.wait()
    # when
    child = os.fork()
    if child == 0:
        os._exit(0 if lock.acquire(timeout=1) else 1)
    # then
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_message_that_a_killed_function_held_comes_again_at_once(emulator: Emulator, name: str) -> None:
    """The visibility timeout is for those who may still be at it."""
    sqs = emulator.client("sqs")
    queue = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "300"})["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="held")
    assert sqs.receive_message(QueueUrl=queue)["Messages"]
    emulator.wait_for_checkpoint()
    kill(emulator)
    sqs = emulator.start().client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    assert [one["Body"] for one in sqs.receive_message(QueueUrl=url)["Messages"]] == ["held"]


def test_a_kill_before_the_first_checkpoint_leaves_nothing(
    another_emulator: Callable[..., Emulator], name: str
) -> None:
    emulator = another_emulator(EMULATOR_CHECKPOINT_SECONDS="3600")
    make_bucket(emulator, name)
    emulator.client("s3").put_object(Bucket=name, Key="k", Body=b"x")
    kill(emulator)
    emulator.start()
    assert emulator.client("s3").list_buckets()["Buckets"] == []
    assert bodies(emulator) == 0
    assert "was killed before its first checkpoint" in said(emulator)


@pytest.mark.parametrize(
    "what", ["a damaged checkpoint", "a missing body", pytest.param("older state", marks=pytest.mark.long)]
)
def test_a_state_that_nobody_can_start_from_is_one_line_and_exit_2(
    another_emulator: Callable[..., Emulator], name: str, what: str
) -> None:
    """Never a server with half of its stores."""
    emulator = another_emulator()
    make_bucket(emulator, name)
    emulator.client("s3").put_object(Bucket=name, Key="k", Body=b"x")
    emulator.stop()
    if what == "a damaged checkpoint":
        content = bytearray(emulator.checkpoint.read_bytes())
        content[len(content) // 2] ^= 1
        emulator.checkpoint.write_bytes(content)
    elif what == "a missing body":
        next(path for path in (emulator.folder / "s3/bodies").glob("*/*")).unlink()
    else:
        emulator.checkpoint.rename(emulator.folder / "state/s3.json")
    environment = {
        "PATH": os.environ["PATH"],
        "GATEWAY_PORT": "0",
        "STATE_DIR": str(emulator.folder / "state"),
        "S3_DATA_DIR": str(emulator.folder / "s3"),
    }
    run = subprocess.run(
        [str(PYTHON), "-m", "emulator"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert (run.returncode, run.stderr.count("\n")) == (2, 1), run.stderr
    assert str(emulator.folder) in run.stderr
