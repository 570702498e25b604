"""AWS/Kinesis metrics: summed up here, written to CloudWatch once a second, since a stream takes thousands of records.

Belongs in here: the sums and when they are written. Does not belong here: what is counted (kinesis_writing.py,
kinesis_reading.py, kinesis_event_source.py).
"""

from __future__ import annotations

import contextvars
import threading
from dataclasses import dataclass

from ministack.services import cloudwatch

from emulator import patches

FIX = "kinesis_metrics"

_WRITE_EVERY_SECONDS = 1.0

INCOMING_RECORDS = "IncomingRecords"
INCOMING_BYTES = "IncomingBytes"
WRITES_REFUSED = "WriteProvisionedThroughputExceeded"
READS_REFUSED = "ReadProvisionedThroughputExceeded"
ITERATOR_AGE = "GetRecords.IteratorAgeMilliseconds"
_UNITS = {INCOMING_BYTES: "Bytes", ITERATOR_AGE: "Milliseconds"}


@dataclass
class _Sum:
    value: float
    # whose metric it is: CloudWatch files it under the account and region of the request
    context: contextvars.Context


_lock = threading.Lock()
_sums: dict[tuple[str, str], _Sum] = {}


def install() -> None:
    threading.Thread(target=_write_on, name="kinesis-metrics", daemon=True).start()
    patches.at_shutdown(36, write)


def count(stream_name: str, metric: str, value: float) -> None:
    """Adds to this second's value; of ages the greatest counts."""
    with _lock:
        known = _sums.get((stream_name, metric))
        if known is None:
            _sums[stream_name, metric] = _Sum(value, contextvars.copy_context())
        else:
            known.value = max(known.value, value) if metric == ITERATOR_AGE else known.value + value


def write() -> None:
    with _lock:
        ready = dict(_sums)
        _sums.clear()
    for (stream_name, metric), summed in ready.items():
        summed.context.run(
            cloudwatch.record_metric,
            "AWS/Kinesis",
            metric,
            summed.value,
            _UNITS.get(metric, "Count"),
            {"StreamName": stream_name},
        )


def _write_on() -> None:
    pause = threading.Event()
    while not pause.wait(_WRITE_EVERY_SECONDS):
        write()
