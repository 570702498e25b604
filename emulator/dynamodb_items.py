"""DynamoDB: the items of a table on disk, and their time to live.

Belongs in here: what ministack reads as a table's items, where they are written, and the deletion of those whose time
is over (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html), on the clock that tests can move.
Does not belong here: the file (row_store.py). ministack keeps two mappings and some for each attribute of an item, 2 kB
for a claim, and goes through all of them once a minute for those whose time is over.

Small tables stay in memory, and those with secondary indexes: ministack goes through all of an index for each page of
a query.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from ministack import app
from ministack.services import dynamodb

from emulator import checkpoint_file, clock, moments, patches
from emulator.row_store import ROWS_IN_MEMORY, RowStore

FIX = "checkpoints"

_INDEXES = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes", "VectorIndexes")
_REAPER = "dynamodb-ttl-reaper"
# AWS takes up to some days for it
_REAPING_SECONDS = 5.0
_REAPED_AT_ONCE = 1_000

_Item = dict[str, Any]
_Table = dict[str, Any]

_store: RowStore
_stopping = threading.Event()


class Partition(Mapping[str, _Item]):
    """The items of one partition key, by sort key; read when asked for."""

    def __init__(self, space: str, key: str) -> None:
        self._space, self._key = space, key

    def __getitem__(self, sort: str) -> _Item:
        item = _store.get(self._space, self._key, sort)
        if item is None:
            raise KeyError(sort)
        found: _Item = item
        return found

    def __iter__(self) -> Iterator[str]:
        return iter([str(sort) for sort, _ in _store.of_key(self._space, self._key)])

    def __len__(self) -> int:
        return len(_store.of_key(self._space, self._key))

    def __deepcopy__(self, memo: Any) -> dict[str, _Item]:
        return {str(sort): item for sort, item in _store.of_key(self._space, self._key)}

    # ministack sorts what it gets
    def values(self) -> Any:
        return [item for _, item in _store.of_key(self._space, self._key)]


class Items(Mapping[str, Mapping[str, _Item]]):
    """The items of a table, by partition key. ministack reads them here, and writes by `set_item` and `remove_item`."""

    def __init__(self, space: str) -> None:
        self.space = space

    def __getitem__(self, key: str) -> Mapping[str, _Item]:
        found = {str(sort): item for sort, item in _store.of_key(self.space, key)}
        if not found:
            raise KeyError(key)
        return found

    def get(self, key: str, default: Any = None) -> Any:
        return Partition(self.space, key)

    def __contains__(self, key: object) -> bool:
        return bool(_store.of_key(self.space, str(key)))

    def __iter__(self) -> Iterator[str]:
        return map(str, _store.keys(self.space))

    def __len__(self) -> int:
        return _store.count_keys(self.space)


def install(store: RowStore) -> None:
    global _store
    _store = store
    checkpoint_file.teach(Items, lambda items: items.space, Items)
    set_in_memory = patches.replace(FIX, "services.dynamodb:_set_item", None)
    dynamodb._set_item = lambda table, *place: (_set_item if _is_on_disk(table) else set_in_memory)(table, *place)
    remove_in_memory = patches.replace(FIX, "services.dynamodb:_remove_item", None)
    dynamodb._remove_item = lambda table, *place: (_remove_item if _is_on_disk(table) else remove_in_memory)(
        table, *place
    )
    update = patches.replace(FIX, "services.dynamodb:_update_ttl", None)
    dynamodb._update_ttl = lambda request: _update_time_to_live(update, request)
    patches.replace(FIX, "services.dynamodb:time", _TimeWithoutReaper())


def start_reaping() -> None:
    threading.Thread(target=_reap_now_and_then, name="time-to-live", daemon=True).start()
    patches.at_shutdown(40, _stopping.set)


def spaces() -> Iterator[str]:
    """Where the rows of all tables lie."""
    for table in dynamodb._tables.all_values():
        if isinstance(table["items"], Items):
            yield table["items"].space


def _is_on_disk(table: _Table) -> bool:
    if isinstance(table["items"], Items):
        return True
    if table.get("ItemCount", 0) < ROWS_IN_MEMORY or any(table.get(kind) for kind in _INDEXES):
        return False
    _move_to_disk(table)
    return True


def _move_to_disk(table: _Table) -> None:
    """A table that has grown, or whose items ministack put back as they were."""
    items = Items(table["TableId"])
    for key in list(items):
        for sort in items.get(key):
            _store.remove(items.space, key, sort)
    for key, partition in table["items"].items():
        for sort, item in partition.items():
            _store.put(items.space, key, sort, item, _expiry(table, item))
    table["items"] = items


def _set_item(table: _Table, key: str, sort: str, item: _Item) -> _Item | None:
    space = table["items"].space
    old: _Item | None = _store.get(space, key, sort)
    _store.put(space, key, sort, item, _expiry(table, item))
    if old is None:
        _count(table, 1)
    return old


def _remove_item(table: _Table, key: str, sort: str) -> _Item | None:
    space = table["items"].space
    old: _Item | None = _store.get(space, key, sort)
    if old is not None:
        _store.remove(space, key, sort)
        _count(table, -1)
    return old


def _count(table: _Table, change: int) -> None:
    table["ItemCount"] = table.get("ItemCount", 0) + change
    # as ministack estimates it
    table["TableSizeBytes"] = table["ItemCount"] * 200


# ---- time to live


def _expiry(table: _Table, item: _Item) -> float | None:
    setting = dynamodb._ttl_settings.get(table["TableName"])
    if not setting or setting["TimeToLiveStatus"] != "ENABLED":
        return None
    number = item.get(setting["AttributeName"], {}).get("N")
    return None if number is None else float(number)


def _update_time_to_live(update: Any, request: dict[str, Any]) -> Any:
    answer = update(request)
    table = dynamodb._tables.get(dynamodb._normalize_table_name(request.get("TableName")))
    if answer[0] < 300 and table is not None and isinstance(table["items"], Items):
        items = table["items"]
        expiries = (
            (key, sort, _expiry(table, item)) for key in list(items) for sort, item in _store.of_key(items.space, key)
        )
        _store.remember_expiry(items.space, list(expiries))
    return answer


class _TimeWithoutReaper:
    """The module `time` as ministack's DynamoDB sees it: its reaper, which runs since the import, ends here."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def time(self) -> float:
        if threading.current_thread().name == _REAPER:
            _end_this_thread()
        return time.time()


