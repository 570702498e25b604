"""The load job from plan to receipt: every line gets one verdict, and only new good rows are staged."""

from __future__ import annotations

import base64
import copy
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from disk_lake.lake import DiskLake
from eventlake.errors import TerminalError
from eventlake.layout import Area
from eventlake.receipt import parse_receipt
from eventlake_spark import stage
from tests.builders import a_sequence_number, a_uuid
from tests.spark.event_lines import Written, a_line

PAYMENT = {
    "title": "An order was paid",
    "type": "object",
    "x-owner": "team-payments",
    "x-retention-class": "financial",
    "x-event-names": ["payment:order", "payment:order:refused"],
    "x-other-fields": True,
    "required": ["order_id", "amount"],
    "properties": {
        "order_id": {"type": "string", "description": "The order"},
        "amount": {"type": "number", "x-decimal": [12, 2], "minimum": 0},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"sku": {"type": "string"}, "price": {"type": "number", "x-decimal": [12, 2]}},
            },
        },
        "order": {"type": "integer"},
    },
}
SUITE = {
    "name": "payment",
    "expectations": [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "amount", "max_value": 1000},
            "meta": {"severity": "high", "why": "nobody spends more"},
        },
        {
            "type": "expect_column_values_to_not_be_null",
            "kwargs": {"column": "order_id"},
            "meta": {"severity": "critical"},
        },
    ],
}


def a_payment(number: int = 1, **fields: object) -> bytes:
    return a_line(number, **{"order_id": f"o-{number}", "amount": 19.99, **fields})


def test_good_lines_are_staged_typed_and_no_reader_sees_them(lake: DiskLake) -> None:
    # given
    lake.define({"payment/order": PAYMENT})
    landing = lake.land(
        [
            a_payment(1, amount=Written("19.990"), producer="shop", created_at=Written("1795248000.1234567")),
            a_payment(2, event_name="payment:order:refused", items=[{"sku": "x", "price": 0.1}], more={"a": [1, "2"]}),
        ]
    )

    # when
    receipt = lake.load(landing)

    # then
    (entry,) = receipt["tables"]
    assert entry["counts"] == {"lines": 2, "loaded": 2, "duplicate": 0, "quarantined": 0}
    assert (entry["added_records"], entry["added_files"], entry["days"]) == (2, 1, {"2026-11-21": 2})
    assert entry["landings"] == [
        {
            "object_key": landing.object_key, "etag": landing.etag, "lines": 2,
            "first_day": "2026-11-21", "last_day": "2026-11-21",
        }
    ]  # fmt: skip
    assert entry["validation"] == {"success": None, "results": [], "note": "the type has no suite"}
    assert receipt["quarantine_uri"] is receipt["duplicates_uri"] is None
    assert lake.rows("SELECT * FROM events.payment_events") == []
    first, second = sorted(lake.staged_rows(entry), key=lambda row: row.event_uuid)
    assert first.asDict() == {
        "event_uuid": a_uuid(1),
        "event_name": "payment:order",
        "event_type": "payment",
        "event_subtype": "order",
        "event_detail": None,
        "created_at": Decimal("1795248000.123456"),
        "created_datetime": datetime(2026, 11, 21, 8, 0, 0, 123456),
        "event_date": date(2026, 11, 21),
        "producer": "shop",
        "order_id": "o-1",
        "amount": Decimal("19.99"),
        "items": None,
        "order": None,
        "other_fields": None,
        "ingested_at": datetime(2026, 11, 21, 8, 0, 1, 123000),
        "shard_id": "shardId-000000000000",
        "sequence_number": a_sequence_number(1),
        "raw_object": landing.object_key,
        "load_id": "load_events-0123456789-g1",
    }
    assert second.event_detail == "refused"
    assert second.items[0].asDict() == {"sku": "x", "price": Decimal("0.10")}
    assert second.other_fields == '{"more":{"a": [1, "2"]}}'


def counts_of(receipt: dict[str, Any], table: str = "events.payment_events") -> dict[str, int]:
    return dict(next(entry for entry in receipt["tables"] if entry["table"] == table)["counts"])


