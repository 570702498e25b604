"""Checkpoints: after a kill all stores start together, from one moment not long before.

Belongs in here: when a checkpoint is taken, by whom, and what a start makes of it. Does not belong here: the file's
format (checkpoint_file.py), S3's bodies (s3_bodies.py), rows on disk (row_store.py). ministack writes its stores down
when it is stopped, and each by itself, so that after a kill they are of different times.

A checkpoint begins between two requests: the server forks, which takes some milliseconds, and goes on; the child, whose
memory stays as it was, writes it down. Only a whole file takes the place of the one before. A stop ends with one, too.

    STATE_DIR/checkpoint   the stores; S3_DATA_DIR/bodies   the bodies of objects, each in a file that never changes
    STATE_DIR/rows         what grows with every event: DynamoDB's items, Kinesis's records (row_store.py)
    STATE_DIR/running      there while a server runs, and after a kill
"""

from __future__ import annotations

import asyncio
import calendar
import contextlib
import copy
import gc
import logging
import marshal
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from ministack import app
from ministack.services import glue, lambda_svc, sqs

from emulator import (
    checkpoint_file,
    dynamodb_items,
    glue_crawler,
    kinesis_records,
    moments,
    patches,
    s3_bodies,
    s3_notifications,
)
from emulator.faults import fault
from emulator.row_store import RowStore

FIX = "checkpoints"

_INTERVAL_SECONDS = 20.0
# a change that takes longer than this is waited for again a little later: no request waits longer either
_PATIENCE_SECONDS = 0.2
_RETRY_SECONDS = 0.1
_PATIENCE_AT_STOP_SECONDS = 5.0
_LONGEST_WRITE_SECONDS = 30.0
# connections that were open at a checkpoint and are closed by now go at such a moment
_FULL_COLLECTION_SECONDS = 3600.0
# the stream and the jobs come first, but it must come to its end on a busy machine, too
_NICENESS = 5
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_READING_ACTIONS = (b"Get", b"List", b"Describe", b"BatchGet", b"Query", b"Scan", b"Lookup", b"Search", b"Filter")

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

logger = logging.getLogger("emulator.checkpoints")

# what of ours is kept beside ministack's stores: how to read and how to restore each
_OWN: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "glue_crawler": (glue_crawler.saved, glue_crawler.restore),
    "s3_notifications": (s3_notifications.saved, s3_notifications.restore),
}

_resting = threading.Event()
_writer: threading.Thread
_state: Path
_rows: RowStore
# the number of the last change that the checkpoint under way holds
_sealed = 0
_to_restore: dict[str, Any] = {}
_was_killed = False
_failing = False
_next_full_collection = time.monotonic() + _FULL_COLLECTION_SECONDS


def install() -> None:
    global _state, _writer
    _state = Path(os.environ["STATE_DIR"])
    _open_rows()
    _read_checkpoint()
    s3_bodies.install(Path(os.environ["S3_DATA_DIR"]) / "bodies")
    s3_notifications.install()
    run = patches.replace(FIX, "services.glue:run_reentrant", None)
    # requests of Glue are the ones that are not handled on the server's thread and change several things each
    glue.run_reentrant = lambda handle, *request, **options: run(_as_a_whole, handle, *request, **options)
    patches.replace(FIX, "app:_load_persisted_state", _restore)
    patches.replace(FIX, "app:save_all", _save_at_stop)
    _writer = threading.Thread(target=_run, name="checkpoints", daemon=True)
    patches.at_shutdown(50, _rest)


# ---- the start


def _open_rows() -> None:
    global _rows
    if not (_state / "checkpoint").exists():
        # what no checkpoint knows
        for left in _state.glob("rows*"):
            left.unlink()
    try:
        _rows = RowStore(_state / "rows")
    except sqlite3.Error as error:
        raise patches.UnusableStateError(
            f"{_state / 'rows'} cannot be read: {error}; remove {_state}, and start anew"
        ) from None
    _OWN["rows"] = (lambda: _sealed, _back_to)
    dynamodb_items.install(_rows)
    kinesis_records.install(_rows)


def _back_to(sealed: int) -> None:
    _rows.back_to(sealed, [*dynamodb_items.spaces(), *kinesis_records.spaces()])


