"""An edit of contracts against a lake that has loaded by the old ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from lake_builders import Lake, Sent

import check_tables
from deploy import deploy, require_a_lake_that_follows
from eventlake.contract import Contract, ContractIndex
from eventlake.errors import TerminalError
from eventlake_aws.definitions_store import current_definitions
from eventlake_aws.live_contracts import compare_with_lake, live_columns
from laptop.home import exports
from tests.contract_builders import a_contract, a_schema

ROOT = Path(__file__).resolve().parents[2]
TABLE = "events.payment_events"
WHOLE = {"type": "integer"}
LINES = {"type": "array", "items": {"type": "object", "properties": {"n": WHOLE}}}
ROWS = pa.schema(
    [
        pa.field("event_name", pa.string()),
        pa.field("net", pa.int64()),
        pa.field("price", pa.decimal128(12, 2)),
        pa.field("lines", pa.list_(pa.struct([("n", pa.int64()), ("old", pa.bool_())]))),
        pa.field("at", pa.timestamp("us", tz="UTC")),
    ]
)


def with_rows(lake: Lake) -> None:
    table = lake.catalog.create_table(TABLE, schema=ROWS, location=f"{lake.settings.warehouse_uri}/events.db/payment")
    table.append(pa.Table.from_pylist([{"event_name": "payment:order:gift"}], schema=ROWS))


def compared(lake: Lake, *contracts: Contract) -> tuple[list[str], list[str]]:
    findings = compare_with_lake(lake.clients, lake.settings, ContractIndex(contracts))
    return findings.notes, findings.refusals


def test_columns_are_named_as_contracts_name_them(lake: Lake) -> None:
    assert live_columns(lake.catalog, TABLE) is None
    with_rows(lake)
    assert live_columns(lake.catalog, TABLE) == {
        "event_name": "string",
        "net": "bigint",
        "price": "decimal(12,2)",
        "lines": "array<struct<n:bigint,old:boolean>>",
        "at": "timestamp",
    }


def test_what_a_load_would_add_is_noted_and_what_it_would_refuse_is_a_fault(lake: Lake) -> None:
    # given
    old = {"net": WHOLE, "lines": LINES}
    lake.define({"payment/order": a_schema(old)})
    with_rows(lake)
    notes, refusals = compared(lake, a_contract(old))
    assert (refusals, [note for note in notes if "lines" in note or "net" in note]) == ([], [])
    # when
    deeper = {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "string"}, "m": WHOLE}}}
    notes, refusals = compared(lake, a_contract({"net": {"type": "number"}, "lines": deeper}))
    # then
    assert f"table {TABLE}: the next load adds lines[].m as bigint" in notes
    assert [refusal.split("; ")[0] for refusal in refusals] == [
        f"table {TABLE}: a load would refuse that net is bigint and would become double (contract payment/order.json)",
        f"table {TABLE}: a load would refuse that lines[].n is bigint and would become string "
        "(contract payment/order.json)",
    ]
    assert all("give the field a new name in the contract" in refusal for refusal in refusals)


def test_what_has_landed_keeps_its_contract_and_its_name(lake: Lake) -> None:
    # given: nothing has landed
    names = ["payment:order", "payment:order:gift", "payment:order:never"]
    lake.define({"payment/order": a_schema(x_event_names=names), "payment/refund": a_schema(key="payment/refund")})
    notes, refusals = compared(lake, a_contract())
    assert (len(notes), refusals) == (3, [])
    # when
    with_rows(lake)
    lake.land([Sent("uuid-1", 1, event_subtype="refund")])
    notes, refusals = compared(lake, a_contract())
    # then
    assert [refusal.split(";")[0] for refusal in refusals] == [
        "contract payment/order: the event name payment:order:gift is listed no more",
        "contract payment/refund: it is deployed and is no file any more: its events would go to events.uncontracted",
    ]
    assert any("payment:order:never" in note for note in notes)


def test_a_deployed_contract_that_the_dialect_refuses_today_is_passed_over(lake: Lake) -> None:
    lake.define({"payment/order": {"x-owner": "team-payments"}})
    notes, refusals = compared(lake, a_contract())
    assert refusals == []
    assert "not compared with what is deployed: reading contract payment/order" in notes[0]


def test_make_check_compares_with_the_lake_that_it_is_told_of(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given: the lake's own contracts, and a table that one of them cannot have
    monkeypatch.setattr("sys.argv", ["check_tables.py"])
    for name, value in {"LAKE_HOME": str(tmp_path), "LAKE_LIVE": "1", "LAKE_PREFIX": lake.settings.prefix}.items():
        monkeypatch.setenv(name, value)
    assert check_tables.main() == 0
    assert "tables: 0 of the lake" in capsys.readouterr().out
    wrong = pa.schema([pa.field("event_name", pa.int64())])
    lake.catalog.create_table(TABLE, schema=wrong, location=f"{lake.settings.warehouse_uri}/events.db/payment")
    # when
    assert check_tables.main() == 1
    # then
    said = capsys.readouterr()
    assert "fault: table events.payment_events: a load would refuse that event_name is bigint" in said.err
    assert "tables: 1 of the lake" in said.out


def test_a_deploy_refuses_what_make_check_refuses_before_it_uploads_anything(lake: Lake, tmp_path: Path) -> None:
    # given: a lake that obeys other contracts than the checkout's, and a table that one of those cannot have
    lake.define({})
    wrong = pa.schema([pa.field("event_name", pa.int64())])
    lake.catalog.create_table(TABLE, schema=wrong, location=f"{lake.settings.warehouse_uri}/events.db/payment")
    before = {one["Key"] for one in lake.clients.s3.list_objects_v2(Bucket=lake.settings.lake_bucket)["Contents"]}
    said: list[str] = []
    # when
    with pytest.raises(TerminalError, match=r"received 1 faults .*; nothing was uploaded"):
        deploy(lake.settings, build_folder=tmp_path, definitions_folders=[], parameters={}, say=said.append)
    # then
    [fault] = said
    assert fault.startswith("fault: table events.payment_events: a load would refuse that event_name is bigint")
    assert not list(tmp_path.iterdir())
    assert {
        one["Key"] for one in lake.clients.s3.list_objects_v2(Bucket=lake.settings.lake_bucket)["Contents"]
    } == before
    assert lake.settings.artifacts_bucket not in [one["Name"] for one in lake.clients.s3.list_buckets()["Buckets"]]


def test_what_is_deployed_already_is_not_asked_for_again(lake: Lake) -> None:
    lake.define({})
    deployed = current_definitions(lake.clients, lake.settings).hash
    with_rows(lake)
    unfit = {"payment/order": a_schema({"net": {"type": "string"}})}
    require_a_lake_that_follows(lake.settings, lake.clients.s3, unfit, deployed, print)
    with pytest.raises(TerminalError):
        require_a_lake_that_follows(lake.settings, lake.clients.s3, unfit, "another", print)


def test_make_check_finds_the_lake_of_its_checkout_by_itself(lake: Lake, tmp_path: Path) -> None:
    # given: what a lake that runs leaves in its folder, drafts of its own too, and a contract that is deployed only
    drafted = a_schema(key="shop/sale")
    (tmp_path / "contracts/shop").mkdir(parents=True)
    (tmp_path / "contracts/shop/sale.json").write_text(json.dumps(drafted))
    lake.define({"shop/sale": drafted, "shop/gone": a_schema(key="shop/gone")})
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
    variables = {name: os.environ[name] for name in names} | {"LAKE_PREFIX": lake.settings.prefix}
    (tmp_path / "env").write_text(exports(variables))
    (tmp_path / "composed").touch()
    # when: a shell that names another account
    shell = {
        **os.environ,
        "LAKE_HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "PYTHONPATH": "plugins",
    }
    script = ROOT / "scripts/check_tables.py"
    ended = subprocess.run([sys.executable, script], cwd=ROOT, env=shell, capture_output=True, text=True, timeout=120)
    # then
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "note: contract shop/gone: it is deployed and is no file any more" in ended.stdout
    assert "shop/sale" not in ended.stdout
