"""What runs in a lake on a laptop: each program's command and environment, as supervisord is told them.

What does not belong here: starting and stopping (supervision), and what the programs do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import local_lake
from airflow_environment import AIRFLOW_PROCESSES, LOOPBACK, Addresses, airflow_environment
from eventlake.settings import Settings
from laptop import database
from laptop.home import CHECKOUT, ENVIRONMENTS, JARS, Home, Ports
from local_lake import aws_environment

GUARD = "guard"
DATABASE = "postgres"
EMULATOR = "emulator"
AIRFLOW = tuple(AIRFLOW_PROCESSES)
# Airflow mostly waits; while it starts, or while a job computes, the stream and the job come first
YIELDING = "10"
# a shell's variables that would lead our programs elsewhere: to a real account, another Airflow, another Python
FOREIGN_PREFIXES = ("AWS_", "AIRFLOW_", "AIRFLOW__", "PYTHON", "SPARK_", "PYSPARK_", "HADOOP_", "JAVA_", "PG", "MAKE")
FOREIGN = ("MFLAGS", "VIRTUAL_ENV", "LAKE_INPUT", "LAKE_EVENTS", "LAKE_SQL", "LAKE_UUID", "LAKE_INSTALL_SECONDS")


@dataclass(frozen=True)
class Program:
    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    # lower starts earlier and stops later
    priority: int = 100
    autostart: bool = True
    autorestart: str = "true"
    stop_signal: str = "TERM"
    stop_seconds: int = 15
    # the database and the emulator end their own children in order; others are stopped with all they started
    stop_as_group: bool = True
    working_folder: Path = CHECKOUT


def own_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The shell's environment without what would lead elsewhere."""
    kept = {
        name: value
        for name, value in environment.items()
        if name not in FOREIGN and not name.startswith(FOREIGN_PREFIXES)
    }
    return kept | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def adopt(variables: Mapping[str, str]) -> None:
    """From here on this process speaks to the lake too, and to no AWS account that the shell may name."""
    kept = own_environment(os.environ) | dict(variables)
    os.environ.clear()
    os.environ.update(kept)


def endpoint_url(ports: Ports) -> str:
    return f"http://{LOOPBACK}:{ports.aws}"


def person_environment(home: Home, ports: Ports, settings: Settings) -> dict[str, str]:
    airflow_url = Addresses.on_loopback(ports.ui).ui_url
    return local_lake.person_environment(settings, endpoint_url(ports), airflow_url, home.secrets().admin_password)


def emulator_environment(home: Home, ports: Ports, settings: Settings) -> dict[str, str]:
    return {
        **aws_environment(endpoint_url(ports), settings),
        "GATEWAY_PORT": str(ports.aws),
        "BIND_HOST": LOOPBACK,
        "STATE_DIR": str(home.emulator / "state"),
        "S3_DATA_DIR": str(home.emulator / "s3"),
        "EMULATOR_JOBS_PYTHON": str(ENVIRONMENTS / "jobs" / "bin" / "python"),
        "EMULATOR_JOBS_JARS": str(JARS),
    }


def airflow_process_environment(home: Home, ports: Ports, settings: Settings, *, scheduled: bool) -> dict[str, str]:
    """For the four processes and `airflow db migrate`."""
    return {
        **aws_environment(endpoint_url(ports), settings),
        **airflow_environment(
            home.airflow,
            CHECKOUT / "dags",
            CHECKOUT / "plugins",
            database.uri(home),
            Addresses.on_loopback(ports.ui),
            home.secrets(),
            scheduled=scheduled,
        ),
        "LAKE_PREFIX": settings.prefix,
        "LAKE_ACCOUNT_ID": settings.account_id,
        "LAKE_RUNBOOK_BASE_URL": local_lake.runbook_base_url(settings, CHECKOUT),
        "LAKE_DATA_DOCS_BASE_URL": local_lake.data_docs_url(settings, endpoint_url(ports)),
        "PATH": os.pathsep.join([str(ENVIRONMENTS / "workers" / "bin"), os.environ.get("PATH", os.defpath)]),
        # nobody edits a DAG during a demo, and each reading costs half a second of processor time
        **({} if scheduled else {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "1800"}),
    }


def programs(home: Home, ports: Ports, settings: Settings, *, durable: bool, scheduled: bool) -> list[Program]:
    """All of a lake's programs. `durable`: the lake outlives this command. `scheduled`: DAGs run by their schedules."""
    laptop_python = str(ENVIRONMENTS / "laptop" / "bin" / "python")
    emulator = [str(ENVIRONMENTS / "emulator" / "bin" / "python"), "-m", "emulator"]
    airflow = airflow_process_environment(home, ports, settings, scheduled=scheduled)
    guard = [laptop_python, str(CHECKOUT / "scripts" / "laptop" / "guard.py"), str(os.getpid()), str(home.run / "up")]
    return [
        Program(GUARD, guard, priority=1, autorestart="false"),
        Program(
            DATABASE,
            database.server_command(home, durable=durable),
            priority=10,
            stop_signal="INT",  # "fast shutdown"
            stop_as_group=False,
            working_folder=home.run,
        ),
        Program(
            EMULATOR,
            emulator,
            emulator_environment(home, ports, settings),
            priority=20,
            stop_seconds=40,  # it writes its whole state down
            stop_as_group=False,
        ),
        *(
            Program(
                name,
                ["nice", "-n", YIELDING, str(ENVIRONMENTS / "workers" / "bin" / command[0]), *command[1:]],
                airflow,
                priority=30,  # the same for all four: they are stopped side by side
                autostart=False,  # they want their tables first
                stop_seconds=20,
            )
            for name, command in AIRFLOW_PROCESSES.items()
        ),
    ]