def _read_checkpoint() -> None:
    """Says in one line what moment a killed server's stores are back at."""
    global _was_killed
    place, running = _state / "checkpoint", _state / "running"
    _was_killed = running.exists()
    if not place.exists():
        if any(_state.glob("*.json")):
            raise patches.UnusableStateError(f"{_state} holds the state of an older version; remove it, and start anew")
        if _was_killed:
            print("emulator: was killed before its first checkpoint; all stores are empty", file=sys.stderr)
    else:
        try:
            header, stores = checkpoint_file.read(place)
        except (checkpoint_file.UnreadableError, OSError) as error:
            raise patches.UnusableStateError(
                f"{place} cannot be read: {error}; remove {_state}, and start anew"
            ) from None
        _to_restore.update(stores)
        if _was_killed:
            age_seconds = time.time() - calendar.timegm(time.strptime(header["moment"], _MOMENT))
            print(
                f"emulator: was killed; all stores are back at {header['moment']}, {age_seconds:.0f} s ago, the moment "
                "of its last checkpoint. "
                "What came after is gone in all of them; who talked to it may remember more (Airflow does)",
                file=sys.stderr,
            )
    with contextlib.suppress(OSError):
        (_state / "checkpoint.new").unlink()
    running.touch()


def _restore() -> None:
    """All of them or none: a server with half of its stores would be wrong without a word."""
    try:
        for name, module in app._state_map.items():
            if name in _to_restore:
                app._get_module(module).load_persisted_state(_to_restore[name])
        for name, state in _to_restore.get("own", {}).items():
            _OWN[name][1](state)
    except Exception as error:
        _refuse(f"{_state / 'checkpoint'} does not fit this emulator ({error!r}); remove {_state}, and start anew")
    _to_restore.clear()
    if missing := s3_bodies.missing():
        _refuse(f"{missing} bodies of S3 objects are missing in {os.environ['S3_DATA_DIR']}; remove {_state} as well")
    # what came after the checkpoint
    s3_bodies.remove(s3_bodies.unused())
    if _was_killed:
        _make_visible()
    dynamodb_items.start_reaping()
    _writer.start()


def _refuse(why: str) -> None:
    print(f"emulator: {why}", file=sys.stderr)
    os._exit(2)


def _make_visible() -> None:
    """The functions that held messages were killed too; nobody has to wait for their visibility timeouts."""
    now = time.time()
    for queue in sqs._queues._data.values():
        for message in queue["messages"]:
            if message["receive_count"]:
                message["visible_at"] = min(message["visible_at"], now)


def _as_a_whole(handle: Callable[..., Any], *request: Any) -> Any:
    with moments.as_a_whole():
        return handle(*request)


# ---- what has changed


