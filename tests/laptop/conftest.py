"""Commands as a person gives them, in a lake folder of their own. What does not belong here: what a lake holds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
COMMAND_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        """Lines for the person, without the one that make adds."""
        return [line for line in self.err.splitlines() if not line.startswith("make")]


@dataclass(frozen=True)
class Laptop:
    """`make` with a lake folder that nobody else uses."""

    home: Path

    def environment(self, **variables: str) -> dict[str, str]:
        """A person's shell: nothing of an outer make, another lake or a test runner."""
        shell = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "LAKE_"))}
        return shell | {"LAKE_HOME": str(self.home), "LAKE_UI_PORT": "0", "LAKE_PREFIX": "lake-test"} | variables

    def make(self, *words: str, **variables: str) -> Ended:
        ended = subprocess.run(
            ["make", *words],
            cwd=CHECKOUT,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command that a test will disturb; in a group of its own, as a shell starts it."""
        return subprocess.Popen(
            ["make", *words],
            cwd=CHECKOUT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def processes(self) -> list[str]:
        """Whatever runs with this lake's folder in its command line or environment."""
        found = []
        for one in psutil.process_iter():
            try:
                traces = [*one.cmdline(), *one.environ().values()]
                if one.pid != os.getpid() and any(str(self.home) in trace for trace in traces):
                    found.append(f"{one.pid} {' '.join(one.cmdline())[:120]}")
            except psutil.Error:
                continue
        return found


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    """For commands that are refused: whatever they leave running is a failure."""
    one = Laptop(tmp_path / "lake")
    yield one
    assert one.processes() == []


@pytest.fixture(scope="module")
def lake_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lake")
