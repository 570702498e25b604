"""The completeness sweep: what lies in the raw bucket against the list of landings, both ways.

Repairs what is safe, an object that nobody recorded; reports the rest, a landing whose object is gone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from eventlake.layout import parse_raw_key, waiting_slot
from eventlake.settings import Settings
from eventlake_aws.bucket_listing import ListedObject, list_objects
from eventlake_aws.clients import Clients
from eventlake_aws.landing_list import landing_records

_LOG = logging.getLogger(__name__)
_AREAS = ("raw/", "late/", "errors/")
_SAMPLES = 20
# a notification may take a while: a younger object is not forgotten yet
_NOTIFICATION_MOST = timedelta(minutes=15)


def sweep_landings(clients: Clients, settings: Settings, *, repair: bool, now: datetime) -> dict[str, Any]:
    """Finds objects without a landing and waiting landings without an object; records the former when told to."""
    listed = {one.identity: one for area in _AREAS for one in list_objects(clients.s3, settings.raw_bucket, area)}
    recorded = landing_records(clients, settings, listed)
    unrecorded = [
        one
        for identity, one in sorted(listed.items())
        if identity not in recorded and one.last_modified <= now - _NOTIFICATION_MOST
    ]
    repaired = sum(_record(clients, settings, one) for one in unrecorded) if repair else 0
    vanished = [key for key, etag in _waiting(clients, settings) if (key, etag) not in listed]
    answer = {
        "listed": len(listed),
        "unrecorded": [one.key for one in unrecorded[:_SAMPLES]],
        "unrecorded_count": len(unrecorded),
        "repaired": repaired,
        "vanished": vanished[:_SAMPLES],
        "vanished_count": len(vanished),
    }
    _LOG.info(json.dumps({"decision": "sweep_landings"} | answer))
    return answer


def _record(clients: Clients, settings: Settings, found: ListedObject) -> bool:
    """The item that record_landing would have written; False when the key is nobody's or was recorded meanwhile."""
    parsed = parse_raw_key(found.key)
    if parsed is None:
        return False
    try:
        clients.dynamodb.put_item(
            TableName=settings.landings_table,
            Item={
                "object_key": {"S": found.key},
                "etag": {"S": found.etag},
                "size_bytes": {"N": str(found.size_bytes)},
                "area": {"S": parsed.area.value},
                "event_type": {"S": parsed.event_type},
                "event_subtype": {"S": parsed.event_subtype},
                "landed_at": {"S": found.last_modified.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")},
                "status": {"S": "waiting"},
                "waiting_slot": {"S": waiting_slot(parsed.area, found.key)},
            },
            ConditionExpression="attribute_not_exists(object_key)",
        )
    except clients.dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


def _waiting(clients: Clients, settings: Settings) -> Iterator[tuple[str, str]]:
    pages = clients.dynamodb.get_paginator("scan").paginate(TableName=settings.landings_table, IndexName="waiting")
    for page in pages:
        for item in page["Items"]:
            yield item["object_key"]["S"], item["etag"]["S"]
