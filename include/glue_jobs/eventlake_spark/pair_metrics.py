"""Expectations about two columns, counted in the same pass over the rows as all others.

Great Expectations answers what is asked of one column in a single aggregation, but its Spark engine filters and counts
the rows anew, twice, for each expectation about a pair. Here these counts become two more sums of that aggregation.
The conditions stay those of Great Expectations; how a metric becomes a term of the aggregation is told by the docstring
of its MetricProvider._register_metric_functions. What does not belong here: running a suite (validation).
"""

from __future__ import annotations

import logging
from typing import Any

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricFunctionTypes, MetricPartialFunctionTypes
from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.metrics import (
    ColumnPairValuesAGreaterThanB,
    ColumnPairValuesEqual,
    ColumnPairValuesInSet,
)
from great_expectations.expectations.metrics.map_metric_provider import ColumnPairMapMetricProvider
from great_expectations.expectations.registry import register_metric
from great_expectations.validator.metric_configuration import MetricConfiguration
from pyspark.sql import Column
from pyspark.sql import functions as F

_PAIRS = (ColumnPairValuesAGreaterThanB, ColumnPairValuesEqual, ColumnPairValuesInSet)
_UNEXPECTED, _ASKED = "unexpected_count", "filtered_row_count"
_TERM = MetricPartialFunctionTypes.AGGREGATE_FN.metric_suffix
_UNEXPECTED_TERM = f"{_UNEXPECTED}.{_TERM}"
_IGNORED = "ignore_row_if"
# said by expectations about one column, not by all about two: only what is the same is one pass
_ALL_ROWS = {"row_condition": None, "condition_parser": None}


def count_pairs_in_one_pass() -> None:
    """From now on, in this process. Great Expectations warns of each metric registered anew; here it is meant."""
    registry = logging.getLogger(register_metric.__module__)
    level = registry.level
    registry.setLevel(logging.ERROR)
    try:
        for pair in _PAIRS:
            _register(pair, _UNEXPECTED, _unexpected_rows, ())
            _register(pair, _ASKED, _asked_rows, ("result_format",))
    finally:
        registry.setLevel(level)


class _CountOfPair(ColumnPairMapMetricProvider):
    """What a count needs first: its term of the aggregation, and that the condition on its rows. The rows asked need
    none, but the engine aggregates as soon as it can: a term without the condition would come to a pass of its own."""

    @classmethod
    def _get_evaluation_dependencies(cls, metric: MetricConfiguration, *others: Any, **named: Any) -> dict[str, Any]:
        name = metric.metric_name
        if name.endswith(_TERM):
            return dict(super()._get_evaluation_dependencies(_renamed(metric, _UNEXPECTED_TERM), *others, **named))
        return {"metric_partial_fn": _renamed(metric, f"{name.rsplit('.', 1)[1]}.{_TERM}")}


def _renamed(metric: MetricConfiguration, count: str) -> MetricConfiguration:
    condition = metric.metric_name.removesuffix(f".{_TERM}").rsplit(".", 1)[0]
    return MetricConfiguration(f"{condition}.{count}", metric.metric_domain_kwargs, metric.metric_value_kwargs)


def _register(pair: type[ColumnPairMapMetricProvider], count: str, term: Any, more_keys: tuple[str, ...]) -> None:
    """A metric without a function of its own is one of which the engine asks the term."""
    name = f"{pair.condition_metric_name}.{count}"
    for metric, provider, kind in (
        (f"{name}.{_TERM}", term, MetricPartialFunctionTypes.AGGREGATE_FN),
        (name, None, MetricFunctionTypes.VALUE),
    ):
        register_metric(
            metric_name=metric,
            metric_domain_keys=pair.condition_domain_keys,
            metric_value_keys=(*pair.condition_value_keys, *more_keys),
            execution_engine=SparkDFExecutionEngine,
            metric_class=_CountOfPair,
            metric_provider=provider,
            metric_fn_type=kind,
        )


def _unexpected_rows(
    cls: type, execution_engine: SparkDFExecutionEngine, metric_domain_kwargs: Any, metrics: Any, **_: Any
) -> Any:
    condition = metrics["unexpected_condition"][0]
    return _term(execution_engine, metric_domain_kwargs, condition & _is_asked(metric_domain_kwargs))


def _asked_rows(cls: type, execution_engine: SparkDFExecutionEngine, metric_domain_kwargs: Any, **_: Any) -> Any:
    return _term(execution_engine, metric_domain_kwargs, _is_asked(metric_domain_kwargs))


def _term(engine: SparkDFExecutionEngine, domain: Any, condition: Column) -> Any:
    """The sum, and the rows it is over: all of the batch, as of the expectations about one column."""
    _, rows, columns = engine.get_compute_domain(domain, MetricDomainTypes.COLUMN_PAIR)
    counted = F.coalesce(F.sum(F.when(condition, 1).otherwise(0)), F.lit(0))
    return counted, {**_ALL_ROWS, **{name: value for name, value in rows.items() if name != _IGNORED}}, columns


def _is_asked(domain: Any) -> Column:
    """Whether a row is asked at all, by the words of SparkDFExecutionEngine.get_domain_records."""
    is_missing = [F.col(domain[name]).isNull() for name in ("column_A", "column_B")]
    match domain.get(_IGNORED, "neither"):
        case "both_values_are_missing":
            return ~(is_missing[0] & is_missing[1])
        case "either_value_is_missing":
            return ~(is_missing[0] | is_missing[1])
        case "neither":
            return F.lit(True)
        case other:
            raise ValueError(f'Unrecognized value of ignore_row_if ("{other}").')
