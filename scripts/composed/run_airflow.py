"""Gives a command Airflow's environment and becomes it: `python -m composed.run_airflow airflow scheduler`."""

from __future__ import annotations

import os
import sys

from airflow_environment import passwords_file
from composed import environment, places, secret_files
from laptop.home import write_private


def main(command: list[str]) -> None:
    if not command:
        sys.exit("usage: python -m composed.run_airflow COMMAND ...")
    variables = environment.of_airflow(os.environ)
    places.AIRFLOW_HOME.mkdir(parents=True, exist_ok=True)
    # the API server opens this file for writing, so it gets one of its own
    write_private(passwords_file(places.AIRFLOW_HOME), secret_files.airflow_secrets().passwords_file_text())
    os.execvpe(command[0], command, variables)


if __name__ == "__main__":
    main(sys.argv[1:])
