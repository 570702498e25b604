"""What a table gets for a personal value, where, and that contracts may not ask for what cannot be done."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest

from eventlake.contract_terms import EACH_ITEM, ContractError
from eventlake.protection import Protection, protected
from eventlake.table_schema import contract_columns, protected_places
from tests.contract_builders import a_contract

TEXT = {"type": "string"}
HASHED = TEXT | {"x-pii": "personal", "x-protect": "hash"}
MASKED = TEXT | {"x-pii": "sensitive", "x-protect": "mask"}
ADDRESS = MASKED | {"format": "email"}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("value", "protection", "expected"),
    [
        (None, Protection.HASHED, None),
        (None, Protection.MASKED, None),
        (None, Protection.MASKED_BUT_DOMAIN, None),
        ("", Protection.MASKED, "***"),
        ("Alice", Protection.MASKED, "***"),
        ("alice@example.com", Protection.MASKED_BUT_DOMAIN, "***@example.com"),
        ("alice", Protection.MASKED_BUT_DOMAIN, "***"),
        ("a@b@example.com", Protection.MASKED_BUT_DOMAIN, "***@example.com"),
        ("alice@example.com", Protection.HASHED, hmac.new(b"key", b"alice@example.com", hashlib.sha256).hexdigest()),
        ("\ud800", Protection.HASHED, hmac.new(b"key", b"?", hashlib.sha256).hexdigest()),
    ],
)
def test_a_table_gets_a_keyed_hash_or_stars(value: str | None, protection: Protection, expected: str | None) -> None:
    assert protected(value, protection, "key") == expected


def test_hashes_of_two_lakes_have_nothing_in_common() -> None:
    assert protected("a", Protection.HASHED, "one") != protected("a", Protection.HASHED, "other")


def test_places_at_any_depth_are_known_and_the_column_says_so() -> None:
    # given
    created = a_contract({"mail": ADDRESS, "who": an_object(phones={"type": "array", "items": HASHED}, age=TEXT)})
    closed = a_contract({"note": MASKED, "mail": ADDRESS}, key="payment/refund")
    # when
    contracts = [created, closed]
    # then
    assert protected_places(contracts) == {
        ("mail",): Protection.MASKED_BUT_DOMAIN,
        ("who", "phones", EACH_ITEM): Protection.HASHED,
        ("note",): Protection.MASKED,
    }
    assert {column.name: column.told for column in contract_columns(contracts)} == {
        "mail": "(masked but for the domain)", "who": "(phones hashed)", "note": "(masked)",
    }  # fmt: skip


DEEP = an_object(b=an_object(c=HASHED))
REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    # the fields of two subtypes, a word of the message
    ({"a": HASHED}, {"a": MASKED}, "properties.a: received masked where payment/order.json says hashed"),
    ({"a": HASHED}, {"a": TEXT}, "received no protection where payment/order.json says hashed"),
    ({"a": ADDRESS}, {"a": MASKED}, "one protection of a name for all subtypes"),
    ({"a": an_object(b=TEXT)}, {"a": an_object(b=HASHED)}, "properties.a.b: received hashed"),
    ({"a": an_object(b=DEEP)}, {}, "properties.a.b.b.c: received x-protect 'hash' within"),
    ({"a": HASHED}, {"a": {"type": "integer"}}, "properties.a: received x-protect 'hash' within"),
    ({"a": an_object(b=HASHED, **{f"f{n}": TEXT for n in range(200)})}, {}, "properties.a.b: received x-protect"),
    ({"a": {"type": "array", "items": {"type": "array", "items": HASHED}}}, {}, "x-protect 'hash' within"),
]


@pytest.mark.parametrize(("left", "right", "words"), REFUSED)
def test_what_cannot_be_protected_is_refused_by_name(left: dict[str, Any], right: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError) as raised:
        contract_columns([a_contract(left), a_contract(right, key="payment/refund")])
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
