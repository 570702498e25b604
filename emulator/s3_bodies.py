"""S3's objects over a restart: what they say lies in each checkpoint, each body in a file that nothing ever changes.

Belongs in here: the files of bodies, the index of S3 as a checkpoint's store. Does not belong here: when a checkpoint
is taken (checkpoints.py). ministack writes an object over the one before and keeps its index in files beside it, so
that an older moment of the other stores finds bodies and objects that it does not know.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ministack.core.responses import AccountScopedDict
from ministack.services import s3

from emulator import moments, patches

FIX = "checkpoints"

_FILE = "body_file"
_FOLDERS = 256
# mappings by bucket and key that ministack keeps in its files, or nowhere
_INDEXES = (
    "_object_versions",
    "_object_tags",
    "_object_acl",
    "_object_annotations",
    "_object_retention",
    "_object_legal_hold",
    "_multipart_uploads",
)

_folder: Path
_next_file: itertools.count[int]
# the files that there are
_files: set[int] = set()


def install(folder: Path) -> None:
    global _folder, _next_file
    _folder = folder
    for number in range(_FOLDERS):
        (folder / f"{number:02x}").mkdir(parents=True, exist_ok=True)
    _files.update(int(entry.name, 16) for inner in os.scandir(folder) for entry in os.scandir(inner.path))
    _next_file = itertools.count(max(_files, default=0) + 1)
    _replace_writers()
    patches.replace(FIX, "services.s3:_read_body", lambda bucket, key, record: _body(record))
    patches.replace(FIX, "services.s3:_version_body", lambda held, bucket, key, entry: _body(entry))
    state = patches.replace(FIX, "services.s3:get_state", None)
    s3.get_state = lambda: _with_index(state())
    load = patches.replace(FIX, "services.s3:load_persisted_state", None)
    s3.load_persisted_state = lambda data: _load(load, data)


def _replace_writers() -> None:
    build = patches.replace(FIX, "services.s3:_build_object_record", None)
    s3._build_object_record = lambda *arguments, **options: _kept(build(*arguments, **options))
    record = patches.replace(FIX, "services.s3:_record_object_version", None)
    # each way to make an object ends here, with or without versions
    s3._record_object_version = lambda bucket, key, prior, made, data: record(bucket, key, prior, _kept(made), None)
    to_entry = patches.replace(FIX, "services.s3:_version_entry_from_record", None)
    s3._version_entry_from_record = lambda record, version_id, data: {
        **to_entry(record, version_id, None),
        _FILE: record.get(_FILE),
    }
    from_entry = patches.replace(FIX, "services.s3:_object_record_from_version", None)
    s3._object_record_from_version = lambda entry: {**from_entry(entry), _FILE: entry.get(_FILE)}
    end_version = patches.replace(FIX, "services.s3:_delete_object_version", None)
    s3._delete_object_version = lambda held, bucket, key, version_id: _end_version(
        end_version, held, bucket, key, version_id
    )


def _end_version(end: Any, held: dict[str, Any], bucket: str, key: str, version_id: str) -> Any:
    """ministack reads the body of what becomes current by this into memory."""
    answer = end(held, bucket, key, version_id)
    current = held["objects"].get(key)
    if current is not None and current.get(_FILE) is not None:
        current["body"] = None
    return answer


# ---- files


def _path(number: int) -> Path:
    return _folder / f"{number % _FOLDERS:02x}" / f"{number:x}"


def _kept(record: dict[str, Any]) -> dict[str, Any]:
    """The record with its body in a file of its own instead of in memory."""
    body = record.get("body")
    if body is not None:
        number = next(_next_file)
        _files.add(number)
        _path(number).write_bytes(body)
        record["body"], record[_FILE] = None, number
        moments.note_change()
    return record


def _body(record: dict[str, Any]) -> bytes:
    held: bytes | None = record.get("body")
    return _path(record[_FILE]).read_bytes() if held is None else held


def unused() -> list[int]:
    """Files that nothing speaks of; a checkpoint of this moment will not miss them."""
    return sorted(_files - set(_spoken_of()))


def missing() -> int:
    """How many files something speaks of and are not there."""
    return len(set(_spoken_of()) - _files)


def _spoken_of() -> Iterable[int]:
    for bucket in s3._buckets._data.values():
        for record in bucket["objects"].values():
            if record.get(_FILE) is not None:
                yield record[_FILE]
    for versions in s3._object_versions._data.values():
        for entry in versions:
            if entry.get(_FILE) is not None:
                yield entry[_FILE]


def remove(numbers: Iterable[int]) -> None:
    for number in numbers:
        _path(number).unlink(missing_ok=True)
        _files.discard(number)


# ---- the index


def _with_index(state: dict[str, Any]) -> dict[str, Any]:
    objects = AccountScopedDict()
    objects._data.update((place, bucket["objects"]) for place, bucket in s3._buckets._data.items())
    return {**state, "objects": objects, **{name: getattr(s3, name) for name in _INDEXES}}


def _load(load: Any, data: dict[str, Any]) -> None:
    load(data)
    for place, objects in data["objects"]._data.items():
        s3._buckets._data[place]["objects"] = objects
    for name in _INDEXES:
        getattr(s3, name)._data.update(data[name]._data)
