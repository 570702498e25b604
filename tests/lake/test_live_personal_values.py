"""What is personal in events is found where it has to be kept, and nowhere else: neither in tables that protect it, nor
in what a lake says of its work.

A lake as it is deployed, its stream, functions and jobs at work; Airflow's tasks are called by hand.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from lake_builders import wait_until
from personal_values import OPEN, PROTECTED, Sent, contracts, found_in, readable, suites

import deploy
from eventlake.load_alerts import ROLLUP
from eventlake.settings import DATABASES, Settings
from eventlake_aws.clients import Clients
from eventlake_aws.data_docs import document_outcome
from eventlake_aws.load_alerts import alert_on_outcome
from eventlake_aws.load_steps import plan_and_store_load
from eventlake_aws.publish_load import publish_load
from eventlake_aws.rollups import plan_rollups, publish_rollups
from tests.emulator.running import Emulator
from tests.journeys.independent_reader import LakeReader

pytestmark = pytest.mark.long  # a lake of its own, with two jobs

PATIENCE_SECONDS = 600


@dataclass
class DeployedLake:
    settings: Settings
    clients: Clients
    emulator: Emulator
    outcomes: list[dict[str, Any]] = field(default_factory=list)

    def send(self, lines: list[bytes]) -> None:
        records = [{"Data": line, "PartitionKey": str(number)} for number, line in enumerate(lines)]
        answer = self.clients.kinesis.put_records(StreamName=self.settings.stream, Records=records)
        assert answer["FailedRecordCount"] == 0

    def wait_for_landings(self, events: int) -> None:
        def landed() -> bool:
            objects = self.raw_objects(("raw/", "decisions/"))
            table = self.clients.dynamodb.scan(TableName=self.settings.landings_table)["Items"]
            lines = sum(len(body.splitlines()) for body in objects.values())
            return lines >= events and len(table) == sum(key.startswith("raw/") for key in objects)

        wait_until(landed, f"{events} events in S3, all of them landed", PATIENCE_SECONDS)

    def raw_objects(self, prefixes: tuple[str, ...]) -> dict[str, bytes]:
        return {key: body for key, body in self.objects(self.settings.raw_bucket).items() if key.startswith(prefixes)}

    def objects(self, bucket: str) -> dict[str, bytes]:
        s3 = self.clients.s3
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return {key: readable(key, s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys}

    def run_job(self, name: str, arguments: dict[str, str]) -> str:
        glue = self.clients.glue
        run_id = str(glue.start_job_run(JobName=name, Arguments=arguments)["JobRunId"])

        def state() -> str:
            return str(glue.get_job_run(JobName=name, RunId=run_id)["JobRun"]["JobRunState"])

        wait_until(lambda: state() not in ("STARTING", "RUNNING", "STOPPING", "WAITING"), name, PATIENCE_SECONDS)
        assert state() == "SUCCEEDED", [text[-3000:] for group, text in self.logs().items() if "glue" in group]
        return run_id

    def load(self, run_id: str) -> dict[str, Any]:
        """What the tasks of load_events do, one after the other."""
        clients, settings, now = self.clients, self.settings, datetime.now(UTC)
        plan = plan_and_store_load(clients, settings, dag_id="load_events", run_id=run_id, areas=["raw"], now=now)
        arguments = {f"--{name}": plan[name] for name in ("load_id", "plan_uri", "receipt_prefix")}
        job_run_id = self.run_job(settings.load_job, arguments | {"--raw_bucket": settings.raw_bucket})
        outcome = publish_load(clients, settings, load_id=plan["load_id"], job_run_id=job_run_id, now=now)
        document_outcome(clients, settings, outcome=outcome, run_url="http://run")
        alert_on_outcome(clients, settings, outcome=outcome, run_url="http://run", now=now)
        self.outcomes.append(outcome)
        return outcome

    def roll_up(self, run_id: str) -> None:
        clients, settings, now = self.clients, self.settings, datetime.now(UTC)
        plan = plan_rollups(clients, settings, dag_id="load_events", run_id=run_id, now=now)
        job_run_id = self.run_job(settings.rollup_job, {f"--{n}": plan[n] for n in ("plan_uri", "receipt_prefix")})
        outcome = publish_rollups(
            clients, settings, rollup_run_id=plan["rollup_run_id"], job_run_id=job_run_id, now=now
        ) | {"kind": ROLLUP, "load_id": plan["rollup_run_id"]}
        document_outcome(clients, settings, outcome=outcome, run_url="http://run")
        self.outcomes.append(outcome)

    # ------------------------------------------------------------------ what the lake says
    def logs(self) -> dict[str, str]:
        """Each log group, whole."""
        logs = self.emulator.client("logs")
        groups = [one["logGroupName"] for one in logs.describe_log_groups()["logGroups"]]
        return {
            group: "\n".join(
                event["message"]
                for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group)
                for event in page["events"]
            )
            for group in groups
        }

    def alerts(self) -> list[str]:
        sqs = self.emulator.client("sqs")
        url = sqs.get_queue_url(QueueName=self.settings.alerts_inbox_queue)["QueueUrl"]
        told: list[str] = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            told += [message["Body"] for message in messages]
        return told

    def said(self) -> dict[str, bytes]:
        """All that is neither an object nor an alert: logs, metrics, items, the catalog, the jobs' runs, the stack."""
        glue, dynamodb, settings = self.clients.glue, self.clients.dynamodb, self.settings
        found: dict[str, Any] = {f"log {group}": text for group, text in self.logs().items()}
        found["metrics"] = self.emulator.client("cloudwatch").list_metrics()["Metrics"]
        for table in (settings.claims_table, settings.landings_table, settings.leases_table, settings.positions_table):
            found[f"items {table}"] = dynamodb.scan(TableName=table)["Items"]
        for database in DATABASES:
            if database not in ("raw", "decisions"):
                found[f"catalog {database}"] = glue.get_tables(DatabaseName=database)["TableList"]
        for job in (settings.load_job, settings.rollup_job):
            found[f"job {job}"] = [glue.get_job(JobName=job)["Job"], glue.get_job_runs(JobName=job)["JobRuns"]]
        cloudformation = self.emulator.client("cloudformation")
        found["stack"] = [
            cloudformation.describe_stacks(StackName=settings.stack)["Stacks"],
            cloudformation.describe_stack_events(StackName=settings.stack)["StackEvents"],
            cloudformation.describe_stack_resources(StackName=settings.stack)["StackResources"],
        ]
        found["outcomes"] = self.outcomes
        return {name: json.dumps(value, default=str).encode() for name, value in found.items()}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedLake]:
    """A lake of its own, deployed as `make up` deploys one."""
    folder = tmp_path_factory.mktemp("deployed")
    for name, documents in (("contracts", contracts()), ("expectations", suites())):
        for key, document in documents.items():
            file = folder / "definitions" / name / f"{key}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(document))
    emulator = Emulator(folder / "emulator").start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(("AWS_", "LAKE_"))]:
                patch.delenv(name)
            for name, value in environment(emulator).items():
                patch.setenv(name, value)
            settings = Settings.from_env(os.environ)
            deploy.deploy(
                settings,
                build_folder=folder / "dist",
                definitions_folders=[folder / "definitions"],
                parameters={"DeliveryBufferSeconds": "1", "StreamMode": "PROVISIONED"},
                say=print,
            )
            yield DeployedLake(settings, Clients(settings), emulator)
    finally:
        emulator.stop()


