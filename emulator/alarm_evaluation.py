"""The state of an alarm, from its data points: pure, so that AWS's own tables can be held against it.

Belongs in here: which data points count, what a missing one counts for, the words of the reason. Does not belong
here: where data points come from and what a new state leads to (cloudwatch_alarms.py).
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# AWS looks at more data points than it evaluates and does not say at how many; its examples look at 5 for 3
EXTRA_DATAPOINTS = 2
# its alarms ignore missing data unless they say otherwise
_IGNORING_NAMESPACE = "AWS/DynamoDB"

_OPERATORS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


@dataclass(frozen=True)
class Datapoint:
    """The statistic of one period that had data."""

    start: float
    value: float


@dataclass(frozen=True)
class Rule:
    """What an alarm compares, and how many of how many data points have to breach."""

    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    treat_missing_data: str

    @classmethod
    def of(cls, alarm: Mapping[str, Any]) -> Rule | None:
        """None for an alarm that compares with something else than a number."""
        if alarm.get("ComparisonOperator") not in _OPERATORS or alarm.get("Threshold") is None:
            return None
        periods = int(alarm.get("EvaluationPeriods") or 1)
        treatment = alarm.get("TreatMissingData") or "missing"
        if treatment == "missing" and alarm.get("Namespace") == _IGNORING_NAMESPACE:
            treatment = "ignore"
        return cls(
            comparison=alarm["ComparisonOperator"],
            threshold=float(alarm["Threshold"]),
            evaluation_periods=periods,
            datapoints_to_alarm=int(alarm.get("DatapointsToAlarm") or periods),
            treat_missing_data=treatment,
        )

    @property
    def datapoints_looked_at(self) -> int:
        return self.evaluation_periods + EXTRA_DATAPOINTS

    def is_breaching(self, datapoint: Datapoint) -> bool:
        return _OPERATORS[self.comparison][0](datapoint.value, self.threshold)


@dataclass(frozen=True)
class Change:
    """A new state, and why."""

    state: str
    reason: str
    evaluated: tuple[Datapoint, ...]


def change(rule: Rule, old_state: str, looked_at: Sequence[Datapoint | None]) -> Change | None:
    """What this look at the evaluation range changes, if anything; the oldest data point first, None where none is."""
    real = [datapoint for datapoint in looked_at if datapoint is not None]
    evaluated = tuple(real[-rule.evaluation_periods :])
    filled = rule.evaluation_periods - len(evaluated)
    state = _state(rule, old_state, looked_at, evaluated, filled)
    if state == old_state:
        return None
    return Change(state, _reason(rule, old_state, state, evaluated, filled), evaluated)


def _state(
    rule: Rule,
    old_state: str,
    looked_at: Sequence[Datapoint | None],
    evaluated: Sequence[Datapoint],
    filled: int,
) -> str:
    breaching = sum(map(rule.is_breaching, evaluated))
    if filled and rule.treat_missing_data == "breaching":
        breaching += filled
    if breaching >= rule.datapoints_to_alarm:
        return "ALARM"
    if not filled or rule.treat_missing_data in ("breaching", "notBreaching"):
        return "OK"
    if not all(map(rule.is_breaching, evaluated)):
        return "OK"
    # nothing but breaching data points, and too few of them
    if rule.treat_missing_data == "ignore":
        return old_state
    if not evaluated:
        return "INSUFFICIENT_DATA"
    return "ALARM" if _age_of_oldest(looked_at) >= rule.datapoints_to_alarm else old_state


def _age_of_oldest(looked_at: Sequence[Datapoint | None]) -> int:
    """How many periods ago the oldest data point is, 1 for the newest period."""
    return max(len(looked_at) - index for index, datapoint in enumerate(looked_at) if datapoint is not None)


def _reason(rule: Rule, old_state: str, state: str, evaluated: Sequence[Datapoint], filled: int) -> str:
    periods = rule.evaluation_periods
    if state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {_counted(periods, 'datapoint')} {_were(periods)} unknown."
    treated = {"breaching": "Breaching", "notBreaching": "NonBreaching"}.get(rule.treat_missing_data)
    missing = f"{_counted(filled, 'missing datapoint')} {_were(filled)} treated as [{treated}]"
    if not evaluated:
        return f"Threshold Crossed: no datapoints were received for {_counted(periods, 'period')} and {missing}."
    is_alarm = state == "ALARM"
    told = [datapoint for datapoint in evaluated if rule.is_breaching(datapoint) == is_alarm] or list(evaluated)
    values = ", ".join(f"{one.value} ({time.strftime('%d/%m/%y %H:%M:%S', time.gmtime(one.start))})" for one in told)
    needed = rule.datapoints_to_alarm if is_alarm else periods - rule.datapoints_to_alarm + 1
    compared = ("" if rule.is_breaching(told[0]) else "not ") + _OPERATORS[rule.comparison][1]
    return (
        f"Threshold Crossed: {len(told)} out of the last {len(evaluated)} datapoints [{values}] {_were(len(told))} "
        f"{compared} the threshold ({rule.threshold}){f' and {missing}' if filled and treated else ''} "
        f"(minimum {_counted(needed, 'datapoint')} for {old_state} -> {state} transition)."
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
