"""`make status`: what runs, since when, with how much memory, and where to reach it."""

from __future__ import annotations

import os

import psutil

from eventlake.data_docs import INDEX_PATH
from laptop import entry
from laptop.home import Home
from laptop.supervision import ProgramState, Supervisor, left_behind

EXIT_NOT_UP = 3


def main() -> int:
    home = Home.from_env(os.environ)
    supervisor = Supervisor.running(home)
    if supervisor is None:
        remains = left_behind(home)
        print(
            "no lake is up"
            if remains is None
            else "the lake's supervisor was killed and programs of it still run: `make down` ends them"
        )
        return EXIT_NOT_UP
    for one in supervisor.states():
        if one.name != "guard":
            print(f"  {one.name:<22} {one.state.lower():<10} {_uptime(one):>10} {_memory(one):>9}")
    env = home.read_env()
    print(f"  Airflow {env['LAKE_AIRFLOW_URL']} as {env['LAKE_AIRFLOW_USER']}, AWS {env['AWS_ENDPOINT_URL']}")
    print(f"  Data Docs {env['LAKE_DATA_DOCS_URL']}{INDEX_PATH}")
    print(f"  source {home.env_file} for passwords and names; logs in {home.logs}")
    return 0


def _uptime(state: ProgramState) -> str:
    return f"{state.seconds // 3600}:{state.seconds // 60 % 60:02}:{state.seconds % 60:02}" if state.pid else "-"


def _memory(state: ProgramState) -> str:
    """Of the program and all that it started, shared pages counted once per process."""
    if not state.pid:
        return "-"
    try:
        family = [psutil.Process(state.pid)]
        family += family[0].children(recursive=True)
        return f"{sum(one.memory_info().rss for one in family) // 1024**2} MB"
    except psutil.Error:
        return "-"


if __name__ == "__main__":
    entry.run(main)
