"""A receipt is believed only when its sums hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eventlake.errors import TerminalError
from eventlake.load_plan import Landing, TablePlan
from eventlake.receipt import landings_differ, parse_receipt, require_same_load


def table(**changes: Any) -> dict[str, Any]:
    return {
        "table": "events.payment_events",
        "event_type": "payment",
        "base_snapshot_id": 1,
        "staged_snapshot_id": 2,
        "branch": "b",
        "counts": {"lines": 10, "loaded": 7, "duplicate": 2, "quarantined": 1},
        "added_records": 7,
        "added_files": 1,
        "days": {"2026-11-20": 7},
        "landings": [{"object_key": "k", "etag": "e", "lines": 10, "first_day": None, "last_day": None}],
        "quarantined_by_reason": {"wrong_type": 1},
        "validation": {"success": True, "results": []},
        "error": None,
    } | changes


def receipt(*tables: dict[str, Any], **changes: Any) -> str:
    return json.dumps(
        {
            "load_id": "l",
            "job_run_id": "jr",
            "plan_uri": "s3://b/p",
            "code_hash": "c",
            "started_at": "s",
            "ended_at": "e",
            "tables": list(tables or (table(),)),
            "quarantine_uri": None,
            "duplicates_uri": None,
        }
        | changes
    )


def test_a_good_receipt_is_read() -> None:
    read = parse_receipt(receipt())
    (entry,) = read.tables
    assert (entry.counts.loaded, entry.days, entry.staged_snapshot_id) == (7, {"2026-11-20": 7}, 2)
    require_same_load(read, "l", "jr")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (table(counts={"lines": 11, "loaded": 7, "duplicate": 2, "quarantined": 1}), "11 lines"),
        (table(landings=[]), "0 lines in its landings"),
        (table(quarantined_by_reason={}), "0 quarantined by reason"),
        (table(staged_snapshot_id=None), "staged snapshot None"),
        (table(counts={"lines": 10, "loaded": 0, "duplicate": 9, "quarantined": 1}), "0 loaded"),
        (table(counts={"lines": 10, "loaded": -7, "duplicate": 16, "quarantined": 1}), "not a count"),
        (table(counts={"lines": 10}), "KeyError"),
        (table(branch=""), "not a text"),
        (table(staged_snapshot_id="2"), "not a whole number"),
        (table(validation={"success": "yes", "results": []}), "neither true nor false"),
    ],
)
def test_a_receipt_whose_sums_do_not_hold_is_refused(broken: dict[str, Any], said: str) -> None:
    with pytest.raises(TerminalError, match=said):
        parse_receipt(receipt(broken))


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", receipt(load_id=None), receipt(tables={})])
def test_a_text_that_is_no_receipt_is_refused(text: str) -> None:
    with pytest.raises(TerminalError, match="reading a receipt"):
        parse_receipt(text)


def test_a_table_stands_in_a_receipt_once() -> None:
    with pytest.raises(TerminalError, match="a table twice"):
        parse_receipt(receipt(table(), table()))


def test_a_failed_table_needs_no_sums() -> None:
    failed = table(error="it broke", counts={"lines": 0, "loaded": 0, "duplicate": 0, "quarantined": 0})
    assert parse_receipt(receipt(failed)).tables[0].error == "it broke"


def test_an_orphans_receipt_is_refused() -> None:
    with pytest.raises(TerminalError, match="valid is load l run jr_other"):
        require_same_load(parse_receipt(receipt()), "l", "jr_other")


def test_objects_read_are_held_against_objects_planned() -> None:
    entry = parse_receipt(receipt()).tables[0]
    planned = Landing("k", "e", 1, "raw", "payment", "order")
    assert landings_differ(entry, TablePlan("t", "payment", 1, (planned,))) is None
    changed = Landing("k", "other", 1, "raw", "payment", "order")
    assert "1 planned objects not read" in str(landings_differ(entry, TablePlan("t", "payment", 1, (changed,))))
