"""Crawlers over raw, and what they saw against the contracts in force."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lake_builders import NOW, Lake, Sent, wait_until

from check_definitions import check_folder
from draft_contracts import main
from eventlake.admission import Candidate, examine
from eventlake.arrival import Arrival
from eventlake.layout import Area, event_prefix
from eventlake_aws import crawl_report
from eventlake_aws.control_tables import CRAWLS
from eventlake_aws.crawl_report import report_crawl
from simulator.stream import lines as simulated
from simulator.traffic import Traffic
from tests.contract_builders import a_schema

ROOT = Path(__file__).resolve().parents[2]

LINES = {"type": "array", "items": {"type": "object", "properties": {"net": {"type": "number"}}}}
ORDER = a_schema({"net": {"type": "boolean"}, "lines": LINES, "paid": {"type": "integer"}}, required=["paid"])
REFUND = a_schema({"back": {"type": "number"}}, key="payment/refund", required=["back"])


def land(lake: Lake, subtype: str, *events: dict[str, Any], day: str = "2026-11-21") -> None:
    """A raw object of these fields behind an envelope."""
    first = Sent("uuid-1", 1, event_subtype=subtype, day=day)
    envelope = json.loads(first.line)
    body = "".join(json.dumps(envelope | event) + "\n" for event in events).encode()
    key = f"raw/event_type=payment/event_subtype={subtype}/year={day[:4]}/month={day[5:7]}/day={day[8:]}/a.gz"
    lake.land_body(key, body, "raw", first)


def crawl(lake: Lake) -> None:
    """As the template's crawler of raw does."""
    glue, name = lake.clients.glue, lake.settings.raw_crawler
    grouping = {"TableGroupingPolicy": "CombineCompatibleSchemas", "TableLevelConfiguration": 3}
    glue.create_crawler(
        Name=name,
        Role="arn:aws:iam::000000000000:role/any",
        DatabaseName="raw",
        Targets={"S3Targets": [{"Path": f"s3://{lake.settings.raw_bucket}/raw/"}]},
        SchemaChangePolicy={"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "LOG"},
        Configuration=json.dumps({"Version": 1.0, "Grouping": grouping}),
    )
    glue.start_crawler(Name=name)
    wait_until(lambda: glue.get_crawler(Name=name)["Crawler"]["State"] == "READY", "the crawl's end")


def kinds(report: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Without what only did not come."""
    return [
        (line["kind"], line["severity"], line["event_subtype"], line["field"])
        for line in report["lines"]
        if (line["kind"], line["severity"]) != ("missing_field", "notice")
    ]


def test_a_crawl_is_compared_with_the_contracts(lake: Lake) -> None:
    # given: another type, a required field that does not come, new fields of one subtype, a subtype without a contract
    lake.define({"payment/order": ORDER, "payment/refund": REFUND})
    land(lake, "order", {"net": 1.5, "lines": [{"net": 1, "unitCode": 7}], "giftAt": "2026-11-21T08:00:00Z"})
    land(lake, "order", {"old": 1}, day="2026-10-01")
    land(lake, "refund", {"back": 1})
    land(lake, "chargeback", {"sum": 1})
    crawl(lake)
    # when
    report = report_crawl(lake.clients, lake.settings, run_id="scheduled__1+00:00", now=NOW)
    # then: what came long ago is no news
    assert kinds(report) == [
        ("new_type", "additive", "chargeback", ""),
        ("new_field", "additive", "order", "giftat"),
        ("new_field", "additive", "order", "lines[].unitcode"),
        ("changed_type", "breaking", "order", "net"),
        ("missing_field", "breaking", "order", "paid"),
    ]
    assert (report["tables"], report["breaking"], report["additive"]) == (1, 2, 3)
    # and: patches lie where their addresses say, of the subtype that sends the field, and a contract for the new one
    folder = f"s3://{lake.settings.lake_bucket}/control/contract-patches/scheduled__1-00-00"
    uris = {name: f"{folder}/payment/{name}.json" for name in ("order", "chargeback")}
    assert report["patches"] == {f"payment/{name}": uri for name, uri in uris.items()}
    rows = lake.catalog.load_table(CRAWLS).scan().to_arrow().to_pylist()
    assert {row["event_subtype"]: row["patch_uri"] for row in rows if row["patch_uri"]} == uris


def test_lines_are_read_of_so_many_subtypes_what_breaks_first(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crawl_report, "MOST_SAMPLED", 1)
    lake.define({"payment/order": ORDER})
    land(lake, "chargeback", {"sum": 1})
    land(lake, "order", {"giftAt": "2026-11-21T08:00:00Z"})
    crawl(lake)
    report = report_crawl(lake.clients, lake.settings, run_id="crawl-1", now=NOW)
    assert list(report["patches"]) == ["payment/order"]
    assert "no line of it was looked at" in report["left_out"]["payment/chargeback"]


def test_a_day_of_healthy_events_of_every_type_is_no_drift(lake: Lake) -> None:
    # given: nulls, empty arrays and fields that few events have, as senders send them
    files = sorted((ROOT / "include/contracts").glob("*/*.json"))
    lake.define({f"{file.parent.name}/{file.stem}": json.loads(file.read_text()) for file in files})
    sent = Traffic(events=2_000, now=int(NOW.timestamp()), poison=0, conflicts=0, contract_breaking=0, uncontracted=0)
    folders: dict[str, list[bytes]] = {}
    for number, line in enumerate(simulated(sent)):
        admitted = examine(Arrival(line.data, "shardId-0", str(number), int(NOW.timestamp()) * 1000), "0" * 12)
        assert isinstance(admitted, Candidate)
        event = json.loads(admitted.line)
        day = event["created_datetime"][:10]
        folder = event_prefix(Area.RAW, event["event_type"], event["event_subtype"], day)
        folders.setdefault(folder, []).append(admitted.line.rstrip(b"\n"))
    for folder, found in folders.items():
        lake.land_body(f"{folder}a.gz", b"\n".join(found) + b"\n", "raw", None, is_recorded=False)
    crawl(lake)
    # when
    report = report_crawl(lake.clients, lake.settings, run_id="crawl-1", now=NOW)
    # then
    assert report["tables"] > 20
    assert kinds(report) == []


def test_a_crawl_is_kept_once_and_the_next_one_tells_what_is_gone(lake: Lake) -> None:
    lake.define({"payment/order": ORDER, "payment/refund": REFUND})
    land(lake, "refund", {"back": 1})
    land(lake, "order", {"paid": 1}, day="2026-11-14")
    crawl(lake)
    for _ in range(2):
        report_crawl(lake.clients, lake.settings, run_id="crawl-1", now=NOW)
    seen = lake.catalog.load_table(CRAWLS).scan().to_arrow().to_pylist()
    assert [row["event_subtype"] for row in seen if row["kind"] == "type_seen"] == ["order", "refund"]
    # when: nothing of one subtype came for days, then nothing at all
    first = report_crawl(lake.clients, lake.settings, run_id="crawl-2", now=NOW + timedelta(days=1))
    then = report_crawl(lake.clients, lake.settings, run_id="crawl-3", now=NOW + timedelta(days=30))
    # then
    assert kinds(first) == [("vanished_subtype", "notice", "order", "")]
    assert kinds(then) == [("vanished_type", "notice", "", "")]


def test_a_person_puts_a_patch_into_the_contract_that_there_is(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given: a crawl's patch, and the files of a checkout
    lake.define({"payment/order": ORDER})
    land(lake, "order", {"paid": 1, "giftAt": "2026-11-21T08:00:00Z", "tip": {"net": 1.5}})
    land(lake, "chargeback", {"sum": 1})
    crawl(lake)
    uri = report_crawl(lake.clients, lake.settings, run_id="crawl-1", now=NOW)["patches"]["payment/order"]
    include = tmp_path / "include"
    contract = include / "contracts/payment/order.json"
    contract.parent.mkdir(parents=True)
    contract.write_text(json.dumps(ORDER))
    monkeypatch.setenv("LAKE_HOME", str(tmp_path / "home"))
    # when
    assert main(["--patch", uri.removesuffix("payment/order.json"), "--output", str(include)]) == 0
    # then
    said = capsys.readouterr().out
    assert f"{contract}: added giftAt, tip" in said
    assert f"{include}/expectations/payment.json: drafted" in said
    fields = json.loads(contract.read_text())["properties"]
    assert (fields["giftAt"]["format"], fields["tip"]["properties"]) == ("date-time", {"net": {"type": "number"}})
    drafted = json.loads(contract.with_name("chargeback.json").read_text())
    assert (drafted["x-event-names"], list(drafted["properties"])) == (["payment:chargeback"], ["sum"])
    assert check_folder(include).faults == []
    # and: once more changes nothing, and no patch is said
    assert main(["--patch", uri, "--output", str(include)]) == 0
    assert "has every field of the patch already" in capsys.readouterr().out
    assert main(["--patch", f"s3://{lake.settings.lake_bucket}/control/none/", "--output", str(include)]) == 1
    assert "make contract: reading patches: received none at s3://" in capsys.readouterr().err
