"""`make down`: end every process of the lake; its state stays. What does not belong here: removing state (clean)."""

from __future__ import annotations

import os

from laptop import entry
from laptop.home import Home
from laptop.lifecycle import only_one_starter
from laptop.supervision import Supervisor, left_behind


def main() -> int:
    home = Home.from_env(os.environ)
    if not home.run.exists():
        print("no lake is up")
        return 0
    with only_one_starter(home):
        supervisor = Supervisor.running(home) or left_behind(home)
        if supervisor is None:
            print("no lake is up")
            return 0
        entry.ignore_interrupts()
        entry.say("stopping the lake")
        forced = supervisor.stop()
    if forced:
        entry.say(f"had to end by force: {', '.join(forced)}")
    entry.say(
        f"the lake is down; its state stays in {home.folder} (`make up` goes on with it, `make clean` removes it)"
    )
    return 0


if __name__ == "__main__":
    entry.run(main)
