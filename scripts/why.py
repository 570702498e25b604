"""`make why UUID=…`: one record's story. Its claim, what the stream decided, the raw object, the table or quarantine.

Looks in the lake itself, station by station, and says where the trail ends. What does not belong here: repairing.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NoSuchTableError

from eventlake.errors import TerminalError
from eventlake.settings import EVENTS_DATABASE, QUARANTINE_TABLE, Settings
from eventlake_aws.iceberg_catalog import open_catalog
from laptop import entry
from laptop.home import Home
from laptop.programs import adopt
from send import require_up

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
RAW_AREAS = ("raw/", "late/", "errors/")


def main() -> int:
    wanted = (entry.given("LAKE_UUID") or "").lower()
    home = Home.from_env(os.environ)
    require_up(home)
    if not UUID.fullmatch(wanted):
        raise TerminalError(f"explaining UUID={wanted!r}: valid is an event's uuid, 8-4-4-4-12 hexadecimal digits")
    adopt(home.read_env())
    settings = Settings.from_env(os.environ)
    print("\n".join(story(settings, wanted)))
    return 0


def story(settings: Settings, wanted: str) -> list[str]:
    dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
    catalog = open_catalog(settings)
    claim = dynamodb.get_item(TableName=settings.claims_table, Key={"event_uuid": {"S": wanted}}).get("Item")
    decisions = [(key, json.loads(line)) for key, line in lines_with(s3, settings, "decisions/", wanted)]
    raw = [(key, line) for area in RAW_AREAS for key, line in lines_with(s3, settings, area, wanted)]
    rows, quarantined = published(catalog, wanted), quarantine(catalog, wanted)
    told = [
        f"{wanted}",
        *claim_lines(claim),
        *decision_lines(decisions),
        *(f"  raw         {key}: {landing_of(dynamodb, settings, key)}" for key in dict(raw)),
        *row_lines(rows),
        *(
            f"  quarantine  {row['reason']}: rule {row['rule']} on {row['field'] or 'the whole event'}, "
            f"{row['raw_object']} line {row['line']}"
            + (f", resolved by {row['resolved_by']}" if row["resolved_by"] else "")
            for row in quarantined
        ),
    ]
    return [*told, f"  so          {verdict(claim, decisions, raw, rows, quarantined)}"]


def verdict(claim: object, decisions: list[Any], raw: list[Any], rows: list[Any], quarantined: list[Any]) -> str:
    """Where the trail ends."""
    if rows:
        return "readers see it" if len(rows) == 1 else f"readers see it {len(rows)} times, which must not be"
    if quarantined:
        return "it is kept from readers because it breaks its contract"
    if raw:
        return "it waits in raw for its load; trigger load_events (close_day for late/ and errors/)"
    if decisions:
        return "the stream admitted no record with this uuid; see its decisions above"
    if claim:
        return "it was claimed and lies nowhere yet: Firehose still buffers it, or lost it (close_day names it then)"
    return "no record with this uuid was ever received"


def claim_lines(claim: dict[str, Any] | None) -> list[str]:
    if claim is None:
        return ["  claim       none (never admitted, or its window has passed)"]
    arrived = datetime.fromtimestamp(int(claim["arrived_at"]["N"]) / 1000, UTC).isoformat(timespec="milliseconds")
    return [f"  claim       by {claim['owner']['S']}, arrived {arrived}"]


def decision_lines(decisions: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [
        f"  decision    {one['verdict']}" + (f" ({one['reason']})" if one["reason"] else "")
        + f": {one['shard_id']}:{one['sequence_number']}, arrived {one['ingested_at']}, in {key}"
        for key, one in decisions
    ]  # fmt: skip


def row_lines(rows: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [
        f"  row         {table}: {row['event_name']} of {row['event_date']}, load {row['load_id']}, "
        f"from {row['raw_object']}"
        for table, row in rows
    ]


def lines_with(s3: Any, settings: Settings, prefix: str, wanted: str) -> Iterator[tuple[str, bytes]]:
    """(key, line) of each line that names the uuid. Reads everything under the prefix: right for a laptop's lake."""
    needle = wanted.encode()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=settings.raw_bucket, Prefix=prefix):
        for found in page.get("Contents", []):
            body = s3.get_object(Bucket=settings.raw_bucket, Key=found["Key"])["Body"].read()
            text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
            if needle in text.lower():
                yield from ((found["Key"], line) for line in text.splitlines() if needle in line.lower())


def landing_of(dynamodb: Any, settings: Settings, key: str) -> str:
    found = dynamodb.query(
        TableName=settings.landings_table,
        KeyConditionExpression="object_key = :key",
        ExpressionAttributeValues={":key": {"S": key}},
    )["Items"]
    if not found:
        return "its landing was never written down"
    one = found[0]
    by = one.get("loaded_by") or one.get("held_by") or one.get("superseded_by")
    return f"{one['status']['S']}" + (f" by {by['S']}" if by else "")


def published(catalog: GlueCatalog, wanted: str) -> list[tuple[str, dict[str, Any]]]:
    columns = ("event_name", "event_date", "load_id", "raw_object")
    found: list[tuple[str, dict[str, Any]]] = []
    for name in sorted(".".join(name) for name in catalog.list_tables(EVENTS_DATABASE)):
        scan = catalog.load_table(name).scan(row_filter=f"event_uuid == '{wanted}'", selected_fields=columns)
        found += [(name, row) for row in scan.to_arrow().to_pylist()]
    return found


def quarantine(catalog: GlueCatalog, wanted: str) -> list[dict[str, Any]]:
    try:
        table = catalog.load_table(QUARANTINE_TABLE)
    except NoSuchTableError:
        return []
    rows: list[dict[str, Any]] = table.scan(row_filter=f"event_uuid == '{wanted}'").to_arrow().to_pylist()
    return rows


if __name__ == "__main__":
    entry.run(main)
