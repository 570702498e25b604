"""The only ways in which a table may change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from eventlake.table_evolution import AddColumn, EvolutionError, WidenColumn, changed_comments, plan_evolution
from eventlake.table_schema import Column, contract_columns
from tests.contract_builders import a_contract


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


def test_the_names_of_a_struct_keep_their_case() -> None:
    existing = {"price": "struct<unitPrice:bigint>"}
    assert plan_evolution("events.x", existing, [Column("price", "struct<unitPrice:bigint>")]) == ()
    with pytest.raises(EvolutionError, match=r"price.unitprice differs only in case from the column unitPrice"):
        plan_evolution("events.x", existing, [Column("price", "struct<unitprice:bigint>")])


def test_a_refusal_names_the_contracts_that_ask() -> None:
    schema = {"lines": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "string"}}}}}
    wanted = contract_columns([a_contract(schema), a_contract({"b": {}}, key="payment/refund")])
    with pytest.raises(EvolutionError, match=r"lines\[\].n is bigint .* string \(contract payment/order.json\)"):
        plan_evolution("events.x", {"lines": "array<struct<n:bigint>>"}, wanted)


def test_what_is_said_of_a_column_follows_its_contract() -> None:
    existing = {"same": "as it was", "other": "before", "told_no_more": "before", "new": "", "of_nobody": "kept"}
    wanted = [
        Column("same", "string", "as it was"),
        Column("other", "string", "now", protection="hashed"),
        Column("told_no_more", "string"),
        Column("new", "string", "now"),
        Column("absent", "string", "said when it is added"),
    ]
    assert changed_comments(existing, wanted) == {"other": "now (hashed)", "told_no_more": "", "new": "now"}


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
