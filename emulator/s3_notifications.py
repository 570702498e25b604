"""S3's event notifications: one that is not sent yet is in the next checkpoint, and is sent after a restart.

Belongs in here: the notifications under way. Does not belong here: what one says, and to whom (ministack's). ministack
gives each to a thread of its own, which nobody waits for.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html: delivered at least once
"""

from __future__ import annotations

import contextvars
import itertools
from typing import Any

from ministack import app
from ministack.core import responses
from ministack.services import s3

from emulator import patches

FIX = "checkpoints"

_numbers = itertools.count()
# account, arguments and options of what is not sent yet, in the order in which it happened
_waiting: dict[int, tuple[str, list[Any], dict[str, Any]]] = {}


def install() -> None:
    patches.replace(FIX, "services.s3:_fire_s3_event_async", _send_soon)


def _send_soon(bucket: str, *arguments: Any, **options: Any) -> None:
    if bucket in s3._bucket_notifications:
        options["sequencer"] = s3._next_event_sequencer(arguments[1])
        _wait(responses.get_account_id(), [bucket, *arguments], options)


def _wait(account: str, arguments: list[Any], options: dict[str, Any]) -> None:
    number = next(_numbers)
    _waiting[number] = (account, arguments, options)
    if app._MAIN_LOOP is not None:
        app._MAIN_LOOP.call_soon_threadsafe(_send, number)


def _send(number: int) -> None:
    """On the server's thread, between two requests, as all that makes a message and forgets it here."""
    account, arguments, options = _waiting[number]
    context = contextvars.copy_context()
    context.run(responses.set_request_account_id, account)
    context.run(s3._fire_s3_event, *arguments, **options)
    del _waiting[number]


def saved() -> list[tuple[str, list[Any], dict[str, Any]]]:
    return list(_waiting.values())


def restore(waiting: list[tuple[str, list[Any], dict[str, Any]]]) -> None:
    for account, arguments, options in waiting:
        _wait(account, arguments, options)
