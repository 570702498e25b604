"""A file of events, one JSON object a line, plain or gzip: opening it, and refusing what is none, in one clear line.

What does not belong here: judging events. A line that is no event is sent all the same; the stream has verdicts for it.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from eventlake.errors import TerminalError

GZIP_MAGIC = b"\x1f\x8b"
# a file in which none of so many lines begins a JSON object is something else
LOOKED_AT_LINES = 200
VALID = "valid is a file with one JSON object a line, plain or gzip"


def require_events(path: Path) -> Path:
    """The path, if events can be in it; raises TerminalError."""
    doing = f"reading INPUT={path}"
    if not path.exists():
        raise TerminalError(f"{doing}: there is no such file; {VALID}")
    if not path.is_file():
        raise TerminalError(f"{doing}: this is no file; {VALID}")
    looked_at = 0
    for line in lines_of(path):
        looked_at += 1
        if line.lstrip().startswith(b"{"):
            return path
        if looked_at == LOOKED_AT_LINES:
            break
    if looked_at == 0:
        raise TerminalError(f"{doing}: the file is empty; {VALID}")
    raise TerminalError(f"{doing}: none of its first {looked_at} lines begins a JSON object; {VALID}")


def lines_of(path: Path) -> Iterator[bytes]:
    """Each line without its end; blank ones are no events. Raises TerminalError where a gzip file is damaged."""
    number = 0
    try:
        with _opened(path) as file:
            for line in file:
                number += 1
                # what a sender sent may end in a space, be it cut off there: only the line's end is not his
                event = line.removesuffix(b"\n").removesuffix(b"\r")
                if event.strip():
                    yield event
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TerminalError(
            f"reading INPUT={path} after line {number}: {error}; {VALID}; make the file again"
        ) from error
    except PermissionError as error:
        raise TerminalError(f"reading INPUT={path}: {error.strerror}; {VALID}; make it readable") from error


def distinct_lines(lines: Iterable[bytes]) -> int:
    """Different events as sent: a conflicting copy of a uuid is another event, an equal copy is none."""
    return len({hashlib.sha256(line).digest() for line in lines})


def _opened(path: Path) -> BinaryIO:
    """Told by the first bytes, never by the name."""
    with path.open("rb") as file:
        magic = file.read(len(GZIP_MAGIC))
    return cast(BinaryIO, gzip.open(path, "rb")) if magic == GZIP_MAGIC else path.open("rb")
