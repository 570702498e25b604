"""Who is in the tables: identities of the published rows, of open quarantine, of duplicates that loads dropped.

Reads identity columns only, through PyIceberg, and only what readers see.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.table import Table

from eventlake.settings import EVENTS_DATABASE, Settings
from eventlake_aws import load_store
from eventlake_aws.clients import Clients
from eventlake_aws.iceberg_catalog import tables_of
from eventlake_aws.quarantine_rows import read_sidecar
from eventlake_aws.row_filters import from_until, one_of

_IDENTITY_COLUMNS = ("shard_id", "sequence_number", "event_uuid", "event_type", "event_date", "ingested_at")


class TableRow(NamedTuple):
    shard_id: str
    sequence_number: int
    event_type: str
    event_day: str
    ingested_at: datetime


class DroppedDuplicate(NamedTuple):
    """A row that a load dropped, because this uuid was there already."""

    table: str
    shard_id: str
    sequence_number: int
    event_uuid: str
    event_day: str


def event_tables(catalog: GlueCatalog) -> list[str]:
    return tables_of(catalog, (EVENTS_DATABASE,))


def published_rows(table: Table) -> int:
    """Rows that readers see, as the current snapshot says."""
    snapshot = table.current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return 0
    return int(snapshot.summary.additional_properties.get("total-records", "0"))


def read_table(table: Table, since: datetime, until: datetime, take: Callable[[TableRow], None]) -> dict[str, int]:
    """Hands every published row that arrived in the time to `take`; answers uuids that stand there more than once."""
    if table.current_snapshot() is None:
        return {}
    # `until` itself belongs to the time, and the column knows microseconds
    scan = table.scan(
        row_filter=from_until("ingested_at", since.isoformat(), _just_after(until)), selected_fields=_IDENTITY_COLUMNS
    )
    uuids: list[pa.ChunkedArray] = []
    for batch in scan.to_arrow_batch_reader():
        texts = (batch.column(name).to_pylist() for name in ("shard_id", "sequence_number", "event_type"))
        days = pc.strftime(batch.column("event_date"), format="%Y-%m-%d").to_pylist()
        times = batch.column("ingested_at").to_pylist()
        for shard_id, number, event_type, day, time in zip(*texts, days, times, strict=True):
            take(TableRow(shard_id, int(number), event_type, day, time))
        uuids.append(batch.column("event_uuid"))
    return _repeated(uuids)


def dropped_duplicates(clients: Clients, settings: Settings, load_ids: Iterable[str]) -> list[DroppedDuplicate]:
    """What published loads dropped, from the sidecars that their outcomes name."""
    dropped: list[DroppedDuplicate] = []
    for load_id in sorted(set(load_ids)):
        outcome = load_store.read_outcome(clients, settings, load_id)
        if outcome is None or outcome["duplicates_uri"] is None:
            continue
        counted = {*outcome["published"], *outcome["empty"]}
        dropped.extend(
            DroppedDuplicate(
                row["table"], row["shard_id"], int(row["sequence_number"]), row["event_uuid"], row["event_date"]
            )
            for row in read_sidecar(load_store.read_uri(clients, outcome["duplicates_uri"]))
            if row["table"] in counted
        )
    return dropped


def twins_in_table(table: Table, uuids_by_day: Mapping[str, Collection[str]]) -> set[str]:
    """Which of these uuids readers see on their days: a duplicate without a twin was the event itself."""
    if table.current_snapshot() is None:
        return set()
    wanted = {uuid for uuids in uuids_by_day.values() for uuid in uuids}
    row_filter = one_of("event_date", uuids_by_day) if uuids_by_day else AlwaysTrue()
    found: set[str] = set()
    for batch in table.scan(row_filter=row_filter, selected_fields=("event_uuid",)).to_arrow_batch_reader():
        found.update(wanted.intersection(batch.column("event_uuid").to_pylist()))
    return found


def _repeated(uuids: list[pa.Array]) -> dict[str, int]:
    if not uuids:
        return {}
    everything = pa.chunked_array(uuids)
    if pc.count_distinct(everything).as_py() == len(everything):
        return {}
    return {pair["values"]: pair["counts"] for pair in pc.value_counts(everything).to_pylist() if pair["counts"] > 1}


def _just_after(moment: datetime) -> str:
    return (moment + timedelta(microseconds=1)).isoformat()
