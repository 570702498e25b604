"""One lake's folder on the laptop (`.lake`, or LAKE_HOME): where its state, secrets, ports and addresses lie.

What does not belong here: starting anything, and what a program is told beyond paths.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from airflow_environment import AirflowSecrets
from eventlake.errors import TerminalError

CHECKOUT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENTS = CHECKOUT / ".venvs"
JARS = CHECKOUT / ".cache" / "jars"
DEFAULT_UI_PORT = 8080
# a unix socket's whole path has 107 bytes on Linux; the longest name under it is .s.PGSQL.5432
LONGEST_SOCKET_FOLDER = 80
# what a lake consists of; the rest of the folder (bootstrap's stamps, older lakes set aside) outlives it
LAKE_PARTS = (
    *("state", "logs", "contracts", "expectations", "simulated"),
    *("secrets.json", "ports.json", "env", "demo.json", "kept", "composed"),
)


@dataclass(frozen=True)
class Ports:
    ui: int
    aws: int


@dataclass(frozen=True)
class Home:
    """Paths of one lake. Nothing is made before `prepare`."""

    folder: Path

    @staticmethod
    def from_env(environment: Mapping[str, str]) -> Home:
        return Home((CHECKOUT / (environment.get("LAKE_HOME") or ".lake")).resolve())

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def database(self) -> Path:
        return self.folder / "state" / "postgres"

    @property
    def emulator(self) -> Path:
        return self.folder / "state" / "emulator"

    @property
    def airflow(self) -> Path:
        return self.folder / "state" / "airflow"

    @property
    def env_file(self) -> Path:
        return self.folder / "env"

    @property
    def report_file(self) -> Path:
        return self.folder / "demo.json"

    @property
    def contracts(self) -> Path:
        return self.folder / "contracts"

    @property
    def expectations(self) -> Path:
        return self.folder / "expectations"

    @property
    def simulated(self) -> Path:
        """The demo's own events, and the oracle that says what must become of them."""
        return self.folder / "simulated"

    @property
    def kept_mark(self) -> Path:
        """Present when `make up` used this lake: somebody wants what is in it."""
        return self.folder / "kept"

    @property
    def composed_mark(self) -> Path:
        """Present when the lake that this folder describes runs in the containers of docker-compose.yaml."""
        return self.folder / "composed"

    @property
    def run(self) -> Path:
        """Sockets and process ids: inside the lake, or in a short private folder when the checkout's path is long."""
        inside = self.folder / "run"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_FOLDER:
            return inside
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"eventlake-{os.getuid()}-{digest}"

    def prepare(self) -> None:
        for folder in (self.folder, self.logs, self.emulator, self.airflow):
            folder.mkdir(parents=True, exist_ok=True)
        self.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.run.stat().st_uid != os.getuid():
            raise TerminalError(
                f"making the folder for sockets: {self.run} belongs to another user; remove it or set LAKE_HOME"
            )
        self.run.chmod(0o700)

    def secrets(self) -> AirflowSecrets:
        return kept_secrets(self.folder / "secrets.json")

    def last_ports(self) -> Ports | None:
        path = self.folder / "ports.json"
        return Ports(**json.loads(path.read_text())) if path.exists() else None

    def remember_ports(self, ports: Ports) -> None:
        write_private(self.folder / "ports.json", json.dumps(asdict(ports)) + "\n")

    def set_aside(self) -> Path | None:
        """Make room for a fresh lake. One that was kept by `make up` is moved away, never removed."""
        present = [self.folder / part for part in LAKE_PARTS if (self.folder / part).exists()]
        if not self.kept_mark.exists():
            for path in present:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            return None
        aside = self.folder / "set-aside" / time.strftime("%Y%m%dT%H%M%S")
        aside.mkdir(parents=True)
        for path in present:
            path.rename(aside / path.name)
        return aside

    def read_env(self) -> dict[str, str]:
        """What `.lake/env` exports; raises when no lake was ever started here."""
        if not self.env_file.exists():
            raise TerminalError(f"reading {self.env_file}: there is no lake yet; `make up` starts one")
        return exported(self.env_file.read_text())

    def write_env(self, variables: Mapping[str, str]) -> None:
        write_private(self.env_file, exports(variables))


def kept_secrets(path: Path) -> AirflowSecrets:
    """A lake's own secrets; made at its first start."""
    if path.exists():
        return AirflowSecrets(**json.loads(path.read_text()))
    made = AirflowSecrets.generate()
    write_json(path, asdict(made))
    return made


def exports(variables: Mapping[str, str]) -> str:
    """Lines for a shell."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def exported(text: str) -> dict[str, str]:
    """What the lines of `exports` say."""
    pairs = (shlex.split(line)[1].partition("=") for line in text.splitlines() if line)
    return {name: value for name, _, value in pairs}


def write_private(path: Path, text: str) -> None:
    """Readable by its owner only, and never seen half written."""
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    beside.rename(path)


def write_json(path: Path, value: Any) -> None:
    write_private(path, json.dumps(value, indent=1) + "\n")


def port_is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wanted_port(name: str, environment: Mapping[str, str]) -> int | None:
    """A port that the person asked for; raises when it is no port or taken."""
    text = environment.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise TerminalError(f"reading {name}: received {text!r}; valid is a port from 1 to 65535, or 0 for a free one")
    if int(text) == 0:
        return free_port()
    if not port_is_free(int(text)):
        raise TerminalError(f"port {text} of 127.0.0.1 is taken; choose another one with {name}=<port>")
    return int(text)


def choose_ports(environment: Mapping[str, str], last: Ports | None, *, ui_may_move: bool) -> Ports:
    """The person's choice, else those of last time, else 8080 and any free one; raises when the UI's port is taken."""
    aws = wanted_port("LAKE_AWS_PORT", environment)
    if aws is None:
        aws = last.aws if last and port_is_free(last.aws) else free_port()
    ui = wanted_port("LAKE_UI_PORT", environment)
    if ui is None:
        ui = last.ui if last and port_is_free(last.ui) else DEFAULT_UI_PORT
    if not port_is_free(ui):
        if not ui_may_move:
            raise TerminalError(f"port {ui} of 127.0.0.1 is taken; choose another one: LAKE_UI_PORT=8081 make up")
        ui = free_port()
    return Ports(ui=ui, aws=aws)
