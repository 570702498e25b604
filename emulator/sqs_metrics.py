"""What SQS reports of a queue: what came and went as it happens, what waits at the end of each minute.

Belongs in here: the metrics of AWS/SQS. Does not belong here: queues (ministack's own).
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
"""

from __future__ import annotations

import time
from typing import Any

from ministack.services import sqs

from emulator import clock, metric_minutes, patches
from emulator.cloudwatch_metrics import record

FIX = "sqs_metrics"

_NAMESPACE = "AWS/SQS"
# a message that was received this often and is still there is put to the back, and its age counts no more
_RECEIVES_OF_A_POISON_PILL = 3
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/monitoring-using-cloudwatch.html
_ACTIVE_SECONDS = 6 * 3600
# who sends is several services, and each puts the message into the list: it is counted when it is first seen
_SEEN = "seen_by_metrics"

# when each queue was last asked for something or held something
_last_used: dict[str, float] = {}


def install() -> None:
    collect = patches.replace(FIX, "services.sqs:_collect_msgs", None)
    sqs._collect_msgs = lambda queue, *request: _collected(queue, collect(queue, *request))
    delete = patches.replace(FIX, "services.sqs:_delete_messages_for_esm", None)
    sqs._delete_messages_for_esm = lambda url, handles: _deleted(url, len(handles), delete(url, handles))
    handlers = dict(sqs._HANDLERS)
    for action in ("DeleteMessage", "DeleteMessageBatch"):
        handlers[action] = _counting(handlers[action])
    patches.replace(FIX, "services.sqs:_HANDLERS", handlers)
    metric_minutes.at_each_end(_report)


def _in_use(queue: dict[str, Any]) -> None:
    _last_used[queue["url"]] = clock.now()


def _count(queue: dict[str, Any], metric_name: str, number: int) -> None:
    if number:
        record(_NAMESPACE, metric_name, number, "Count", {"QueueName": queue["name"]})


def _collected(queue: dict[str, Any], messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    _in_use(queue)
    _count_sent(queue, messages, received_now=1)
    _count(queue, "NumberOfMessagesReceived", len(messages))
    return messages


def _counting(delete: Any) -> Any:
    def delete_and_count(data: dict[str, Any], queue_url: str) -> Any:
        answer = delete(data, queue_url)
        return _deleted(data.get("QueueUrl", queue_url), len(answer.get("Successful", (None,))), answer)

    return delete_and_count


def _deleted(queue_url: str, number: int, answer: Any) -> Any:
    _count(sqs._get_q(queue_url), "NumberOfMessagesDeleted", number)
    return answer


def _count_sent(queue: dict[str, Any], messages: list[dict[str, Any]], received_now: int = 0) -> None:
    """Counts what was not seen yet. What SQS itself moved to a dead-letter queue was not sent."""
    sent = 0
    for message in messages:
        seen = message.get(_SEEN)
        if seen is None:
            sent += 1
            message[_SEEN] = {"queue": queue["url"], "since": message["sent_at"], "received_before": 0}
        elif seen["queue"] != queue["url"]:
            received_before = message["receive_count"] - received_now
            message[_SEEN] = {"queue": queue["url"], "since": time.time(), "received_before": received_before}
    _count(queue, "NumberOfMessagesSent", sent)


def _report(minute_end: float) -> None:
    """What waits, where something does; that nothing waits is reported of a queue in use alone."""
    for (account, region, _), queue in sqs._queues.all_items():
        metric_minutes.enter(account, region)
        messages = list(queue["messages"])
        _count_sent(queue, messages)
        if messages:
            _in_use(queue)
        if minute_end - _last_used.get(queue["url"], 0.0) < _ACTIVE_SECONDS:
            _report_levels(queue["name"], messages, minute_end - 1)  # of the minute that is over


def _report_levels(queue_name: str, messages: list[dict[str, Any]], at: float) -> None:
    now = time.time()
    hidden = [message for message in messages if message["visible_at"] > now]
    received = sum(message["receive_count"] > 0 for message in hidden)
    levels = [
        ("ApproximateNumberOfMessagesVisible", len(messages) - len(hidden), "Count"),
        ("ApproximateNumberOfMessagesNotVisible", received, "Count"),
        ("ApproximateNumberOfMessagesDelayed", len(hidden) - received, "Count"),
        ("ApproximateAgeOfOldestMessage", _age_of_oldest(messages), "Seconds"),
    ]
    for metric_name, level, unit in levels:
        if level or metric_name == "ApproximateNumberOfMessagesVisible":
            record(_NAMESPACE, metric_name, level, unit, {"QueueName": queue_name}, at)


def _age_of_oldest(messages: list[dict[str, Any]]) -> int:
    since = [
        message[_SEEN]["since"]
        for message in messages
        if message["receive_count"] - message[_SEEN]["received_before"] < _RECEIVES_OF_A_POISON_PILL
    ]
    return max(0, int(clock.now() - min(since))) if since else 0