def test_the_first_of_a_uuid_stays_by_arrival_then_shard_then_number(lake: DiskLake) -> None:
    # given: numbers whose text sorts otherwise than they do
    lake.define({"payment/order": PAYMENT})
    second_ms, first_ms = 1_795_248_002_000, 1_795_248_001_000
    later = a_payment(9, event_uuid=a_uuid(1), arrived_at_ms=second_ms)
    earlier = a_payment(1, event_uuid=a_uuid(1).upper(), arrived_at_ms=first_ms, order_id="o-9")
    low = a_payment(2, arrived_at_ms=first_ms).replace(a_sequence_number(2).encode(), b"9")
    high = a_payment(2, arrived_at_ms=first_ms).replace(a_sequence_number(2).encode(), b"10")
    one_shard = a_payment(3, arrived_at_ms=first_ms, shard_id="shardId-000000000000")
    other_shard = a_payment(3, arrived_at_ms=first_ms, shard_id="shardId-000000000001")

    # when
    receipt = lake.load(lake.land([later, high, other_shard]), lake.land([one_shard, low, earlier]))

    # then
    (entry,) = receipt["tables"]
    assert entry["counts"] == {"lines": 6, "loaded": 3, "duplicate": 3, "quarantined": 0}
    kept = lake.staged_rows(entry, "event_uuid, sequence_number, shard_id")
    assert sorted(map(tuple, kept)) == [
        (a_uuid(1), a_sequence_number(1), "shardId-000000000000"),
        (a_uuid(2), "9", "shardId-000000000000"),
        (a_uuid(3), a_sequence_number(3), "shardId-000000000000"),
    ]
    dropped = lake.beside(receipt, "duplicates_uri")
    assert {(row["event_uuid"], row["sequence_number"]) for row in dropped} == {
        (a_uuid(1), a_sequence_number(9)),
        (a_uuid(2), "10"),
        (a_uuid(3), a_sequence_number(3)),
    }
    assert {(row["table"], row["event_date"]) for row in dropped} == {("events.payment_events", "2026-11-21")}


def test_loads_in_any_order_and_overlap_give_the_same_content(lake: DiskLake) -> None:
    # given: three objects that share events; a late one by its day of arrival
    lake.define({"payment/order": PAYMENT})
    lines = [a_payment(number) for number in range(1, 7)]
    late = a_payment(7, created_at=1_795_248_000 - 5 * 86_400)
    a, b = lake.land([lines[0], lines[1], lines[2]]), lake.land([lines[2], lines[3], lines[4]])
    c = lake.land([late, late], area=Area.LATE)
    d = lake.land([lines[5], lines[0]])

    # when: overlapping loads, one of them twice, one staged and never published
    lake.load_and_publish(b, c)
    lake.load(a, d)
    lake.load_and_publish(d, a, b)
    again = lake.load_and_publish(c, b, a, d)

    # then
    found = lake.rows("SELECT event_uuid, order_id, event_date FROM events.payment_events ORDER BY event_uuid")
    assert [tuple(row) for row in found] == [
        *((a_uuid(number), f"o-{number}", date(2026, 11, 21)) for number in range(1, 7)),
        (a_uuid(7), "o-7", date(2026, 11, 16)),
    ]
    assert counts_of(again) == {"lines": 10, "loaded": 0, "duplicate": 10, "quarantined": 0}
    assert again["tables"][0]["staged_snapshot_id"] is None
    assert again["tables"][0]["landings"][2]["first_day"] in ("2026-11-16", "2026-11-21")


def test_a_uuid_with_other_content_is_a_conflict_within_a_load_and_across_loads(lake: DiskLake) -> None:
    # given
    lake.define({"payment/order": PAYMENT})
    lake.load_and_publish(lake.land([a_payment(1)]))
    other = a_payment(2, event_uuid=a_uuid(1), amount=5)
    same = a_payment(3, event_uuid=a_uuid(1), order_id="o-1")
    first, changed = a_payment(4), a_payment(5, event_uuid=a_uuid(4), order_id="o-4", amount=1)
    # not as the lake writes it, and still a line
    changed = changed.replace(b'"shard_id":', b'"shard_id": ').replace(b'"sequence_number":', b'"sequence_number": ')

    # when
    landing = lake.land([other, first, same, changed])
    receipt = lake.load(landing)

    # then
    (entry,) = receipt["tables"]
    assert entry["counts"] == {"lines": 4, "loaded": 1, "duplicate": 1, "quarantined": 2}
    assert entry["quarantined_by_reason"] == {"uuid_conflict": 2}
    rows = {row["sequence_number"]: row for row in lake.beside(receipt, "quarantine_uri")}
    assert rows[a_sequence_number(2)]["original_text"] == other.decode()
    assert rows[a_sequence_number(5)]["original_text"] == changed.decode()
    assert (rows[a_sequence_number(2)]["line"], rows[a_sequence_number(5)]["line"]) == (1, 4)
    assert {row["raw_object"] for row in rows.values()} == {landing.object_key}


