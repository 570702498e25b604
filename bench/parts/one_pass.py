"""What a suite asks, as somebody would write it by hand: one aggregation with a number for each expectation.

Belongs here: the expectations that include/expectations uses. An unknown one is refused: a baseline that leaves
something out is none. What does not belong here: running it (gate_job).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eventlake.definitions import Expectation, Suite
from eventlake.errors import TerminalError
from eventlake_spark.table_lines import quoted, text

Kwargs = Mapping[str, Any]


def unexpected_rows(suite: Suite, rows: int) -> list[str]:
    """A SQL expression for each expectation that so many rows are asked, in their order: how many break it."""
    return [_unexpected(expectation) for expectation in suite.asked_of(rows)]


def _unexpected(expectation: Expectation) -> str:
    written = _WRITTEN.get(expectation.type)
    if written is None:
        raise TerminalError(
            f"writing a suite as one pass: received {expectation.type}; valid is one of {', '.join(sorted(_WRITTEN))}; "
            "write it in bench/parts/one_pass.py"
        )
    return written(expectation.kwargs)


def _missing(kwargs: Kwargs) -> str:
    return f"count_if({quoted(kwargs['column'])} IS NULL)"


def _not_in_set(kwargs: Kwargs) -> str:
    return f"count_if({quoted(kwargs['column'])} NOT IN ({', '.join(map(_literal, kwargs['value_set']))}))"


def _outside(kwargs: Kwargs) -> str:
    return f"count_if({_outside_of(quoted(kwargs['column']), kwargs)})"


def _length_outside(kwargs: Kwargs) -> str:
    length = f"length({quoted(kwargs['column'])})"
    return f"count_if({_outside_of(length, kwargs)})"


def _outside_of(value: str, kwargs: Kwargs) -> str:
    bounds = [
        f"{value} {sign} {_literal(kwargs[name])}"
        for name, sign in (("min_value", "<"), ("max_value", ">"))
        if kwargs.get(name) is not None
    ]
    return " OR ".join(bounds)


def _repeated(kwargs: Kwargs) -> str:
    column = quoted(kwargs["column"])
    return f"count({column}) - count(DISTINCT {column})"


def _repeated_together(kwargs: Kwargs) -> str:
    columns = ", ".join(map(quoted, kwargs["column_list"]))
    return f"count({columns}) - count(DISTINCT {columns})"


def _unlike(kwargs: Kwargs) -> str:
    return f"count_if(NOT {quoted(kwargs['column'])} RLIKE {text(kwargs['regex'])})"


def _not_greater(kwargs: Kwargs) -> str:
    sign = "<" if kwargs.get("or_equal") else "<="
    return f"count_if({quoted(kwargs['column_A'])} {sign} {quoted(kwargs['column_B'])})"


def _not_paired(kwargs: Kwargs) -> str:
    pairs = ", ".join(f"({_literal(a)}, {_literal(b)})" for a, b in kwargs["value_pairs_set"])
    a, b = quoted(kwargs["column_A"]), quoted(kwargs["column_B"])
    return f"count_if({a} IS NOT NULL AND {b} IS NOT NULL AND ({a}, {b}) NOT IN ({pairs}))"


def _literal(value: object) -> str:
    return text(value) if isinstance(value, str) else str(value)


_WRITTEN: Mapping[str, Callable[[Kwargs], str]] = {
    "expect_column_values_to_not_be_null": _missing,
    "expect_column_values_to_be_in_set": _not_in_set,
    "expect_column_values_to_be_between": _outside,
    "expect_column_value_lengths_to_be_between": _length_outside,
    "expect_column_values_to_be_unique": _repeated,
    "expect_compound_columns_to_be_unique": _repeated_together,
    "expect_column_values_to_match_regex": _unlike,
    "expect_column_pair_values_a_to_be_greater_than_b": _not_greater,
    "expect_column_pair_values_to_be_in_set": _not_paired,
}
