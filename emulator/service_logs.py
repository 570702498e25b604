"""What a service writes into CloudWatch Logs by itself: job runs, crawls, deliveries that failed.

Belongs in here: a log stream and its lines. Does not belong here: what is said in them; functions' logs (ministack's).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from ministack.services import cloudwatch_logs


def log_stream(group_name: str, stream_name: str) -> dict[str, Any]:
    """The stream of that name, made if it is not there, and its group too."""
    now = int(time.time() * 1000)
    group = cloudwatch_logs._log_groups.get(group_name)
    if group is None:
        group = cloudwatch_logs._log_groups[group_name] = {
            "arn": cloudwatch_logs._make_group_arn(group_name),
            "creationTime": now,
            "retentionInDays": None,
            "tags": {},
            "subscriptionFilters": {},
            "streams": {},
        }
    stream: dict[str, Any] = group["streams"].setdefault(
        stream_name,
        {
            "events": [],
            "uploadSequenceToken": "1",
            "creationTime": now,
            "firstEventTimestamp": None,
            "lastEventTimestamp": None,
            "lastIngestionTime": None,
        },
    )
    return stream


def write(stream: dict[str, Any], lines: Iterable[str]) -> None:
    now = int(time.time() * 1000)
    cloudwatch_logs._append_log_events(
        stream, [{"timestamp": now, "message": line, "ingestionTime": now} for line in lines]
    )
