"""The one number that the alarm outside Airflow waits for: that a load came to its end."""

from __future__ import annotations

from eventlake.settings import Settings
from eventlake_aws.clients import Clients

# as the alarm publish-silent of the template asks for it
_NAMESPACE = "EventLake"
_LOADS_ENDED = "LoadsEnded"


def count_load_ended(clients: Clients, settings: Settings) -> None:
    """Counts an ended load, one that found nothing to do included: a quiet night is not a silent Airflow."""
    clients.cloudwatch.put_metric_data(
        Namespace=_NAMESPACE,
        MetricData=[
            {
                "MetricName": _LOADS_ENDED,
                "Dimensions": [{"Name": "Lake", "Value": settings.prefix}],
                "Value": 1,
                "Unit": "Count",
            }
        ],
    )
