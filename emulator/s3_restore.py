"""S3 restores: an archived object can be read for some days, after the hours that its retrieval takes.

Belongs in here: RestoreObject, how long each retrieval takes, the header, the events, on the emulator's clock
(ministack has every object back after two seconds, whatever its class). Does not belong here: how objects get into an
archive (s3_lifecycle.py, or a put with a storage class).
https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html
"""

from __future__ import annotations

import asyncio
import contextvars
import email.utils
import logging
import threading
from typing import Any
from xml.etree.ElementTree import ParseError, fromstring

from ministack import app
from ministack.core import responses
from ministack.services import s3

from emulator import clock, moments, patches
from emulator.s3_lifecycle_rules import midnight_after

FIX = "s3_restore"

_TICK_SECONDS = 0.2
_HOUR = 3600.0
# the longest that AWS documents for each class and tier; a class without a tier does not offer it
_RETRIEVAL_SECONDS = {
    "GLACIER": {"Expedited": 5 * 60.0, "Standard": 5 * _HOUR, "Bulk": 12 * _HOUR},
    "DEEP_ARCHIVE": {"Standard": 12 * _HOUR, "Bulk": 48 * _HOUR},
}
_TIERS = ("Expedited", "Standard", "Bulk")

logger = logging.getLogger("emulator.s3_restore")

# account, bucket and key of what is being restored, or is for a while
_watched: set[tuple[str, str, str]] = set()


def install() -> None:
    patches.replace(FIX, "services.s3:_restore_object", _restore_object)
    patches.replace(FIX, "services.s3:_sync_restore", lambda bucket, key, record: _phase(record))
    headers = patches.replace(FIX, "services.s3:_object_response_headers", None)
    s3._object_response_headers = lambda record, *rest, **options: _with_restore(
        headers({**record, "restore": None}, *rest, **options), record
    )
    load = patches.replace(FIX, "services.s3:load_persisted_state", None)
    s3.load_persisted_state = lambda data: _load(load, data)
    threading.Thread(target=_run, name="s3-restores", daemon=True).start()


def _load(load: Any, data: Any) -> None:
    load(data)
    for (account, bucket), held in s3._buckets._data.items():
        for key, record in held["objects"].items():
            if record.get("restore"):
                _watched.add((account, bucket, key))


# ---- requests


def _phase(record: dict[str, Any] | None) -> str | None:
    """In words that ministack's reads know; the copy is gone at its expiry, whoever notices first."""
    restore = (record or {}).get("restore")
    now = clock.now()
    if not restore or restore["expires_at"] <= now:
        return None
    return "in_progress" if now < restore["available_at"] else "restored"


def _with_restore(headers: dict[str, str], record: dict[str, Any]) -> dict[str, str]:
    phase = _phase(record)
    if phase == "in_progress":
        headers["x-amz-restore"] = 'ongoing-request="true"'
    elif phase == "restored":
        expiry = email.utils.formatdate(record["restore"]["expires_at"], usegmt=True)
        headers["x-amz-restore"] = f'ongoing-request="false", expiry-date="{expiry}"'
    return headers


def _restore_object(bucket: str, key: str, body: bytes) -> tuple[Any, ...]:
    held = s3._ensure_bucket(bucket)
    if held is None:
        return s3._no_such_bucket(bucket)
    place = f"/{bucket}/{key}"
    record = held["objects"].get(key)
    if record is None:
        return s3._error("NoSuchKey", "The specified key does not exist.", 404, place)
    tiers = _RETRIEVAL_SECONDS.get(record.get("storage_class") or "STANDARD")
    if tiers is None:
        message = "Restore is not allowed for the object's current storage class"
        return s3._error("InvalidObjectState", message, 403, place)
    asked = _asked(body)
    if asked is None:
        return s3._error("MalformedXML", s3._MALFORMED_XML, 400, place)
    days, tier = asked
    if tier not in tiers:
        return s3._error("InvalidArgument", f"{tier} retrievals are not available for this storage class", 400, place)
    phase, now = _phase(record), clock.now()
    if phase == "in_progress":
        return s3._error("RestoreAlreadyInProgress", "Object restore is already in progress", 409, place)
    if phase == "restored":
        # asked again, it only stays longer or shorter
        record["restore"]["expires_at"] = midnight_after(now, days)
        return 200, {}, b""
    available_at = now + tiers[tier]
    record["restore"] = {"available_at": available_at, "expires_at": midnight_after(available_at, days), "told": False}
    _watched.add((responses.get_account_id(), bucket, key))
    _tell(bucket, key, record, "s3:ObjectRestore:Post")
    return 202, {}, b""


def _asked(body: bytes) -> tuple[int, str] | None:
    """Days and tier of the request; None when it says neither clearly."""
    try:
        said = {element.tag.rpartition("}")[2]: (element.text or "").strip() for element in fromstring(body).iter()}
    except ParseError:
        return None
    days, tier = said.get("Days", ""), said.get("Tier") or "Standard"
    return (int(days), tier) if days.isdigit() and int(days) > 0 and tier in _TIERS else None


# ---- as time goes by


def _run() -> None:
    while True:
        threading.Event().wait(_TICK_SECONDS)
        if not _watched or app._MAIN_LOOP is None:
            continue
        try:
            # on the server's own thread: no request sees, and no checkpoint keeps, half of a change
            asyncio.run_coroutine_threadsafe(_look_at_all(), app._MAIN_LOOP).result()
        except Exception:
            logger.exception("the restores met an error and go on")


async def _look_at_all() -> None:
    for account, bucket, key in list(_watched):
        context = contextvars.copy_context()
        context.run(responses.set_request_account_id, account)
        if not context.run(_is_still_watched, bucket, key):
            _watched.discard((account, bucket, key))


def _is_still_watched(bucket: str, key: str) -> bool:
    record = (s3._buckets.get(bucket) or {"objects": {}})["objects"].get(key)
    restore = (record or {}).get("restore")
    if record is None or not restore:
        return False
    phase = _phase(record)
    if phase != "in_progress" and not restore["told"]:
        restore["told"] = True
        moments.note_change()
        _tell(bucket, key, record, "s3:ObjectRestore:Completed")
    if phase is None:
        del record["restore"]
        moments.note_change()
        _tell(bucket, key, record, "s3:ObjectRestore:Delete")
    return phase is not None


def _tell(bucket: str, key: str, record: dict[str, Any], event: str) -> None:
    extra: dict[str, Any] | None = None
    if event.endswith("Completed"):
        restored = {
            "lifecycleRestorationExpiryTime": s3._restore_expiry_iso(record["restore"]["expires_at"]),
            "lifecycleRestoreStorageClass": record["storage_class"],
        }
        extra = {"glacierEventData": {"restoreEventData": restored}}
    version_id = record.get("version_id")
    s3._fire_s3_event_async(
        bucket, key, event, size=record["size"], etag=record["etag"], version_id=version_id, record_extra=extra
    )
