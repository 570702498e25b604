"""Moments at which all stores agree, and how many changes there were between them.

Belongs in here: the lock that whoever changes several things off the server's thread holds meanwhile, the count of
changes, and the locks that saving a store takes. Does not belong here: what is done with such a moment
(checkpoints.py). Requests are handled on the server's thread, and so is the beginning of a checkpoint; neither ever
sees the other half done.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

_lock = threading.RLock()
_changes = 0


@contextlib.contextmanager
def as_a_whole() -> Iterator[None]:
    """What changes inside is in a checkpoint as a whole or not at all; nobody waits in here for a request."""
    with _lock:
        yield
    note_change()


def note_change() -> None:
    global _changes
    _changes += 1


def changes() -> int:
    """More than before: something is not in the last checkpoint."""
    return _changes


def lock_of_store() -> threading.Lock:
    """A lock that saving takes too: nobody holds it at such a moment, whose copy nobody would ever release."""
    lock = threading.Lock()
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


@contextlib.contextmanager
def held(patience_seconds: float) -> Iterator[bool]:
    """Whether nobody is in the middle of a change; nobody begins one until this ends."""
    is_held = _lock.acquire(timeout=patience_seconds)
    try:
        yield is_held
    finally:
        if is_held:
            _lock.release()
