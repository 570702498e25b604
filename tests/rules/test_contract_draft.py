"""Drafts: whatever was seen, the drafted contract is valid and sends none of it to quarantine."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from eventlake.contract import Contract, parse_contract
from eventlake.contract_draft import SeenEvents, draft_suite, draft_type, why_no_fit
from eventlake.definitions import parse_suite
from eventlake.event_json import parse_event
from eventlake.row_rules import broken_rules, table_rules
from eventlake.table_schema import contract_columns, table_columns
from tests.contract_builders import a_contract


def drafts_of(*lines: str, event_type: str = "shop") -> list[Contract]:
    """The contracts drafted for one type from lines as their sender sent them."""
    seen = SeenEvents()
    for line in lines:
        seen.add(parse_event(line))
    subtypes = {subtype: each for (of_type, subtype), each in seen.subtypes.items() if of_type == event_type}
    schemas = draft_type(subtypes, event_type, "unowned")
    return [parse_contract(f"{event_type}/{subtype}", schema) for subtype, schema in schemas.items()]


def sql_types(*lines: str) -> dict[str, str]:
    return {column.name: column.sql_type for column in contract_columns(drafts_of(*lines))}


def a_sale(**fields: Any) -> str:
    return json.dumps({"event_uuid": "u", "event_name": "shop:sale", "created_at": 1, **fields})


def test_a_draft_says_what_was_seen() -> None:
    # when
    (contract,) = drafts_of(
        a_sale(note="x", count=1, paid=True, at={"city": "x", "userEmail": "y"}, tags=["x"]),
        a_sale(event_name="shop:sale:online:app", price=1.5, count=None),
    )

    # then
    assert contract.event_names == ("shop:sale", "shop:sale:online:app")
    assert contract.keeps_other_fields
    assert not any(field.required or field.keywords for field in contract.fields)
    columns = {column.name: column for column in contract_columns([contract])}
    assert {name: column.sql_type for name, column in columns.items()} == {
        "note": "string",
        "count": "bigint",
        "paid": "boolean",
        "at": "struct<city:string,userEmail:string>",
        "tags": "array<string>",
        "price": "double",
    }
    assert columns["at"].pii == "personal"


def test_a_field_means_the_same_in_all_subtypes() -> None:
    lines = [a_sale(price=1, code=5), a_sale(event_name="shop:refund", price=1.5, code="x")]
    assert sql_types(*lines) == {"price": "double", "code": "string"}


def test_numbers_that_no_column_holds_exactly_stay_text() -> None:
    beyond_64_bits = '{"event_name": "shop:sale", "n": 123456789012345678901}'
    beyond_doubles = '{"event_name": "shop:sale", "n": 0.1234567890123456789}'
    large = '{"event_name": "shop:sale", "n": 9007199254740993}'
    fraction = '{"event_name": "shop:sale", "n": 1.5}'
    assert sql_types(beyond_64_bits) == sql_types(beyond_doubles) == sql_types(large, fraction) == {"n": "string"}
    assert sql_types(large) == {"n": "bigint"}


def test_names_that_cannot_be_columns_stay_in_other_fields() -> None:
    lines = [a_sale(**{"user id": 1, "load_id": 2, "Note": "x", "note": "y"}), a_sale(note="z"), a_sale(nothing=None)]
    assert sql_types(*lines) == {"note": "string"}


def test_an_object_whose_names_are_data_is_text() -> None:
    assert sql_types(a_sale(scores={"a-b": 1}), a_sale(wide={f"k{n}": n for n in range(300)})) == {
        "scores": "string",
        "wide": "string",
    }


def test_events_without_a_valid_name_are_counted_and_passed_over() -> None:
    seen = SeenEvents()
    for name in ("signup", "Shop:sale", "shop:", None, 5, f"shop:{'x' * 65}"):
        seen.add({"event_name": name})
    assert (seen.without_valid_name, seen.subtypes) == (6, {})


def test_drafts_that_would_change_a_table_do_not_fit_it() -> None:
    order = a_contract({"amount": {"type": "integer"}})
    tip, gift = (a_contract({"amount": {"type": each}}, key="payment/gift") for each in ("integer", "string"))
    assert why_no_fit("events.payment_events", [order], [tip]) is None
    misfit = why_no_fit("events.payment_events", [order], [gift])
    assert misfit is not None
    assert "amount is bigint and would become string" in misfit


def test_drafts_that_would_leave_a_rule_unchecked_do_not_fit() -> None:
    # given: a text column either way, so that no column would change
    order = a_contract({"note": {"type": "string", "maxLength": 9}})
    gift = a_contract({"note": {}}, key="payment/gift")
    misfit = why_no_fit("events.payment_events", [order], [gift])
    assert misfit is not None
    assert "order.note.maxLength" in misfit


def test_a_drafted_suite_is_one() -> None:
    suite = parse_suite("shop", draft_suite("shop", ["shop:sale", "shop:refund"]))
    columns = {column.name for column in table_columns(drafts_of(a_sale()))}
    assert {each.kwargs["column"] for each in suite.expectations} <= columns
    assert all(each.why for each in suite.expectations)


_NAMES = st.sampled_from(["a", "A", "b", "c", "a b", "load_id", "e_mail", ""])
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), _FLOATS, st.text("xé😀", max_size=2))
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=3)),
    max_leaves=8,
)


@given(
    st.lists(st.tuples(st.sampled_from(["sale", "refund"]), st.dictionaries(_NAMES, _VALUES, max_size=4)), max_size=5)
)
@settings(max_examples=40, deadline=None)
def test_no_event_breaks_the_contract_drafted_from_it(events: list[tuple[str, dict[str, Any]]]) -> None:
    # given
    lines = [json.dumps(fields | {"event_name": f"shop:{subtype}"}) for subtype, fields in events]

    # when
    contracts = drafts_of(*lines)

    # then
    rules = table_rules(contracts)
    assert [broken_rules(rules, parse_event(line)) for line in lines] == [[]] * len(lines)
    assert len(table_columns(contracts)) >= len(contract_columns(contracts))
