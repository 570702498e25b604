"""Firehose to S3: what PutRecord and PutRecordBatch take and refuse, and the partition of each record.

Belongs in here: limits, processors, dynamic partitioning. Does not belong here: buffers (firehose_buffers.py) and the
objects that come of them (firehose_objects.py). Format conversion to Parquet stays ministack's, one object a record.
https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning.html
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import re
import threading
import time
from functools import lru_cache
from typing import Any

import jq
from ministack.core import responses
from ministack.services import cloudwatch, firehose

from emulator import firehose_buffers as buffers
from emulator import patches
from emulator.faults import fault
from emulator.firehose_objects import COMPRESSIONS, error_line

FIX = "firehose"

_RECORD_LIMIT_BYTES = 1000 * 1024
_BATCH_LIMIT_RECORDS = 500
_BATCH_LIMIT_BYTES = 4 * 1024 * 1024
_OPEN_PARTITIONS_LIMIT = 500
_LEAST_MEGABYTES_OF_A_PARTITION = 64
_PROCESSORS = ("MetadataExtraction", "AppendDelimiterToRecord")
_CONFIGURATIONS = tuple(
    f"{kind}Destination{part}" for kind in ("ExtendedS3", "S3") for part in ("Configuration", "Update")
)
_EXPRESSION = re.compile(r"!\{(partitionKeyFromQuery):([^}]*)\}")

_put_counter = itertools.count(1)
# a compiled jq program holds the state of its last input
_jq_lock = threading.Lock()


class _NotDeliveredError(Exception):
    """A record that belongs under the error prefix."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def install() -> None:
    handlers = dict(firehose._HANDLERS)
    handlers["PutRecord"] = _put_record
    handlers["PutRecordBatch"] = _put_record_batch
    create = patches.replace(FIX, "services.firehose:_create_delivery_stream", None)
    # CloudFormation calls it by name, a request by the table
    firehose._create_delivery_stream = lambda data: _checked(data, create)
    handlers["CreateDeliveryStream"] = firehose._create_delivery_stream
    update = patches.replace(FIX, "services.firehose:_update_destination", None)
    firehose._update_destination = lambda data: _checked(data, update)
    handlers["UpdateDestination"] = firehose._update_destination
    patches.replace(FIX, "services.firehose:_HANDLERS", handlers)
    convert = patches.replace(FIX, "services.firehose:_deliver_records_to_s3", None)

    def deliver(stream: dict[str, Any], destination: dict[str, Any], records: list[tuple[str, bytes]]) -> None:
        destination["records"].clear()  # ministack keeps every record that ever passed
        conversion = destination["config"].get("DataFormatConversionConfiguration") or {}
        if conversion and conversion.get("Enabled", True):
            convert(stream, destination, records)
            return
        _deliver(stream, destination, records)

    firehose._deliver_records_to_s3 = deliver
    state = patches.replace(FIX, "services.firehose:get_state", None)
    restore = patches.replace(FIX, "services.firehose:_restore_state", None)
    firehose.get_state = lambda: {**state(), "buffers": buffers.saved()}
    firehose._restore_state = lambda data: (restore(data), buffers.restore(data.get("buffers", [])))[0]
    buffers.start()
    patches.at_shutdown(30, buffers.close)


# ---- requests


def _checked(data: dict[str, Any], carry_out: Any) -> Any:
    """CreateDeliveryStream and UpdateDestination, which take what is kept and obeyed here and refuse the rest."""
    stream = firehose._streams.get(data.get("DeliveryStreamName", "")) or {}
    current = next((destination["config"] for destination in stream.get("destinations", [])), {})
    for name in _CONFIGURATIONS:
        configuration = data.get(name) or {}
        if reason := refusal({**current, **configuration}):
            return firehose._invalid(reason)
        if hints := configuration.get("BufferingHints"):
            # a template's parameters are text
            configuration["BufferingHints"] = {name: int(value) for name, value in hints.items()}
    return carry_out(data)


