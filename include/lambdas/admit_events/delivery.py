"""Handing lines to a Firehose stream, all of them: within its limits, and again those that it did not take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from retries import attempts

from eventlake.errors import TransientError

# https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
RECORDS_A_CALL = 500
BYTES_A_CALL = 4 * 1024 * 1024


def deliver(firehose: Any, stream: str, lines: Iterable[bytes], sleep: Callable[[float], None] = time.sleep) -> int:
    """Hand every line to the stream; return how many were handed over again. Raises TransientError if some stay."""
    return sum(_deliver_call(firehose, stream, call, sleep) for call in calls_of(lines))


def calls_of(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines in order, cut into calls that Firehose accepts."""
    call: list[bytes] = []
    call_bytes = 0
    for line in lines:
        if call and (len(call) == RECORDS_A_CALL or call_bytes + len(line) > BYTES_A_CALL):
            yield call
            call, call_bytes = [], 0
        call.append(line)
        call_bytes += len(line)
    if call:
        yield call


def _deliver_call(firehose: Any, stream: str, lines: Sequence[bytes], sleep: Callable[[float], None]) -> int:
    pending = list(lines)
    again = 0
    for _ in attempts(f"delivering to {stream}", sleep):
        answer = firehose.put_record_batch(DeliveryStreamName=stream, Records=[{"Data": line} for line in pending])
        if not answer["FailedPutCount"]:
            break
        responses = answer["RequestResponses"]
        pending = [line for line, response in zip(pending, responses, strict=True) if "ErrorCode" in response]
        if not pending:
            raise TransientError(
                f"delivering to {stream}: Firehose counts {answer['FailedPutCount']} failed records and names none; "
                "valid is one ErrorCode each; the batch is retried"
            )
        again += len(pending)
    return again
