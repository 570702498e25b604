"""Suites on GX's pandas engine: the real expectations, in milliseconds each. Tests hold Spark to its answers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

from eventlake.definitions import Expectation, Suite
from tests.spark.mutations import Row, spoilings


class PandasGate:
    """A suite run by GX on a frame of objects: which of its expectations fail."""

    def __init__(self) -> None:
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = gx.data_context.types.base.ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
        self._definition = asset.add_batch_definition_whole_dataframe("whole")

    def failed(self, suite: Suite, rows: list[Row]) -> list[int]:
        frame = pd.DataFrame(rows, dtype=object)
        for each in suite.asked_of(len(rows)):
            if "_mean_" in each.type:
                # of exact numbers pandas has no mean; the tables have doubles
                frame[each.kwargs["column"]] = frame[each.kwargs["column"]].astype(float)
        expectations = [
            ExpectationConfiguration(type=each.type, kwargs=dict(each.kwargs), meta={"place": place}).to_domain_obj()
            for place, each in enumerate(suite.expectations)
            if len(rows) >= each.from_rows
        ]
        batch = self._definition.get_batch(batch_parameters={"dataframe": frame})
        outcome = batch.validate(
            gx.ExpectationSuite(name=suite.event_type, expectations=expectations), result_format="BOOLEAN_ONLY"
        )
        answers = [result.to_json_dict() for result in outcome.results]
        assert len(answers) == len(expectations)
        assert not [each for each in answers if _raised(each)]
        return sorted(each["expectation_config"]["meta"]["place"] for each in answers if not each["success"])


def _raised(answer: dict[str, Any]) -> bool:
    fault = answer["exception_info"] or {}
    inner = [each for each in fault.values() if isinstance(each, dict)]
    return bool(fault.get("raised_exception")) or any(each.get("raised_exception") for each in inner)


def caught_alone(gate: PandasGate, suite: Suite, expectation: Expectation, rows: list[Row]) -> Iterator[list[Row]]:
    """Spoilt rows at which this expectation fails and no other."""
    place = suite.expectations.index(expectation)
    return (spoilt for spoilt in islice(spoilings(rows, expectation), 40) if gate.failed(suite, spoilt) == [place])
