"""Putting events on the stream as a careful producer does: full batches, and failed entries sent again until they pass.

What does not belong here: what an event is. The partition key is the event's uuid where one is seen cheaply, so that
the copies of an event meet in one shard.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from eventlake.errors import TransientError

# what one PutRecords call takes
BATCH_RECORDS = 500
BATCH_BYTES = 5 * 1024**2
# one record, its key included
RECORD_BYTES = 1024**2
ATTEMPTS = 12
LONGEST_PAUSE_SECONDS = 5.0
UUID = re.compile(
    rb'"event_uuid"\s*:\s*"([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})"'
)

Entry = dict[str, Any]


@dataclass(frozen=True)
class SendReport:
    sent: int
    sent_again: int
    too_large_lines: tuple[int, ...]
    seconds: float
    # the furthest sequence number given to this producer, by shard
    last_sent: dict[str, str]

    @property
    def rate(self) -> float:
        return self.sent / max(self.seconds, 0.001)


def partition_key(line: bytes) -> str:
    found = UUID.search(line)
    return found.group(1).decode().lower() if found else hashlib.sha256(line).hexdigest()


def batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        entry_bytes = len(entry["Data"]) + len(entry["PartitionKey"])
        if batch and (len(batch) == BATCH_RECORDS or size + entry_bytes > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry_bytes
    if batch:
        yield batch


def send(kinesis: Any, stream: str, lines: Iterable[bytes], on_progress: Callable[[int], None]) -> SendReport:
    """All lines, in order: a batch is whole on the stream before the next one begins."""
    started = time.monotonic()
    too_large: list[int] = []
    last_sent: dict[str, str] = {}
    sent = sent_again = 0

    def entries() -> Iterator[Entry]:
        for number, line in enumerate(lines, start=1):
            entry = {"Data": line, "PartitionKey": partition_key(line)}
            if len(line) + len(entry["PartitionKey"]) > RECORD_BYTES:
                too_large.append(number)
            else:
                yield entry

    for batch in batches(entries()):
        sent_again += _put(kinesis, stream, batch, last_sent)
        sent += len(batch)
        on_progress(sent)
    return SendReport(sent, sent_again, tuple(too_large), time.monotonic() - started, last_sent)


def _put(kinesis: Any, stream: str, batch: list[Entry], last_sent: dict[str, str]) -> int:
    """How many entries had to be sent again. Raises TransientError when the stream goes on refusing."""
    again = 0
    left = batch
    for attempt in range(1, ATTEMPTS + 1):
        answer = kinesis.put_records(StreamName=stream, Records=left)
        for result in answer["Records"]:
            if "SequenceNumber" in result:
                shard, number = result["ShardId"], result["SequenceNumber"]
                last_sent[shard] = max(last_sent.get(shard, "0"), number, key=int)
        if not answer["FailedRecordCount"]:
            return again
        refusals = [
            (entry, result) for entry, result in zip(left, answer["Records"], strict=True) if "ErrorCode" in result
        ]
        left = [entry for entry, _ in refusals]
        again += len(left)
        if attempt < ATTEMPTS:
            # not a measurement and not a secret: spreads out producers that are throttled together
            time.sleep(random.uniform(0.5, 1) * min(LONGEST_PAUSE_SECONDS, 0.1 * 2**attempt))
    reason = refusals[0][1]
    raise TransientError(
        f"sending to {stream}: {len(left)} records refused {ATTEMPTS} times, the first with {reason['ErrorCode']}: "
        f"{reason.get('ErrorMessage')}; send the file again later (what is there already counts as duplicate)"
    )
