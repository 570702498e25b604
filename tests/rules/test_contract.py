"""Contracts: what the dialect takes, and that it refuses all else by file, place, what was received and what to do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eventlake.contract import ContractError, ContractIndex, parse_contract
from eventlake.contract_terms import RESERVED_NAMES
from eventlake.errors import TerminalError
from eventlake.table_schema import ENVELOPE_COLUMNS, LINEAGE_COLUMNS, OTHER_FIELDS
from tests.contract_builders import a_contract, a_schema

TEXT = {"type": "string"}
PERSONAL = TEXT | {"x-pii": "personal"}
EURO = {"type": "number", "x-decimal": [12, 2]}


def test_a_contract_says_who_answers_for_what() -> None:
    # given / when
    contract = parse_contract(
        "include/contracts/payment/order.json",
        a_schema(
            {"amount": EURO | {"minimum": 0.1, "x-pii": "sensitive", "description": "gross"}},
            required=["amount"],
            description="An order was paid.",
            x_event_names=["payment:order", "payment:order:placed:again"],
            x_other_fields=True,
        ),
    )

    # then
    assert (contract.event_type, contract.event_subtype, contract.key) == ("payment", "order", "payment/order")
    assert (contract.owner, contract.retention_class, contract.keeps_other_fields) == ("payments", "standard", True)
    assert contract.event_names == ("payment:order", "payment:order:placed:again")
    (amount,) = contract.fields
    assert (amount.kind, amount.decimal, amount.required, amount.pii) == ("number", (12, 2), True, "sensitive")
    assert amount.keywords == (("minimum", Decimal("0.1")),)


def test_the_index_finds_by_type_and_subtype() -> None:
    # given
    order, refund, login = a_contract(), a_contract(key="payment/refund"), a_contract(key="account/login")

    # when
    index = ContractIndex([order, refund, login])

    # then
    assert index.find("payment", "refund") is refund
    assert index.find("payment", "login") is None
    assert index.of_type("payment") == (order, refund)
    assert index.event_types == ("account", "payment")
    assert len(index) == 3


def test_a_second_contract_for_a_pair_is_refused() -> None:
    with pytest.raises(ContractError, match="a second contract for payment/order"):
        ContractIndex([a_contract(), a_contract()])


REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    # keywords of the document, the place, a word of the message
    ({"type": ...}, "type", "'object'"),
    ({"oneOf": []}, "oneOf", "the keyword 'oneOf'"),
    ({"x_owner": ...}, "x-owner", "a text"),
    ({"x_owner": "  "}, "x-owner", "a text"),
    ({"x_retention_class": ...}, "x-retention-class", "a text"),
    ({"x_retention_class": "for ever"}, "x-retention-class", "one of short, standard"),
    ({"x_event_names": ...}, "x-event-names", "a list of full names"),
    ({"x_event_names": ["payment:refund"]}, "x-event-names[0]", "payment:order[:detail...]"),
    ({"x_event_names": ["payment:order:"]}, "x-event-names[0]", "payment:order[:detail...]"),
    ({"x_event_names": ["payment:order", "payment:order"]}, "x-event-names[1]", "each name once"),
    ({"x_other_fields": "yes"}, "x-other-fields", "true or false"),
    ({"additionalProperties": False}, "additionalProperties", "never wrong"),
    ({"required": ["amount"]}, "required", "describe it"),
    ({"properties": ["a"]}, "properties", "a JSON object"),
    ({"properties": {"a": {"type": "text"}}}, "properties.a.type", "string"),
    ({"properties": {"a": {"type": "json"}}}, "properties.a.type", "no type for JSON text"),
    ({"properties": {"a": {"type": ["string", "null"]}}}, "properties.a.type", "null means missing"),
    ({"properties": {"a": {"minimum": 1}}}, "properties.a.minimum", "the keyword 'minimum'"),
    ({"properties": {"a": TEXT | {"minimum": 1}}}, "properties.a.minimum", "for string"),
    ({"properties": {"a": TEXT | {"$ref": "#"}}}, "properties.a.$ref", "the keyword '$ref'"),
    ({"properties": {"a": TEXT | {"format": "ipv4"}}}, "properties.a.format", "date-time"),
    ({"properties": {"a": TEXT | {"pattern": "(?=a)"}}}, "properties.a.pattern", "the group '(?=a'"),
    ({"properties": {"a": TEXT | {"pattern": 5}}}, "properties.a.pattern", "no text"),
    ({"properties": {"a": TEXT | {"maxLength": -1}}}, "properties.a.maxLength", "from 0"),
    ({"properties": {"a": TEXT | {"maxLength": True}}}, "properties.a.maxLength", "from 0"),
    ({"properties": {"a": TEXT | {"enum": []}}}, "properties.a.enum", "a list of values"),
    ({"properties": {"a": TEXT | {"enum": ["x", 1]}}}, "properties.a.enum", "a value of type string"),
    ({"properties": {"a": {"type": "integer", "minimum": 0.5}}}, "properties.a.minimum", "a value of type integer"),
    ({"properties": {"a": {"type": "integer", "const": True}}}, "properties.a.const", "a value of type integer"),
    ({"properties": {"a": {"type": "integer", "x-decimal": [5, 2]}}}, "properties.a.x-decimal", "the keyword"),
    ({"properties": {"a": EURO | {"x-decimal": [39, 2]}}}, "properties.a.x-decimal", "precision 1 to 38"),
    ({"properties": {"a": EURO | {"x-decimal": [2, 3]}}}, "properties.a.x-decimal", "scale 0 to precision"),
    ({"properties": {"a": EURO | {"x-decimal": "12,2"}}}, "properties.a.x-decimal", "[precision, scale]"),
    ({"properties": {"a": TEXT | {"x-pii": "secret"}}}, "properties.a.x-pii", "sensitive"),
    ({"properties": {"a": PERSONAL | {"x-protect": "encrypt"}}}, "properties.a.x-protect", "one of hash, mask"),
    ({"properties": {"a": TEXT | {"x-protect": "hash"}}}, "properties.a.x-protect", "personal or sensitive"),
    (
        {"properties": {"a": {"type": "integer", "x-pii": "personal", "x-protect": "hash"}}},
        "properties.a.x-protect",
        "for integer",
    ),
    ({"properties": {"user id": TEXT}}, "properties.user id", "other_fields"),
    ({"properties": {"Load_ID": TEXT}}, "properties.Load_ID", "neither the envelope nor the lake"),
    ({"properties": {"note": TEXT, "Note": TEXT}}, "properties.Note", "differ in more than case"),
    (
        {"properties": {"o": {"type": "object", "properties": {"x": TEXT}, "required": ["y"]}}},
        "properties.o.required",
        "names among the properties: x",
    ),
    ({"if": {"required": ["a"]}, "properties": {"a": TEXT}}, "if", "`if` with its `then`"),
    (
        {"if": {"properties": {"a": {"const": "x"}}}, "then": {"required": ["a"]}, "properties": {"a": TEXT}},
        "if.properties.a",
        "add it: without it",
    ),
    (
        {"if": {"required": ["a"]}, "then": {"not": {}}, "properties": {"a": TEXT}},
        "then.not",
        "the keyword 'not'",
    ),
    ({"if": {"required": ["b"]}, "then": {}, "properties": {"a": TEXT}}, "if.required", "a field among the properties"),
    ({"allOf": [{"else": {}}]}, "allOf[0].else", "the keyword 'else'"),
    ({"x_rules": [{"name": "r"}], "properties": {"a": EURO}}, "x-rules[0].operator", "one of"),
    (
        {"x_rules": [{"name": "r", "left": "a", "operator": "<", "right": "b"}], "properties": {"a": EURO, "b": TEXT}},
        "x-rules[0]",
        "give both fields the same type",
    ),
    (
        {"x_rules": [{"name": "r", "left": "a", "operator": "<", "right": "z"}], "properties": {"a": EURO}},
        "x-rules[0].right",
        "a field among the properties: a",
    ),
    (
        {
            "x_rules": [{"name": "r", "left": "a", "operator": "<", "right": "b"}],
            "properties": {"a": TEXT | {"format": "date-time"}, "b": TEXT | {"format": "date-time"}},
        },
        "x-rules[0]",
        "no date-time",
    ),
]


@pytest.mark.parametrize(("keywords", "place", "word"), REFUSALS, ids=[f"{p}: {w}" for _, p, w in REFUSALS])
def test_what_lies_outside_the_dialect_is_refused_by_name(keywords: dict[str, Any], place: str, word: str) -> None:
    # when
    with pytest.raises(ContractError) as refusal:
        a_contract(**keywords)

    # then
    assert isinstance(refusal.value, TerminalError)
    assert (refusal.value.file, refusal.value.place) == ("payment/order.json", place)
    message = str(refusal.value)
    assert word in message
    assert "\n" not in message
    assert message.count("; ") >= 2, "what was received; what is valid; what to do next"


@pytest.mark.parametrize(
    "file", ["order.json", "Payment/order.json", "payment/order-1.json", f"payment/{'x' * 65}.json"]
)
def test_a_file_that_names_no_type_and_subtype_is_refused(file: str) -> None:
    with pytest.raises(ContractError, match="rename the file"):
        parse_contract(file, a_schema())


def test_no_field_may_take_a_name_that_the_tables_use() -> None:
    own_columns = {column.name for column in (*ENVELOPE_COLUMNS, *LINEAGE_COLUMNS)} | {OTHER_FIELDS}
    assert own_columns <= RESERVED_NAMES


def test_a_document_that_is_no_object_is_refused() -> None:
    with pytest.raises(ContractError, match="a JSON object"):
        parse_contract("payment/order", [])  # type: ignore[arg-type]  # what a file may hold, whatever the types say
