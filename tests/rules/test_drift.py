"""What crawlers saw against the contracts."""

from __future__ import annotations

from typing import Any

import pytest

from eventlake.contract import Contract, ContractIndex
from eventlake.contract_draft import SeenSubtype
from eventlake.crawled_types import crawled_type, json_schema_of, merged
from eventlake.drift import CrawledSubtype, DriftLine, find_drift, weighed
from eventlake.event_json import parse_event
from tests.contract_builders import a_contract

LINES = {
    "type": "array",
    "items": {"type": "object", "properties": {"Net": {"type": "number"}, "sku": {"type": "string"}}},
}
ORDER = a_contract(
    {
        "net": {"type": "number"},
        "Voucher": {"type": "string"},
        "count": {"type": "integer"},
        "lines": LINES,
        "address": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "free": {},
    }
)
REFUND = a_contract({"net": {"type": "number"}}, key="payment/refund", required=["net"])


def drift(
    columns: dict[str, str],
    contract: Contract = ORDER,
    before: tuple[tuple[str, str], ...] = (),
    *others: Contract,
) -> list[DriftLine]:
    seen = {name: crawled_type(text) for name, text in columns.items()}
    crawled = CrawledSubtype(contract.event_type, contract.event_subtype, seen)
    return find_drift([crawled], ContractIndex([contract, *others]), before)


def told(lines: list[DriftLine], *, missing: bool = False) -> list[tuple[str, str, str]]:
    """Kind, severity and field; without what only did not come."""
    return [
        (line.kind.value, line.severity.value, line.field)
        for line in lines
        if missing or (line.kind.value, line.severity.value) != ("missing_field", "notice")
    ]


@pytest.mark.parametrize(
    ("column", "seen"),
    [
        ("net", "double"),
        ("net", "int"),
        ("net", "decimal(12,2)"),
        ("voucher", "string"),
        ("voucher", "timestamp"),
        ("count", "bigint"),
        ("lines", "array<struct<net:int,sku:string>>"),
        ("address", "struct<city:string>"),
        ("free", "map<string,int>"),
        ("event_uuid", "string"),
        ("_lake", "struct<day:string>"),
    ],
)
def test_what_fits_is_no_drift(column: str, seen: str) -> None:
    assert told(drift({column: seen})) == []


@pytest.mark.parametrize(
    ("column", "seen", "field"),
    [
        ("net", "string", "net"),
        ("count", "double", "count"),
        ("lines", "struct<a:int>", "lines"),
        ("lines", "array<struct<net:boolean>>", "lines[].Net"),
        ("address", "struct<city:int>", "address.city"),
    ],
)
def test_a_changed_type_is_breaking_wherever_it_lies(column: str, seen: str, field: str) -> None:
    assert told(drift({column: seen})) == [("changed_type", "breaking", field)]


@pytest.mark.parametrize(
    ("column", "seen", "field"),
    [
        ("gift", "int", "gift"),
        ("lines", "array<struct<gift:int>>", "lines[].gift"),
        ("address", "struct<city:string,zip:int>", "address.zip"),
    ],
)
def test_a_new_field_is_told_of_the_subtype_that_sends_it(column: str, seen: str, field: str) -> None:
    lines = drift({column: seen}, ORDER, (), REFUND)
    assert told(lines) == [("new_field", "additive", field)]
    assert lines[0].subtype == ("payment", "order")


def test_what_is_kept_anyway_or_cannot_be_named_is_a_notice() -> None:
    draft = a_contract(x_other_fields=True)
    assert told(drift({"gift": "int"}, draft)) == [("new_field", "notice", "gift")]
    assert told(drift({"a b": "int"}, a_contract())) == [("new_field", "notice", "a b")]


def test_a_missing_field_breaks_a_contract_that_requires_it_and_only_where_its_holder_came() -> None:
    assert told(drift({"count": "int"}, REFUND)) == [
        ("new_field", "additive", "count"),
        ("missing_field", "breaking", "net"),
    ]
    assert told(drift({"address": "struct<zip:int>"})) == [
        ("missing_field", "breaking", "address.city"),
        ("new_field", "additive", "address.zip"),
    ]
    assert told(drift({}), missing=True) == [
        ("missing_field", "notice", name) for name in ("Voucher", "address", "count", "free", "lines", "net")
    ]


def test_what_the_table_keeps_as_json_text_is_not_looked_into() -> None:
    refund = a_contract({"lines": {"type": "string"}}, key="payment/refund")
    assert told(drift({"lines": "array<struct<net:boolean>>"}, ORDER, (), refund)) == []


def test_types_that_came_and_went() -> None:
    before = (("payment", "order"), ("payment", "refund"), ("lesson", "exercise"), ("lesson", ""))
    assert [(line.kind.value, line.subtype) for line in drift({}, a_contract(), before)] == [
        ("vanished_type", ("lesson", "")),
        ("vanished_subtype", ("payment", "refund")),
    ]
    (new,) = find_drift([CrawledSubtype("payment", "chargeback", {})], ContractIndex([ORDER]))
    assert (new.kind.value, new.severity.value, new.event_subtype) == ("new_type", "additive", "chargeback")


@pytest.mark.parametrize(
    ("columns", "events", "severity"),
    [
        # always null, or in other files only: a crawler calls that a text
        ({"net": "string"}, ['{"net":null}'], "notice"),
        ({"net": "string"}, ['{"net":1}', '{"net":1.5}'], "notice"),
        ({"net": "string"}, ['{"net":1}', '{"net":"1"}'], "breaking"),
        ({"net": "string"}, [], "breaking"),
        ({"net": "boolean"}, ['{"net":1}'], "breaking"),
        ({"lines": "array<string>"}, ['{"lines":[]}'], "notice"),
        ({"address": "struct<zip:int>"}, ['{"address":{"CITY":"x"}}'], "notice"),
        ({"address": "struct<zip:int>"}, ['{"address":{"zip":1}}'], "breaking"),
    ],
)
def test_lines_of_raw_outweigh_a_guess(columns: dict[str, str], events: list[str], severity: str) -> None:
    sample = SeenSubtype()
    for event in events:
        sample.add("payment:order", parse_event(event))
    found = [line for line in drift(columns) if line.severity.value == "breaking"]
    assert len(found) == 1
    assert [line.severity.value for line in weighed(found, {("payment", "order"): sample})] == [severity]


def test_several_folders_are_one() -> None:
    left, right = crawled_type("struct<a:int,b:array<int>>"), crawled_type("struct<b:array<double>,c:decimal(9,2)>")
    both = merged(left, right)
    assert str(both) == "struct<a:int,b:array<double or int>,c:decimal(9,2)>"
    assert str(merged(both, crawled_type("string"))).startswith("string or struct<")
    assert merged(crawled_type("decimal(9,2)"), crawled_type("decimal(6,4)")).decimal == (11, 4)


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("binary", {}),
        ("timestamp", {"type": "string", "format": "date-time"}),
        ("date", {"type": "string", "format": "date"}),
        ("decimal(12,2)", {"type": "number", "x-decimal": [12, 2]}),
        ("array<array<int>>", {}),
        (
            "struct<at:array<bigint>,on:boolean>",
            {
                "type": "object",
                "properties": {"at": {"type": "array", "items": {"type": "integer"}}, "on": {"type": "boolean"}},
            },
        ),
    ],
)
def test_a_type_as_a_property(text: str, schema: dict[str, Any]) -> None:
    assert json_schema_of(crawled_type(text)) == schema
