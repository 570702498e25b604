"""What the crawlers wrote into the catalog, compared with the contracts in force and kept in control.crawls.

A partition of a crawled table has the columns of its own folder, and its first key is the subtype: so a field that is
new is told of the subtype that sends it. What a crawler guesses is held against some lines of raw.

Belongs here: reading catalog, lines and contracts, writing rows and patches. Does not belong here: what is drift
(eventlake.drift), what a patch says (eventlake.contract_patch).
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog

from eventlake.contract import ContractIndex, parse_contract
from eventlake.contract_draft import SeenSubtype
from eventlake.contract_patch import Patches, draft_patches
from eventlake.crawled_types import CrawledType, crawled_type, merged
from eventlake.drift import CrawledSubtype, DriftKind, DriftLine, DriftSeverity, Subtype, find_drift, weighed
from eventlake.settings import RAW_DATABASE, Settings
from eventlake_aws.clients import Clients
from eventlake_aws.control_tables import CRAWLS, append_rows, read_rows
from eventlake_aws.definitions_store import current_definitions
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.raw_sample import sampled
from eventlake_aws.row_filters import equals

_LOG = logging.getLogger(__name__)
# a row of control.crawls that only says: this type and subtype was there
_SEEN = "type_seen"
_FOLDER = re.compile(r"s3a?://(?P<bucket>[^/]+)/(?:raw|late)/event_type=(?P<event_type>[^/]+)/?")
# older folders tell of contracts that were
DAYS_LOOKED_AT = 7
# what a person is offered a patch for
PATCHED = (DriftKind.NEW_FIELD, DriftKind.NEW_TYPE)
# a lake whose every name is new would read a good part of itself; what is left out comes when the first have contracts
MOST_SAMPLED = 50
PATCHES_PREFIX = "control/contract-patches/"


def report_crawl(clients: Clients, settings: Settings, *, run_id: str, now: datetime) -> dict[str, Any]:
    """Lines of drift, patches for what is additive, and how much is breaking. Kept once a run."""
    schemas = current_definitions(clients, settings).contracts
    contracts = ContractIndex(parse_contract(name, schema) for name, schema in schemas.items())
    catalog = open_catalog(settings)
    # an event may be a day ahead of its arrival
    days = [now.date() + timedelta(days=1 - age) for age in range(DAYS_LOOKED_AT + 2)]
    crawled = _crawled(clients, settings, days)
    lines = find_drift(crawled, contracts, _seen_before(catalog, settings, run_id))
    samples = _samples(clients, settings, lines, days)
    lines = weighed(lines, samples)
    patches = draft_patches(lines, contracts, samples, f"{now:%Y-%m-%d}")
    uris = _write_patches(clients, settings, run_id, patches)
    if not read_rows(catalog, settings, CRAWLS, equals("run_id", run_id), ("run_id",)):
        append_rows(catalog, settings, CRAWLS, _rows(lines, uris, crawled, run_id, now))
    severities = Counter(line.severity for line in lines)
    types = len({one.event_type for one in crawled})
    _LOG.info(json.dumps({"decision": "report_crawl", "types": types, "severities": severities}))
    return {
        "tables": types,
        "lines": [asdict(line) for line in lines],
        "breaking": severities[DriftSeverity.BREAKING],
        "additive": severities[DriftSeverity.ADDITIVE],
        "patches": uris,
        "left_out": patches.left_out,
    }


def _patches_prefix(run_id: str) -> str:
    # a run's id holds signs that a shell and a URI would have to be told about
    return f"{PATCHES_PREFIX}{re.sub(r'[^A-Za-z0-9_-]+', '-', run_id)}/"


def _crawled(clients: Clients, settings: Settings, days: Sequence[date]) -> list[CrawledSubtype]:
    """Raw and late folders of one subtype are one: the same events, told apart by age only."""
    found: dict[Subtype, dict[str, CrawledType]] = {}
    for table in _glue_tables(clients, RAW_DATABASE):
        folder = _FOLDER.fullmatch(table.get("StorageDescriptor", {}).get("Location", ""))
        if folder is None or folder["bucket"] != settings.raw_bucket:
            continue
        keys = [key["Name"] for key in table.get("PartitionKeys", [])]
        for partition in _partitions(clients, table["Name"], days):
            values = dict(zip(keys, partition["Values"], strict=False))
            if (values.get("year"), values.get("month"), values.get("day")) in {_parts(day) for day in days}:
                fields = found.setdefault((folder["event_type"], values.get("event_subtype", "")), {})
                _add_columns(fields, partition["StorageDescriptor"]["Columns"])
    return [CrawledSubtype(*pair, dict(sorted(fields.items()))) for pair, fields in sorted(found.items())]


def _add_columns(fields: dict[str, CrawledType], columns: Iterable[Mapping[str, str]]) -> None:
    for column in columns:
        kind = crawled_type(column["Type"])
        name = column["Name"].lower()
        fields[name] = merged(fields[name], kind) if name in fields else kind


def _glue_tables(clients: Clients, database: str) -> Iterator[dict[str, Any]]:
    for page in clients.glue.get_paginator("get_tables").paginate(DatabaseName=database):
        yield from page["TableList"]


def _partitions(clients: Clients, table: str, days: Sequence[date]) -> Iterator[dict[str, Any]]:
    """Those of the days' months: the catalog holds years."""
    months = sorted({(f"{day:%Y}", f"{day:%m}") for day in days})
    expression = " OR ".join(f"(year = '{year}' AND month = '{month}')" for year, month in months)
    pages = clients.glue.get_paginator("get_partitions").paginate(
        DatabaseName=RAW_DATABASE, TableName=table, Expression=expression
    )
    for page in pages:
        yield from page["Partitions"]


