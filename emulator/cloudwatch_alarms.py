"""CloudWatch alarms: looked at when a minute has ended, and what a change of state leads to.

Belongs in here: when an alarm is evaluated and over which periods, its state, history, actions and messages. Does not
belong here: the rule (alarm_evaluation.py), composite alarms (ministack's own; they follow the alarms that they name).
ministack evaluates an alarm when somebody puts a metric, over the metrics of that name whatever their dimensions, and
without data never.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

from __future__ import annotations

import contextvars
import json
import logging
import math
import time
from collections.abc import Callable
from typing import Any

from ministack.core import responses
from ministack.services import cloudwatch, sns

from emulator import alarm_evaluation as evaluation
from emulator import clock, metric_minutes, moments, patches
from emulator import cloudwatch_metrics as metrics

FIX = "cloudwatch_alarms"

_MINUTE_SECONDS = 60
# alarms of 10, 20 or 30 seconds are looked at this often
_SHORT_SECONDS = 10
_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
_TREATMENTS = ("breaching", "notBreaching", "ignore", "missing")
_INITIAL_REASON = "Unchecked: Initial alarm creation"

logger = logging.getLogger("emulator.cloudwatch_alarms")

_Scoped = tuple[str, str, str]
# up to when each alarm has been evaluated
_evaluated_up_to: dict[_Scoped, float] = {}
# told of every change: the alarm, its state before and now
told_of_change: list[Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], None]] = []


def install() -> None:
    patches.replace(FIX, "services.cloudwatch:_evaluate_alarm", _look_soon)
    patches.replace(FIX, "services.cloudwatch:_evaluate_all_alarms", lambda: None)
    patches.replace(FIX, "services.cloudwatch:_record_history", _record_change)
    patches.replace(FIX, "services.cloudwatch:_dispatch_alarm_actions", _tell)
    put = patches.replace(FIX, "services.cloudwatch:_put_metric_alarm", None)
    cloudwatch._put_metric_alarm = lambda *request: _put_metric_alarm(put, *request)
    set_state = patches.replace(FIX, "services.cloudwatch:_set_alarm_state", None)
    cloudwatch._set_alarm_state = lambda *request: _set_alarm_state(set_state, *request)
    metric_minutes.at_each_tick(_look)


def _scoped(name: str) -> _Scoped:
    return (responses.get_account_id(), responses.get_region(), name)


# ---- requests


def _put_metric_alarm(put: Any, params: Any, data: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Any:
    if is_cbor or is_json:
        if refusal := _refusal(data):
            return cloudwatch._error("ValidationError", refusal, 400, use_json=is_json, use_cbor=is_cbor)
        answer = put(params, data, is_cbor, is_json)
        if answer[0] < 300 and data.get("ExtendedStatistic"):
            # one of the two, as it was put
            cloudwatch._alarms[data["AlarmName"]].pop("Statistic", None)
        return answer
    return put(params, data, is_cbor, is_json)


def _set_alarm_state(put: Any, params: Any, data: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Any:
    """A state that is set by hand has the reason that is given with it, and no data of an evaluation."""
    if (is_cbor or is_json) and data.get("StateValue") not in _ACTIONS:
        refusal = f"StateValue must be one of {', '.join(_ACTIONS)}, and it is {data.get('StateValue')}"
        return cloudwatch._error("ValidationError", refusal, 400, use_json=is_json, use_cbor=is_cbor)
    alarm = cloudwatch._alarms.get(data.get("AlarmName"))
    if alarm is not None:
        alarm.pop("StateReasonData", None)
    return put(params, data, is_cbor, is_json)


def _refusal(alarm: dict[str, Any]) -> str | None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
    if not alarm.get("MetricName"):
        return None  # metric math, which nothing here evaluates
    period, periods = int(alarm.get("Period") or 0), int(alarm.get("EvaluationPeriods") or 0)
    if period not in (10, 20, 30) and (period < _MINUTE_SECONDS or period % _MINUTE_SECONDS):
        return f"Period must be 10, 20, 30 or a multiple of 60, and it is {period}"
    if int(alarm.get("DatapointsToAlarm") or periods) > periods:
        return "DatapointsToAlarm must be less than or equal to EvaluationPeriods"
    if bool(alarm.get("Statistic")) == bool(alarm.get("ExtendedStatistic")):
        return "Exactly one of Statistic and ExtendedStatistic must be given"
    if (alarm.get("TreatMissingData") or "missing") not in _TREATMENTS:
        return f"TreatMissingData must be one of {', '.join(_TREATMENTS)}, and it is {alarm['TreatMissingData']}"
    return None


# ---- evaluation


def _look_soon(alarm: dict[str, Any]) -> None:
    """A new or changed alarm does not wait for the end of the minute."""
    _evaluated_up_to.pop(_scoped(alarm["AlarmName"]), None)


def _look(now: float) -> None:
    for scoped, alarm in cloudwatch._alarms.all_items():
        period_seconds = int(alarm.get("Period") or _MINUTE_SECONDS)
        step_seconds = _SHORT_SECONDS if period_seconds < _MINUTE_SECONDS else _MINUTE_SECONDS
        up_to = now // step_seconds * step_seconds
        if _evaluated_up_to.get(scoped) == up_to:
            continue
        _evaluated_up_to[scoped] = up_to
        contextvars.copy_context().run(_evaluate, scoped, alarm, period_seconds, up_to)


def _evaluate(scoped: _Scoped, alarm: dict[str, Any], period_seconds: int, up_to: float) -> None:
    metric_minutes.enter(scoped[0], scoped[1])
    rule = evaluation.Rule.of(alarm)
    if rule is None or not alarm.get("MetricName"):
        return
    looked_at = _datapoints(alarm, rule.datapoints_looked_at, period_seconds, up_to)
    change = evaluation.change(rule, alarm["StateValue"], looked_at)
    if change is not None:
        with moments.as_a_whole():
            _change(alarm, change, period_seconds)


def _datapoints(
    alarm: dict[str, Any], number: int, period_seconds: int, up_to: float
) -> list[evaluation.Datapoint | None]:
    """The statistic of the last periods that are over, the oldest first: a window that slides by the minute.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation-window.html
    """
    inside: list[list[metrics.Point]] = [[] for _ in range(number)]
    for point in metrics.points_of(
        alarm["Namespace"], alarm["MetricName"], alarm.get("Dimensions") or [], alarm.get("Unit") or None
    ):
        # a point at the very start of a period belongs to it
        periods_ago = math.ceil((up_to - point["Timestamp"]) / period_seconds) - 1
        if 0 <= periods_ago < number:
            inside[number - 1 - periods_ago].append(point)
    name = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    first = up_to - number * period_seconds
    return [
        None
        if (value := metrics.statistic(points, name)) is None
        else evaluation.Datapoint(first + index * period_seconds, value)
        for index, points in enumerate(inside)
    ]


def _change(alarm: dict[str, Any], change: evaluation.Change, period_seconds: int) -> None:
    old_state, now = alarm["StateValue"], clock.now()
    data = {"version": "1.0", "queryDate": _moment(now)}
    if change.evaluated:
        data["startDate"] = _moment(change.evaluated[0].start)
    if alarm.get("Statistic") and not alarm.get("ExtendedStatistic"):
        data["statistic"] = alarm["Statistic"]
    data |= {
        "period": period_seconds,
        "recentDatapoints": [one.value for one in change.evaluated],
        "threshold": alarm["Threshold"],
    }
    alarm.update(
        StateValue=change.state,
        StateReason=change.reason,
        StateReasonData=json.dumps(data, separators=(",", ":")),
        StateUpdatedTimestamp=now,
        StateTransitionedTimestamp=now,
    )
    _record_change(alarm["AlarmName"], old_state, change.state, change.reason, reason_data=data)
    _tell(alarm, old_state, change.state, change.reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _moment(seconds: float) -> str:
    """2019-10-02T17:04:40.985+0000"""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}+0000"


# ---- what a change leads to


def _record_change(
    name: str,
    old_state: str,
    new_state: str,
    reason: str,
    alarm_type: str = "MetricAlarm",
    reason_data: dict[str, Any] | None = None,
) -> None:
    if old_state == new_state:
        _record(name, alarm_type, "ConfigurationUpdate", f'Alarm "{name}" created', {"type": "Create"})
        return
    new = {"stateValue": new_state, "stateReason": reason}
    data = {
        "oldState": {"stateValue": old_state},
        "newState": new | ({"stateReasonData": reason_data} if reason_data else {}),
    }
    _record(name, alarm_type, "StateUpdate", f"Alarm updated from {old_state} to {new_state}", data)


def _record(name: str, alarm_type: str, item_type: str, summary: str, data: dict[str, Any]) -> None:
    cloudwatch._history_entries().append(
        {
            "AlarmName": name,
            "AlarmType": alarm_type,
            "Timestamp": _moment(clock.now()),
            "HistoryItemType": item_type,
            "HistorySummary": summary,
            "HistoryData": json.dumps({"version": "1.0", **data}),
        }
    )


def _tell(alarm: dict[str, Any], old_state: str, new_state: str, reason: str) -> None:
    """The actions of the new state, and whoever else listens."""
    now = clock.now()
    for tell in told_of_change:
        tell(alarm, *_last_two_states(alarm, old_state))
    if not alarm.get("ActionsEnabled", True):
        return
    message = json.dumps(_message(alarm, old_state, new_state, reason, now))
    subject = f'{new_state}: "{alarm["AlarmName"]}" in {responses.get_region()}'[:100]
    for action in alarm.get(_ACTIONS[new_state]) or ():
        if not cloudwatch._is_sns_action_arn(action):
            logger.warning("the alarm %s cannot act on %s here: it is no topic", alarm["AlarmName"], action)
            continue
        sns._fanout(action, responses.new_uuid(), message, subject)
        is_composite = "AlarmRule" in alarm
        _record(
            alarm["AlarmName"],
            "CompositeAlarm" if is_composite else "MetricAlarm",
            "Action",
            f"Successfully executed action {action}",
            {"actionState": "Succeeded", "notificationResource": action, "publishedMessage": message},
        )


def _last_two_states(alarm: dict[str, Any], old_state: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The state before and the one now, as the history tells them."""
    created = _moment(alarm["AlarmConfigurationUpdatedTimestamp"])
    found = [{"value": old_state, "reason": _INITIAL_REASON, "timestamp": created}]
    for entry in cloudwatch._history_entries():
        if entry["AlarmName"] == alarm["AlarmName"] and entry["HistoryItemType"] == "StateUpdate":
            new = json.loads(entry["HistoryData"])["newState"]
            state = {"value": new["stateValue"], "reason": new["stateReason"], "timestamp": entry["Timestamp"]}
            if "stateReasonData" in new:
                state["reasonData"] = json.dumps(new["stateReasonData"], separators=(",", ":"))
            found.append(state)
    return found[-2], found[-1]


