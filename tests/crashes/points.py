"""Functions of a lake that die where a test says: before or after a call to AWS, by SIGKILL.

A door is put before the true handler. It looks for a file named after the call at each of them; whoever finds the file
takes it away, so that one file is one death. What does not belong here: which death comes when (kills.py).
"""

from __future__ import annotations

from pathlib import Path

from tests.function_packages import with_door
from tests.journeys.lake import Lake, wait_until

DOOR = """
import os, signal, botocore.client, true_handler

FOLDER = {folder!r}
make_call = botocore.client.BaseClient._make_api_call

def reached(point):
    try:
        os.rename(os.path.join(FOLDER, point), os.path.join(FOLDER, "reached-" + point))
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

def watched_call(self, operation, arguments):
    reached("before-" + operation)
    answer = make_call(self, operation, arguments)
    reached("after-" + operation)
    return answer

botocore.client.BaseClient._make_api_call = watched_call

def handler(event, context):
    return true_handler.handler(event, context)
"""


class CrashPoints:
    """The points of one function."""

    def __init__(self, lake: Lake, function: str, folder: Path) -> None:
        self.folder = folder / function
        self.folder.mkdir(parents=True)
        package = next((lake.home / "state").rglob(f"{function}*.zip"))
        planted = with_door(package.read_bytes(), DOOR.format(folder=str(self.folder)))
        lake.reader().client("lambda").update_function_code(FunctionName=f"{lake.prefix}-{function}", ZipFile=planted)

    def die_once(self, point: str, timeout_seconds: float) -> None:
        """Returns when the function has died there; fails when it does not come by in time."""
        armed, reached = self.folder / point, self.folder / f"reached-{point}"
        reached.unlink(missing_ok=True)
        armed.touch()
        try:
            wait_until(reached.exists, f"the death of {self.folder.name} {point}", timeout_seconds)
        finally:
            armed.unlink(missing_ok=True)
