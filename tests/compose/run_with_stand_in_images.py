#!/usr/bin/env python3
"""Builds and runs docker-compose.yaml for real where no registry of images is reached, and measures it.

    python3 tests/compose/run_with_stand_in_images.py [--events n]

Outside `make test`, because it needs root, docker and minutes: apt-get install docker.io mmdebstrap. Bases are
stand-ins made of Debian's packages (stand_in_images.sh), so a pass says that the images build and the wiring holds; it
says nothing of the official base images. Ends 0 when every step held. Everything that it started is ended and removed,
but for the stand-ins and the builder's cache, which the next run finds.

What belongs in here: the steps and what has to hold after each. What does not: the lake (docker-compose.yaml).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PLUGINS = CHECKOUT / ".cache" / "docker-plugins"
PYTHON_IMAGE = "eventlake-stand-in-python:3.11-bookworm"
POSTGRES_IMAGE = "eventlake-stand-in-postgres:15-bookworm"
PROJECT = f"eventlake-trial-{os.getpid()}"
DAEMON_SECONDS = 60
STEP_SECONDS = 2400
LOOK_EVERY_SECONDS = 3.0
ROWS = "select (select count(*) from events.lesson_events) n, (select max(event_uuid) from events.lesson_events) last"

_started = time.monotonic()


class StepError(Exception):
    """One line: what did not hold."""


def say(text: str) -> None:
    print(f"[{time.monotonic() - _started:6.1f} s] {text}", flush=True)


def require(holds: object, what: str) -> None:
    if not holds:
        raise StepError(what)


def run(*command: str, seconds: float = STEP_SECONDS, **variables: str) -> str:
    """Its standard output; StepError with the last lines of all that it said when it does not end 0."""
    ended = subprocess.run(
        command,
        cwd=CHECKOUT,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    if ended.returncode != 0:
        said = " | ".join([line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()][-6:])
        raise StepError(f"{' '.join(command[:4])} ended with {ended.returncode}: {said}")
    return ended.stdout


def compose(*words: str) -> str:
    return run("docker", "compose", *words)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def docker_answers() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True).returncode == 0


@contextmanager
def docker_daemon() -> Iterator[None]:
    """The machine's, or one for as long as this runs."""
    if docker_answers():
        yield
        return
    with tempfile.TemporaryFile() as log:
        daemon = subprocess.Popen(["dockerd"], stdout=log, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + DAEMON_SECONDS
            while not docker_answers():
                require(daemon.poll() is None and time.monotonic() < deadline, "dockerd does not start")
                time.sleep(0.5)
            yield
        finally:
            daemon.terminate()
            daemon.wait(DAEMON_SECONDS)


def use_compose_plugin(folder: Path) -> None:
    """The machine's, or Debian's next one, found through a docker configuration of our own."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return
    if not (PLUGINS / "docker-compose").exists():
        run(str(HERE / "compose_plugin.sh"), str(PLUGINS))
    (folder / "cli-plugins").symlink_to(PLUGINS)
    os.environ["DOCKER_CONFIG"] = str(folder)


class PeakMemory:
    """The largest sum over the project's containers that was seen."""

    def __init__(self) -> None:
        self.mebibytes = 0.0
        self._stop = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def stop(self) -> float:
        self._stop.set()
        return self.mebibytes

    def _look(self) -> None:
        units = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}
        while not self._stop.wait(LOOK_EVERY_SECONDS):
            shown = subprocess.run(
                ["docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}"],
                capture_output=True,
                text=True,
            ).stdout
            found = re.findall(rf"^{PROJECT}-\S+ ([\d.]+)([KMG]iB)", shown, re.MULTILINE)
            self.mebibytes = max(self.mebibytes, sum(float(number) * units[unit] for number, unit in found))


def containers() -> list[dict[str, Any]]:
    return [json.loads(line) for line in compose("ps", "--all", "--format", "json").splitlines()]


def look_at_containers() -> None:
    """Healthy, on loopback only, no root, no secret where docker shows it."""
    all_of_them = containers()
    steps = {one["Service"] for one in all_of_them if one["State"] == "exited" and one["ExitCode"] == 0}
    healthy = {one["Service"] for one in all_of_them if one.get("Health") == "healthy"}
    require(steps == {"secrets", "init"}, f"steps that ended well: {sorted(steps)}")
    require(len(healthy) == len(all_of_them) - len(steps) == 6, f"healthy: {sorted(healthy)}")
    hosts = set(
        re.findall(r"(\S+):\d+->", run("docker", "ps", "--filter", f"name={PROJECT}", "--format", "{{.Ports}}"))
    )
    require(hosts == {"127.0.0.1"}, f"ports are published on {sorted(hosts)}")
    for service in sorted(healthy):
        who = compose("exec", "-T", service, "id", "-u").strip()
        require(who != "0", f"{service} runs as root")
    look_for_secrets([one["ID"] for one in all_of_them])


