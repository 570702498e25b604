"""What the crawler saw against what the contracts say: new fields, changed types, types that came or went.

The crawler guesses from samples, so it reports and never decides: an additive line comes with the patch of the contract
that a person may merge, a breaking one with an alert. Does not belong here: asking the catalog (`crawl_report`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# what every event has, whatever its contract says, and the folders' names
ENVELOPE_FIELDS = frozenset(
    {
        "event_uuid",
        "event_name",
        "created_at",
        "producer",
        "created_datetime",
        "event_type",
        "event_subtype",
        "event_detail",
        "_lake",
        "year",
        "month",
        "day",
    }
)

# what a crawler may say of a JSON value, by the JSON type that the contract says
_SEEN_AS = {
    "string": frozenset({"string", "timestamp", "date", "char", "varchar"}),
    "integer": frozenset({"tinyint", "smallint", "int", "bigint"}),
    "number": frozenset({"tinyint", "smallint", "int", "bigint", "float", "double", "decimal"}),
    "boolean": frozenset({"boolean"}),
    "object": frozenset({"struct", "map"}),
    "array": frozenset({"array"}),
}


class DriftKind(StrEnum):
    NEW_FIELD = "new_field"
    CHANGED_TYPE = "changed_type"
    VANISHED_TYPE = "vanished_type"
    NEW_TYPE = "new_type"


class DriftSeverity(StrEnum):
    BREAKING = "breaking"
    ADDITIVE = "additive"
    NOTICE = "notice"


@dataclass(frozen=True, order=True)
class DriftLine:
    event_type: str
    event_subtype: str
    field: str
    kind: DriftKind
    severity: DriftSeverity
    seen: str
    expected: str


@dataclass(frozen=True)
class CrawledTable:
    """One table of the crawler: the columns of an event type, and which subtypes its folders name."""

    event_type: str
    subtypes: tuple[str, ...]
    columns: Mapping[str, str]


def find_drift(
    crawled: Iterable[CrawledTable], contracts: Mapping[str, Mapping[str, Any]], seen_before: Iterable[str] = ()
) -> list[DriftLine]:
    """Lines in order of type and field. `seen_before`: event types that the crawl before this one saw."""
    lines: list[DriftLine] = []
    types_now: set[str] = set()
    for table in crawled:
        types_now.add(table.event_type)
        prefix = f"{table.event_type}/"
        schemas = {name.removeprefix(prefix): one for name, one in contracts.items() if name.startswith(prefix)}
        lines.extend(_new_names(table, schemas))
        if schemas:
            lines.extend(_field_lines(table, schemas))
    lines += [
        DriftLine(gone, "", "", DriftKind.VANISHED_TYPE, DriftSeverity.NOTICE, "no folder", "seen by the last crawl")
        for gone in set(seen_before) - types_now
    ]
    return sorted(lines)


def contract_patches(lines: Iterable[DriftLine], contracts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a person may merge into a contract, by contract name: the new fields as JSON Schema properties."""
    patches: dict[str, Any] = {}
    for line in lines:
        if line.kind is not DriftKind.NEW_FIELD:
            continue
        # a crawled table is a type's; which subtype sends the field, only a person knows: all are offered
        for name in sorted(name for name in contracts if name.split("/")[0] == line.event_type):
            property_patch = json_schema_of(line.seen) | {"description": "", "x-pii": "none"}
            patches.setdefault(name, {"properties": {}})["properties"][line.field] = property_patch
    return patches


def json_schema_of(glue_type: str) -> dict[str, Any]:
    """A crawled column type as JSON Schema; what cannot be said stays open."""
    glue_type = glue_type.strip()
    if glue_type.startswith("array<"):
        return {"type": "array", "items": json_schema_of(_inside(glue_type))}
    if glue_type.startswith("struct<"):
        members = dict(_members(_inside(glue_type)))
        return {"type": "object", "properties": {name: json_schema_of(member) for name, member in members.items()}}
    base = _base(glue_type)
    for json_type in ("boolean", "integer", "number", "string"):
        if base in _SEEN_AS[json_type]:
            return {"type": json_type}
    return {}


def _new_names(table: CrawledTable, schemas: Mapping[str, Any]) -> Iterator[DriftLine]:
    for subtype in table.subtypes:
        if subtype not in schemas:
            # its events can be queried already, in events.uncontracted
            yield DriftLine(
                table.event_type, subtype, "", DriftKind.NEW_TYPE, DriftSeverity.ADDITIVE, "a folder", "a contract"
            )


def _field_lines(table: CrawledTable, schemas: Mapping[str, Mapping[str, Any]]) -> Iterator[DriftLine]:
    known: dict[str, set[str]] = {}
    for schema in schemas.values():
        for name, declared in schema.get("properties", {}).items():
            known.setdefault(name.lower(), set()).update(_json_types(declared))
    keeps_others = any(schema.get("x-other-fields") for schema in schemas.values())
    for column, seen in table.columns.items():
        if column in ENVELOPE_FIELDS:
            continue
        if column not in known:
            severity = DriftSeverity.NOTICE if keeps_others else DriftSeverity.ADDITIVE
            yield DriftLine(table.event_type, "", column, DriftKind.NEW_FIELD, severity, seen, "no such field")
        elif not _fits(seen, known[column]):
            expected = " or ".join(sorted(known[column]))
            yield DriftLine(
                table.event_type, "", column, DriftKind.CHANGED_TYPE, DriftSeverity.BREAKING, seen, expected
            )


def _fits(seen: str, json_types: set[str]) -> bool:
    """No type said: anything fits."""
    base = _base(seen)
    return not json_types or any(base in _SEEN_AS.get(json_type, frozenset()) for json_type in json_types)


def _json_types(declared: Mapping[str, Any]) -> set[str]:
    types = declared.get("type", [])
    named = {types} if isinstance(types, str) else set(types)
    return named - {"null"}


def _base(glue_type: str) -> str:
    return re.split(r"[<(]", glue_type.strip().lower(), maxsplit=1)[0]


def _inside(glue_type: str) -> str:
    return glue_type[glue_type.index("<") + 1 : glue_type.rindex(">")]


def _members(text: str) -> Iterator[tuple[str, str]]:
    """`a:string,b:struct<c:int>` as pairs, splitting only where no bracket is open."""
    depth, start = 0, 0
    for position, sign in enumerate(f"{text},"):
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            name, _, member = text[start:position].partition(":")
            if name:
                yield name, member
            start = position + 1
