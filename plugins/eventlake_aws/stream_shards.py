"""Asking the stream for its shards, the closed ones too, and reading one as fast as it gives and no faster.

Closed shards stay until retention ends, so a stream that was resharded has more of them than anybody asked for.
Does not belong here: what the records say (`stream_census`), how far the lake is (`watermark_census`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from eventlake.errors import TransientError

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html: 2 MiB and five calls a second, which
# all readers share; "we recommend that you wait 1 second between calls"
_SHARD_BYTES_A_SECOND = 2 * 1024 * 1024
_REFUSED_PAUSE_SECONDS = 1.0
_MOST_REFUSALS = 120


def shard_ids(kinesis: Any, stream: str) -> list[str]:
    """Open and closed ones. boto3's paginator names the stream on each page, which AWS refuses from the second on."""
    answer = kinesis.list_shards(StreamName=stream)
    found = [shard["ShardId"] for shard in answer["Shards"]]
    while token := answer.get("NextToken"):
        answer = kinesis.list_shards(NextToken=token)
        found += [shard["ShardId"] for shard in answer["Shards"]]
    return found


def answers(
    kinesis: Any,
    stream: str,
    shard_id: str,
    start: dict[str, Any],
    records_a_call: int,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[dict[str, Any]]:
    """GetRecords' answers from a place on, to the end of a closed shard; who has enough, stops asking.

    `start`: ShardIteratorType and what it needs. None for a shard that expired since it was listed.
    """
    try:
        iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard_id, **start)["ShardIterator"]
    except kinesis.exceptions.ResourceNotFoundException:
        return
    while iterator:
        answer = _answer(kinesis, stream, shard_id, iterator, records_a_call, sleep)
        yield answer
        iterator = answer.get("NextShardIterator")
        if iterator:
            sleep(sum(len(record["Data"]) for record in answer["Records"]) / _SHARD_BYTES_A_SECOND)


def _answer(
    kinesis: Any, stream: str, shard_id: str, iterator: str, records: int, sleep: Callable[[float], None]
) -> dict[str, Any]:
    for _ in range(_MOST_REFUSALS):
        try:
            answer: dict[str, Any] = kinesis.get_records(ShardIterator=iterator, Limit=records)
            return answer
        except kinesis.exceptions.ProvisionedThroughputExceededException:
            sleep(_REFUSED_PAUSE_SECONDS)
    raise TransientError(
        f"reading {shard_id} of {stream}: refused {_MOST_REFUSALS} times for its throughput; valid is an answer within "
        "seconds; look who else reads the stream, and run the task again"
    )
