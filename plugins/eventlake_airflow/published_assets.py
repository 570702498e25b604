"""Tables as Assets: each publish is an event on the table's Asset, with the load and the days that it touched.

Which tables there are is known only when a load ends, so tasks declare the alias and name the Assets as they go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from airflow.sdk import Asset, AssetAlias, get_current_context

if TYPE_CHECKING:
    from pydantic import JsonValue

PUBLISHED_TABLES = AssetAlias("published-tables", group="eventlake")


def announce_published(load_id: str, days_by_table: Mapping[str, Iterable[str]]) -> None:
    """One event a table. Whoever is scheduled on `Asset("events.payment_events")` learns what changed."""
    events = get_current_context()["outlet_events"][PUBLISHED_TABLES]
    for table, days in sorted(days_by_table.items()):
        touched: list[JsonValue] = [*sorted(days)]
        events.add(Asset(name=table, group="eventlake"), extra={"load_id": load_id, "days": touched})