def test_bad_lines_are_quarantined_word_for_word_and_good_ones_of_the_same_object_go_on(lake: DiskLake) -> None:
    # given
    lake.define({"payment/order": PAYMENT})
    cut = a_payment(2)[:-60]
    wrong_type, missing = a_payment(3, order_id=5), a_payment(4, order_id=None, producer="shop")
    joined = a_payment(5) + a_payment(6)
    out_of_range = a_payment(7, amount=-1)
    not_utf8 = b'{"event_uuid":"\xff\xfe"}'
    landing = lake.land([a_payment(1), cut, "", wrong_type, missing, joined, out_of_range, not_utf8, cut])

    # when
    receipt = lake.load(landing)

    # then
    (entry,) = receipt["tables"]
    assert entry["counts"] == {"lines": 8, "loaded": 1, "duplicate": 0, "quarantined": 7}
    assert entry["landings"][0]["lines"] == 8
    rows = sorted(lake.beside(receipt, "quarantine_uri"), key=lambda row: row["line"])
    assert [(row["line"], row["reason"], row["field"]) for row in rows] == [
        (2, "unreadable", None),
        (4, "wrong_type", "order_id"),
        (5, "missing_required", "order_id"),
        (6, "unreadable", None),
        (7, "out_of_range", "amount"),
        (8, "unreadable", "event_name"),
        (9, "unreadable", None),
    ]
    assert [row["original_text"] for row in rows[:5]] == [
        line.decode() for line in (cut, wrong_type, missing, joined, out_of_range)
    ]
    assert rows[2]["producer"] == "shop"
    assert (rows[2]["event_uuid"], rows[2]["sequence_number"]) == (a_uuid(4), a_sequence_number(4))
    assert all(row["event_type"] == "payment" for row in rows)


def test_lines_of_the_error_prefix_go_to_their_tables_and_none_is_lost(lake: DiskLake) -> None:
    # given: one object with lines of two tables, a name without contract and two that cannot be read
    lake.define({"payment/order": PAYMENT, "refund/asked": {**PAYMENT, "x-event-names": ["refund:asked"]}})

    def wrapped(data: bytes) -> str:
        return json.dumps({"attemptsMade": 4, "errorCode": "x", "rawData": base64.b64encode(data).decode()})

    refund = a_payment(3, event_name="refund:asked")
    landing = lake.land_errors(
        [
            wrapped(a_payment(1)),
            wrapped(a_payment(2) + b"\n" + refund),
            wrapped(a_line(4, event_name="quest:done", more=1.10)),
            wrapped(b"not json"),
            '{"rawData": "%%%"}',
        ],
        {("payment", "order"), ("refund", "asked"), ("quest", "done")},
    )

    # when
    receipt = lake.load(landing)

    # then
    assert {entry["table"]: entry["counts"]["lines"] for entry in receipt["tables"]} == {
        "events.payment_events": 2,
        "events.refund_events": 1,
        "events.uncontracted": 3,
    }
    assert counts_of(receipt, "events.uncontracted") == {"lines": 3, "loaded": 1, "duplicate": 0, "quarantined": 2}
    entry = next(entry for entry in receipt["tables"] if entry["table"] == "events.uncontracted")
    (row,) = lake.staged_rows(entry)
    assert row.body == f'{{"event_uuid":"{a_uuid(4)}","event_name":"quest:done","created_at":1795248000,"more":1.1}}'
    assert (row.event_type, row.event_subtype, row.raw_object) == ("quest", "done", landing.object_key)


