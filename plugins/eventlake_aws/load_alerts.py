"""What a load, a rebuild or a rollup tells when it has ended, and the incidents that are over with it.

Belongs here: asking receipt, definitions, tables and landings for what `eventlake.load_alerts` decides by. Sending is
`alerts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NoSuchTableError

from eventlake.alerting import OpenIncident
from eventlake.circuit_breaker import Ceilings
from eventlake.load_alerts import (
    LOAD_HELD,
    ROLLUP,
    Evidence,
    alerts_of_outcome,
    evidence_of_load,
    evidence_of_rollup,
    incidents_over,
)
from eventlake.rollup_plan import parse_rollup_receipt
from eventlake.settings import Settings
from eventlake_aws import load_store
from eventlake_aws.alerts import clear_alert, open_incidents, raise_alert, remind
from eventlake_aws.clients import Clients
from eventlake_aws.definitions_store import current_definitions
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.paper_store import ROLLUPS_PREFIX, Papers
from eventlake_aws.publish import LOAD_ID_PROPERTY
from eventlake_aws.release_steps import held_landings


def alert_on_outcome(
    clients: Clients, settings: Settings, *, outcome: Mapping[str, Any], run_url: str, now: datetime
) -> dict[str, Any]:
    """Tells what an outcome has to tell, then closes what its good tables put an end to."""
    troubled = sorted({*outcome["held"], *outcome.get("failed", {}), *outcome["warnings"]})
    alerts = alerts_of_outcome(
        outcome,
        _evidence(clients, settings, outcome) if troubled else {},
        _owners(clients, settings, troubled) if troubled else {},
        _last_good(settings, troubled) if troubled else {},
        run_url,
        settings.data_docs_url,
        now,
    )
    answers = [raise_alert(clients, settings, alert, now=now) for alert in alerts]
    known = {incident.incident for incident in open_incidents(clients, settings)}
    over = [incident for incident in incidents_over(outcome) if incident in known]
    for incident in over:
        clear_alert(clients, settings, incident=incident, now=now)
    return {"alerts": len(alerts), "sent": sum(answer["sent"] for answer in answers), "cleared": len(over)}


def settle_held_tables(clients: Clients, settings: Settings, *, now: datetime) -> dict[str, Any]:
    """Closes the incidents of tables of which nothing is held any more, and reminds of the others once a day."""
    cleared, reminded = [], []
    for incident in open_incidents(clients, settings):
        if incident.what != LOAD_HELD:
            continue
        if not _is_held(clients, settings, incident):
            clear_alert(clients, settings, incident=incident.incident, now=now)
            cleared.append(incident.dataset)
        elif remind(clients, settings, incident, now=now):
            reminded.append(incident.dataset)
    return {"cleared": cleared, "reminded": reminded}


def _is_held(clients: Clients, settings: Settings, incident: OpenIncident) -> bool:
    return any(held_landings(clients, settings, load_id, [incident.dataset]) for load_id in sorted(incident.loads))


def _evidence(clients: Clients, settings: Settings, outcome: Mapping[str, Any]) -> dict[str, Evidence]:
    if outcome["kind"] == ROLLUP:
        papers = Papers(clients, settings, ROLLUPS_PREFIX)
        rollups = parse_rollup_receipt(papers.read_receipt(outcome["load_id"], outcome["job_run_id"])).rollups
        return {rollup.table: evidence_of_rollup(rollup) for rollup in rollups}
    receipt = load_store.read_receipt(clients, settings, outcome["load_id"], outcome["job_run_id"])
    plan = load_store.read_plan(clients, settings, outcome["load_id"])
    rejected = {entry.table: entry.rejected for entry in plan.tables}
    return {
        table.table: evidence_of_load(table, rejected.get(table.table, 0), Ceilings.of(settings))
        for table in receipt.tables
    }


def _owners(clients: Clients, settings: Settings, tables: Iterable[str]) -> dict[str, str]:
    definitions = current_definitions(clients, settings)
    return {table: definitions.owner_of_table(table) for table in tables}


def _last_good(settings: Settings, tables: Iterable[str]) -> dict[str, str]:
    catalog = open_catalog(settings)
    return {table: _shown(catalog, table) for table in tables}


def _shown(catalog: GlueCatalog, name: str) -> str:
    """What readers see of the table."""
    try:
        snapshot = catalog.load_table(name).current_snapshot()
    except NoSuchTableError:
        snapshot = None
    if snapshot is None:
        return "nothing was ever published"
    written_at = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC).isoformat(timespec="seconds")
    said = {} if snapshot.summary is None else snapshot.summary.additional_properties
    by = f" by {said[LOAD_ID_PROPERTY]}" if LOAD_ID_PROPERTY in said else ""
    return f"snapshot {snapshot.snapshot_id} of {written_at}{by}"
