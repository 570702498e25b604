"""Firehose's buffers: one for each partition and each kind of error, written by size or by time, whichever is first.

Belongs in here: BufferingHints, compression, object names, the write to S3. Does not belong here: which buffer a
record goes to (firehose.py).
https://docs.aws.amazon.com/firehose/latest/dev/buffering-hints.html
https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html
"""

from __future__ import annotations

import asyncio
import contextvars
import gzip
import io
import logging
import re
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ministack.core import responses
from ministack.services import cloudwatch, firehose, s3

_MEGABYTE = 1024 * 1024
_TICK_SECONDS = 0.1
_RETRY_SECONDS = 5.0
_FRESHNESS_SECONDS = 10.0
_EXPRESSION = re.compile(r"!\{([A-Za-z]+):([^}]*)\}")
# the level costs more than it saves here: level 3 is three times as quick as 9 and a tenth larger
_GZIP_LEVEL = 3

logger = logging.getLogger("emulator.firehose")


def _zipped(body: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("records", body)
    return written.getvalue()


COMPRESSIONS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "UNCOMPRESSED": ("", bytes),
    "GZIP": (".gz", lambda body: gzip.compress(body, _GZIP_LEVEL)),
    "ZIP": (".zip", _zipped),
}


@dataclass
class _Buffer:
    """What waits for one object."""

    stream_name: str
    stream_version: int
    configuration: dict[str, Any]
    keys: dict[str, str]
    partitioned: bool
    error_type: str | None
    arrived_at: float
    deadline: float
    size_limit: int
    # account and region of the stream, which ministack keeps in context variables
    context: contextvars.Context
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    attempts: int = 0


_Place = tuple[str, str, str, str]
_lock = threading.Lock()
_open: dict[tuple[_Place, tuple[tuple[str, str], ...], str | None], _Buffer] = {}
_full: list[_Buffer] = []
_open_partitions: dict[_Place, int] = {}
_due = threading.Event()
# a record that came later would be accepted and lost
closed = threading.Event()
# one write at a time, so that a stop knows when all is written
_writing = threading.Lock()
_streams_seen: dict[_Place, contextvars.Context] = {}


def start() -> None:
    threading.Thread(target=_run, name="firehose-buffers", daemon=True).start()


def _place(stream: dict[str, Any], destination: dict[str, Any]) -> _Place:
    return (responses.get_account_id(), responses.get_region(), stream["name"], destination["id"])