def refusal(configuration: dict[str, Any]) -> str | None:
    """Why AWS, or this, takes no such destination."""
    compression = configuration.get("CompressionFormat", "UNCOMPRESSED")
    if compression not in COMPRESSIONS:
        return f"CompressionFormat {compression} is not written here; use GZIP or ZIP."
    if configuration.get("S3BackupMode", "Disabled") != "Disabled":
        return "S3BackupMode is not done here; use Disabled."
    processing = configuration.get("ProcessingConfiguration") or {}
    for processor in processing.get("Processors") or []:
        if processor.get("Type") not in _PROCESSORS:
            return f"Processor {processor.get('Type')} is not done here; use one of {', '.join(_PROCESSORS)}."
    if "!{partitionKeyFromLambda:" in (configuration.get("Prefix") or ""):
        return "Partition keys of a function are not made here; use partitionKeyFromQuery."
    query = _parameter(configuration, "MetadataExtraction", "MetadataExtractionQuery")
    if query is not None:
        try:
            _program(query)
        except ValueError as error:
            return f"MetadataExtractionQuery is not a jq expression: {error}"
    if "!{" in (configuration.get("Prefix") or "") and not configuration.get("ErrorOutputPrefix"):
        return "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions"
    size = (configuration.get("BufferingHints") or {}).get("SizeInMBs")
    if _is_partitioned(configuration) and size is not None and int(size) < _LEAST_MEGABYTES_OF_A_PARTITION:
        return "BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled."
    return None


def _is_partitioned(configuration: dict[str, Any]) -> bool:
    enabled = (configuration.get("DynamicPartitioningConfiguration") or {}).get("Enabled", False)
    return str(enabled).lower() == "true"


def _put_record(data: dict[str, Any]) -> Any:
    refusal, decoded = _decoded([data.get("Record") or {}])
    if refusal is not None:
        return refusal
    return _accept(data.get("DeliveryStreamName", ""), decoded, single=True)


def _put_record_batch(data: dict[str, Any]) -> Any:
    records = data.get("Records") or []
    if not 1 <= len(records) <= _BATCH_LIMIT_RECORDS:
        return _refuse(
            f"1 validation error detected: Value at 'records' failed to satisfy constraint: "
            f"Member must have length between 1 and {_BATCH_LIMIT_RECORDS}, and it has {len(records)}"
        )
    refusal, decoded = _decoded(records)
    if refusal is not None:
        return refusal
    if sum(map(len, decoded)) > _BATCH_LIMIT_BYTES:
        return firehose._invalid("Records size exceeds 4 MB limit")
    return _accept(data.get("DeliveryStreamName", ""), decoded, single=False)


def _decoded(records: list[dict[str, Any]]) -> tuple[Any, list[bytes]]:
    decoded = []
    for number, record in enumerate(records, start=1):
        try:
            data = base64.b64decode(record.get("Data", ""))
        except (binascii.Error, ValueError):
            return firehose._invalid("Record.Data must be valid base64."), []
        if len(data) > _RECORD_LIMIT_BYTES:
            return _refuse(
                f"1 validation error detected: Value at 'records.{number}.member.data' failed to satisfy constraint: "
                f"Member must have length less than or equal to {_RECORD_LIMIT_BYTES}"
            ), []
        decoded.append(data)
    return None, decoded


def _refuse(message: str) -> Any:
    return responses.error_response_json("ValidationException", message, 400)


