"""Tables that the circuit breaker stops: a load of theirs is held for a rate, and nobody has decided on it yet.

Belongs here: asking control.loads and the landings. What a stop means is `eventlake.circuit_breaker`'s.
"""

from __future__ import annotations

from eventlake.settings import Settings
from eventlake_aws.clients import Clients
from eventlake_aws.control_tables import LOADS, read_rows
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.load_ends import HELD
from eventlake_aws.release_steps import held_landings
from eventlake_aws.row_filters import all_of, equals


def stopped_tables(clients: Clients, settings: Settings) -> dict[str, str]:
    """Table -> the load that stops it, the oldest of several."""
    tripped = all_of(equals("status", HELD), equals("trips_breaker", True))
    rows = read_rows(open_catalog(settings), settings, LOADS, tripped)
    stopped: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: row["ended_at"]):
        table, load_id = row["table_name"], row["load_id"]
        if table not in stopped and held_landings(clients, settings, load_id, [table]):
            stopped[table] = load_id
    return stopped
