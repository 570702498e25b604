"""Rows on disk: what grows with every event, and would fill the server's memory and each of its checkpoints.

Belongs in here: one SQLite file of rows, found by space, key and sort key, that can go back to the moment of a
checkpoint. Does not belong here: what the rows are (dynamodb_items.py, kinesis_records.py), when a checkpoint is taken
(checkpoints.py).

Every change has a number, later ones higher. A row is never written over: it dies, and a new one is born. So whoever
knows the number of a checkpoint's moment can go back to it by forgetting the births and the deaths after it, and no
checkpoint copies a row. Rows that were dead at the last checkpoint are deleted.
"""

from __future__ import annotations

import marshal
import os
import sqlite3
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

_TABLE = """
CREATE TABLE IF NOT EXISTS rows (
    born INTEGER PRIMARY KEY, space TEXT NOT NULL, key, sort, died INTEGER, expires REAL, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS sealed (number INTEGER NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS living ON rows (space, key, sort) WHERE died IS NULL;
CREATE INDEX IF NOT EXISTS dead ON rows (died) WHERE died IS NOT NULL;
CREATE INDEX IF NOT EXISTS expiring ON rows (space, expires) WHERE expires IS NOT NULL AND died IS NULL;
"""
# A killed process loses nothing that it has handed to the system, and a start goes back to a checkpoint: no change has
# to wait for the disk.
_SETTINGS = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -32000; PRAGMA temp_store = MEMORY;
"""
_LIVING = "space = ? AND key = ? AND sort = ? AND died IS NULL"
# of a table or a shard, before any go to disk
ROWS_IN_MEMORY = int(os.environ.get("EMULATOR_ROWS_IN_MEMORY") or 10_000)
EXIT_UNWRITABLE = 3
_CHANGES_A_COMMIT = ROWS_IN_MEMORY // 2
_ROWS_AT_ONCE = 500

Key = str | int | float


class RowStore:
    """All rows of a server. Every method may be called from any thread.

    Values are what marshal knows: texts, bytes, numbers, None, lists and dicts of these. A value that was read is the
    caller's own copy.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.executescript(_SETTINGS + _TABLE)
        self._last: int = self._one(
            "SELECT max((SELECT coalesce(max(born), 0) FROM rows), (SELECT coalesce(max(died), 0) FROM rows), "
            "(SELECT coalesce(max(number), 0) FROM sealed))"
        )[0]
        self._sealed = self._last
        self._uncommitted = 0

    # ---- rows

    def get(self, space: str, key: Key, sort: Key) -> Any | None:
        found = self._one(f"SELECT value FROM rows WHERE {_LIVING}", space, key, sort)
        return None if found is None else marshal.loads(found[0])

    def put(self, space: str, key: Key, sort: Key, value: Any, expires: float | None = None) -> None:
        """In the place of the row that was there. `expires`: the second since 1970 from which `expired` names it."""
        with self._lock:
            number = self._next()
            self._do(f"UPDATE rows SET died = ? WHERE {_LIVING}", number, space, key, sort)
            self._do(
                "INSERT INTO rows (born, space, key, sort, expires, value) VALUES (?, ?, ?, ?, ?, ?)",
                *(number, space, key, sort, expires, marshal.dumps(value)),
            )

    def remove(self, space: str, key: Key, sort: Key) -> None:
        with self._lock:
            self._do(f"UPDATE rows SET died = ? WHERE {_LIVING}", self._next(), space, key, sort)

    def remove_below(self, space: str, key: Key) -> None:
        """All rows whose key is lower."""
        with self._lock:
            self._do("UPDATE rows SET died = ? WHERE space = ? AND key < ? AND died IS NULL", self._next(), space, key)

    def of_key(self, space: str, key: Key) -> list[tuple[Key, Any]]:
        """Sort keys and values."""
        rows = self._all("SELECT sort, value FROM rows WHERE space = ? AND key = ? AND died IS NULL", space, key)
        return [(sort, marshal.loads(value)) for sort, value in rows]

    def between(self, space: str, first: Key, end: Key) -> list[Any]:
        """Values of the keys from `first` up to and without `end`, in the order of the keys."""
        rows = self._all(
            "SELECT value FROM rows WHERE space = ? AND key >= ? AND key < ? AND died IS NULL ORDER BY key",
            *(space, first, end),
        )
        return [marshal.loads(value) for (value,) in rows]

    def keys(self, space: str) -> Iterator[Key]:
        """Each key once, in order; what changes meanwhile may be seen or not."""
        seen: list[tuple[Key]] = self._all(
            "SELECT DISTINCT key FROM rows WHERE space = ? AND died IS NULL ORDER BY key LIMIT ?", space, _ROWS_AT_ONCE
        )
        while seen:
            yield from (key for (key,) in seen)
            seen = self._all(
                "SELECT DISTINCT key FROM rows WHERE space = ? AND key > ? AND died IS NULL ORDER BY key LIMIT ?",
                *(space, seen[-1][0], _ROWS_AT_ONCE),
            )

    def count_keys(self, space: str) -> int:
        count: int = self._one("SELECT count(DISTINCT key) FROM rows WHERE space = ? AND died IS NULL", space)[0]
        return count

    def expired(self, space: str, now_seconds: float, most: int) -> list[tuple[Key, Key]]:
        """Keys and sort keys of rows whose time is over, those that wait longest first."""
        return self._all(
            "SELECT key, sort FROM rows WHERE space = ? AND expires <= ? AND died IS NULL ORDER BY expires LIMIT ?",
            *(space, now_seconds, most),
        )

    def remember_expiry(self, space: str, expiries: Iterable[tuple[Key, Key, float | None]]) -> None:
        with self._lock:
            for key, sort, expires in expiries:
                self._do(f"UPDATE rows SET expires = ? WHERE {_LIVING}", expires, space, key, sort)

    # ---- moments

    def seal(self) -> int:
        """All changes so far are in the file; gives the number of the last."""
        with self._lock:
            if self._last != self._sealed:
                # the row of the last change may be forgotten by the next start
                self._do("DELETE FROM sealed")
                self._do("INSERT INTO sealed VALUES (?)", self._last)
                self._sealed = self._last
            self._commit()
            return self._last

    def to_disk(self) -> None:
        """All that `seal` has seen survives a failure of the machine, too."""
        for path in (self._path, self._path.with_name(f"{self._path.name}-wal")):
            file = os.open(path, os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def back_to(self, number: int, spaces: Iterable[str]) -> None:
        """As it was when `seal` gave this number, with the rows of these spaces only.

        Raises ValueError when the file knows less than that moment.
        """
        if number > self._last:
            raise ValueError(f"{self._path} ends at change {self._last}, before change {number}")
        with self._lock:
            self._commit()
            self._database.execute("BEGIN")
            self._database.execute("DELETE FROM rows WHERE born > ?", (number,))
            self._database.execute("UPDATE rows SET died = NULL WHERE died > ?", (number,))
            self._database.execute("CREATE TEMP TABLE known (space TEXT PRIMARY KEY)")
            self._database.executemany("INSERT INTO known VALUES (?)", ((space,) for space in set(spaces)))
            self._database.execute("DELETE FROM rows WHERE space NOT IN (SELECT space FROM known)")
            self._database.execute("COMMIT")
            self._database.execute("DROP TABLE known")

    def forget_dead(self, number: int) -> None:
        """A checkpoint of this moment is on the disk: nobody goes back to a moment before."""
        with self._lock:
            self._do("DELETE FROM rows WHERE died <= ?", number)

    # ---- SQLite

    def _next(self) -> int:
        self._last += 1
        return self._last

    def _do(self, statement: str, *values: Any) -> None:
        if self._uncommitted == 0:
            self._database.execute("BEGIN")
        try:
            self._database.execute(statement, values)
            self._uncommitted += 1
            if self._uncommitted >= _CHANGES_A_COMMIT:
                self._commit()
        except sqlite3.Error as error:
            self._end(error)

    def _end(self, error: sqlite3.Error) -> NoReturn:
        """SQLite has taken back all changes since the last commit, and other stores know of them."""
        print(
            f"emulator: {self._path} cannot be written ({error}); the server ends here as if it were killed, and the "
            "next start goes back to its last checkpoint. Make room first",
            file=sys.stderr,
            flush=True,
        )
        os._exit(EXIT_UNWRITABLE)

    def _commit(self) -> None:
        if self._uncommitted:
            self._database.execute("COMMIT")
            self._uncommitted = 0

    def _one(self, statement: str, *values: Any) -> Any:
        with self._lock:
            return self._database.execute(statement, values).fetchone()

    def _all(self, statement: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()
