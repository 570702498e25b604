"""Drafts of contracts from events that were seen: what a person edits, and what a demo's own data is loaded by.

Belongs here: what was seen of each field, and the most lenient contract and suite that say it.
Does not belong here: reading files, finding the events (scripts/draft_contracts.py).

A draft never sends an event that it was made from to quarantine: nothing is required, no value is bounded, a field of
several types is JSON text, what does not fit the dialect (names, for example) stays in other_fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

from eventlake.admission import ENVELOPE_FIELDS, LONGEST_EVENT_NAME
from eventlake.contract import Contract
from eventlake.contract_terms import FIELD_NAME, NAME_PART, RESERVED_NAMES
from eventlake.errors import LakeError
from eventlake.patterns import FORMAT_PATTERNS, python_pattern
from eventlake.row_rules import is_of_type, unchecked_rules
from eventlake.table_evolution import plan_evolution
from eventlake.table_schema import DEEPEST_LEVEL, JSON_TEXT, MOST_LEAVES, contract_columns

# whom a draft belongs to until a person says so
DRAFT_OWNER = "unowned"
# an object with more names than this is a map: its names are data
_MOST_NAMES = MOST_LEAVES
_MOST_NAMES_REMEMBERED = 10 * _MOST_NAMES

# an integer that a double would round: it may be a bigint, but not in one column with fractions
BEYOND_DOUBLES = "integer beyond doubles"

_PERSONAL = frozenset(
    {"email", "mail", "phone", "mobile", "ip", "address", "street", "birthday", "birthdate", "firstname", "lastname"}
)
_PERSONAL_PAIRS = frozenset(
    {("first", "name"), ("last", "name"), ("full", "name"), ("birth", "date"), ("user", "name")}
)
_FORMATS = {name: python_pattern(pattern) for name, pattern in FORMAT_PATTERNS.items()}
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")


@dataclass
class Seen:
    """What was seen of one value: how often it was there, its kinds, and what lay in it."""

    count: int = 0
    kinds: set[str] = field(default_factory=set)
    fields: dict[str, Seen] = field(default_factory=dict)
    items: Seen | None = None
    names_left_out: int = 0
    # the formats that every text so far has
    formats: frozenset[str] = frozenset(_FORMATS)

    def add(self, value: Any, level: int = 0) -> None:
        """Take in one value as `parse_event` gives it; `level` is how many names led here."""
        if value is None:
            return
        self.count += 1
        kind = _kind(value)
        self.kinds.add(kind)
        if kind == "string" and self.formats:
            self.formats = frozenset(name for name in self.formats if _FORMATS[name].search(value))
        elif kind == "object" and level < DEEPEST_LEVEL:
            for name, inner in value.items():
                known = self.fields.get(name)
                if known is None:
                    if len(self.fields) >= _MOST_NAMES_REMEMBERED:
                        self.names_left_out += 1
                        continue
                    known = self.fields[name] = Seen()
                known.add(inner, level + 1)
        elif kind == "array":
            if self.items is None:
                self.items = Seen()
            for item in value:
                self.items.add(item, level)


@dataclass
class SeenSubtype:
    """What was seen of the events of one type and subtype."""

    event_names: dict[str, int] = field(default_factory=dict)
    fields: Seen = field(default_factory=Seen)

    def add(self, event_name: str, event: Mapping[str, Any]) -> None:
        self.event_names[event_name] = self.event_names.get(event_name, 0) + 1
        own = {name: value for name, value in event.items() if name not in ENVELOPE_FIELDS}
        self.fields.add(own)


@dataclass
class SeenEvents:
    """Everything seen, by type and subtype, and how many events had a name that admission would reject."""

    subtypes: dict[tuple[str, str], SeenSubtype] = field(default_factory=dict)
    without_valid_name: int = 0

    def add(self, event: Mapping[str, Any]) -> None:
        name = event.get("event_name")
        parts = _name_parts(name)
        if not isinstance(name, str) or parts is None:
            self.without_valid_name += 1
            return
        event_type, event_subtype = parts[:2]
        self.subtypes.setdefault((event_type, event_subtype), SeenSubtype()).add(name, event)


def _name_parts(name: object) -> list[str] | None:
    """The parts of an event name, or None where admission would not take it."""
    parts = name.split(":") if isinstance(name, str) and len(name) <= LONGEST_EVENT_NAME else []
    return parts if len(parts) >= 2 and all(NAME_PART.fullmatch(part) for part in parts) else None


def draft_type(subtypes: Mapping[str, SeenSubtype], event_type: str, owner: str) -> dict[str, dict[str, Any]]:
    """A contract for each subtype of one type: `{subtype: schema}`. A field means the same in all of them.

    Give it subtypes that have a contract too: a table's columns bind the rows of all subtypes.
    """
    merged = Seen()
    for seen in subtypes.values():
        _merge(merged, seen.fields)
    types = _properties(merged, level=1, top=True)
    return {subtype: _contract(subtypes[subtype], event_type, subtype, owner, types) for subtype in sorted(subtypes)}


def why_no_fit(table: str, existing: Iterable[Contract], drafted: Iterable[Contract]) -> str | None:
    """Why drafts cannot join a type that has contracts, in words: they would change a column's type, or make JSON text
    of a field that a contract has rules about, which nobody could check any more. None: they fit."""
    existing, drafted = tuple(existing), tuple(drafted)
    before = {column.name: column.sql_type for column in contract_columns(existing)}
    try:
        plan_evolution(table, before, contract_columns((*existing, *drafted)))
    except LakeError as error:
        return str(error)
    checked_by_nobody = {rule.name for rule in unchecked_rules(existing)}
    lost = [rule.name for rule in unchecked_rules((*existing, *drafted)) if rule.name not in checked_by_nobody]
    if lost:
        return f"table {table} would keep as JSON text what there are rules about: {', '.join(lost)}"
    return None


def draft_suite(event_type: str, event_names: Iterable[str]) -> dict[str, Any]:
    """The suite that holds for every healthy load of a type, and a note of low severity on names nobody listed."""
    return {
        "name": event_type,
        "expectations": [
            _expectation(
                "expect_column_values_to_not_be_null",
                {"column": "event_uuid"},
                "critical",
                "without it nobody can say which event a row is",
            ),
            _expectation(
                "expect_column_values_to_be_unique",
                {"column": "event_uuid"},
                "critical",
                "a load that doubles an event is a fault of ours",
            ),
            _expectation(
                "expect_column_values_to_not_be_null",
                {"column": "created_datetime"},
                "critical",
                "a row without a time lies on no day",
            ),
            _expectation(
                "expect_column_values_to_match_regex",
                {"column": "event_name", "regex": f"^{event_type}:"},
                "high",
                "events of another type belong to another table",
            ),
            _expectation(
                "expect_column_values_to_be_in_set",
                {"column": "event_name", "value_set": sorted(event_names)},
                "low",
                "a name that nobody listed is news, not a fault",
            ),
        ],
    }


def _expectation(kind: str, kwargs: dict[str, Any], severity: str, why: str) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "meta": {"severity": severity, "why": why}}


def _contract(
    seen: SeenSubtype, event_type: str, event_subtype: str, owner: str, types: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    count = sum(seen.event_names.values())
    properties = {name: schema for name, schema in types.items() if name in seen.fields.fields}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{event_type}:{event_subtype}",
        "description": f"Drafted from {count} events; say here what happened when one is sent.",
        "x-owner": owner,
        "x-retention-class": "standard",
        "x-event-names": sorted(seen.event_names),
        "x-other-fields": True,
        "type": "object",
        "properties": properties,
        "required": [],
        "additionalProperties": True,
    }


def _properties(seen: Seen, level: int, *, top: bool = False) -> dict[str, dict[str, Any]]:
    """The fields that the dialect can name, the most frequent spelling of each, in the order in which they came."""
    best: dict[str, str] = {}
    for name, inner in seen.fields.items():
        folded = name.lower()
        if not FIELD_NAME.fullmatch(name) or inner.count == 0 or (top and folded in RESERVED_NAMES):
            continue
        if folded not in best or inner.count > seen.fields[best[folded]].count:
            best[folded] = name
    kept = set(sorted(best.values(), key=lambda name: (-seen.fields[name].count, name))[:_MOST_NAMES])
    return {name: draft_field(name, inner, level) for name, inner in seen.fields.items() if name in kept}


def draft_field(name: str, seen: Seen, level: int) -> dict[str, Any]:
    """The property of one field; `level` is how many names lead to it, its own included."""
    schema = _shape(seen, level)
    if is_personal(name):
        schema["x-pii"] = "personal"
    return schema


def _shape(seen: Seen, level: int) -> dict[str, Any]:
    """The type of what was seen, or no type at all, which keeps it as JSON text."""
    kinds = seen.kinds
    if kinds <= {"integer", "number"} and len(kinds) == 2:
        return {"type": "number"}
    if kinds <= {"integer", BEYOND_DOUBLES} and kinds:
        return {"type": "integer"}
    if len(kinds) != 1 or JSON_TEXT in kinds:
        return {}
    kind = next(iter(kinds))
    if kind == "object":
        if level >= DEEPEST_LEVEL or not _is_describable(seen):
            return {}
        return {"type": "object", "properties": _properties(seen, level + 1)}
    if kind == "array":
        items = _shape(seen.items, level) if seen.items is not None else {}
        return {"type": "array", "items": items} if items.get("type", "array") != "array" else {}
    return {"type": kind}


def _is_describable(seen: Seen) -> bool:
    """A struct keeps its described fields only, so an object with a name that cannot be described stays JSON text."""
    names = [name for name, inner in seen.fields.items() if inner.count]
    folded = {name.lower() for name in names}
    return 0 < len(folded) == len(names) <= _MOST_NAMES and all(FIELD_NAME.fullmatch(name) for name in names)


def _merge(into: Seen, other: Seen) -> None:
    into.count += other.count
    into.kinds |= other.kinds
    into.names_left_out += other.names_left_out
    into.formats &= other.formats
    for name, inner in other.fields.items():
        _merge(into.fields.setdefault(name, Seen()), inner)
    if other.items is not None:
        if into.items is None:
            into.items = Seen()
        _merge(into.items, other.items)


def _kind(value: Any) -> str:
    """The kind that keeps the value exactly; JSON text for numbers that neither 64 bits nor a double can hold."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        if not is_of_type(value, "integer"):
            return JSON_TEXT
        return "integer" if int(float(value)) == value else BEYOND_DOUBLES
    if isinstance(value, Decimal):
        return "number" if is_of_type(value, "number") and Decimal(repr(float(value))) == value else JSON_TEXT
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, Mapping) else "array"


def is_personal(name: str) -> bool:
    """A first guess from the name, for the person who edits the draft."""
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(_PERSONAL.intersection(words)) or any(pair in _PERSONAL_PAIRS for pair in pairwise(words))
