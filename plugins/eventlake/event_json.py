"""Reading one line as the JSON object that an event is: strictly, numbers exactly, of a repeated name the last value.

Does not belong here: what an event has to contain (admission, row_rules).
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any


class UnreadableLineError(ValueError):
    """The text is not one strict JSON object."""


_LONGEST_NUMBER = 1000


def parse_event(text: str | bytes) -> dict[str, Any]:
    """The JSON object in a line, fractions as Decimal. Raises UnreadableLineError on anything else."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        event = json.loads(
            text,
            parse_float=_parse_fraction,
            parse_int=_parse_integer,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        raise UnreadableLineError(str(error)) from error
    if not isinstance(event, dict):
        raise UnreadableLineError("not an object")
    if "\\ud" in text or "\\uD" in text:
        _replace_surrogate_halves(event)
    return event


def _replace_surrogate_halves(value: Any) -> Any:
    """The value with each half of a surrogate pair as `?`; objects and arrays are changed in place."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        for name, inner in value.items():
            value[name] = _replace_surrogate_halves(inner)
    elif isinstance(value, list):
        value[:] = [_replace_surrogate_halves(inner) for inner in value]
    return value


def _parse_integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("a number of over 1000 characters")
    return int(text)


def _parse_fraction(text: str) -> Decimal:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("a number of over 1000 characters")
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent of nineteen digits: beyond every double, and beyond every decimal
        sign = "-" if text.startswith("-") else ""
        return Decimal(f"{sign}1E-999999" if "e-" in text.lower() else f"{sign}Infinity")


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")
