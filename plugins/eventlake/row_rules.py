"""What makes one row wrong, as data that two engines obey: this module judges in Python, the load job in Java.

Belongs here: the rules that contracts imply, the reference that judges a parsed event by them, the words for a bad row.
Does not belong here: where bad rows are kept, rules over many rows (expectations), Spark.

How both engines have to read a rule:
* null is missing, in items of arrays too; a missing value fulfils every keyword but `required`, which looks at a path
  only where the object that holds it is there. A keyword judges values of its own type only; `type` finds the others.
* `type`: `integer` is a number written without fraction and exponent, within 64 bits (1.0 and 1e2 are none); `number`
  has a finite double; a boolean is no number, a number in a string is a string.
* should an object repeat a name, the last value counts, and nothing is asked of those before it.
* an argument that is an int or a Decimal is compared exactly; a float means that the nearest doubles are compared.
* `decimal` [precision, scale]: the value itself fits, zeros at its end aside; nothing is rounded.
* lengths count code points; `pattern` and `format` are searched as patterns.python_pattern / java_pattern say.
* half a surrogate pair in an escape counts as `?`, which is what UTF-8 text in the JVM makes of it.
* JSON is strict: no NaN, no single quotes, nothing after the object; a number has at most 1000 characters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from eventlake.contract_terms import EACH_ITEM, Comparison, Condition, Contract, Field, Path, path_text
from eventlake.event_json import UnreadableLineError, parse_event
from eventlake.patterns import FORMAT_PATTERNS, python_pattern
from eventlake.table_schema import JSON_TEXT, ColumnShape, json_text_paths, table_shape

__all__ = [
    "ENVELOPE_RULES", "Comparison", "Condition", "Explanation", "QuarantineReason", "RowRule",
    "broken_rules", "explain_line", "parse_event", "row_rules", "table_rules", "unchecked_rules",
]  # fmt: skip


class QuarantineReason(StrEnum):
    """Why a row is in quarantine."""

    UNREADABLE = "unreadable"
    WRONG_TYPE = "wrong_type"
    MISSING_REQUIRED = "missing_required"
    OUT_OF_RANGE = "out_of_range"
    NOT_IN_SET = "not_in_set"
    BAD_FORMAT = "bad_format"
    CROSS_FIELD = "cross_field"
    UUID_CONFLICT = "uuid_conflict"


@dataclass(frozen=True)
class RowRule:
    """One keyword about the value at a path. `event_subtype` None: rows of every subtype of the table obey it."""

    name: str
    event_subtype: str | None
    path: Path
    keyword: str
    argument: Any
    when: tuple[Condition, ...] = ()

    @property
    def reason(self) -> QuarantineReason:
        if self.when:
            return QuarantineReason.CROSS_FIELD
        return UNCONDITIONAL_REASONS[self.keyword]

    @property
    def field(self) -> str:
        return path_text(self.path)


UNCONDITIONAL_REASONS: dict[str, QuarantineReason] = {
    "type": QuarantineReason.WRONG_TYPE,
    "required": QuarantineReason.MISSING_REQUIRED,
    "decimal": QuarantineReason.OUT_OF_RANGE,
    "minimum": QuarantineReason.OUT_OF_RANGE,
    "maximum": QuarantineReason.OUT_OF_RANGE,
    "exclusiveMinimum": QuarantineReason.OUT_OF_RANGE,
    "exclusiveMaximum": QuarantineReason.OUT_OF_RANGE,
    "minLength": QuarantineReason.OUT_OF_RANGE,
    "maxLength": QuarantineReason.OUT_OF_RANGE,
    "minItems": QuarantineReason.OUT_OF_RANGE,
    "maxItems": QuarantineReason.OUT_OF_RANGE,
    "enum": QuarantineReason.NOT_IN_SET,
    "const": QuarantineReason.NOT_IN_SET,
    "pattern": QuarantineReason.BAD_FORMAT,
    "format": QuarantineReason.BAD_FORMAT,
    "compare": QuarantineReason.CROSS_FIELD,
}


class Explanation(NamedTuple):
    """Why a line is bad: the first rule that it breaks, in the order of the rules."""

    reason: QuarantineReason
    rule: str
    field: str | None


def _envelope_rules() -> tuple[RowRule, ...]:
    kinds: dict[Path, str] = {
        ("event_uuid",): "string",
        ("event_name",): "string",
        ("event_type",): "string",
        ("event_subtype",): "string",
        ("created_at",): "number",
        ("created_datetime",): "string",
        ("_lake",): "object",
        ("_lake", "ingested_at"): "string",
        ("_lake", "shard_id"): "string",
        ("_lake", "sequence_number"): "string",
    }
    times = (("created_datetime",), ("_lake", "ingested_at"))
    said = [
        (path, keyword, argument)
        for path, kind in kinds.items()
        for keyword, argument in (("required", True), ("type", kind))
    ]
    said += [(path, "format", "date-time") for path in times]
    return tuple(
        RowRule(f"envelope.{'.'.join(path)}.{keyword}", None, path, keyword, argument)
        for path, keyword, argument in said
    )


# what every line has since admission; a line that breaks one of these is unreadable
ENVELOPE_RULES = _envelope_rules()


def row_rules(contract: Contract) -> tuple[RowRule, ...]:
    """The rules of one contract, as if it made the table alone."""
    return table_rules((contract,))


def table_rules(contracts_of_one_type: Iterable[Contract]) -> tuple[RowRule, ...]:
    """The rules of a type's table: first the types of its columns, which all subtypes share, then each subtype's own.

    What lies in a JSON text column is not checked, beyond being there (see `unchecked_rules`).
    """
    contracts = tuple(contracts_of_one_type)
    text_paths = json_text_paths(contracts)
    return (*_type_rules(contracts), *(rule for rule in _subtype_rules(contracts) if _is_checked(rule, text_paths)))


def unchecked_rules(contracts_of_one_type: Iterable[Contract]) -> tuple[RowRule, ...]:
    """The rules that contracts ask for and nobody checks, because the table keeps their field as JSON text."""
    contracts = tuple(contracts_of_one_type)
    text_paths = json_text_paths(contracts)
    return tuple(rule for rule in _subtype_rules(contracts) if not _is_checked(rule, text_paths))


def _type_rules(contracts: Sequence[Contract]) -> Iterator[RowRule]:
    def walk(path: Path, shape: ColumnShape) -> Iterator[RowRule]:
        if shape.kind == JSON_TEXT:
            return
        yield _rule(None, path, "type", shape.kind)
        if shape.decimal is not None:
            yield _rule(None, path, "decimal", shape.decimal)
        for name, child in shape.children:
            yield from walk((*path, name), child)
        if shape.items is not None:
            yield from walk((*path, EACH_ITEM), shape.items)

    for name, shape in table_shape(contracts):
        yield from walk((name,), shape)


def _subtype_rules(contracts: Sequence[Contract]) -> Iterator[RowRule]:
    def walk(subtype: str, path: Path, field: Field) -> Iterator[RowRule]:
        if field.required:
            yield _rule(subtype, path, "required", True)
        for keyword, argument in field.keywords:
            yield _rule(subtype, path, keyword, argument)
        for child in field.fields:
            yield from walk(subtype, (*path, child.name), child)
        if field.items is not None:
            yield from walk(subtype, (*path, EACH_ITEM), field.items)

    for contract in contracts:
        subtype = contract.event_subtype
        for field in contract.fields:
            yield from walk(subtype, (field.name,), field)
        for number, (when, then) in enumerate(contract.consequences, start=1):
            rule = _rule(subtype, then.path, then.keyword, then.argument)
            yield RowRule(f"{rule.name}.if{number}", subtype, then.path, then.keyword, then.argument, when)
        for name, left, comparison in contract.comparisons:
            yield RowRule(f"{subtype}.{name}", subtype, left, "compare", comparison)


def _rule(subtype: str | None, path: Path, keyword: str, argument: object) -> RowRule:
    return RowRule(f"{subtype or 'any'}.{path_text(path)}.{keyword}", subtype, path, keyword, argument)


def _is_checked(rule: RowRule, text_paths: frozenset[Path]) -> bool:
    paths = [rule.path[:-1] if rule.keyword == "required" else rule.path]
    paths += [each.path[:-1] if each.keyword == "required" else each.path for each in rule.when]
    if isinstance(rule.argument, Comparison):
        paths.append(rule.argument.right)
    return not any(path[:length] in text_paths for path in paths for length in range(1, len(path) + 1))


def explain_line(text: str | bytes, rules: Sequence[RowRule]) -> Explanation | None:
    """Why an enriched line is bad under the rules of its type's table, or None where it is good."""
    try:
        event = parse_event(text)
    except UnreadableLineError:
        return Explanation(QuarantineReason.UNREADABLE, "envelope.json", None)
    for rule in broken_rules(ENVELOPE_RULES, event):
        return Explanation(QuarantineReason.UNREADABLE, rule.name, rule.field)
    for rule in broken_rules(rules, event):
        return Explanation(rule.reason, rule.name, rule.field)
    return None


