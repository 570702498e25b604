"""The minute of CloudWatch: at its end services report what they hold, and after that somebody may look at it.

Belongs in here: the one thread and its order. Does not belong here: what is reported (one module a service) and who
looks (cloudwatch_alarms.py). It follows the emulator's clock: one that is moved ahead by an hour ends one minute.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ministack.core import responses

from emulator import clock, patches

MINUTE_SECONDS = 60
_TICK_SECONDS = 0.2

logger = logging.getLogger("emulator.metric_minutes")

_reports: list[Callable[[float], None]] = []
_looks: list[Callable[[float], None]] = []
_stopping = threading.Event()
_threads: list[threading.Thread] = []


def at_each_end(report: Callable[[float], None]) -> None:
    """Calls `report` with the time at which a minute ended."""
    _reports.append(report)
    _start()


def at_each_tick(look: Callable[[float], None]) -> None:
    """Calls `look` with the time, some times a second, after the reports that are due."""
    _looks.append(look)
    _start()


def enter(account: str, region: str) -> None:
    """What follows happens in this account and region."""
    responses._request_account_id.set(account)
    responses._request_region.set(region)


def _start() -> None:
    if not _threads:
        _threads.append(threading.Thread(target=_run, name="metric-minutes", daemon=True))
        _threads[0].start()
        # nothing changes any more while the state is saved
        patches.at_shutdown(50, _stop)


def _stop() -> None:
    _stopping.set()
    _threads[0].join(5)


def _run() -> None:
    ended = clock.now() // MINUTE_SECONDS
    while not _stopping.wait(_TICK_SECONDS):
        now = clock.now()
        if now // MINUTE_SECONDS != ended:
            ended = now // MINUTE_SECONDS
            _call_each(_reports, ended * MINUTE_SECONDS)
        _call_each(_looks, now)


def _call_each(callbacks: list[Callable[[float], None]], moment: float) -> None:
    for callback in callbacks:
        try:
            callback(moment)
        except Exception:
            logger.exception("%s met an error and goes on", callback.__module__)
