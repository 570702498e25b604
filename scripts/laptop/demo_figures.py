"""What a demo has to show, read from what the lake itself keeps: books, loads, quarantine, decisions, tables.

What does not belong here: printing it (demo_story), and any counting of our own beside the lake's.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NoSuchTableError

from eventlake.errors import TerminalError
from eventlake.settings import EVENTS_DATABASE, QUARANTINE_TABLE, Settings
from eventlake_aws.control_tables import BOOKS, LOADS
from laptop.tables import published_rows

STREAM_COLUMNS = ("received", "admitted", "duplicate", "rejected", "replayed", "in_flight")
TABLE_COLUMNS = ("landed", "loaded", "load_duplicate", "quarantined", "waiting", "held", "superseded")
ENDED_LOADS = ("published", "empty")


@dataclass(frozen=True)
class Figures:
    received: int
    admitted: int
    duplicates: int
    rejected: dict[str, int]
    replayed: int
    landed_objects: int
    loaded: int
    load_duplicates: int
    quarantined: dict[str, int]
    waiting: int
    held: int
    residual: int
    # both halves of the books, column -> records
    stream_half: dict[str, int]
    table_half: dict[str, int]
    tables: dict[str, int]
    rollups: dict[str, int]
    # station -> records missing there; empty when the books balance
    stations: dict[str, int]
    samples: list[str]


def read_figures(catalog: GlueCatalog, dynamodb: Any, s3: Any, settings: Settings) -> Figures:
    """Raises TerminalError when no books were balanced."""
    books = last_balance(rows_of(catalog, BOOKS))
    stream = [row for row in books if row["half"] == "stream"]
    table = [row for row in books if row["half"] == "table"]
    loads = [row for row in rows_of(catalog, LOADS) if row["status"] in ENDED_LOADS]
    quarantine = [row for row in rows_of(catalog, QUARANTINE_TABLE) if row["resolved_by"] is None]
    return Figures(
        received=total(stream, "received"),
        admitted=total(stream, "admitted"),
        duplicates=total(stream, "duplicate"),
        rejected=rejections(s3, settings),
        replayed=total(stream, "replayed"),
        landed_objects=count_items(dynamodb, settings.landings_table),
        loaded=total(loads, "loaded"),
        load_duplicates=total(loads, "duplicate"),
        quarantined=dict(sorted(Counter(row["reason"] for row in quarantine).items())),
        waiting=total(table, "waiting"),
        held=total(table, "held"),
        residual=total(books, "differences"),
        stream_half={column: total(stream, column) for column in STREAM_COLUMNS},
        table_half={column: total(table, column) for column in TABLE_COLUMNS},
        tables=rows_by_table(catalog, EVENTS_DATABASE),
        rollups=rows_by_table(catalog, "rollups"),
        stations=stations(books),
        samples=[one for row in books for one in json.loads(row["samples"] or "[]")],
    )


def last_balance(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not rows:
        raise TerminalError("reading control.books: nothing has been balanced; look at the run of close_day")
    last = max(rows, key=lambda row: row["written_at"])["run_id"]
    return [row for row in rows if row["run_id"] == last]


def total(rows: Iterable[Mapping[str, Any]], column: str) -> int:
    return sum(row[column] or 0 for row in rows)


def stations(books: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for row in books:
        counted.update(json.loads(row["stations"] or "{}"))
    return dict(sorted(counted.items()))


def rows_of(catalog: GlueCatalog, name: str) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = catalog.load_table(name).scan().to_arrow().to_pylist()
    except NoSuchTableError:
        return []
    return rows


def rows_by_table(catalog: GlueCatalog, database: str) -> dict[str, int]:
    names = sorted(".".join(name) for name in catalog.list_tables(database))
    return {name: published_rows(catalog.load_table(name)) for name in names}


def rejections(s3: Any, settings: Settings) -> dict[str, int]:
    """By reason. A decision is delivered at least once, so each record counts once."""
    reasons: dict[tuple[str, str], str] = {}
    for line in decision_lines(s3, settings, "rejected"):
        decision = json.loads(line)
        reasons[decision["shard_id"], decision["sequence_number"]] = decision["reason"]
    return dict(sorted(Counter(reasons.values()).items()))


def decision_lines(s3: Any, settings: Settings, verdict: str) -> Iterable[bytes]:
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=settings.raw_bucket, Prefix=f"decisions/verdict={verdict}/"
    )
    for page in pages:
        for entry in page.get("Contents", []):
            body = s3.get_object(Bucket=settings.raw_bucket, Key=entry["Key"])["Body"].read()
            yield from gzip.decompress(body).splitlines()


def count_items(dynamodb: Any, table: str) -> int:
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, Select="COUNT")
    return sum(page["Count"] for page in pages)
