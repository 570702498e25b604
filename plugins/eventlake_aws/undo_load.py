"""Taking a published load back: `main` to what it was if nothing came since, else its rows out of a new snapshot.

Rows first, then the landings, which stay held until the load is released: a crash between is finished by running again.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog

from eventlake.errors import TerminalError, TransientError
from eventlake.leases import LeaseAnswer, lease_of_table
from eventlake.load_plan import LoadKind
from eventlake.settings import Settings
from eventlake_aws import landing_list, lease_store, load_store
from eventlake_aws.clients import Clients
from eventlake_aws.iceberg_catalog import commit_again, open_catalog
from eventlake_aws.publish import Stale, main_snapshot_id, move_main
from eventlake_aws.row_filters import equals

_LOG = logging.getLogger(__name__)

MOVE_MAIN, DELETE_ROWS, NOTHING = "move_main", "delete_rows", "nothing"


def undo_load(clients: Clients, settings: Settings, *, load_id: str, dry_run: bool, now: datetime) -> dict[str, Any]:
    """What would be taken back from which table, and how; not a dry run: takes it back."""
    outcome = load_store.read_outcome(clients, settings, load_id)
    if outcome is None:
        raise TerminalError(
            f"undoing load {load_id}: received a load that has not ended; valid is one that published; "
            "wait for its run, or clear its publish_load"
        )
    plan = load_store.read_plan(clients, settings, load_id)
    if plan.kind is LoadKind.REBUILD:
        raise TerminalError(
            f"undoing load {load_id}: received a rebuild; valid is a load; a rebuild is taken back by another one: "
            "deploy the definitions of before, then run replay_events for the same days"
        )
    catalog = open_catalog(settings)
    ways = {table: _way(catalog, table, snapshot, load_id) for table, snapshot in outcome["snapshots"].items()}
    if not dry_run:
        for table, snapshot in outcome["snapshots"].items():
            _undo_table(clients, settings, catalog, table, snapshot, load_id, now)
        undone = landing_list.mark_undone(clients, settings, load_id, plan.landings)
    else:
        records = landing_list.landing_records(clients, settings, (landing.identity for landing in plan.landings))
        undone = sum(record.loaded_by == load_id for record in records.values())
    answer = {"load_id": load_id, "tables": ways, "landings": undone, "dry_run": dry_run}
    _LOG.info(json.dumps({"decision": "undo_load"} | answer))
    return answer


def _way(catalog: GlueCatalog, table_name: str, staged: int, load_id: str) -> dict[str, Any]:
    table = catalog.load_table(table_name)
    rows = len(table.scan(row_filter=equals("load_id", load_id), selected_fields=("load_id",)).to_arrow())
    if rows == 0:
        return {"how": NOTHING, "rows": 0}
    is_newest = main_snapshot_id(catalog, table_name) == staged and _parent(catalog, table_name, staged) is not None
    return {"how": MOVE_MAIN if is_newest else DELETE_ROWS, "rows": rows}


def _undo_table(
    clients: Clients,
    settings: Settings,
    catalog: GlueCatalog,
    table_name: str,
    staged: int,
    load_id: str,
    now: datetime,
) -> None:
    """Under the type's lease, so that no load stages on what is about to go."""
    lease, owner = lease_of_table(table_name), f"undo-{load_id}"
    if lease_store.take_lease(clients, settings, lease, owner, now) is LeaseAnswer.REFUSED:
        raise TransientError(
            f"undoing load {load_id} in {table_name}: received a lease that another writer holds; "
            f"valid is a free {lease}; run the task again when that load has ended"
        )
    way = _way(catalog, table_name, staged, load_id)["how"]
    parent = _parent(catalog, table_name, staged)
    if way == MOVE_MAIN and parent is not None and isinstance(move_main(catalog, table_name, staged, parent), Stale):
        way = DELETE_ROWS
    if way == DELETE_ROWS:
        commit_again(
            f"deleting the rows of {load_id} from {table_name}",
            lambda: catalog.load_table(table_name).delete(equals("load_id", load_id)),
        )
    lease_store.release_lease(clients, settings, lease, owner)


def _parent(catalog: GlueCatalog, table_name: str, snapshot_id: int) -> int | None:
    """What the load was published on; None when that is expired."""
    metadata = catalog.load_table(table_name).metadata
    snapshot = metadata.snapshot_by_id(snapshot_id)
    parent = None if snapshot is None else snapshot.parent_snapshot_id
    return parent if parent is not None and metadata.snapshot_by_id(parent) is not None else None
