"""The environment variables of Airflow's processes outside AWS, as one pure function; production's live with MWAA.

What belongs in here: AIRFLOW__* settings, and the LAKE_* ones that only DAGs read. What does not: where AWS answers
(AWS_ENDPOINT_URL, credentials, LAKE_PREFIX come from the lake's own environment), and starting anything.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

# What `airflow_environment` describes, in the order in which to start it; the scheduler's and the triggerer's
# log servers would listen on all interfaces, and on one machine the API server reads the log files themselves.
AIRFLOW_PROCESSES: dict[str, tuple[str, ...]] = {
    "airflow-api": ("airflow", "api-server"),
    "airflow-scheduler": ("airflow", "scheduler", "--skip-serve-logs"),
    "airflow-dag-processor": ("airflow", "dag-processor"),
    "airflow-triggerer": ("airflow", "triggerer", "--skip-serve-logs"),
}
ADMIN_USER = "admin"
VIEWER_USER = "viewer"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Addresses:
    """Where Airflow's API is: what it listens on, who else finds it where, and what no proxy stands before."""

    listen_host: str
    listen_port: int
    # for Airflow's other processes
    api_url: str
    # for a person's browser, and for links in messages
    ui_url: str
    near_hosts: tuple[str, ...] = (LOOPBACK, "localhost")

    @staticmethod
    def on_loopback(port: int) -> Addresses:
        """All processes on one machine."""
        url = f"http://{LOOPBACK}:{port}"
        return Addresses(LOOPBACK, port, url, url)


@dataclass(frozen=True)
class AirflowSecrets:
    """What one lake's Airflow keeps to itself. Make them once and keep them: sessions and connections hang on them."""

    fernet_key: str
    api_secret_key: str
    jwt_secret: str
    admin_password: str
    viewer_password: str

    @staticmethod
    def generate() -> AirflowSecrets:
        return AirflowSecrets(
            fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            api_secret_key=secrets.token_urlsafe(32),
            jwt_secret=secrets.token_urlsafe(64),
            admin_password=secrets.token_urlsafe(12),
            viewer_password=secrets.token_urlsafe(12),
        )

    def passwords_file_text(self) -> str:
        """What to write (mode 600) to `<home>/passwords.json` before the API server starts."""
        return json.dumps({ADMIN_USER: self.admin_password, VIEWER_USER: self.viewer_password}) + "\n"


def passwords_file(home: Path) -> Path:
    """Where the SimpleAuthManager looks up passwords."""
    return home / "passwords.json"


def airflow_environment(
    home: Path,
    dags: Path,
    plugins: Path,
    database_uri: str,
    addresses: Addresses,
    airflow_secrets: AirflowSecrets,
    *,
    scheduled: bool = True,
    waiter_delay_seconds: int = 2,
) -> dict[str, str]:
    """Every variable that the four processes (and `airflow db migrate`) need, beside AWS_* and LAKE_PREFIX.

    `database_uri`: such as `postgresql+psycopg2://postgres:@/airflow?host=<socket dir>`. Made for quick pick-up and
    little memory: four task slots, one API worker, one parser. `scheduled=False`: DAGs run only when somebody triggers
    them, so that a demo's runs are the only ones.
    """
    environment = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__FERNET_KEY": airflow_secrets.fernet_key,
        # the default asks the resolver, which may take seconds on a laptop
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{addresses.api_url}/execution/",
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN_USER}:admin,{VIEWER_USER}:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords_file(home)),
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "5",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_uri,
        "AIRFLOW__API__HOST": addresses.listen_host,
        "AIRFLOW__API__PORT": str(addresses.listen_port),
        "AIRFLOW__API__BASE_URL": addresses.ui_url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": airflow_secrets.api_secret_key,
        "AIRFLOW__API_AUTH__JWT_SECRET": airflow_secrets.jwt_secret,
        # the scheduler may be up before the API server, and a laptop may be busy: a task waits instead of failing
        "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "12",
        "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "10.0",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "20.0",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
        "NO_PROXY": ",".join(addresses.near_hosts),
        "no_proxy": ",".join(addresses.near_hosts),
        "LAKE_WAITER_DELAY_SECONDS": str(waiter_delay_seconds),
        "LAKE_AIRFLOW_URL": addresses.ui_url,
    }
    if not scheduled:
        environment |= {f"LAKE_{name}_SCHEDULE": "none" for name in ("LOAD", "CLOSE", "CRAWL", "WATCH", "AUDIT")}
    return environment
