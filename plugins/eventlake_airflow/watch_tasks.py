"""The tasks of `watch_stream` beside its sensors: how far raw lags behind the stream, and the note that all is well."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import task

from eventlake_airflow.failure_alerts import clear_failure
from eventlake_airflow.notes import note

# beyond this readers' data is later than promised (a load an hour); retention of the stream is a week
MOST_LAG = timedelta(minutes=30)


@task(on_success_callback=clear_failure)
def report_stream(watermark: str) -> None:
    """The last leaf: says until when everything is in raw."""
    note(f"The streaming path works. Everything received until {watermark} lies in raw.")
