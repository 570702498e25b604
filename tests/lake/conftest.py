"""A lake without Airflow and without Spark: a running emulator, the buckets, tables and stream of one lake a test.

Belongs in here: start and stop, and what a load job would have left behind. Does not belong here: what is held of it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from lake_builders import Lake, wait_until

from eventlake.settings import DATABASES, Settings
from eventlake_aws.clients import Clients
from tests.fault_file import write_faults

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venvs/emulator/bin/python"


@pytest.fixture(scope="session")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the server reads its faults from."""
    return tmp_path_factory.mktemp("faults") / "faults.json"


@pytest.fixture
def ahead(faults: Path) -> Iterator[Callable[[timedelta], None]]:
    """Moves the server's clock, for whatever acts by time; it is back after the test."""
    yield lambda by: write_faults(faults, clock_ahead_seconds=int(by.total_seconds()))
    write_faults(faults)


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory, faults: Path) -> Iterator[str]:
    """One server for the folder; every test makes a lake of its own on it."""
    folder = tmp_path_factory.mktemp("emulator")
    environment = {
        "EMULATOR_FAULTS": str(faults),
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "GATEWAY_PORT": "0",
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [str(PYTHON), "-m", "emulator"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("emulator: http://127.0.0.1:"), (line, (folder / "log").read_text())
            url = line.split()[1]
            wait_until(lambda: is_healthy(url), "a healthy emulator")
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)


@pytest.fixture(scope="session")
def environment(endpoint: str) -> Iterator[None]:
    """What a worker's environment says, for the whole folder."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def lake(environment: None) -> Lake:
    """The resources of one lake. The Glue databases are shared, so tests name their tables apart."""
    settings = Settings(prefix=f"t{uuid.uuid4().hex[:8]}", delivery_buffer_seconds=1)
    clients = Clients(settings)
    made = Lake(settings, clients)
    made.create()
    for database in DATABASES:
        with contextlib.suppress(clients.glue.exceptions.AlreadyExistsException):
            clients.glue.create_database(DatabaseInput={"Name": database})
    made.forget_tables()
    return made


def is_healthy(url: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(urllib.request.urlopen(f"{url}/_ministack/health", timeout=2).status == 200)
    return False
