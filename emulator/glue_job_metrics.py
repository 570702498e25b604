"""What Glue reports of a job run: how long it took, and whether it succeeded, where the job's arguments ask for it.

Belongs in here: the metrics of the namespace Glue that are known outside of Spark. Does not belong here: the run.
https://docs.aws.amazon.com/glue/latest/dg/monitoring-awsglue-with-cloudwatch-metrics.html
https://docs.aws.amazon.com/glue/latest/dg/monitor-observability.html
"""

from __future__ import annotations

from typing import Any

from emulator import glue_jobs
from emulator.cloudwatch_metrics import record

FIX = "glue_job_metrics"

_NAMESPACE = "Glue"
_RELIABILITY = {"glue.succeed.ALL": ("SUCCEEDED",), "glue.error.ALL": ("FAILED", "TIMEOUT")}


def install() -> None:
    glue_jobs.told_of_end.append(_report)


def _report(job_run: dict[str, Any]) -> None:
    arguments = job_run["Arguments"]
    for run_id in (job_run["Id"], "ALL"):
        where = {"JobName": job_run["JobName"], "JobRunId": run_id, "Type": "count"}
        if "--enable-metrics" in arguments:
            milliseconds = job_run["ExecutionTime"] * 1000
            record(_NAMESPACE, "glue.driver.aggregate.elapsedTime", milliseconds, "Milliseconds", where)
        if str(arguments.get("--enable-observability-metrics", "")).lower() == "true":
            where = where | {"ObservabilityGroup": "error"}
            for metric_name, states in _RELIABILITY.items():
                record(_NAMESPACE, metric_name, int(job_run["JobRunState"] in states), "Count", where)
