"""The step between an empty database with an empty AWS and a lake: Airflow's tables, then packages and stack.

Runs to its end before any process of Airflow starts, at each `docker compose up`; what is up to date stays as it is.
What does not belong here: the users (their passwords are secrets, secret_files), and what a deployment is (deploy).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from composed import environment
from deploy import deploy
from eventlake.errors import LakeError, TerminalError
from eventlake.settings import Settings
from local_lake import DELIVERY_BUFFER_SECONDS

MIGRATION_SECONDS = 300

_started = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - _started:5.1f} s] {text}", flush=True)


def migrate(variables: dict[str, str]) -> None:
    ended = subprocess.run(
        ["airflow", "db", "migrate"],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MIGRATION_SECONDS,
    )
    if ended.returncode != 0:
        last = [line.strip() for line in (ended.stdout + ended.stderr).splitlines() if line.strip()][-3:]
        raise TerminalError(f"making Airflow's tables failed: {' | '.join(last)}")
    say("the database has Airflow's tables")


def deploy_lake(settings: Settings) -> None:
    os.environ.update(environment.of_aws(settings))
    with tempfile.TemporaryDirectory() as folder:
        outcome = deploy(
            settings,
            build_folder=Path(folder),
            definitions_folders=[],
            parameters={"DeliveryBufferSeconds": str(DELIVERY_BUFFER_SECONDS)},
            say=say,
        )
    say(f"stack {settings.stack}: {outcome}")


def main() -> int:
    try:
        migrate(environment.of_airflow(os.environ))
        deploy_lake(Settings.from_env(os.environ))
    except (LakeError, BotoCoreError, ClientError, subprocess.TimeoutExpired) as error:
        print(f"eventlake: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
