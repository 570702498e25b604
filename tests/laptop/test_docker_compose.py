"""`make demo-compose` where docker is not as it should be: one line, exit 2, nothing started.

docker itself is played here by a script, because a machine of `make test` has none; `tests/compose` has the real one.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path

import pytest

from eventlake.errors import TerminalError
from laptop.docker_compose import DockerCompose, build_error, containers, last_words, memory_of
from tests.laptop.conftest import Laptop

CONFIGURATION = {"services": {"api-server": {"ports": [{"target": 8080, "published": "%PORT%"}]}, "scheduler": {}}}
BUILD_OUTPUT = """\
#4 [airflow installer 4/4] RUN cd scripts
#4 CACHED
#5 [airflow workers-environment 3/3] RUN python scripts/bootstrap.py --with workers
#6 [emulator jobs-environment 3/3] RUN python scripts/bootstrap.py --with jobs
#6 0.91   installing jobs for Python 3.11
#5 1.20 eventlake: installing uv failed: no address found
#5 ERROR: process "/bin/sh -c python scripts/bootstrap.py --with workers" did not complete successfully: exit code: 2
------
 > [airflow workers-environment 3/3] RUN python scripts/bootstrap.py --with workers:
------
failed to solve: process did not complete
"""
INIT_FAILED = {"Service": "init", "State": "exited", "ExitCode": 2, "Status": "Exited (2) 1 second ago", "Health": ""}
POSTGRES_IS_WELL = {"Service": "postgres", "State": "running", "ExitCode": 0, "Status": "Up", "Health": "healthy"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PlayedDocker:
    """A `docker` whose answers are files: the words of the command, then what it prints and how it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        # the interpreter itself, and not what a shell finds first: that may need more of its PATH than this folder
        programs = {"python3": str(Path(sys.executable).resolve())} | {
            one: shutil.which(one) for one in ("make", "cat")
        }
        for name, path in programs.items():
            self._write(name, f'exec "{path}" "$@"')
        self._cases: list[str] = []
        self._install()

    def answers(self, words: str, output: str = "", *, code: int = 0, error: str = "") -> None:
        place = self.folder / f"answer-{len(self._cases)}"
        place.write_text(output)
        (self.folder / f"{place.name}-error").write_text(error)
        self._cases.append(f'  "{words}"*) cat "{place}"; cat "{place}-error" >&2; exit {code} ;;')
        self._install()

    def _install(self) -> None:
        self._write("docker", 'case "$*" in', *self._cases, "esac", "exit 0")

    def _write(self, name: str, *lines: str) -> None:
        script = self.folder / name
        script.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        script.chmod(0o755)

    def is_absent(self) -> None:
        (self.folder / "docker").unlink()

    def works_until_ports(self, port: int) -> None:
        self.answers("compose version", "2.26.1\n")
        self.answers("info", "20.10.24\n")
        self.answers("compose config", json.dumps(CONFIGURATION).replace("%PORT%", str(port)))


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedDocker:
    played = PlayedDocker(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(played.folder))
    return played


def refusal(logs: Path) -> str:
    """What a person reads when the lake cannot be brought up: always one line."""
    compose = DockerCompose(logs)
    with pytest.raises(TerminalError) as refused:
        compose.require()
        compose.require_free_ports()
        compose.build()
        compose.up()
    line = str(refused.value)
    assert "\n" not in line
    return line


def test_the_command_refuses_in_one_line(laptop: Laptop, docker: PlayedDocker) -> None:
    docker.is_absent()
    ended = laptop.make("demo-compose", PATH=str(docker.folder))
    assert ended.code == 2, ended
    assert len(ended.complaints) == 1, ended.err
    assert ended.complaints[0].startswith("eventlake: looking for docker: there is no such command")
    assert "make demo" in ended.complaints[0]


def test_without_its_compose_plugin(tmp_path: Path, docker: PlayedDocker) -> None:
    docker.answers("compose version", code=1, error="docker: 'compose' is not a docker command.\n")
    assert "install the plugin, version 2" in refusal(tmp_path)


def test_without_its_daemon(tmp_path: Path, docker: PlayedDocker) -> None:
    docker.answers("compose version", "2.26.1\n")
    docker.answers("info", code=1, error="Cannot connect to the Docker daemon. Is the docker daemon running?\n")
    assert refusal(tmp_path).startswith("asking the docker daemon: Cannot connect to the Docker daemon.")


def test_with_a_port_that_somebody_else_has(tmp_path: Path, docker: PlayedDocker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        docker.works_until_ports(port)
        line = refusal(tmp_path)
    assert line == f"port {port} of 127.0.0.1 is taken; choose another one: LAKE_UI_PORT=<port> make demo-compose"


def test_a_port_that_the_lake_itself_has_is_not_taken(tmp_path: Path, docker: PlayedDocker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        docker.works_until_ports(port)
        docker.answers("compose port api-server 8080", f"127.0.0.1:{port}\n")
        docker.answers("compose build", "no space left on device\n", code=1)
        assert refusal(tmp_path).startswith("building the images failed: no space left on device")


def test_a_build_that_fails_says_the_steps_own_last_words(
    tmp_path: Path, docker: PlayedDocker, capsys: pytest.CaptureFixture[str]
) -> None:
    docker.works_until_ports(free_port())
    docker.answers("compose build", BUILD_OUTPUT, code=1)
    line = refusal(tmp_path)
    assert line.startswith("building the images failed: eventlake: installing uv failed: no address found | process")
    assert line.endswith("compose-build.log")
    assert (tmp_path / "compose-build.log").read_text() == BUILD_OUTPUT
    told = [line.partition("] ")[2] for line in capsys.readouterr().out.splitlines()]
    # the cached step stays unsaid
    assert told == [
        "building jobs-environment: python scripts/bootstrap.py --with jobs",
        "building workers-environment: python scripts/bootstrap.py --with workers",
    ]


def test_a_service_that_does_not_come_up_says_its_last_words(tmp_path: Path, docker: PlayedDocker) -> None:
    docker.works_until_ports(free_port())
    docker.answers("compose up", code=1, error="service init didn't complete successfully: exit 2\n")
    docker.answers("compose ps --all", "\n".join(json.dumps(one) for one in (POSTGRES_IS_WELL, INIT_FAILED)))
    docker.answers("compose logs --no-log-prefix --no-color --tail 3 init", "eventlake: the password is another one\n")
    assert refusal(tmp_path) == (
        "starting the composed lake failed: init is Exited (2) 1 second ago; "
        "its last words: eventlake: the password is another one"
    )


def test_containers_are_read_from_lines_and_from_a_list() -> None:
    both = [POSTGRES_IS_WELL, INIT_FAILED]
    assert containers("\n".join(map(json.dumps, both))) == both
    assert containers(json.dumps(both)) == both
    assert containers("") == []


def test_what_docker_says_of_memory_is_read() -> None:
    assert memory_of("1.5GiB / 23.54GiB") == int(1.5 * 1024**3)
    assert memory_of("512KiB / 1GiB") == 512 * 1024
    assert memory_of("0B / 0B") == 0
    assert memory_of("-- / --") == 0


def test_a_build_that_fails_outside_its_steps_says_its_end() -> None:
    assert build_error(["one\n", "failed to read dockerfile\n"]) == "one | failed to read dockerfile"
    assert last_words("") == "it says nothing"
