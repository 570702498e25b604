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

    def validate(self, rows: DataFrame, suite: Suite | None) -> dict[str, Any]:
        """`success` None: there is no answer, which is not a good one. Raises nothing: no answer holds a load."""
        if suite is None:
            return {"success": None, "results": [], "note": "the type has no suite"}
        if not suite.expectations:
            return {"success": True, "results": []}
        try:
            self._import.join()
            if self._fault is not None:
                raise self._fault
            answers = self._ask(rows, suite.expectations, {"result_format": "BOOLEAN_ONLY"})
            failed = [each for each, answer in zip(suite.expectations, answers, strict=True) if not answer["success"]]
            details = self._details(rows, failed)
            results = [
                _result(each, answer, details.get(id(each)))
                for each, answer in zip(suite.expectations, answers, strict=True)
            ]
        # whatever a suite or an engine does, the load has to hear of it as a missing answer
        except Exception as error:
            _log.exception("validating rows by the suite %s", suite.event_type)
            note = f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]
            return {"success": None, "results": [], "note": note}
        return {"success": all(result["success"] is True for result in results), "results": results}

    def _start(self) -> None:
        try:
            import great_expectations
            from great_expectations.data_context.types.base import ProgressBarsConfig

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

    def _details(self, rows: DataFrame, failed: Sequence[Expectation]) -> dict[int, dict[str, Any]]:
        if not failed:
            return {}
        wanted = {
            "result_format": "SUMMARY",
            "partial_unexpected_count": SAMPLE_IDENTITIES,
            "unexpected_index_column_names": ["event_uuid"],
        }
        return {id(each): answer for each, answer in zip(failed, self._ask(rows, failed, wanted), strict=True)}


def _result(expectation: Expectation, answer: Mapping[str, Any], detail: Mapping[str, Any] | None) -> dict[str, Any]:
    found: Mapping[str, Any] = (detail or answer).get("result") or {}
    fault = answer.get("exception_info") or {}
    raised = _exception_of(fault)
    uuids = [row["event_uuid"] for row in found.get("partial_unexpected_index_list") or [] if "event_uuid" in row]
    count_of_wrong = found.get("unexpected_count")
    return {
        "expectation": expectation.type,
        "column": expectation.kwargs.get("column"),
        "severity": expectation.severity,
        "success": None if raised else bool(answer["success"]),
        "observed": found.get("observed_value") if detail is not None else None,
        "unexpected_count": int(count_of_wrong) if isinstance(count_of_wrong, int) else None,
        "detail": raised or ({"why": expectation.why, "event_uuids": uuids} if detail is not None else None),
    }


def _exception_of(fault: Mapping[str, Any]) -> str | None:
    """The words of an exception within an expectation; GX nests them by metric, or not."""
    if fault.get("raised_exception"):
        return str(fault.get("exception_message"))[:500]
    for inner in fault.values():
        if isinstance(inner, Mapping) and inner.get("raised_exception"):
            return str(inner.get("exception_message"))[:500]
    return None