def _accept(name: str, decoded: list[bytes], single: bool) -> Any:
    stream = firehose._streams.get(name)
    if not stream:
        return firehose._not_found(name)
    if stream["status"] != "ACTIVE" or buffers.closed.is_set():
        return responses.error_response_json("ServiceUnavailableException", "Service unavailable.", 503)
    refuse_every = 0 if single else fault("firehose_refuse_every")
    taken: list[tuple[str, bytes]] = []
    answers: list[dict[str, str]] = []
    for data in decoded:
        if refuse_every and next(_put_counter) % refuse_every == 0:
            answers.append({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."})
            continue
        record_id = firehose._record_id()
        taken.append((record_id, data))
        answers.append({"RecordId": record_id})
    _publish_intake(name, taken)
    for destination in stream["destinations"]:
        if destination["type"] in ("ExtendedS3", "S3"):
            firehose._deliver_records_to_s3(stream, destination, taken)
        elif destination["type"] == "Iceberg":
            firehose._deliver_to_iceberg(stream, destination, taken)
    if single:
        return responses.json_response({"RecordId": answers[0]["RecordId"], "Encrypted": False})
    failed = len(decoded) - len(taken)
    return responses.json_response({"FailedPutCount": failed, "Encrypted": False, "RequestResponses": answers})


def _publish_intake(name: str, taken: list[tuple[str, bytes]]) -> None:
    """https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html"""
    size = sum(len(data) for _, data in taken)
    for metric_name, value, unit in (
        ("IncomingRecords", len(taken), "Count"),
        ("IncomingBytes", size, "Bytes"),
        ("IncomingPutRequests", 1, "Count"),
    ):
        cloudwatch.record_metric("AWS/Firehose", metric_name, value, unit, {"DeliveryStreamName": name})


# ---- records


def _deliver(stream: dict[str, Any], destination: dict[str, Any], records: list[tuple[str, bytes]]) -> None:
    """Puts each record into the buffer of its partition, or of its error."""
    configuration = destination["config"]
    arrived_at = time.time()
    partitioned = _is_partitioned(configuration)
    delimiter = _delimiter(configuration)
    for _, data in records:
        keys: dict[str, str] = {}
        try:
            if partitioned:
                keys = _partition_keys(configuration, data)
                _check_open_partitions(stream, destination, keys)
        except _NotDeliveredError as reason:
            line = error_line(data, reason.code, reason.message, arrived_at)
            buffers.add(stream, destination, {}, line, arrived_at, error_type="processing-failed")
        else:
            buffers.add(stream, destination, keys, data, arrived_at, delimiter=delimiter, partitioned=partitioned)


def _check_open_partitions(stream: dict[str, Any], destination: dict[str, Any], keys: dict[str, str]) -> None:
    """https://docs.aws.amazon.com/firehose/latest/dev/limits.html: 500 active partitions a stream."""
    if buffers.would_open(stream, destination, keys) >= _OPEN_PARTITIONS_LIMIT:
        raise _NotDeliveredError(
            "DynamicPartitioning.ActivePartitionLimitExceeded",
            "The count of active partitions exceeded the active partition limit.",
        )


def _partition_keys(configuration: dict[str, Any], data: bytes) -> dict[str, str]:
    """The values that the prefix asks for, by 'namespace:key'."""
    keys: dict[str, str] = {}
    query = _parameter(configuration, "MetadataExtraction", "MetadataExtractionQuery")
    if query is not None:
        keys.update((f"partitionKeyFromQuery:{name}", value) for name, value in _extract(query, data).items())
    for namespace, name in _EXPRESSION.findall(configuration.get("Prefix") or ""):
        if not keys.get(f"{namespace}:{name}"):
            raise _NotDeliveredError(
                "DynamicPartitioning.PartitionKeyMissing", f"The record gives no value for !{{{namespace}:{name}}}."
            )
    return keys


@lru_cache(maxsize=64)
def _program(query: str) -> Any:
    return jq.compile(query)


def _extract(query: str, data: bytes) -> dict[str, str]:
    try:
        with _jq_lock:
            found = _program(query).input_text(data.decode()).all()
    except (ValueError, UnicodeDecodeError) as error:
        raise _NotDeliveredError(
            "DynamicPartitioning.MetadataExtractionFailed", f"Metadata extraction failed: {error}"
        ) from None
    if len(found) != 1 or not isinstance(found[0], dict):
        raise _NotDeliveredError(
            "DynamicPartitioning.MetadataExtractionFailed",
            f"The query must give one object for a record, and it gave {len(found)} results.",
        )
    keys = {}
    for name, value in found[0].items():
        if value is None or value == "" or isinstance(value, (dict, list)):
            raise _NotDeliveredError(
                "DynamicPartitioning.MetadataExtractionFailed", "partitionKeys values must not be null or empty"
            )
        keys[name] = value if isinstance(value, str) else json.dumps(value)
    return keys


def _parameter(configuration: dict[str, Any], processor_type: str, name: str) -> str | None:
    processing = configuration.get("ProcessingConfiguration") or {}
    if str(processing.get("Enabled", False)).lower() != "true":
        return None
    for processor in processing.get("Processors") or []:
        if processor.get("Type") == processor_type:
            for parameter in processor.get("Parameters") or []:
                if parameter.get("ParameterName") == name:
                    return str(parameter.get("ParameterValue"))
    return None


def _delimiter(configuration: dict[str, Any]) -> bytes:
    processing = configuration.get("ProcessingConfiguration") or {}
    if str(processing.get("Enabled", False)).lower() != "true":
        return b""
    if not any(one.get("Type") == "AppendDelimiterToRecord" for one in processing.get("Processors") or []):
        return b""
    written = _parameter(configuration, "AppendDelimiterToRecord", "Delimiter") or "\\n"
    return written.replace("\\n", "\n").replace("\\t", "\t").encode()
