"""What follows for records once it is known how the tables of a load end: bad rows to quarantine, rows that are good
after all resolved there, landings marked. All of it may be done twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog

from eventlake.errors import TerminalError
from eventlake.load_plan import LoadPlan
from eventlake.receipt import Receipt, TableReceipt
from eventlake.settings import Settings
from eventlake_aws import landing_list, load_store
from eventlake_aws.clients import Clients
from eventlake_aws.landing_list import LandingOutcome
from eventlake_aws.load_ends import COMING_AGAIN, DONE, HELD, PUBLISHED, TableEnd
from eventlake_aws.quarantine_rows import append_quarantine, identity_of, read_sidecar, resolve_loaded
from eventlake_aws.row_filters import equals, one_of

# ---------------------------------------------------------------- a load


def append_bad_rows(
    clients: Clients,
    catalog: GlueCatalog,
    settings: Settings,
    receipt: Receipt,
    judged: Iterable[TableEnd],
    now: datetime,
) -> dict[str, int]:
    """Bad rows of every table that was read, held ones too: they are why. Some tables come again with theirs."""
    rows = _bad_rows(clients, receipt)
    again = {end.receipt.event_type for end in judged if end.status in COMING_AGAIN and end.receipt is not None}
    return append_quarantine(
        catalog, settings, [row for row in rows if row.get("event_type") not in again], receipt.load_id, now
    )


def resolve_published(
    catalog: GlueCatalog, settings: Settings, ends: Iterable[TableEnd], load_id: str, now: datetime
) -> None:
    """Records of quarantine that this load has put into their table."""
    for end in ends:
        if end.status == PUBLISHED and end.receipt is not None:
            these_rows = equals("load_id", load_id)
            resolve_loaded(catalog, settings, end.table, end.receipt.event_type, these_rows, load_id, now)


def mark_landings(clients: Clients, settings: Settings, plan: LoadPlan, ends: Iterable[TableEnd]) -> None:
    """An object of the error prefix feeds several tables: it waits if one comes again, is held if one is held."""
    status_of_table = {end.table: end.status for end in ends}
    statuses: dict[tuple[str, str], set[str]] = {}
    for table in plan.tables:
        for landing in table.landings:
            statuses.setdefault(landing.identity, set()).add(status_of_table[table.table])
    learned = _learned([end.receipt for end in ends if end.receipt is not None])
    loaded: list[LandingOutcome] = []
    held: list[LandingOutcome] = []
    for identity, seen in statuses.items():
        outcome = learned.get(identity, LandingOutcome(*identity, 0, None, None))
        if not seen.isdisjoint(COMING_AGAIN):
            continue
        (held if HELD in seen else loaded).append(outcome)
    landing_list.mark_loaded(clients, settings, plan.load_id, loaded)
    landing_list.mark_held(clients, settings, plan.load_id, held)


def _learned(receipts: Iterable[TableReceipt]) -> dict[tuple[str, str], LandingOutcome]:
    """What all tables together learned of each landing."""
    learned: dict[tuple[str, str], LandingOutcome] = {}
    for landing in (landing for receipt in receipts for landing in receipt.landings):
        known = learned.get(landing.identity)
        first_days = [day for day in (landing.first_day, known.first_day if known else None) if day]
        last_days = [day for day in (landing.last_day, known.last_day if known else None) if day]
        learned[landing.identity] = LandingOutcome(
            landing.object_key,
            landing.etag,
            landing.lines + (known.lines if known else 0),
            min(first_days, default=None),
            max(last_days, default=None),
        )
    return learned


# ---------------------------------------------------------------- a rebuild


def settle_rebuild(
    clients: Clients,
    catalog: GlueCatalog,
    settings: Settings,
    plan: LoadPlan,
    receipt: Receipt,
    ends: Iterable[TableEnd],
    now: datetime,
) -> dict[str, int]:
    """What readers do not see any more goes to quarantine, what they see now is resolved there. Gives the newly
    quarantined rows by reason.

    Only after `main` moved, and only of tables that are as the rebuild made them: in a held one, rows stand as before.
    """
    done = {end.table: end for end in ends if end.status in DONE}
    rows = [row for row in _bad_rows(clients, receipt) if row.get("table") in done]
    quarantined = append_quarantine(catalog, settings, rows, receipt.load_id, now, reopen=True)
    duplicates: dict[str, list[Mapping[str, Any]]] = {}
    if receipt.duplicates_uri:
        for row in read_sidecar(load_store.read_uri(clients, receipt.duplicates_uri)):
            duplicates.setdefault(row["table"], []).append(row)
    newly = {row["table"] for row in rows} if quarantined else set()
    for table, end in done.items():
        copies = [identity_of(row) for row in duplicates.get(table, ())]
        of_days = one_of("event_date", plan.days)
        resolved = resolve_loaded(catalog, settings, table, None, of_days, receipt.load_id, now, copies)
        planned = plan.table(table)
        if planned is not None and (end.status == PUBLISHED or resolved or table in newly):
            landing_list.mark_rebuilt(clients, settings, receipt.load_id, planned.landings)
    return quarantined


def _bad_rows(clients: Clients, receipt: Receipt) -> list[dict[str, Any]]:
    """The rows of the sidecar; a job that lost one on the way is not believed."""
    expected = sum(table.counts.quarantined for table in receipt.tables if table.error is None)
    rows = read_sidecar(load_store.read_uri(clients, receipt.quarantine_uri)) if receipt.quarantine_uri else []
    if len(rows) < expected:
        raise TerminalError(
            f"publishing load {receipt.load_id}: received {len(rows)} quarantined rows in {receipt.quarantine_uri}; "
            f"valid are the {expected} of the receipt; nothing was published; run the load again"
        )
    return rows
