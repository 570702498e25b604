"""Glue Data Catalog: an optimistic lock that holds under parallel writers, and partitions that can be asked for.

Belongs in here: https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog.html as far as ministack leaves it out:
the Expression and the pages of GetPartitions, UpdatePartition, BatchDeletePartition. Does not belong here: crawlers.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from ministack.core import responses
from ministack.services import glue

from emulator import patches

FIX = "glue_catalog"

# each request has a thread of its own there, and the check of VersionId and the write are two steps
_writes = threading.RLock()


def install() -> None:
    for name in ("_create_table", "_update_table", "_batch_create_partition", "_create_partition"):
        original = patches.replace(FIX, f"services.glue:{name}", None)
        setattr(glue, name, _one_at_a_time(original))
    patches.replace(FIX, "services.glue:_get_partitions", _get_partitions)
    handle = patches.replace(FIX, "services.glue:_handle_request_sync", None)

    def handle_request(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        own = _OWN_ACTIONS.get(headers.get("x-amz-target", "").rpartition(".")[2])
        return own(json.loads(body)) if own else handle(method, path, headers, body, query)

    glue._handle_request_sync = handle_request


def _one_at_a_time(original: Any) -> Any:
    def locked(data: dict[str, Any]) -> Any:
        with _writes:
            return original(data)

    return locked


def _error(code: str, message: str) -> Any:
    return responses.error_response_json(code, message, 400)


def _get_partitions(data: dict[str, Any]) -> Any:
    place = f"{data.get('DatabaseName')}/{data.get('TableName')}"
    table = glue._tables.get(place)
    if table is None:
        return _error("EntityNotFoundException", f"Table {data.get('TableName')} not found.")
    found = list(glue._partitions.get(place) or [])
    if expression := (data.get("Expression") or "").strip():
        try:
            found = _selected(found, table.get("PartitionKeys") or [], expression)
        except ValueError as error:
            return _error("InvalidInputException", f"Unsupported expression '{expression}': {error}")
    start = int(data.get("NextToken") or 0)
    size = min(int(data.get("MaxResults") or 1000), 1000)
    answer: dict[str, Any] = {"Partitions": found[start : start + size]}
    if start + size < len(found):
        answer["NextToken"] = str(start + size)
    return responses.json_response(answer)


def _selected(partitions: list[dict[str, Any]], keys: list[dict[str, str]], expression: str) -> list[dict[str, Any]]:
    """The grammar is that of a SQL WHERE clause over the partition keys in their types."""
    import duckdb

    columns = ", ".join(f'"{key["Name"]}" {_SQL_TYPES.get(key.get("Type", "string"), "VARCHAR")}' for key in keys)
    with duckdb.connect(config={"enable_external_access": "false"}) as connection:
        try:
            connection.execute(f"CREATE TABLE partitions (partition_number BIGINT, {columns})")
            rows = [[number, *one["Values"]] for number, one in enumerate(partitions)]
            if rows:
                marks = ", ".join("?" for _ in rows[0])
                connection.executemany(f"INSERT INTO partitions VALUES ({marks})", rows)
            query = f"SELECT partition_number FROM partitions WHERE {expression} ORDER BY partition_number"
            return [partitions[number] for (number,) in connection.execute(query).fetchall()]
        except duckdb.Error as error:
            raise ValueError(str(error).splitlines()[0]) from None


_SQL_TYPES = {"int": "INTEGER", "bigint": "BIGINT", "smallint": "SMALLINT", "date": "DATE", "double": "DOUBLE"}


def _update_partition(data: dict[str, Any]) -> Any:
    entry = {"PartitionValueList": data.get("PartitionValueList"), "PartitionInput": data.get("PartitionInput")}
    with _writes:
        answer = glue._batch_update_partition(
            {"DatabaseName": data.get("DatabaseName"), "TableName": data.get("TableName"), "Entries": [entry]}
        )
    errors = json.loads(answer[2]).get("Errors") if answer[0] == 200 else None
    if errors:
        detail = errors[0]["ErrorDetail"]
        return _error(detail["ErrorCode"], detail["ErrorMessage"])
    return answer


def _batch_delete_partition(data: dict[str, Any]) -> Any:
    place = f"{data.get('DatabaseName')}/{data.get('TableName')}"
    errors = []
    with _writes:
        for wanted in data.get("PartitionsToDelete", []):
            values = wanted.get("Values", [])
            if any(one.get("Values") == values for one in glue._partitions.get(place) or []):
                glue._delete_partition({**data, "PartitionValues": values})
                continue
            detail = {"ErrorCode": "EntityNotFoundException", "ErrorMessage": "Partition not found"}
            errors.append({"PartitionValues": values, "ErrorDetail": detail})
    return responses.json_response({"Errors": errors})


_OWN_ACTIONS = {"UpdatePartition": _update_partition, "BatchDeletePartition": _batch_delete_partition}
