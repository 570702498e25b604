"""Alarms change their state as AWS documents it, and tell of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator.behaviours import promised
from tests.emulator.measured import MINUTE_SECONDS, make_queue, messages, seconds_ago
from tests.emulator.running import Emulator, wait_for

SERVICE = "CloudWatch alarms"

MOVED = "moves the clock"
MISSING_DATA = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html"
# long beside the minute by which the window slides while a test runs
PERIOD_SECONDS = 600


def put(emulator: Emulator, namespace: str, *values: float, at: datetime | None = None, **dimensions: str) -> None:
    datum = {
        "MetricName": "m",
        "Values": list(values),
        "Dimensions": [{"Name": name, "Value": one} for name, one in dimensions.items()],
        **({"Timestamp": at} if at else {}),
    }
    emulator.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])


def make_alarm(emulator: Emulator, name: str, **options: Any) -> None:
    """Of the metric m in the namespace `name`: greater than 10 in the last minute."""
    settings = {
        "Namespace": name,
        "MetricName": "m",
        "Period": MINUTE_SECONDS,
        "EvaluationPeriods": 1,
        "Threshold": 10,
        "ComparisonOperator": "GreaterThanThreshold",
        **({} if "ExtendedStatistic" in options else {"Statistic": "Maximum"}),
        **options,
    }
    emulator.client("cloudwatch").put_metric_alarm(**{"AlarmName": name, **settings})


def alarm(emulator: Emulator, name: str) -> dict[str, Any]:
    found: dict[str, Any] = emulator.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    return found


def becomes(emulator: Emulator, name: str, state: str) -> dict[str, Any]:
    found: dict[str, Any] = wait_for(
        lambda: (one := alarm(emulator, name))["StateValue"] == state and one, f"the alarm to be {state}"
    )
    return found


def make_topic(emulator: Emulator, name: str) -> tuple[str, str]:
    """A topic's ARN, and the URL of a queue that gets what is told to it."""
    sns = emulator.client("sns")
    topic = sns.create_topic(Name=name)["TopicArn"]
    url, queue = make_queue(emulator, f"{name}-told")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    return topic, url


Row = tuple[str, dict[str, str]]


def row(datapoints: str, missing: str, ignore: str, breaching: str, not_breaching: str) -> Row:
    """A row of AWS's table: data points with the newest on the right, and the state for each treatment of missing ones.

    "retained" is what the alarm was before.
    """
    return datapoints, {"missing": missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}


def evaluated(emulator: Emulator, name: str, datapoints_to_alarm: int, rows: list[Row]) -> None:
    expected = {}
    for number, (datapoints, states) in enumerate(rows):
        for periods_ago, point in enumerate(reversed(datapoints.split())):
            if point != "-":
                middle = seconds_ago((periods_ago + 0.5) * PERIOD_SECONDS + MINUTE_SECONDS / 2)
                put(emulator, f"{name}-{number}", {"0": 0, "X": 20}[point], at=middle)
        for treatment, state in states.items():
            expected[f"{name}-{number}-{treatment}"] = "INSUFFICIENT_DATA" if state == "retained" else state
            make_alarm(
                emulator,
                f"{name}-{number}",
                AlarmName=f"{name}-{number}-{treatment}",
                Period=PERIOD_SECONDS,
                EvaluationPeriods=3,
                DatapointsToAlarm=datapoints_to_alarm,
                TreatMissingData=treatment,
            )

    def differing() -> dict[str, str]:
        alarms = emulator.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{name}-")["MetricAlarms"]
        assert len(alarms) == len(expected)
        found = {one["AlarmName"]: one["StateValue"] for one in alarms}
        return {one: state for one, state in found.items() if state != expected[one]}

    wait_for(lambda: not differing(), "the states of the table")


