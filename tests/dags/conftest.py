"""Airflow without a network and without a database server: an own AIRFLOW_HOME, set before anything imports Airflow."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_socket

ROOT = Path(__file__).resolve().parents[2]
AIRFLOW_HOME = tempfile.mkdtemp(prefix="eventlake-airflow-")
# Airflow reads it while the process ends, too: no fixture can take it away
atexit.register(shutil.rmtree, AIRFLOW_HOME, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = AIRFLOW_HOME
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(ROOT / "dags")
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(ROOT / "plugins")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = "aws://"
os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = "eu-west-1"
for name in [name for name in os.environ if name.startswith("LAKE_")]:
    # a lake that runs beside the tests must not change what they see
    del os.environ[name]


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    """DAG code that opens a connection while it is parsed or built fails its test."""
    # an event loop talks to itself through a pair of unix sockets
    pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()