def test_a_table_only_grows_with_its_contract_and_the_same_record_stays_a_duplicate(
    lake: DiskLake,
) -> None:
    # given: a field that no contract knew when the row was published
    lake.define({"payment/order": PAYMENT})
    line = a_payment(1, colour="red", items=[{"sku": "x", "packSize": 4}])
    lake.load_and_publish(lake.land([line]))
    grown = copy.deepcopy(PAYMENT)
    grown["properties"]["colour"] = {"type": "string", "description": "Colour of the order"}
    grown["properties"]["items"]["items"]["properties"]["packSize"] = {"type": "integer"}
    lake.define({"payment/order": grown})

    # when
    receipt = lake.load_and_publish(lake.land([line, a_payment(2, colour="blue", items=[{"packSize": 5}])]))

    # then
    assert counts_of(receipt) == {"lines": 2, "loaded": 1, "duplicate": 1, "quarantined": 0}
    rows = lake.rows("SELECT colour, other_fields, items[0].packSize FROM events.payment_events ORDER BY event_uuid")
    assert [tuple(row) for row in rows] == [(None, '{"colour":"red"}', None), ("blue", None, 5)]

    # and when: it is asked for again, and then the contract is what it was
    assert lake.load(lake.land([a_payment(4)]))["tables"][0]["error"] is None
    lake.define({"payment/order": PAYMENT})
    lake.load_and_publish(lake.land([a_payment(3, colour="red", items=[{"sku": "y", "packSize": 6}])]))

    # then: the columns that no contract knows any more are empty in the new row
    rows = lake.rows("SELECT colour, items[0].sku, items[0].packSize FROM events.payment_events ORDER BY event_uuid")
    assert [tuple(row) for row in rows] == [(None, "x", None), ("blue", None, 5), (None, "y", None)]


def test_a_change_that_rows_would_not_survive_fails_its_table_and_no_other(lake: DiskLake) -> None:
    # given
    refund = {**PAYMENT, "x-event-names": ["refund:asked"]}
    lake.define({"payment/order": PAYMENT, "refund/asked": refund})
    lake.load_and_publish(lake.land([a_payment(1)]))
    changed = copy.deepcopy(PAYMENT)
    changed["properties"]["order"] = {"type": "string"}
    lake.define({"payment/order": changed, "refund/asked": refund})

    # when
    receipt = lake.load(
        lake.land([a_payment(2)]), lake.land([a_payment(3, event_name="refund:asked")], "refund", "asked")
    )

    # then
    payment, refunds = sorted(receipt["tables"], key=lambda entry: str(entry["table"]))
    assert "order is bigint and would become string (contract payment/order); valid is" in payment["error"]
    assert "give the field a new name in the contract" in payment["error"]
    assert payment["staged_snapshot_id"] is None
    assert (refunds["error"], refunds["counts"]["loaded"]) == (None, 1)


def test_a_suite_that_fails_says_which_rows_and_never_their_values(lake: DiskLake) -> None:
    # given
    lake.define({"payment/order": PAYMENT}, {"payment": SUITE})

    # when
    receipt = lake.load(lake.land([a_payment(1), a_payment(2, amount=987654.32)]))

    # then
    (entry,) = receipt["tables"]
    assert entry["counts"]["loaded"] == 2
    assert entry["validation"]["success"] is False
    between, not_null = entry["validation"]["results"]
    assert (between["severity"], between["success"], between["unexpected_count"]) == ("high", False, 1)
    assert between["detail"] == {"why": "nobody spends more", "event_uuids": [a_uuid(2)]}
    assert (between["observed"], between["rows"]) == ("1 of 2 rows unexpected", 2)
    assert (not_null["column"], not_null["success"], not_null["detail"]) == ("order_id", True, None)
    assert (not_null["observed"], not_null["unexpected_count"]) == ("0 of 2 rows unexpected", 0)
    assert "987654" not in json.dumps(entry)


