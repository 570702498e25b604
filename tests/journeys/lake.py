"""A lake as a person handles it: through `make`, `.lake/env` and Airflow's REST API.

What does not belong here: reading what the lake holds (independent_reader.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eventlake.settings import Settings
from laptop.airflow_api import AirflowApi, RunEnd
from laptop.home import ENVIRONMENTS, Home
from laptop.programs import airflow_process_environment
from tests.journeys.independent_reader import LakeReader

CHECKOUT = Path(__file__).resolve().parents[2]
COMMAND_TIMEOUT_SECONDS = 900
RUN_TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class Lake:
    """One lake in a folder of its own, so that a developer's `.lake` is never touched."""

    home: Path
    prefix: str
    # schedules that stay in force; of all others no run starts but those that a test triggers
    kept_schedules: Sequence[str] = field(default=(), kw_only=True)
    # of its supervisors: whoever writes a title over its environment is still known by the session
    sessions: set[int] = field(default_factory=set, init=False, compare=False)

    def make(self, *words: str, may_fail: bool = False, timeout_seconds: float = COMMAND_TIMEOUT_SECONDS) -> str:
        """What a command printed. A failure shows all of it, and the tails of the lake's logs."""
        ended = subprocess.run(
            ["make", *words],
            cwd=CHECKOUT,
            env=self.shell() | self.choices(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        self._note_session()
        assert may_fail or ended.returncode == 0, (
            f"make {shlex.join(words)} ended with {ended.returncode}:\n{ended.stdout}\n{self.log_tails()}"
        )
        return ended.stdout

    @staticmethod
    def shell() -> dict[str, str]:
        """The environment of a person's shell: without what an outer make or another lake would leave in it."""
        return {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MAKE", "MFLAGS", "LAKE_", "AIRFLOW", "AWS_ENDPOINT"))
        }

    def choices(self) -> dict[str, str]:
        """What this lake is told: its own folder, name and port, and which schedules are in force."""
        names = ("LOAD", "CLOSE", "CRAWL", "WATCH", "AUDIT")
        schedules = {f"LAKE_{name}_SCHEDULE": "none" for name in names if name not in self.kept_schedules}
        return schedules | {"LAKE_HOME": str(self.home), "LAKE_PREFIX": self.prefix, "LAKE_UI_PORT": "0"}

    def variables(self) -> dict[str, str]:
        """`.lake/env` as a shell reads it."""
        command = f"set -a; . {shlex.quote(str(self.home / 'env'))}; env -0"
        printed = subprocess.run(
            ["sh", "-c", command], env={"PATH": os.environ["PATH"]}, capture_output=True, check=True, timeout=60
        ).stdout
        return dict(item.split("=", 1) for item in printed.decode().split("\0") if "=" in item)

    def reader(self) -> LakeReader:
        return LakeReader(self.variables())

    def airflow(self) -> AirflowApi:
        variables = self.variables()
        return AirflowApi(
            variables["LAKE_AIRFLOW_URL"], variables["LAKE_AIRFLOW_USER"], variables["LAKE_AIRFLOW_PASSWORD"]
        )

    def run_dag(
        self,
        dag_id: str,
        conf: dict[str, Any] | None = None,
        expect: str = "success",
        timeout_seconds: float = RUN_TIMEOUT_SECONDS,
    ) -> RunEnd:
        """Trigger a DAG over REST and wait for its end; another end than expected shows the failed tasks' logs."""
        airflow = self.airflow()
        run = airflow.wait(dag_id, airflow.trigger(dag_id, conf), timeout_seconds, lambda _: None)
        assert run.state == expect, "\n".join(
            [f"{dag_id} {run.run_id} is {run.state}, not {expect}", *airflow.failure_logs(dag_id, run.run_id)]
        )
        return run

    def airflow_command(self, *words: str) -> None:
        """Airflow's own command line, in the environment of the lake's Airflow processes."""
        home, settings = Home(self.home), Settings.from_env(self.variables())
        ports = home.last_ports()
        assert ports is not None
        ended = subprocess.run(
            [str(ENVIRONMENTS / "workers/bin/airflow"), *words],
            env=airflow_process_environment(home, ports, settings, scheduled=True) | self.choices(),
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
            check=False,
        )
        assert ended.returncode == 0, f"airflow {shlex.join(words)}:\n{ended.stdout}\n{ended.stderr}"

    def process_ids(self) -> list[int]:
        return [int(each.partition(":")[0]) for each in self.processes()]

    def processes(self) -> list[str]:
        """Command lines of processes that mention this lake's folder or belong to its session, each after its id."""
        self._note_session()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    environment = (entry / "environ").read_bytes().decode(errors="replace")
                    session = os.getsid(int(entry.name))
                except OSError:
                    continue
                if command and (str(self.home) in command + environment or session in self.sessions):
                    found.append(f"{entry.name}: {command.strip()[:120]}")
        return found

    def _note_session(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.sessions.add(json.loads((Home(self.home).run / "supervisor.json").read_text())["pid"])

    def log_tails(self, lines: int = 15) -> str:
        told = []
        for path in sorted((self.home / "logs").glob("*")):
            if path.is_file() and path.stat().st_size:
                tail = path.read_text(errors="replace").splitlines()[-lines:]
                told += [f"--- {path.name}", *tail]
        return "\n".join(told)


def wait_until(holds: Callable[[], bool], what: str, timeout_seconds: float = 240) -> None:
    """Returns once the condition holds; fails with its name when it does not in time."""
    deadline = time.monotonic() + timeout_seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not seen within {timeout_seconds:.0f} s"
        time.sleep(0.5)