def add(
    stream: dict[str, Any],
    destination: dict[str, Any],
    keys: dict[str, str],
    data: bytes,
    arrived_at: float,
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
            buffer = _open[identity] = _Buffer(
                stream_name=stream["name"],
                stream_version=int(stream.get("version", 1)),
                configuration=configuration,
                keys=keys,
                partitioned=partitioned,
                error_type=error_type,
                arrived_at=arrived_at,
                deadline=arrived_at + float(hints.get("IntervalInSeconds", 300)),
                size_limit=int(float(hints.get("SizeInMBs", 5)) * _MEGABYTE),
                context=context.copy(),
            )
            if partitioned and error_type is None:
                _open_partitions[place] = _open_partitions.get(place, 0) + 1
        buffer.parts.append(data)
        buffer.size += len(data)
        if buffer.size >= buffer.size_limit:
            _close(identity)
            _due.set()


def would_open(stream: dict[str, Any], destination: dict[str, Any], keys: dict[str, str]) -> int:
    """How many partitions are open if this record had to open one; 0 when its own is open."""
    place = _place(stream, destination)
    with _lock:
        if (place, tuple(sorted(keys.items())), None) in _open:
            return 0
        return _open_partitions.get(place, 0)


def close() -> None:
    """Takes no more records and writes what waits, whatever its time."""
    closed.set()
    _write(all_of_them=True)


def _close(identity: tuple[_Place, tuple[tuple[str, str], ...], str | None]) -> None:
    buffer = _open.pop(identity)
    if buffer.partitioned and buffer.error_type is None:
        _open_partitions[identity[0]] -= 1
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
            kept = {id(buffer) for buffer in ready}
            _full[:] = [buffer for buffer in _full if id(buffer) not in kept]
        for buffer in ready:
            if not buffer.context.run(_write_object, buffer):
                buffer.attempts += 1
                buffer.deadline = time.time() + _RETRY_SECONDS
                with _lock:
                    _full.append(buffer)


def _write_object(buffer: _Buffer) -> bool:
    body = b"".join(buffer.parts)
    extension, compress = COMPRESSIONS[buffer.configuration.get("CompressionFormat", "UNCOMPRESSED")]
    key = object_key(buffer, buffer.configuration.get("FileExtension") or extension)
    bucket = firehose._s3_bucket_from_arn(buffer.configuration["BucketARN"])
    status = _put(bucket, key, compress(body))
    if status >= 300:
        if buffer.attempts == 0:
            logger.warning(
                "Firehose %s could not write to bucket %s (HTTP %d) and tries again until it can",
                buffer.stream_name,
                bucket,
                status,
            )
        return False
    _publish(buffer, "DeliveryToS3.Success", 1, "Count")
    _publish(buffer, "DeliveryToS3.Records", len(buffer.parts), "Count")
    _publish(buffer, "DeliveryToS3.Bytes", len(body), "Bytes")
    _publish(buffer, "DeliveryToS3.DataFreshness", time.time() - buffer.arrived_at, "Seconds")
    return True


def object_key(buffer: _Buffer, extension: str) -> str:
    """<prefix><stream>-<version>-<time>-<random>, in the time at which the object's first record arrived."""
    arrival = time.gmtime(buffer.arrived_at)
    zone = buffer.configuration.get("CustomTimeZone")
    if zone and zone != "UTC":
        from datetime import datetime
        from zoneinfo import ZoneInfo

        arrival = datetime.fromtimestamp(buffer.arrived_at, ZoneInfo(zone)).timetuple()
    if buffer.error_type is None:
        template = buffer.configuration.get("Prefix") or ""
    else:
        template = buffer.configuration.get("ErrorOutputPrefix") or "!{firehose:error-output-type}/"
    moment = firehose._java_time("yyyy-MM-dd-HH-mm-ss", arrival)
    name = f"{buffer.stream_name}-{buffer.stream_version}-{moment}-{responses.new_uuid()}{extension}"
    return _evaluated(template, buffer, arrival) + name


def _evaluated(template: str, buffer: _Buffer, arrival: time.struct_time) -> str:
    def value(match: re.Match[str]) -> str:
        namespace, name = match.groups()
        if namespace == "timestamp":
            return str(firehose._java_time(name, arrival))
        if namespace == "firehose" and name == "random-string":
            return responses.new_uuid().replace("-", "")[:11]
        if namespace == "firehose" and name == "error-output-type":
            return buffer.error_type or ""
        return buffer.keys.get(f"{namespace}:{name}", "")

    text = _EXPRESSION.sub(value, template)
    # the default folders come only where the prefix says neither a time nor a partition
    if not buffer.partitioned and "!{timestamp:" not in template:
        text += firehose._java_time("yyyy/MM/dd/HH/", arrival)
    return text


def _put(bucket: str, key: str, body: bytes) -> int:
    headers = {"content-type": "application/octet-stream", "content-length": str(len(body)), "host": "s3.localhost"}
    answer = asyncio.run(s3.handle_request("PUT", f"/{bucket}/{key}", headers, body, {}, internal=True))
    return int(answer[0])


def _publish(buffer: _Buffer, name: str, value: float, unit: str) -> None:
    cloudwatch.record_metric("AWS/Firehose", name, value, unit, {"DeliveryStreamName": buffer.stream_name})


def _publish_freshness() -> None:
    """Age of the oldest record that is not in S3 yet, 0 when none waits."""
    with _lock:
        oldest: dict[tuple[str, str, str], float] = {}
        for (place, _, _), buffer in _open.items():
            stream = place[:3]
            oldest[stream] = min(oldest.get(stream, buffer.arrived_at), buffer.arrived_at)
        retried = [(buffer.stream_name, buffer.arrived_at) for buffer in _full]
        seen = dict(_streams_seen)
    now = time.time()
    for place, context in seen.items():
        arrivals = [at for name, at in retried if name == place[2]]
        first = min([oldest.get(place[:3], now), *arrivals])
        context.copy().run(
            cloudwatch.record_metric,
            "AWS/Firehose",
            "DeliveryToS3.DataFreshness",
            now - first,
            "Seconds",
            {"DeliveryStreamName": place[2]},
        )
