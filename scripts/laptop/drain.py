"""Waiting until all that was sent has its verdict in S3 and its landing written down: by looking, not by sleeping.

Three things in turn: each shard's position is at or past the last record sent to it; Firehose has had the time that it
may hold a record back since then; the queue of landings is empty. What does not belong here: what the records say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from eventlake.errors import TransientError
from eventlake.settings import Settings
from eventlake.watermark import delivery_delay

LOOK_EVERY_SECONDS = 0.3
QUEUE_COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


def wait_for_verdicts(
    dynamodb: Any,
    settings: Settings,
    last_sent: Mapping[str, str],
    timeout_seconds: float,
    on_look: Callable[[str], None],
) -> float:
    """Seconds until every record sent had its verdict (`last_sent`: shard -> sequence number)."""
    started = time.monotonic()
    while left := shards_behind(dynamodb, settings, last_sent):
        _require_time(started, timeout_seconds, f"verdicts of shards {', '.join(left)}")
        on_look(f"waiting for verdicts in {len(left)} of {len(last_sent)} shards")
        time.sleep(LOOK_EVERY_SECONDS)
    return time.monotonic() - started


def wait_for_landings(
    dynamodb: Any, sqs: Any, settings: Settings, buffer_seconds: int, timeout_seconds: float
) -> float:
    """Seconds until what the function handed over lies in raw and is written down as landed."""
    started = time.monotonic()
    handed_over = newest_note(dynamodb, settings)
    delay = delivery_delay(timedelta(seconds=buffer_seconds), None)
    url = sqs.get_queue_url(QueueName=settings.landings_queue)["QueueUrl"]
    while datetime.now(UTC) < handed_over + delay or queue_depth(sqs, url):
        _require_time(started, timeout_seconds, "landings")
        time.sleep(LOOK_EVERY_SECONDS)
    return time.monotonic() - started


def shards_behind(dynamodb: Any, settings: Settings, last_sent: Mapping[str, str]) -> list[str]:
    noted = {item["shard_id"]["S"]: int(item["sequence_number"]["S"]) for item in positions(dynamodb, settings)}
    return sorted(shard for shard, sequence in last_sent.items() if noted.get(shard, -1) < int(sequence))


def newest_note(dynamodb: Any, settings: Settings) -> datetime:
    return max(datetime.fromisoformat(item["updated_at"]["S"]) for item in positions(dynamodb, settings))


def positions(dynamodb: Any, settings: Settings) -> list[dict[str, Any]]:
    """How far the admitting function came in each shard."""
    items: list[dict[str, Any]] = dynamodb.scan(TableName=settings.positions_table, ConsistentRead=True)["Items"]
    return items


def queue_depth(sqs: Any, url: str) -> int:
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(QUEUE_COUNTS))
    return sum(int(answer["Attributes"][name]) for name in QUEUE_COUNTS)


def _require_time(started: float, timeout_seconds: float, what: str) -> None:
    if time.monotonic() - started > timeout_seconds:
        raise TransientError(
            f"waiting for the stream to drain: no {what} after {timeout_seconds:.0f} s; look at the log of the emulator"
        )
