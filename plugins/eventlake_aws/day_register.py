"""Which event days are closed: `control.days`. Whether a day may be closed is decided by the caller."""

from __future__ import annotations

import json
import logging
from datetime import date, datetime
from typing import Any

from eventlake.settings import Settings
from eventlake_aws.clients import Clients
from eventlake_aws.control_tables import DAYS, append_rows, read_rows
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.row_filters import all_of, equals

_LOG = logging.getLogger(__name__)
_CLOSED = "closed"


def close_day(
    clients: Clients, settings: Settings, *, day: date, watermark: datetime, rows: int, run_id: str, now: datetime
) -> dict[str, Any]:
    """Notes the day as closed, once; who asks again learns that it was closed before."""
    catalog = open_catalog(settings)
    is_closed = all_of(equals("day", day.isoformat()), equals("status", _CLOSED))
    before = read_rows(catalog, settings, DAYS, is_closed, ("day", "run_id"))
    if not before:
        row = {
            "day": day.isoformat(),
            "status": _CLOSED,
            "run_id": run_id,
            "watermark": watermark,
            "balanced": True,
            "rows": rows,
            "note": "",
            "written_at": now,
        }
        append_rows(catalog, settings, DAYS, [row])
    answer = {"day": day.isoformat(), "closed_now": not before, "closed_by": before[0]["run_id"] if before else run_id}
    _LOG.info(json.dumps({"decision": "close_day"} | answer))
    return answer