def look_for_secrets(ids: list[str]) -> None:
    def kept(name: str) -> str:
        return compose("exec", "-T", "api-server", "cat", f"/var/lib/eventlake/secrets/{name}")

    secrets = [*json.loads(kept("airflow.json")).values(), kept("database-password")]
    images = sorted({one["Image"] for one in containers()})
    shown = run("docker", "inspect", *ids, *images) + compose("logs", "--no-color")
    require(not [secret for secret in secrets if secret in shown], "docker inspect or the logs show a secret")


def rows(home: Path) -> list[str]:
    """Of the tables that only a load changes, and of one that is asked."""
    counted = run("make", "query", LAKE_HOME=str(home)).splitlines()
    asked = run("make", "query", f"SQL={ROWS}", LAKE_HOME=str(home)).splitlines()
    return [line for line in counted if line.startswith(("events.", "rollups.", "quarantine."))] + asked


def dag_runs() -> int:
    select = "select count(*) from dag_run where run_type = 'manual' and state = 'success'"
    return int(compose("exec", "-T", "postgres", "psql", "-U", "airflow", "-tAc", select))


def nothing_is_left() -> None:
    label = f"label=com.docker.compose.project={PROJECT}"
    for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        left = run("docker", *kind, "--quiet", "--filter", label).split()
        require(not left, f"docker {' '.join(kind)} shows {left}")


def image_sizes() -> dict[str, str]:
    """Of this run's images and of the stand-ins, by name and tag."""
    lines = run("docker", "images", "--format", "{{.Repository}}:{{.Tag}} {{.Size}}").splitlines()
    sizes = dict(map(str.split, lines))
    return {name: size for name, size in sizes.items() if name.startswith((PROJECT, PYTHON_IMAGE, POSTGRES_IMAGE))}


def seconds_of(*command: str) -> float:
    started = time.monotonic()
    run(*command)
    return round(time.monotonic() - started, 1)


def steps(home: Path, events: int) -> dict[str, Any]:
    """The whole of it; what was measured."""
    measured: dict[str, Any] = {}
    if not run("docker", "images", "--quiet", PYTHON_IMAGE).strip():
        measured["stand-in images, seconds"] = seconds_of(
            str(HERE / "stand_in_images.sh"), PYTHON_IMAGE, POSTGRES_IMAGE
        )
        say("stand-ins for the base images are built")
    measured["build, seconds"] = seconds_of("docker", "compose", "build")
    measured["image sizes"] = image_sizes()
    say("the images are built")
    memory = PeakMemory()
    measured["up --build --wait, seconds"] = seconds_of("docker", "compose", "up", "--build", "--wait")
    look_at_containers()
    say("everything is healthy, on loopback, not root, and shows no secret")
    measured["demo, seconds"] = seconds_of("make", "demo-compose", f"EVENTS={events}")
    report = json.loads((home / "demo.json").read_text())
    require(report["residual"] == 0 and report["received"] == events, f"the demo says {report}")
    measured["demo's own seconds"] = report["seconds"]
    measured["peak memory, MiB"] = round(memory.stop())
    say(f"the demo's books balance: {report['loaded']:,} rows of {events:,} events, residual 0")
    before, runs_before = rows(home), dag_runs()
    require(len(before) > 10 and runs_before == 5, f"{len(before)} lines of rows, {runs_before} runs")
    measured["down, seconds"] = seconds_of("docker", "compose", "down")
    measured["second up --wait, seconds"] = seconds_of("docker", "compose", "up", "--wait")
    look_at_containers()
    require(rows(home) == before, "after down and up the tables are not what they were")
    require(dag_runs() == runs_before, "after down and up Airflow has forgotten runs")
    say("after down and up tables and runs are what they were")
    compose("down", "--volumes")
    nothing_is_left()
    say("down --volumes leaves nothing")
    return measured


def clear() -> None:
    """Whatever became of the steps. Not by `--rmi all`, which takes the stand-ins, too."""
    ours = [one for one in image_sizes() if one.startswith(PROJECT)]
    for command in (["compose", "down", "--volumes"], *(["image", "rm", one] for one in ours)):
        subprocess.run(["docker", *command], cwd=CHECKOUT, capture_output=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=20_000)
    options = parser.parse_args()
    missing = [one for one in ("docker", "make", "mmdebstrap") if shutil.which(one) is None]
    if missing or os.geteuid() != 0:
        print(f"needs root and docker.io, make, mmdebstrap; missing: {missing or 'root'}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder, docker_daemon():
        home = Path(folder) / "lake"
        os.environ |= {
            "COMPOSE_PROJECT_NAME": PROJECT,
            "LAKE_PYTHON_IMAGE": PYTHON_IMAGE,
            "LAKE_POSTGRES_IMAGE": POSTGRES_IMAGE,
            "LAKE_UI_PORT": free_port(),
            "LAKE_AWS_PORT": free_port(),
            "LAKE_HOME": str(home),
        }
        use_compose_plugin(Path(folder))
        try:
            measured = steps(home, options.events)
        except (StepError, subprocess.TimeoutExpired) as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
        finally:
            clear()
    print(json.dumps(measured, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
