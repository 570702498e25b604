"""JSON Schema's own library as a judge of rows, once the bounded dialect is said in its words.

What the dialect means otherwise is said here a second time, in other code than the product's. Does not belong here:
drawing what is judged; the dialect's formats beside `date`, which the library does not know as strictly.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators

_COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_NUMBERS = (int, float, Decimal)


def objections(schema: dict[str, Any], event: dict[str, Any]) -> list[str]:
    """What the library says against an event from `parse_event`."""
    judge = _Judge(_as_json_schema(schema), format_checker=FormatChecker(formats=["date"]))
    return [error.message for error in judge.iter_errors(_normalised(event, schema))]


def _is_integer(_: object, value: object) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _is_number(_: object, value: object) -> bool:
    return type(value) in _NUMBERS and value not in (math.inf, -math.inf)


def _check_decimal(_: object, shape: list[int], value: object, __: object) -> Iterator[ValidationError]:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        numerator, denominator = Decimal(value).as_integer_ratio()
        if (numerator * 10 ** shape[1]) % denominator or abs(numerator) >= 10 ** (shape[0] - shape[1]) * denominator:
            yield ValidationError("does not fit")


def _check_rules(_: object, rules: list[dict[str, str]], event: object, __: object) -> Iterator[ValidationError]:
    for rule in rules if isinstance(event, dict) else ():
        left, right = event.get(rule["left"]), event.get(rule["right"])
        are_comparable = type(left) is type(right) is str or (type(left) in _NUMBERS and type(right) in _NUMBERS)
        if are_comparable and not _COMPARE[rule["operator"]](left, right):
            yield ValidationError(f"breaks {rule['name']}")


_Judge = validators.extend(
    Draft202012Validator,
    {"x-decimal": _check_decimal, "x-rules": _check_rules},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_integer, "number": _is_number}),
)


def _as_json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The contract as JSON Schema means it: an item may be null, because null is missing; `$` is the very end."""
    changed = dict(schema)
    if "properties" in schema:
        changed["properties"] = {name: _as_json_schema(inner) for name, inner in schema["properties"].items()}
    if "items" in schema:
        changed["items"] = {"anyOf": [{"type": "null"}, _as_json_schema(schema["items"])]}
    if schema.get("pattern", "").endswith("$"):
        changed["pattern"] = f"{schema['pattern'][:-1]}\\Z"
    return changed


def _normalised(value: Any, schema: dict[str, Any]) -> Any:
    """Null is missing, and a number that is no decimal is the nearest double."""
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        return {name: _normalised(inner, fields.get(name, {})) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_normalised(inner, schema.get("items", {})) for inner in value]
    if schema.get("type") == "number" and "x-decimal" not in schema and type(value) in _NUMBERS:
        return float(str(value))
    return value
