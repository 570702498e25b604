"""What crawlers saw against the contracts."""

from __future__ import annotations

from typing import Any

import pytest

from eventlake.drift import CrawledTable, contract_patches, find_drift, json_schema_of

CONTRACTS: dict[str, Any] = {
    "payment/order": {
        "properties": {
            "net": {"type": "number"},
            "Voucher": {"type": ["string", "null"]},
            "count": {"type": "integer"},
            "lines": {"type": "array"},
            "free": {},
        }
    },
    "payment/refund": {"properties": {"net": {"type": "number"}}},
}


def drift(
    columns: dict[str, str], subtypes: tuple[str, ...] = ("order",), before: tuple[str, ...] = ()
) -> list[tuple[str, ...]]:
    crawled = [CrawledTable("payment", subtypes, columns)]
    return [(line.kind.value, line.severity.value, line.field) for line in find_drift(crawled, CONTRACTS, before)]


@pytest.mark.parametrize(
    ("column", "seen"),
    [
        ("net", "double"),
        ("net", "int"),
        ("net", "decimal(12,2)"),
        ("voucher", "string"),
        ("voucher", "timestamp"),
        ("count", "bigint"),
        ("lines", "array<struct<a:int>>"),
        ("free", "map<string,int>"),
        ("event_uuid", "string"),
        ("_lake", "struct<day:string>"),
    ],
)
def test_what_fits_is_no_drift(column: str, seen: str) -> None:
    assert drift({column: seen}) == []


@pytest.mark.parametrize(("column", "seen"), [("net", "string"), ("count", "double"), ("lines", "struct<a:int>")])
def test_a_changed_type_is_breaking(column: str, seen: str) -> None:
    assert drift({column: seen}) == [("changed_type", "breaking", column)]


def test_a_new_field_comes_with_its_patch() -> None:
    crawled = [CrawledTable("payment", ("order",), {"gift": "struct<to:string,at:array<bigint>>"})]
    lines = find_drift(crawled, CONTRACTS)
    assert [(line.kind.value, line.severity.value) for line in lines] == [("new_field", "additive")]
    patches = contract_patches(lines, CONTRACTS)
    assert sorted(patches) == ["payment/order", "payment/refund"]
    assert patches["payment/order"]["properties"]["gift"] == {
        "type": "object",
        "properties": {"to": {"type": "string"}, "at": {"type": "array", "items": {"type": "integer"}}},
        "description": "",
        "x-pii": "none",
    }


def test_a_draft_keeps_new_fields_already() -> None:
    contracts = {"payment/order": {"properties": {}, "x-other-fields": True}}
    (line,) = find_drift([CrawledTable("payment", ("order",), {"gift": "int"})], contracts)
    assert line.severity.value == "notice"


def test_names_that_came_and_went() -> None:
    assert drift({}, ("order", "chargeback"), ("payment", "lesson")) == [
        ("vanished_type", "notice", ""),
        ("new_type", "additive", ""),
    ]


def test_what_cannot_be_said_stays_open() -> None:
    assert json_schema_of("binary") == {}
    assert json_schema_of("struct<a:decimal(12,2),b:string>")["properties"]["a"] == {"type": "number"}
