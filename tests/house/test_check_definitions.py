"""The definitions in include/ are valid, and `make check` and `make contract` say by name what is not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

import check_tables
from check_definitions import INCLUDE, check_folder
from draft_contracts import draft_definitions, main
from eventlake.errors import TerminalError
from tests.contract_builders import a_schema


def write(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def a_suite(column: str = "event_uuid") -> dict[str, Any]:
    expectation = {"type": "expect_x", "kwargs": {"column": column}, "meta": {"severity": "low"}}
    return {"name": "payment", "expectations": [expectation]}


def a_suite_and_a_masked_name() -> dict[str, Any]:
    """One more type, whose suite asks for the length of a name that its table masks."""
    return {"name": "person", "expectations": [
        {"type": kind, "kwargs": {"column": "name"}, "meta": {"severity": "low"}}
        for kind in ("expect_column_values_to_not_be_null", "expect_column_value_lengths_to_be_between")
    ]}  # fmt: skip


MASKED_NAME = a_schema({"name": {"type": "string", "x-pii": "personal", "x-protect": "mask"}}, key="person/seen")


def a_reference(**said: object) -> dict[str, Any]:
    reference = {"column": "amount", "to": "payment.amount", "severity": "low"} | said
    return a_suite() | {"meta": {"references": [reference]}}


def test_what_the_lake_is_told_is_valid() -> None:
    findings = check_folder(INCLUDE)
    assert findings.faults == []
    assert findings.counts["contracts"] > 0


REVENUE = """-- description: d
-- partition: event_date
-- sources: events.payment_events
SELECT event_date FROM events.payment_events"""
PLANTED: list[tuple[str, object, str]] = [
    ("contracts/payment/refund.json", "{", "refund.json: received"),
    ("contracts/payment/refund.json", '{"type": "object", "type": "object"}', "'type' twice"),
    ("contracts/payment/refund.json", {"type": "object"}, "x-owner"),
    ("contracts/payment/refund.json", a_schema({"AMOUNT": {}}, key="payment/refund"), "one spelling"),
    (
        "contracts/payment/refund.json",
        a_schema({"to": {"type": "string", "format": "email"}}, key="payment/refund"),
        "'to' of format email",
    ),
    (
        "contracts/payment/refund.json",
        a_schema({"amount": {"type": "string", "minLength": 1}}, key="payment/refund"),
        "the rule refund.amount.minLength about 'amount'",
    ),
    ("contracts/refund.json", a_schema(), "nobody reads it there"),
    ("expectations/payment.json", a_suite("amuont"), "column 'amuont'"),
    ("expectations/payment.json", a_reference(column="amuont"), "received payment.amuont in a reference"),
    ("expectations/payment.json", a_reference(to="shop.amount"), "received shop.amount in a reference"),
    ("expectations/payment.json", a_reference(to="payment.event_uuid"), "of the types bigint, string"),
    ("expectations/payment.json", a_reference(to="amount"), "received amount; valid is a type and its column"),
    ("expectations/payment.json", a_reference(severity="critical"), "it alerts and holds nothing"),
    ("expectations/payment.json", a_suite() | {"meta": {"references": {}}}, "valid is a list under"),
    ("expectations/shop.json", a_suite(), "a type with contracts: payment"),
    ("contracts/refund/card.json", a_schema(key="refund/card"), "contracts of 'refund' and no suite"),
    ("expectations/payment.json", {"name": "payment"}, "name and expectations"),
    ("rollups/revenue.sql", "SELECT 1", "-- description:"),
    (
        "rollups/revenue.sql",
        "-- description: d\n-- partition: event_date\n-- sources: events.shop_events\nSELECT * FROM events.shop_events",
        "source events.shop_events",
    ),
    ("rollups/revenue.sql", REVENUE, "a rollup 'revenue' and no suite"),
    ("rollups/payment.sql", REVENUE, "the name of a type with contracts"),
    ("rollups/revenue.sql", REVENUE.replace("-- sources", "-- window: year\n-- sources"), "the window 'year'"),
    ("rollups/revenue.txt", "SELECT 1", "nobody reads it there"),
]


@pytest.mark.parametrize(("name", "content", "word"), PLANTED, ids=[f"{n}: {w}" for n, _, w in PLANTED])
def test_a_fault_is_found_and_named(tmp_path: Path, name: str, content: object, word: str) -> None:
    # given
    write(tmp_path, "contracts/payment/order.json", a_schema({"amount": {"type": "integer"}}))
    write(tmp_path, "expectations/payment.json", a_suite())
    assert check_folder(tmp_path).faults == []

    # when
    write(tmp_path, name, content)

    # then
    (fault,) = check_folder(tmp_path).faults
    assert word in fault
    assert "\n" not in fault


def test_a_suite_may_not_ask_what_a_mask_cannot_answer(tmp_path: Path) -> None:
    write(tmp_path, "contracts/person/seen.json", MASKED_NAME)
    write(tmp_path, "expectations/person.json", a_suite_and_a_masked_name())
    (fault,) = check_folder(tmp_path).faults
    assert "expect_column_value_lengths_to_be_between on 'name', which the table holds masked" in fault


def test_drafts_leave_what_there_is_and_pass_the_check(tmp_path: Path) -> None:
    # given
    order = write(tmp_path, "known/contracts/payment/order.json", a_schema({"amount": {"type": "integer"}}))
    lines = [
        {"event_name": "payment:order", "amount": 1},
        {"event_name": "payment:tip", "amount": "much"},
        {"event_name": "shop:sale:online", "amount": "much"},
        {"event_name": "Signup"},
    ]
    events = tmp_path / "events"
    events.write_bytes(gzip.compress(b"\n\n".join(json.dumps(each).encode() for each in lines) + b"\nnot json\n"))

    # when
    drafted = draft_definitions(events, [tmp_path / "known", tmp_path / "drafts"], tmp_path / "drafts")

    # then
    assert (drafted.lines, drafted.unreadable, drafted.without_valid_name) == (5, 1, 1)
    assert (drafted.contracts, drafted.suites) == (["shop/sale"], ["shop"])
    assert drafted.contracted_already == ["payment/order"]
    assert list(drafted.left_uncontracted) == ["payment/tip"]
    assert check_folder(tmp_path / "drafts").faults == []
    assert json.loads(order.read_text()) == a_schema({"amount": {"type": "integer"}})


@pytest.mark.parametrize("content", [None, gzip.compress(b"{}")[:-4]], ids=["no file", "half a gzip"])
def test_an_input_that_cannot_be_read_is_said(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "events.ndjson.gz"
    if content is not None:
        events.write_bytes(content)
    assert main(["--input", str(events), "--output", str(tmp_path / "drafts")]) == 1
    assert "correct INPUT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("patch", "word"),
    [
        (None, "which is not there"),
        ("{", "payment/order.json: Expecting"),
        ({"title": "x"}, "neither an object of `properties` alone nor a contract"),
        ({"properties": {"tip": {"type": "money"}}}, "received 'money'"),
        ({"properties": {"AMOUNT": {}}}, "nothing was written"),
    ],
)
def test_a_patch_that_cannot_be_put_in_changes_nothing(
    tmp_path: Path, patch: object, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    order = write(tmp_path, "include/contracts/payment/order.json", a_schema({"amount": {"type": "integer"}}))
    before = order.read_text()
    if patch is not None:
        write(tmp_path, "patches/payment/order.json", patch)
    assert main(["--patch", str(tmp_path / "patches"), "--output", str(tmp_path / "include")]) == 1
    assert word in capsys.readouterr().err
    assert order.read_text() == before


def test_a_patch_of_a_contract_that_is_not_here_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patch = write(tmp_path, "shop/sale.json", {"properties": {"tip": {"type": "integer"}}})
    assert main(["--patch", str(patch), "--output", str(tmp_path / "include")]) == 1
    assert "check out what is deployed" in capsys.readouterr().err


def test_without_a_lake_nothing_is_compared_unless_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["check_tables.py"])
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for name, value in {"LAKE_HOME": str(tmp_path), **nobody}.items():
        monkeypatch.setenv(name, value)
    assert check_tables.main() == 0
    assert "tables: not compared, no lake of this checkout runs" in capsys.readouterr().out
    monkeypatch.setenv("LAKE_LIVE", "1")
    with pytest.raises(TerminalError, match="`make up` starts one here"):
        check_tables.main()