def with_changes_counted(serve: App) -> App:
    """The server, noting each request that may have changed something."""

    async def counted(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await serve(scope, receive, send)
        if scope["type"] == "http" and not _only_reads(scope):
            moments.note_change()

    return counted


def _only_reads(scope: dict[str, Any]) -> bool:
    action = next((value for name, value in scope["headers"] if name == b"x-amz-target"), b"").rpartition(b".")[2]
    return scope["method"] in ("GET", "HEAD") or action.startswith(_READING_ACTIONS)


# ---- the checkpoints of a running server


def _run() -> None:
    interval = float(os.environ.get("EMULATOR_CHECKPOINT_SECONDS") or _INTERVAL_SECONDS)
    written = moments.changes()
    wait = interval
    while not _resting.wait(wait):
        wait = interval
        changes = moments.changes()
        if changes == written or app._MAIN_LOOP is None:
            continue
        started = time.monotonic()
        begun = asyncio.run_coroutine_threadsafe(_begin(), app._MAIN_LOOP).result()
        if begun is None:
            wait = _RETRY_SECONDS
        elif _finish(*begun):
            written = changes
            # what takes long is not done all the time
            wait = max(interval - (time.monotonic() - started), time.monotonic() - started)


def _rest() -> None:
    _resting.set()
    if _writer.is_alive():
        _writer.join(_LONGEST_WRITE_SECONDS)


def _save_at_stop(services: Any) -> None:
    """Whatever else is still in the middle of something by now is not waited for any longer."""
    with moments.held(_PATIENCE_AT_STOP_SECONDS):
        begun = _fork()
    if _finish(*begun):
        (_state / "running").unlink(missing_ok=True)


async def _begin() -> tuple[int, int] | None:
    """On the server's thread, so between two requests; None when somebody is in the middle of a change."""
    with moments.held(_PATIENCE_SECONDS) as is_held:
        if not is_held:
            return None
        _spare_what_stays()
        return _fork()


def _spare_what_stays() -> None:
    """Garbage is looked for only among what is made from now on.

    A full collection of a million objects stops the server for more than half a second, and copies each page that the
    child shares besides (measured: the fork itself takes 80 ms at most with 800 MB).
    """
    global _next_full_collection
    if time.monotonic() >= _next_full_collection:
        _next_full_collection = time.monotonic() + _FULL_COLLECTION_SECONDS
        gc.unfreeze()
        gc.collect()
    gc.freeze()


def _fork() -> tuple[int, int]:
    """Child and the end of the pipe on which it reports."""
    global _sealed
    _sealed = _rows.seal()
    moment = time.strftime(_MOMENT, time.gmtime())
    report, report_of_child = os.pipe()
    server = os.getpid()
    child = os.fork()
    if child == 0:
        _be_child(server, report_of_child, {"moment": moment})
    os.close(report_of_child)
    return child, report


def _finish(child: int, report: int) -> bool:
    """Whether the new checkpoint is in its place; if not, the one before still is, and the log says why."""
    deadline = threading.Timer(_LONGEST_WRITE_SECONDS, os.kill, (child, signal.SIGKILL))
    deadline.start()
    try:
        with os.fdopen(report, "rb") as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
    finally:
        deadline.cancel()
    told = marshal.loads(said) if said else {"failure": "its process ended without a word"}
    if "failure" not in told:
        try:
            _rows.to_disk()
            _put_in_place()
        except OSError as error:
            told = {"failure": str(error)}
    _say(told.get("failure"))
    if "failure" in told:
        (_state / "checkpoint.new").unlink(missing_ok=True)
        return False
    s3_bodies.remove(told["unused_bodies"])
    _rows.forget_dead(_sealed)
    lambda_svc._prune_orphan_code_blobs(set(told["code"]))
    return True


def _put_in_place() -> None:
    (_state / "checkpoint.new").replace(_state / "checkpoint")
    folder = os.open(_state, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _say(failure: str | None) -> None:
    """Once when it begins to fail, and once when it works again."""
    global _failing
    if failure and not _failing:
        logger.error("no checkpoint can be written, the last one stays, and the server goes on: %s", failure)
    elif _failing and not failure:
        logger.warning("checkpoints are written again")
    _failing = bool(failure)


# ---- the child


def _be_child(server: int, report: int, header: dict[str, Any]) -> None:
    """Never returns. It shares nothing with the server but the pipe: no socket, no signal, no exit handler."""
    try:
        gc.disable()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.closerange(3, report)
        os.closerange(report + 1, os.sysconf("SC_OPEN_MAX"))
        os.nice(_NICENESS)
        told = _write(server, header)
    except BaseException as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
        told = {"failure": f"{reason}, in {_state}"}
    with contextlib.suppress(OSError), os.fdopen(report, "wb") as pipe:
        pipe.write(marshal.dumps(told))
    os._exit(0)


def _write(server: int, header: dict[str, Any]) -> dict[str, Any]:
    # the memory is the child's own, so what ministack copies in order not to be disturbed needs no copy
    copy.deepcopy = lambda value, memo=None: value
    code: set[str] = set()
    # the checkpoint before may still need what this one does not
    lambda_svc._prune_orphan_code_blobs = code.update
    checkpoint_file.write(_state / "checkpoint.new", header, _stores(server))
    return {"unused_bodies": s3_bodies.unused(), "code": list(code)}


def _stores(server: int) -> Iterator[tuple[str, Any]]:
    for name, read in app._build_persistence_save_dict().items():
        if os.getppid() != server:
            os._exit(1)
        state = read()
        if state is not None:
            yield name, state
        while fault("checkpoint_hangs") and os.getppid() == server:
            time.sleep(_RETRY_SECONDS)
    yield "own", {name: read() for name, (read, _) in _OWN.items()}
