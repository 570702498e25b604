"""How a line of raw becomes typed columns in Spark: the schema it is parsed with, and what each column is made of.

Belongs here: SQL text for one table's lines. A line is parsed once, with every column that the table has; numbers that
have to be exact are read wide, judged (row_rules), and only then cut to the column's own type.
Does not belong here: which rows are wrong; reading files.

In every expression the line is `value` and its parsed form is `e`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eventlake.contract_terms import Contract
from eventlake.row_rules import RowRule, table_rules
from eventlake.settings import UNCONTRACTED_TABLE
from eventlake.table_schema import (
    ENVELOPE_COLUMNS,
    LINEAGE_COLUMNS,
    OTHER_FIELDS,
    Column,
    ColumnShape,
    contract_columns,
    protected_places,
    table_columns,
    table_shape,
)
from eventlake_spark.protection import with_protection

WIDEST_DECIMAL = 38
WIDE_SCALE = 18
UNREADABLE = "`unreadable line`"  # no contract can name a field so
BODY = "body"

_TEXT = ColumnShape("string")
# in the order in which admission writes them
LAKE_FIELDS = ("ingested_at", "shard_id", "sequence_number", "area", "day", "code_hash")
ENVELOPE_SHAPES: dict[str, ColumnShape] = {
    "event_uuid": _TEXT,
    "event_name": _TEXT,
    "event_type": _TEXT,
    "event_subtype": _TEXT,
    "event_detail": _TEXT,
    # its column is made of created_datetime, so of this only the type is judged
    "created_at": ColumnShape("number"),
    "created_datetime": _TEXT,
    "producer": _TEXT,
    "_lake": ColumnShape("object", children=tuple((name, _TEXT) for name in LAKE_FIELDS)),
}

_BODY_COLUMN = Column(BODY, "string", "JSON of the event as its sender sent it")

# a session's time is UTC: reading the Z costs as much as all the rest
CREATED = "CAST(TRIM(TRAILING 'Z' FROM e.created_datetime) AS TIMESTAMP)"
INGESTED = "CAST(TRIM(TRAILING 'Z' FROM e._lake.ingested_at) AS TIMESTAMP)"

# what the lake added to a line, up to its end: names and numbers in it hold nothing that JSON escapes
_ADDED = (
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


def parse_expression(lines: TableLines) -> str:
    """The line as a struct; what cannot be read in it makes the field UNREADABLE non-null."""
    fields = [f"{quoted(name)} {parse_type(shape)}" for name, shape in lines.shapes.items()]
    schema = ", ".join([*fields, f"{UNREADABLE} string"])
    options = {
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": UNREADABLE.strip("`"),
        "allowNonNumericNumbers": "false",
        "allowSingleQuotes": "false",
    }
    pairs = ", ".join(f"{text(name)}, {text(value)}" for name, value in options.items())
    return f"from_json(value, {text(schema)}, map({pairs}))"


def parse_type(shape: ColumnShape) -> str:
    """The type that a value is read with: as the column's, but exact numbers wide enough to see what does not fit."""
    if shape.decimal is not None:
        return f"decimal({WIDEST_DECIMAL},{wide_scale(shape.decimal)})"
    if shape.kind == "object":
        return f"struct<{','.join(f'{quoted(name)}:{parse_type(child)}' for name, child in shape.children)}>"
    if shape.items is not None:
        return f"array<{parse_type(shape.items)}>"
    return shape.sql_type


def wide_scale(decimal: tuple[int, int]) -> int:
    """Digits after the point that a value is read with: the whole part of the column's type has to fit as well."""
    precision, scale = decimal
    return max(scale, min(WIDE_SCALE, WIDEST_DECIMAL - (precision - scale)))


def column_expressions(lines: TableLines, load_id: str) -> dict[str, str]:
    """What each column of the table is made of. Columns that only a good row can have are null in a bad one."""
    made: dict[str, str] = {
        "event_uuid": "lower(e.event_uuid)",
        "event_name": "e.event_name",
        "event_type": "e.event_type",
        "event_subtype": "e.event_subtype",
        "event_detail": "e.event_detail",
        # cut, as created_datetime is; the product is exact
        "created_at": (
            f"CAST(CAST(unix_micros({CREATED}) AS DECIMAL(20,0)) * CAST('0.000001' AS DECIMAL(6,6)) AS DECIMAL(20,6))"
        ),
        "created_datetime": CREATED,
        "event_date": f"CAST({CREATED} AS DATE)",
        "producer": "e.producer",
        "ingested_at": INGESTED,
        "shard_id": "e._lake.shard_id",
        "sequence_number": "e._lake.sequence_number",
        "raw_object": "raw_object",
        "load_id": text(load_id),
        OTHER_FIELDS: _other_fields(lines),
        BODY: f"regexp_replace(value, {text(_ADDED)}, '}}')",
    }
    protected = protected_places(lines.contracts)
    for name, shape in table_shape(lines.contracts):
        read = f"e.{quoted(name)}"
        value = with_protection(read, shape, (name,), protected)
        is_as_read = value == read and parse_type(shape) == cast_type(shape)
        made[name] = value if is_as_read else f"CAST({value} AS {cast_type(shape)})"
    return {column.name: made[column.name] for column in lines.columns}


def cast_type(shape: ColumnShape) -> str:
    """The column's own type, names quoted."""
    if shape.kind == "object":
        return f"struct<{','.join(f'{quoted(name)}:{cast_type(child)}' for name, child in shape.children)}>"
    if shape.items is not None:
        return f"array<{cast_type(shape.items)}>"
    return shape.sql_type


def content(lines: TableLines) -> str:
    """A row's content as one value; as JSON, it is the same text for rows of equal content."""
    return f"named_struct({', '.join(f'{text(c)}, {quoted(c)}' for c in lines.content_columns)})"


def content_hash(lines: TableLines) -> str:
    """Equal for rows of equal content. As JSON, because a hash over columns would skip nulls and so mix columns up."""
    return f"sha2(to_json({content(lines)}), 256)"


def _other_fields(lines: TableLines) -> str:
    """The fields that no contract of the type names, as one JSON object; null where there are none.

    Within a JSON array, get_json_object keeps the quotes of texts. It knows no name with a quote or a question mark;
    such a field is kept as a text.
    """
    known = ", ".join(text(name) for name in lines.shapes)
    unknown = f"array_except(json_object_keys(value), array({known}))"
    only_value = "'^.[^:]*:|.$', ''"  # of an object with one plain name
    members = (
        f"transform({unknown}, k -> concat(regexp_replace(to_json(named_struct('k', k)), {only_value}), ':',"
        """ coalesce(get_json_object(concat('[', value, ']'), concat("$[*]['", k, "']")),"""
        f" regexp_replace(to_json(named_struct('v', from_json(value, 'map<string,string>')[k])), {only_value}))))"
    )
    # concat with null is null, so a field that is null is missing here, too
    return f"nullif(concat('{{', array_join({members}, ','), '}}'), '{{}}')"


def quoted(name: str) -> str:
    return f"`{name}`"


def text(value: str) -> str:
    """A SQL text."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
