"""Days that wait for a rebuild: who asked for them, so that one rebuild serves many who ask at about the same time.

A backfill of thirty days is thirty runs, and each of them asks for its day. Whoever gets the leases takes all the days
that wait; the others find their day done. What is asked for is an object in the lake bucket, by name and day.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from eventlake.settings import Settings
from eventlake_aws.clients import Clients

_WAITING = "control/rebuilds/waiting/"
_SERVED = "control/rebuilds/served/"


def ask_for_day(clients: Clients, settings: Settings, name: str, day: str) -> None:
    """Asks, anew when it was served before: whoever asks again means it."""
    clients.s3.put_object(Bucket=settings.lake_bucket, Key=f"{_WAITING}{name}", Body=json.dumps({"day": day}).encode())


def waiting_days(clients: Clients, settings: Settings) -> dict[str, str]:
    """Everybody who waits: name -> day."""
    pages = clients.s3.get_paginator("list_objects_v2").paginate(Bucket=settings.lake_bucket, Prefix=_WAITING)
    names = [entry["Key"].removeprefix(_WAITING) for page in pages for entry in page.get("Contents", [])]
    bodies = {name: _read(clients, settings, f"{_WAITING}{name}") for name in names}
    return {name: str(body["day"]) for name, body in bodies.items() if body is not None}


def served_by(clients: Clients, settings: Settings, name: str) -> str | None:
    """The rebuild that did what was asked for; None while it waits."""
    if _read(clients, settings, f"{_WAITING}{name}") is not None:
        return None
    body = _read(clients, settings, f"{_SERVED}{name}")
    return None if body is None else str(body["load_id"])


def mark_served(clients: Clients, settings: Settings, names: Iterable[str], load_id: str) -> None:
    """Written before the request goes: a crash between is a rebuild that changes nothing, and nobody waits in vain."""
    for name in names:
        body = json.dumps({"load_id": load_id}).encode()
        clients.s3.put_object(Bucket=settings.lake_bucket, Key=f"{_SERVED}{name}", Body=body)
        clients.s3.delete_object(Bucket=settings.lake_bucket, Key=f"{_WAITING}{name}")


def _read(clients: Clients, settings: Settings, key: str) -> dict[str, Any] | None:
    try:
        body: dict[str, Any] = json.loads(clients.s3.get_object(Bucket=settings.lake_bucket, Key=key)["Body"].read())
    except clients.s3.exceptions.NoSuchKey:
        return None
    return body
