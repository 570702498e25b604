"""`make up`: a lake that stays, with the UI on 127.0.0.1. What does not belong here: how it is started (laptop/)."""

from __future__ import annotations

import os

from eventlake.data_docs import INDEX_PATH
from eventlake.settings import Settings
from laptop import entry
from laptop.home import Home, choose_ports
from laptop.lifecycle import bring_up, only_one_starter
from laptop.supervision import Supervisor


def main() -> int:
    home = Home.from_env(os.environ)
    with only_one_starter(home):
        if Supervisor.running(home) is not None:
            print("the lake is up already")
            print_addresses(home)
            return 0
        settings = Settings.from_env(os.environ)
        ports = choose_ports(os.environ, home.last_ports(), ui_may_move=False)
        entry.say(f"starting the lake in {home.folder}; its logs: {home.logs}")
        home.kept_mark.touch()
        lake = bring_up(home, ports, settings, durable=True, scheduled=True, aws_ready=lambda: None)
        lake.supervisor.keep()
    entry.say("the lake is up")
    print_addresses(home)
    return 0


def print_addresses(home: Home) -> None:
    variables = home.read_env()
    print(
        f"  Airflow    {variables['LAKE_AIRFLOW_URL']}  user {variables['LAKE_AIRFLOW_USER']}, "
        f"password {variables['LAKE_AIRFLOW_PASSWORD']}"
    )
    print(f"  AWS        {variables['AWS_ENDPOINT_URL']}  (source {home.env_file})")
    print(f"  Data Docs  {variables['LAKE_DATA_DOCS_URL']}{INDEX_PATH}")
    print('  next       make send INPUT=events.ndjson | make query SQL="…" | make status | make down')


if __name__ == "__main__":
    entry.run(main)
