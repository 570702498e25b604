"""Definitions: one object with a name of its own, and suites and rollups refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eventlake.contract import ContractError
from eventlake.definitions import DefinitionError, build_bundle, parse_bundle, parse_rollup, parse_suite
from tests.contract_builders import a_schema

CONTRACTS = {"payment/refund": a_schema(key="payment/refund"), "payment/order": a_schema({"b": {}, "a": {}})}
SUITE = {
    "name": "payment",
    "expectations": [
        {
            "type": "expect_column_values_to_not_be_null",
            "kwargs": {"column": "event_uuid"},
            "meta": {"severity": "critical", "why": "nobody could say which event it is"},
        }
    ],
}
ROLLUP = """-- description: revenue a day
-- partition: event_date
-- sources: events.payment_events
SELECT event_date, 'events.nothing; here' AS note, count(*) AS orders
FROM events.payment_events
GROUP BY event_date;
"""


def test_a_bundle_is_read_as_it_was_built() -> None:
    # when
    body, digest = build_bundle(CONTRACTS, {"payment": SUITE}, {"revenue": ROLLUP})
    bundle = parse_bundle(body)

    # then
    assert bundle.hash == digest == json.loads(body)["hash"]
    assert len(digest) == 12
    order = bundle.contracts.find("payment", "order")
    assert order is not None
    assert [field.name for field in order.fields] == ["b", "a"], "the order of fields is the order of columns"
    assert bundle.suites["payment"].expectations[0].severity == "critical"
    rollup = bundle.rollups["revenue"]
    assert (rollup.partition, rollup.sources) == ("event_date", ("events.payment_events",))
    assert rollup.select.startswith("SELECT")
    assert rollup.select.endswith("GROUP BY event_date")


def test_what_says_something_of_many_rows_only_is_not_asked_of_few() -> None:
    of_each, of_many = SUITE["expectations"][0], {"type": "expect_x", "meta": {"severity": "low", "from_rows": 500}}
    suite = parse_suite("payment", SUITE | {"expectations": [of_each, of_many]})
    assert [len(suite.asked_of(rows)) for rows in (1, 499, 500)] == [1, 1, 2]
    for wrong in (-1, "500", True, 0.5):
        of_many["meta"] = {"severity": "low", "from_rows": wrong}
        with pytest.raises(DefinitionError, match="received from_rows"):
            parse_suite("payment", SUITE | {"expectations": [of_many]})


def test_equal_definitions_have_equal_bytes_and_others_another_name() -> None:
    backwards = dict(reversed(CONTRACTS.items()))
    assert build_bundle(CONTRACTS, {}, {}) == build_bundle(backwards, {}, {})
    assert build_bundle(CONTRACTS, {}, {})[1] != build_bundle(CONTRACTS, {"payment": SUITE}, {})[1]


def test_a_bundle_that_is_not_what_its_hash_says_is_refused() -> None:
    body, _ = build_bundle(CONTRACTS, {}, {})
    with pytest.raises(DefinitionError, match="content of hash"):
        parse_bundle(body.replace(b'"an order"', b'"a refund"'))
    with pytest.raises(DefinitionError, match="deploy the lake again"):
        parse_bundle(b"{}")


def test_no_bundle_is_built_from_what_no_load_could_obey() -> None:
    with pytest.raises(ContractError, match="the keyword 'oneOf'"):
        build_bundle({"payment/order": a_schema(oneOf=[])}, {}, {})
    with pytest.raises(ContractError, match="one spelling"):
        build_bundle({"a/b": a_schema({"n": {}}, key="a/b"), "a/c": a_schema({"N": {}}, key="a/c")}, {}, {})
    with pytest.raises(DefinitionError, match="severity"):
        build_bundle({}, {"payment": SUITE | {"expectations": [{"type": "expect_x"}]}}, {})
    with pytest.raises(DefinitionError, match="rollup revenue"):
        build_bundle({}, {}, {"revenue": "SELECT 1"})


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ([], "name and expectations"),
        ({"name": "x"}, "name and expectations"),
        ({"name": "x", "expectations": [{"kwargs": {}}]}, "expectation 1"),
        ({"name": "x", "expectations": [{"type": "ExpectColumn"}]}, "name the expectation"),
        ({"name": "x", "expectations": [{"type": "expect_x", "meta": {"severity": "urgent"}}]}, "meta.severity"),
        ({"name": "x", "expectations": [{"type": "expect_x", "meta": {"severity": "low"}, "kwargs": []}]}, "kwargs"),
    ],
)
def test_a_suite_that_cannot_be_judged_is_refused(document: Any, word: str) -> None:
    with pytest.raises(DefinitionError, match="reading suite payment") as refusal:
        parse_suite("payment", document)
    assert word in str(refusal.value)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("-- partition: event_date\n", "", "-- partition:"),
        ("-- sources: events.payment_events", "-- sources: payment_events", "the source 'payment_events'"),
        ("FROM events.payment_events", "FROM events.refund_events", "all of them and no others"),
        ("SELECT event_date", "DELETE FROM x; SELECT event_date", "one SELECT"),
        ("GROUP BY event_date;", "GROUP BY event_date; SELECT 2", "one SELECT"),
    ],
)
def test_a_rollup_that_cannot_be_rebuilt_is_refused(old: str, new: str, word: str) -> None:
    assert old in ROLLUP
    with pytest.raises(DefinitionError, match="reading rollup revenue") as refusal:
        parse_rollup("revenue", ROLLUP.replace(old, new))
    assert word in str(refusal.value)
