"""What the lines of a table obey and what its rows are, in the words of Spark's SQL.

Belongs here: the shape of a line, the table's columns and their types, what makes two rows the same. Does not belong
here: reading lines (line_reading), which of them are loaded (judgement).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eventlake.contract_terms import Contract
from eventlake.row_rules import RowRule, table_rules
from eventlake.settings import UNCONTRACTED_TABLE
from eventlake.table_schema import (
    ENVELOPE_COLUMNS,
    JSON_TEXT,
    LINEAGE_COLUMNS,
    Column,
    ColumnShape,
    contract_columns,
    protected_places,
    table_columns,
    table_shape,
)

BODY = "body"

_TEXT = ColumnShape("string")
# of another type, a text of it is kept: no rule asks for one
_ANY = ColumnShape(JSON_TEXT)
_LAKE_FIELDS = ("ingested_at", "shard_id", "sequence_number")
ENVELOPE_SHAPES: dict[str, ColumnShape] = {
    "event_uuid": _TEXT,
    "event_name": _TEXT,
    "event_type": _TEXT,
    "event_subtype": _TEXT,
    "event_detail": _ANY,
    # its column is made of created_datetime, so of this only the type is judged
    "created_at": ColumnShape("number"),
    "created_datetime": _TEXT,
    "producer": _ANY,
    "_lake": ColumnShape("object", children=tuple((name, _TEXT) for name in _LAKE_FIELDS)),
}

_BODY_COLUMN = Column(BODY, "string", "JSON of the event as its sender sent it")

# what the lake added to a line, up to its end: names and numbers in it hold nothing that JSON escapes
ADDED = (
    r',"created_datetime":"[^"]*","event_type":"[^"]*","event_subtype":"[^"]*"'
    r',"event_detail":(?:null|"[^"]*"),"_lake":\{[^{}]*\}\}\s*$'
)


@dataclass(frozen=True)
class TableLines:
    """Everything that a table's lines obey. `event_type` None: the table of names without a contract."""

    table: str
    event_type: str | None
    contracts: tuple[Contract, ...]

    @property
    def shapes(self) -> dict[str, ColumnShape]:
        return {**ENVELOPE_SHAPES, **dict(table_shape(self.contracts))}

    @property
    def columns(self) -> tuple[Column, ...]:
        if self.event_type is None:
            return (*ENVELOPE_COLUMNS, _BODY_COLUMN, *LINEAGE_COLUMNS)
        return table_columns(self.contracts)

    @property
    def rules(self) -> tuple[RowRule, ...]:
        return table_rules(self.contracts)

    @property
    def protects(self) -> bool:
        """Whether the table gets something else than what was sent anywhere."""
        return bool(protected_places(self.contracts))

    @property
    def owner(self) -> str:
        return ", ".join(dict.fromkeys(contract.owner for contract in self.contracts)) or "nobody yet"

    @property
    def content_columns(self) -> tuple[str, ...]:
        """What makes two rows the same: the envelope and what contracts name, not how a row came here."""
        made_of = (_BODY_COLUMN,) if self.event_type is None else contract_columns(self.contracts)
        return tuple(column.name for column in (*ENVELOPE_COLUMNS, *made_of))


def lines_of_table(event_type: str | None, table: str, contracts: Sequence[Contract]) -> TableLines:
    return TableLines(table, event_type, () if table == UNCONTRACTED_TABLE else tuple(contracts))


def cast_type(shape: ColumnShape) -> str:
    """The column's own type, names quoted."""
    if shape.kind == "object":
        return f"struct<{','.join(f'{quoted(name)}:{cast_type(child)}' for name, child in shape.children)}>"
    if shape.items is not None:
        return f"array<{cast_type(shape.items)}>"
    return shape.sql_type


def content(lines: TableLines, row: str = "") -> str:
    """A row's content as one value; as JSON, it is the same text for rows of equal content. `row`: the struct with the
    columns, where they do not lie open."""
    before = row and f"{row}."
    return f"named_struct({', '.join(f'{text(c)}, {before}{quoted(c)}' for c in lines.content_columns)})"


def content_hash(lines: TableLines, row: str = "") -> str:
    """Equal for rows of equal content. As JSON, because a hash over columns would skip nulls and so mix columns up."""
    return f"sha2(to_json({content(lines, row)}), 256)"


def quoted(name: str) -> str:
    return f"`{name}`"


def text(value: str) -> str:
    """A SQL text."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
