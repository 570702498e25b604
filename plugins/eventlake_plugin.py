"""What Airflow loads by itself from this project: listeners that write run notes and tell of broken files, and links.

Nothing else belongs in here.
"""

from airflow.plugins_manager import AirflowPlugin

from eventlake.data_docs import INDEX_PATH
from eventlake_airflow import run_alerts, run_notes
from eventlake_airflow.schedules import SETTINGS


class EventlakePlugin(AirflowPlugin):
    """Named so that `airflow plugins` shows whose it is."""

    name = "eventlake"
    listeners = [run_notes, run_alerts]  # noqa: RUF012 (Airflow's own shape)
    # without a route it opens in a tab of its own: a page of S3 has no business in a frame of the UI
    external_views = (
        [{"name": "Data Docs", "href": f"{SETTINGS.data_docs_base_url}{INDEX_PATH}", "destination": "nav"}]
        if SETTINGS.data_docs_base_url
        else []
    )
