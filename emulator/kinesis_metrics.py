"""AWS/Kinesis metrics by StreamName: one measurement a request, as AWS's statistics are meant.

Belongs in here: their names and units (https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html).
Does not belong here: what is measured (kinesis_writing.py, kinesis_reading.py, kinesis_event_source.py); how
measurements are kept (cloudwatch_metrics.py).
"""

from __future__ import annotations

from ministack.services import cloudwatch

INCOMING_RECORDS = "IncomingRecords"
INCOMING_BYTES = "IncomingBytes"
WRITES_REFUSED = "WriteProvisionedThroughputExceeded"
READS_REFUSED = "ReadProvisionedThroughputExceeded"
ITERATOR_AGE = "GetRecords.IteratorAgeMilliseconds"
_UNITS = {INCOMING_BYTES: "Bytes", ITERATOR_AGE: "Milliseconds"}

_is_on = False


def install() -> None:
    global _is_on
    _is_on = True


def measure(stream_name: str, metric: str, value: int) -> None:
    if _is_on:
        unit = _UNITS.get(metric, "Count")
        cloudwatch.record_metric("AWS/Kinesis", metric, value, unit, {"StreamName": stream_name})
