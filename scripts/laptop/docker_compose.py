"""docker-compose.yaml as the Makefile's scripts drive it: build, start, ask; each trouble becomes one line.

What belongs in here: calling docker and reading what it answers. What does not: what runs in the containers (composed/)
and what is done with the lake once it is up.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventlake.errors import TerminalError
from laptop.entry import say
from laptop.home import CHECKOUT, exported, port_is_free

START_TIMEOUT_SECONDS = 600
ANSWER_TIMEOUT_SECONDS = 60
SHOWN_LINES = 3
WITHOUT_DOCKER = "`make demo` needs no docker"
# which setting moves the port of which service
PORT_SETTINGS = {"api-server": "LAKE_UI_PORT", "emulator": "LAKE_AWS_PORT"}
# the builder's lines: a step's name, and what it says while it runs
BUILD_STEP = re.compile(r"^#(\d+) \[(?:\S+ )?(\S+)\s+\d+/\d+\] RUN (.+)$")
BUILD_SPEECH = re.compile(r"^#(\d+) [\d.]+ +(.*)$")
BUILD_ERROR = re.compile(r"^#(\d+) ERROR: (.*)$")
MEMORY = re.compile(r"^([\d.]+)([KMG]?i?B)")
MEMORY_UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


@dataclass(frozen=True)
class DockerCompose:
    """The composed lake of this checkout. `logs`: where docker's own words are kept."""

    logs: Path

    def require(self) -> None:
        """Raises TerminalError when docker, its compose plugin or its daemon is not there."""
        try:
            version = self._ask("version", "--short")
        except FileNotFoundError:
            raise TerminalError(
                "looking for docker: there is no such command; "
                f"install Docker with its compose plugin ({WITHOUT_DOCKER})"
            ) from None
        if version.returncode != 0:
            raise TerminalError(
                "looking for docker's compose plugin: `docker compose version` fails; "
                f"install the plugin, version 2 ({WITHOUT_DOCKER})"
            )
        daemon = _run(["docker", "info", "--format", "{{.ServerVersion}}"])
        if daemon.returncode != 0:
            raise TerminalError(
                f"asking the docker daemon: {last_words(daemon.stderr)}; start it, or ask for access to it"
            )

    def require_free_ports(self) -> None:
        """Raises TerminalError when somebody else has a port that the lake would publish."""
        for service, target, published in self.ports():
            ours = self._ask("port", service, str(target)).stdout.strip().endswith(f":{published}")
            if not ours and not port_is_free(published):
                raise TerminalError(
                    f"port {published} of 127.0.0.1 is taken; choose another one: "
                    f"{PORT_SETTINGS[service]}=<port> make demo-compose"
                )

    def ports(self) -> Iterator[tuple[str, int, int]]:
        """(service, port in its container, port on the host), as the settings say now."""
        for service, definition in self._configuration()["services"].items():
            for port in definition.get("ports", []):
                yield service, int(port["target"]), int(port["published"])

    def build(self) -> None:
        """The images, from this checkout; says each step that is at work, and not those that are done since long."""
        log_path = self.logs / "compose-build.log"
        process = subprocess.Popen(
            ["docker", "compose", "build"],
            cwd=CHECKOUT,
            env={**os.environ, "BUILDKIT_PROGRESS": "plain"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        lines: list[str] = []
        steps: dict[str, str] = {}
        with log_path.open("w") as log:
            for line in process.stdout:
                log.write(line)
                lines.append(line)
                if step := BUILD_STEP.match(line):
                    steps[step[1]] = f"{step[2]}: {step[3]}"
                elif (speech := BUILD_SPEECH.match(line)) and (begun := steps.pop(speech[1], None)):
                    say(f"building {begun}")
        if process.wait() != 0:
            raise TerminalError(f"building the images failed: {build_error(lines)}; all of it: {log_path}")

    def up(self) -> None:
        """All services, until each is healthy. Raises TerminalError with the last words of the one that is not."""
        ended = self._ask(
            "up", "--wait", "--wait-timeout", str(START_TIMEOUT_SECONDS), timeout=START_TIMEOUT_SECONDS + 60
        )
        (self.logs / "compose-up.log").write_text(ended.stdout + ended.stderr)
        if ended.returncode != 0:
            raise TerminalError(f"starting the composed lake failed: {self._why_not_up(last_words(ended.stderr))}")

    def person_environment(self) -> dict[str, str]:
        """How the host reaches the lake that is up, told by the lake itself."""
        told = self._ask("exec", "-T", "api-server", "python", "-m", "composed.tell_environment")
        if told.returncode != 0:
            raise TerminalError(f"asking the composed lake how to reach it: {last_words(told.stderr)}")
        return exported(told.stdout)

    def memory_bytes(self) -> int:
        """Of all containers now."""
        ids = self._ask("ps", "--quiet").stdout.split()
        told = _run(["docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", *ids]) if ids else None
        return sum(map(memory_of, told.stdout.splitlines())) if told else 0

    def _configuration(self) -> dict[str, Any]:
        told = self._ask("config", "--format", "json")
        if told.returncode != 0:
            raise TerminalError(f"reading docker-compose.yaml with its settings: {last_words(told.stderr)}")
        configuration: dict[str, Any] = json.loads(told.stdout)
        return configuration

    def _why_not_up(self, otherwise: str) -> str:
        for container in containers(self._ask("ps", "--all", "--format", "json").stdout):
            failed = container["State"] == "exited" and container["ExitCode"] != 0
            if failed or container["State"] == "restarting" or container.get("Health") == "unhealthy":
                service = container["Service"]
                log = self._ask("logs", "--no-log-prefix", "--no-color", "--tail", str(SHOWN_LINES), service)
                return f"{service} is {container['Status']}; its last words: {last_words(log.stdout + log.stderr)}"
        return otherwise

    def _ask(self, *words: str, timeout: float = ANSWER_TIMEOUT_SECONDS) -> subprocess.CompletedProcess[str]:
        return _run(["docker", "compose", *words], timeout)


def _run(command: list[str], timeout: float = ANSWER_TIMEOUT_SECONDS) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise TerminalError(f"asking docker ({' '.join(command[:4])}): no answer after {timeout:.0f} s") from None


def containers(listed: str) -> list[dict[str, Any]]:
    """`docker compose ps --format json`: an object a line, or one list of them (before 2.21)."""
    read = [json.loads(line) for line in listed.splitlines() if line.strip()]
    return [one for entry in read for one in (entry if isinstance(entry, list) else [entry])]


def last_words(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-SHOWN_LINES:]) or "it says nothing"


def build_error(lines: list[str]) -> str:
    """What the failed step said last; the builder's own long summary of it comes after that."""
    errors = [error for error in map(BUILD_ERROR.match, lines) if error]
    if not errors:
        return last_words("".join(lines))
    number, reason = errors[0].groups()
    said = [speech[2] for speech in map(BUILD_SPEECH.match, lines) if speech and speech[1] == number]
    return last_words("\n".join([*said[-1:], reason]))


def memory_of(usage: str) -> int:
    """`265.6MiB / 23.5GiB`: the first of the two."""
    found = MEMORY.match(usage.strip())
    return int(float(found[1]) * MEMORY_UNITS[found[2]]) if found else 0
