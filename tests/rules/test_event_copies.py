"""Copies of events for benchmarks: as many lines as asked for, each still the event that it was, uuid and day aside."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from bench.event_copies import RawEvent, admitted, renamed, write_objects
from tests.builders import a_uuid, an_arrival, an_event

PAIRS = {("payment", "order")}


def _events(count: int) -> list[RawEvent]:
    sent = [
        an_event(event_uuid=a_uuid(0xABC0 + number).upper(), detail={"n": number}) for number in range(1, count + 1)
    ]
    return admitted([an_arrival(event, number=number) for number, event in enumerate(sent)], PAIRS)


def _lines(bucket: Path) -> list[dict[str, Any]]:
    objects = sorted(bucket.rglob("*.gz"))
    return [json.loads(line) for each in objects for line in gzip.decompress(each.read_bytes()).splitlines()]


def test_copies_differ_in_their_uuids_only(tmp_path: Path) -> None:
    written = write_objects(tmp_path, "batch", _events(4), 12)
    lines = _lines(tmp_path)
    assert (
        len({line["event_uuid"].lower() for line in lines}) == len(lines) == sum(each.lines for each in written) == 12
    )
    assert sorted(line["detail"]["n"] for line in lines) == sorted([1, 2, 3, 4] * 3)


def test_there_are_as_many_lines_as_asked_for_on_each_day(tmp_path: Path) -> None:
    write_objects(tmp_path, "batch", _events(4), 10, days_back=(0, 1))
    lines = _lines(tmp_path)
    assert len({line["event_uuid"] for line in lines}) == len(lines) == 20
    assert sorted(line["detail"]["n"] for line in lines) == sorted([1, 2, 3, 4, 1, 2, 3, 4, 1, 2] * 2)


def test_a_repeat_is_the_event_that_the_history_has(tmp_path: Path) -> None:
    write_objects(tmp_path / "history", "history", _events(4), 4, first_copy=0)
    write_objects(tmp_path / "batch", "batch", _events(4), 4, repeats=2)
    history, batch = ([json.dumps(line) for line in _lines(tmp_path / name)] for name in ("history", "batch"))
    assert len(batch) == 6
    assert len(set(history) & set(batch)) == 2


def test_an_earlier_day_lies_in_its_own_folder_and_holds_other_events(tmp_path: Path) -> None:
    written = write_objects(tmp_path, "batch", _events(3), 3, days_back=(0, 30))
    lines = _lines(tmp_path)
    assert {line["created_datetime"][:10] for line in lines} == {"2026-11-21", "2026-10-22"}
    assert len({line["event_uuid"] for line in lines}) == 6
    assert any("/month=10/day=22/" in each.key for each in written)


def test_a_renamed_event_is_copied_like_any_other(tmp_path: Path) -> None:
    write_objects(tmp_path, "batch", [renamed(event, "payment_007") for event in _events(2)], 4)
    lines = _lines(tmp_path)
    assert {(line["event_name"], line["event_type"]) for line in lines} == {("payment_007:order", "payment_007")}
    assert len({line["event_uuid"] for line in lines}) == 4


def test_what_has_no_contract_is_left_out() -> None:
    others = [an_arrival(an_event(event_name="payment:wallet")), an_arrival(b"no event")]
    assert admitted(others, PAIRS) == []
