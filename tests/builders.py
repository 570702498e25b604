"""One obvious way to make the things that tests are about. What does not belong here: assertions, fakes of services.

Everything has a sensible default, so that a test names only what it is about:
`an_event(created_at=1.5)`, `an_arrival(an_event())`, `a_kinesis_record(b"not json")`.
"""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

from eventlake.arrival import Arrival

# 2026-11-21T08:00:00Z
EIGHT_O_CLOCK_SECONDS = 1_795_248_000
EIGHT_O_CLOCK_MS = EIGHT_O_CLOCK_SECONDS * 1_000
DAY_SECONDS = 86_400
SHARD = "shardId-000000000000"
FIRST_SEQUENCE_NUMBER = 49590338271490256608559692538361571095921575989136588898
CODE_HASH = "0123456789ab"


def a_uuid(number: int = 1) -> str:
    """A UUID text that is easy to tell from its neighbours."""
    return f"00000000-0000-4000-8000-{number:012x}"


def an_event(**fields: Any) -> dict[str, Any]:
    """A sender's event. A field given as `...` is left out."""
    event: dict[str, Any] = {
        "event_uuid": a_uuid(),
        "event_name": "payment:order",
        "created_at": EIGHT_O_CLOCK_SECONDS,
    }
    event |= fields
    return {name: value for name, value in event.items() if value is not ...}


def as_sent(event: object) -> bytes:
    """The bytes that a sender would put into the stream; bytes stay as they are."""
    return event if isinstance(event, bytes) else json.dumps(event).encode()


def a_sequence_number(number: int = 0) -> str:
    return str(FIRST_SEQUENCE_NUMBER + number)


def an_arrival(
    event: object = None, *, number: int = 0, shard_id: str = SHARD, arrived_at_ms: int = EIGHT_O_CLOCK_MS + 1_123
) -> Arrival:
    """A record of the stream; `number` tells it from others of its shard."""
    return Arrival(as_sent(an_event() if event is None else event), shard_id, a_sequence_number(number), arrived_at_ms)


def a_kinesis_record(
    event: object = None, *, number: int = 0, shard_id: str = SHARD, arrived_at_ms: int = EIGHT_O_CLOCK_MS + 1_123
) -> dict[str, Any]:
    """The same record as the event source mapping hands it to a function."""
    sequence_number = a_sequence_number(number)
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": a_uuid(),
            "sequenceNumber": sequence_number,
            "data": base64.b64encode(as_sent(an_event() if event is None else event)).decode(),
            "approximateArrivalTimestamp": float(Decimal(arrived_at_ms).scaleb(-3)),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard_id}:{sequence_number}",
        "eventName": "aws:kinesis:record",
        "awsRegion": "eu-west-1",
    }


def a_kinesis_batch(*events: object, first_number: int = 0) -> dict[str, Any]:
    """What admit_events is called with: these events, in this order, on one shard."""
    return {"Records": [a_kinesis_record(event, number=first_number + place) for place, event in enumerate(events)]}


def a_raw_key(
    event_type: str = "payment", event_subtype: str = "order", day: str = "2026-11-21", name: str = "080500-object.gz"
) -> str:
    """A key as Firehose writes it, spelled out: the layout under test has no hand in it."""
    year, month, day_of_month = day.split("-")
    return (
        f"raw/event_type={event_type}/event_subtype={event_subtype}/year={year}/month={month}/day={day_of_month}/{name}"
    )


def an_object_created(
    key: str, *, etag: str = "9b2cf535f27731c974343645a3985328", size_bytes: int = 512
) -> dict[str, Any]:
    """One record of an S3 notification; S3 URL-encodes the key."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": "2026-11-21T08:05:00.123Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": "eventlake-local-raw-000000000000"},
            "object": {
                "key": quote_plus(key, safe="/"),
                "size": size_bytes,
                "eTag": etag,
                "sequencer": "0055AED6DCD90281E5",
            },
        },
    }


def an_sqs_batch(*bodies: object) -> dict[str, Any]:
    """What record_landing is called with: one message a body; `message-0`, `message-1`, … by place."""
    return {
        "Records": [
            {
                "messageId": f"message-{place}",
                "receiptHandle": f"receipt-{place}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"},
                "eventSource": "aws:sqs",
            }
            for place, body in enumerate(bodies)
        ]
    }
