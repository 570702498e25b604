"""Which objects make which table, and which folders are its partitions.

Belongs in here: include path, exclusions, table level, partition keys
(https://docs.aws.amazon.com/glue/latest/dg/crawler-s3-folder-table-partition.html,
https://docs.aws.amazon.com/glue/latest/dg/crawler-table-level.html). Does not belong here: what is in an object
(crawled_schema.py), what the catalog does with it (glue_crawler.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from emulator.crawled_schema import Schema, read_schema

_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
_FORMATS = {
    "json": (_TEXT_INPUT, _TEXT_OUTPUT, "org.openx.data.jsonserde.JsonSerDe"),
    "parquet": (
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    ),
    "UNKNOWN": (_TEXT_INPUT, _TEXT_OUTPUT, "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"),
}


@dataclass
class Folder:
    """A leaf folder: one partition, or the whole table where there are none."""

    location: str
    values: tuple[str, ...]
    objects: int = 0
    schema: Schema | None = None


@dataclass
class CrawledTable:
    name: str
    location: str
    partition_keys: tuple[str, ...]
    folders: dict[str, Folder] = field(default_factory=dict)
    schema: Schema | None = None


def excluded(relative_key: str, patterns: Iterable[str]) -> bool:
    """https://docs.aws.amazon.com/glue/latest/dg/define-crawler-choose-data-sources.html: patterns of Glue's globs."""
    return any(re.fullmatch(_glob(pattern), relative_key) for pattern in patterns)


def _glob(pattern: str) -> str:
    """`**` crosses folders, `*` and `?` do not, `{a,b}` and `[a-z]` choose."""
    expression, position, depth = "", 0, 0
    while position < len(pattern):
        character = pattern[position]
        if pattern.startswith("**", position):
            expression, position = expression + ".*", position + 1
        elif character in "*?":
            expression += "[^/]*" if character == "*" else "[^/]"
        elif character == "{":
            expression, depth = expression + "(?:", depth + 1
        elif character == "}" and depth:
            expression, depth = expression + ")", depth - 1
        elif character == "," and depth:
            expression += "|"
        elif character == "[" and "]" in pattern[position:]:
            end = pattern.index("]", position)
            expression += "[" + pattern[position + 1 : end].replace("!", "^", 1) + "]"
            position = end
        else:
            expression += re.escape(character)
        position += 1
    return expression


def table_root(bucket: str, include: str, key: str, level: int | None) -> str | None:
    """The folder (ending with /, empty for the bucket) that is the table of this object; None when it lies above it."""
    folders = key.split("/")[:-1]
    if level is not None:
        # level 1 is the bucket
        if len(folders) < level - 1:
            return None
        return "".join(f"{folder}/" for folder in folders[: level - 1])
    above = include.rstrip("/").split("/") if include.strip("/") else []
    root = list(above[: len(folders)])
    for folder in folders[len(root) :]:
        if "=" in folder:
            break
        if any("=" in later for later in folders[len(root) :]):
            root.append(folder)
        else:
            break
    return "".join(f"{folder}/" for folder in root)


def table_name(bucket: str, root: str, prefix: str) -> str:
    folder = root.rstrip("/").rpartition("/")[2] or bucket
    return prefix + re.sub(r"[^a-z0-9_]", "_", folder.lower())


def partition_of(root: str, key: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys and values of the folders between a table and its object."""
    keys, values = [], []
    for number, folder in enumerate(key[len(root) :].split("/")[:-1]):
        name, equals, value = folder.partition("=")
        keys.append(name.lower() if equals else f"partition_{number}")
        values.append(value if equals else folder)
    return tuple(keys), tuple(values)


def crawl(
    bucket: str,
    include: str,
    keys: Iterable[str],
    read: Callable[[str], bytes | None],
    level: int | None,
    prefix: str,
    sample_size: int | None,
    known: Callable[[str, tuple[str, ...]], bool],
) -> list[CrawledTable]:
    """All tables of one target. `known` says whether a table's partition need not be read again."""
    tables: dict[str, CrawledTable] = {}
    for key in sorted(keys):
        root = table_root(bucket, include, key, level)
        if root is None or key.endswith("/"):
            continue
        partition_keys, values = partition_of(root, key)
        name = table_name(bucket, root, prefix)
        table = tables.setdefault(root, CrawledTable(name, f"s3://{bucket}/{root}", partition_keys))
        if partition_keys != table.partition_keys:
            continue  # Glue makes a table of its own of such a folder; nothing here writes one
        location = f"s3://{bucket}/{key.rpartition('/')[0]}/"
        folder = table.folders.setdefault(location, Folder(location, values))
        folder.objects += 1
        if (sample_size and folder.objects > sample_size) or known(name, values):
            continue
        schema = read_schema(read(key) or b"")
        if schema is not None:
            _take(table, folder, schema)
    return [table for table in tables.values() if table.schema is not None]


def _take(table: CrawledTable, folder: Folder, schema: Schema) -> None:
    for holder in (table, folder):
        if holder.schema is None:
            holder.schema = Schema(schema.classification, schema.compression)
        if holder.schema.classification == schema.classification:
            holder.schema.add(schema)


def storage(location: str, schema: Schema, columns: list[dict[str, str]], parameters: dict[str, str]) -> dict[str, Any]:
    input_format, output_format, serde = _FORMATS[schema.classification]
    serde_parameters = {"serialization.format": "1"}
    if schema.classification == "json":
        serde_parameters = {"paths": ",".join(column["Name"] for column in columns)}
    return {
        "Columns": columns,
        "Location": location,
        "InputFormat": input_format,
        "OutputFormat": output_format,
        "Compressed": schema.compression != "none",
        "NumberOfBuckets": -1,
        "SerdeInfo": {"SerializationLibrary": serde, "Parameters": serde_parameters},
        "BucketColumns": [],
        "SortColumns": [],
        "Parameters": parameters,
        "StoredAsSubDirectories": False,
    }


def parameters(crawler: str, schema: Schema, objects: int) -> dict[str, str]:
    return {
        "CrawlerSchemaDeserializerVersion": "1.0",
        "CrawlerSchemaSerializerVersion": "1.0",
        "UPDATED_BY_CRAWLER": crawler,
        "averageRecordSize": str(schema.size // max(schema.records, 1)),
        "classification": schema.classification,
        "compressionType": schema.compression,
        "objectCount": str(objects),
        "recordCount": str(schema.records),
        "sizeKey": str(schema.size),
        "typeOfData": "file",
    }
