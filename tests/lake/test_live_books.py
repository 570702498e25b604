"""The books against a live stream, bucket, list and table: a good lake balances, a planted loss is named."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lake_builders import Lake, Sent
from test_live_loads import TABLE, planned, published

from eventlake.errors import TransientError
from eventlake.watermark import NOTHING_COVERED
from eventlake_aws.balance_books import balance
from eventlake_aws.books_gathering import Scope
from eventlake_aws.control_tables import BOOKS
from eventlake_aws.landing_list import mark_superseded
from eventlake_aws.quarantine_rows import append_quarantine, open_identities
from eventlake_aws.watermark_census import watermark_now


def received(lake: Lake, count: int, event_type: str = "payment", **fields: Any) -> list[Sent]:
    """Sends events to the stream and gives them as it knows them."""
    sent = []
    for number in range(count):
        event = {"event_uuid": f"uuid-{event_type}-{number}", "event_name": f"{event_type}:order", "created_at": 1}
        answer = lake.clients.kinesis.put_record(
            StreamName=lake.settings.stream, Data=json.dumps(event | fields).encode(), PartitionKey=event["event_uuid"]
        )
        sent.append(
            Sent(
                event["event_uuid"],
                int(answer["SequenceNumber"]),
                event_type,
                day=f"{datetime.now(UTC):%Y-%m-%d}",
                ingested_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                shard_id=answer["ShardId"],
            )
        )
    return sent


def claim(lake: Lake, event: Sent) -> None:
    lake.clients.dynamodb.put_item(
        TableName=lake.settings.claims_table,
        Item={
            "event_uuid": {"S": event.event_uuid},
            "owner": {"S": f"{event.shard_id}:{event.sequence_number}"},
        },
    )


def decided(lake: Lake, event: Sent, verdict: str, reason: str | None = None) -> None:
    body = {
        "verdict": verdict,
        "reason": reason,
        "event_type": event.event_type,
        "shard_id": event.shard_id,
        "sequence_number": str(event.sequence_number),
        "ingested_at": event.ingested_at,
    }
    year, month, day = event.ingested_at[:10].split("-")
    lake.clients.s3.put_object(
        Bucket=lake.settings.raw_bucket,
        Key=f"decisions/verdict={verdict}/year={year}/month={month}/day={day}/{event.sequence_number}.gz",
        Body=gzip.compress(json.dumps(body).encode() + b"\n"),
    )


def struck(lake: Lake, run_id: str = "books-1") -> dict[str, Any]:
    now = datetime.now(UTC) + timedelta(seconds=5)
    return balance(lake.clients, lake.settings, arrival_days=None, as_of=now, now=now, run_id=run_id)


def test_a_good_lake_balances(lake: Lake) -> None:
    # given: two loaded, one dropped by the load, one quarantined, one waiting; two decided against at the door
    first, second, third, bad, twin, wrong, waits = received(lake, 7)
    lake.land([first, second, third, bad])
    _, plan = planned(lake)
    bad_row = {
        "event_type": "payment",
        "reason": "wrong_type",
        "shard_id": bad.shard_id,
        "sequence_number": str(bad.sequence_number),
        "raw_object": "x",
        "line": 4,
    }
    dropped = {
        "table": TABLE,
        "event_uuid": first.event_uuid,
        "shard_id": third.shard_id,
        "sequence_number": str(third.sequence_number),
        "event_date": first.day,
    }
    entry = lake.receipt_entry(plan, TABLE, "jr_1", [first, second], duplicate=1, quarantined=1)
    lake.write_receipt(plan, "jr_1", [entry], quarantine=[bad_row], duplicates=[dropped])
    published(lake, plan)
    decided(lake, twin, "duplicate")
    decided(lake, wrong, "rejected", "too_large")
    lake.land([waits], name="b")
    # when
    books = struck(lake)
    # then
    assert books["differences"] == []
    assert books["balanced"]
    figures = ("received", "admitted", "duplicates", "loaded", "load_duplicates", "waiting", "held", "in_flight")
    assert [books[name] for name in figures] == [7, 5, 1, 2, 1, 1, 0, 0]
    assert (books["rejected"], books["quarantined"]) == ({"too_large": 1}, {"wrong_type": 1})
    assert (books["landed_objects"], books["tables"]) == (2, {TABLE: 2})
    rows = lake.catalog.load_table(BOOKS).scan().to_arrow().to_pylist()
    assert {row["half"] for row in rows} == {"stream", "table"}
    assert sum(row["received"] or 0 for row in rows) == 7


def test_each_planted_loss_is_named_with_its_station(lake: Lake) -> None:
    # given: lost by the function, by Firehose, by the list of landings, by the load; and a row that came from nowhere
    in_function, in_delivery, in_list, in_load, good = received(lake, 5)
    claim(lake, in_delivery)
    lake.land([in_list], name="unrecorded", is_recorded=False)
    lake.land([good, in_load], name="loaded")
    _, plan = planned(lake)
    entry = lake.receipt_entry(plan, TABLE, "jr_1", [good])
    lake.write_receipt(plan, "jr_1", [entry])
    published(lake, plan)
    stranger = Sent("uuid-stranger", 77, ingested_at=good.ingested_at, day=good.day)
    lake.publish_directly(TABLE, [stranger])
    # when
    books = struck(lake)
    # then
    named = {difference["identity"]: difference["station"] for difference in books["differences"]}
    assert named == {
        f"{in_function.shard_id}:{in_function.sequence_number}": "admit_events",
        f"{in_delivery.shard_id}:{in_delivery.sequence_number}": "firehose",
        f"{in_list.shard_id}:{in_list.sequence_number}": "record_landing",
        f"{in_load.shard_id}:{in_load.sequence_number}": "load_events",
        f"{stranger.shard_id}:{stranger.sequence_number}": "raw_bucket",
    }
    assert books["residual"] == 5


def test_a_row_loaded_twice_and_a_duplicate_of_nothing_are_named(lake: Lake) -> None:
    once, orphan = received(lake, 2)
    lake.land([once, orphan])
    _, plan = planned(lake)
    dropped = {
        "table": TABLE,
        "event_uuid": orphan.event_uuid,
        "shard_id": orphan.shard_id,
        "sequence_number": str(orphan.sequence_number),
        "event_date": orphan.day,
    }
    lake.write_receipt(
        plan, "jr_1", [lake.receipt_entry(plan, TABLE, "jr_1", [once], duplicate=1)], duplicates=[dropped]
    )
    published(lake, plan)
    lake.publish_directly(TABLE, [once])
    whats = sorted(difference["what"] for difference in struck(lake)["differences"])
    assert whats == [
        "dropped as a duplicate, but no row has its uuid",
        "loaded twice",
        f"one uuid stands 2 times in {TABLE}",
    ]


def test_what_came_after_the_watermark_is_in_flight(lake: Lake) -> None:
    early = received(lake, 1)[0]
    lake.land([early])
    as_of = datetime.now(UTC)
    received(lake, 2, "lesson")
    now = datetime.now(UTC)
    books = balance(lake.clients, lake.settings, arrival_days=[as_of.date()], as_of=as_of, now=now, run_id="books-2")
    assert (books["received"], books["in_flight"], books["balanced"]) == (1, 2, True)
    # and of a day that is over, later records are not in flight: they are another day's
    yesterday = as_of.date() - timedelta(days=1)
    past = balance(lake.clients, lake.settings, arrival_days=[yesterday], as_of=now, now=now, run_id="books-3")
    assert (past["received"], past["in_flight"], past["balanced"]) == (0, 0, True)


def test_error_objects_are_landings_of_their_types(lake: Lake) -> None:
    # given: Firehose could not partition one payment and one event without a contract
    payment, unknown = received(lake, 1)[0], received(lake, 1, "mystery")[0]
    lines = [
        json.dumps({"errorCode": "DynamicPartitioning.MetadataExtractionFailed", "rawData": encoded.decode()})
        for encoded in (base64.b64encode(event.line) for event in (payment, unknown))
    ]
    key = f"errors/processing-failed/{datetime.now(UTC):%Y/%m/%d}/x"
    lake.land_body(key, "\n".join(lines).encode(), "errors", None)
    # when
    _, plan = planned(lake, areas=("errors",))
    # then
    assert sorted(table.table for table in plan.tables) == [TABLE, "events.uncontracted"]
    books = struck(lake)
    assert (books["admitted"], books["waiting"], books["balanced"]) == (2, 2, True)
    # and it is loaded only when all its tables are
    broken = lake.receipt_entry(plan, "events.uncontracted", "jr_1", [unknown], error="it broke")
    lake.write_receipt(plan, "jr_1", [lake.receipt_entry(plan, TABLE, "jr_1", [payment]), broken])
    published(lake, plan)
    assert lake.landing(key)["status"] == "waiting"
    assert lake.rows(TABLE) == [payment.event_uuid]


def test_what_was_superseded_is_accounted_for(lake: Lake) -> None:
    # given: two held, and of one it was decided that it is never to be loaded
    stays, goes = received(lake, 2)
    landings = []
    for event in (stays, goes):
        lake.land([event], name=event.event_uuid)
        _, plan = planned(lake, run_id=event.event_uuid)
        unanswered = lake.receipt_entry(plan, TABLE, "jr_1", [event], validation={"success": None, "results": []})
        lake.write_receipt(plan, "jr_1", [unanswered])
        assert published(lake, plan)["held"]
        landings.append((plan.load_id, plan.landings))
    load_id, superseded = landings[1]
    mark_superseded(lake.clients, lake.settings, load_id, "release_load-0123456789-g1", superseded)
    # when
    books = struck(lake)
    # then
    assert (books["differences"], books["balanced"]) == ([], True)
    assert [books[name] for name in ("admitted", "held", "superseded", "waiting")] == [2, 1, 1, 0]


def test_quarantine_is_written_once(lake: Lake) -> None:
    now = datetime.now(UTC)
    known = {"event_type": "payment", "reason": "wrong_type", "shard_id": "s", "sequence_number": "12"}
    unreadable = {"event_type": None, "reason": "unreadable", "raw_object": "raw/x.gz", "line": 3}
    rows = [known | {"raw_object": "raw/a.gz", "line": 1}, unreadable, unreadable | {"line": 4}]
    assert append_quarantine(lake.catalog, lake.settings, rows, "load-1", now) == {"wrong_type": 1, "unreadable": 2}
    # the same record in another object, and the same unreadable line again
    again = [known | {"raw_object": "raw/b.gz", "line": 9}, unreadable]
    assert append_quarantine(lake.catalog, lake.settings, again, "load-2", now) == {}
    assert set(open_identities(lake.catalog, lake.settings)) == {("s", "12"), ("raw/x.gz", 3), ("raw/x.gz", 4)}


def test_the_watermark_waits_for_firehose(lake: Lake) -> None:
    # given: the function noted both shards just now, and nothing came since
    event = received(lake, 1)[0]
    now = datetime.now(UTC)
    for shard in ("shardId-000000000000", "shardId-000000000001"):
        if shard == event.shard_id:
            lake.clients.dynamodb.put_item(
                TableName=lake.settings.positions_table,
                Item={
                    "shard_id": {"S": shard},
                    "sequence_number": {"S": str(event.sequence_number)},
                    "arrived_at": {"N": str(int(now.timestamp() * 1000) - 100)},
                    "updated_at": {"S": now.isoformat()},
                },
            )
    # then: too early, then covered up to the clock
    early = watermark_now(lake.clients, lake.settings, now=now + timedelta(milliseconds=50))
    assert early["watermark"].startswith("1970")
    later = now + timedelta(seconds=10)
    assert datetime.fromisoformat(watermark_now(lake.clients, lake.settings, now=later)["watermark"]) > now


def test_a_record_that_nobody_read_holds_the_watermark(lake: Lake) -> None:
    before = datetime.now(UTC)
    received(lake, 1)
    late = datetime.now(UTC) + timedelta(minutes=5)
    answer = watermark_now(lake.clients, lake.settings, now=late)
    assert abs(datetime.fromisoformat(answer["watermark"]) - before) < timedelta(seconds=10)
    assert not all(shard["caught_up"] for shard in answer["shards"].values())


def test_books_before_the_watermark_are_refused_in_one_line(lake: Lake) -> None:
    now = datetime.now(UTC)
    with pytest.raises(TransientError, match=r"received 1970-01-01\S+ as the watermark; valid is one after [^\n]*$"):
        balance(lake.clients, lake.settings, arrival_days=None, as_of=NOTHING_COVERED, now=now, run_id="manual")


def test_scope_names_its_days() -> None:
    end = datetime(2026, 11, 22, 1, tzinfo=UTC)
    scope = Scope(datetime(2026, 11, 20, 5, tzinfo=UTC), end, end)
    assert [day.day for day in scope.arrival_days] == [20, 21, 22]
