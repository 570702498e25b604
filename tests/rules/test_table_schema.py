"""Columns: the union over subtypes, what becomes JSON text, and the only ways in which a table may change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from eventlake.contract import ContractError
from eventlake.table_schema import (
    ENVELOPE_COLUMNS,
    LINEAGE_COLUMNS,
    AddColumn,
    Column,
    EvolutionError,
    WidenColumn,
    contract_columns,
    json_text_paths,
    plan_evolution,
    table_columns,
)
from tests.contract_builders import a_contract

TEXT = {"type": "string"}
WHOLE = {"type": "integer"}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def sql_types(*subtypes: dict[str, Any]) -> dict[str, str]:
    """The contract columns of a type whose subtypes have these properties."""
    contracts = [a_contract(each, key=f"payment/subtype_{number}") for number, each in enumerate(subtypes)]
    return {column.name: column.sql_type for column in contract_columns(contracts)}


def test_a_table_is_envelope_then_contracts_then_lineage() -> None:
    # given
    order = a_contract({"amount": WHOLE}, x_other_fields=True)
    refund = a_contract({"reason": TEXT}, key="payment/refund")

    # when
    names = [column.name for column in table_columns([order, refund])]

    # then
    envelope, lineage = [each.name for each in ENVELOPE_COLUMNS], [each.name for each in LINEAGE_COLUMNS]
    assert names == [*envelope, "amount", "reason", "other_fields", *lineage]
    assert "other_fields" not in [column.name for column in table_columns([refund])]


@pytest.mark.parametrize(
    ("schema", "sql_type"),
    [
        (TEXT, "string"),
        (TEXT | {"format": "date-time"}, "string"),
        (WHOLE, "bigint"),
        ({"type": "number"}, "double"),
        ({"type": "number", "x-decimal": [12, 2]}, "decimal(12,2)"),
        ({"type": "boolean"}, "boolean"),
        (an_object(a=TEXT, b=an_object(c=WHOLE)), "struct<a:string,b:struct<c:bigint>>"),
        ({"type": "array", "items": TEXT}, "array<string>"),
        ({"type": "array", "items": an_object(a=WHOLE)}, "array<struct<a:bigint>>"),
    ],
)
def test_a_field_becomes_a_typed_column(schema: dict[str, Any], sql_type: str) -> None:
    assert sql_types({"field": schema}) == {"field": sql_type}


@pytest.mark.parametrize(
    ("schema", "sql_type"),
    [
        ({}, "string"),
        ({"type": "array"}, "string"),
        ({"type": "array", "items": {"type": "array", "items": TEXT}}, "string"),
        (an_object(), "string"),
        (an_object(**{f"f{n}": TEXT for n in range(201)}), "string"),
        # three levels of names are columns, what lies below them is text
        (an_object(b=an_object(c=an_object(d=TEXT), e=TEXT)), "struct<b:struct<c:string,e:string>>"),
    ],
)
def test_what_has_no_column_type_is_json_text(schema: dict[str, Any], sql_type: str) -> None:
    assert sql_types({"field": schema}) == {"field": sql_type}


def test_an_object_of_200_leaves_is_still_a_struct() -> None:
    assert sql_types({"field": an_object(**{f"f{n}": TEXT for n in range(200)})})["field"].startswith("struct<")


def test_subtypes_are_united_and_conflicts_become_text_where_they_are() -> None:
    # given
    order = a_contract({"app": an_object(os=TEXT, build=WHOLE), "amount": WHOLE})
    refund = a_contract({"app": an_object(build=TEXT, locale=TEXT), "amount": {"type": "number"}}, key="payment/refund")

    # when
    columns = {column.name: column for column in contract_columns([order, refund])}

    # then
    assert columns["app"].sql_type == "struct<os:string,build:string,locale:string>"
    assert (columns["amount"].sql_type, columns["amount"].is_json_text) == ("string", True)
    assert json_text_paths([order, refund]) == {("amount",), ("app", "build")}


def test_a_column_is_as_personal_as_anything_in_it_and_says_all_that_is_said() -> None:
    # given
    order = a_contract({"who": an_object(name=TEXT | {"x-pii": "personal"}) | {"description": "the buyer"}})
    refund = a_contract({"who": an_object(name=TEXT) | {"description": "the payee"}}, key="payment/refund")

    # when
    (column,) = contract_columns([order, refund])

    # then
    assert (column.pii, column.comment) == ("personal", "the buyer; the payee")


@pytest.mark.parametrize(
    ("left", "right", "place"),
    [
        ({"note": TEXT}, {"Note": TEXT}, "properties.Note"),
        ({"o": an_object(x=TEXT)}, {"o": an_object(X=TEXT)}, "properties.o.properties.X"),
        (
            {"o": {"type": "array", "items": an_object(x=TEXT)}},
            {"o": {"type": "array", "items": an_object(X=TEXT)}},
            "properties.o.properties.X",
        ),
    ],
)
def test_spellings_that_fold_together_are_refused(left: dict[str, Any], right: dict[str, Any], place: str) -> None:
    with pytest.raises(ContractError, match="one spelling") as refusal:
        table_columns([a_contract(left), a_contract(right, key="payment/refund")])
    assert refusal.value.place == place


def test_a_table_grows_and_widens() -> None:
    # given
    existing = {
        "a": "int",
        "b": "float",
        "s": "struct<x:int,gone:string>",
        "l": "array<struct<y:string>>",
        "old": "date",
    }
    wanted = [
        Column("a", "bigint"),
        Column("b", "double"),
        Column("s", "struct<x:bigint,m:decimal(9,2),n:struct<d:decimal(12,2),e:string>>"),
        Column("l", "array<struct<y:string,z:double>>"),
        Column("new", "string", "what it is"),
    ]

    # when
    changes = plan_evolution("events.payment_events", existing, wanted)

    # then
    assert changes == (
        WidenColumn(("a",), "int", "bigint"),
        WidenColumn(("b",), "float", "double"),
        WidenColumn(("s", "x"), "int", "bigint"),
        AddColumn(("s", "m"), "decimal(9,2)"),
        AddColumn(("s", "n"), "struct<d:decimal(12,2),e:string>"),
        AddColumn(("l", "[]", "z"), "double"),
        AddColumn(("new",), "string", "what it is"),
    )
    assert changes[5].dotted == "l.element.z"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bigint", "int"), ("bigint", "string"), ("string", "bigint"), ("double", "float"), ("bigint", "double"),
        ("decimal(12,2)", "decimal(14,2)"), ("struct<x:bigint>", "string"), ("array<string>", "array<bigint>"),
        ("struct<x:bigint>", "struct<x:string>"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_words(old: str, new: str) -> None:
    with pytest.raises(EvolutionError) as refusal:
        plan_evolution("events.payment_events", {"a": old}, [Column("a", new)])
    message = str(refusal.value)
    assert "events.payment_events" in message
    assert "would become" in message
    assert "give the field a new name" in message


def test_all_refusals_are_named_at_once() -> None:
    wanted = [Column("a", "string"), Column("B", "string"), Column("c", "string")]
    with pytest.raises(EvolutionError, match=r"a is bigint.*B differs only in case from the column b"):
        plan_evolution("events.payment_events", {"a": "bigint", "b": "string"}, wanted)


_SHAPES = st.recursive(
    st.sampled_from(["string", "bigint", "double", "boolean", "decimal(12,2)"]),
    lambda inner: st.one_of(
        inner.map(lambda each: f"array<{each}>"),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(
            lambda fields: f"struct<{','.join(f'{name}:{each}' for name, each in fields.items())}>"
        ),
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from("xyz"), _SHAPES))
@hypothesis_settings(max_examples=40)
def test_a_table_that_fits_needs_no_change(existing: dict[str, str]) -> None:
    wanted = [Column(name, sql_type) for name, sql_type in existing.items()]
    assert plan_evolution("events.x", existing, wanted) == ()
    assert [change.path for change in plan_evolution("events.x", {}, wanted)] == [(name,) for name in existing]
