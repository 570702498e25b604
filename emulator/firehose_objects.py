"""Firehose's objects: what one buffer becomes in S3, and what is said when it does not.

Belongs in here: object names, compression, the write itself, the error record, the error log. Does not belong here:
when a buffer is written and how often it is tried (firehose_buffers.py).
https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html
"""

from __future__ import annotations

import asyncio
import base64
import contextvars
import gzip
import io
import json
import re
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ministack.core import responses
from ministack.services import cloudwatch, firehose, s3

from emulator import clock, moments, service_logs

_EXPRESSION = re.compile(r"!\{([A-Za-z]+):([^}]*)\}")
# the level costs more than it saves here: level 3 is three times as quick as 9 and a tenth larger
_GZIP_LEVEL = 3
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html; ministack takes any
_LONGEST_KEY_BYTES = 1024


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

Place = tuple[str, str, str, str]


@dataclass(eq=False)
class Buffer:
    """What waits for one object. `place` is account, region, stream and destination."""

    place: Place
    stream_version: int
    configuration: dict[str, Any]
    keys: dict[str, str]
    partitioned: bool
    error_type: str | None
    arrived_at: float
    deadline: float
    size_limit: int
    delimiter: bytes
    # account and region of the stream, which ministack keeps in context variables
    context: contextvars.Context
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    attempts: int = 0
    failing_since: float | None = None

    @property
    def stream_name(self) -> str:
        return self.place[2]

    @property
    def is_partition(self) -> bool:
        return self.partitioned and self.error_type is None


@dataclass(frozen=True)
class Refusal:
    """Why S3 did not take an object."""

    code: str
    message: str


def error_line(data: bytes, code: str, message: str, arrived_at: float, attempts: int = 1) -> bytes:
    """https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-failure-handling.html"""
    document = {
        "attemptsMade": attempts,
        "arrivalTimestamp": int(arrived_at * 1000),
        "errorCode": code,
        "errorMessage": message,
        "attemptEndingTimestamp": int(time.time() * 1000),
        "rawData": base64.b64encode(data).decode(),
    }
    return (json.dumps(document) + "\n").encode()


def write_object(buffer: Buffer) -> Refusal | None:
    """The reason when the object does not come to be."""
    try:
        return _write(buffer)
    except Exception as error:
        # accepted records are kept, whatever goes wrong
        return Refusal("InternalError", f"{type(error).__name__}: {error}")


def _write(buffer: Buffer) -> Refusal | None:
    body = b"".join(part + buffer.delimiter for part in buffer.parts)
    extension, compress = COMPRESSIONS[buffer.configuration.get("CompressionFormat", "UNCOMPRESSED")]
    key = object_key(buffer, buffer.configuration.get("FileExtension") or extension)
    bucket = firehose._s3_bucket_from_arn(buffer.configuration["BucketARN"])
    refusal = _put(bucket, key, compress(body))
    if refusal is None:
        _publish(buffer, "DeliveryToS3.Success", 1, "Count")
        _publish(buffer, "DeliveryToS3.Records", len(buffer.parts), "Count")
        _publish(buffer, "DeliveryToS3.Bytes", len(body), "Bytes")
        _publish(buffer, "DeliveryToS3.DataFreshness", clock.now() - buffer.arrived_at, "Seconds")
    return refusal


def object_key(buffer: Buffer, extension: str) -> str:
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


def _evaluated(template: str, buffer: Buffer, arrival: time.struct_time) -> str:
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


def _put(bucket: str, key: str, body: bytes) -> Refusal | None:
    if len(key.encode()) > _LONGEST_KEY_BYTES:
        return Refusal("S3.KeyTooLongError", "Your key is too long")
    headers = {"content-type": "application/octet-stream", "content-length": str(len(body)), "host": "s3.localhost"}
    with moments.as_a_whole():
        answer = asyncio.run(s3.handle_request("PUT", f"/{bucket}/{key}", headers, body, {}, internal=True))
    if answer[0] < 300:
        return None
    said = answer[2].decode(errors="replace") if isinstance(answer[2], bytes) else str(answer[2])
    code, message = (
        (found[1] if (found := re.search(f"<{name}>([^<]*)</{name}>", said)) else str(answer[0]))
        for name in ("Code", "Message")
    )
    return Refusal(f"S3.{code}", message)


def _publish(buffer: Buffer, name: str, value: float, unit: str) -> None:
    cloudwatch.record_metric("AWS/Firehose", name, value, unit, {"DeliveryStreamName": buffer.stream_name})


def log_refusal(buffer: Buffer, refusal: Refusal, what_becomes_of_it: str) -> None:
    """https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-logs.html"""
    options = buffer.configuration.get("CloudWatchLoggingOptions") or {}
    if str(options.get("Enabled", False)).lower() != "true":
        return
    document = {
        "deliveryStreamARN": firehose._stream_arn(buffer.stream_name),
        "destination": buffer.configuration["BucketARN"],
        "deliveryStreamVersionId": buffer.stream_version,
        "message": f"{refusal.message} {what_becomes_of_it}",
        "errorCode": refusal.code,
    }
    stream = service_logs.log_stream(options.get("LogGroupName", ""), options.get("LogStreamName", ""))
    service_logs.write(stream, [json.dumps(document)])
