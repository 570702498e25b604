"""From nothing to a running lake and back: the order of things, which `make up` and `make demo` share.

Two strands run side by side: the emulator and what is deployed to it; the database and Airflow on it. What does not
belong here: how a single program is run (programs), or watched and ended (supervision).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import psutil

from airflow_environment import passwords_file
from deploy import deploy
from eventlake.errors import LakeError, TerminalError, TransientError
from eventlake.settings import Settings
from laptop import database, programs
from laptop.airflow_api import AirflowApi
from laptop.entry import ignore_interrupts, say
from laptop.home import CHECKOUT, Home, Ports, write_private
from laptop.supervision import Supervisor, is_alive, left_behind
from local_lake import DELIVERY_BUFFER_SECONDS, runbook_base_url

START_TIMEOUT_SECONDS = 180
LOOK_EVERY_SECONDS = 0.2
NEEDED_FREE_BYTES = 512 * 1024**2
# how the line begins in which the emulator says where it listens
EMULATOR_ADDRESS = "emulator: http://"


@dataclass(frozen=True)
class Lake:
    home: Home
    ports: Ports
    settings: Settings
    supervisor: Supervisor
    airflow: AirflowApi
    environment: dict[str, str]


@contextlib.contextmanager
def only_one_starter(home: Home) -> Iterator[None]:
    """Two commands that would start or stop the same lake at once: the second one is told so."""
    home.prepare()
    with (home.run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TerminalError(
                f"another command is starting or stopping the lake in {home.folder} right now; wait for it to end"
            ) from None
        yield


def require_room(home: Home) -> None:
    free = psutil.disk_usage(str(home.folder)).free
    if free < NEEDED_FREE_BYTES:
        raise TerminalError(
            f"the disk of {home.folder} has {free // 1024**2} MB left; a lake needs {NEEDED_FREE_BYTES // 1024**2} MB"
        )


def bring_up(
    home: Home, ports: Ports, settings: Settings, *, durable: bool, scheduled: bool, aws_ready: Callable[[], None]
) -> Lake:
    """A running lake, or an exception and nothing left. `aws_ready` is called as soon as events can be sent."""
    clear_remains(home)
    require_room(home)
    environment = programs.own_environment(os.environ)
    write_private(passwords_file(home.airflow), home.secrets().passwords_file_text())
    database.make(home)
    home.remember_ports(ports)
    listed = programs.programs(home, ports, settings, durable=durable, scheduled=scheduled)
    supervisor = Supervisor.start(home, listed, environment)
    strands = ThreadPoolExecutor(max_workers=2)
    try:
        variables = programs.person_environment(home, ports, settings)
        home.write_env(variables)
        programs.adopt(variables)
        airflow = AirflowApi(
            variables["LAKE_AIRFLOW_URL"], variables["LAKE_AIRFLOW_USER"], variables["LAKE_AIRFLOW_PASSWORD"]
        )
        for_airflow = environment | programs.airflow_process_environment(home, ports, settings, scheduled=scheduled)
        started = [
            strands.submit(_start_aws, supervisor, home, settings, variables, aws_ready),
            strands.submit(_start_airflow, supervisor, home, for_airflow, airflow),
        ]
        _require_both(started, supervisor)
    except BaseException:
        # the strands end by themselves once there is nothing left to wait for
        ignore_interrupts()
        supervisor.stop()
        strands.shutdown(wait=False, cancel_futures=True)
        raise
    return Lake(home, ports, settings, supervisor, airflow, environment | variables)


def clear_remains(home: Home) -> None:
    """Programs whose supervisor was killed outright still hold ports and files."""
    remains = left_behind(home)
    if remains is not None:
        ended = remains.stop()
        say(f"ended what a killed supervisor left running: {', '.join(ended) or 'nothing any more'}")


def _require_both(strands: list[Future[None]], supervisor: Supervisor) -> None:
    pending = set(strands)
    while pending:
        done, pending = wait(pending, timeout=1, return_when=FIRST_EXCEPTION)
        for strand in done:
            strand.result()
        supervisor.require_healthy()


def _start_aws(
    supervisor: Supervisor, home: Home, settings: Settings, variables: dict[str, str], aws_ready: Callable[[], None]
) -> None:
    wait_for(lambda: emulator_answers(variables["AWS_ENDPOINT_URL"]), "the emulator", supervisor)
    say("the emulator answers")
    for line in words_of_last_start((home.logs / f"{programs.EMULATOR}.log").read_text(errors="replace")):
        say(line)
    outcome = deploy(
        settings,
        build_folder=home.folder / "state" / "packages",
        definitions_folders=[home.folder],
        parameters={
            "DeliveryBufferSeconds": str(DELIVERY_BUFFER_SECONDS),
            "RunbookBaseUrl": runbook_base_url(settings, CHECKOUT),
        },
        say=say,
    )
    say(f"stack {settings.stack}: {outcome}")
    aws_ready()


def words_of_last_start(log: str) -> list[str]:
    """What the emulator said of its state before it gave its address: to what moment it went back, if it was killed."""
    before, _, _ = log.rpartition(EMULATOR_ADDRESS)
    _, _, last_start = before.rpartition(EMULATOR_ADDRESS)
    return [line for line in last_start.splitlines() if line.startswith("emulator: was killed")]


def _start_airflow(supervisor: Supervisor, home: Home, environment: dict[str, str], airflow: AirflowApi) -> None:
    wait_for(lambda: database.is_ready(home), "the database", supervisor)
    database.migrate(home, environment)
    say("the database is ready")
    for name in programs.AIRFLOW:
        supervisor.start_program(name)
    wait_for(airflow.is_healthy, "Airflow", supervisor)
    say("Airflow answers, its scheduler, processor and triggerer beat")


def wait_for(is_ready: Callable[[], bool], what: str, supervisor: Supervisor) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not is_ready():
        if time.monotonic() > deadline:
            raise TransientError(
                f"waiting for {what}: not ready after {START_TIMEOUT_SECONDS} s; logs are in {supervisor.home.logs}"
            )
        if not is_alive(supervisor.process):
            raise LakeError(f"waiting for {what}: the lake's supervisor is gone; logs are in {supervisor.home.logs}")
        time.sleep(LOOK_EVERY_SECONDS)


def is_up(home: Home) -> bool:
    """Whether the lake of this folder runs, in containers or not, and its AWS answers."""
    if Supervisor.running(home) is None and not home.composed_mark.exists():
        return False
    return home.env_file.exists() and emulator_answers(home.read_env()["AWS_ENDPOINT_URL"])


def emulator_answers(endpoint_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint_url}/_ministack/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
