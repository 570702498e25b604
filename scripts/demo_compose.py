"""`make demo-compose`: the lake of docker-compose.yaml, built and up, and the demo's walk over it. It stays up.

What belongs in here: the order. What does not: docker (laptop/docker_compose), and the walk itself (laptop/walk).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from eventlake.settings import Settings
from laptop import entry, walk
from laptop.airflow_api import AirflowApi
from laptop.demo_story import DemoResult, next_lines_composed
from laptop.docker_compose import DockerCompose
from laptop.event_file import distinct_lines, lines_of
from laptop.home import CHECKOUT, Home
from laptop.memory import PeakMemory
from laptop.programs import adopt
from laptop.simulation import SEED, Simulation
from local_lake import DELIVERY_BUFFER_SECONDS

DEFAULT_HOME = ".lake/compose"
EXIT_FAILED = 1


def bring_up(home: Home, docker: DockerCompose) -> tuple[AirflowApi, dict[str, float]]:
    """The lake, up and described in `home`; and how long it took. From here on this process speaks to it."""
    seconds = {"install": float(os.environ.get("LAKE_INSTALL_SECONDS", "0"))}
    docker.require()
    docker.require_free_ports()
    entry.say(f"building the images (minutes at the first time; docker's words: {docker.logs})")
    seconds["build"] = timed(docker.build)
    entry.say("starting the lake, until all of it is healthy")
    seconds["start"] = timed(docker.up)
    variables = docker.person_environment()
    home.composed_mark.touch()
    home.write_env(variables)
    adopt(variables)
    entry.say(f"the lake is up; its passwords: {home.env_file}")
    url, user, password = (variables[f"LAKE_AIRFLOW_{name}"] for name in ("URL", "USER", "PASSWORD"))
    return AirflowApi(url, user, password), seconds


def timed(action: Callable[[], None]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def walk_over(home: Home, docker: DockerCompose, wanted: walk.Wanted) -> int:
    airflow, seconds = bring_up(home, docker)
    settings = Settings.from_env(os.environ)
    fresh = walk.is_fresh(settings)
    with PeakMemory(docker.memory_bytes) as memory:
        # a seed's events are the same each time, so a lake that has them gets others
        seed = SEED if fresh else int(time.time())
        path = wanted.input_file or Simulation.start(home, wanted.events, seed).finish()
        sent = walk.send_events(settings, path, DELIVERY_BUFFER_SECONDS)
        runs = walk.run_dags(airflow)
    walk.explain_failures(airflow, settings, runs)
    figures = walk.figures_of(settings)
    seconds |= {"stream": sent.seconds, "load": runs.seconds}
    result = DemoResult(
        send=sent.report,
        sent_distinct=distinct_lines(lines_of(sent.file)),
        drained_seconds=sent.drained_seconds,
        figures=figures,
        runs=runs.ended,
        seconds=seconds | {"total": seconds["install"] + entry.seconds_so_far()},
        drafted=(),
        peak_memory_bytes=memory.peak_bytes,
        fresh=fresh,
    )
    if not walk.tell(result, home.report_file):
        return EXIT_FAILED
    print("\n".join(["", *next_lines_composed(airflow.url, home.folder, CHECKOUT, figures.tables)]), flush=True)
    return 0


def main() -> int:
    wanted = walk.wanted()
    home = Home.from_env({"LAKE_HOME": DEFAULT_HOME} | os.environ)
    home.logs.mkdir(parents=True, exist_ok=True)
    return walk_over(home, DockerCompose(home.logs), wanted)


if __name__ == "__main__":
    entry.run(main)
