"""Asks the stream, the positions and Firehose how far the lake is, and remembers what it saw. The rule: `watermark`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from eventlake.settings import Settings
from eventlake.watermark import (
    CoverPoint,
    ShardProgress,
    delivery_delay,
    lake_watermark,
    points_of,
    shard_watermark,
)
from eventlake_aws.clients import Clients
from eventlake_aws.stream_shards import answers, shard_ids

_THREADS = 8
# Kinesis answers with nothing now and then though there is more; only so many such answers are asked past
_MOST_EMPTY_ANSWERS = 20
_FRESHNESS_WINDOW = timedelta(minutes=10)


def watermark_now(clients: Clients, settings: Settings, *, now: datetime) -> dict[str, Any]:
    """Up to when every received record is in raw, and how each shard stands."""
    delay = delivery_delay(
        timedelta(seconds=settings.delivery_buffer_seconds), _oldest_in_delivery(clients, settings, now)
    )
    shards = shard_ids(clients.kinesis, settings.stream)
    with ThreadPoolExecutor(_THREADS) as pool:
        progress = dict(zip(shards, pool.map(lambda shard: _progress(clients, settings, shard), shards), strict=True))
        earlier = dict(zip(shards, pool.map(lambda shard: _read_points(clients, settings, shard), shards), strict=True))
    points = {shard: points_of(progress[shard], earlier[shard], now) for shard in shards}
    for shard in shards:
        _write_points(clients, settings, shard, points[shard])
    watermark = lake_watermark(points, now, delay)
    return {
        "watermark": watermark.isoformat() if watermark is not None else None,
        "delay_seconds": delay.total_seconds(),
        "shards": {
            shard: {
                "covered_up_to": shard_watermark(points[shard], now, delay).isoformat(),
                "caught_up": progress[shard].is_caught_up,
                "millis_behind": progress[shard].millis_behind,
            }
            for shard in shards
        },
    }


def _progress(clients: Clients, settings: Settings, shard_id: str) -> ShardProgress:
    item = clients.dynamodb.get_item(
        TableName=settings.positions_table, Key={"shard_id": {"S": shard_id}}, ConsistentRead=True
    ).get("Item")
    noted = None if item is None else item["sequence_number"]["S"]
    next_arrived_at, is_caught_up, millis_behind = _look_past(clients, settings, shard_id, noted)
    return ShardProgress(
        shard_id,
        None if item is None else datetime.fromtimestamp(int(item["arrived_at"]["N"]) / 1000, UTC),
        None if item is None else datetime.fromisoformat(item["updated_at"]["S"]),
        next_arrived_at,
        is_caught_up,
        millis_behind,
    )


def _look_past(
    clients: Clients, settings: Settings, shard_id: str, sequence_number: str | None
) -> tuple[datetime | None, bool, int]:
    """When what lies behind a position arrived, whether nothing does, and how far the reading was behind the tip."""
    start: dict[str, str] = (
        {"ShardIteratorType": "TRIM_HORIZON"}
        if sequence_number is None
        else {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": sequence_number}
    )
    found = answers(clients.kinesis, settings.stream, shard_id, start, records_a_call=1)
    millis_behind = 0
    for answer in islice(found, _MOST_EMPTY_ANSWERS):
        millis_behind = int(answer.get("MillisBehindLatest", 0))
        if answer["Records"]:
            return answer["Records"][0]["ApproximateArrivalTimestamp"].astimezone(UTC), False, millis_behind
        if not answer.get("NextShardIterator") or millis_behind == 0:
            return None, True, 0
    # asked often enough; or no answer at all, of a shard that has expired and has nothing left
    return None, millis_behind == 0, millis_behind


def _oldest_in_delivery(clients: Clients, settings: Settings, now: datetime) -> timedelta | None:
    """The age of the oldest record that Firehose says it still holds; None when it says nothing."""
    answer = clients.cloudwatch.get_metric_data(
        StartTime=now - _FRESHNESS_WINDOW,
        EndTime=now,
        MetricDataQueries=[
            {
                "Id": f"freshness{number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/Firehose",
                        "MetricName": "DeliveryToS3.DataFreshness",
                        "Dimensions": [{"Name": "DeliveryStreamName", "Value": delivery}],
                    },
                    "Period": 60,
                    "Stat": "Maximum",
                },
            }
            for number, delivery in enumerate((settings.raw_delivery, settings.decisions_delivery))
        ],
    )
    newest = [
        max(zip(result["Timestamps"], result["Values"], strict=True))[1]
        for result in answer["MetricDataResults"]
        if result["Values"]
    ]
    return timedelta(seconds=max(newest)) if newest else None


def _read_points(clients: Clients, settings: Settings, shard_id: str) -> tuple[CoverPoint, ...]:
    item = clients.dynamodb.get_item(
        TableName=settings.leases_table, Key={"lease_name": {"S": _item_name(shard_id)}}, ConsistentRead=True
    ).get("Item")
    if item is None:
        return ()
    pairs: list[list[str]] = json.loads(item["points"]["S"])
    return tuple(CoverPoint(datetime.fromisoformat(seen), datetime.fromisoformat(upto)) for seen, upto in pairs)


def _write_points(clients: Clients, settings: Settings, shard_id: str, points: Iterable[CoverPoint]) -> None:
    pairs = [[point.seen_at.isoformat(), point.covered_up_to.isoformat()] for point in points]
    item: Mapping[str, Any] = {
        "lease_name": {"S": _item_name(shard_id)},
        "points": {"S": json.dumps(pairs)},
    }
    clients.dynamodb.put_item(TableName=settings.leases_table, Item=item)


def _item_name(shard_id: str) -> str:
    return f"watermark#{shard_id}"