def broken_rules(rules: Iterable[RowRule], event: Mapping[str, Any]) -> list[RowRule]:
    """The rules that an event breaks, in their order. The event comes from `parse_event` (fractions are Decimal)."""
    subtype = _subtype_of(event)
    return [
        rule
        for rule in rules
        if (rule.event_subtype is None or rule.event_subtype == subtype) and _is_broken(rule, event)
    ]


def _subtype_of(event: Mapping[str, Any]) -> str | None:
    """The enrichment's subtype, or the second part of the name for an event as the sender sent it."""
    subtype = event.get("event_subtype")
    if isinstance(subtype, str):
        return subtype
    name = event.get("event_name")
    parts = name.split(":") if isinstance(name, str) else []
    return parts[1] if len(parts) > 1 else None


def _is_broken(rule: RowRule, event: Mapping[str, Any]) -> bool:
    if not all(_holds_somewhere(condition, event) for condition in rule.when):
        return False
    if rule.keyword == "required":
        return any(
            isinstance(holder, dict) and holder.get(rule.path[-1]) is None for holder in _values(event, rule.path[:-1])
        )
    if rule.keyword == "type":
        return not all(is_of_type(value, rule.argument) for value in _values(event, rule.path))
    if rule.keyword == "compare":
        return not all(_compares(value, rule.argument, event) for value in _values(event, rule.path))
    judge = _JUDGES[rule.keyword]
    return not all(judge(value, rule.argument) for value in _values(event, rule.path))


