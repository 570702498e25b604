"""The published tables on a laptop: what there is, and SQL over it by DuckDB. Reads `main` of a table, nothing else.

What does not belong here: writing, staged branches, and raw files.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table

from eventlake.errors import TerminalError

QUERIED_DATABASES = ("events", "rollups", "quarantine", "control")
NAMED_TABLE = re.compile(rf'\b({"|".join(QUERIED_DATABASES)})\s*\.\s*"?(\w+)"?', re.IGNORECASE)
WORD = re.compile(r"\w+")
COUNT_OF_ALL = re.compile(r"count\s*\(\s*\*\s*\)", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    columns: list[str]
    types: list[str]
    rows: list[tuple[str | None, ...]]


def table_names(catalog: GlueCatalog) -> list[str]:
    return sorted(".".join(name) for database in QUERIED_DATABASES for name in catalog.list_tables(database))


def published_rows(table: Table) -> int:
    """From the current snapshot's own count."""
    snapshot = table.current_snapshot()
    return int(snapshot.summary["total-records"] or 0) if snapshot and snapshot.summary else 0


def named_tables(sql: str) -> list[str]:
    return sorted({f"{database.lower()}.{table.lower()}" for database, table in NAMED_TABLE.findall(sql)})


def needed_columns(sql: str, columns: Iterable[str]) -> tuple[str, ...]:
    """The columns that the text names, or all where it says `*`: what is not asked for is not read."""
    if "*" in COUNT_OF_ALL.sub("", sql):
        return ("*",)
    words = {word.lower() for word in WORD.findall(sql)}
    named = tuple(column for column in columns if column.lower() in words)
    return named or (next(iter(columns)),)


def ask(catalog: GlueCatalog, sql: str) -> Answer:
    """Raises TerminalError in one line when a table or the SQL is wrong."""
    connection = duckdb.connect(":memory:", config={"enable_external_access": "false"})
    for name in named_tables(sql):
        table = _load(catalog, name)
        columns = needed_columns(sql, [field.name for field in table.schema().fields])
        arrow = table.scan(selected_fields=columns).to_arrow()
        database, _, short = name.partition(".")
        connection.register(f"published_{database}_{short}", arrow)
        connection.execute(f'create schema if not exists "{database}"')
        connection.execute(f'create view "{database}"."{short}" as select * from "published_{database}_{short}"')
    try:
        connection.execute("set TimeZone = 'UTC'")
        result = connection.sql(sql.rstrip().rstrip(";"))
        if result is None:
            return Answer([], [], [])
        names, types = list(result.columns), [str(one) for one in result.types]
        rows = result.project(
            ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}"::varchar' for name in names)
        ).fetchall()
    except duckdb.Error as error:
        text = " ".join(str(error).split("\n\nLINE")[0].split())
        raise TerminalError(f"asking {sql!r}: {text}; `make query` alone lists the tables") from error
    return Answer(names, types, rows)


def _load(catalog: GlueCatalog, name: str) -> Table:
    try:
        return catalog.load_table(name)
    except NoSuchTableError as error:
        near = difflib.get_close_matches(name, table_names(catalog), n=3) or table_names(catalog)[:5]
        hint = f"there are {', '.join(near)}" if near else "nothing has been published yet"
        raise TerminalError(
            f"reading {name}: there is no such table; {hint}; `make query` alone lists them all"
        ) from error
