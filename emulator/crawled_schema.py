"""What a crawler reads from the objects it samples: the format, the columns, the counts.

Belongs in here: one object's bytes to a schema, and two schemas to one, as Glue's classifiers do
(https://docs.aws.amazon.com/glue/latest/dg/add-classifier.html). Does not belong here: which objects make a table
(crawled_tables.py), the API (glue_crawler.py).
"""

from __future__ import annotations

import gzip
import json
import tempfile
import zlib
from dataclasses import dataclass, field
from typing import Any

# enough to see the shape of a file; Glue reads the start of a file too
_SAMPLE_BYTES = 2 * 1024 * 1024
_INT_LIMIT = 2**31


@dataclass
class Schema:
    """Columns in the order in which they were first seen; a type is a name, or a mapping, or a list of one."""

    classification: str
    compression: str
    columns: dict[str, Any] = field(default_factory=dict)
    records: int = 0
    size: int = 0

    def add(self, other: Schema) -> None:
        for name, kind in other.columns.items():
            self.columns[name] = merged(self.columns.get(name), kind)
        self.records += other.records
        self.size += other.size

    def typed_columns(self) -> list[dict[str, str]]:
        return [{"Name": name, "Type": type_text(kind)} for name, kind in self.columns.items()]


def read_schema(body: bytes) -> Schema | None:
    """The schema of one object; None for an empty one."""
    if not body:
        return None
    if body[:4] == b"PAR1":
        return _parquet(body)
    text, compression = body[:_SAMPLE_BYTES], "none"
    whole = len(body) <= _SAMPLE_BYTES
    if body[:2] == b"\x1f\x8b":
        compression = "gzip"
        text, whole = _start_of_gzip(body)
    lines = text.split(b"\n")
    if not whole:
        lines = lines[:-1]
    schema = Schema("json", compression, size=len(body))
    for line in lines:
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except ValueError:
            return Schema("UNKNOWN", compression, size=len(body))
        if not isinstance(document, dict):
            return Schema("UNKNOWN", compression, size=len(body))
        schema.records += 1
        for name, kind in _kind(document).items():
            schema.columns[name] = merged(schema.columns.get(name), kind)
    if not schema.records:
        return None
    if not whole:
        schema.records = max(schema.records, schema.records * len(body) // len(text))
    return schema


def _start_of_gzip(body: bytes) -> tuple[bytes, bool]:
    """Many gzip members may follow each other in one object."""
    if len(body) <= _SAMPLE_BYTES // 8:
        try:
            return gzip.decompress(body), True
        except (OSError, EOFError, zlib.error):
            return b"not gzip", True
    decoder = zlib.decompressobj(31)
    try:
        return decoder.decompress(body, _SAMPLE_BYTES), False
    except zlib.error:
        return b"not gzip", True


# ---- types: "int", {"field": type}, [type], None for a null


def _kind(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "int" if -_INT_LIMIT <= value < _INT_LIMIT else "bigint"
    if isinstance(value, float):
        return "double"
    if isinstance(value, dict):
        fields: dict[str, Any] = {}
        for name, inner in value.items():
            fields[name.lower()] = merged(fields.get(name.lower()), _kind(inner))
        return fields
    if isinstance(value, list):
        element: Any = None
        for inner in value:
            element = merged(element, _kind(inner))
        return [element]
    return "string"


def merged(one: Any, other: Any) -> Any:
    """int and bigint are bigint, with a double they are double; what does not fit together is string."""
    if one is None or one == other:
        return other
    if other is None:
        return one
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: merged(one.get(name), other.get(name)) for name in [*one, *(n for n in other if n not in one)]}
    if isinstance(one, list) and isinstance(other, list):
        return [merged(one[0], other[0])]
    numbers = ("int", "bigint", "double")
    if one in numbers and other in numbers:
        return numbers[max(numbers.index(one), numbers.index(other))]
    return "string"


def type_text(kind: Any) -> str:
    if kind is None or kind == {}:
        return "string"
    if isinstance(kind, dict):
        return "struct<" + ",".join(f"{name}:{type_text(inner)}" for name, inner in kind.items()) + ">"
    if isinstance(kind, list):
        return f"array<{type_text(kind[0])}>"
    return str(kind)


# ---- Parquet

_PARQUET_NAMES = {
    "bigint": "bigint",
    "integer": "int",
    "smallint": "smallint",
    "tinyint": "tinyint",
    "ubigint": "decimal(20,0)",
    "uinteger": "bigint",
    "double": "double",
    "float": "float",
    "boolean": "boolean",
    "date": "date",
    "blob": "binary",
    "varchar": "string",
}


def _parquet(body: bytes) -> Schema:
    import duckdb

    schema = Schema("parquet", "none", size=len(body))
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file, duckdb.connect() as connection:
        file.write(body)
        file.flush()
        relation = connection.read_parquet(file.name, hive_partitioning=False)
        for name, kind in zip(relation.columns, relation.types, strict=True):
            schema.columns[name.lower()] = _parquet_kind(kind)
        counted = connection.execute("SELECT sum(num_rows) FROM parquet_file_metadata(?)", [file.name]).fetchone()
        schema.records = int(counted[0]) if counted else 0
    return schema


def _parquet_kind(kind: Any) -> Any:
    if kind.id == "struct":
        return {name.lower(): _parquet_kind(inner) for name, inner in kind.children}
    if kind.id == "list":
        return [_parquet_kind(kind.children[0][1])]
    if kind.id == "map":
        (_, key), (_, value) = kind.children
        return f"map<{type_text(_parquet_kind(key))},{type_text(_parquet_kind(value))}>"
    if kind.id == "decimal":
        (_, precision), (_, scale) = kind.children
        return f"decimal({precision},{scale})"
    if kind.id.startswith("timestamp"):
        return "timestamp"
    return _PARQUET_NAMES.get(kind.id, "string")
