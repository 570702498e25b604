"""record_landing with services in memory: one item a raw object, and a bad message fails alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eventlake.layout import Area, waiting_slots
from eventlake.settings import Settings
from record_landing.handler import Lake, handler
from tests.builders import EIGHT_O_CLOCK_MS, a_raw_key, an_object_created, an_sqs_batch
from tests.functions.fakes import FakeDynamoDB, Faults

SETTINGS = Settings()
EVENTS = Path(__file__).parents[1] / "events"


def a_lake(faults: Faults | None = None) -> Lake:
    dynamodb = FakeDynamoDB({SETTINGS.landings_table: ("object_key", "etag")}, faults)
    return Lake(SETTINGS, dynamodb, lambda: EIGHT_O_CLOCK_MS)


def landings(lake: Lake) -> list[dict[str, Any]]:
    table = lake.dynamodb.tables[SETTINGS.landings_table]
    return [{name: next(iter(value.values())) for name, value in item.items()} for item in table.values()]


def notice(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(records)}


def test_an_object_as_s3_tells_of_it() -> None:
    lake = a_lake()
    answer = handler(json.loads((EVENTS / "sqs_object_created.json").read_text()), None, lake)
    assert answer == {"batchItemFailures": []}
    [landing] = landings(lake)
    assert landing.pop("waiting_slot") in waiting_slots(Area.RAW)
    assert landing == {
        "object_key": a_raw_key(name="080500-eventlake-local-raw-1-2026-11-21-08-00-00-2c1a.gz"),
        "etag": "b21b84d653bb07b05b1e6b33684dc11b",
        "size_bytes": "4711",
        "area": "raw",
        "event_type": "payment",
        "event_subtype": "order",
        "landed_at": "2026-11-21T08:05:00.123Z",
        "status": "waiting",
    }


def test_s3_says_hello_when_the_notification_is_set_up(capsys: pytest.CaptureFixture[str]) -> None:
    lake = a_lake()
    assert handler(json.loads((EVENTS / "sqs_s3_test_event.json").read_text()), None, lake) == {"batchItemFailures": []}
    assert landings(lake) == []
    assert json.loads(capsys.readouterr().out)["MessagesFailed"] == 0


def test_a_notice_that_comes_twice_leaves_the_landing_as_it_is() -> None:
    # given a landing that a load has taken already
    lake = a_lake()
    event = an_sqs_batch(notice(an_object_created(a_raw_key())))
    handler(event, None, lake)
    [item] = lake.dynamodb.tables[SETTINGS.landings_table].values()
    item["status"] = {"S": "loaded"}
    # when S3 tells of it once more
    handler(event, None, lake)
    # then
    assert [landing["status"] for landing in landings(lake)] == ["loaded"]


def test_a_key_with_other_bytes_is_another_landing() -> None:
    lake = a_lake()
    handler(
        an_sqs_batch(notice(an_object_created(a_raw_key(), etag="a"), an_object_created(a_raw_key(), etag="b"))),
        None,
        lake,
    )
    assert sorted(landing["etag"] for landing in landings(lake)) == ["a", "b"]


def test_error_objects_are_landings_and_other_objects_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    lake = a_lake()
    error_key = "errors/processing-failed/2026/11/21/eventlake-local-raw-1.gz"
    removed = an_object_created(a_raw_key()) | {"eventName": "ObjectRemoved:Delete"}
    other = an_object_created("raw/read me+first.txt")
    handler(an_sqs_batch(notice(an_object_created(error_key), removed), notice(other)), None, lake)
    [landing] = landings(lake)
    assert (landing["object_key"], landing["area"]) == (error_key, "errors")
    assert (landing["event_type"], landing["event_subtype"]) == ("", "")
    line = json.loads(capsys.readouterr().out)
    assert (line["LandingsRecorded"], line["ObjectsIgnored"]) == (1, 2)
    assert line["ignored_sample"] == [a_raw_key(), "raw/read me+first.txt"]


def test_a_bad_message_fails_alone() -> None:
    lake = a_lake()
    event = an_sqs_batch("not json", notice(an_object_created(a_raw_key())), notice({"s3": {}}))
    answer = handler(event, None, lake)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}, {"itemIdentifier": "message-2"}]}
    assert len(landings(lake)) == 1


def test_what_could_not_be_written_comes_again() -> None:
    lake = a_lake(Faults(crash_at=1))
    event = an_sqs_batch(*[notice(an_object_created(a_raw_key(name=f"{n}.gz"))) for n in range(3)])
    answer = handler(event, None, lake)
    assert len(answer["batchItemFailures"]) == 3
    lake.dynamodb.faults.crash_at = None
    assert handler(event, None, lake) == {"batchItemFailures": []}
    assert len(landings(lake)) == 3
