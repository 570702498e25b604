"""Reads a lake with gzip, boto3 and PyIceberg alone, so that what the lake says of itself has a second opinion.

What does not belong here: any import of the project. Names come from the environment that `.lake/env` sets.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import gzip
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchTableError

Path = tuple[str, ...]


@dataclass(frozen=True)
class LakeReader:
    """A lake named by the variables of `.lake/env`."""

    environment: Mapping[str, str]

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name=self.environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )

    def catalog(self) -> Any:
        endpoint, region = self.environment["AWS_ENDPOINT_URL"], self.environment["AWS_DEFAULT_REGION"]
        access = {
            key: self.environment[f"AWS_{key}".upper().replace("-", "_").replace(".", "_")]
            for key in ("access-key-id", "secret-access-key")
        }
        properties = {"type": "glue", "glue.endpoint": endpoint, "glue.region": region}
        properties |= {"s3.endpoint": endpoint, "s3.region": region}
        properties |= {f"{service}.{key}": value for service in ("glue", "s3") for key, value in access.items()}
        return load_catalog("independent", **properties)

    # ------------------------------------------------------------------ tables
    def table_names(self, database: str) -> list[str]:
        return sorted(".".join(name) for name in self.catalog().list_tables(database))

    def column(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """The values of some columns of a table's main branch; nothing where the table is not there yet."""
        with contextlib.suppress(NoSuchTableError):
            rows = self.catalog().load_table(table).scan(selected_fields=columns).to_arrow()
            return list(zip(*(rows.column(name).to_pylist() for name in columns), strict=True))
        return []

    def event_uuids(self) -> dict[str, list[str]]:
        """The uuids in each table of `events` that holds any, sorted, repeats kept."""
        found = {
            table: sorted(uuid for (uuid,) in self.column(table, "event_uuid")) for table in self.table_names("events")
        }
        return {table: uuids for table, uuids in found.items() if uuids}

    def quarantined(self) -> dict[str, list[str]]:
        """Open quarantine rows: the uuids by reason, sorted."""
        by_reason: dict[str, list[str]] = collections.defaultdict(list)
        for reason, uuid, resolved_by in self.column("quarantine.rows", "reason", "event_uuid", "resolved_by"):
            if resolved_by is None:
                by_reason[reason].append(uuid)
        return {reason: sorted(uuids, key=str) for reason, uuids in by_reason.items()}

    def snapshots(self) -> dict[str, int | None]:
        """The current snapshot of each table of `events` and `rollups`."""
        catalog = self.catalog()
        names = [*self.table_names("events"), *self.table_names("rollups")]
        return {name: catalog.load_table(name).metadata.current_snapshot_id for name in names}

    def unnamed_files(self) -> dict[str, list[str]]:
        """Of each table: the keys in its folder that nothing in its metadata leads to."""
        found = {}
        for database in ("events", "quarantine", "rollups"):
            for name in self.table_names(database):
                table = self.catalog().load_table(name)
                bucket, _, folder = table.location().split("://", 1)[-1].rstrip("/").partition("/")
                pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{folder}/")
                stored = {f"{bucket}/{entry['Key']}" for page in pages for entry in page.get("Contents", [])}
                found[name] = sorted(stored - {path.split("://", 1)[-1] for path in _named(table)})
        return {name: keys for name, keys in found.items() if keys}

    # ------------------------------------------------------------------ objects
    def lines(self, prefix: str) -> Iterator[bytes]:
        """Each line of each object under a prefix of the raw bucket."""
        s3, bucket = self.client("s3"), self.environment["LAKE_RAW_BUCKET"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                yield from (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).splitlines()

    def objects_without_landing(self) -> set[str]:
        """Keys of raw objects that the list of landings does not know yet."""
        s3, dynamodb = self.client("s3"), self.client("dynamodb")
        listed = s3.get_paginator("list_objects_v2").paginate(Bucket=self.environment["LAKE_RAW_BUCKET"])
        keys = {entry["Key"] for page in listed for entry in page.get("Contents", [])}
        scanned = dynamodb.get_paginator("scan").paginate(TableName=f"{self.environment['LAKE_PREFIX']}-landings")
        landed = {item["object_key"]["S"] for page in scanned for item in page["Items"]}
        return {key for key in keys if key.startswith(("raw/", "late/"))} - landed

    def decisions(self) -> list[dict[str, Any]]:
        """Every decision once: delivery is at least once, the identity of the record tells repeats apart."""
        by_identity: dict[tuple[str, str], dict[str, Any]] = {}
        for line in self.lines("decisions/verdict="):
            decision = json.loads(line)
            by_identity[decision["shard_id"], decision["sequence_number"]] = decision
        return list(by_identity.values())

    def sent_bytes(self, decision: dict[str, Any]) -> bytes:
        """What the sender sent, from the decision itself or from the object that it refers to."""
        if decision["body"] is not None:
            return base64.b64decode(decision["body"])
        bucket, _, key = decision["body_reference"].removeprefix("s3://").partition("/")
        return self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()

    def rejected(self) -> dict[str, list[str]]:
        """The sha256 of the sent bytes by reason, sorted."""
        by_reason: dict[str, list[str]] = collections.defaultdict(list)
        for decision in self.decisions():
            if decision["verdict"] == "rejected":
                by_reason[decision["reason"]].append(hashlib.sha256(self.sent_bytes(decision)).hexdigest())
        return {reason: sorted(hashes) for reason, hashes in by_reason.items()}

    def duplicates(self) -> list[str]:
        """The uuid of every suppressed copy, sorted."""
        return sorted(one["event_uuid"] for one in self.decisions() if one["verdict"] == "duplicate")

    def raw_events(self) -> Iterator[dict[str, Any]]:
        for prefix in ("raw/", "late/"):
            yield from map(json.loads, self.lines(prefix))

    def raw_identities(self) -> dict[tuple[str, str], str]:
        """Each record in raw/ and late/ and the uuid that it carries, in lower case as the tables have it."""
        return {
            (event["_lake"]["shard_id"], event["_lake"]["sequence_number"]): event["event_uuid"].lower()
            for event in self.raw_events()
        }

    # ------------------------------------------------------------------ protection
    def protection_key(self) -> bytes:
        name = f"{self.environment['LAKE_PREFIX']}-protection-key"
        return str(self.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]).encode()

    def protected_fields(self) -> dict[str, dict[Path, Mapping[str, Any]]]:
        """By event type: each field with `x-protect` in the contracts in force, and what they say of it."""
        s3, bucket = self.client("s3"), self.environment["LAKE_BUCKET"]
        pointer = json.load(s3.get_object(Bucket=bucket, Key="control/definitions/current.json")["Body"])
        bundle = json.load(s3.get_object(Bucket=bucket, Key=pointer["key"])["Body"])
        found: dict[str, dict[Path, Mapping[str, Any]]] = collections.defaultdict(dict)
        for name, contract in bundle["contracts"].items():
            found[name.partition("/")[0]] |= dict(_protected(contract, ()))
        return {event_type: fields for event_type, fields in found.items() if fields}

    def protected_values(self) -> set[str]:
        """What was sent in fields that are protected."""
        fields = self.protected_fields()
        return {
            value
            for event in self.raw_events()
            for path in fields.get(event["event_type"], {})
            for value in _at(event, path)
            if isinstance(value, str)
        }

    def protected_differences(self) -> tuple[int, list[str]]:
        """How many protected values the tables hold, and the places of those that are not what was sent makes them."""
        key, compared, differences = self.protection_key(), 0, []
        sent = {(each["_lake"]["shard_id"], each["_lake"]["sequence_number"]): each for each in self.raw_events()}
        for event_type, fields in self.protected_fields().items():
            table, columns = f"events.{event_type}_events", sorted({path[0] for path in fields})
            for shard_id, number, *values in self.column(table, "shard_id", "sequence_number", *columns):
                event, row = sent[shard_id, number], dict(zip(columns, values, strict=True))
                for path, said in fields.items():
                    wanted = [_hidden(value, said, key) for value in _at(event, path)]
                    compared += sum(value is not None for value in wanted)
                    if _at(row, path) != wanted:
                        differences.append(f"{table} {'.'.join(path)} of {event['event_uuid']}")
        return compared, differences