def environment(emulator: Emulator) -> dict[str, str]:
    """As `.lake/env` has it."""
    settings = Settings(prefix=f"p{uuid.uuid4().hex[:8]}")
    return {
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "LAKE_PREFIX": settings.prefix,
        "LAKE_BUCKET": settings.lake_bucket,
        "LAKE_RAW_BUCKET": settings.raw_bucket,
    }


@pytest.fixture(scope="module")
def loaded(lake: DeployedLake) -> DeployedLake:
    """The lake after two loads of events of every fate, the second with rows whose uuid the first has loaded."""
    sent = Sent(int(time.time()) - 60)
    lines = [*sent.good(), *sent.bad(), *sent.gated(), *sent.unknown(), *sent.refused()]
    lake.send(lines)
    lake.wait_for_landings(len(lines))
    first = lake.load("first")
    assert set(first["held"]) == {"events.guarded_events", "events.unanswered_events"}
    assert (first["failed"], first["stale"]) == ({}, [])
    conflicting(lake)
    lake.load("second")
    lake.roll_up("third")
    return lake


def conflicting(lake: DeployedLake) -> None:
    """A raw object with other content under a uuid that is loaded: such a thing comes when the claim has expired."""
    objects = lake.raw_objects(("raw/event_type=account/event_subtype=profile/",))
    key, body = next(iter(objects.items()))
    event = json.loads(body.splitlines()[0])
    event |= {"about": f"{OPEN}999", "display_name": f"{PROTECTED}999"}
    event["_lake"]["sequence_number"] = str(int(event["_lake"]["sequence_number"]) + 1)
    # the lake's own fields stay at the end
    added = {name: event.pop(name) for name in list(event) if name in ENRICHMENT}
    line = json.dumps(event | added, separators=(",", ":"))
    lake.clients.s3.put_object(Bucket=lake.settings.raw_bucket, Key=f"{key}-again", Body=line.encode() + b"\n")
    wait_until(lambda: "waiting" in landing_states(lake), "the landing of the conflict", PATIENCE_SECONDS)


