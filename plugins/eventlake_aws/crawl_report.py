"""What the crawlers wrote into the catalog, compared with the contracts in force and kept in control.crawls."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog

from eventlake.drift import CrawledTable, DriftLine, DriftSeverity, contract_patches, find_drift
from eventlake.settings import RAW_DATABASE, Settings
from eventlake_aws.bucket_listing import list_folders
from eventlake_aws.clients import Clients
from eventlake_aws.control_tables import CRAWLS, append_rows, read_rows
from eventlake_aws.definitions_store import current_definitions
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.row_filters import equals

_LOG = logging.getLogger(__name__)
# a row of control.crawls that only says: this type was there
_SEEN = "type_seen"
_FOLDER = re.compile(r"s3a?://[^/]+/(?P<area>raw|late)/event_type=(?P<event_type>[^/]+)/?")


def report_crawl(clients: Clients, settings: Settings, *, run_id: str, now: datetime) -> dict[str, Any]:
    """Lines of drift, ready patches for what is additive, and how much is breaking. Kept once a run."""
    definitions = current_definitions(clients, settings)
    catalog = open_catalog(settings)
    crawled = _crawled_tables(clients, settings)
    before = _types_seen_before(catalog, settings, run_id)
    lines = find_drift(crawled, definitions.contracts, before)
    if not read_rows(catalog, settings, CRAWLS, equals("run_id", run_id), ("run_id",)):
        append_rows(catalog, settings, CRAWLS, _rows(lines, crawled, run_id, now))
    severities = Counter(line.severity for line in lines)
    answer = {
        "tables": len(crawled),
        "lines": [asdict(line) for line in lines],
        "breaking": severities[DriftSeverity.BREAKING],
        "additive": severities[DriftSeverity.ADDITIVE],
        "patches": contract_patches(lines, definitions.contracts),
    }
    _LOG.info(json.dumps({"decision": "report_crawl", "tables": len(crawled), "severities": severities}))
    return answer


def _crawled_tables(clients: Clients, settings: Settings) -> list[CrawledTable]:
    """Raw and late tables of one type are one: the same events, told apart by age only."""
    columns: dict[str, dict[str, str]] = defaultdict(dict)
    for table in _glue_tables(clients, RAW_DATABASE):
        found = _FOLDER.fullmatch(table.get("StorageDescriptor", {}).get("Location", ""))
        if found is not None:
            for column in table["StorageDescriptor"]["Columns"]:
                columns[found["event_type"]].setdefault(column["Name"], column["Type"])
    return [
        CrawledTable(event_type, _subtypes(clients, settings, event_type), dict(sorted(seen.items())))
        for event_type, seen in sorted(columns.items())
    ]


def _glue_tables(clients: Clients, database: str) -> Iterator[dict[str, Any]]:
    for page in clients.glue.get_paginator("get_tables").paginate(DatabaseName=database):
        yield from page["TableList"]


def _subtypes(clients: Clients, settings: Settings, event_type: str) -> tuple[str, ...]:
    folders = {
        folder.rstrip("/").rpartition("event_subtype=")[2]
        for area in ("raw", "late")
        for folder in list_folders(clients.s3, settings.raw_bucket, f"{area}/event_type={event_type}/")
    }
    return tuple(sorted(folders))


def _types_seen_before(catalog: GlueCatalog, settings: Settings, run_id: str) -> list[str]:
    """Event types of the last crawl that is not this one."""
    rows = read_rows(catalog, settings, CRAWLS, equals("kind", _SEEN), ("run_id", "event_type", "crawled_at", "kind"))
    others = [row for row in rows if row["run_id"] != run_id]
    if not others:
        return []
    last = max(others, key=lambda row: row["crawled_at"])["run_id"]
    return [row["event_type"] for row in others if row["run_id"] == last]


def _rows(
    lines: Sequence[DriftLine], crawled: Sequence[CrawledTable], run_id: str, now: datetime
) -> list[dict[str, Any]]:
    seen = [{"kind": _SEEN, "severity": DriftSeverity.NOTICE, "event_type": table.event_type} for table in crawled]
    return [row | {"run_id": run_id, "crawled_at": now} for row in (*map(asdict, lines), *seen)]
