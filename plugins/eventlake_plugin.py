"""What Airflow loads by itself from this project: the listeners that write run notes and tell of broken files.

Nothing else belongs in here.
"""

from airflow.plugins_manager import AirflowPlugin

from eventlake_airflow import run_alerts, run_notes


class EventlakePlugin(AirflowPlugin):
    """Named so that `airflow plugins` shows whose it is."""

    name = "eventlake"
    listeners = [run_notes, run_alerts]  # noqa: RUF012 (Airflow's own shape)
