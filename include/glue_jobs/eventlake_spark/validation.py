"""The quality gate's evidence: a suite of Great Expectations run on rows in memory, by its Spark engine.

Belongs here: running a suite cheaply, and what of the answer goes into a receipt: names, counts and a few event
ids, never values. Does not belong here: what a failure means (`eventlake.verdict`).

All expectations are first asked for yes or no, which GX answers in a handful of Spark jobs; only the failed ones
are asked again for details.
https://docs.greatexpectations.io/docs/core/trigger_actions_based_on_results/choose_a_result_format/
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from pyspark.sql import DataFrame

from eventlake.definitions import Expectation, Suite
from eventlake_spark.failure import log_failure, told, told_of_expectation

SAMPLE_IDENTITIES = 10
_ANALYTICS = "GX_ANALYTICS_ENABLED"

_log = logging.getLogger(__name__)


class Validator:
    """Great Expectations, imported while Spark does other things: the import takes seconds."""

    def __init__(self) -> None:
        os.environ[_ANALYTICS] = "false"  # nothing of a lake's rows leaves it
        self._source: Any = None
        self._fault: Exception | None = None
        self._numbers = count()
        self._lock = threading.Lock()
        self._import = threading.Thread(target=self._start, name="import-great-expectations", daemon=True)
        self._import.start()

    def validate(self, rows: DataFrame, row_count: int, suite: Suite | None) -> dict[str, Any]:
        """`success` None: there is no answer, which is not a good one. Raises nothing: no answer holds a load."""
        if suite is None:
            return {"success": None, "results": [], "note": "the type has no suite"}
        asked = suite.asked_of(row_count)
        if not asked:
            return {"success": True, "results": []}
        try:
            self._import.join()
            if self._fault is not None:
                raise self._fault
            answers = self._ask(rows, asked, {"result_format": "BOOLEAN_ONLY"})
            unclear = [
                each
                for each, answer in zip(asked, answers, strict=True)
                if not (answer["success"] and _is_of_each_row(each))
            ]
            details = self._details(rows, unclear)
            results = [
                _result(each, answer, details.get(id(each)), row_count)
                for each, answer in zip(asked, answers, strict=True)
            ]
        # whatever a suite or an engine does, the load has to hear of it as a missing answer
        except Exception as error:
            log_failure(_log, f"validating rows by the suite {suite.event_type}", error)
            return {"success": None, "results": [], "note": told(error)[:500]}
        return {"success": all(result["success"] is True for result in results), "results": results}

    def _start(self) -> None:
        try:
            import great_expectations
            from great_expectations.data_context.types.base import ProgressBarsConfig

            from eventlake_spark.pair_metrics import count_pairs_in_one_pass

            count_pairs_in_one_pass()
            context = great_expectations.get_context(mode="ephemeral")
            context.variables.progress_bars = ProgressBarsConfig(globally=False)
            self._source = context.data_sources.add_spark("lake", persist=False)
        # told to whoever waits for an answer
        except Exception as error:
            self._fault = error

    def _ask(
        self, rows: DataFrame, expectations: Sequence[Expectation], result_format: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """The answers in the order of the expectations; GX gives them in an order of its own."""
        from great_expectations import ExpectationSuite
        from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

        with self._lock:
            name = f"batch {next(self._numbers)}"
            definition = self._source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("whole")
            batch = definition.get_batch(batch_parameters={"dataframe": rows})
            suite = ExpectationSuite(
                name=name,
                expectations=[
                    ExpectationConfiguration(
                        type=each.type, kwargs=dict(each.kwargs), meta={"place": place, "severity": each.severity}
                    ).to_domain_obj()
                    for place, each in enumerate(expectations)
                ],
            )
        outcome = batch.validate(suite, result_format=dict(result_format))
        answers: dict[int, dict[str, Any]] = {}
        for result in outcome.results:
            answer = result.to_json_dict()
            answers[answer["expectation_config"]["meta"]["place"]] = answer
        return [answers[place] for place in range(len(expectations))]

    def _details(self, rows: DataFrame, unclear: Sequence[Expectation]) -> dict[int, dict[str, Any]]:
        if not unclear:
            return {}
        wanted: dict[str, Any] = {"result_format": "SUMMARY", "partial_unexpected_count": SAMPLE_IDENTITIES}
        if "event_uuid" in rows.columns:
            wanted["unexpected_index_column_names"] = ["event_uuid"]
        return {id(each): answer for each, answer in zip(unclear, self._ask(rows, unclear, wanted), strict=True)}


def _is_of_each_row(expectation: Expectation) -> bool:
    """Whether success says that no row is unexpected; of a share, a mean or the like it says less than the value."""
    of_rows = (
        "expect_column_values_",
        "expect_column_pair_values_",
        "expect_compound_columns_",
        "expect_select_column_",
    )
    return expectation.type.startswith(of_rows) and "mostly" not in expectation.kwargs


def _result(
    expectation: Expectation, answer: Mapping[str, Any], detail: Mapping[str, Any] | None, row_count: int
) -> dict[str, Any]:
    found: Mapping[str, Any] = (detail or answer).get("result") or {}
    raised = _exception_of(answer.get("exception_info") or {})
    is_wrong = not raised and not answer["success"]
    unexpected = found.get("unexpected_count") if detail is not None else 0
    return {
        "expectation": expectation.type,
        "column": _columns(expectation),
        "severity": expectation.severity,
        "success": None if raised else bool(answer["success"]),
        "observed": None if raised else _observed(found, unexpected, row_count),
        "unexpected_count": None if raised or not isinstance(unexpected, int) else unexpected,
        "rows": row_count,
        "detail": raised or ({"why": expectation.why, "event_uuids": _event_uuids(found)} if is_wrong else None),
    }


def _columns(expectation: Expectation) -> str | None:
    """All columns that it is about, so that two pairs are told apart."""
    named = (value for name, value in expectation.kwargs.items() if name.startswith("column"))
    columns = [column for value in named for column in (value if isinstance(value, list) else [value])]
    return ", ".join(map(str, columns)) or None


def _observed(found: Mapping[str, Any], unexpected: object, row_count: int) -> Any:
    if "observed_value" in found:
        # a number says how far it is off; a list of values would show the rows' own
        return found["observed_value"] if isinstance(found["observed_value"], int | float) else None
    return f"{unexpected} of {row_count} rows unexpected" if isinstance(unexpected, int) else None


def _event_uuids(found: Mapping[str, Any]) -> list[str]:
    return [row["event_uuid"] for row in found.get("partial_unexpected_index_list") or [] if "event_uuid" in row]


def _exception_of(fault: Mapping[str, Any]) -> str | None:
    """What is kept of an exception within an expectation; GX nests it by metric, or not."""
    if fault.get("raised_exception"):
        return told_of_expectation(fault)
    for inner in fault.values():
        if isinstance(inner, Mapping) and inner.get("raised_exception"):
            return told_of_expectation(inner)
    return None
