"""Columns: the union over subtypes, and what becomes JSON text."""

from __future__ import annotations

from typing import Any

import pytest

from eventlake.contract import ContractError
from eventlake.table_schema import (
    ENVELOPE_COLUMNS,
    LINEAGE_COLUMNS,
    contract_columns,
    json_text_paths,
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