def _parts(day: date) -> tuple[str, str, str]:
    return f"{day:%Y}", f"{day:%m}", f"{day:%d}"


def _samples(
    clients: Clients, settings: Settings, lines: Iterable[DriftLine], days: Sequence[date]
) -> dict[Subtype, SeenSubtype]:
    """Of the subtypes that have more to say than that something optional did not come; first what breaks."""
    wanted = sorted(
        (line.severity is not DriftSeverity.BREAKING, line.subtype)
        for line in lines
        if line.kind in PATCHED or line.severity is DriftSeverity.BREAKING
    )
    chosen = list(dict.fromkeys(pair for _, pair in wanted))[:MOST_SAMPLED]
    return {pair: sampled(clients, settings, *pair, days) for pair in chosen}


def _write_patches(clients: Clients, settings: Settings, run_id: str, patches: Patches) -> dict[str, str]:
    """Each where a person finds it; gives the addresses by contract."""
    uris: dict[str, str] = {}
    for name, patch in sorted((patches.by_contract | patches.new_contracts).items()):
        key = f"{_patches_prefix(run_id)}{name}.json"
        body = json.dumps(patch, indent=2, ensure_ascii=False).encode() + b"\n"
        clients.s3.put_object(Bucket=settings.lake_bucket, Key=key, Body=body, ContentType="application/json")
        uris[name] = f"s3://{settings.lake_bucket}/{key}"
    return uris


def _seen_before(catalog: GlueCatalog, settings: Settings, run_id: str) -> list[Subtype]:
    """What the last crawl that is not this one saw."""
    columns = ("run_id", "event_type", "event_subtype", "crawled_at", "kind")
    rows = read_rows(catalog, settings, CRAWLS, equals("kind", _SEEN), columns)
    others = [row for row in rows if row["run_id"] != run_id]
    if not others:
        return []
    last = max(others, key=lambda row: row["crawled_at"])["run_id"]
    return [(row["event_type"], row["event_subtype"] or "") for row in others if row["run_id"] == last]


def _rows(
    lines: Sequence[DriftLine],
    uris: Mapping[str, str],
    crawled: Sequence[CrawledSubtype],
    run_id: str,
    now: datetime,
) -> list[dict[str, Any]]:
    """`patch_uri` is on the lines that their patch is about."""
    told = [
        asdict(line) | ({"patch_uri": uris.get("/".join(line.subtype))} if line.kind in PATCHED else {})
        for line in lines
    ]
    seen = [
        {
            "kind": _SEEN,
            "severity": DriftSeverity.NOTICE,
            "event_type": one.event_type,
            "event_subtype": one.event_subtype,
        }
        for one in crawled
    ]
    return [row | {"run_id": run_id, "crawled_at": now} for row in (*told, *seen)]