def _message(alarm: dict[str, Any], old_state: str, new_state: str, reason: str, now: float) -> dict[str, Any]:
    message = {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription") or None,
        "AWSAccountId": responses.get_account_id(),
        "AlarmConfigurationUpdatedTimestamp": _moment(alarm["AlarmConfigurationUpdatedTimestamp"]),
        "NewStateValue": new_state,
        "NewStateReason": reason,
        "StateChangeTime": _moment(now),
        "Region": responses.get_region(),
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": old_state,
        "OKActions": alarm.get("OKActions") or [],
        "AlarmActions": alarm.get("AlarmActions") or [],
        "InsufficientDataActions": alarm.get("InsufficientDataActions") or [],
    }
    if "AlarmRule" in alarm:
        return message | {"AlarmRule": alarm["AlarmRule"]}
    statistic = alarm.get("ExtendedStatistic")
    trigger = {
        "MetricName": alarm.get("MetricName"),
        "Namespace": alarm.get("Namespace"),
        "StatisticType": "ExtendedStatistic" if statistic else "Statistic",
        **({"ExtendedStatistic": statistic} if statistic else {"Statistic": str(alarm.get("Statistic")).upper()}),
        "Unit": alarm.get("Unit"),
        "Dimensions": [{"value": one["Value"], "name": one["Name"]} for one in alarm.get("Dimensions") or []],
        "Period": alarm.get("Period"),
        "EvaluationPeriods": alarm.get("EvaluationPeriods"),
        "ComparisonOperator": alarm.get("ComparisonOperator"),
        "Threshold": alarm.get("Threshold"),
        "TreatMissingData": alarm.get("TreatMissingData") or "missing",
    }
    if "DatapointsToAlarm" in alarm:
        trigger["DatapointsToAlarm"] = alarm["DatapointsToAlarm"]
    return message | {"Trigger": trigger}