def _end_this_thread() -> NoReturn:
    raise SystemExit


def _reap_now_and_then() -> None:
    while not _stopping.wait(_REAPING_SECONDS):
        if app._MAIN_LOOP is not None:
            app._MAIN_LOOP.call_soon_threadsafe(_reap)


def _reap() -> None:
    """On the server's thread, as every request: an item that was written again meanwhile has a new time."""
    reaped = 0
    for place, setting in list(dynamodb._ttl_settings.all_items()):
        table = dynamodb._tables.get_scoped(*place)
        if table is not None and setting["TimeToLiveStatus"] == "ENABLED":
            reaped = max(reaped, _reap_table(table, setting["AttributeName"]))
    if reaped:
        moments.note_change()
    if reaped == _REAPED_AT_ONCE:
        app._MAIN_LOOP.call_soon(_reap)


def _reap_table(table: _Table, attribute: str) -> int:
    if isinstance(table["items"], Items):
        over = _store.expired(table["items"].space, clock.now(), _REAPED_AT_ONCE)
    else:
        over = [
            (key, sort)
            for key, partition in table["items"].items()
            for sort, item in partition.items()
            if float(item.get(attribute, {}).get("N", "inf")) <= clock.now()
        ][:_REAPED_AT_ONCE]
    for key, sort in over:
        dynamodb._remove_item(table, key, sort)
    return len(over)
