"""Ends a lake whose starter died before the lake was up (or, for a demo, before it was over).

Runs under the lake's supervisor, which is its parent. It waits for the starter's process to end; a mark left by then
says that the lake is to stay. Without the mark the starter was killed, and the guard ends the supervisor, which
stops everything in order. So even `kill -9` of `make demo` leaves no process behind.
"""

import os
import select
import signal
import sys
from pathlib import Path

LOOK_EVERY_SECONDS = 0.5


def starter_ended_without(mark: Path, starter: int) -> bool:
    """Waits for the mark or for the end of the starter, whichever comes first."""
    try:
        process = os.pidfd_open(starter)
    except ProcessLookupError:
        return not mark.exists()
    while not mark.exists():
        # a pidfd is ready when its process has ended, whatever became of the number since
        if select.select([process], [], [], LOOK_EVERY_SECONDS)[0]:
            return not mark.exists()
    return False


def main(starter: int, mark: Path) -> int:
    if starter_ended_without(mark, starter):
        os.kill(os.getppid(), signal.SIGTERM)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
