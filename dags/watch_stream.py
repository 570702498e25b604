"""
### Purpose
Looks every ten minutes whether the streaming path works: stream, its mapping, the functions, both deliveries, the queue
of landings, and how far what is in raw lags behind what was received.

### Reads
States of the AWS resources, queue depths, the watermark.

### Writes
Nothing but a note on its run.

### Params
None.

### If it fails
The red task names the thing and its state. Something bad fails at once; something slow is retried first. Runbooks:
docs/runbooks/stream-lag.md, delivery-stale.md, landings-dead-letter.md.

### Safe to rerun
Yes: it only looks.
"""

from datetime import timedelta

from airflow.sdk import dag

from eventlake_airflow.defaults import Area, Tier, lake_dag
from eventlake_airflow.schedules import SCHEDULES, SETTINGS, every
from eventlake_airflow.sensors import StatesSensor, WatermarkSensor
from eventlake_airflow.watch_tasks import MOST_LAG, report_stream
from eventlake_airflow.watches import Watched


@dag(
    schedule=every(SCHEDULES.watch),
    doc_md=__doc__,
    **lake_dag(Tier.DATA_LATE, [Area.STREAM], dagrun_timeout=timedelta(minutes=30), late_after=timedelta(minutes=20)),
)
def watch_stream() -> None:
    await_stream = StatesSensor(
        task_id="await_stream",
        watched=[Watched("stream", SETTINGS.stream), Watched("event_source_mapping", SETTINGS.admit_function)],
    )
    await_functions = StatesSensor(
        task_id="await_functions",
        watched=[Watched("function", SETTINGS.admit_function), Watched("function", SETTINGS.record_landing_function)],
    )
    await_deliveries = StatesSensor(
        task_id="await_deliveries",
        watched=[
            Watched("delivery_stream", SETTINGS.raw_delivery),
            Watched("delivery_stream", SETTINGS.decisions_delivery),
        ],
    )
    await_landings = StatesSensor(
        task_id="await_landings",
        watched=[
            Watched("landings_queue", SETTINGS.landings_queue),
            Watched("dead_letter_queue", SETTINGS.landings_dead_letter_queue),
        ],
    )

    await_watermark = WatermarkSensor(task_id="await_watermark", most_lag=MOST_LAG)

    (
        [await_stream, await_functions, await_deliveries, await_landings, await_watermark]
        >> report_stream(await_watermark.output)
    )


watch_stream()
