"""Opening a rebuild: which days and landings it takes, under which leases. From its plan on it is a load like others.

All of its leases or none: a rebuild that finds one taken gives the others back, so that the hourly loads of those types
go on, and is asked again. Staging is the job's, publishing `publish_load`'s.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NoSuchTableError

from eventlake.circuit_breaker import names_without_stopped, without_stopped
from eventlake.errors import TerminalError
from eventlake.leases import lease_of_table
from eventlake.load_plan import LoadPlan, adopt_or_open, load_id_prefix, table_of_type, type_of_table
from eventlake.rebuild_plan import LoadedLanding, ShownName, days_that_fit, plan_rebuild, tables_of_rebuild
from eventlake.settings import UNCONTRACTED_TABLE, Settings
from eventlake_aws import lease_store, load_store, rebuild_requests
from eventlake_aws.clients import Clients
from eventlake_aws.definitions_store import Definitions, current_definitions
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.load_steps import base_snapshots, leases_of
from eventlake_aws.loaded_landings import loaded_landings
from eventlake_aws.row_filters import all_of, one_of
from eventlake_aws.stopped_tables import stopped_tables

_LOG = logging.getLogger(__name__)
_THREADS = 8


@dataclass(frozen=True)
class _Sources:
    """What a rebuild of some days would read, and which names the tables show. `stopped`: tables that it leaves out,
    and the load that stops each."""

    days: tuple[str, ...]
    landings: tuple[LoadedLanding, ...]
    shown: tuple[ShownName, ...]
    stopped: Mapping[str, str]


def plan_and_store_rebuild(
    clients: Clients,
    settings: Settings,
    *,
    dag_id: str,
    run_id: str,
    days: Sequence[str],
    types: Collection[str],
    dry_run: bool,
    now: datetime,
) -> dict[str, Any]:
    """Opens the rebuild of these days, or adopts the one that a former try opened. A dry run opens nothing."""
    adopted = _adopted(clients, settings, dag_id, run_id, now)
    if adopted is not None:
        return adopted
    definitions = current_definitions(clients, settings)
    _require_known_types(definitions, types)
    sources = _sources(clients, settings, definitions, days, types)
    _require_running(sources.stopped, types)
    fitting = days_that_fit(sources.landings, days, settings.load_ceiling_bytes)
    if len(fitting) < len(set(days)):
        raise TerminalError(
            f"planning a rebuild of {min(days)} to {max(days)}: received more raw than {settings.load_ceiling_bytes} "
            f"bytes; valid is what lies under that, here up to {fitting[-1]}; ask for fewer days or types, or backfill "
            "close_day, whose runs take one day after the other"
        )
    load_id = _new_load_id(clients, settings, dag_id, run_id)
    return _opened(clients, settings, definitions, load_id, sources, (), dry_run, now)


def plan_and_store_asked_days(
    clients: Clients, settings: Settings, *, dag_id: str, run_id: str, request: str, day: str, now: datetime
) -> dict[str, Any]:
    """Opens the rebuild of this day and of the others that wait for one, or learns that somebody has done it."""
    adopted = _adopted(clients, settings, dag_id, run_id, now)
    if adopted is not None:
        return adopted
    served_by = rebuild_requests.served_by(clients, settings, request)
    if served_by is not None:
        return {"served_by": served_by, "nothing_to_do": True, "leased": []}
    waiting = {request: day} | rebuild_requests.waiting_days(clients, settings)
    definitions = current_definitions(clients, settings)
    sources = _sources(clients, settings, definitions, list(waiting.values()), ())
    # its own day first: it must not end without it
    fitting = days_that_fit(sources.landings, (day, *sources.days), settings.load_ceiling_bytes)
    taken = [name for name, asked in waiting.items() if asked in fitting]
    load_id = _new_load_id(clients, settings, dag_id, run_id)
    some = replace(sources, days=fitting)
    answer = _opened(clients, settings, definitions, load_id, some, taken, False, now)
    if answer["nothing_to_do"] and not answer["leased"]:
        # no landing of these days was ever loaded: that is all there is to say to whoever waits for them
        rebuild_requests.mark_served(clients, settings, taken, load_id)
    return answer


def _adopted(clients: Clients, settings: Settings, dag_id: str, run_id: str, now: datetime) -> dict[str, Any] | None:
    previous = load_store.known_loads(clients, settings, load_id_prefix(dag_id, run_id))
    load_id, is_adopted = adopt_or_open(dag_id, run_id, previous)
    if not is_adopted:
        return None
    plan = load_store.read_plan(clients, settings, load_id)
    # an expired lease that another writer took since is not ours again: the base check at publish will tell
    lease_store.take_leases(clients, settings, leases_of(plan), load_id, now)
    return _answer(clients, settings, plan)


def _new_load_id(clients: Clients, settings: Settings, dag_id: str, run_id: str) -> str:
    return adopt_or_open(dag_id, run_id, load_store.known_loads(clients, settings, load_id_prefix(dag_id, run_id)))[0]


def _opened(
    clients: Clients,
    settings: Settings,
    definitions: Definitions,
    load_id: str,
    sources: _Sources,
    requests: Sequence[str],
    dry_run: bool,
    now: datetime,
) -> dict[str, Any]:
    pairs = definitions.contracted_pairs
    tables = tables_of_rebuild(sources.landings, sources.days, pairs, sources.shown)
    leases = [lease_of_table(table) for table in tables]
    if not dry_run:
        refused = lease_store.take_all_or_none(clients, settings, leases, load_id, now)
        if refused:
            _LOG.info(json.dumps({"decision": "await_leases", "load_id": load_id, "leased": refused}))
            return {"nothing_to_do": True, "leased": refused}
    # the bases are read only now: from here on nobody else may move them
    plan = plan_rebuild(
        load_id,
        sources.landings,
        sources.days,
        pairs,
        base_snapshots(settings, tables),
        sources.shown,
        definitions.key,
        now.isoformat(),
        requests,
    )
    if plan.tables and not dry_run:
        plan = load_store.write_plan(clients, settings, plan)
    return _answer(clients, settings, plan, sources.stopped)


def _sources(
    clients: Clients, settings: Settings, definitions: Definitions, days: Sequence[str], types: Collection[str]
) -> _Sources:
    landings = tuple(loaded_landings(clients, settings, days, types))
    catalog = open_catalog(settings)
    # a name may have left the table for names without a contract, or have gone back to it
    back = {one.landing.event_type for one in landings if _is_uncontracted(one, definitions)}
    tables = [UNCONTRACTED_TABLE, *(table_of_type(event_type) for event_type in sorted(back))]
    with ThreadPoolExecutor(_THREADS) as pool:
        shown = [
            name for names in pool.map(lambda one: _shown_names(catalog, one, days, types), tables) for name in names
        ]
    pairs, every_day = definitions.contracted_pairs, tuple(sorted(set(days)))
    wanted = tables_of_rebuild(landings, every_day, pairs, shown)
    stopped = {table: load for table, load in stopped_tables(clients, settings).items() if table in wanted}
    return _Sources(
        every_day,
        tuple(without_stopped(landings, pairs, stopped)),
        tuple(names_without_stopped(shown, pairs, stopped)),
        stopped,
    )


def _is_uncontracted(one: LoadedLanding, definitions: Definitions) -> bool:
    landing = one.landing
    return bool(landing.event_type) and landing.tables(definitions.contracted_pairs) == (UNCONTRACTED_TABLE,)


def _shown_names(
    catalog: GlueCatalog, table_name: str, days: Collection[str], types: Collection[str]
) -> list[ShownName]:
    try:
        table = catalog.load_table(table_name)
    except NoSuchTableError:
        return []
    if table.current_snapshot() is None:
        return []
    wanted = one_of("event_date", days)
    if types:
        wanted = all_of(wanted, one_of("event_type", types))
    rows = table.scan(row_filter=wanted, selected_fields=("event_type", "event_subtype")).to_arrow()
    pairs = rows.group_by(["event_type", "event_subtype"]).aggregate([]).to_pylist()
    return sorted(ShownName(table_name, pair["event_type"], pair["event_subtype"]) for pair in pairs)


def _require_known_types(definitions: Definitions, types: Collection[str]) -> None:
    known = {event_type for event_type, _ in definitions.contracted_pairs}
    unknown = sorted(set(types) - known)
    if unknown:
        # a name without a contract has no rules to be judged by again; all of them are rebuilt when no type is named
        raise TerminalError(
            f"planning a rebuild: received the types {', '.join(unknown)}; valid are those with a contract: "
            f"{', '.join(sorted(known))}; or none, for all of them; trigger the run again"
        )


def _require_running(stopped: Mapping[str, str], types: Collection[str]) -> None:
    """Whoever names a type wants that type: to rebuild the others would be no answer."""
    if named := {table: load for table, load in stopped.items() if type_of_table(table) in types}:
        raise TerminalError(
            f"planning a rebuild: received {', '.join(sorted(named))}, of which too many records are bad in "
            f"{', '.join(sorted(set(named.values())))}; valid are tables of which nothing is held for such a rate; "
            "decide on those loads with release_load first (docs/runbooks/load-held.md)"
        )


def _answer(
    clients: Clients, settings: Settings, plan: LoadPlan, stopped: Mapping[str, str] | None = None
) -> dict[str, Any]:
    papers = load_store.papers(clients, settings)
    answer = {
        "load_id": plan.load_id,
        "plan_uri": papers.plan_uri(plan.load_id),
        "receipt_prefix": papers.folder_uri(plan.load_id),
        "days": list(plan.days),
        "tables": {table.table: len(table.landings) for table in plan.tables},
        "landings": len(plan.landings),
        "bytes": plan.size_bytes,
        "stopped": dict(stopped or {}),
        "nothing_to_do": not plan.tables,
        "leased": [],
    }
    _LOG.info(json.dumps({"decision": "plan_rebuild"} | answer))
    return answer
