"""The embedded metric format: a log line that says so becomes metrics, and stays a log line.

Belongs in here: which lines are such documents and what they measure. Does not belong here: who logs them.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

from ministack.services import cloudwatch_logs

from emulator import patches
from emulator.cloudwatch_metrics import record

FIX = "embedded_metrics"

_MARK = '"CloudWatchMetrics"'
_MOST_METRICS, _MOST_VALUES, _MOST_DIMENSIONS = 100, 100, 30
_LARGEST_DOCUMENT_BYTES = 1024 * 1024

logger = logging.getLogger("emulator.embedded_metrics")


class _InvalidDocumentError(Exception):
    """The document breaks the specification; nothing of it becomes a metric."""


def install() -> None:
    append = patches.replace(FIX, "services.cloudwatch_logs:_append_log_events", None)

    def append_and_extract(stream: dict[str, Any], events: list[dict[str, Any]]) -> None:
        append(stream, events)
        for event in events:
            if _MARK in event["message"]:
                _extract(event["message"])

    cloudwatch_logs._append_log_events = append_and_extract


def _extract(message: str) -> None:
    # what the runtime puts before a document is skipped
    text = message[message.index("{") :] if "{" in message else ""
    try:
        document = json.loads(text)
    except ValueError:
        return
    if not isinstance(document, dict) or not isinstance(document.get("_aws"), dict):
        return
    try:
        if len(text.encode()) > _LARGEST_DOCUMENT_BYTES:
            raise _InvalidDocumentError(f"it has more than {_LARGEST_DOCUMENT_BYTES} bytes")
        found = list(_measurements(document))
    except _InvalidDocumentError as reason:
        logger.warning("a log line in the embedded metric format gives no metrics: %s", reason)
        return
    for measurement in found:
        record(*measurement)


def _measurements(document: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The arguments of `record` for each value of each metric in each set of dimensions."""
    timestamp = document["_aws"].get("Timestamp")
    if not _is_number(timestamp):
        raise _InvalidDocumentError("_aws.Timestamp is no number of milliseconds")
    for directive in _checked(document["_aws"].get("CloudWatchMetrics"), list, "CloudWatchMetrics"):
        namespace = _checked(directive.get("Namespace"), str, "Namespace")
        definitions = _checked(directive.get("Metrics"), list, "Metrics")
        if len(definitions) > _MOST_METRICS:
            raise _InvalidDocumentError(f"a directive has more than {_MOST_METRICS} metrics")
        for names in _checked(directive.get("Dimensions"), list, "Dimensions"):
            dimensions = _dimensions(document, names)
            for definition in definitions:
                for value in _values(document, definition["Name"]):
                    unit = definition.get("Unit") or "None"
                    yield namespace, definition["Name"], value, unit, dimensions, timestamp / 1000


def _dimensions(document: dict[str, Any], names: Any) -> dict[str, str]:
    if len(_checked(names, list, "a set of dimensions")) > _MOST_DIMENSIONS:
        raise _InvalidDocumentError(f"a set has more than {_MOST_DIMENSIONS} dimensions")
    return {name: _checked(document.get(name), str, f"the dimension {name}") for name in names}


def _values(document: dict[str, Any], name: str) -> list[float]:
    target = document.get(name)
    values = target if isinstance(target, list) else [target]
    if len(values) > _MOST_VALUES or not all(map(_is_number, values)):
        raise _InvalidDocumentError(f"the metric {name} is no number and no list of up to {_MOST_VALUES} numbers")
    return values


def _checked(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise _InvalidDocumentError(f"{what} is no {kind.__name__}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
