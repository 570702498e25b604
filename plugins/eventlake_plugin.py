"""What Airflow loads by itself from this project: listeners that write run notes and tell of broken files, and links.

Nothing else belongs in here.
"""

from airflow.plugins_manager import AirflowPlugin

from eventlake.data_docs import INDEX_PATH
from eventlake.settings import Settings
from eventlake_airflow import run_alerts, run_notes
from eventlake_airflow.schedules import SETTINGS


def views(settings: Settings) -> list[dict[str, str]]:
    """Data Docs, where a browser can open them. Without a route Airflow opens a tab, and no frame within its UI."""
    if not settings.data_docs_base_url:
        return []
    return [{"name": "Data Docs", "href": f"{settings.data_docs_base_url}{INDEX_PATH}", "destination": "nav"}]


class EventlakePlugin(AirflowPlugin):
    """Named so that `airflow plugins` shows whose it is."""

    name = "eventlake"
    listeners = [run_notes, run_alerts]  # noqa: RUF012 (Airflow's own shape)
    external_views = views(SETTINGS)