def test_the_history_tells_pairs_apart_and_says_how_near_a_good_answer_was(lake: DiskLake) -> None:
    # given: a pair, a share of rows and a mean, none of which fails
    expectations = [
        {
            "type": "expect_column_pair_values_a_to_be_greater_than_b",
            "kwargs": {"column_A": "created_datetime", "column_B": "event_date", "or_equal": True},
        },
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "amount", "max_value": 5, "mostly": 0.5},
        },
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "amount", "min_value": 0}},
    ]
    suite = {"name": "payment", "expectations": [each | {"meta": {"severity": "low"}} for each in expectations]}
    lake.define({"payment/order": PAYMENT}, {"payment": suite})

    # when
    receipt = lake.load(lake.land([a_payment(1, amount=1), a_payment(2, amount=7)]))

    # then
    pair, share, mean = receipt["tables"][0]["validation"]["results"]
    assert [one["success"] for one in (pair, share, mean)] == [True, True, True]
    assert pair["column"] == "created_datetime, event_date"
    assert (share["observed"], share["unexpected_count"]) == ("1 of 2 rows unexpected", 1)
    assert (mean["observed"], mean["unexpected_count"], mean["detail"]) == (4.0, None, None)


def test_an_expectation_that_cannot_be_asked_is_no_answer(lake: DiskLake) -> None:
    lake.define(
        {"payment/order": PAYMENT},
        {
            "payment": {
                "name": "payment",
                "expectations": [
                    {
                        "type": "expect_column_values_to_not_be_null",
                        "kwargs": {"column": "nothing_called_so"},
                        "meta": {"severity": "low"},
                    }
                ],
            }
        },
    )
    (entry,) = lake.load(lake.land([a_payment(1)]))["tables"]
    assert [result["success"] for result in entry["validation"]["results"]] in ([None], [])
    assert entry["validation"]["success"] is not True


def test_the_receipt_is_one_that_the_worker_believes(lake: DiskLake) -> None:
    lake.define({"payment/order": PAYMENT}, {"payment": SUITE})
    receipt = lake.load(lake.land([a_payment(1), a_payment(1), b"x"]))
    parsed = parse_receipt(json.dumps(receipt))
    table = parsed.table("events.payment_events")
    assert table is not None and table.counts.are_balanced
    assert (table.counts.loaded, table.added_records, table.counts.duplicate) == (1, 1, 1)


def test_a_row_that_goes_missing_on_the_way_is_seen(lake: DiskLake, monkeypatch: pytest.MonkeyPatch) -> None:
    # given: a judgement that loses a row
    lake.define({"payment/order": PAYMENT})
    judge = stage.judged_lines
    monkeypatch.setattr(stage, "judged_lines", lambda *given: judge(*given).where(f"row.event_uuid <> '{a_uuid(2)}'"))

    # when
    landing = lake.land([a_payment(1), a_payment(2)])
    receipt = lake.load(landing, expected_exit=1)

    # then
    (entry,) = receipt["tables"]
    assert "2 lines read, 1 judged" in entry["error"]
    assert entry["staged_snapshot_id"] is None


def test_two_attempts_of_a_load_never_share_a_branch_and_no_receipt_is_written_twice(lake: DiskLake) -> None:
    lake.define({"payment/order": PAYMENT})
    landing = lake.land([a_payment(1)])
    first, second = lake.load(landing), lake.load(landing)
    assert first["tables"][0]["branch"] != second["tables"][0]["branch"]
    assert first["tables"][0]["base_snapshot_id"] == second["tables"][0]["base_snapshot_id"]
    lake.publish(second)
    with pytest.raises(AssertionError):
        lake.publish(first)
    with pytest.raises(TerminalError, match="there already"):
        lake.store.create(f"s3://a-lake/control/runs/receipt-{first['job_run_id']}.json", b"{}")


def test_a_line_that_no_table_of_the_plan_claims_is_quarantined_by_one_that_reads_its_object(lake: DiskLake) -> None:
    # given: an object that was planned for payments alone, with a line that nobody can read
    lake.define({"payment/order": PAYMENT})
    good = json.dumps({"rawData": base64.b64encode(a_payment(1)).decode()})
    landing = lake.land_errors([good, json.dumps({"rawData": "bm90IGpzb24="})], {("payment", "order")})

    # when
    receipt = lake.load(landing)

    # then
    assert [entry["table"] for entry in receipt["tables"]] == ["events.payment_events"]
    assert counts_of(receipt) == {"lines": 2, "loaded": 1, "duplicate": 0, "quarantined": 1}
    (row,) = lake.beside(receipt, "quarantine_uri")
    assert (row["original_text"], row["line"], row["reason"]) == ("not json", 2, "unreadable")
