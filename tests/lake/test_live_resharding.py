"""A stream that is resharded under traffic: the functions run, the books balance, the watermark moves on.

The lake is deployed from its template, functions and deliveries included; there is no Airflow and no Spark.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from lake_builders import Lake, wait_until

import deploy
import package
from eventlake.settings import Settings
from eventlake_aws.balance_books import balance
from eventlake_aws.clients import Clients
from eventlake_aws.stream_census import StreamRecord, read_stream
from eventlake_aws.stream_shards import shard_ids
from eventlake_aws.watermark_census import watermark_now
from laptop.producer import send

DRAIN_SECONDS = 120


@dataclass
class DeployedLake:
    """A lake of the template, and the parameters that made it."""

    settings: Settings
    clients: Clients
    parameters: dict[str, str]

    def with_shards(self, count: int) -> None:
        self.parameters["ShardCount"] = str(count)
        deploy.apply_stack(self.settings, self.clients.s3, self.parameters, lambda _: None)

    def watermark(self) -> datetime:
        text = watermark_now(self.clients, self.settings, now=datetime.now(UTC))["watermark"]
        return datetime.fromisoformat(text)

    def books(self) -> dict[str, Any]:
        return balance(self.clients, self.settings, arrival_days=None, as_of=None, now=datetime.now(UTC), run_id="test")


@pytest.fixture
def deployed(environment: None, tmp_path: Path) -> DeployedLake:
    settings = Settings(prefix=f"t{uuid.uuid4().hex[:8]}", delivery_buffer_seconds=1)
    clients = Clients(settings)
    # databases bear no lake's name, and the stack wants to make them
    for database in clients.glue.get_databases()["DatabaseList"]:
        clients.glue.delete_database(Name=database["Name"])
    deploy.make_artifacts_bucket(clients.s3, settings)
    parameters = deploy.upload_packages(clients.s3, settings, package.build(tmp_path))
    made = DeployedLake(settings, clients, parameters | {"StreamMode": "PROVISIONED"})
    made.with_shards(2)
    return made


@dataclass
class Traffic:
    """A producer that sends until it is told to stop."""

    lake: DeployedLake
    sent: int = 0
    failures: list[Exception] = field(default_factory=list)

    def start(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(30)

    def _run(self) -> None:
        try:
            while not self._stopping.wait(0.05):
                self.sent += send(self.lake.clients.kinesis, self.lake.settings.stream, events(25), lambda _: None).sent
        except Exception as failure:
            self.failures.append(failure)

    def await_more(self, count: int) -> None:
        wanted = self.sent + count
        wait_until(lambda: self.sent >= wanted, "traffic")


def events(count: int) -> list[bytes]:
    return [
        json.dumps(
            {"event_uuid": str(uuid.uuid4()), "event_name": "lesson:exercise:start", "created_at": time.time()}
        ).encode()
        for _ in range(count)
    ]


@pytest.fixture
def traffic(deployed: DeployedLake) -> Iterator[Traffic]:
    made = Traffic(deployed)
    made.start()
    yield made
    made.stop()


def test_the_books_of_a_stream_resharded_under_traffic_balance(deployed: DeployedLake, traffic: Traffic) -> None:
    for count in (4, 3):
        traffic.await_more(100)
        deployed.with_shards(count)
    traffic.await_more(100)
    traffic.stop()
    ended = datetime.now(UTC)
    wait_until(lambda: deployed.watermark() > ended, "the watermark", DRAIN_SECONDS)
    assert not traffic.failures
    assert len(shard_ids(deployed.clients.kinesis, deployed.settings.stream)) > 2 + 4 + 3
    books = deployed.books()
    assert books["differences"] == []
    assert (books["received"], books["admitted"], books["in_flight"]) == (traffic.sent, traffic.sent, 0)
    assert books["waiting"] == traffic.sent


def test_a_child_that_nobody_has_read_holds_the_watermark(deployed: DeployedLake) -> None:
    stream = deployed.settings.stream
    functions, kinesis = boto3.client("lambda"), deployed.clients.kinesis
    (mapping,) = functions.list_event_source_mappings(FunctionName=deployed.settings.admit_function)[
        "EventSourceMappings"
    ]
    send(kinesis, stream, events(10), lambda _: None)
    since = datetime.now(UTC)
    wait_until(lambda: deployed.watermark() > since, "the parents to be read", DRAIN_SECONDS)
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    deployed.with_shards(4)
    unread = datetime.now(UTC)
    send(kinesis, stream, events(1), lambda _: None)
    held = watermark_now(deployed.clients, deployed.settings, now=datetime.now(UTC) + timedelta(minutes=5))
    assert since < datetime.fromisoformat(held["watermark"]) <= unread + timedelta(seconds=1)
    assert sum(not shard["caught_up"] for shard in held["shards"].values()) == 1
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    moved = datetime.now(UTC)
    wait_until(lambda: deployed.watermark() > moved, "the watermark to move on", DRAIN_SECONDS)
    assert deployed.books()["residual"] == 0


def test_a_stream_of_more_shards_than_a_page_holds_is_listed_whole(lake: Lake) -> None:
    lake.clients.kinesis.create_stream(StreamName=f"{lake.settings.stream}-wide", ShardCount=1_001)
    assert len(set(shard_ids(lake.clients.kinesis, f"{lake.settings.stream}-wide"))) == 1_001


def test_a_stream_that_others_read_too_is_read_whole(lake: Lake, hasty: Callable[[str], None]) -> None:
    """A shard gives five answers a second to all who ask."""
    sent = send(lake.clients.kinesis, lake.settings.stream, events(20), lambda _: None).sent
    for shard_id in shard_ids(lake.clients.kinesis, lake.settings.stream):
        hasty(shard_id)
    # as a client that gives up at once would be told
    lake.clients.__dict__["kinesis"] = boto3.client("kinesis", config=Config(retries={"total_max_attempts": 1}))
    seen: list[StreamRecord] = []
    read_stream(lake.clients, lake.settings, datetime.now(UTC) - timedelta(hours=1), None, seen.extend)
    assert len({(one.shard_id, one.sequence_number) for one in seen}) == sent


@pytest.fixture
def hasty(lake: Lake) -> Callable[[str], None]:
    """Somebody else who reads a shard until it refuses."""
    client = boto3.client("kinesis", config=Config(retries={"total_max_attempts": 1}))

    def read(shard_id: str) -> None:
        iterator = client.get_shard_iterator(
            StreamName=lake.settings.stream, ShardId=shard_id, ShardIteratorType="LATEST"
        )["ShardIterator"]
        with pytest.raises(client.exceptions.ProvisionedThroughputExceededException):
            for _ in range(50):
                client.get_records(ShardIterator=iterator)

    return read
