"""Services in memory, as far as the functions use them, and ways for them to fail.

What does not belong here: what AWS does beyond that. tests/emulator/test_claims_and_positions.py sends the same
statements to the fake and to the emulator.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any


class ProcessDiedError(Exception):
    """The process died: every later call of the same invocation dies too."""


class Faults:
    """When to die, and how often to be busy. Each service call has two moments: before and after its effect."""

    def __init__(
        self, crash_at: int | None = None, throttled: int = 0, unprocessed: int = 0, failed_puts: int = 0
    ) -> None:
        self.crash_at = crash_at
        self.throttled = throttled
        self.unprocessed = unprocessed
        self.failed_puts = failed_puts
        self.moments = 0
        self._lock = threading.Lock()

    def moment(self) -> None:
        with self._lock:
            self.moments += 1
            if self.crash_at is not None and self.moments >= self.crash_at:
                raise ProcessDiedError(f"at moment {self.moments}")

    def spend(self, budget: str) -> bool:
        """Whether one more fault of this kind is left; it is used up."""
        with self._lock:
            left = int(getattr(self, budget))
            setattr(self, budget, max(0, left - 1))
            return left > 0


def service_call(method: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, **arguments: Any) -> Any:
        self.faults.moment()
        answer = method(self, **arguments)
        self.faults.moment()
        return answer

    return call


class ConditionalCheckFailedError(Exception):
    pass


class FakeDynamoDB:
    """Tables of items by key text; understands exactly the statements and conditions that the functions send."""

    class exceptions:  # noqa: N801 - boto3's own name
        ConditionalCheckFailedException = ConditionalCheckFailedError

    def __init__(self, keys: dict[str, tuple[str, ...]], faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.tables: dict[str, dict[tuple[str, ...], dict[str, dict[str, str]]]] = {table: {} for table in keys}
        self._keys = keys
        self._lock = threading.Lock()

    def _key(self, table: str, item: dict[str, dict[str, str]]) -> tuple[str, ...]:
        return tuple(item[name]["S"] for name in self._keys[table])

    @service_call
    def batch_execute_statement(self, Statements: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's own
        assert 1 <= len(Statements) <= 25
        return {"Responses": [self._execute(statement) for statement in Statements]}

    def _execute(self, statement: dict[str, Any]) -> dict[str, Any]:
        parsed = re.fullmatch(r'INSERT INTO "(.+)" VALUE \{(.+)\}', statement["Statement"])
        assert parsed, statement
        names = re.findall(r"'(\w+)': \?", parsed[2])
        item = dict(zip(names, statement["Parameters"], strict=True))
        if self.faults.spend("throttled"):
            return {"Error": {"Code": "ThrottlingError"}}
        with self._lock:
            table = self.tables[parsed[1]]
            if self._key(parsed[1], item) in table:
                return {"Error": {"Code": "DuplicateItem"}}
            table[self._key(parsed[1], item)] = item
        return {}

    @service_call
    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto3's own name
        [(table, wanted)] = RequestItems.items()
        assert wanted["ConsistentRead"] is True
        assert 1 <= len(wanted["Keys"]) <= 100
        left = [key for key in wanted["Keys"] if self.faults.spend("unprocessed")]
        keys = [self._key(table, key) for key in wanted["Keys"] if key not in left]
        found = [self.tables[table][key] for key in keys if key in self.tables[table]]
        return {"Responses": {table: found}, "UnprocessedKeys": {table: {"Keys": left}} if left else {}}

    @service_call
    def put_item(
        self,
        TableName: str,  # noqa: N803 - boto3's own names
        Item: dict[str, dict[str, str]],  # noqa: N803
        ConditionExpression: str,  # noqa: N803
        ExpressionAttributeNames: dict[str, str] | None = None,  # noqa: N803
        ExpressionAttributeValues: dict[str, dict[str, str]] | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        with self._lock:
            key = self._key(TableName, Item)
            item = self.tables[TableName].get(key, {})
            names, values = ExpressionAttributeNames or {}, ExpressionAttributeValues or {}

            def holds(term: str) -> bool:
                if absent := re.fullmatch(r"attribute_not_exists\((\w+)\)", term):
                    return absent[1] not in item
                left, operator, right = term.split(" ")
                stored, given = item.get(names.get(left, left)), values[right]
                if operator == "=":
                    return stored == given
                assert operator == "<="
                return stored is not None and int(stored["N"]) <= int(given["N"])

            if not any(all(map(holds, either.split(" AND "))) for either in ConditionExpression.split(" OR ")):
                raise ConditionalCheckFailedError
            self.tables[TableName][key] = Item
        return {}


class FakeFirehose:
    """Streams as lists of lines, in the order in which they were taken."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.streams: dict[str, list[bytes]] = {}

    @service_call
    def put_record_batch(self, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> dict[str, Any]:  # noqa: N803
        assert 1 <= len(Records) <= 500
        assert sum(len(record["Data"]) for record in Records) <= 4 * 1024 * 1024
        responses: list[dict[str, str]] = []
        for record in Records:
            assert len(record["Data"]) <= 1_024_000
            if self.faults.spend("failed_puts"):
                responses.append({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."})
            else:
                self.streams.setdefault(DeliveryStreamName, []).append(record["Data"])
                responses.append({"RecordId": "x"})
        return {"FailedPutCount": sum("ErrorCode" in r for r in responses), "RequestResponses": responses}


class FakeS3:
    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.objects: dict[str, bytes] = {}

    @service_call
    def put_object(self, Bucket: str, Key: str, Body: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's own names
        self.objects[f"s3://{Bucket}/{Key}"] = Body
        return {}
