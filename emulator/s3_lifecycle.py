"""S3 lifecycle: the rules of a bucket act on its objects, each midnight of the emulator's clock.

Belongs in here: the configuration's request, the headers that tell of a rule, the pass over all buckets. Does not
belong here: what a rule says (s3_lifecycle_rules.py), restores (s3_restore.py).
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html
"""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import email.utils
import itertools
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from ministack import app
from ministack.core import responses
from ministack.services import s3

from emulator import clock, moments, patches
from emulator import s3_lifecycle_rules as lifecycle
from emulator.s3_lifecycle_rules import Rule, Version

FIX = "s3_lifecycle"

_TICK_SECONDS = 0.2
# so many objects are looked at between two requests
_SLICE_OBJECTS = 500
_SMALLEST = "_transition_default_minimum_object_size"
_SMALLEST_HEADER = "x-amz-transition-default-minimum-object-size"

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html: detail type and reason
_EVENTBRIDGE = {
    "LifecycleExpiration": ("Object Deleted", "Lifecycle Expiration"),
    "LifecycleTransition": ("Object Storage Class Changed", None),
}

logger = logging.getLogger("emulator.s3_lifecycle")

_changed = threading.Event()
_smallest_of_request: contextvars.ContextVar[str] = contextvars.ContextVar(
    "transition_default_minimum_object_size", default=lifecycle.ALL_CLASSES_128K
)


def install() -> None:
    patches.replace(FIX, "services.s3:_put_bucket_lifecycle", _put_configuration)
    read = patches.replace(FIX, "services.s3:_get_bucket_lifecycle", None)
    s3._get_bucket_lifecycle = lambda name: _with_smallest(name, read(name))
    dispatch = patches.replace(FIX, "services.s3:_dispatch", None)
    s3._dispatch = lambda *request: _dispatch(dispatch, *request)
    told = patches.replace(FIX, "services.s3:_s3_event_to_eventbridge", None)
    s3._s3_event_to_eventbridge = lambda event: _EVENTBRIDGE.get(event.split(":")[1]) or told(event)
    load = patches.replace(FIX, "services.s3:load_persisted_state", None)
    # a midnight may have gone by while no server ran, or what it did came after the last checkpoint
    s3.load_persisted_state = lambda data: (load(data), _changed.set())[0]
    threading.Thread(target=_run, name="s3-lifecycle", daemon=True).start()


# ---- requests


def _put_configuration(name: str, body: bytes) -> tuple[Any, ...]:
    bucket = s3._buckets.get(name)
    if bucket is None:
        return s3._no_such_bucket(name)
    try:
        rules = lifecycle.read_rules(body)
    except lifecycle.RefusedError as refused:
        return s3._error(refused.code, refused.message, 400, f"/{name}")
    for rule in rules:
        rule["ID"] = rule.get("ID") or responses.new_uuid()
    s3._bucket_lifecycle[name] = rules
    # beside the rules: ministack keeps what lies in the bucket's own record over a restart
    bucket[_SMALLEST] = _smallest_of_request.get()
    _changed.set()
    return 200, {_SMALLEST_HEADER: bucket[_SMALLEST]}, b""


def _with_smallest(name: str, answer: tuple[Any, ...]) -> tuple[Any, ...]:
    if answer[0] == 200:
        answer[1][_SMALLEST_HEADER] = _smallest(s3._buckets[name])
    return answer


def _smallest(bucket: dict[str, Any]) -> str:
    return str(bucket.get(_SMALLEST, lifecycle.ALL_CLASSES_128K))


