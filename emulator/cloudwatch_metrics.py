"""CloudWatch metrics: what is measured, minute by minute, and how it is asked for.

Belongs in here: the points of a metric, their statistics, GetMetricData and GetMetricStatistics. Does not belong here:
what a service measures (one module each), alarms (cloudwatch_alarms.py). Not done: metric math and SEARCH; requests of
the old query protocol are ministack's own.
ministack keeps one point a call and reads all of them at every request; here equal values of one minute are one point.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ministack.core import responses
from ministack.services import cloudwatch

from emulator import clock, moments, patches

FIX = "cloudwatch_metrics"

_MINUTE_SECONDS = 60
_STATISTICS = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")

Point = dict[str, Any]

# a reader must not see a list that an eviction is about to replace
_lock = moments.lock_of_store()
# the newest minute of each metric, its points by value
_newest: dict[tuple[str, str, Any], tuple[int, dict[float, Point]]] = {}
_next_eviction = 0.0


def install() -> None:
    patches.replace(FIX, "services.cloudwatch:record_metric", record)
    evict = patches.replace(FIX, "services.cloudwatch:_evict_old_metrics", None)
    cloudwatch._evict_old_metrics = lambda: _evict_once_a_minute(evict)
    state = patches.replace(FIX, "services.cloudwatch:get_state", None)
    cloudwatch.get_state = lambda: _undisturbed(state)
    put = patches.replace(FIX, "services.cloudwatch:_put_metric_data", None)
    cloudwatch._put_metric_data = lambda *request: _put_metric_data(put, *request)
    get_data = patches.replace(FIX, "services.cloudwatch:_get_metric_data", None)
    cloudwatch._get_metric_data = lambda *request: _answer(get_data, _get_metric_data, *request)
    get_statistics = patches.replace(FIX, "services.cloudwatch:_get_metric_statistics", None)
    cloudwatch._get_metric_statistics = lambda *request: _answer(get_statistics, _get_metric_statistics, *request)


# ---- points


def record(
    namespace: str,
    metric_name: str,
    value: float,
    unit: str = "None",
    dimensions: dict[str, str] | None = None,
    at: float | None = None,
) -> None:
    """One measurement of a service, in the account and region of the context; now unless said otherwise."""
    dimensions = dimensions or {}
    moment = clock.now() if at is None else at
    key = (namespace, metric_name, cloudwatch._dims_key(dimensions))
    scoped = (responses.get_account_id(), responses.get_region(), key)
    minute = int(moment // _MINUTE_SECONDS)
    value = float(value)
    with _lock:
        newest = _newest.get(scoped)
        if newest is None or newest[0] != minute:
            newest = _newest[scoped] = (minute, {})
        point = newest[1].get(value)
        if point is not None:
            point["Count"] += 1.0
            return
        points = cloudwatch._metric_bucket(key)
        # one for all of them: weeks of minutes are many points
        shared = points[0]["Dimensions"] if points else dict(dimensions)
        point = {"Timestamp": moment, "Value": value, "Count": 1.0, "Unit": unit, "Dimensions": shared}
        newest[1][value] = point
        points.append(point)


def points_of(
    namespace: str, metric_name: str, dimensions: list[dict[str, str]], unit: str | None = None
) -> list[Point]:
    """All points of exactly this metric: each set of dimensions is a metric of its own, the empty set too."""
    key = (namespace, metric_name, cloudwatch._dims_key(cloudwatch._dims_from_list(dimensions)))
    with _lock:
        points = list(cloudwatch._metrics.get(key) or ())
    return [point for point in points if unit is None or point["Unit"] == unit]


def statistic(points: list[Point], name: str) -> float | None:
    """Sum, Average, p99, ... of the points; None when they do not give it."""
    if not points or not (name in _STATISTICS or cloudwatch._is_percentile_stat(name)):
        return None
    found = cloudwatch._stat_value(cloudwatch._calc_stats(points), name, points)
    return None if found is None else float(found)


def _undisturbed(state: Any) -> Any:
    """Services go on reporting while the state is saved."""
    with _lock:
        return state()


def _evict_once_a_minute(evict: Any) -> None:
    """ministack copies every point at every request for it."""
    global _next_eviction
    now = clock.now()
    if now < _next_eviction <= now + _MINUTE_SECONDS:
        return
    _next_eviction = now + _MINUTE_SECONDS
    with _lock:
        evict()


# ---- requests


def _put_metric_data(put: Any, params: Any, data: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Any:
    """A value without a time is of the moment in which it was received."""
    for datum in data.get("MetricData") or ():
        datum.setdefault("Timestamp", clock.now())
    return put(params, data, is_cbor, is_json)


def _answer(
    of_the_query_protocol: Any, answer: Any, params: Any, data: dict[str, Any], is_cbor: bool, is_json: bool = False
) -> Any:
    if not (is_cbor or is_json):
        return of_the_query_protocol(params, data, is_cbor, is_json)
    found = answer(data, is_cbor)
    return cloudwatch._cbor_ok(found) if is_cbor else cloudwatch._json_ok(found)


def _get_metric_data(data: dict[str, Any], is_cbor: bool) -> dict[str, Any]:
    results = []
    for query in data.get("MetricDataQueries") or []:
        if not query.get("ReturnData", True):
            continue
        result = {"Id": query.get("Id", ""), "Label": query.get("Label") or query.get("Id", "")}
        if query.get("Expression"):
            message = {"Code": "Unsupported", "Value": "Expressions are not evaluated here"}
            results.append(result | {"StatusCode": "InternalError", "Messages": [message]})
            continue
        asked = query["MetricStat"]
        metric = asked["Metric"]
        points = points_of(metric["Namespace"], metric["MetricName"], metric.get("Dimensions") or [], asked.get("Unit"))
        values = {
            start: value
            for start, found in _by_period(points, data, int(asked["Period"])).items()
            if (value := statistic(found, asked["Stat"])) is not None
        }
        starts = sorted(values, reverse=data.get("ScanBy") != "TimestampAscending")
        result["Timestamps"] = [cloudwatch._ts_iso(start) for start in starts]
        result |= {"Values": [values[start] for start in starts], "StatusCode": "Complete"}
        results.append(cloudwatch._cbor_metric_data_result(result) if is_cbor else result)
    return {"MetricDataResults": results, "Messages": []}


def _get_metric_statistics(data: dict[str, Any], is_cbor: bool) -> dict[str, Any]:
    points = points_of(data["Namespace"], data["MetricName"], data.get("Dimensions") or [], data.get("Unit"))
    wanted = [name for name in data.get("Statistics") or () if name in _STATISTICS]
    extended = data.get("ExtendedStatistics") or []
    found = []
    for start, inside in sorted(_by_period(points, data, int(data["Period"])).items()):
        point = {"Timestamp": cloudwatch._ts_iso(start), "Unit": inside[0]["Unit"]}
        point |= {name: statistic(inside, name) for name in wanted}
        values = {name: value for name in extended if (value := statistic(inside, name)) is not None}
        found.append(point | ({"ExtendedStatistics": values} if values else {}))
    return {
        "Datapoints": [cloudwatch._cbor_datapoint(point) for point in found] if is_cbor else found,
        "Label": data["MetricName"],
    }


def _by_period(points: list[Point], data: dict[str, Any], period_seconds: int) -> dict[int, list[Point]]:
    """The points between StartTime and EndTime, by the start of their period.

    StartTime is rounded down to the minute, or to a shorter period.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
    """
    grain_seconds = min(period_seconds, _MINUTE_SECONDS)
    start = cloudwatch._parse_ts(data.get("StartTime")) // grain_seconds * grain_seconds
    end = cloudwatch._parse_ts(data.get("EndTime"))
    found: dict[int, list[Point]] = defaultdict(list)
    for point in points:
        if start <= point["Timestamp"] < end:
            found[int(point["Timestamp"] // period_seconds * period_seconds)].append(point)
    return found
