"""Where things are inside the containers: folders, and the names that docker-compose.yaml gives to its services.

A test holds the two together. What does not belong here: what the host sees of it.
"""

from __future__ import annotations

from pathlib import Path

from airflow_environment import LOOPBACK, Addresses

CHECKOUT = Path(__file__).resolve().parent.parent.parent
STATE = Path("/var/lib/eventlake")
SECRETS = STATE / "secrets"
AIRFLOW_HOME = STATE / "airflow"

DATABASE_HOST = "postgres"
DATABASE_PORT = 5432
# its user and its database
DATABASE_NAME = "airflow"
EMULATOR_HOST = "emulator"
EMULATOR_URL = f"http://{EMULATOR_HOST}:4566"
API_HOST = "api-server"
API_PORT = 8080


def addresses(ui_url: str) -> Addresses:
    """The API listens to its container's network; only the host's loopback is published (docker-compose.yaml)."""
    return Addresses(
        listen_host="0.0.0.0",
        listen_port=API_PORT,
        api_url=f"http://{API_HOST}:{API_PORT}",
        ui_url=ui_url,
        near_hosts=(LOOPBACK, "localhost", API_HOST, EMULATOR_HOST, DATABASE_HOST),
    )
