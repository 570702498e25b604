"""What the tasks of a load do between the clock and the job: open it, free its leases.

Each function gathers, lets `eventlake` decide, and acts. Publishing is in `publish_load`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from eventlake.circuit_breaker import oldest_raw_landing, with_rejections
from eventlake.leases import lease_of_table
from eventlake.load_plan import ERRORS_AREA, Landing, LoadPlan, adopt_or_open, load_id_prefix, plan_load, tables_wanted
from eventlake.settings import Settings
from eventlake_aws import landing_list, lease_store, load_store
from eventlake_aws.clients import Clients
from eventlake_aws.definitions_store import current_definitions
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.load_metrics import count_load_ended
from eventlake_aws.paper_store import Papers
from eventlake_aws.publish import main_snapshot_id
from eventlake_aws.raw_census import read_rejections
from eventlake_aws.raw_lines import facts_of_line, lines_of_object

_LOG = logging.getLogger(__name__)
_THREADS = 8
# after a longer pause of loading, a rate would be one of many days, and cost as much to read
_LONGEST_LOOK_BACK = timedelta(days=1)


def plan_and_store_load(
    clients: Clients,
    settings: Settings,
    *,
    dag_id: str,
    run_id: str,
    areas: Sequence[str],
    now: datetime,
    needs_all: bool = False,
) -> dict[str, Any]:
    """Opens the load of this Airflow run, or adopts the one that a former try opened.

    Where another writer has a table, its landings are left for the next run; with `needs_all` nothing is planned then,
    and the leases to wait for are answered.
    """
    previous = load_store.known_loads(clients, settings, load_id_prefix(dag_id, run_id))
    load_id, is_adopted = adopt_or_open(dag_id, run_id, previous)
    if is_adopted:
        plan = load_store.read_plan(clients, settings, load_id)
        # an expired lease that another load took since is not ours again: the base check at publish will tell
        lease_store.take_leases(clients, settings, leases_of(plan), load_id, now)
        return _answer(load_store.papers(clients, settings), plan, is_adopted=True, refused=())
    waiting = with_pairs(clients, settings, landing_list.waiting_landings(clients, settings, areas))
    definitions = current_definitions(clients, settings)
    tables = tables_wanted(waiting, definitions.contracted_pairs)
    leases = [lease_of_table(table) for table in tables]
    take = lease_store.take_all_or_none if needs_all else lease_store.take_what_is_free
    leased = take(clients, settings, leases, load_id, now)
    if leased and needs_all:
        _LOG.info(json.dumps({"decision": "await_leases", "load_id": load_id, "leased": leased}))
        return {"nothing_to_do": True, "leased": leased}
    refused = {table for table in tables if lease_of_table(table) in leased}
    # the bases are read only now: from here on nobody else may move them
    plan = plan_load(
        load_id,
        waiting,
        definitions.contracted_pairs,
        base_snapshots(settings, [table for table in tables if table not in refused]),
        refused,
        settings.load_ceiling_bytes,
        definitions.key,
        now.isoformat(),
        areas,
    )
    if plan.tables:
        plan = load_store.write_plan(clients, settings, _with_rejections(clients, settings, plan, now))
    else:
        count_load_ended(clients, settings)
    release_all(clients, settings, set(leases) - set(leased) - set(leases_of(plan)), load_id)
    return _answer(load_store.papers(clients, settings), plan, is_adopted=False, refused=sorted(refused))


def _with_rejections(clients: Clients, settings: Settings, plan: LoadPlan, now: datetime) -> LoadPlan:
    """What admission rejected while these landings came in stands beside them: the gate judges both."""
    since = min((oldest for entry in plan.tables if (oldest := oldest_raw_landing(entry))), default=None)
    if since is None:
        return plan
    return with_rejections(plan, read_rejections(clients, settings, max(since, now - _LONGEST_LOOK_BACK), now))


def abandon_load(clients: Clients, settings: Settings, *, load_id: str) -> dict[str, Any]:
    """Frees the leases of a load whose job failed for good, so that the next run need not wait for their expiry."""
    plan = load_store.read_plan(clients, settings, load_id)
    return {"released": release_all(clients, settings, leases_of(plan), load_id)}


def release_leases(clients: Clients, settings: Settings, plan: LoadPlan) -> list[str]:
    """The last act of a load towards other writers."""
    return release_all(clients, settings, leases_of(plan), plan.load_id)


def with_pairs(clients: Clients, settings: Settings, waiting: Sequence[Landing]) -> list[Landing]:
    """An object of the error prefix holds any types; which ones, only its lines say."""
    client = clients.s3

    def read(landing: Landing) -> Landing:
        body = client.get_object(Bucket=settings.raw_bucket, Key=landing.object_key)["Body"].read()
        facts = [facts_of_line(line) for line in lines_of_object(landing.object_key, body)]
        # ("", "") has no contract: a line that nobody can read goes where names without a contract go
        pairs = frozenset(("", "") if fact is None else (fact.event_type, fact.event_subtype) for fact in facts)
        return replace(landing, pairs=pairs)

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(lambda one: read(one) if one.area == ERRORS_AREA else one, waiting))


def base_snapshots(settings: Settings, tables: Sequence[str]) -> dict[str, int | None]:
    catalog = open_catalog(settings)
    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(tables, pool.map(lambda table: main_snapshot_id(catalog, table), tables), strict=True))


def leases_of(plan: LoadPlan) -> list[str]:
    return [lease_of_table(table.table) for table in plan.tables]


def release_all(clients: Clients, settings: Settings, names: Iterable[str], owner: str) -> list[str]:
    return [name for name in sorted(names) if lease_store.release_lease(clients, settings, name, owner)]


def _answer(papers: Papers, plan: LoadPlan, *, is_adopted: bool, refused: Collection[str]) -> dict[str, Any]:
    answer = {
        "load_id": plan.load_id,
        "plan_uri": papers.plan_uri(plan.load_id),
        "receipt_prefix": papers.folder_uri(plan.load_id),
        "definitions_key": plan.definitions_key,
        "tables": len(plan.tables),
        "landings": len(plan.landings),
        "left_waiting": plan.left_waiting,
        "bytes": plan.size_bytes,
        "adopted": is_adopted,
        "nothing_to_do": not plan.tables,
        "leased_types": sorted(refused),
        "leased": [],
    }
    _LOG.info(json.dumps({"decision": "plan_load"} | answer))
    return answer
