"""S3 event notifications: none is on its way when the server saves its state.

Belongs in here: the wait for notifications at a stop; ministack hands each one to a thread that a stop would cut.
Does not belong here: what a notification says.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html: delivered at least once
"""

from __future__ import annotations

import threading
from typing import Any

from ministack.services import s3

from emulator import patches

FIX = "s3_events"
_LONGEST_WAIT_SECONDS = 10.0

_changed = threading.Condition()
_pending = 0


def install() -> None:
    send_later = patches.replace(FIX, "services.s3:_fire_s3_event_async", None)
    send = patches.replace(FIX, "services.s3:_fire_s3_event", None)

    def counted_send_later(bucket_name: str, *arguments: Any, **options: Any) -> None:
        if bucket_name in s3._bucket_notifications:
            _count(+1)
        send_later(bucket_name, *arguments, **options)

    def counted_send(*arguments: Any, **options: Any) -> None:
        try:
            send(*arguments, **options)
        finally:
            _count(-1)

    s3._fire_s3_event_async = counted_send_later
    s3._fire_s3_event = counted_send
    patches.at_shutdown(35, _wait)


def _count(change: int) -> None:
    global _pending
    with _changed:
        _pending = max(0, _pending + change)  # a restore from the archive tells without being counted
        _changed.notify_all()


def _wait() -> None:
    with _changed:
        _changed.wait_for(lambda: _pending <= 0, _LONGEST_WAIT_SECONDS)
