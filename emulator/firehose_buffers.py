"""Firehose's buffers: one for each partition and each kind of error, written by size or by time, whichever is first.

Belongs in here: BufferingHints, the partitions that are open, what is tried again and for how long, what a stop keeps.
Does not belong here: which buffer a record goes to (firehose.py), what an object is (firehose_objects.py).
https://docs.aws.amazon.com/firehose/latest/dev/buffering-hints.html
https://docs.aws.amazon.com/firehose/latest/dev/retry.html
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from typing import Any

from ministack.core import responses

from emulator import clock, metric_minutes, moments
from emulator import cloudwatch_metrics as metrics
from emulator.firehose_objects import Buffer, Place, Refusal, error_line, log_refusal, write_object

_MEGABYTE = 1024 * 1024
_TICK_SECONDS = 0.1
_RETRY_SECONDS = 1.0
_RETENTION_SECONDS = 24 * 3600
_DEFAULT_PREFIX_RETRY_SECONDS = 300
_FRESHNESS_SECONDS = 5.0
_SAVED = ("stream_version", "configuration", "keys", "partitioned", "error_type", "arrived_at", "size_limit")
_SAVED += ("delimiter", "parts", "size", "attempts", "failing_since")

logger = logging.getLogger("emulator.firehose")

_Identity = tuple[Place, tuple[tuple[str, str], ...], str | None]
_lock = moments.lock_of_store()
_open: dict[_Identity, Buffer] = {}
_full: list[Buffer] = []
_in_hand: list[Buffer] = []
_open_partitions: dict[Place, int] = {}
_due = threading.Event()
# a record that came later would be accepted and lost
closed = threading.Event()
# one write at a time, so that a stop knows when all is written
_writing = threading.Lock()
_streams_seen: dict[Place, contextvars.Context] = {}


def start() -> None:
    threading.Thread(target=_run, name="firehose-buffers", daemon=True).start()
    metric_minutes.at_each_end(lambda minute_end: _publish_freshness(minute_end - 1))


def _place(stream: dict[str, Any], destination: dict[str, Any]) -> Place:
    return (responses.get_account_id(), responses.get_region(), stream["name"], destination["id"])


def add(
    stream: dict[str, Any],
    destination: dict[str, Any],
    keys: dict[str, str],
    data: bytes,
    arrived_at: float,
    *,
    delimiter: bytes = b"",
    partitioned: bool = False,
    error_type: str | None = None,
) -> None:
    place = _place(stream, destination)
    identity = (place, tuple(sorted(keys.items())), error_type)
    configuration = destination["config"]
    with _lock:
        buffer = _open.get(identity)
        if buffer is None:
            hints = configuration.get("BufferingHints") or {}
            context = _streams_seen.setdefault(place, contextvars.copy_context())
            buffer = _open[identity] = Buffer(
                place=place,
                stream_version=int(stream.get("version", 1)),
                configuration=configuration,
                keys=keys,
                partitioned=partitioned,
                error_type=error_type,
                arrived_at=arrived_at,
                deadline=arrived_at + float(hints.get("IntervalInSeconds", 300)),
                size_limit=int(float(hints.get("SizeInMBs", 5)) * _MEGABYTE),
                delimiter=delimiter,
                context=context.copy(),
            )
            _count_partition(buffer, +1)
        buffer.parts.append(data)
        buffer.size += len(data) + len(delimiter)
        if buffer.size >= buffer.size_limit:
            _close(identity)
            _due.set()


def _count_partition(buffer: Buffer, change: int) -> None:
    if buffer.is_partition:
        _open_partitions[buffer.place] = _open_partitions.get(buffer.place, 0) + change


def would_open(stream: dict[str, Any], destination: dict[str, Any], keys: dict[str, str]) -> int:
    """How many partitions are open if this record had to open one; 0 when its own is open."""
    place = _place(stream, destination)
    with _lock:
        if (place, tuple(sorted(keys.items())), None) in _open:
            return 0
        return _open_partitions.get(place, 0)


def close() -> None:
    """Takes no more records and writes what waits, whatever its time; what S3 does not take stays for the state."""
    closed.set()
    _write(all_of_them=True)


def _close(identity: _Identity) -> None:
    buffer = _open.pop(identity)
    _count_partition(buffer, -1)
    _full.append(buffer)


def _run() -> None:
    next_freshness = time.time() + _FRESHNESS_SECONDS
    while True:
        _due.wait(_TICK_SECONDS)
        _due.clear()
        try:
            _write(all_of_them=False)
            if time.time() >= next_freshness:
                next_freshness = time.time() + _FRESHNESS_SECONDS
                _publish_freshness()
        except Exception:
            logger.exception("the Firehose buffers met an error and go on")


def _write(all_of_them: bool) -> None:
    with _writing:
        now = time.time()
        with _lock:
            for identity in [key for key, buffer in _open.items() if all_of_them or buffer.deadline <= now]:
                _close(identity)
            ready = [buffer for buffer in _full if all_of_them or buffer.attempts == 0 or buffer.deadline <= now]
            taken = {id(buffer) for buffer in ready}
            _full[:] = [buffer for buffer in _full if id(buffer) not in taken]
            _in_hand[:] = ready
        for buffer in ready:
            refusal = buffer.context.run(write_object, buffer)
            with _lock:
                _in_hand.remove(buffer)
                if buffer.failing_since is not None:
                    _count_partition(buffer, -1)
                if refusal is not None:
                    buffer.context.run(_keep, buffer, refusal)


# ---- what S3 does not take


def _keep(buffer: Buffer, refusal: Refusal) -> None:
    """Under the lock: tried again, or under the error prefix, or lost after a day, and never without a word."""
    first_time = buffer.failing_since is None
    buffer.attempts += 1
    buffer.failing_since = buffer.failing_since or clock.now()
    partitioning = buffer.configuration.get("DynamicPartitioningConfiguration") or {}
    retry = (partitioning.get("RetryOptions") or {}).get("DurationInSeconds", _DEFAULT_PREFIX_RETRY_SECONDS)
    if clock.now() - buffer.arrived_at >= _RETENTION_SECONDS:
        _say(buffer, refusal, f"The {len(buffer.parts)} records are lost after 24 hours.")
        return
    if buffer.is_partition and clock.now() - buffer.failing_since >= float(retry):
        _say(buffer, refusal, "The records go to the error prefix.")
        buffer = _as_errors(buffer, refusal)
    elif first_time:
        _say(buffer, refusal, "Delivery is tried again.")
    buffer.deadline = time.time() + _RETRY_SECONDS
    # a partition that cannot be delivered stays active
    _count_partition(buffer, +1)
    _full.append(buffer)


def _say(buffer: Buffer, refusal: Refusal, what_becomes_of_it: str) -> None:
    logger.warning("Firehose %s: %s %s", buffer.stream_name, refusal.code, what_becomes_of_it)
    log_refusal(buffer, refusal, what_becomes_of_it)


def _as_errors(buffer: Buffer, refusal: Refusal) -> Buffer:
    """The same records, each wrapped for the error prefix, due at once."""
    lines = [
        error_line(part, refusal.code, refusal.message, buffer.arrived_at, buffer.attempts) for part in buffer.parts
    ]
    return Buffer(
        place=buffer.place,
        stream_version=buffer.stream_version,
        configuration=buffer.configuration,
        keys={},
        partitioned=buffer.partitioned,
        error_type="processing-failed",
        arrived_at=buffer.arrived_at,
        deadline=0.0,
        size_limit=buffer.size_limit,
        delimiter=b"",
        context=buffer.context,
        parts=lines,
        size=sum(map(len, lines)),
    )


# ---- what a stop keeps: accepted records are Firehose's for 24 hours


def saved() -> list[dict[str, Any]]:
    with _lock:
        waiting = [*_in_hand, *_full, *_open.values()]
        return [
            {
                "place": list(buffer.place),
                **{name: getattr(buffer, name) for name in _SAVED if name != "parts"},
                "parts": list(buffer.parts),
            }
            for buffer in waiting
        ]


def restore(records: list[dict[str, Any]]) -> None:
    for record in records:
        account, region, stream, destination = record["place"]
        context = contextvars.copy_context()
        context.run(responses._request_account_id.set, account)
        context.run(responses._request_region.set, region)
        buffer = Buffer(
            place=(account, region, stream, destination),
            deadline=time.time() + _RETRY_SECONDS,
            context=context,
            **{name: record[name] for name in _SAVED},
        )
        # not due at once: the buckets come back after the streams
        buffer.attempts += 1
        with _lock:
            if buffer.failing_since is not None:
                _count_partition(buffer, +1)
            _streams_seen.setdefault(buffer.place, context)
            _full.append(buffer)


def _publish_freshness(at: float | None = None) -> None:
    """Age of the oldest record that is not in S3 yet, 0 when none waits."""
    with _lock:
        oldest: dict[tuple[str, str, str], float] = {}
        for buffer in [*_open.values(), *_full]:
            stream = buffer.place[:3]
            oldest[stream] = min(oldest.get(stream, buffer.arrived_at), buffer.arrived_at)
        seen = dict(_streams_seen)
    now = clock.now()
    for place, context in seen.items():
        context.copy().run(
            metrics.record,
            "AWS/Firehose",
            "DeliveryToS3.DataFreshness",
            now - oldest.get(place[:3], now),
            "Seconds",
            {"DeliveryStreamName": place[2]},
            at,
        )
