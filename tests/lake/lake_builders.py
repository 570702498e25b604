"""Makes what the stations beside the worker would have left: landings, raw objects, staged branches, receipts.

The rows are written by PyIceberg where production has Spark; what publishing looks at is the same.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any
from zlib import crc32

import pyarrow as pa
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.io.pyarrow import _dataframe_to_data_files
from pyiceberg.table import Table
from pyiceberg.transforms import IdentityTransform

from eventlake.load_plan import LoadPlan, branch_name
from eventlake.settings import DATABASES, Settings
from eventlake_aws.clients import Clients
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.publish import JOB_RUN_ID_PROPERTY, LOAD_ID_PROPERTY
from eventlake_aws.row_filters import one_of

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LANDED_AT = "2026-11-21T08:00:02.000Z"
DEFINITIONS_KEY = "control/definitions/0123456789ab.json"

ROW = pa.schema(
    [
        pa.field("event_uuid", pa.string()),
        pa.field("event_type", pa.string()),
        pa.field("event_subtype", pa.string()),
        pa.field("producer", pa.string()),
        pa.field("created_datetime", pa.timestamp("us", tz="UTC")),
        pa.field("event_date", pa.date32()),
        pa.field("ingested_at", pa.timestamp("us", tz="UTC")),
        pa.field("shard_id", pa.string()),
        pa.field("sequence_number", pa.string()),
        pa.field("load_id", pa.string()),
    ]
)


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)


@dataclass(frozen=True)
class Sent:
    """One event as the tests think of it."""

    event_uuid: str
    sequence_number: int
    event_type: str = "payment"
    event_subtype: str = "order"
    day: str = "2026-11-21"
    ingested_at: str = "2026-11-21T08:00:01.123Z"
    shard_id: str = "shardId-000000000000"
    producer: str | None = None

    @property
    def line(self) -> bytes:
        """The enriched event, as admission writes it."""
        return (
            f'{{"event_uuid":"{self.event_uuid}","event_name":"{self.event_type}:{self.event_subtype}","created_at":1'
            f',"created_datetime":"{self.day}T08:00:00Z","event_type":"{self.event_type}"'
            f',"event_subtype":"{self.event_subtype}","event_detail":null'
            f',"_lake":{{"ingested_at":"{self.ingested_at}","shard_id":"{self.shard_id}"'
            f',"sequence_number":"{self.sequence_number}","area":"raw","day":"{self.day}","code_hash":"0123456789ab"}}}}'
        ).encode()

    def row(self, load_id: str) -> dict[str, Any]:
        return {
            "event_uuid": self.event_uuid,
            "event_type": self.event_type,
            "event_subtype": self.event_subtype,
            "producer": self.producer,
            "created_datetime": datetime.fromisoformat(f"{self.day}T08:00:00Z"),
            "event_date": date.fromisoformat(self.day),
            "ingested_at": datetime.fromisoformat(self.ingested_at),
            "shard_id": self.shard_id,
            "sequence_number": str(self.sequence_number),
            "load_id": load_id,
        }


def _landing_item(
    key: str, etag: str, size_bytes: int, area: str, first: Sent | None, landed_at: str = LANDED_AT
) -> dict[str, Any]:
    return {
        "object_key": {"S": key},
        "etag": {"S": etag},
        "size_bytes": {"N": str(size_bytes)},
        "area": {"S": area},
        "event_type": {"S": first.event_type if first else ""},
        "event_subtype": {"S": first.event_subtype if first else ""},
        "landed_at": {"S": landed_at},
        "status": {"S": "waiting"},
        "waiting_slot": {"S": f"{area}#{crc32(key.encode()) % 16:02d}"},
    }


@dataclass
class Lake:
    settings: Settings
    clients: Clients

    @cached_property
    def catalog(self) -> GlueCatalog:
        return open_catalog(self.settings)

    def create(self) -> None:
        s3, dynamodb = self.clients.s3, self.clients.dynamodb
        for bucket in (self.settings.raw_bucket, self.settings.lake_bucket):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        for table, key in (
            (self.settings.claims_table, "event_uuid"),
            (self.settings.leases_table, "lease_name"),
            (self.settings.positions_table, "shard_id"),
        ):
            dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            )
        self._create_landings()
        self.clients.kinesis.create_stream(StreamName=self.settings.stream, ShardCount=2)
        self.clients.sns.create_topic(Name=self.settings.alerts_topic_arn.rsplit(":", 1)[1])
        self.define({"payment/order": {"x-owner": "team-payments"}, "lesson/exercise": {"x-owner": "team-lessons"}})

    def _create_landings(self) -> None:
        names = ("object_key", "etag", "waiting_slot", "landed_at")
        self.clients.dynamodb.create_table(
            TableName=self.settings.landings_table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            KeySchema=[
                {"AttributeName": "object_key", "KeyType": "HASH"},
                {"AttributeName": "etag", "KeyType": "RANGE"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "waiting",
                    "KeySchema": [
                        {"AttributeName": "waiting_slot", "KeyType": "HASH"},
                        {"AttributeName": "landed_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )

    def forget_tables(self) -> None:
        """Tables of the lake of the test before: databases bear no lake's name."""
        for database in DATABASES:
            for entry in self.clients.glue.get_tables(DatabaseName=database)["TableList"]:
                self.clients.glue.delete_table(DatabaseName=database, Name=entry["Name"])

    def define(
        self,
        contracts: Mapping[str, Any],
        rollups: Mapping[str, str] | None = None,
        suites: Mapping[str, Any] | None = None,
    ) -> None:
        bundle = {
            "hash": "0123456789ab",
            "contracts": contracts,
            "suites": dict(suites or {}),
            "rollups": dict(rollups or {}),
        }
        self.put_lake(DEFINITIONS_KEY, json.dumps(bundle).encode())
        self.put_lake(
            "control/definitions/current.json", json.dumps({"key": DEFINITIONS_KEY, "hash": "0123456789ab"}).encode()
        )

    def put_lake(self, key: str, body: bytes) -> None:
        self.clients.s3.put_object(Bucket=self.settings.lake_bucket, Key=key, Body=body)

    def land(
        self,
        events: Sequence[Sent],
        name: str = "a",
        area: str = "raw",
        is_recorded: bool = True,
        landed_at: str = LANDED_AT,
    ) -> str:
        """A raw object of these events (of one type, subtype and day), and its landing; gives the key."""
        first = events[0]
        year, month, day = first.day.split("-")
        key = (
            f"{area}/event_type={first.event_type}/event_subtype={first.event_subtype}"
            f"/year={year}/month={month}/day={day}/{name}.gz"
        )
        return self.land_body(
            key, b"\n".join(event.line for event in events) + b"\n", area, first, is_recorded, landed_at
        )

    def land_body(
        self,
        key: str,
        body: bytes,
        area: str,
        first: Sent | None,
        is_recorded: bool = True,
        landed_at: str = LANDED_AT,
    ) -> str:
        packed = gzip.compress(body)
        answer = self.clients.s3.put_object(Bucket=self.settings.raw_bucket, Key=key, Body=packed)
        if is_recorded:
            item = _landing_item(key, answer["ETag"].strip('"'), len(packed), area, first, landed_at)
            self.clients.dynamodb.put_item(TableName=self.settings.landings_table, Item=item)
        return key

    def list_landings(self, keys: Sequence[str], first: Sent) -> None:
        """Only their items, of objects that are nowhere; in batches, for there may be many."""
        items = [_landing_item(key, f"etag-{number}", 1_000, "raw", first) for number, key in enumerate(keys)]
        batches = [items[start : start + 25] for start in range(0, len(items), 25)]

        def write(batch: Sequence[Any]) -> None:
            requests = [{"PutRequest": {"Item": item}} for item in batch]
            answer = self.clients.dynamodb.batch_write_item(RequestItems={self.settings.landings_table: requests})
            assert not answer["UnprocessedItems"]

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, batches))

    def landing(self, key: str) -> dict[str, Any]:
        answer = self.clients.dynamodb.query(
            TableName=self.settings.landings_table,
            KeyConditionExpression="object_key = :key",
            ExpressionAttributeValues={":key": {"S": key}},
        )
        (item,) = answer["Items"]
        return {name: next(iter(value.values())) for name, value in item.items()}

    def table(self, name: str) -> Table:
        if not self.catalog.table_exists(name):
            database, _, table = name.partition(".")
            location = f"{self.settings.warehouse_uri}/{database}.db/{table}"
            made = self.catalog.create_table(name, schema=ROW, location=location)
            with made.update_spec() as update:
                update.add_field("event_date", IdentityTransform(), "event_date")
        return self.catalog.load_table(name)

    def rows(self, name: str) -> list[str]:
        """Uuids that readers see, sorted."""
        uuids: list[str] = self.catalog.load_table(name).scan().to_arrow().column("event_uuid").to_pylist()
        return sorted(uuids)

    def stage(self, name: str, events: Sequence[Sent], load_id: str, job_run_id: str, branch: str | None = None) -> int:
        """What the job leaves in a table: a branch with the rows, on what main shows; gives the staged snapshot."""
        table = self.table(name)
        if table.current_snapshot() is None:
            table.append(ROW.empty_table())
        branch = branch or branch_name(load_id, job_run_id)
        base = table.current_snapshot()
        assert base is not None
        if branch not in table.metadata.refs:
            table.manage_snapshots().create_branch(base.snapshot_id, branch).commit()
        table.append(
            pa.Table.from_pylist([event.row(load_id) for event in events], schema=ROW),
            snapshot_properties={LOAD_ID_PROPERTY: load_id, JOB_RUN_ID_PROPERTY: job_run_id},
            branch=branch,
        )
        return table.refresh().metadata.refs[branch].snapshot_id

    def publish_in_files(self, name: str, events: Sequence[Sent]) -> None:
        """Somebody else's publish, each event in a file of its own."""
        table = self.table(name)
        with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
            for event in events:
                rows = pa.Table.from_pylist([event.row("other")], schema=ROW)
                for file in _dataframe_to_data_files(table.metadata, rows, table.io):
                    append.append_data_file(file)

    def replace(
        self, name: str, removed: Sequence[str], rows: pa.Table, branch: str, properties: Mapping[str, str]
    ) -> int:
        """What a job leaves that writes days again: one snapshot on a branch in which rows stand for these files."""
        table = self.table(name)
        base = table.current_snapshot()
        assert base is not None
        table.manage_snapshots().create_branch(base.snapshot_id, branch).commit()
        files = [task.file for task in table.scan().plan_files() if task.file.file_path in removed]
        with table.transaction() as transaction:
            writer = transaction.update_snapshot(snapshot_properties=dict(properties), branch=branch).overwrite()
            for file in files:
                writer.delete_data_file(file)
            for file in _dataframe_to_data_files(table.metadata, rows, table.io):
                writer.append_data_file(file)
            writer.commit()
        return table.refresh().metadata.refs[branch].snapshot_id

    def publish_directly(self, name: str, events: Sequence[Sent]) -> None:
        """Somebody else's publish."""
        self.table(name).append(pa.Table.from_pylist([event.row("other") for event in events], schema=ROW))

    def receipt_entry(
        self, plan: LoadPlan, table: str, job_run_id: str, loaded: Sequence[Sent], **changes: Any
    ) -> dict[str, Any]:
        """Stages the rows and gives the entry of a receipt that says so."""
        planned = plan.table(table)
        assert planned is not None
        base = self.table(table).current_snapshot() if self.catalog.table_exists(table) else None
        staged = self.stage(table, loaded, plan.load_id, job_run_id) if loaded else None
        duplicate, quarantined = changes.pop("duplicate", 0), changes.pop("quarantined", 0)
        lines = len(loaded) + duplicate + quarantined
        landings = [
            {
                "object_key": landing.object_key,
                "etag": landing.etag,
                "lines": lines if number == 0 else 0,
                "first_day": "2026-11-21",
                "last_day": "2026-11-21",
            }
            for number, landing in enumerate(planned.landings)
        ]
        if base is None and staged is not None:
            base_id = self.catalog.load_table(table).metadata.snapshot_by_id(staged).parent_snapshot_id
        else:
            base_id = None if base is None else base.snapshot_id
        return {
            "table": table,
            "event_type": planned.event_type,
            "base_snapshot_id": base_id,
            "staged_snapshot_id": staged,
            "branch": branch_name(plan.load_id, job_run_id),
            "counts": {"lines": lines, "loaded": len(loaded), "duplicate": duplicate, "quarantined": quarantined},
            "added_records": len(loaded),
            "added_files": 1,
            "days": {"2026-11-21": len(loaded)} if loaded else {},
            "landings": landings,
            "quarantined_by_reason": {"wrong_type": quarantined} if quarantined else {},
            "validation": {"success": True, "results": []},
            "error": None,
        } | changes

    def rebuild_entry(
        self, plan: LoadPlan, table: str, job_run_id: str, rows: Sequence[Sent], diff: Mapping[str, Any], **changes: Any
    ) -> dict[str, Any]:
        """Stages the plan's days with these rows in place of theirs, and gives the entry of a receipt that says so."""
        planned = plan.table(table)
        assert planned is not None
        shown = self.table(table)
        diff = {"added": 0, "removed": 0, "changed": 0, "departed": {}} | diff
        old = [task.file for task in shown.scan(row_filter=one_of("event_date", plan.days)).plan_files()]
        branch = branch_name(plan.load_id, job_run_id)
        properties = {LOAD_ID_PROPERTY: plan.load_id, JOB_RUN_ID_PROPERTY: job_run_id}
        has_news = any(diff.values())
        written = pa.Table.from_pylist([event.row(plan.load_id) for event in rows], schema=ROW)
        paths = [file.file_path for file in old]
        counted = {"duplicate": changes.pop("duplicate", 0), "quarantined": changes.pop("quarantined", 0)}
        lines = len(rows) + sum(counted.values())
        return {
            "table": table,
            "event_type": planned.event_type,
            "base_snapshot_id": None if (current := shown.current_snapshot()) is None else current.snapshot_id,
            "staged_snapshot_id": self.replace(table, paths, written, branch, properties) if has_news else None,
            "branch": branch,
            "counts": {"lines": lines, "loaded": len(rows), **counted},
            "added_records": len(rows) if has_news else 0,
            "removed_records": sum(file.record_count for file in old) if has_news else 0,
            "added_files": 1,
            "diff": diff,
            "days": {day: len(rows) for day in plan.days} if has_news else {},
            "landings": [
                {
                    "object_key": landing.object_key,
                    "etag": landing.etag,
                    "lines": lines if number == 0 else 0,
                    "first_day": plan.days[0],
                    "last_day": plan.days[-1],
                }
                for number, landing in enumerate(planned.landings)
            ],
            "quarantined_by_reason": {"wrong_type": counted["quarantined"]} if counted["quarantined"] else {},
            "validation": {"success": True, "results": []},
            "error": None,
        } | changes

    def write_receipt(
        self,
        plan: LoadPlan,
        job_run_id: str,
        entries: Sequence[Mapping[str, Any]],
        quarantine: Sequence[Mapping[str, Any]] = (),
        duplicates: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        folder = f"control/loads/{plan.load_id}/"
        uris: dict[str, str | None] = {"quarantine": None, "duplicates": None}
        for kind, rows in (("quarantine", quarantine), ("duplicates", duplicates)):
            if rows:
                key = f"{folder}{kind}-{job_run_id}.ndjson.gz"
                self.put_lake(key, gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
                uris[kind] = f"s3://{self.settings.lake_bucket}/{key}"
        receipt = {
            "load_id": plan.load_id,
            "job_run_id": job_run_id,
            "plan_uri": f"s3://{self.settings.lake_bucket}/{folder}plan.json",
            "code_hash": "0123456789ab",
            "started_at": "2026-11-21T09:00:00Z",
            "ended_at": "2026-11-21T09:01:00Z",
            "tables": list(entries),
            "quarantine_uri": uris["quarantine"],
            "duplicates_uri": uris["duplicates"],
        }
        self.put_lake(f"{folder}receipt-{job_run_id}.json", json.dumps(receipt).encode())
