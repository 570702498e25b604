"""What an event of one type and subtype is: a contract, read from JSON Schema 2020-12 in a bounded dialect.

Belongs here: the dialect, refusing by name whatever lies outside it, and the contracts of a lake as an index.
Does not belong here: reading files (scripts do), columns (table_schema), judging rows (row_rules).

The file `<type>/<subtype>.json` holds the sender's own fields, never the envelope. See docs/contracts.md for examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NoReturn

from eventlake.contract_terms import (
    COMPARISONS,
    EACH_ITEM,
    FIELD_NAME,
    KINDS,
    NAME_PART,
    PII_CLASSES,
    RESERVED_NAMES,
    Comparison,
    Condition,
    Consequence,
    Contract,
    ContractError,
    Field,
    NamedComparison,
    Path,
    as_exact_number,
)
from eventlake.patterns import FORMAT_PATTERNS, pattern_fault

__all__ = ["Contract", "ContractError", "ContractIndex", "parse_contract"]

_JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"
_MOST_DIGITS = 38

_TOP_KEYWORDS = frozenset(
    {
        "$schema", "$id", "$comment", "title", "description", "examples", "type", "properties", "required",
        "additionalProperties", "if", "then", "allOf",
        "x-owner", "x-retention-class", "x-event-names", "x-other-fields", "x-rules",
    }
)  # fmt: skip
_NOTES = frozenset({"type", "$comment", "title", "description", "examples", "deprecated", "x-pii"})
_RANGE_KEYWORDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
# what may be said about a value of each kind, in the order in which rows are judged
_KEYWORDS_OF_KIND: dict[str, tuple[str, ...]] = {
    "string": ("const", "enum", "format", "pattern", "minLength", "maxLength"),
    "integer": ("const", "enum", *_RANGE_KEYWORDS),
    "number": ("const", "enum", *_RANGE_KEYWORDS),
    "boolean": ("const", "enum"),
    "array": ("minItems", "maxItems"),
    "object": (),
    "json": (),
}
_SHAPE_KEYWORDS: dict[str, frozenset[str]] = {
    "number": frozenset({"x-decimal"}),
    "array": frozenset({"items"}),
    "object": frozenset({"properties", "required", "additionalProperties"}),
}


class ContractIndex:
    """The contracts of a lake, found by type and subtype. Immutable; equal inputs give equal order."""

    def __init__(self, contracts: Iterable[Contract] = ()) -> None:
        self._contracts: dict[tuple[str, str], Contract] = {}
        for contract in sorted(contracts, key=lambda each: (each.event_type, each.event_subtype)):
            pair = (contract.event_type, contract.event_subtype)
            if pair in self._contracts:
                raise ContractError(
                    contract.file,
                    "",
                    f"a second contract for {contract.key} (the first is {self._contracts[pair].file})",
                    "one contract for each type and subtype",
                    "merge the two files",
                )
            self._contracts[pair] = contract

    def find(self, event_type: str, event_subtype: str) -> Contract | None:
        """The contract of a type and subtype, or None where there is none."""
        return self._contracts.get((event_type, event_subtype))

    def of_type(self, event_type: str) -> tuple[Contract, ...]:
        """The contracts of one type, by subtype: together they make its table."""
        return tuple(each for each in self._contracts.values() if each.event_type == event_type)

    @property
    def event_types(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.event_type for each in self._contracts.values()))

    def __iter__(self) -> Iterator[Contract]:
        return iter(self._contracts.values())

    def __len__(self) -> int:
        return len(self._contracts)


def parse_contract(path_name: str, schema: Mapping[str, Any]) -> Contract:
    """The contract in a parsed JSON document. `path_name` ends in `<type>/<subtype>`, with or without `.json`.

    Raises ContractError on whatever the dialect does not know, by name.
    """
    return _Reader(path_name).contract(schema)


class _Reader:
    """Reads one document; knows its file, so that every refusal can name it."""

    def __init__(self, path_name: str) -> None:
        self._file = path_name

    def contract(self, schema: Mapping[str, Any]) -> Contract:
        event_type, event_subtype = self._type_and_subtype()
        self._require_mapping("", schema)
        self._require_known("", schema, _TOP_KEYWORDS)
        if schema.get("$schema", _JSON_SCHEMA) != _JSON_SCHEMA:
            self._refuse("$schema", schema["$schema"], _JSON_SCHEMA, "write this dialect, or leave it out")
        if schema.get("type") != "object":
            self._refuse("type", schema.get("type"), "'object'", 'an event is an object: add "type": "object"')
        fields = self._fields("properties", schema)
        contract = Contract(
            event_type=event_type,
            event_subtype=event_subtype,
            title=self._text("title", schema, f"{event_type}:{event_subtype}"),
            description=self._text("description", schema, ""),
            owner=self._text("x-owner", schema),
            retention_class=self._text("x-retention-class", schema),
            event_names=self._event_names(schema, event_type, event_subtype),
            keeps_other_fields=self._flag("x-other-fields", schema),
            fields=fields,
            consequences=(),
            comparisons=(),
            file=self._file,
            schema=schema,
        )
        return replace(
            contract,
            consequences=tuple(self._consequences(schema, contract)),
            comparisons=tuple(self._comparisons(schema, contract)),
        )

    def _type_and_subtype(self) -> tuple[str, str]:
        parts = self._file.removesuffix(".json").split("/")[-2:]
        if len(parts) != 2 or not all(NAME_PART.fullmatch(part) for part in parts):
            self._refuse(
                "its file name",
                self._file,
                "<type>/<subtype>.json in lower case letters, digits and _",
                "rename the file",
            )
        return parts[0], parts[1]

    def _event_names(self, schema: Mapping[str, Any], event_type: str, event_subtype: str) -> tuple[str, ...]:
        names = schema.get("x-event-names")
        if not isinstance(names, list) or not names:
            self._refuse(
                "x-event-names", names, "a list of full names", f'write at least ["{event_type}:{event_subtype}"]'
            )
        for position, name in enumerate(names):
            parts = name.split(":") if isinstance(name, str) else []
            if parts[:2] != [event_type, event_subtype] or not all(NAME_PART.fullmatch(part) for part in parts):
                self._refuse(
                    f"x-event-names[{position}]",
                    name,
                    f"{event_type}:{event_subtype}[:detail...] in lower case letters, digits and _",
                    "move the name to the contract of its own type and subtype, or correct it",
                )
            if name in names[:position]:
                self._refuse(f"x-event-names[{position}]", name, "each name once", "delete one")
        return tuple(names)

    # -- fields ---------------------------------------------------------------------------------------------------

    def _fields(self, place: str, holder: Mapping[str, Any]) -> tuple[Field, ...]:
        """The fields of an object, `place` being that of its properties."""
        above = place.removesuffix("properties")
        if holder.get("additionalProperties", True) is not True:
            self._refuse(
                f"{above}additionalProperties",
                holder["additionalProperties"],
                "true",
                "leave it out: a field that no contract names is never wrong",
            )
        properties = holder.get("properties", {})
        self._require_mapping(place, properties)
        required = self._required(f"{above}required", holder, properties)
        spellings: dict[str, str] = {}
        for name in properties:
            self._require_name(place, name, top=place == "properties")
            other = spellings.setdefault(name.lower(), name)
            if other != name:
                self._refuse(
                    f"{place}.{name}",
                    f"the name {name!r} beside {other!r}",
                    "names that differ in more than case",
                    "rename one, or leave one out so that it stays in other_fields",
                )
        return tuple(self._field(f"{place}.{name}", name, each, name in required) for name, each in properties.items())

    def _require_name(self, place: str, name: str, *, top: bool) -> None:
        if not FIELD_NAME.fullmatch(name):
            self._refuse(
                f"{place}.{name}",
                f"the name {name!r}",
                "a letter or _, then up to 127 letters, digits and _",
                'leave it out: with "x-other-fields": true it stays in other_fields as sent',
            )
        if top and name.lower() in RESERVED_NAMES:
            self._refuse(
                f"{place}.{name}",
                f"the name {name!r}",
                "a name that neither the envelope nor the lake uses",
                "leave it out: the envelope is every event's and is checked at admission",
            )

    def _required(self, place: str, holder: Mapping[str, Any], properties: Mapping[str, Any]) -> tuple[str, ...]:
        required = holder.get("required", [])
        if not isinstance(required, list):
            self._refuse(place, required, "a list of names", "write []")
        for name in required:
            if name not in properties:
                self._refuse(
                    place, name, f"names among the properties: {', '.join(properties) or 'none'}", "describe it"
                )
        return tuple(required)

    def _field(self, place: str, name: str, schema: Any, required: bool) -> Field:
        self._require_mapping(place, schema)
        kind = schema.get("type", "json")
        if isinstance(kind, list):
            self._refuse(
                f"{place}.type",
                kind,
                "one type",
                "null means missing and needs no type; for several types leave `type` out (kept as JSON text)",
            )
        if "type" in schema and kind not in KINDS:
            self._refuse(f"{place}.type", kind, f"one of {', '.join(KINDS)}, or no type for JSON text", "pick one")
        shape_keywords = _SHAPE_KEYWORDS.get(kind, frozenset())
        self._require_known(place, schema, _NOTES | shape_keywords | frozenset(_KEYWORDS_OF_KIND[kind]), kind)
        pii = schema.get("x-pii", "none")
        if pii not in PII_CLASSES:
            self._refuse(f"{place}.x-pii", pii, f"one of {', '.join(PII_CLASSES)}", "pick one")
        decimal = self._decimal(place, schema) if "x-decimal" in schema else None
        field = Field(
            name=name,
            kind=kind,
            description=self._text("description", schema, "", place),
            pii=pii,
            required=required,
            decimal=decimal,
            fields=self._fields(f"{place}.properties", schema) if kind == "object" else (),
            items=self._field(f"{place}.items", EACH_ITEM, schema["items"], False) if "items" in schema else None,
        )
        return replace(field, keywords=tuple(self._keywords(place, schema, field)))

    def _decimal(self, place: str, schema: Mapping[str, Any]) -> tuple[int, int]:
        value = schema["x-decimal"]
        valid = isinstance(value, list) and len(value) == 2 and all(type(each) is int for each in value)
        if not valid or not (1 <= value[0] <= _MOST_DIGITS and 0 <= value[1] <= value[0]):
            self._refuse(
                f"{place}.x-decimal",
                value,
                f"[precision, scale] with precision 1 to {_MOST_DIGITS} and scale 0 to precision",
                "write [12, 2] for money of ten digits and two after the point",
            )
        return value[0], value[1]

    def _keywords(self, place: str, schema: Mapping[str, Any], field: Field) -> Iterator[tuple[str, Any]]:
        for keyword in _KEYWORDS_OF_KIND[field.kind]:
            if keyword in schema:
                yield keyword, self._argument(f"{place}.{keyword}", keyword, schema[keyword], field)

    def _argument(self, place: str, keyword: str, value: Any, field: Field) -> Any:
        """A keyword's argument, checked, numbers as the kind compares them."""
        if keyword == "enum":
            if not isinstance(value, list) or not value:
                self._refuse(place, value, f"a list of values of type {field.kind}", "list what is allowed")
            return tuple(self._value(place, each, field) for each in value)
        if keyword == "const" or keyword in _RANGE_KEYWORDS:
            return self._value(place, value, field)
        if keyword in ("minLength", "maxLength", "minItems", "maxItems"):
            if type(value) is not int or value < 0:
                self._refuse(place, value, "a whole number from 0", "write the number of characters or items")
            return value
        if keyword == "format":
            if value not in FORMAT_PATTERNS:
                self._refuse(
                    place, value, f"one of {', '.join(FORMAT_PATTERNS)}", "describe other formats by a pattern"
                )
            return value
        fault = pattern_fault(value) if isinstance(value, str) else "something that is no text"
        if fault is not None:
            self._refuse(
                place, value, f"a pattern that RE2, Python and Java read alike, without {fault}", "rewrite the pattern"
            )
        return value

    def _value(self, place: str, value: Any, field: Field) -> Any:
        if field.kind in ("string", "boolean"):
            if type(value) is (str if field.kind == "string" else bool):
                return value
        else:
            number = as_exact_number(value)
            if number is not None and field.kind == "integer" and isinstance(number, int):
                return number
            if number is not None and field.kind == "number":
                return float(number) if field.decimal is None else Decimal(number)
        return self._refuse(place, value, f"a value of type {field.kind}", "write one, or change the type of the field")

    # -- rules across fields --------------------------------------------------------------------------------------

    def _consequences(self, schema: Mapping[str, Any], contract: Contract) -> Iterator[Consequence]:
        branches = [("", {key: schema[key] for key in ("if", "then") if key in schema})]
        listed = schema.get("allOf", [])
        if not isinstance(listed, list):
            self._refuse("allOf", listed, "a list of objects with if and then", "write []")
        branches += [(f"allOf[{position}].", branch) for position, branch in enumerate(listed)]
        for place, branch in branches:
            self._require_mapping(place, branch)
            self._require_known(place.rstrip("."), branch, frozenset({"if", "then", "$comment"}))
            if not branch and not place:
                continue
            if "if" not in branch or "then" not in branch:
                self._refuse(place + "if", branch, "`if` with its `then`", "add the missing half, or delete both")
            when = tuple(self._conditions(f"{place}if", branch["if"], contract, as_condition=True))
            if not when:
                self._refuse(f"{place}if", branch["if"], "at least one condition", "say it without `if`")
            for then in self._conditions(f"{place}then", branch["then"], contract, as_condition=False):
                yield Consequence(when, then)

    def _conditions(
        self, place: str, schema: Any, contract: Contract, *, as_condition: bool, path: Path = ()
    ) -> Iterator[Condition]:
        self._require_mapping(place, schema)
        self._require_known(place, schema, frozenset({"properties", "required", "$comment"}))
        properties, required = schema.get("properties", {}), schema.get("required", [])
        self._require_mapping(f"{place}.properties", properties)
        if not isinstance(required, list):
            self._refuse(f"{place}.required", required, "a list of names", "write []")
        for name in required:
            self._known_field(f"{place}.required", contract, (*path, str(name)))
            yield Condition((*path, name), "required", True)
        for name, inner in properties.items():
            inner_place = f"{place}.properties.{name}"
            field = self._known_field(inner_place, contract, (*path, name))
            if as_condition and name not in required:
                self._refuse(
                    inner_place,
                    "a condition on a field that may be missing",
                    f'"required": ["{name}"] beside it',
                    "add it: without it JSON Schema lets the condition hold for events that lack the field",
                )
            if field.kind == "object":
                yield from self._conditions(inner_place, inner, contract, as_condition=as_condition, path=(*path, name))
                continue
            self._require_mapping(inner_place, inner)
            self._require_known(inner_place, inner, frozenset({*_KEYWORDS_OF_KIND[field.kind], "$comment"}), field.kind)
            for keyword, argument in self._keywords(inner_place, inner, field):
                yield Condition((*path, name), keyword, argument)

    def _comparisons(self, schema: Mapping[str, Any], contract: Contract) -> Iterator[NamedComparison]:
        rules = schema.get("x-rules", [])
        if not isinstance(rules, list):
            self._refuse("x-rules", rules, "a list of rules", "write []")
        names: set[str] = set()
        for position, rule in enumerate(rules):
            place = f"x-rules[{position}]"
            self._require_mapping(place, rule)
            self._require_known(place, rule, frozenset({"name", "left", "operator", "right", "description"}))
            name = self._text("name", rule, place=place)
            if not NAME_PART.fullmatch(name) or name in names:
                self._refuse(
                    f"{place}.name", name, "a name of lower case letters, digits and _, used once", "rename it"
                )
            names.add(name)
            operator = rule.get("operator")
            if operator not in COMPARISONS:
                self._refuse(f"{place}.operator", operator, f"one of {' '.join(COMPARISONS)}", "pick one")
            left, right = (tuple(self._text(side, rule, place=place).split(".")) for side in ("left", "right"))
            sides = [
                self._known_field(f"{place}.{side}", contract, path)
                for side, path in (("left", left), ("right", right))
            ]
            self._require_comparable(place, sides[0], sides[1], operator)
            as_double = any(each.kind == "number" and each.decimal is None for each in sides)
            yield NamedComparison(name, left, Comparison(operator, right, as_double))

    def _require_comparable(self, place: str, left: Field, right: Field, operator: str) -> None:
        formats = {value for each in (left, right) for keyword, value in each.keywords if keyword == "format"}
        texts = left.kind == right.kind == "string" and ("date-time" not in formats)
        exact = all(each.kind == "integer" or each.decimal is not None for each in (left, right))
        doubles = all(each.kind == "number" and each.decimal is None for each in (left, right))
        if not (texts or exact or doubles):
            self._refuse(
                place,
                f"{left.name} ({left.kind}) {operator} {right.name} ({right.kind})",
                "two texts that are no date-time, two exact numbers (integer or x-decimal), or two doubles",
                "give both fields the same type",
            )

    def _known_field(self, place: str, contract: Contract, path: Path) -> Field:
        field = contract.field_at(path)
        if field is None or EACH_ITEM in path:
            names = ", ".join(each.name for each in contract.fields) or "none"
            self._refuse(
                place, ".".join(path), f"a field among the properties: {names}", "describe it under properties"
            )
        return field

    # -- the small things -----------------------------------------------------------------------------------------

    def _text(self, name: str, holder: Mapping[str, Any], default: str | None = None, place: str = "") -> str:
        value = holder.get(name, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            self._refuse(f"{place}.{name}".lstrip("."), value, "a text", f'write "{name}": "..."')
        return value

    def _flag(self, name: str, holder: Mapping[str, Any]) -> bool:
        value = holder.get(name, False)
        if not isinstance(value, bool):
            self._refuse(name, value, "true or false", "write true to keep fields that no contract names")
        return value

    def _require_mapping(self, place: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            self._refuse(place, value, "a JSON object", "write {...}")

    def _require_known(self, place: str, schema: Mapping[str, Any], known: frozenset[str], kind: str = "") -> None:
        for keyword in schema:
            if keyword not in known:
                of_kind = f" for {kind}" if kind else ""
                self._refuse(
                    f"{place}.{keyword}".lstrip("."),
                    f"the keyword {keyword!r}",
                    f"one of {', '.join(sorted(known))}{of_kind}",
                    "leave it out, or say it by another keyword",
                )

    def _refuse(self, place: str, received: object, valid: str, next_step: str) -> NoReturn:
        raise ContractError(self._file, place, received, valid, next_step)
