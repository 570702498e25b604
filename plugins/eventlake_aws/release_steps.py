"""Carrying out what a person decided on the landings that a load holds: load them now, with or without the gate's
consent, or never.

To load them is a load like any other, of these landings only, under the leases of their tables: until it has its plan
they stay held, and if it fails they wait for the next hourly load, which the gate judges as always. Every decision is a
row of control.releases. Does not belong here: the decision's own rules (`eventlake.release`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from eventlake.circuit_breaker import with_rejections_of
from eventlake.errors import TerminalError
from eventlake.leases import lease_of_table
from eventlake.load_plan import Landing, LoadKind, LoadPlan, adopt_or_open, load_id_prefix, plan_load, tables_wanted
from eventlake.release import Release, ReleaseAction
from eventlake.settings import Settings
from eventlake_aws import landing_list, lease_store, load_store
from eventlake_aws.clients import Clients
from eventlake_aws.control_tables import RELEASES, append_rows, read_rows
from eventlake_aws.definitions_store import current_definitions
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.load_steps import base_snapshots, leases_of, with_pairs
from eventlake_aws.row_filters import equals

_LOG = logging.getLogger(__name__)


def plan_and_store_release(
    clients: Clients,
    settings: Settings,
    *,
    dag_id: str,
    run_id: str,
    release: Release,
    tables: Collection[str],
    dry_run: bool,
    now: datetime,
) -> dict[str, Any]:
    """Opens the load of what is held, or adopts the one that a former try opened; or supersedes it. A dry run only
    says what is held. `tables`: of these only; none: of all."""
    previous = load_store.known_loads(clients, settings, load_id_prefix(dag_id, run_id))
    release_id, is_adopted = adopt_or_open(dag_id, run_id, previous)
    if is_adopted:
        plan = load_store.read_plan(clients, settings, release_id)
        # an expired lease that another writer took since is not ours again: the base check at publish will tell
        lease_store.take_leases(clients, settings, leases_of(plan), release_id, now)
        return _release_to(clients, settings, plan, now)
    held = held_landings(clients, settings, release.load_id, tables)
    if dry_run or not held:
        return _answer(release_id, release, held, nothing_to_do=True)
    if release.action is ReleaseAction.SUPERSEDE:
        _write_down(settings, release_id, release, held, now)
        landing_list.mark_superseded(clients, settings, release.load_id, release_id, held)
        return _answer(release_id, release, held, nothing_to_do=True)
    return _opened(clients, settings, release_id, release, held, now)


def held_landings(clients: Clients, settings: Settings, load_id: str, tables: Collection[str]) -> list[Landing]:
    """What this load holds and nobody has decided on. Raises TerminalError for a load that can hold nothing."""
    outcome = load_store.read_outcome(clients, settings, load_id)
    if outcome is None:
        raise TerminalError(
            f"releasing load {load_id}: received a load that has not ended, or that nobody knows; valid is one that "
            "control.loads shows as held; take its load_id from there"
        )
    plan = load_store.read_plan(clients, settings, load_id)
    if plan.kind is LoadKind.REBUILD:
        raise TerminalError(
            f"releasing load {load_id}: received a rebuild, which holds no landing; valid is a load; correct the suite "
            "or the contract, deploy, and rebuild the same days"
        )
    planned = {table.table for table in plan.tables}
    if unknown := sorted(set(tables) - planned):
        raise TerminalError(
            f"releasing load {load_id}: received the tables {', '.join(unknown)}; valid are those of the load: "
            f"{', '.join(sorted(planned))}; or none, for all of them; trigger the run again"
        )
    wanted = [table for table in plan.tables if not tables or table.table in tables]
    identities = {landing.identity for table in wanted for landing in table.landings}
    records = landing_list.landing_records(clients, settings, identities).values()
    return sorted(record.landing for record in records if record.status == "held" and record.held_by == load_id)


def _opened(
    clients: Clients, settings: Settings, release_id: str, release: Release, held: Sequence[Landing], now: datetime
) -> dict[str, Any]:
    definitions = current_definitions(clients, settings)
    landings = with_pairs(clients, settings, held)
    tables = tables_wanted(landings, definitions.contracted_pairs)
    leases = [lease_of_table(table) for table in tables]
    if refused := lease_store.take_all_or_none(clients, settings, leases, release_id, now):
        _LOG.info(json.dumps({"decision": "await_leases", "load_id": release_id, "leased": refused}))
        return {"nothing_to_do": True, "leased": refused}
    # the bases are read only now: from here on nobody else may move them
    plan = plan_load(
        release_id,
        landings,
        definitions.contracted_pairs,
        base_snapshots(settings, tables),
        (),
        settings.load_ceiling_bytes,
        definitions.key,
        now.isoformat(),
        release=release,
    )
    plan = with_rejections_of(plan, load_store.read_plan(clients, settings, release.load_id))
    return _release_to(clients, settings, load_store.write_plan(clients, settings, plan), now)


def _release_to(clients: Clients, settings: Settings, plan: LoadPlan, now: datetime) -> dict[str, Any]:
    """Hands the landings over to the load that is to take them. Doing it twice changes nothing."""
    release = plan.release
    assert release is not None, f"the plan of {plan.load_id} is one of a release"
    _write_down(settings, plan.load_id, release, plan.landings, now)
    landing_list.mark_released(clients, settings, release.load_id, plan.landings)
    papers = load_store.papers(clients, settings)
    uris = {"plan_uri": papers.plan_uri(plan.load_id), "receipt_prefix": papers.folder_uri(plan.load_id)}
    return _answer(plan.load_id, release, plan.landings, nothing_to_do=False) | uris


def _write_down(
    settings: Settings, release_id: str, release: Release, landings: Sequence[Landing], now: datetime
) -> None:
    """The decision, before it is carried out, so that none goes without its reason."""
    catalog = open_catalog(settings)
    if read_rows(catalog, settings, RELEASES, equals("release_id", release_id), ("release_id",)):
        return
    row = {
        "release_id": release_id,
        "load_id": release.load_id,
        "action": release.action.value,
        "event_types": ", ".join(sorted({landing.event_type for landing in landings})),
        "landings": len(landings),
        "reason": release.reason,
        "decided_by": release.decided_by,
        "decided_at": now,
    }
    append_rows(catalog, settings, RELEASES, [row])


def _answer(release_id: str, release: Release, landings: Sequence[Landing], *, nothing_to_do: bool) -> dict[str, Any]:
    answer = {
        "load_id": release_id,
        "held_by": release.load_id,
        "action": release.action.value,
        "event_types": sorted({landing.event_type for landing in landings}),
        "landings": len(landings),
        "bytes": sum(landing.size_bytes for landing in landings),
        "nothing_to_do": nothing_to_do,
        "leased": [],
    }
    # who decided and why stands in control.releases: a log holds no free text
    _LOG.info(json.dumps({"decision": "release_load"} | answer))
    return answer
