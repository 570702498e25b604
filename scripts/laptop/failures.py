"""The logs that explain why a DAG run failed: of its tasks, and of the Glue jobs that they started."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.exceptions import ClientError

from eventlake.settings import Settings
from laptop.airflow_api import AirflowApi

JOB_LOG_GROUP = "/aws-glue/jobs/error"
SHOWN_LINES = 30
RECENT = timedelta(hours=1)


def explain(airflow: AirflowApi, settings: Settings, dag_id: str, run_id: str) -> list[str]:
    told = [f"--- why {dag_id} did not succeed", *airflow.failure_logs(dag_id, run_id)]
    told += [f"still at work: {at_work}" for at_work in [airflow.at_work(dag_id, run_id)] if at_work]
    glue, logs = boto3.client("glue"), boto3.client("logs")
    for job in (settings.load_job, settings.rollup_job, settings.compaction_job):
        for run in unfinished_or_failed(glue, job):
            told.append(f"--- Glue job {job} {run['Id']} {run['JobRunState']}: {run.get('ErrorMessage', '')}")
            told += [f"    {line}" for line in job_log(logs, run["Id"])[-SHOWN_LINES:]]
    return told


def unfinished_or_failed(glue: Any, job: str) -> list[dict[str, Any]]:
    try:
        runs: list[dict[str, Any]] = glue.get_job_runs(JobName=job)["JobRuns"]
    except ClientError:
        return []
    since = datetime.now(UTC) - RECENT
    return [run for run in runs if run["JobRunState"] != "SUCCEEDED" and run["StartedOn"] > since]


def job_log(logs: Any, job_run_id: str) -> list[str]:
    try:
        events = logs.get_log_events(logGroupName=JOB_LOG_GROUP, logStreamName=job_run_id)["events"]
    except ClientError as error:
        return [f"its log cannot be read: {error}"]
    return [str(event["message"]).rstrip() for event in events]
