"""The one line that an invocation prints: what was decided, as JSON, with the metrics that CloudWatch reads out of it.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
What does not belong here: payloads, and a clock (the time is passed in).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

METRICS_NAMESPACE = "EventLake"


def decision_line(
    *, lake: str, station: str, at_ms: int, counts: Mapping[str, int], details: Mapping[str, object] | None = None
) -> str:
    """One JSON line. `counts` become metrics with the dimensions Lake and Station; `details` are for people."""
    metrics = [{"Name": name, "Unit": "Count"} for name in counts]
    return json.dumps(
        {
            **(details or {}),
            **counts,
            "Lake": lake,
            "Station": station,
            "_aws": {
                "Timestamp": at_ms,
                "CloudWatchMetrics": [
                    {"Namespace": METRICS_NAMESPACE, "Dimensions": [["Lake", "Station"]], "Metrics": metrics}
                ],
            },
        },
        separators=(",", ":"),
    )
