"""The contracts under include/contracts are accepted whole, and each type has what the promises need."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventlake.contract import ContractIndex, parse_contract
from eventlake.contract_terms import Field
from eventlake.row_rules import unchecked_rules
from eventlake.table_schema import contract_columns

FOLDER = Path(__file__).parents[2] / "include" / "contracts"
FILES = {f"{file.parent.name}/{file.stem}": file for file in sorted(FOLDER.glob("*/*.json"))}
SCHEMAS: dict[str, dict[str, Any]] = {key: json.loads(file.read_text(encoding="utf-8")) for key, file in FILES.items()}
CONTRACTS = ContractIndex(parse_contract(key, schema) for key, schema in SCHEMAS.items())
each_type = pytest.mark.parametrize("event_type", sorted(CONTRACTS.event_types))


def _all_fields(fields: tuple[Field, ...]) -> Iterator[Field]:
    for field in fields:
        yield field
        yield from _all_fields(field.fields)
        if field.items is not None:
            yield from _all_fields(field.items.fields)


def test_the_product_sends_a_hundred_names_of_twenty_types() -> None:
    names = [name for schema in SCHEMAS.values() for name in schema["x-event-names"]]
    assert len(CONTRACTS.event_types) >= 20
    assert len(names) == len(set(names)) >= 100
    assert {len(name.split(":")) for name in names} == {2, 3, 4}


@each_type
def test_every_field_of_a_type_is_a_typed_column_and_every_rule_is_checked(event_type: str) -> None:
    contracts = CONTRACTS.of_type(event_type)
    assert [column.name for column in contract_columns(contracts) if column.is_json_text] == []
    assert unchecked_rules(contracts) == ()


@each_type
def test_a_type_has_a_set_an_exact_number_an_object_and_a_rule_across_fields(event_type: str) -> None:
    contracts = CONTRACTS.of_type(event_type)
    fields = [field for contract in contracts for field in _all_fields(contract.fields)]
    assert any(keyword == "enum" for field in fields for keyword, _ in field.keywords)
    assert any(field.decimal for field in fields)
    assert any(field.kind == "object" for field in fields)
    assert any(contract.consequences for contract in contracts)


@pytest.mark.parametrize("key", SCHEMAS)
def test_a_contract_explains_itself(key: str) -> None:
    contract = CONTRACTS.of_type(key.partition("/")[0])
    contract = next(each for each in contract if each.key == key)
    assert len(contract.description) > 20
    assert all(len(field.description) > 6 for field in _all_fields(contract.fields))


def test_no_two_contracts_say_the_same() -> None:
    own = {key: frozenset(schema["properties"]) for key, schema in SCHEMAS.items()}
    alike = [
        (left, right)
        for left in own
        for right in own
        if left < right and len(own[left] & own[right]) > 0.7 * len(own[left] | own[right])
    ]
    assert alike == []
