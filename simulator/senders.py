"""How senders write an event down: each kind of client has its own habits, and the lake has to keep every byte of them.

Belongs here: order of keys, spaces, escapes, fractions of time, case of uuids. Does not belong here: which event.
"""

from __future__ import annotations

import json
from typing import Any

from simulator.scene import MICROSECONDS, Scene

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_COMPACT_ESCAPED = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))
_SPACED = json.JSONEncoder(ensure_ascii=False)

_SERVICES = {
    "account": "identity-service", "payment": "billing", "subscription": "billing", "refund": "billing",
    "invoice": "ledger", "referral": "growth-service", "notification": "courier", "tutor": "marketplace",
    "booking": "marketplace", "certificate": "credentials", "support": "helpdesk", "classroom": "schools-api",
    "message": "moderation", "course": "studio", "review": "moderation", "experiment": "lab",
}  # fmt: skip


def written(
    event_uuid: str, event_name: str, created_us: int, payload: dict[str, Any], scene: Scene
) -> tuple[bytes, int]:
    """The event as its sender writes it, and created_at in microseconds as it stands there."""
    if "app" not in payload:
        return _by_server(event_uuid, event_name, created_us, payload, scene)
    seconds, rest = divmod(created_us, MICROSECONDS)
    platform = payload["app"]["platform"]
    if platform == "ios":
        # Foundation prints uuids in capitals; the envelope comes last
        body = _COMPACT.encode(payload)[:-1]
        tail = f'"event_uuid":"{event_uuid.upper()}","event_name":"{event_name}","created_at":{seconds}.{rest:06d}'
        return f'{body},{tail},"producer":"ios-app"}}'.encode(), created_us
    if platform == "android":
        body = _COMPACT_ESCAPED.encode(payload)[1:]
        head = f'"event_name":"{event_name}","event_uuid":"{event_uuid}","created_at":{seconds}.{rest // 1000:03d}'
        return f'{{{head},"producer":"android-app",{body}'.encode(), created_us - rest % 1000
    body = _COMPACT.encode(payload)[1:]
    producer = '"producer":"web-app",' if scene.chance(0.7) else ""
    head = f'"event_uuid":"{event_uuid}","event_name":"{event_name}","created_at":{seconds}.{rest // 1000:03d}'
    return f"{{{head},{producer}{body}".encode(), created_us - rest % 1000


def _by_server(
    event_uuid: str, event_name: str, created_us: int, payload: dict[str, Any], scene: Scene
) -> tuple[bytes, int]:
    seconds = created_us // MICROSECONDS
    fields = {"event_uuid": event_uuid, "event_name": event_name, "created_at": seconds}
    service = _SERVICES.get(event_name.partition(":")[0])
    if service is not None and scene.chance(0.9):
        fields["producer"] = service
    return _SPACED.encode(fields | payload).encode(), seconds * MICROSECONDS
