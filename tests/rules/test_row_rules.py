"""Row rules: what each keyword means, that a bad line is explained, and that JSON Schema's own library agrees."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlake.event_json import parse_event
from eventlake.row_rules import (
    UNCONDITIONAL_REASONS,
    Explanation,
    QuarantineReason,
    broken_rules,
    explain_line,
    fits_decimal,
    row_rules,
    table_rules,
    unchecked_rules,
)
from tests.contract_builders import a_contract, a_line
from tests.json_schema_judge import objections

EURO = {"type": "number", "x-decimal": [12, 2]}


def broken_names(properties: dict[str, Any], event: str, **keywords: Any) -> list[str]:
    """The rules that an event of payment:order breaks, without the part that names the subtype."""
    rules = row_rules(a_contract(properties, **keywords))
    parsed = parse_event(event)
    parsed["event_subtype"] = "order"
    broken = broken_rules(rules, parsed)
    return [rule.name.split(".", 1)[1] for rule in broken]


@pytest.mark.parametrize(
    ("schema", "value", "keyword"),
    [
        ({"type": "integer"}, "1", None),
        ({"type": "integer"}, "null", None),
        ({"type": "integer"}, "1.0", "type"),
        ({"type": "integer"}, "1e2", "type"),
        ({"type": "integer"}, "true", "type"),
        ({"type": "integer"}, '"1"', "type"),
        ({"type": "integer"}, "9223372036854775807", None),
        ({"type": "integer"}, "9223372036854775808", "type"),
        ({"type": "integer"}, "-9223372036854775808", None),
        ({"type": "integer"}, "-9223372036854775809", "type"),
        ({"type": "number"}, "5", None),
        ({"type": "number"}, "1e400", "type"),
        ({"type": "number"}, "1e99999999999999999999", "type"),
        ({"type": "number"}, "false", "type"),
        ({"type": "string"}, "5", "type"),
        ({"type": "boolean"}, "0", "type"),
        ({"type": "object", "properties": {}}, "5", None),  # an object of nothing is JSON text
        (EURO, "1.25", None),
        (EURO, "1.250", None),
        (EURO, "1.251", "decimal"),
        (EURO, "9999999999.99", None),
        (EURO, "10000000000", "decimal"),
        (EURO, "1e-1000", "decimal"),
        (EURO, "1e1000000", "type"),
        (EURO, '"1.25"', "type"),
        (EURO | {"minimum": 0.1}, "0.1", None),
        (EURO | {"minimum": 0.1}, "0.09", "minimum"),
        # a double is compared as one: this text is the double 0.1
        ({"type": "number", "minimum": 0.1}, "0.09999999999999999999999", None),
        ({"type": "number", "exclusiveMinimum": 0.1}, "0.1000000000000000000001", "exclusiveMinimum"),
        ({"type": "integer", "maximum": 9007199254740992}, "9007199254740993", "maximum"),
        ({"type": "integer", "exclusiveMaximum": 3}, "3", "exclusiveMaximum"),
        ({"type": "integer", "enum": [1, 2]}, "3", "enum"),
        ({"type": "integer", "const": 1}, "1", None),
        (EURO | {"const": 1.5}, "1.50", None),
        ({"type": "boolean", "const": True}, "false", "const"),
        ({"type": "string", "enum": ["EUR"]}, '"eur"', "enum"),
        ({"type": "string", "minLength": 2}, '"\\ud83d\\ude00"', "minLength"),
        ({"type": "string", "maxLength": 1}, '"\\ud83d\\ude00"', None),
        ({"type": "string", "pattern": "^\\?$"}, '"\\ud800"', None),
        ({"type": "string", "pattern": "^a$"}, '"a\\n"', "pattern"),
        ({"type": "string", "pattern": "b"}, '"abc"', None),
        ({"type": "string", "format": "date"}, '"2023-02-29"', "format"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, "[1]", "minItems"),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 2}, "[1, null, null]", "maxItems"),
        ({"type": "array", "items": {"type": "integer"}}, "[]", None),
        ({"type": "array", "items": {"type": "integer"}}, "5", "type"),
    ],
)
def test_what_a_keyword_means(schema: dict[str, Any], value: str, keyword: str | None) -> None:
    # when
    broken = broken_names({"field": schema}, f'{{"field": {value}}}')

    # then
    assert broken[:1] == ([] if keyword is None else [f"field.{keyword}"])


def test_missing_is_null_and_only_required_minds() -> None:
    properties = {"note": {"type": "string", "minLength": 1}}
    assert broken_names(properties, "{}") == []
    assert broken_names(properties, '{"note": null}', required=["note"]) == ["note.required"]


def test_required_in_an_object_minds_only_where_the_object_is() -> None:
    properties = {"address": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
    assert broken_names(properties, "{}") == []
    assert broken_names(properties, '{"address": {}}') == ["address.city.required"]


def test_every_item_obeys() -> None:
    line = {"type": "object", "properties": {"sku": {"type": "string", "maxLength": 3}}, "required": ["sku"]}
    properties = {"lines": {"type": "array", "items": line}}
    assert broken_names(properties, '{"lines": [{"sku": "abc"}, null]}') == []
    assert broken_names(properties, '{"lines": [{"sku": "abc"}, {"sku": "abcd"}, {}]}') == [
        "lines[].sku.required",
        "lines[].sku.maxLength",
    ]


def test_of_a_repeated_name_the_last_value_counts() -> None:
    properties = {"count": {"type": "integer", "maximum": 9}, "note": {"type": "string"}}
    assert broken_names(properties, '{"count": 10, "count": 1}') == []
    assert broken_names(properties, '{"count": 1, "count": 10}') == ["count.maximum"]
    assert broken_names(properties, '{"count": "1", "count": 1, "note": 5, "note": "x"}') == []
    assert broken_names(properties, '{"note": "x", "note": 5}') == ["note.type"]
    # what is replaced by null is missing
    assert broken_names(properties, '{"count": "1", "count": null}') == []


def test_if_then_binds_only_where_the_condition_holds() -> None:
    keywords: dict[str, Any] = {
        "if_": {"properties": {"state": {"const": "paid"}}, "required": ["state"]},
        "then": {"required": ["paid_at"], "properties": {"amount": {"minimum": 1}}},
    }
    properties = {"state": {"type": "string"}, "paid_at": {"type": "string"}, "amount": {"type": "integer"}}
    assert broken_names(properties, '{"state": "open", "amount": 0}', **keywords) == []
    assert broken_names(properties, '{"amount": 0}', **keywords) == []
    assert broken_names(properties, '{"state": "paid", "amount": 0}', **keywords) == [
        "paid_at.required.if1",
        "amount.minimum.if2",
    ]


@pytest.mark.parametrize(
    ("schema", "left", "operator", "right", "holds"),
    [
        (EURO, "0.1", "<=", "0.10", True),
        (EURO, "0.11", "<=", "0.10", False),
        ({"type": "integer"}, "9007199254740993", "==", "9007199254740992", False),
        ({"type": "number"}, "9007199254740993.0", "==", "9007199254740992.0", True),
        ({"type": "string"}, '"b"', ">", '"a"', True),
        ({"type": "string"}, '"a"', "!=", '"a"', False),
        (EURO, "5", "<", "null", True),
    ],
)
def test_fields_are_compared(schema: dict[str, Any], left: str, operator: str, right: str, holds: bool) -> None:
    rule = {"name": "in_order", "left": "a", "operator": operator, "right": "b"}
    broken = broken_names({"a": schema, "b": schema}, f'{{"a": {left}, "b": {right}}}', x_rules=[rule])
    assert broken == ([] if holds else ["in_order"])


def test_types_bind_all_subtypes_of_a_table_and_the_rest_binds_its_own() -> None:
    # given
    order = a_contract({"amount": {"type": "integer", "minimum": 1}, "coupon": {"type": "string"}}, required=["coupon"])
    refund = a_contract({"reason": {"type": "string", "enum": ["late"]}}, key="payment/refund")
    rules = table_rules([order, refund])

    # when
    broken = broken_rules(rules, parse_event('{"event_name": "payment:refund:asked", "amount": "x", "reason": "x"}'))

    # then
    assert [rule.name for rule in broken] == ["any.amount.type", "refund.reason.enum"]


def test_json_text_is_not_looked_into_and_that_is_said() -> None:
    # given subtypes that disagree on a type
    order = a_contract({"amount": {"type": "integer", "minimum": 1}}, required=["amount"])
    refund = a_contract({"amount": {"type": "string"}}, key="payment/refund")

    # when
    rules, unchecked = table_rules([order, refund]), unchecked_rules([order, refund])

    # then
    assert [rule.name for rule in rules] == ["order.amount.required"]
    assert [rule.name for rule in unchecked] == ["order.amount.minimum"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (a_line(amount=5), None),
        (a_line(amount=5, event_uuid=...), ("unreadable", "envelope.event_uuid.required", "event_uuid")),
        (a_line(created_datetime="now"), ("unreadable", "envelope.created_datetime.format", "created_datetime")),
        (a_line(_lake={}), ("unreadable", "envelope._lake.ingested_at.required", "_lake.ingested_at")),
        (a_line(amount="5"), ("wrong_type", "any.amount.type", "amount")),
        (a_line(amount=-5), ("out_of_range", "order.amount.minimum", "amount")),
        (a_line(), ("missing_required", "order.amount.required", "amount")),
        (a_line(amount=5, currency="EURO"), ("bad_format", "order.currency.pattern", "currency")),
        (a_line(amount=5, tags=["x"]), ("not_in_set", "order.tags[].enum", "tags[]")),
        (a_line(amount=5, net=6), ("cross_field", "order.net_below", "net")),
        (a_line(amount=0), ("cross_field", "order.currency.required.if1", "currency")),
    ],
)
def test_a_bad_line_is_explained(line: str, expected: tuple[str, str, str] | None) -> None:
    # given
    properties = {
        "amount": {"type": "integer", "minimum": 0},
        "net": {"type": "integer"},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "tags": {"type": "array", "items": {"type": "string", "enum": ["new"]}},
    }
    below = {"name": "net_below", "left": "net", "operator": "<=", "right": "amount"}
    of_nothing = {"properties": {"amount": {"const": 0}}, "required": ["amount"]}
    names_currency = {"required": ["currency"]}
    keywords: dict[str, Any] = {"if_": of_nothing, "then": names_currency, "x_rules": [below]}
    rules = row_rules(a_contract(properties, required=["amount"], **keywords))

    # when / then
    assert explain_line(line, rules) == expected
    assert explain_line(line.encode(), rules) == explain_line(line, rules)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "5", "{}{}", '{"a": NaN}', '{"a": -Infinity}', "{'a': 1}", '{"a": 1,}', '{"a": "\t"}',
        pytest.param(f'{{"a": {"1" * 1001}}}', id="a long number"), b'{"a": "\xff"}',
        pytest.param('{"a":' * 100_000, id="deep"),
    ],
)  # fmt: skip
def test_what_is_no_strict_json_object_is_unreadable(text: str | bytes) -> None:
    assert explain_line(text, ()) == Explanation(QuarantineReason.UNREADABLE, "envelope.json", None)


def test_every_keyword_has_a_reason() -> None:
    properties = {
        "text": {"type": "string", "const": "a", "enum": ["a"], "format": "date", "pattern": "a", "minLength": 1}
        | {"maxLength": 2},
        "amount": EURO | {"minimum": 1, "maximum": 2, "exclusiveMinimum": 0, "exclusiveMaximum": 3},
        "list": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
    }
    below = {"name": "below", "left": "amount", "operator": "<=", "right": "amount"}
    rules = row_rules(a_contract(properties, required=["text"], x_rules=[below]))
    assert {rule.keyword for rule in rules} == set(UNCONDITIONAL_REASONS)
    assert all(rule.reason in QuarantineReason for rule in rules)


@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=None),
    st.integers(1, 12),
    st.data(),
)
@settings(max_examples=60)
def test_a_decimal_fits_when_nothing_is_lost(value: Decimal, precision: int, data: st.DataObject) -> None:
    scale = data.draw(st.integers(0, precision))
    as_fraction = value.as_integer_ratio()
    is_whole = (as_fraction[0] * 10**scale) % as_fraction[1] == 0
    is_small = abs(as_fraction[0]) < 10 ** (precision - scale) * as_fraction[1]
    assert fits_decimal(value, precision, scale) is (is_whole and is_small)


# ------------------------------------------------------------------- JSON Schema's own library as a second judge


_TEXTS = st.sampled_from(["", "a", "ab", "abc", "EUR", "é", "😀", "2024-02-29", "2023-02-29", "1"])
_WHOLES = st.sampled_from([-(2**63) - 1, -1, 0, 1, 2, 3, 2**53 + 1, 2**63])
_EXACTS = st.sampled_from(["0", "0.1", "0.10", "0.15", "1.5", "-2.25", "99.99", "100", "1e1"]).map(Decimal)
_BOUNDS = {"minimum": 0, "maximum": 2, "exclusiveMinimum": 0, "exclusiveMaximum": 3}
_SCALARS = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "minLength": st.integers(0, 2),
            "maxLength": st.integers(0, 3),
            "pattern": st.sampled_from(["^[A-Z]+", "a", "^.b", "^[a-c]{2,3}"]),
            "enum": st.lists(_TEXTS, min_size=1, max_size=4, unique=True),
            "const": _TEXTS,
            "format": st.just("date"),
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("integer")},
        optional={name: st.just(value) for name, value in _BOUNDS.items()}
        | {"enum": st.lists(st.integers(-1, 3), min_size=1, max_size=3, unique=True)},
    ),
    st.fixed_dictionaries(
        {"type": st.just("number"), "x-decimal": st.sampled_from([[3, 1], [4, 2], [12, 0]])},
        optional={name: st.just(Decimal(value) / 8) for name, value in _BOUNDS.items()},
    ),
    st.fixed_dictionaries({"type": st.just("boolean")}, optional={"const": st.booleans()}),
)
_NAMES = ("a", "b", "c")


# drawn from inside plain functions: a strategy that is made anew for each example costs more than what it draws
_DIGITS, _SMALL, _COINS, _ITEMS_MOST = st.integers(0, 9), st.integers(-1, 3), st.booleans(), st.integers(0, 2)
_LEAVES = st.one_of(st.none(), st.booleans(), _TEXTS, _WHOLES, _EXACTS)
_VALUES = {
    "string": _TEXTS,
    "integer": _SMALL | _WHOLES,
    "number": _EXACTS | st.integers(-1, 2),
    "boolean": _COINS,
}
_ARRAY_BOUNDS = st.fixed_dictionaries({}, optional={"minItems": _ITEMS_MOST, "maxItems": _ITEMS_MOST})
_SOME_NAMES = st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3, unique=True)
_SHAPES = st.sampled_from(["scalar", "scalar", "object", "array", "array of objects"])


def _an_object(draw: st.DrawFn, field: Callable[[st.DrawFn], dict[str, Any]]) -> dict[str, Any]:
    names = draw(_SOME_NAMES)
    return {
        "type": "object",
        "properties": {name: field(draw) for name in names},
        "required": [name for name in names if draw(_COINS)],
    }


def _a_scalar(draw: st.DrawFn) -> dict[str, Any]:
    return draw(_SCALARS)


def _a_field(draw: st.DrawFn) -> dict[str, Any]:
    match draw(_SHAPES):
        case "scalar":
            return _a_scalar(draw)
        case "object":
            return _an_object(draw, _a_scalar)
        case "array":
            return {"type": "array", "items": _a_scalar(draw), **draw(_ARRAY_BOUNDS)}
        case _:
            return {"type": "array", "items": _an_object(draw, _a_scalar), **draw(_ARRAY_BOUNDS)}


def _a_value_for(draw: st.DrawFn, schema: dict[str, Any]) -> Any:
    """Mostly a value of the right type, so that the other keywords get their turn."""
    if draw(_DIGITS) == 0:
        return draw(_LEAVES)
    match schema["type"]:
        case "object":
            return _an_event_for(draw, schema)
        case "array":
            return [_a_value_for(draw, schema["items"]) for _ in range(draw(_ITEMS_MOST))]
        case kind:
            wanted = schema.get("enum") if draw(_COINS) else None
            return draw(_VALUES[kind]) if wanted is None else wanted[draw(_DIGITS) % len(wanted)]


def _an_event_for(draw: st.DrawFn, schema: dict[str, Any]) -> dict[str, Any]:
    return {name: _a_value_for(draw, inner) for name, inner in schema["properties"].items() if draw(_COINS)}


@st.composite
def _contracts_and_events(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    schema = _an_object(draw, _a_field)
    scalars = [name for name, each in schema["properties"].items() if each["type"] in ("string", "integer")]
    if scalars and draw(_COINS):
        every = sorted(schema["properties"])
        name, other = scalars[draw(_DIGITS) % len(scalars)], every[draw(_DIGITS) % len(every)]
        value = draw(_TEXTS if schema["properties"][name]["type"] == "string" else _SMALL)
        schema["if"] = {"properties": {name: {"const": value}}, "required": [name]}
        schema["then"] = {"required": [other]}
    return schema, _an_event_for(draw, schema)


def _as_text(event: dict[str, Any]) -> str:
    """JSON with exact numbers as they are."""
    marked = json.dumps(event, default=lambda number: f"\0{number}\0")
    return marked.replace('"\\u0000', "").replace('\\u0000"', "")


@given(_contracts_and_events())
@settings(max_examples=100, deadline=None)
def test_the_library_of_json_schema_agrees(case: tuple[dict[str, Any], dict[str, Any]]) -> None:
    # given
    schema, event = case
    contract = a_contract(**{("if_" if name == "if" else name): value for name, value in schema.items()})

    # when
    line = parse_event(_as_text(event))
    broken = broken_rules(row_rules(contract), line | {"event_subtype": "order"})

    # then
    errors = objections(schema, line)
    assert bool(broken) == bool(errors), (broken, errors)
