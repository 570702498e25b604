"""The composed lake's secrets, in a volume that only its containers see: made once, read by those that need them.

Run as a program it makes what is missing and ends; it is the first service to run. What belongs in here: which secret
lies in which file, readable by whom. What does not: what a secret is made of (airflow_environment).
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from airflow_environment import AirflowSecrets
from composed.places import SECRETS
from laptop.home import kept_secrets, write_private

AIRFLOW_FILE = "airflow.json"
DATABASE_PASSWORD_FILE = "database-password"


def airflow_secrets(folder: Path = SECRETS) -> AirflowSecrets:
    return kept_secrets(folder / AIRFLOW_FILE)


def database_password(folder: Path = SECRETS) -> str:
    return (folder / DATABASE_PASSWORD_FILE).read_text()


def make(folder: Path = SECRETS) -> None:
    """What is there stays as it is."""
    airflow_secrets(folder)
    password = folder / DATABASE_PASSWORD_FILE
    if not password.exists():
        # PostgreSQL's image has a user of its own, which reads this one file by its group
        beside = folder / f"{DATABASE_PASSWORD_FILE}.new"
        write_private(beside, secrets.token_urlsafe(32))
        beside.chmod(0o640)
        beside.rename(password)


def main() -> int:
    try:
        make()
    except OSError as error:
        print(f"eventlake: making the lake's secrets: {error}; is the volume of {SECRETS} ours?", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
