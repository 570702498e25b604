"""Kinesis to Lambda: workers for each shard, retries as the mapping says, parents before their children.

Belongs in here: what an event source mapping of a stream promises
(https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-create.html): order within a shard, shards that do not
wait for each other, ParallelizationFactor, MaximumRetryAttempts, BisectBatchOnFunctionError, ReportBatchItemFailures,
OnFailure, MaximumBatchingWindowInSeconds, MaximumRecordAgeInSeconds. Does not belong here: how far a mapping is
(kinesis_positions.py); mappings of queues (ministack's own).
"""

from __future__ import annotations

import contextvars
import hashlib
import json
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from ministack.core import responses
from ministack.services import cloudwatch, kinesis, lambda_svc, sns, sqs

from emulator import (
    clock,
    kinesis_positions,
    kinesis_reading,
    kinesis_records,
    kinesis_resharding,
    lambda_metrics,
    moments,
    patches,
)

FIX = "kinesis_event_source"

_PAYLOAD_LIMIT_BYTES = 6 * 1024 * 1024
_RECORD_OVERHEAD_BYTES = 600
_FIRST_BACKOFF_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 10.0
_IDLE_SECONDS = 1.0
_SUPERVISE_EVERY_SECONDS = 0.2
_DRAIN_SECONDS = 10.0
_FOREVER = -1

logger = logging.getLogger("emulator.event_source")


class _Wake:
    """What ministack sets when a source gained work; wakes the shard workers too, each of them."""

    def __init__(self, original: threading.Event) -> None:
        self._original = original
        self._changed = threading.Condition()
        self._generation = 0

    def set(self) -> None:
        self._original.set()
        # a message or a record came, from whomever
        moments.note_change()
        with self._changed:
            self._generation += 1
            self._changed.notify_all()

    @property
    def generation(self) -> int:
        return self._generation

    def wait_for_more_than(self, generation: int, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._generation != generation or stopping.is_set(), seconds)


stopping = threading.Event()
# account, region, mapping, shard; then the lane and how many lanes the shard has
_Key = tuple[str, str, str, str, int, int]
_workers: dict[_Key, threading.Thread] = {}
_wake: _Wake


def install() -> None:
    global _wake
    _wake = _Wake(kinesis.esm_wake)
    patches.replace(FIX, "services.kinesis:esm_wake", _wake)
    patches.replace(FIX, "services.lambda_svc:_poll_kinesis", lambda: False)
    poll_queues = patches.replace(FIX, "services.lambda_svc:_poll_sqs", None)
    lambda_svc._poll_sqs = lambda: False if stopping.is_set() else poll_queues()
    kinesis_positions.install_anchor(FIX)
    threading.Thread(target=_supervise, name="event-sources", daemon=True).start()
    patches.at_shutdown(10, _stop)


def _stop() -> None:
    """Takes no new batch and lets the running ones end: their functions still have a server to talk to."""
    stopping.set()
    _wake.set()
    deadline = time.monotonic() + _DRAIN_SECONDS
    for worker in list(_workers.values()):
        worker.join(max(0.0, deadline - time.monotonic()))
    while lambda_svc._esm_inflight and time.monotonic() < deadline:
        time.sleep(0.02)


def _supervise() -> None:
    """Keeps the workers of each shard of each enabled mapping; a shard's begin when its parents are read."""
    while not stopping.is_set():
        for key in [key for key, worker in _workers.items() if not worker.is_alive()]:
            del _workers[key]
        for account, region, mapping in lambda_svc._iter_all_esms():
            stream = kinesis_positions.stream_of(mapping.get("EventSourceArn", ""))
            if stream is not None and mapping.get("Enabled", True):
                context = contextvars.copy_context()
                try:
                    context.run(_supervise_mapping, account, region, mapping, stream)
                except Exception:
                    logger.exception("looking after the event source %s met an error and goes on", mapping.get("UUID"))
        stopping.wait(_SUPERVISE_EVERY_SECONDS)


