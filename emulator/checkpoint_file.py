"""The file of a checkpoint: all stores of one moment, or nothing that could be taken for them.

Belongs in here: the format and its check. Does not belong here: what the stores are, when they are written
(checkpoints.py). A frame a store, in Python's marshal format (a tenth of the time that JSON takes), then a checksum.
"""

from __future__ import annotations

import json
import marshal
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, AccountScopedDict

_FORMAT = 1
_LENGTH = struct.Struct(">Q")
_CHECKSUM = struct.Struct(">I")


@dataclass(frozen=True)
class _Kind:
    """What marshal does not know: how it is written, and how it is made of that again."""

    plain: Callable[[Any], Any]
    again: Callable[[Any], Any]


def _scoped(kind: type) -> _Kind:
    def again(value: Any) -> Any:
        scoped = kind()
        scoped._data.update(value)
        return scoped

    return _Kind(lambda scoped: dict(scoped._data), again)


_KINDS = {
    "AccountScopedDict": _scoped(AccountScopedDict),
    "AccountRegionScopedDict": _scoped(AccountRegionScopedDict),
}

# where in a store such a mapping stands, and of which kind it is
_Place = tuple[tuple[Any, ...], str]


class UnreadableError(Exception):
    """A file that is no checkpoint, or not a whole one; the text says which."""


class UnwritableError(Exception):
    """A store that holds what the format cannot."""


def teach(kind: type, plain: Callable[[Any], Any], again: Callable[[Any], Any]) -> None:
    """How objects of a class are written, and made of what was written."""
    _KINDS[kind.__name__] = _Kind(plain, again)


def write(path: Path, header: dict[str, Any], stores: Iterable[tuple[str, Any]]) -> int:
    """Gives the size; what is on the disk then is on the disk."""
    with path.open("wb") as file:
        checksum = 0
        for frame in _frames(header, stores):
            for part in (_LENGTH.pack(len(frame)), frame):
                checksum = zlib.crc32(part, checksum)
                file.write(part)
        file.write(_LENGTH.pack(0) + _CHECKSUM.pack(checksum))
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def _frames(header: dict[str, Any], stores: Iterable[tuple[str, Any]]) -> Iterator[bytes]:
    """The header, then one frame for each entry of each store: no more than one of them is in memory twice."""
    yield json.dumps({**header, "format": _FORMAT, "marshal": marshal.version}).encode()
    for name, store in stores:
        for key, value in store.items():
            places: list[_Place] = []
            try:
                yield _frame(name, key, _simple(value, (), places), places)
            except ValueError:
                places = []
                try:
                    yield _frame(name, key, _plain(value, (), places), places)
                except UnwritableError as error:
                    raise UnwritableError(f"{name}/{key}: {error}") from None


def _frame(name: str, key: str, value: Any, places: list[_Place]) -> bytes:
    return marshal.dumps((name, key, places, value))


def _simple(value: Any, place: tuple[Any, ...], places: list[_Place]) -> Any:
    """The value itself, without what is in it, in a type that marshal knows."""
    if (kind := _KINDS.get(type(value).__name__)) is not None:
        places.append((place, type(value).__name__))
        return kind.plain(value)
    if isinstance(value, str):
        return str.__str__(value)
    for known, of in ((dict, dict), (list, list), (tuple, tuple), (bytearray, bytes)):
        if isinstance(value, known):
            return value if type(value) is of else of(value)
    return value


def _plain(value: Any, place: tuple[Any, ...], places: list[_Place]) -> Any:
    """The value with all that is in it in types that marshal knows; what it knows already is not looked into."""
    value = _simple(value, place, places)
    try:
        marshal.dumps(value)
        return value
    except ValueError:
        pass
    if isinstance(value, dict):
        return {key: _plain(inner, (*place, key), places) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, (*place, index), places) for index, inner in enumerate(value)]
    raise UnwritableError(f"{type(value).__name__} at {'/'.join(map(str, place))} cannot be written")


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and stores."""
    content = memoryview(path.read_bytes())
    frames = list(_checked_frames(content))
    if not frames:
        raise UnreadableError("it is empty")
    header = json.loads(bytes(frames[0]))
    if (header["format"], header["marshal"]) != (_FORMAT, marshal.version):
        raise UnreadableError("it was written by another version of the emulator or of Python")
    stores: dict[str, Any] = {}
    for frame in frames[1:]:
        name, key, places, value = marshal.loads(frame)
        # inner ones first: the outer one takes what then stands in it
        for place, kind in sorted(places, key=lambda entry: -len(entry[0])):
            value = _again(value, place, _KINDS[kind])
        stores.setdefault(name, {})[key] = value
    return header, stores


def _checked_frames(content: memoryview) -> Iterator[memoryview]:
    at = 0
    while at + _LENGTH.size <= len(content):
        (length,) = _LENGTH.unpack_from(content, at)
        if length == 0:
            if len(content) != at + _LENGTH.size + _CHECKSUM.size:
                break
            (checksum,) = _CHECKSUM.unpack_from(content, at + _LENGTH.size)
            if zlib.crc32(content[:at]) != checksum:
                break
            return
        yield content[at + _LENGTH.size : at + _LENGTH.size + length]
        at += _LENGTH.size + length
    raise UnreadableError("it is damaged")


def _again(value: Any, place: tuple[Any, ...], kind: _Kind) -> Any:
    """The value with what stands at this place turned back into what it was."""
    if not place:
        return kind.again(value)
    inner = value
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = kind.again(inner[place[-1]])
    return value