def _holds_somewhere(condition: Condition, event: Mapping[str, Any]) -> bool:
    """Whether a condition of a rule holds: it needs a value there, of the keyword's own type."""
    values = list(_values(event, condition.path))
    if condition.keyword == "required":
        return bool(values)
    judge = _JUDGES[condition.keyword]
    return any(_is_judged(condition.keyword, value) and judge(value, condition.argument) for value in values)


def _is_judged(keyword: str, value: Any) -> bool:
    """Whether the keyword says anything about a value of this type."""
    if keyword in ("enum", "const"):
        return True
    if keyword in ("pattern", "format", "minLength", "maxLength"):
        return isinstance(value, str)
    return isinstance(value, list) if keyword in ("minItems", "maxItems") else _is_number(value)


def _values(value: Any, path: Path) -> Iterator[Any]:
    """The values at a path that are not null: none, one, or one for each item of an array on the way."""
    if value is None:
        return
    if not path:
        yield value
    elif path[0] == EACH_ITEM:
        for item in value if isinstance(value, list) else ():
            yield from _values(item, path[1:])
    elif isinstance(value, Mapping):
        yield from _values(value.get(path[0]), path[1:])


def is_of_type(value: Any, kind: str) -> bool:
    """Whether a JSON value is of a contract's kind; null is, since it is missing."""
    match kind:
        case "string":
            return value is None or isinstance(value, str)
        case "integer":
            return value is None or (_is_integer(value) and -(2**63) <= value < 2**63)
        case "number":
            return value is None or (_is_number(value) and math.isfinite(_nearest_double(value)))
        case "boolean":
            return value is None or isinstance(value, bool)
        case "object":
            return value is None or isinstance(value, Mapping)
        case _:
            return value is None or isinstance(value, list)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _nearest_double(value: int | Decimal) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _comparable(value: Any, argument: Any) -> tuple[Any, Any]:
    """Both sides as they are to be compared: as doubles where the argument is one."""
    return (_nearest_double(value), argument) if isinstance(argument, float) else (value, argument)


def _number_judge(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, argument: not _is_number(value) or compare(*_comparable(value, argument))


def _equals(value: Any, argument: Any) -> bool:
    if isinstance(argument, str | bool):
        return type(value) is type(argument) and value == argument
    return _is_number(value) and bool(_is_equal(*_comparable(value, argument)))


def _is_equal(left: Any, right: Any) -> bool:
    return bool(left == right)


def fits_decimal(value: int | Decimal, precision: int, scale: int) -> bool:
    """Whether a number is exactly a decimal(precision, scale), without looking at zeros at its end."""
    _, digits, exponent = Decimal(value).as_tuple()
    if not isinstance(exponent, int):
        return False
    while len(digits) > 1 and digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    if digits in ((), (0,)):
        return True
    return -exponent <= scale and len(digits) + exponent <= precision - scale


def _compares(value: Any, comparison: Comparison, event: Mapping[str, Any]) -> bool:
    for right in _values(event, comparison.right):
        if isinstance(value, str) and isinstance(right, str):
            sides: tuple[Any, Any] = (value, right)
        elif _is_number(value) and _is_number(right):
            sides = (_nearest_double(value), _nearest_double(right)) if comparison.as_double else (value, right)
        else:
            return True
        return COMPARE[comparison.operator](*sides)
    return True


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
    "==": _is_equal,
    "!=": lambda left, right: bool(left != right),
}

# keyword -> whether a value of the keyword's own type fulfils it; values of other types pass
_JUDGES: dict[str, Callable[[Any, Any], bool]] = {
    "enum": lambda value, argument: any(_equals(value, each) for each in argument),
    "const": _equals,
    "minimum": _number_judge(COMPARE[">="]),
    "maximum": _number_judge(COMPARE["<="]),
    "exclusiveMinimum": _number_judge(COMPARE[">"]),
    "exclusiveMaximum": _number_judge(COMPARE["<"]),
    "decimal": lambda value, argument: not _is_number(value) or fits_decimal(value, *argument),
    "pattern": lambda value, argument: not isinstance(value, str) or bool(python_pattern(argument).search(value)),
    "format": lambda value, argument: (
        not isinstance(value, str) or bool(python_pattern(FORMAT_PATTERNS[argument]).search(value))
    ),
    "minLength": lambda value, argument: not isinstance(value, str) or len(value) >= argument,
    "maxLength": lambda value, argument: not isinstance(value, str) or len(value) <= argument,
    "minItems": lambda value, argument: not isinstance(value, list) or len(value) >= argument,
    "maxItems": lambda value, argument: not isinstance(value, list) or len(value) <= argument,
}
