"""The process itself: start, loopback, stop, and what survives a stop."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from emulator.faults import fault
from tests.emulator.running import PYTHON, ROOT, Emulator, make_bucket, make_function
from tests.fault_file import write_faults

SERVICE = "Lambda"


def refusal(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PYTHON), "-m", "emulator"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_taken_port_is_one_line_and_exit_2(emulator: Emulator, tmp_path: Path) -> None:
    """A start that fails says so in words, before it touches any state."""
    port = emulator.endpoint.rpartition(":")[2]
    run = refusal(GATEWAY_PORT=port, STATE_DIR=str(tmp_path / "state"), S3_DATA_DIR=str(tmp_path / "s3"))
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert port in run.stderr and "GATEWAY_PORT" in run.stderr


def test_an_unknown_fix_is_refused(tmp_path: Path) -> None:
    """A test that leaves out what does not exist would prove nothing."""
    run = refusal(GATEWAY_PORT="0", STATE_DIR=str(tmp_path), S3_DATA_DIR=str(tmp_path), EMULATOR_WITHOUT="nothing")
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "firehose" in run.stderr


def test_another_ministack_is_refused(tmp_path: Path) -> None:
    """The fixes lean on private functions; a version that moved them must not start."""
    code = (
        "import os, sys; os.environ.update(GATEWAY_PORT='0')\n"
        "import emulator.patches as patches; patches.PINNED_VERSION = '1.5.34'\n"
        "import emulator.__main__ as main; sys.exit(main.main())"
    )
    environment = {"PATH": os.environ["PATH"], "STATE_DIR": str(tmp_path), "S3_DATA_DIR": str(tmp_path)}
    run = subprocess.run(
        [str(PYTHON), "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "1.5.33" in run.stderr and "1.5.34" in run.stderr


def test_it_listens_on_loopback_only(emulator: Emulator) -> None:
    """Nobody else on the network may reach a server that checks no signature."""
    port = int(emulator.endpoint.rpartition(":")[2])
    listening = {
        line.split()[1].rpartition(":")[0]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and int(line.split()[1].rpartition(":")[2], 16) == port
    }
    assert listening == {"0100007F"}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_leaves_no_process_and_no_code_behind(
    another_emulator: Callable[..., Emulator], name: str, how: signal.Signals
) -> None:
    """`make down`, and Ctrl-C."""
    emulator = another_emulator()
    make_function(emulator, name, "import os\ndef handler(event, context): return os.getpid()")
    answer = emulator.client("lambda").invoke(FunctionName=name)
    pid = int(answer["Payload"].read())
    started = time.monotonic()
    assert emulator.stop(how) == 0
    assert time.monotonic() - started < 20
    assert not Path(f"/proc/{pid}").exists()
    assert not (emulator.folder / "state/tmp").exists()


def test_all_stores_come_back_after_a_clean_stop(another_emulator: Callable[..., Emulator], name: str) -> None:
    """S3, DynamoDB, Kinesis, SQS, Glue, Firehose, Lambda, CloudFormation: one lake, one moment."""
    emulator = another_emulator()
    make_bucket(emulator, name)
    s3, dynamodb, kinesis = (emulator.client(one) for one in ("s3", "dynamodb", "kinesis"))
    s3.put_object(Bucket=name, Key="a/b=c", Body=b"body", Metadata={"k": "v"})
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
    )
    dynamodb.put_item(TableName=name, Item={"k": {"S": "one"}, "n": {"N": "1"}})
    kinesis.create_stream(StreamName=name, ShardCount=1)
    kinesis.put_record(StreamName=name, Data=b"record", PartitionKey="p")
    queue = emulator.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    emulator.client("sqs").send_message(QueueUrl=queue, MessageBody="message")
    emulator.client("glue").create_database(DatabaseInput={"Name": name})
    emulator.client("glue").create_table(DatabaseName=name, TableInput={"Name": "t", "Parameters": {"a": "b"}})
    make_function(emulator, name, "def handler(event, context): return 'still here'")
    port = emulator.endpoint.rpartition(":")[2]

    assert emulator.stop() == 0
    emulator.environment["GATEWAY_PORT"] = port
    started = time.monotonic()
    emulator.start()
    # the port is free at once, and not after the minute in which it still belongs to old connections
    assert time.monotonic() - started < 30

    found = emulator.client("s3").get_object(Bucket=name, Key="a/b=c")
    assert (found["Body"].read(), found["Metadata"]) == (b"body", {"k": "v"})
    assert emulator.client("dynamodb").get_item(TableName=name, Key={"k": {"S": "one"}})["Item"]["n"] == {"N": "1"}
    kinesis = emulator.client("kinesis")
    iterator = kinesis.get_shard_iterator(
        StreamName=name, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    assert [one["Data"] for one in kinesis.get_records(ShardIterator=iterator)["Records"]] == [b"record"]
    messages = emulator.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    assert [one["Body"] for one in messages] == ["message"]
    assert emulator.client("glue").get_table(DatabaseName=name, Name="t")["Table"]["Parameters"] == {"a": "b"}
    assert emulator.client("lambda").invoke(FunctionName=name)["Payload"].read() == b'"still here"'


def test_faults_are_seen_however_quickly_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system whose clock ticks seldom, too: a test that was not heard would wait in vain."""
    path = tmp_path / "faults.json"
    monkeypatch.setenv("EMULATOR_FAULTS", str(path))
    for number in range(1, 200):
        write_faults(path, a=number)
        os.utime(path, ns=(1, 1))
        assert fault("a") == number


def test_an_outage_refuses_a_whole_service_until_it_is_over(emulator: Emulator) -> None:
    """What the crash drill needs; the other services go on."""
    emulator.fault(outage_dynamodb=1)
    try:
        with pytest.raises(ClientError) as refused:
            emulator.client("dynamodb").list_tables()
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert "StreamNames" in emulator.client("kinesis").list_streams()
    finally:
        emulator.fault()
    assert "TableNames" in emulator.client("dynamodb").list_tables()
