"""`make clean`: remove the lake's state and what was built. `ALL=1` removes the environments and caches too."""

from __future__ import annotations

import os
import shutil

from eventlake.errors import TerminalError
from laptop import entry
from laptop.home import CHECKOUT, LAKE_PARTS, Home
from laptop.lifecycle import only_one_starter
from laptop.supervision import Supervisor, left_behind

BUILT = ("dist", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis")
INSTALLED = (".venvs", ".cache")


def main() -> int:
    home = Home.from_env(os.environ)
    with only_one_starter(home):
        if Supervisor.running(home) or left_behind(home):
            raise TerminalError(f"a lake runs in {home.folder}; `make down` first")
        targets = [home.folder / part for part in (*LAKE_PARTS, "set-aside")]
        targets += [CHECKOUT / part for part in BUILT]
        if entry.given("ALL"):
            targets += [CHECKOUT / part for part in INSTALLED]
        removed = [path for path in targets if path.exists()]
        for path in removed:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(home.run, ignore_errors=True)
    print(f"removed {', '.join(str(path) for path in removed) or 'nothing: all is clean'}")
    return 0


if __name__ == "__main__":
    entry.run(main)
