"""record_landing: writes each new raw object into the list of landings, once per key and ETag.

S3 tells a queue, the queue calls this function. What cannot be written fails its own message only; the queue brings it
again and, after the last try, puts it to the dead letters.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config

from eventlake.decision_log import decision_line
from eventlake.layout import parse_raw_key, waiting_slot
from eventlake.settings import Settings

CALLS_AT_ONCE = 4


@dataclass(frozen=True)
class Lake:
    """What the function works with: the names of the lake, a client, a clock. Tests pass their own."""

    settings: Settings
    dynamodb: Any
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000


@dataclass
class MessageOutcome:
    """What became of one message: how many objects are new or known already, which are nobody's, why it failed."""

    message_id: str
    recorded: int = 0
    known: int = 0
    ignored: list[str] = field(default_factory=list)
    failure: str | None = None


@cache
def lake_of_this_function() -> Lake:
    """Made at the first call and kept while the function is warm."""
    settings = Settings.from_env(os.environ)
    config = Config(
        retries={"mode": "standard", "max_attempts": 5}, max_pool_connections=CALLS_AT_ONCE, read_timeout=10
    )
    return Lake(settings, boto3.client("dynamodb", region_name=settings.region, config=config))


def handler(event: Mapping[str, Any], context: object, lake: Lake | None = None) -> dict[str, list[dict[str, str]]]:
    """The entry point. The answer names the messages that failed; the others are deleted from the queue."""
    lake = lake or lake_of_this_function()
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        outcomes = list(pool.map(lambda message: record_message(message, lake), event["Records"]))
    failed = [outcome for outcome in outcomes if outcome.failure]
    ignored = [object_key for outcome in outcomes for object_key in outcome.ignored]
    print(
        decision_line(
            lake=lake.settings.prefix,
            station="record_landing",
            at_ms=lake.now_ms(),
            counts={
                "LandingsRecorded": sum(outcome.recorded for outcome in outcomes),
                "LandingsKnown": sum(outcome.known for outcome in outcomes),
                "ObjectsIgnored": len(ignored),
                "MessagesFailed": len(failed),
            },
            details={
                "failures": [f"{outcome.message_id}: {outcome.failure}" for outcome in failed],
                "ignored_sample": ignored[:5],
            },
        ),
        flush=True,
    )
    return {"batchItemFailures": [{"itemIdentifier": outcome.message_id} for outcome in failed]}


def record_message(message: Mapping[str, Any], lake: Lake) -> MessageOutcome:
    """Write the landings that one message tells of. Never raises: a message that fails must not take others along."""
    outcome = MessageOutcome(message["messageId"])
    try:
        # S3 sends a test event without Records when the notification is set up
        for record in json.loads(message["body"]).get("Records", []):
            _record_object(record, lake, outcome)
    except Exception as failure:  # isolated by message, reported, and brought again by the queue
        outcome.failure = f"{type(failure).__name__}: {failure}"
    return outcome


def _record_object(record: Mapping[str, Any], lake: Lake, outcome: MessageOutcome) -> None:
    stored = record["s3"]["object"]
    object_key = unquote_plus(stored["key"])
    place = parse_raw_key(object_key)
    if place is None or not record["eventName"].startswith("ObjectCreated"):
        outcome.ignored.append(object_key)
        return
    try:
        lake.dynamodb.put_item(
            TableName=lake.settings.landings_table,
            Item={
                "object_key": {"S": object_key},
                "etag": {"S": stored["eTag"]},
                "size_bytes": {"N": str(stored["size"])},
                "area": {"S": place.area.value},
                "event_type": {"S": place.event_type},
                "event_subtype": {"S": place.event_subtype},
                "landed_at": {"S": record["eventTime"]},
                "status": {"S": "waiting"},
                "waiting_slot": {"S": waiting_slot(place.area, object_key)},
            },
            ConditionExpression="attribute_not_exists(object_key)",
        )
        outcome.recorded += 1
    except lake.dynamodb.exceptions.ConditionalCheckFailedException:
        outcome.known += 1
