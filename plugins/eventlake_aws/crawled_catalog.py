"""What a crawl leaves in the catalog, made readable: no column may repeat a partition key.

A crawler lists every field of the JSON as a column, and every Hive key of the path as a partition key. `event_subtype`
and `verdict` are both. Athena refuses such a table (HIVE_INVALID_METADATA: duplicate columns), so the column goes; the
key has the same value. https://docs.aws.amazon.com/athena/latest/ug/partitions.html
"""

from __future__ import annotations

from typing import Any

from eventlake.settings import DECISIONS_DATABASE, RAW_DATABASE
from eventlake_aws.clients import Clients

# what GetTable adds to the input that CreateTable and UpdateTable take
_TABLE_INPUT = (
    "Name",
    "Description",
    "Owner",
    "Retention",
    "StorageDescriptor",
    "PartitionKeys",
    "TableType",
    "Parameters",
)


def drop_repeated_columns(clients: Clients) -> list[str]:
    """Names of the crawled tables that were put right."""
    changed = []
    for database in (RAW_DATABASE, DECISIONS_DATABASE):
        for page in clients.glue.get_paginator("get_tables").paginate(DatabaseName=database):
            for table in page["TableList"]:
                without = without_repeated_columns(table)
                if without is not None:
                    clients.glue.update_table(DatabaseName=database, TableInput=without)
                    changed.append(f"{database}.{table['Name']}")
    return sorted(changed)


def without_repeated_columns(table: dict[str, Any]) -> dict[str, Any] | None:
    """The input that puts a table right; None when nothing is wrong with it."""
    keys = {key["Name"] for key in table.get("PartitionKeys", [])}
    columns = table["StorageDescriptor"]["Columns"]
    kept = [column for column in columns if column["Name"] not in keys]
    if len(kept) == len(columns):
        return None
    written = {name: table[name] for name in _TABLE_INPUT if name in table}
    return written | {"StorageDescriptor": table["StorageDescriptor"] | {"Columns": kept}}