@promised(MISSING_DATA, closed_by="cloudwatch_alarms")
def test_missing_data_counts_for_what_the_alarm_says(emulator: Emulator, name: str) -> None:
    """Three of three: AWS's first table."""
    rows = [
        row("0 - X - X", "OK", "OK", "OK", "OK"),
        row("0 - - - -", "OK", "OK", "OK", "OK"),
        row("- - - - -", "INSUFFICIENT_DATA", "retained", "ALARM", "OK"),
        row("0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        row("- - X - -", "ALARM", "retained", "ALARM", "OK"),
    ]
    evaluated(emulator, name, 3, rows)


@promised(MISSING_DATA, closed_by="cloudwatch_alarms")
def test_some_of_the_data_points_are_enough_where_the_alarm_says_so(emulator: Emulator, name: str) -> None:
    """DatapointsToAlarm, two of three: AWS's second table."""
    rows = [
        row("0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        row("0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"),
        row("0 - X - -", "OK", "OK", "ALARM", "OK"),
        row("- - - - 0", "OK", "OK", "ALARM", "OK"),
        row("- - - X -", "ALARM", "retained", "ALARM", "OK"),
    ]
    evaluated(emulator, name, 2, rows)


@promised(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html",
    closed_by="cloudwatch_alarms",
)
def test_an_alarm_watches_the_metric_of_its_dimensions_alone(emulator: Emulator, name: str) -> None:
    # an alarm is looked at when it is made, and then not before the minute ends
    for shop in ("north", "south"):
        put(emulator, name, {"north": 20, "south": 5}[shop], at=seconds_ago(PERIOD_SECONDS / 2), Shop=shop)
    for shop in ("north", "south"):
        where = [{"Name": "Shop", "Value": shop}]
        make_alarm(emulator, name, AlarmName=f"{name}-{shop}", Dimensions=where, Period=PERIOD_SECONDS)
    becomes(emulator, f"{name}-north", "ALARM")
    becomes(emulator, f"{name}-south", "OK")


@promised(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html",
    closed_by="cloudwatch_alarms",
    only_here=MOVED,
)
def test_time_alone_raises_an_alarm_and_clears_it_and_each_is_told(
    emulator: Emulator, name: str, ahead: Callable[[int], None]
) -> None:
    """Nobody asks or puts anything after the one value; SNS gets the state and the reason."""
    topic, url = make_topic(emulator, name)
    told = {"AlarmActions": [topic], "OKActions": [topic], "InsufficientDataActions": [topic]}
    make_alarm(emulator, name, TreatMissingData="notBreaching", AlarmDescription="too many", **told)
    becomes(emulator, name, "OK")
    put(emulator, name, 20, 5)
    ahead(MINUTE_SECONDS)
    found = becomes(emulator, name, "ALARM")
    assert found["StateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [20.0 (")
    assert found["StateReason"].endswith(
        ")] was greater than the threshold (10.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    data = json.loads(found["StateReasonData"])
    assert (data["recentDatapoints"], data["threshold"], data["statistic"]) == ([20.0], 10.0, "Maximum")
    ahead(10 * MINUTE_SECONDS)
    found = becomes(emulator, name, "OK")
    assert found["StateReason"] == (
        "Threshold Crossed: no datapoints were received for 1 period and "
        "1 missing datapoint was treated as [NonBreaching]."
    )
    # waits long without the fix, as nothing comes
    first, raised, cleared = messages(emulator, url, 3)
    assert [one["NewStateValue"] for one in (first, raised, cleared)] == ["OK", "ALARM", "OK"]
    assert (raised["AlarmName"], raised["OldStateValue"], raised["AlarmDescription"]) == (name, "OK", "too many")
    trigger = raised["Trigger"]
    assert (trigger["MetricName"], trigger["Namespace"], trigger["Threshold"]) == ("m", name, 10.0)
    assert cleared["NewStateReason"] == found["StateReason"]


@promised(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation-window.html",
    only_here=MOVED,
)
def test_the_window_slides_with_the_minute_and_not_with_the_period(
    emulator: Emulator, name: str, ahead: Callable[[int], None]
) -> None:
    """Two values that the hour of the clock divides are in one period of an hour that ends now."""
    into_the_hour = time.time() % 3600
    boundary = time.time() - into_the_hour + (3600 if into_the_hour > 1800 else 0)
    put(emulator, name, 16, at=datetime.fromtimestamp(boundary - 60, UTC))
    put(emulator, name, 16, at=datetime.fromtimestamp(boundary + 60, UTC))
    ahead(int(max(0, boundary + 180 - time.time())))
    make_alarm(emulator, name, Period=3600, Statistic="Sum", Threshold=30)
    becomes(emulator, name, "ALARM")


@promised(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html",
    closed_by="cloudwatch_alarms",
)
def test_the_history_names_creation_changes_and_actions(emulator: Emulator, name: str) -> None:
    """The newest first."""
    topic, url = make_topic(emulator, name)
    put(emulator, name, 20, at=seconds_ago(PERIOD_SECONDS / 2))
    make_alarm(emulator, name, Period=PERIOD_SECONDS, AlarmActions=[topic])
    becomes(emulator, name, "ALARM")
    messages(emulator, url, 1)

    def history() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = emulator.client("cloudwatch").describe_alarm_history(AlarmName=name)[
            "AlarmHistoryItems"
        ]
        return found

    # an action is written down after it is done
    items = wait_for(lambda: len(found := history()) >= 3 and found, "the action")
    assert [(one["HistoryItemType"], one["HistorySummary"]) for one in items] == [
        ("Action", f"Successfully executed action {topic}"),
        ("StateUpdate", "Alarm updated from INSUFFICIENT_DATA to ALARM"),
        ("ConfigurationUpdate", f'Alarm "{name}" created'),
    ]


@promised(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html",
    closed_by="cloudwatch_alarms",
    only_here=MOVED,
)
def test_a_state_set_by_hand_acts_and_lasts_until_the_next_evaluation(
    emulator: Emulator, name: str, ahead: Callable[[int], None]
) -> None:
    topic, url = make_topic(emulator, name)
    # from the first second of a minute on nothing is evaluated for as long as can be
    to_a_new_minute = MINUTE_SECONDS + 1 - int(time.time()) % MINUTE_SECONDS
    ahead(to_a_new_minute)
    make_alarm(emulator, name, AlarmActions=[topic], TreatMissingData="notBreaching")
    becomes(emulator, name, "OK")
    emulator.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a drill")
    found = alarm(emulator, name)
    assert (found["StateValue"], found["StateReason"], found.get("StateReasonData")) == ("ALARM", "a drill", None)
    assert messages(emulator, url, 1)[0]["NewStateReason"] == "a drill"
    ahead(to_a_new_minute + MINUTE_SECONDS)
    becomes(emulator, name, "OK")


@promised(MISSING_DATA, closed_by="cloudwatch_alarms", only_here=MOVED)
def test_an_alarm_on_a_table_keeps_its_state_while_data_is_missing(
    emulator: Emulator, name: str, ahead: Callable[[int], None]
) -> None:
    """Unless it says otherwise; others go to INSUFFICIENT_DATA."""
    for namespace in ("AWS/DynamoDB", name):
        make_alarm(emulator, name, AlarmName=f"{name}-{namespace}", Namespace=namespace)
        emulator.client("cloudwatch").set_alarm_state(
            AlarmName=f"{name}-{namespace}", StateValue="ALARM", StateReason="by hand"
        )
    ahead(2 * MINUTE_SECONDS)
    becomes(emulator, f"{name}-{name}", "INSUFFICIENT_DATA")
    assert alarm(emulator, f"{name}-AWS/DynamoDB")["StateValue"] == "ALARM"


@promised("https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DisableAlarmActions.html")
def test_an_alarm_whose_actions_are_disabled_changes_its_state_in_silence(emulator: Emulator, name: str) -> None:
    cloudwatch = emulator.client("cloudwatch")
    topic, url = make_topic(emulator, name)
    put(emulator, name, 20, at=seconds_ago(PERIOD_SECONDS / 2))
    make_alarm(emulator, name, Period=PERIOD_SECONDS, AlarmActions=[topic], ActionsEnabled=False)
    becomes(emulator, name, "ALARM")
    types = {"AlarmName": name, "HistoryItemType": "Action"}
    assert cloudwatch.describe_alarm_history(**types)["AlarmHistoryItems"] == []
    assert "Messages" not in emulator.client("sqs").receive_message(QueueUrl=url)
    cloudwatch.enable_alarm_actions(AlarmNames=[name])
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="by hand")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="by hand")
    assert messages(emulator, url, 1)[0]["NewStateValue"] == "ALARM"


@promised(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html",
    closed_by="cloudwatch_alarms",
)
def test_an_alarm_can_watch_a_percentile(emulator: Emulator, name: str) -> None:
    put(emulator, name, *range(1, 21), at=seconds_ago(PERIOD_SECONDS / 2))
    for stat, threshold in (("p90", 18), ("p50", 18)):
        make_alarm(
            emulator,
            name,
            AlarmName=f"{name}-{stat}",
            ExtendedStatistic=stat,
            Threshold=threshold,
            Period=PERIOD_SECONDS,
        )
    assert becomes(emulator, f"{name}-p90", "ALARM")["ExtendedStatistic"] == "p90"
    assert "Statistic" not in becomes(emulator, f"{name}-p50", "OK")


@pytest.mark.parametrize(
    "wrong",
    [
        {"Period": 45},
        {"DatapointsToAlarm": 2},
        {"TreatMissingData": "green"},
        {"ExtendedStatistic": "p90", "Statistic": "Sum"},
    ],
)
@promised(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html",
    closed_by="cloudwatch_alarms",
)
def test_an_alarm_that_could_not_be_evaluated_is_refused(emulator: Emulator, name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as refused:
        make_alarm(emulator, name, **wrong)
    assert refused.value.response["Error"]["Code"] in ("ValidationError", "InvalidParameterCombination")
