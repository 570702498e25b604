"""The branches that jobs staged on: whose they are, and whether anybody may still publish or look at them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from pyiceberg.table import Table
from pyiceberg.table.refs import MAIN_BRANCH

from eventlake.load_plan import STAGED_BRANCH_PREFIX
from eventlake.settings import Settings
from eventlake.table_upkeep import BranchFact
from eventlake_aws import landing_list, load_store
from eventlake_aws.clients import Clients
from eventlake_aws.publish import LOAD_ID_PROPERTY


def staged_branches(clients: Clients, settings: Settings, name: str, table: Table) -> Iterator[BranchFact]:
    """What is known of each branch of the table that a job of ours made. Other people's branches are theirs."""
    for branch, ref in sorted(table.metadata.refs.items()):
        snapshot = table.metadata.snapshot_by_id(ref.snapshot_id)
        if branch == MAIN_BRANCH or not branch.startswith(STAGED_BRANCH_PREFIX) or snapshot is None:
            continue
        properties = {} if snapshot.summary is None else snapshot.summary.additional_properties
        load_id = properties.get(LOAD_ID_PROPERTY)
        outcome = None if load_id is None else load_store.read_outcome(clients, settings, load_id)
        is_held = load_id is not None and outcome is not None and name in outcome["held"]
        yield BranchFact(
            branch,
            datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC),
            # a rollup or a compaction publishes minutes after it staged, or never: it has no loose end to wait for
            has_ended=load_id is None or outcome is not None,
            is_held=is_held and load_id is not None and _still_holds(clients, settings, load_id, name),
        )


def _still_holds(clients: Clients, settings: Settings, load_id: str, table: str) -> bool:
    """Whether a landing of the table waits for a decision on this load; a released load holds none."""
    planned = load_store.read_plan(clients, settings, load_id).table(table)
    identities = [] if planned is None else [landing.identity for landing in planned.landings]
    records = landing_list.landing_records(clients, settings, identities)
    return any(record.held_by == load_id for record in records.values())
