"""Reading the fields of a contract: names, types, the keywords of each type, and refusing all else by name.

Does not belong here: what a contract says about an event as a whole (contract).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NoReturn

from eventlake.contract_terms import (
    EACH_ITEM,
    FIELD_NAME,
    KINDS,
    PII_CLASSES,
    PROTECTIONS,
    RESERVED_NAMES,
    ContractError,
    Field,
    as_exact_number,
)
from eventlake.patterns import FORMAT_PATTERNS, pattern_fault

_MOST_DIGITS = 38

_NOTES = frozenset({"type", "$comment", "title", "description", "examples", "deprecated", "x-pii"})
_RANGE_KEYWORDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
# what may be said about a value of each kind, in the order in which rows are judged
KEYWORDS_OF_KIND: dict[str, tuple[str, ...]] = {
    "string": ("const", "enum", "format", "pattern", "minLength", "maxLength"),
    "integer": ("const", "enum", *_RANGE_KEYWORDS),
    "number": ("const", "enum", *_RANGE_KEYWORDS),
    "boolean": ("const", "enum"),
    "array": ("minItems", "maxItems"),
    "object": (),
    "json": (),
}
_SHAPE_KEYWORDS: dict[str, frozenset[str]] = {
    "string": frozenset({"x-protect"}),
    "number": frozenset({"x-decimal"}),
    "array": frozenset({"items"}),
    "object": frozenset({"properties", "required", "additionalProperties"}),
}


class FieldReader:
    """Reads one document; knows its file, so that every refusal can name it."""

    def __init__(self, path_name: str) -> None:
        self.file = path_name

    def fields(self, place: str, holder: Mapping[str, Any]) -> tuple[Field, ...]:
        """The fields of an object, `place` being that of its properties."""
        above = place.removesuffix("properties")
        if holder.get("additionalProperties", True) is not True:
            self.refuse(
                f"{above}additionalProperties",
                holder["additionalProperties"],
                "true",
                "leave it out: a field that no contract names is never wrong",
            )
        properties = holder.get("properties", {})
        self.require_mapping(place, properties)
        required = self._required(f"{above}required", holder, properties)
        spellings: dict[str, str] = {}
        for name in properties:
            self._require_name(place, name, top=place == "properties")
            other = spellings.setdefault(name.lower(), name)
            if other != name:
                self.refuse(
                    f"{place}.{name}",
                    f"the name {name!r} beside {other!r}",
                    "names that differ in more than case",
                    "rename one, or leave one out so that it stays in other_fields",
                )
        return tuple(self._field(f"{place}.{name}", name, each, name in required) for name, each in properties.items())

    def _require_name(self, place: str, name: str, *, top: bool) -> None:
        if not FIELD_NAME.fullmatch(name):
            self.refuse(
                f"{place}.{name}",
                f"the name {name!r}",
                "a letter or _, then up to 127 letters, digits and _",
                'leave it out: with "x-other-fields": true it stays in other_fields as sent',
            )
        if top and name.lower() in RESERVED_NAMES:
            self.refuse(
                f"{place}.{name}",
                f"the name {name!r}",
                "a name that neither the envelope nor the lake uses",
                "leave it out: the envelope is every event's and is checked at admission",
            )

    def _required(self, place: str, holder: Mapping[str, Any], properties: Mapping[str, Any]) -> tuple[str, ...]:
        required = holder.get("required", [])
        if not isinstance(required, list):
            self.refuse(place, required, "a list of names", "write []")
        for name in required:
            if name not in properties:
                self.refuse(
                    place, name, f"names among the properties: {', '.join(properties) or 'none'}", "describe it"
                )
        return tuple(required)

    def _field(self, place: str, name: str, schema: Any, required: bool) -> Field:
        self.require_mapping(place, schema)
        kind = schema.get("type", "json")
        if isinstance(kind, list):
            self.refuse(
                f"{place}.type",
                kind,
                "one type",
                "null means missing and needs no type; for several types leave `type` out (kept as JSON text)",
            )
        if "type" in schema and kind not in KINDS:
            self.refuse(f"{place}.type", kind, f"one of {', '.join(KINDS)}, or no type for JSON text", "pick one")
        shape_keywords = _SHAPE_KEYWORDS.get(kind, frozenset())
        self.require_known(place, schema, _NOTES | shape_keywords | frozenset(KEYWORDS_OF_KIND[kind]), kind)
        pii = schema.get("x-pii", "none")
        if pii not in PII_CLASSES:
            self.refuse(f"{place}.x-pii", pii, f"one of {', '.join(PII_CLASSES)}", "pick one")
        decimal = self._decimal(place, schema) if "x-decimal" in schema else None
        field = Field(
            name=name,
            kind=kind,
            description=self.text("description", schema, "", place),
            pii=pii,
            protection=self._protection(place, schema, pii),
            required=required,
            decimal=decimal,
            fields=self.fields(f"{place}.properties", schema) if kind == "object" else (),
            items=self._field(f"{place}.items", EACH_ITEM, schema["items"], False) if "items" in schema else None,
        )
        return replace(field, keywords=tuple(self.keywords(place, schema, field)))

    def _protection(self, place: str, schema: Mapping[str, Any], pii: str) -> str:
        if "x-protect" not in schema:
            return ""
        how: str = schema["x-protect"]
        if how not in PROTECTIONS:
            self.refuse(f"{place}.x-protect", how, f"one of {', '.join(PROTECTIONS)}", "pick one, or leave it out")
        if pii == "none":
            self.refuse(
                f"{place}.x-protect",
                f"the protection {how!r} of a field with x-pii 'none'",
                "x-pii personal or sensitive beside it",
                "say how personal the value is, or leave x-protect out",
            )
        return how

    def _decimal(self, place: str, schema: Mapping[str, Any]) -> tuple[int, int]:
        value = schema["x-decimal"]
        valid = isinstance(value, list) and len(value) == 2 and all(type(each) is int for each in value)
        if not valid or not (1 <= value[0] <= _MOST_DIGITS and 0 <= value[1] <= value[0]):
            self.refuse(
                f"{place}.x-decimal",
                value,
                f"[precision, scale] with precision 1 to {_MOST_DIGITS} and scale 0 to precision",
                "write [12, 2] for money of ten digits and two after the point",
            )
        return value[0], value[1]

    def keywords(self, place: str, schema: Mapping[str, Any], field: Field) -> Iterator[tuple[str, Any]]:
        for keyword in KEYWORDS_OF_KIND[field.kind]:
            if keyword in schema:
                yield keyword, self._argument(f"{place}.{keyword}", keyword, schema[keyword], field)

    def _argument(self, place: str, keyword: str, value: Any, field: Field) -> Any:
        """A keyword's argument, checked, numbers as the kind compares them."""
        if keyword == "enum":
            if not isinstance(value, list) or not value:
                self.refuse(place, value, f"a list of values of type {field.kind}", "list what is allowed")
            return tuple(self._value(place, each, field) for each in value)
        if keyword == "const" or keyword in _RANGE_KEYWORDS:
            return self._value(place, value, field)
        if keyword in ("minLength", "maxLength", "minItems", "maxItems"):
            if type(value) is not int or value < 0:
                self.refuse(place, value, "a whole number from 0", "write the number of characters or items")
            return value
        if keyword == "format":
            if value not in FORMAT_PATTERNS:
                self.refuse(place, value, f"one of {', '.join(FORMAT_PATTERNS)}", "describe other formats by a pattern")
            return value
        fault = pattern_fault(value) if isinstance(value, str) else "something that is no text"
        if fault is not None:
            self.refuse(
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
        return self.refuse(place, value, f"a value of type {field.kind}", "write one, or change the type of the field")

    def text(self, name: str, holder: Mapping[str, Any], default: str | None = None, place: str = "") -> str:
        value = holder.get(name, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            self.refuse(f"{place}.{name}".lstrip("."), value, "a text", f'write "{name}": "..."')
        return value

    def flag(self, name: str, holder: Mapping[str, Any]) -> bool:
        value = holder.get(name, False)
        if not isinstance(value, bool):
            self.refuse(name, value, "true or false", "write true to keep fields that no contract names")
        return value

    def require_mapping(self, place: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            self.refuse(place, value, "a JSON object", "write {...}")

    def require_known(self, place: str, schema: Mapping[str, Any], known: frozenset[str], kind: str = "") -> None:
        for keyword in schema:
            if keyword not in known:
                of_kind = f" for {kind}" if kind else ""
                self.refuse(
                    f"{place}.{keyword}".lstrip("."),
                    f"the keyword {keyword!r}",
                    f"one of {', '.join(sorted(known))}{of_kind}",
                    "leave it out, or say it by another keyword",
                )

    def refuse(self, place: str, received: object, valid: str, next_step: str) -> NoReturn:
        raise ContractError(self.file, place, received, valid, next_step)