def _supervise_mapping(account: str, region: str, mapping: dict[str, Any], stream: dict[str, Any]) -> None:
    _act_for(account, region)
    mapping_id, lanes = mapping["UUID"], kinesis_positions.lanes_of(mapping)
    for shard_id in kinesis_positions.readable_shards(mapping_id, stream):
        at_work = [key for key in _workers if key[:4] == (account, region, mapping_id, shard_id)]
        if any(key[5] != lanes for key in at_work):
            # the factor changed: the old lanes end their batches first
            continue
        if not at_work:
            kinesis_positions.regroup(mapping_id, shard_id, lanes)
        for lane in range(lanes):
            key: _Key = (account, region, mapping_id, shard_id, lane, lanes)
            if key not in _workers:
                worker = _ShardWorker(account, region, mapping_id, shard_id, lane, lanes)
                _workers[key] = threading.Thread(target=worker.run, name=f"{shard_id}/{lane}", daemon=True)
                _workers[key].start()


def _act_for(account: str, region: str) -> None:
    responses._request_account_id.set(account)
    responses._request_region.set(region)


@dataclass
class _Batch:
    """Records of one shard that are on their way to the function, and how often they were."""

    records: list[dict[str, Any]]
    last_sequence_number: str
    attempts: int = 0


@dataclass
class _ShardWorker:
    account: str
    region: str
    mapping_id: str
    shard_id: str
    # of several lanes, each takes its share of the partition keys
    lane: int
    lanes: int
    # what is left of the batch that was read; halves of a bisected one come before what followed them
    pending: list[_Batch] = field(default_factory=list)
    backoff_seconds: float = 0.0

    def run(self) -> None:
        _act_for(self.account, self.region)
        lambda_metrics.is_by_event_source.set(True)
        while not stopping.is_set():
            mapping = lambda_svc._esms.get(self.mapping_id)
            stream = kinesis_positions.stream_of(mapping["EventSourceArn"]) if mapping else None
            if mapping is None or stream is None or not self._is_wanted(mapping, stream):
                return
            try:
                self._step(mapping, stream)
            except Exception:
                logger.exception("the event source worker of %s met an error and goes on", self.shard_id)
                stopping.wait(_IDLE_SECONDS)

    def _is_wanted(self, mapping: dict[str, Any], stream: dict[str, Any]) -> bool:
        shard = stream["shards"].get(self.shard_id)
        if not mapping.get("Enabled", True) or shard is None or kinesis_positions.lanes_of(mapping) != self.lanes:
            return False
        return not kinesis_positions.is_at_end(shard, self._position())

    def _step(self, mapping: dict[str, Any], stream: dict[str, Any]) -> None:
        function, _ = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
        if function is None or stream["StreamStatus"] != "ACTIVE":
            stopping.wait(_IDLE_SECONDS)
            return
        if not self.pending:
            generation = _wake.generation
            read = self._read(mapping, stream)
            if read is None:
                _wake.wait_for_more_than(generation, _IDLE_SECONDS)
                return
            self.pending = [read]
        self._deliver(mapping, stream, function)
        if self.backoff_seconds:
            stopping.wait(self.backoff_seconds)

    # ---- reading

    def _position(self) -> str:
        return kinesis_positions.position(self.mapping_id, self.shard_id, self.lane, self.lanes)

    def _advance(self, sequence_number: str) -> None:
        kinesis_positions.advance(self.mapping_id, self.shard_id, self.lane, self.lanes, sequence_number)
        moments.note_change()

    def _read(self, mapping: dict[str, Any], stream: dict[str, Any]) -> _Batch | None:
        """The next batch: up to BatchSize or the payload limit, or what came within the batch window."""
        size = int(mapping.get("BatchSize") or 100)
        window_seconds = float(mapping.get("MaximumBatchingWindowInSeconds") or 0)
        deadline: float | None = None
        while True:
            generation = _wake.generation
            batch, is_full = self._available(stream, size)
            now = time.monotonic()
            deadline = deadline or now + window_seconds
            if batch is None or is_full or now >= deadline or stopping.is_set():
                return batch
            _wake.wait_for_more_than(generation, deadline - now)

    def _available(self, stream: dict[str, Any], size: int) -> tuple[_Batch | None, bool]:
        """What there is for a batch, and whether it holds as much as one may."""
        shard = stream["shards"][self.shard_id]
        records = shard["records"]
        start = kinesis_reading.first_after(records, self._position())
        taken: list[dict[str, Any]] = []
        payload_bytes = 0
        for record in kinesis_records.walk(records, start):
            if not kinesis_positions.is_of_lane(record, self.lane, self.lanes):
                continue
            payload_bytes += len(record["Data"]) + _RECORD_OVERHEAD_BYTES
            if len(taken) == size or (taken and payload_bytes > _PAYLOAD_LIMIT_BYTES):
                return _Batch(taken, taken[-1]["SequenceNumber"]), True
            taken.append(record)
        if not taken:
            if start < len(records):
                # all of it belongs to other lanes
                self._advance(records[-1]["SequenceNumber"])
            return None, False
        # what a closed shard has left will not become more
        return _Batch(taken, taken[-1]["SequenceNumber"]), len(taken) == size or not kinesis_resharding.is_open(shard)

    # ---- delivering

    def _deliver(self, mapping: dict[str, Any], stream: dict[str, Any], function: dict[str, Any]) -> None:
        batch = self.pending[0]
        oldest_age_seconds = clock.now() - batch.records[0]["ApproximateArrivalTimestamp"]
        longest_age_seconds = int(mapping.get("MaximumRecordAgeInSeconds") or _FOREVER)
        if longest_age_seconds != _FOREVER and oldest_age_seconds > longest_age_seconds:
            self._give_up(mapping, function, batch, "MaxRecordAgeExceeded")
            return
        events = lambda_svc._apply_filter_criteria(
            [self._event(record, stream, function) for record in batch.records], mapping
        )
        if not events:
            self._done(batch)
            return
        kinesis_reading.note_age(stream, batch.records[-1])
        _publish_age(mapping, batch.records[-1])
        result = lambda_svc._execute_function(function, {"Records": events})
        failed_from = _failed_from(mapping, batch, result)
        if failed_from is None:
            mapping["LastProcessingResult"] = f"OK - {len(events)} records"
            self._done(batch)
        elif result.get("throttle"):
            self._back_off()
        else:
            mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
            self._retry(mapping, function, batch, failed_from)

    def _retry(self, mapping: dict[str, Any], function: dict[str, Any], batch: _Batch, failed_from: int) -> None:
        """From the checkpoint on: split it, try it again, or send it where failures go."""
        if failed_from:
            done = batch.records[:failed_from]
            self._advance(done[-1]["SequenceNumber"])
            batch = _Batch(batch.records[failed_from:], batch.last_sequence_number)
            self.pending[0] = batch
        if mapping.get("BisectBatchOnFunctionError") and len(batch.records) > 1 and not failed_from:
            # a split does not count as a retry
            middle = len(batch.records) // 2
            first, second = batch.records[:middle], batch.records[middle:]
            self.pending[:1] = [_Batch(part, part[-1]["SequenceNumber"]) for part in (first, second)]
            self._back_off()
            return
        attempts_allowed = mapping.get("MaximumRetryAttempts")
        attempts_allowed = _FOREVER if attempts_allowed is None else int(attempts_allowed)
        if attempts_allowed != _FOREVER and batch.attempts >= attempts_allowed:
            self._give_up(mapping, function, batch, "RetryAttemptsExhausted")
            return
        batch.attempts += 1
        self._back_off()

    def _back_off(self) -> None:
        self.backoff_seconds = min(_LONGEST_BACKOFF_SECONDS, self.backoff_seconds * 2 or _FIRST_BACKOFF_SECONDS)

    def _done(self, batch: _Batch) -> None:
        self._advance(batch.last_sequence_number)
        self.pending.pop(0)
        self.backoff_seconds = 0.0

    def _give_up(self, mapping: dict[str, Any], function: dict[str, Any], batch: _Batch, condition: str) -> None:
        destination = ((mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
        if destination:
            _send_failure(destination, _failure_record(mapping, function, self.shard_id, batch, condition))
        self._done(batch)

    def _event(self, record: dict[str, Any], stream: dict[str, Any], function: dict[str, Any]) -> dict[str, Any]:
        return {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": record["PartitionKey"],
                "sequenceNumber": record["SequenceNumber"],
                "data": kinesis._ensure_base64(record["Data"]),
                "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"],
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{self.shard_id}:{record['SequenceNumber']}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": (function.get("config") or {}).get("Role", ""),
            "awsRegion": self.region,
            "eventSourceARN": stream["StreamARN"],
        }


def _publish_age(mapping: dict[str, Any], last_record: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html: "the age of the last record"."""
    age_milliseconds = max(0, round((clock.now() - last_record["ApproximateArrivalTimestamp"]) * 1000))
    dimensions = {"FunctionName": mapping["FunctionName"]}
    cloudwatch.record_metric("AWS/Lambda", "IteratorAge", age_milliseconds, "Milliseconds", dimensions)


def _failed_from(mapping: dict[str, Any], batch: _Batch, result: dict[str, Any]) -> int | None:
    """Index of the first record to send again, None when all are done.

    https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
    """
    if result.get("error"):
        return 0
    if "ReportBatchItemFailures" not in (mapping.get("FunctionResponseTypes") or []):
        return None
    body = result.get("body")
    if not body:
        return None
    failures = body.get("batchItemFailures") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not failures:
        return None
    if not isinstance(failures, list):
        return 0
    numbers = {record["SequenceNumber"]: index for index, record in enumerate(batch.records)}
    indexes = []
    for failure in failures:
        name = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        if not name or name not in numbers:
            return 0  # an identifier that means nothing counts as a failure of all
        indexes.append(numbers[name])
    return min(indexes)


def _failure_record(
    mapping: dict[str, Any], function: dict[str, Any], shard_id: str, batch: _Batch, condition: str
) -> str:
    """https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html"""

    def iso(seconds: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"

    first, last = batch.records[0], batch.records[-1]
    return json.dumps(
        {
            "requestContext": {
                "requestId": responses.new_uuid(),
                "functionArn": (function.get("config") or {}).get("FunctionArn", ""),
                "condition": condition,
                "approximateInvokeCount": batch.attempts + 1,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0",
            "timestamp": iso(time.time()),
            "KinesisBatchInfo": {
                "shardId": shard_id,
                "startSequenceNumber": first["SequenceNumber"],
                "endSequenceNumber": last["SequenceNumber"],
                "approximateArrivalOfFirstRecord": iso(first["ApproximateArrivalTimestamp"]),
                "approximateArrivalOfLastRecord": iso(last["ApproximateArrivalTimestamp"]),
                "batchSize": len(batch.records),
                "streamArn": mapping["EventSourceArn"],
            },
        }
    )


def _send_failure(destination: str, body: str) -> None:
    if ":sns:" in destination:
        if destination in sns._topics:
            sns._fanout(destination, responses.new_uuid(), body, "Lambda event source failure", "", {})
        return
    target = sqs._queue_by_arn(destination) if ":sqs:" in destination else None
    if target is None:
        logger.warning("a failed batch has nowhere to go: %s is no queue and no topic here", destination)
        return
    now = time.time()
    target["messages"].append(
        {
            "id": responses.new_uuid(),
            "body": body,
            "md5_body": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
            "md5_attrs": "",
            "receipt_handle": None,
            "sent_at": now,
            "visible_at": now + sqs.queue_delay(target),
            "receive_count": 0,
            "first_receive_at": None,
            "message_attributes": {},
            "sys": {"SenderId": responses.get_account_id(), "SentTimestamp": str(int(now * 1000))},
            "group_id": None,
            "dedup_id": None,
            "dedup_cache_key": None,
            "seq": None,
        }
    )
    _wake.set()
