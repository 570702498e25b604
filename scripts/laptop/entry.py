"""How every script of the Makefile begins and ends: progress lines, signals, and one clear line when it cannot go on.

What does not belong here: anything that knows what a script does.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from eventlake.errors import LakeError, TerminalError

EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130
DISK_FULL = "the disk is full; free some space and run the command again"
# less than this is a full disk to a program that wants to write
FULL_DISK_BYTES = 4 * 1024**2

_started = time.monotonic()


def say(text: str) -> None:
    """One progress line with the seconds since the command began."""
    print(f"[{time.monotonic() - _started:5.1f} s] {text}", flush=True)


def seconds_so_far() -> float:
    return time.monotonic() - _started


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def ignore_interrupts() -> None:
    """While things are being stopped: a second Ctrl-C must not leave half of them running."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def given(name: str) -> str | None:
    """A variable that the Makefile handed on; empty counts as absent."""
    return os.environ.get(name) or None


def whole_number(name: str, default: int) -> int:
    text = given(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise TerminalError(f"reading {name}: received {text!r}; valid is a whole number such as {default}")
    return int(text)


def run(main: Callable[[], int]) -> NoReturn:
    """Run `main` and leave with its code; expected troubles become one line on stderr."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        code = main()
    except KeyboardInterrupt:
        print("eventlake: interrupted", file=sys.stderr, flush=True)
        code = EXIT_INTERRUPTED
    except (LakeError, BotoCoreError, ClientError) as error:
        text = DISK_FULL if disk_is_full() else " ".join(str(error).split())
        print(f"eventlake: {text}", file=sys.stderr, flush=True)
        code = EXIT_REFUSED
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) and not disk_is_full():
            raise
        print(f"eventlake: {DISK_FULL}", file=sys.stderr, flush=True)
        code = EXIT_REFUSED
    sys.exit(code)


def disk_is_full() -> bool:
    """A program of the lake that cannot write fails in ways of its own: the disk tells the true reason."""
    folder = Path(os.environ.get("LAKE_HOME") or ".lake")
    return folder.exists() and shutil.disk_usage(folder).free < FULL_DISK_BYTES
