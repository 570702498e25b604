"""The columns of a type's table, derived from the contracts of its subtypes.

Belongs here: the union over subtypes, what becomes JSON text.
Does not belong here: how an existing table gets there (table_evolution), talking to a catalog, and the SQL of an engine
beyond the names of its types.

JSON text: a string is kept as it is, everything else as the JSON that was sent. It is what becomes of a name whose
subtypes disagree on its type, of an object below the third level, of an object of over 200 leaves, of an array whose
items are not described, and of a field without `type`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eventlake.contract_terms import EACH_ITEM, PII_CLASSES, Contract, ContractError, Field, Path
from eventlake.protection import Protection, described, protections

DEEPEST_LEVEL = 3
MOST_LEAVES = 200
JSON_TEXT = "json"

OTHER_FIELDS = "other_fields"


@dataclass(frozen=True)
class Column:
    """One column of a table. `sql_type` is Spark's DDL in lower case."""

    name: str
    sql_type: str
    comment: str = ""
    pii: str = "none"
    is_json_text: bool = False
    protection: str = ""  # in words; empty where the column holds what was sent
    # the contracts that name it, for words only: two columns that are alike are one, whoever asks for them
    files: tuple[str, ...] = dataclasses.field(default=(), compare=False)

    @property
    def told(self) -> str:
        """What a catalog says of it."""
        return " ".join(filter(None, (self.comment, self.protection and f"({self.protection})")))


ENVELOPE_COLUMNS: tuple[Column, ...] = (
    Column("event_uuid", "string", "who this event is, lower case; unique in the table"),
    Column("event_name", "string", "type:subtype[:detail...] as sent"),
    Column("event_type", "string", "first part of event_name"),
    Column("event_subtype", "string", "second part of event_name"),
    Column("event_detail", "string", "all parts of event_name after the second, or null"),
    Column("created_at", "decimal(20,6)", "when it happened: Unix seconds as sent, cut to microseconds"),
    Column("created_datetime", "timestamp", "when it happened, UTC"),
    Column("event_date", "date", "UTC day of created_at; the partition"),
    Column("producer", "string", "who sent it, where the sender says so"),
)

LINEAGE_COLUMNS: tuple[Column, ...] = (
    Column("ingested_at", "timestamp", "when the stream received it"),
    Column("shard_id", "string", "shard of the stream"),
    Column("sequence_number", "string", "place in the shard; orders by (length, text)"),
    Column("raw_object", "string", "key of the raw object it was read from"),
    Column("load_id", "string", "the load that wrote the row"),
)

OTHER_FIELDS_COLUMN = Column(OTHER_FIELDS, "string", "JSON object of the fields that no contract of the type names")


@dataclass(frozen=True)
class ColumnShape:
    """The type of a column or of a part of one: `kind` as in contracts, JSON_TEXT where it is kept as text."""

    kind: str
    decimal: tuple[int, int] | None = None
    children: tuple[tuple[str, ColumnShape], ...] = ()
    items: ColumnShape | None = None

    @property
    def sql_type(self) -> str:
        match self.kind:
            case "integer":
                return "bigint"
            case "number":
                return "double" if self.decimal is None else f"decimal({self.decimal[0]},{self.decimal[1]})"
            case "boolean":
                return "boolean"
            case "object":
                return f"struct<{','.join(f'{name}:{shape.sql_type}' for name, shape in self.children)}>"
            case "array" if self.items is not None:
                return f"array<{self.items.sql_type}>"
            case _:
                return "string"

    @property
    def leaves(self) -> int:
        if self.kind == "object":
            return sum(shape.leaves for _, shape in self.children)
        return self.items.leaves if self.items is not None else 1


_TEXT = ColumnShape(JSON_TEXT)


def table_columns(contracts_of_one_type: Iterable[Contract]) -> tuple[Column, ...]:
    """All columns of a type's table, in order: envelope, contract columns, other_fields where asked for, lineage.

    Raises ContractError where two names differ only in case.
    """
    contracts = tuple(contracts_of_one_type)
    other_fields = (OTHER_FIELDS_COLUMN,) if any(each.keeps_other_fields for each in contracts) else ()
    return (*ENVELOPE_COLUMNS, *contract_columns(contracts), *other_fields, *LINEAGE_COLUMNS)


def contract_columns(contracts_of_one_type: Iterable[Contract]) -> tuple[Column, ...]:
    """The columns that the contracts name, without envelope, other_fields and lineage."""
    contracts = tuple(contracts_of_one_type)
    protected = protected_places(contracts)
    return tuple(
        Column(
            name=name,
            sql_type=shape.sql_type,
            comment=_joined_comments(contracts, name),
            pii=_strictest_pii(each for contract in contracts for each in contract.fields if each.name == name),
            is_json_text=shape.kind == JSON_TEXT,
            files=tuple(each.file for each in contracts if each.field_at((name,)) is not None),
            protection=described({path: how for path, how in protected.items() if path[0] == name}),
        )
        for name, shape in table_shape(contracts)
    )


