"""Athena over a JSON table: columns in the types of the catalog, as its SerDe reads them.

Belongs in here: how a table's files become rows. ministack lets its engine guess the types anew from the files of each
query. Does not belong here: SQL (DuckDB's, not Trino's), Iceberg tables (not read here). Kinder than AWS: a table that
has a name as a column and as a partition key too is read here, with the partition's value; AWS refuses it.
https://docs.aws.amazon.com/athena/latest/ug/openx-json-serde.html
"""

from __future__ import annotations

from typing import Any

from ministack.services import athena, firehose

from emulator import patches

FIX = "athena"


def install() -> None:
    original = patches.replace(FIX, "services.athena:_table_relation", None)

    def table_relation(table: dict[str, Any], files: list[str]) -> str:
        columns = (table.get("StorageDescriptor") or {}).get("Columns") or []
        if athena._data_format(table) != "json" or not columns:
            return str(original(table, files))
        return _json_relation(table, columns, files)

    athena._table_relation = table_relation


def _json_relation(table: dict[str, Any], columns: list[dict[str, str]], files: list[str]) -> str:
    keys = [key["Name"] for key in table.get("PartitionKeys") or []]
    # a partitioned table is its partitions: what lies beside them is not read
    files = [file for file in files if all(f"/{key}=" in file for key in keys)] or files
    # a name that is a column and a partition key has the partition's value
    own = [column for column in columns if column["Name"] not in keys]
    types = ", ".join(f"{_quoted(column['Name'])}: {_quoted(_sql_type(column['Type']))}" for column in own)
    hive = athena._hive_options(athena._path_partition_keys(table, files))
    return (
        f"read_json({athena._sql_list(files)}, format = 'newline_delimited', columns = {{{types}}}, "
        f"maximum_object_size = 67108864, {hive})"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _sql_type(kind: str) -> str:
    return str(firehose._hive_to_duckdb_type(kind))
