"""What Airflow loads by itself from this project: the listener that writes run notes. Nothing else belongs in here."""

from airflow.plugins_manager import AirflowPlugin

from eventlake_airflow import run_notes


class EventlakePlugin(AirflowPlugin):
    """Named so that `airflow plugins` shows whose it is."""

    name = "eventlake"
    listeners = [run_notes]  # noqa: RUF012 (Airflow's own shape)
