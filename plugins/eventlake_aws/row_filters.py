"""The few row filters that the lake asks its tables with, typed. What they mean is up to the callers."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

from pyiceberg import expressions
from pyiceberg.expressions import BooleanExpression

# PyIceberg's expressions are pydantic models whose constructors take a column's name first; mypy sees the fields only
_MAKE: Any = expressions


def is_null(column: str) -> BooleanExpression:
    made: BooleanExpression = _MAKE.IsNull(column)
    return made


def equals(column: str, value: str | int) -> BooleanExpression:
    made: BooleanExpression = _MAKE.EqualTo(column, value)
    return made


def one_of(column: str, values: Iterable[str]) -> BooleanExpression:
    made: BooleanExpression = _MAKE.In(column, set(values))
    return made


def between(column: str, lowest: str, highest: str) -> BooleanExpression:
    """Both ends included."""
    made: BooleanExpression = _MAKE.And(
        _MAKE.GreaterThanOrEqual(column, lowest), _MAKE.LessThanOrEqual(column, highest)
    )
    return made


def from_until(column: str, start: str, end: str) -> BooleanExpression:
    """`end` is not included."""
    made: BooleanExpression = _MAKE.And(_MAKE.GreaterThanOrEqual(column, start), _MAKE.LessThan(column, end))
    return made


def all_of(*filters: BooleanExpression) -> BooleanExpression:
    return reduce(lambda left, right: _MAKE.And(left, right), filters)


def any_of(*filters: BooleanExpression) -> BooleanExpression:
    return reduce(lambda left, right: _MAKE.Or(left, right), filters)