def _named(table: Any) -> Iterator[str]:
    metadata = table.metadata
    yield table.metadata_location
    yield from (entry.metadata_file for entry in metadata.metadata_log)
    yield from (one.statistics_path for one in (*metadata.statistics, *metadata.partition_statistics))
    for snapshot in metadata.snapshots:
        yield snapshot.manifest_list
        for manifest in snapshot.manifests(table.io):
            yield manifest.manifest_path
            yield from (entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io))


_EACH = "*"


def _protected(schema: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if "x-protect" in schema:
        yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from _protected(inner, (*path, name))
    if "items" in schema:
        yield from _protected(schema["items"], (*path, _EACH))


def _at(value: Any, path: Path) -> list[Any]:
    """What lies at the path, of an array each item; None where there is nothing."""
    if not path or value is None:
        return [value]
    if path[0] == _EACH:
        return [found for item in value for found in _at(item, path[1:])] if isinstance(value, list) else [None]
    # a line that breaks its contract may hold anything there
    return _at(value.get(path[0]) if isinstance(value, Mapping) else None, path[1:])


def _hidden(value: str | None, said: Mapping[str, Any], key: bytes) -> str | None:
    if value is None:
        return None
    if said["x-protect"] == "hash":
        return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()
    return "***" + value[value.rindex("@") :] if said.get("format") == "email" else "***"
