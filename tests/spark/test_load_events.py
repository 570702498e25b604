"""The load job from plan to receipt: every line gets one verdict, and only new good rows are staged."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from tests.builders import a_sequence_number, a_uuid
from tests.spark.disk_lake import DiskLake, Written, a_line

PAYMENT = {
    "title": "An order was paid",
    "type": "object",
    "x-owner": "team-payments",
    "x-retention-class": "finance",
    "x-event-names": ["payment:order", "payment:order:refused"],
    "x-other-fields": True,
    "required": ["order_id", "amount"],
    "properties": {
        "order_id": {"type": "string", "description": "The order"},
        "amount": {"type": "number", "x-decimal": [12, 2], "minimum": 0},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"sku": {"type": "string"}, "price": {"type": "number", "x-decimal": [12, 2]}},
            },
        },
        "order": {"type": "integer"},
    },
}
SUITE = {
    "name": "payment",
    "expectations": [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "amount", "max_value": 1000},
            "meta": {"severity": "high", "why": "nobody spends more"},
        },
        {
            "type": "expect_column_values_to_not_be_null",
            "kwargs": {"column": "order_id"},
            "meta": {"severity": "critical"},
        },
    ],
}


def a_payment(number: int = 1, **fields: object) -> bytes:
    return a_line(number, **{"order_id": f"o-{number}", "amount": 19.99, **fields})


def test_good_lines_are_staged_typed_and_no_reader_sees_them(lake: DiskLake) -> None:
    # given
    lake.define({"payment/order": PAYMENT})
    landing = lake.land(
        [
            a_payment(1, amount=Written("19.990"), producer="shop", created_at=Written("1795248000.1234567")),
            a_payment(2, event_name="payment:order:refused", items=[{"sku": "x", "price": 0.1}], more={"a": [1, "2"]}),
        ]
    )

    # when
    receipt = lake.load(landing)

    # then
    (entry,) = receipt["tables"]
    assert entry["counts"] == {"lines": 2, "loaded": 2, "duplicate": 0, "quarantined": 0}
    assert (entry["added_records"], entry["added_files"], entry["days"]) == (2, 1, {"2026-11-21": 2})
    assert entry["landings"] == [
        {
            "object_key": landing.object_key, "etag": landing.etag, "lines": 2,
            "first_day": "2026-11-21", "last_day": "2026-11-21",
        }
    ]  # fmt: skip
    assert entry["validation"] == {"success": True, "results": [], "note": "no_suite"}
    assert receipt["quarantine_uri"] is receipt["duplicates_uri"] is None
    assert lake.rows("SELECT * FROM events.payment_events") == []
    first, second = sorted(lake.staged_rows(entry), key=lambda row: row.event_uuid)
    assert first.asDict() == {
        "event_uuid": a_uuid(1),
        "event_name": "payment:order",
        "event_type": "payment",
        "event_subtype": "order",
        "event_detail": None,
        "created_at": Decimal("1795248000.123456"),
        "created_datetime": datetime(2026, 11, 21, 8, 0, 0, 123456),
        "event_date": date(2026, 11, 21),
        "producer": "shop",
        "order_id": "o-1",
        "amount": Decimal("19.99"),
        "items": None,
        "order": None,
        "other_fields": None,
        "ingested_at": datetime(2026, 11, 21, 8, 0, 1, 123000),
        "shard_id": "shardId-000000000000",
        "sequence_number": a_sequence_number(1),
        "raw_object": landing.object_key,
        "load_id": "load_events-0123456789-g1",
    }
    assert second.event_detail == "refused"
    assert second.items[0].asDict() == {"sku": "x", "price": Decimal("0.10")}
    assert second.other_fields == '{"more":{"a":[1,"2"]}}'