ENRICHMENT = ("created_datetime", "event_type", "event_subtype", "event_detail", "_lake")


def landing_states(lake: DeployedLake) -> set[str]:
    items = lake.clients.dynamodb.scan(TableName=lake.settings.landings_table)["Items"]
    return {item["status"]["S"] for item in items}


def may_hold(key: str, value: str) -> bool:
    """Whether this object of the lake's bucket is one of those in which the value is kept as it was sent, on purpose
    (docs/decisions/0013)."""
    if key.startswith("warehouse/quarantine") or "/quarantine-" in key:
        return True
    if key.startswith("warehouse/events/uncontracted/"):
        return True
    # a field that no contract protects stands in its table
    return value.startswith(OPEN) and key.startswith("warehouse/events/")


def test_the_values_are_where_they_have_to_be(loaded: DeployedLake) -> None:
    """Or the search would find nothing because nothing is there to be found."""
    raw = {value for body in loaded.objects(loaded.settings.raw_bucket).values() for value in found_in(body)}
    objects = loaded.objects(loaded.settings.lake_bucket)
    kept: dict[str, set[str]] = defaultdict(set)
    for key, body in objects.items():
        kept[re.split(r"[/.]", key)[1]] |= found_in(body)
    assert len(raw) >= 30
    assert f"{PROTECTED}999" in kept["quarantine"] | kept["loads"]
    assert {value[: len(OPEN)] for value in kept["events"]} == {OPEN}
    reader = LakeReader(os.environ)
    assert len(reader.quarantined()) >= 5
    assert {"uuid_conflict"} <= set(reader.quarantined())
    assert len(reader.event_uuids()) >= 6


def test_no_value_is_where_it_must_not_be(loaded: DeployedLake) -> None:
    found: dict[str, set[str]] = {}
    for key, body in loaded.objects(loaded.settings.lake_bucket).items():
        found[f"s3 {key}"] = {value for value in found_in(body) if not may_hold(key, value)}
    for place, text in loaded.said().items():
        found[place] = found_in(text)
    alerts = loaded.alerts()
    assert any("events.guarded_events" in alert for alert in alerts)
    found["alerts"] = found_in("".join(alerts).encode())
    assert {place: values for place, values in found.items() if values} == {}


def test_the_key_is_nowhere_but_in_its_secret(loaded: DeployedLake) -> None:
    key = LakeReader(os.environ).protection_key()
    pads = [bytes(byte ^ mask for byte in key) for mask in (0x36, 0x5C)]
    forms = [form for one in (key, *pads) for form in (one, one.hex().encode(), one.hex().upper().encode())]
    # as JSON writes it
    forms.append(json.dumps(key.decode())[1:-1].encode())
    places = {
        **loaded.said(),
        **loaded.objects(loaded.settings.lake_bucket),
        **loaded.objects(loaded.settings.raw_bucket),
        **loaded.objects(loaded.settings.artifacts_bucket),
    }
    assert len(key) == 64
    assert [place for place, body in places.items() if any(form in body for form in forms)] == []


def test_readers_find_the_hashes_and_masks_of_what_was_sent(loaded: DeployedLake) -> None:
    compared, differences = LakeReader(os.environ).protected_differences()
    assert differences == []
    assert compared >= 9
