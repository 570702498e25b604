"""One obvious way to make a contract and an enriched line. What does not belong here: assertions."""

from __future__ import annotations

import json
from typing import Any

from eventlake.contract import Contract, parse_contract
from tests.builders import EIGHT_O_CLOCK_SECONDS, a_sequence_number, a_uuid


def a_schema(
    properties: dict[str, Any] | None = None, *, key: str = "payment/order", **keywords: Any
) -> dict[str, Any]:
    """A contract document; keywords with a dash are given as `x_owner`, Python's own words with a `_` behind."""
    schema: dict[str, Any] = {
        "title": "an order",
        "x-owner": "payments",
        "x-retention-class": "standard",
        "x-event-names": [key.replace("/", ":")],
        "type": "object",
        "properties": properties or {},
    }
    renamed = {name.replace("x_", "x-", 1).replace("_", "-").rstrip("-"): value for name, value in keywords.items()}
    return {name: value for name, value in (schema | renamed).items() if value is not ...}


def a_contract(properties: dict[str, Any] | None = None, *, key: str = "payment/order", **keywords: Any) -> Contract:
    return parse_contract(f"{key}.json", a_schema(properties, key=key, **keywords))


def a_line(subtype: str = "order", **fields: Any) -> str:
    """A line of raw, as admission writes it. A field given as `...` is left out."""
    line: dict[str, Any] = {
        "event_uuid": a_uuid(),
        "event_name": f"payment:{subtype}",
        "created_at": EIGHT_O_CLOCK_SECONDS,
        "created_datetime": "2026-11-21T08:00:00Z",
        "event_type": "payment",
        "event_subtype": subtype,
        "event_detail": None,
        "_lake": {
            "ingested_at": "2026-11-21T08:00:01.123Z",
            "shard_id": "shardId-000000000000",
            "sequence_number": a_sequence_number(),
            "area": "raw",
            "day": "2026-11-21",
            "code_hash": "0123456789ab",
        },
    }
    return json.dumps({name: value for name, value in (line | fields).items() if value is not ...})