def table_shape(contracts_of_one_type: Iterable[Contract]) -> tuple[tuple[str, ColumnShape], ...]:
    """Name and shape of each contract column, united over the subtypes."""
    contracts = tuple(contracts_of_one_type)
    _require_one_spelling((each.fields, each.file, "properties") for each in contracts)
    shapes: dict[str, ColumnShape] = {}
    for contract in contracts:
        for field in contract.fields:
            shape = _bounded(_shape(field), level=1)
            known = shapes.get(field.name)
            shapes[field.name] = shape if known is None else _bounded(_united(known, shape), level=1)
    return tuple(shapes.items())


def json_text_paths(contracts_of_one_type: Iterable[Contract]) -> frozenset[Path]:
    """The paths, nested ones included, that the table keeps as JSON text."""
    found: set[Path] = set()

    def walk(path: Path, shape: ColumnShape) -> None:
        if shape.kind == JSON_TEXT:
            found.add(path)
        for name, child in shape.children:
            walk((*path, name), child)
        if shape.items is not None:
            walk((*path, EACH_ITEM), shape.items)

    for name, shape in table_shape(contracts_of_one_type):
        walk((name,), shape)
    return frozenset(found)


def protected_places(contracts_of_one_type: Iterable[Contract]) -> Mapping[Path, Protection]:
    """The places of a type's table that get something else than what was sent, and what.

    Raises ContractError where the contracts ask for what cannot be done.
    """
    contracts = tuple(contracts_of_one_type)
    return protections(contracts, json_text_paths(contracts))


def _shape(field: Field) -> ColumnShape:
    if field.kind == "object":
        return ColumnShape("object", children=tuple((each.name, _shape(each)) for each in field.fields))
    if field.kind == "array":
        return _TEXT if field.items is None else ColumnShape("array", items=_shape(field.items))
    return _TEXT if field.kind == JSON_TEXT else ColumnShape(field.kind, field.decimal)


def _bounded(shape: ColumnShape, level: int) -> ColumnShape:
    """The shape with whatever is too deep, too wide or not described turned into JSON text, innermost first."""
    if shape.kind == "object":
        if level >= DEEPEST_LEVEL or not shape.children:
            return _TEXT
        bounded = ColumnShape(
            "object", children=tuple((name, _bounded(child, level + 1)) for name, child in shape.children)
        )
        return _TEXT if bounded.leaves > MOST_LEAVES else bounded
    if shape.kind == "array" and shape.items is not None:
        items = _bounded(shape.items, level)
        return _TEXT if items.kind in (JSON_TEXT, "array") else ColumnShape("array", items=items)
    return shape


def _united(left: ColumnShape, right: ColumnShape) -> ColumnShape:
    if left == right:
        return left
    if left.kind == right.kind == "object":
        children = dict(left.children)
        for name, shape in right.children:
            children[name] = _united(children[name], shape) if name in children else shape
        return ColumnShape("object", children=tuple(children.items()))
    if left.kind == right.kind == "array" and left.items is not None and right.items is not None:
        return ColumnShape("array", items=_united(left.items, right.items))
    return _TEXT


def _require_one_spelling(groups: Iterable[tuple[Sequence[Field], str, str]]) -> None:
    """Refuse names that differ only in case, on every level: tables and engines fold case, JSON does not."""
    spellings: dict[str, tuple[str, str]] = {}
    nested: dict[str, list[tuple[Sequence[Field], str, str]]] = {}
    for fields, file, place in groups:
        for field in fields:
            spelling, first_file = spellings.setdefault(field.name.lower(), (field.name, file))
            if spelling != field.name:
                raise ContractError(
                    file,
                    f"{place}.{field.name}",
                    f"the name {field.name!r} beside {spelling!r} of {first_file}",
                    "one spelling of a name for all subtypes of a type",
                    "rename one of them, or leave one out so that it stays in other_fields",
                )
            inner = field.items if field.kind == "array" else field
            if inner is not None and inner.fields:
                group = (inner.fields, file, f"{place}.{field.name}.properties")
                nested.setdefault(field.name, []).append(group)
    for group_of_name in nested.values():
        _require_one_spelling(group_of_name)


def _joined_comments(contracts: Iterable[Contract], name: str) -> str:
    comments = [each.description for contract in contracts for each in contract.fields if each.name == name]
    return "; ".join(dict.fromkeys(comment for comment in comments if comment))


def _strictest_pii(fields: Iterable[Field]) -> str:
    """A column is as personal as the most personal thing that any subtype keeps in it."""
    strictest = 0
    for field in fields:
        inner = _strictest_pii((*field.fields, *((field.items,) if field.items is not None else ())))
        strictest = max(strictest, PII_CLASSES.index(field.pii), PII_CLASSES.index(inner))
    return PII_CLASSES[strictest]
