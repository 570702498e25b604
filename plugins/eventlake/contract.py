"""What an event of one type and subtype is: a contract, read from JSON Schema 2020-12 in a bounded dialect.

Belongs here: the dialect, refusing by name whatever lies outside it, and the contracts of a lake as an index.
Does not belong here: reading files (scripts do), columns (table_schema), judging rows (row_rules).

The file `<type>/<subtype>.json` holds the sender's own fields, never the envelope.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from eventlake.contract_fields import KEYWORDS_OF_KIND, FieldReader
from eventlake.contract_terms import (
    COMPARISONS,
    EACH_ITEM,
    NAME_PART,
    RETENTION_CLASSES,
    Comparison,
    Condition,
    Consequence,
    Contract,
    ContractError,
    Field,
    NamedComparison,
    Path,
)

__all__ = ["Contract", "ContractError", "ContractIndex", "parse_contract"]

_JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"
_TOP_KEYWORDS = frozenset(
    {
        "$schema", "$id", "$comment", "title", "description", "examples", "type", "properties", "required",
        "additionalProperties", "if", "then", "allOf",
        "x-owner", "x-retention-class", "x-event-names", "x-other-fields", "x-rules",
    }
)  # fmt: skip


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
    return _ContractReader(path_name).contract(schema)


class _ContractReader(FieldReader):
    """Reads what a document says about an event as a whole."""

    def contract(self, schema: Mapping[str, Any]) -> Contract:
        event_type, event_subtype = self._type_and_subtype()
        self.require_mapping("", schema)
        self.require_known("", schema, _TOP_KEYWORDS)
        if schema.get("$schema", _JSON_SCHEMA) != _JSON_SCHEMA:
            self.refuse("$schema", schema["$schema"], _JSON_SCHEMA, "write this dialect, or leave it out")
        if schema.get("type") != "object":
            self.refuse("type", schema.get("type"), "'object'", 'an event is an object: add "type": "object"')
        fields = self.fields("properties", schema)
        contract = Contract(
            event_type=event_type,
            event_subtype=event_subtype,
            title=self.text("title", schema, f"{event_type}:{event_subtype}"),
            description=self.text("description", schema, ""),
            owner=self.text("x-owner", schema),
            retention_class=self._retention_class(schema),
            event_names=self._event_names(schema, event_type, event_subtype),
            keeps_other_fields=self.flag("x-other-fields", schema),
            fields=fields,
            consequences=(),
            comparisons=(),
            file=self.file,
            schema=schema,
        )
        return replace(
            contract,
            consequences=tuple(self._consequences(schema, contract)),
            comparisons=tuple(self._comparisons(schema, contract)),
        )

    def _retention_class(self, schema: Mapping[str, Any]) -> str:
        name = self.text("x-retention-class", schema)
        if name not in RETENTION_CLASSES:
            self.refuse(
                "x-retention-class", name, f"one of {', '.join(RETENTION_CLASSES)}", "name the class that it is of"
            )
        return name

    def _type_and_subtype(self) -> tuple[str, str]:
        parts = self.file.removesuffix(".json").split("/")[-2:]
        if len(parts) != 2 or not all(NAME_PART.fullmatch(part) for part in parts):
            self.refuse(
                "its file name",
                self.file,
                "<type>/<subtype>.json in lower case letters, digits and _",
                "rename the file",
            )
        return parts[0], parts[1]

    def _event_names(self, schema: Mapping[str, Any], event_type: str, event_subtype: str) -> tuple[str, ...]:
        names = schema.get("x-event-names")
        if not isinstance(names, list) or not names:
            self.refuse(
                "x-event-names", names, "a list of full names", f'write at least ["{event_type}:{event_subtype}"]'
            )
        for position, name in enumerate(names):
            parts = name.split(":") if isinstance(name, str) else []
            if parts[:2] != [event_type, event_subtype] or not all(NAME_PART.fullmatch(part) for part in parts):
                self.refuse(
                    f"x-event-names[{position}]",
                    name,
                    f"{event_type}:{event_subtype}[:detail...] in lower case letters, digits and _",
                    "move the name to the contract of its own type and subtype, or correct it",
                )
            if name in names[:position]:
                self.refuse(f"x-event-names[{position}]", name, "each name once", "delete one")
        return tuple(names)

    # -- rules across fields --------------------------------------------------------------------------------------

    def _consequences(self, schema: Mapping[str, Any], contract: Contract) -> Iterator[Consequence]:
        branches = [("", {key: schema[key] for key in ("if", "then") if key in schema})]
        listed = schema.get("allOf", [])
        if not isinstance(listed, list):
            self.refuse("allOf", listed, "a list of objects with if and then", "write []")
        branches += [(f"allOf[{position}].", branch) for position, branch in enumerate(listed)]
        for place, branch in branches:
            self.require_mapping(place, branch)
            self.require_known(place.rstrip("."), branch, frozenset({"if", "then", "$comment"}))
            if not branch and not place:
                continue
            if "if" not in branch or "then" not in branch:
                self.refuse(place + "if", branch, "`if` with its `then`", "add the missing half, or delete both")
            when = tuple(self._conditions(f"{place}if", branch["if"], contract, as_condition=True))
            if not when:
                self.refuse(f"{place}if", branch["if"], "at least one condition", "say it without `if`")
            for then in self._conditions(f"{place}then", branch["then"], contract, as_condition=False):
                yield Consequence(when, then)

    def _conditions(
        self, place: str, schema: Any, contract: Contract, *, as_condition: bool, path: Path = ()
    ) -> Iterator[Condition]:
        self.require_mapping(place, schema)
        self.require_known(place, schema, frozenset({"properties", "required", "$comment"}))
        properties, required = schema.get("properties", {}), schema.get("required", [])
        self.require_mapping(f"{place}.properties", properties)
        if not isinstance(required, list):
            self.refuse(f"{place}.required", required, "a list of names", "write []")
        for name in required:
            self._known_field(f"{place}.required", contract, (*path, str(name)))
            yield Condition((*path, name), "required", True)
        for name, inner in properties.items():
            inner_place = f"{place}.properties.{name}"
            field = self._known_field(inner_place, contract, (*path, name))
            if as_condition and name not in required:
                self.refuse(
                    inner_place,
                    "a condition on a field that may be missing",
                    f'"required": ["{name}"] beside it',
                    "add it: without it JSON Schema lets the condition hold for events that lack the field",
                )
            if field.kind == "object":
                yield from self._conditions(inner_place, inner, contract, as_condition=as_condition, path=(*path, name))
                continue
            self.require_mapping(inner_place, inner)
            self.require_known(inner_place, inner, frozenset({*KEYWORDS_OF_KIND[field.kind], "$comment"}), field.kind)
            for keyword, argument in self.keywords(inner_place, inner, field):
                yield Condition((*path, name), keyword, argument)

    def _comparisons(self, schema: Mapping[str, Any], contract: Contract) -> Iterator[NamedComparison]:
        rules = schema.get("x-rules", [])
        if not isinstance(rules, list):
            self.refuse("x-rules", rules, "a list of rules", "write []")
        names: set[str] = set()
        for position, rule in enumerate(rules):
            place = f"x-rules[{position}]"
            self.require_mapping(place, rule)
            self.require_known(place, rule, frozenset({"name", "left", "operator", "right", "description"}))
            name = self.text("name", rule, place=place)
            if not NAME_PART.fullmatch(name) or name in names:
                self.refuse(f"{place}.name", name, "a name of lower case letters, digits and _, used once", "rename it")
            names.add(name)
            operator = rule.get("operator")
            if operator not in COMPARISONS:
                self.refuse(f"{place}.operator", operator, f"one of {' '.join(COMPARISONS)}", "pick one")
            left, right = (tuple(self.text(side, rule, place=place).split(".")) for side in ("left", "right"))
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
            self.refuse(
                place,
                f"{left.name} ({left.kind}) {operator} {right.name} ({right.kind})",
                "two texts that are no date-time, two exact numbers (integer or x-decimal), or two doubles",
                "give both fields the same type",
            )

    def _known_field(self, place: str, contract: Contract, path: Path) -> Field:
        field = contract.field_at(path)
        if field is None or EACH_ITEM in path:
            names = ", ".join(each.name for each in contract.fields) or "none"
            self.refuse(place, ".".join(path), f"a field among the properties: {names}", "describe it under properties")
        return field
