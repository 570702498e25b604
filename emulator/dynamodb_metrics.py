"""What DynamoDB reports of a table: capacity, latency and refusals of each request, summed up by the minute.

Belongs in here: the metrics of AWS/DynamoDB. Does not belong here: tables (ministack's own). Capacity is what
ministack would answer to ReturnConsumedCapacity: it charges a read by the request or the item, not by the size.
Nothing is ever throttled here, so nothing of throttling is reported, as on a table that never was.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from typing import Any

from ministack.services import dynamodb

from emulator import patches
from emulator.cloudwatch_metrics import record

FIX = "dynamodb_metrics"

_NAMESPACE = "AWS/DynamoDB"
_READS = {"_get_item": "GetItem", "_query": "Query", "_scan": "Scan", "_transact_get_items": "TransactGetItems"}
_WRITES = {
    "_put_item": "PutItem",
    "_update_item": "UpdateItem",
    "_delete_item": "DeleteItem",
    "_batch_write_item": "BatchWriteItem",
    "_batch_execute_statement": "BatchExecuteStatement",
    "_transact_write_items": "TransactWriteItems",
}
_NOT_THE_USER = ("ConditionalCheckFailedException", "ProvisionedThroughputExceededException")


class _Request(threading.local):
    """The request that this thread is about to answer: what it consumed, and whether the client asks for that."""

    consumed: Any = None
    is_measured = False
    is_asked_for = False


_request = _Request()


def install() -> None:
    answer = patches.replace(FIX, "services.dynamodb:json_response", None)
    dynamodb.json_response = lambda result, *rest: answer(_without_capacity(result), *rest)
    for function_name, operation in (_READS | _WRITES).items():
        original = patches.replace(FIX, f"services.dynamodb:{function_name}", None)
        metric_name = f"Consumed{'Read' if function_name in _READS else 'Write'}CapacityUnits"
        setattr(dynamodb, function_name, _measured(original, operation, metric_name))
    get_many = patches.replace(FIX, "services.dynamodb:_batch_get_item", None)
    dynamodb._batch_get_item = _measured(get_many, "BatchGetItem", "ConsumedReadCapacityUnits", _read_by_keys)


def _without_capacity(result: Any) -> Any:
    if _request.is_measured and isinstance(result, dict) and "ConsumedCapacity" in result:
        _request.consumed = result["ConsumedCapacity"]
        if not _request.is_asked_for:
            del result["ConsumedCapacity"]
    return result


def _measured(original: Any, operation: str, metric_name: str, capacity_of: Any = None) -> Any:
    def measured(data: dict[str, Any]) -> Any:
        if _request.is_measured:  # a part of another operation
            return original(data)
        _request.is_asked_for = data.get("ReturnConsumedCapacity", "NONE") != "NONE"
        _request.is_measured, _request.consumed = True, None
        started = time.perf_counter()
        try:
            answer = original(data if _request.is_asked_for else {**data, "ReturnConsumedCapacity": "TOTAL"})
        finally:
            _request.is_measured = False
        milliseconds = round((time.perf_counter() - started) * 1000, 1)
        if answer[0] >= 400:
            _report_refusal(data, answer)
        else:
            consumed = capacity_of(data) if capacity_of else _request.consumed
            for table, units in _units(consumed):
                record(_NAMESPACE, metric_name, units, "Count", {"TableName": table})
                where = {"TableName": table, "Operation": operation}
                record(_NAMESPACE, "SuccessfulRequestLatency", milliseconds, "Milliseconds", where)
        return answer

    return measured


def _units(consumed: Any) -> Iterable[tuple[str, float]]:
    for entry in consumed if isinstance(consumed, list) else [consumed] if consumed else []:
        yield dynamodb._normalize_table_name(entry["TableName"]), entry["CapacityUnits"]


def _read_by_keys(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"TableName": table, "CapacityUnits": len(asked["Keys"]) * (1.0 if asked.get("ConsistentRead") else 0.5)}
        for table, asked in data["RequestItems"].items()
    ]


def _report_refusal(data: dict[str, Any], answer: Any) -> None:
    error = str(json.loads(answer[2]).get("__type", "")).rpartition("#")[2]
    if error == "ConditionalCheckFailedException" and "TableName" in data:
        table = dynamodb._normalize_table_name(data["TableName"])
        record(_NAMESPACE, "ConditionalCheckFailedRequests", 1, "Count", {"TableName": table})
    elif error not in _NOT_THE_USER and answer[0] < 500:
        record(_NAMESPACE, "UserErrors", 1, "Count")
