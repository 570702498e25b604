"""What services tell the default event bus: alarms that change their state, job runs that end, crawls.

Belongs in here: the shape of these events. Does not belong here: rules and targets (ministack's own), and the moment
(cloudwatch_alarms.py, glue_jobs.py and glue_crawler.py tell of it).
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
https://docs.aws.amazon.com/glue/latest/dg/automating-awsglue-with-cloudwatch-events.html
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from ministack.core import responses
from ministack.services import eventbridge

from emulator import cloudwatch_alarms, glue_crawler, glue_jobs

FIX = "state_change_events"


def install() -> None:
    cloudwatch_alarms.told_of_change.append(_tell_of_alarm)
    glue_jobs.told_of_end.append(_tell_of_job_run)
    glue_crawler.told_of_state.append(_tell_of_crawl)


def _put(source: str, detail_type: str, resources: list[str], detail: dict[str, Any]) -> None:
    entry = {"Source": source, "DetailType": detail_type, "Resources": resources, "Detail": json.dumps(detail)}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _tell_of_alarm(alarm: dict[str, Any], before: dict[str, Any], state: dict[str, Any]) -> None:
    configuration: dict[str, Any] = {"description": alarm.get("AlarmDescription") or ""}
    if "AlarmRule" in alarm:
        configuration["alarmRule"] = alarm["AlarmRule"]
    else:
        configuration["metrics"] = [_watched_metric(alarm)]
    detail = {
        "alarmName": alarm["AlarmName"],
        "configuration": configuration,
        "previousState": before,
        "state": state,
    }
    _put("aws.cloudwatch", "CloudWatch Alarm State Change", [alarm["AlarmArn"]], detail)


def _watched_metric(alarm: dict[str, Any]) -> dict[str, Any]:
    metric = {
        "dimensions": {one["Name"]: one["Value"] for one in alarm.get("Dimensions") or ()},
        "name": alarm.get("MetricName"),
        "namespace": alarm.get("Namespace"),
    }
    stat = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, alarm["AlarmArn"])),
        "metricStat": {"metric": metric, "period": alarm.get("Period"), "stat": stat},
        "returnData": True,
    }


_JOB_RUN_MESSAGES = {
    "SUCCEEDED": ("INFO", "Job run succeeded"),
    "STOPPED": ("INFO", "Job run stopped"),
    "TIMEOUT": ("WARN", "Job run timed out"),
}


def _tell_of_job_run(record: dict[str, Any]) -> None:
    failed = ("ERROR", record.get("ErrorMessage", ""))
    severity, message = _JOB_RUN_MESSAGES.get(record["JobRunState"], failed)
    detail = {
        "jobName": record["JobName"],
        "severity": severity,
        "state": record["JobRunState"],
        "jobRunId": record["Id"],
        "message": message,
    }
    _put("aws.glue", "Glue Job State Change", [], detail)


def _tell_of_crawl(crawler: dict[str, Any], state: str, counts: dict[str, float]) -> None:
    """Started, Succeeded or Failed; a crawl that was stopped is told of by nobody."""
    name, now = crawler["Name"], time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    detail: dict[str, Any] = {"accountId": responses.get_account_id(), "crawlerName": name, "state": state}
    detail["message"] = f"Crawler {state}"
    if state == "Started":
        detail["startTime"] = now
    elif state == "Failed":
        detail |= {"errorMessage": crawler["LastCrawl"].get("ErrorMessage", ""), "cloudWatchLogLink": _log_link(name)}
    else:
        detail |= {
            "tablesCreated": str(int(counts["created"])),
            "tablesUpdated": str(int(counts["updated"])),
            "tablesDeleted": str(int(counts["deleted"])),
            "partitionsCreated": str(int(counts["partitions_created"])),
            "partitionsUpdated": str(int(counts["partitions_updated"])),
            "partitionsDeleted": str(int(counts["partitions_deleted"])),
            "runningTime (sec)": str(crawler["CrawlElapsedTime"] // 1000),
            "completionDate": now,
            "warningMessage": "N/A",
            "cloudWatchLogLink": _log_link(name),
        }
    _put("aws.glue", "Glue Crawler State Change", [], detail)


def _log_link(name: str) -> str:
    console = f"https://console.aws.amazon.com/cloudwatch/home?region={responses.get_region()}"
    return f"{console}#logEventViewer:group=/aws-glue/crawlers;stream={name}"
