"""What an edit of contracts does to what has landed, in words."""

from __future__ import annotations

from typing import Any

import pytest

from eventlake.contract import ContractIndex
from eventlake.contract_changes import Landed, contract_changes
from tests.contract_builders import a_contract

WHOLE = {"type": "integer"}
NET = {"net": WHOLE}


def lines(before: Any, after: Any) -> list[str]:
    return [str(change) for change in contract_changes(ContractIndex([before]), ContractIndex([after]))]


def test_what_left_without_a_contract_is_refused_where_it_has_landed() -> None:
    names = ["payment:order", "payment:order:gift"]
    order, refund = a_contract(x_event_names=names), a_contract(key="payment/refund")
    changes = contract_changes(ContractIndex([order, refund]), ContractIndex([a_contract()]))
    assert [(change.contract, change.refused_if_landed) for change in changes] == [
        ("payment/order", (Landed.NAME, "payment:order:gift")),
        ("payment/refund", (Landed.SUBTYPE, "refund")),
    ]


def test_what_stays_and_what_is_new_is_no_change() -> None:
    assert lines(a_contract(NET), a_contract(NET | {"gift": {"type": "string", "maxLength": 3}})) == []
    new = a_contract(key="payment/refund")
    assert contract_changes(ContractIndex([a_contract()]), ContractIndex([a_contract(), new])) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (WHOLE, WHOLE | {"minimum": 1}, "net minimum 1"),
        (WHOLE | {"minimum": 1}, WHOLE | {"minimum": 2}, "net minimum 2, was 1"),
        (WHOLE | {"maximum": 3}, WHOLE | {"maximum": 2}, "net maximum 2, was 3"),
        (WHOLE | {"enum": [1, 2]}, WHOLE | {"enum": [2]}, "net enum 2, was 1, 2"),
    ],
)
def test_a_narrower_edit_says_what_becomes_of_rows(before: Any, after: Any, said: str) -> None:
    (line,) = lines(a_contract({"net": before}), a_contract({"net": after}))
    assert line.startswith(f"contract payment/order: asks for more: {said}; rows in the table stay; later ones")
    (back,) = lines(a_contract({"net": after}), a_contract({"net": before}))
    assert "asks for less" in back


def test_a_field_that_has_to_be_there_from_now_on_is_said_even_if_it_is_new() -> None:
    (line,) = lines(a_contract(), a_contract(NET, required=["net"]))
    assert "asks for more: net has to be there;" in line


def test_conditions_and_comparisons_are_told_as_people_say_them() -> None:
    fields = {"net": WHOLE, "gross": WHOLE, "code": {"type": "string"}}

    def branch(word: str) -> dict[str, Any]:
        then = {"required": ["net"]}
        return {"if": {"properties": {"code": {"const": word}}, "required": ["code"]}, "then": then}

    rule = {"name": "net_below", "left": "net", "operator": "<=", "right": "gross"}
    before = a_contract(fields, allOf=[branch("b")], x_rules=[rule])
    # one more condition before it is no change of the one that there was
    after = a_contract(fields, allOf=[branch("a"), branch("b")], x_rules=[rule | {"operator": "<"}])
    narrower, wider = lines(before, after)
    assert (
        "asks for more: net has to be there where code has to be there and code const a; net < gross, was <= gross;"
        in (narrower)
    )
    assert "asks for less: net < gross, was <= gross;" in wider


def test_a_field_that_goes_keeps_its_column() -> None:
    lined = {"lines": {"type": "array", "items": {"type": "object", "properties": NET | {"n": WHOLE}}}}
    without = {"lines": {"type": "array", "items": {"type": "object", "properties": NET}}}
    (line,) = lines(a_contract(lined), a_contract(without))
    assert "names lines[].n no more: the columns stay and are null in later rows, their values are not kept" in line
    (kept,) = lines(a_contract(NET), a_contract(x_other_fields=True))
    assert "their values come in other_fields" in kept


def test_another_protection_is_said_with_what_rows_hold_until_a_rebuild() -> None:
    name = {"type": "string", "x-pii": "personal"}
    (line,) = lines(a_contract({"name": name}), a_contract({"name": name | {"x-protect": "hash"}}))
    assert "protects name by hash, was nothing; rows in the table keep what they hold until" in line


def test_broken_promises_are_said() -> None:
    before = a_contract({"net": WHOLE | {"x-pii": "personal"}}, x_other_fields=True)
    after = a_contract(NET, x_retention_class="short")
    assert [line.split("; ")[0] for line in lines(before, after)] == [
        "contract payment/order: calls net less personal than before",
        "contract payment/order: is kept as short, was standard",
        "contract payment/order: does not keep other fields any more",
    ]