def _dispatch(
    dispatch: Any, method: str, bucket: str, key: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> tuple[Any, ...]:
    asked = headers.get(_SMALLEST_HEADER) or lifecycle.ALL_CLASSES_128K
    token = _smallest_of_request.set(asked)
    try:
        answer = dispatch(method, bucket, key, headers, body, query)
    finally:
        _smallest_of_request.reset(token)
    if key and answer[0] in (200, 206):
        answer[1].update(_headers(method, bucket, key, query))
    return answer


def _headers(method: str, bucket: str, key: str, query: dict[str, Any]) -> dict[str, str]:
    """What a response says of the rule that will act: of an object's end, or of an unfinished upload's.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html#AmazonS3-HeadObject-response-header-Expiration
    """
    rules = s3._bucket_lifecycle.get(bucket)
    if not rules:
        return {}
    if method == "POST" and "uploads" in query:
        found = lifecycle.upload_end(rules, key, time.time())
        return {"x-amz-abort-date": _date(found[0]), "x-amz-abort-rule-id": found[1]} if found else {}
    of_object = method in ("GET", "HEAD", "PUT") and not query.keys() - {"x-id", "partNumber"}
    if not of_object and not (method == "POST" and "uploadId" in query):
        return {}
    current = (s3._buckets.get(bucket) or {"objects": {}})["objects"].get(key)
    found = lifecycle.expiry(rules, _version(bucket, key, current, current["last_modified"])) if current else None
    if found is None:
        return {}
    return {"x-amz-expiration": f'expiry-date="{_date(found[0])}", rule-id="{quote(found[1])}"'}


def _date(moment: float) -> str:
    return email.utils.formatdate(moment, usegmt=True)


# ---- the daily pass


def _run() -> None:
    """Acts when the clock's day changes, when a configuration does and at a start; S3 does it once a day, too."""
    day_done = int(clock.now() // lifecycle.DAY_SECONDS)
    while True:
        _changed.wait(_TICK_SECONDS)
        today = int(clock.now() // lifecycle.DAY_SECONDS)
        if today == day_done and not _changed.is_set():
            continue
        _changed.clear()
        loop = app._MAIN_LOOP
        if loop is None:
            continue
        day_done = today
        try:
            # on the server's own thread: no request sees, and no checkpoint keeps, half of what a rule does
            asyncio.run_coroutine_threadsafe(_pass(clock.now()), loop).result()
        except Exception:
            logger.exception("the lifecycle rules met an error and act again at the next midnight")


async def _pass(now: float) -> None:
    for number, act in enumerate(_all_work(now), start=1):
        act()
        moments.note_change()
        if number % _SLICE_OBJECTS == 0:
            await asyncio.sleep(0)


def _all_work(now: float) -> Iterator[Any]:
    for (account, bucket), rules in list(s3._bucket_lifecycle._data.items()):
        if isinstance(rules, list):
            context = contextvars.copy_context()
            context.run(responses.set_request_account_id, account)
            for act, subject in context.run(_work_of_bucket, bucket):
                yield lambda act=act, subject=subject, bucket=bucket, rules=rules, context=context: context.run(
                    act, bucket, subject, rules, now
                )


def _work_of_bucket(bucket: str) -> list[tuple[Any, str]]:
    if bucket not in s3._buckets:
        return []
    uploads = [name for name, upload in s3._multipart_uploads.items() if upload["bucket"] == bucket]
    versioned = {key for of_bucket, key in s3._object_versions if of_bucket == bucket}
    keys = sorted(versioned | set(s3._buckets[bucket]["objects"]))
    return [*((_act_on_upload, name) for name in uploads), *((_act_on_key, key) for key in keys)]


def _act_on_upload(bucket: str, upload_id: str, rules: list[Rule], now: float) -> None:
    upload = s3._multipart_uploads.get(upload_id)
    if upload is not None:
        end = lifecycle.upload_end(rules, upload["key"], _seconds(upload["created"]))
        if end is not None and end[0] <= now:
            del s3._multipart_uploads[upload_id]


def _act_on_key(bucket: str, key: str, rules: list[Rule], now: float) -> None:
    """The current version first: what it becomes noncurrent by counts from then."""
    if bucket not in s3._buckets:
        return
    current = s3._buckets[bucket]["objects"].get(key)
    if current is not None:
        _act_on_current(bucket, key, current, rules, now)
    versions = s3._object_versions.get((bucket, key)) or []
    # an older one counts from the moment at which the next one took its place
    noncurrent = list(itertools.pairwise(versions))
    for place, (version, successor) in enumerate(noncurrent):
        newer = sum(not one.get("is_delete_marker") for one, _ in noncurrent[place + 1 :])
        _act_on_noncurrent(bucket, key, version, successor["last_modified"], newer, rules, now)
    _act_on_marker(bucket, key, rules, now)


def _act_on_current(bucket: str, key: str, current: dict[str, Any], rules: list[Rule], now: float) -> None:
    version = _version(bucket, key, current, current["last_modified"])
    expires = lifecycle.expiry(rules, version)
    if expires is not None and expires[0] <= now:
        _expire(bucket, key, current)
        return
    storage_class = lifecycle.next_class(rules, version, now, _smallest(s3._buckets[bucket]))
    if storage_class is not None:
        versions = s3._object_versions.get((bucket, key)) or []
        _move(bucket, key, [current, *versions[-1:]], storage_class)


def _expire(bucket: str, key: str, current: dict[str, Any]) -> None:
    """A delete marker where versions are kept, the object's end where they are not."""
    if s3._bucket_versioning.get(bucket) in ("Enabled", "Suspended"):
        marker = s3._record_delete_marker(bucket, key, current)
        s3._buckets[bucket]["objects"].pop(key, None)
        _tell(bucket, key, "s3:LifecycleExpiration:DeleteMarkerCreated", "Delete Marker Created", marker)
    else:
        s3._purge_current_object(bucket, key, s3._buckets[bucket])
        _tell(bucket, key, "s3:LifecycleExpiration:Delete", "Permanently Deleted")


def _act_on_noncurrent(
    bucket: str, key: str, entry: dict[str, Any], since: str, newer: int, rules: list[Rule], now: float
) -> None:
    version = _version(bucket, key, entry, since)
    if lifecycle.is_noncurrent_expired(rules, version, newer, now):
        _remove(bucket, key, entry["version_id"])
    elif not entry.get("is_delete_marker"):
        smallest = _smallest(s3._buckets[bucket])
        storage_class = lifecycle.next_noncurrent_class(rules, version, newer, now, smallest)
        if storage_class is not None:
            _move(bucket, key, [entry], storage_class)


def _act_on_marker(bucket: str, key: str, rules: list[Rule], now: float) -> None:
    versions = s3._object_versions.get((bucket, key)) or []
    if len(versions) == 1 and versions[0].get("is_delete_marker"):
        since = _seconds(versions[0]["last_modified"])
        if lifecycle.is_marker_expired(rules, key, since, now):
            _remove(bucket, key, versions[0]["version_id"])


def _remove(bucket: str, key: str, version_id: str) -> None:
    if s3._check_object_lock(bucket, key, {}, None if version_id == "null" else version_id) is None:
        s3._delete_object_version(s3._buckets[bucket], bucket, key, version_id)
        _tell(bucket, key, "s3:LifecycleExpiration:Delete", "Permanently Deleted", version_id)


def _move(bucket: str, key: str, records: list[dict[str, Any]], storage_class: str) -> None:
    """To a colder class; one object may have a record as the current one and one in its history."""
    for record in records:
        record["storage_class"] = storage_class
    first = records[0]
    s3._fire_s3_event_async(
        bucket,
        key,
        "s3:LifecycleTransition",
        size=first["size"],
        etag=first["etag"],
        version_id=first.get("version_id"),
        record_extra={"lifecycleEventData": {"transitionEventData": {"destinationStorageClass": storage_class}}},
    )


def _tell(bucket: str, key: str, event: str, deletion: str, version_id: str | None = None) -> None:
    s3._fire_s3_event_async(bucket, key, event, deletion_type=deletion, version_id=version_id)


def _version(bucket: str, key: str, record: dict[str, Any], since: str) -> Version:
    version_id = record.get("version_id")
    tags = s3._object_tags.get((bucket, key, None if version_id == "null" else version_id)) or {}
    return Version(key, record["size"], record.get("storage_class") or "STANDARD", tags, _seconds(since))


def _seconds(moment: str) -> float:
    return datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
