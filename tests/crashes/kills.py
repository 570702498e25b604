"""The ways in which a drill breaks a running lake, one function each, and the seeded order in which they come.

Each one returns when its damage is done, and says in one line what it did. What does not belong here: traffic, and
whether the lake came through (drill.py).
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from laptop.home import Home
from laptop.supervision import Supervisor
from tests.crashes.points import CrashPoints
from tests.fault_file import write_faults
from tests.journeys.lake import Lake, wait_until

# traffic goes on all the time: a function comes by within seconds, a load's job within a minute or two; on a machine
# that does much else, and after a load whose driver died again and again, it takes many times as long
FUNCTION_SECONDS = 180
JOB_SECONDS = 900
LONGEST_OUTAGE_SECONDS = 12.0


@dataclass
class Scene:
    """What a kill may lay hands on."""

    lake: Lake
    faults: Path
    admission: CrashPoints
    landings: CrashPoints
    chance: random.Random
    # told by the drill: a producer that is sending right now
    producer: Callable[[], psutil.Process | None]

    def pause(self, most_seconds: float) -> None:
        time.sleep(self.chance.uniform(0, most_seconds))


Kill = Callable[[Scene], str]


def producer(scene: Scene) -> str:
    wait_until(lambda: scene.producer() is not None, "a producer at work", FUNCTION_SECONDS)
    scene.pause(0.3)
    found = scene.producer()
    if found is not None:
        _kill(found)
    return "producer, while it sends"


def function_between_claim_and_delivery(scene: Scene) -> str:
    scene.admission.die_once("before-PutRecordBatch", FUNCTION_SECONDS)
    return "admit_events, between claim and delivery"


def function_after_delivery(scene: Scene) -> str:
    scene.admission.die_once("after-PutRecordBatch", FUNCTION_SECONDS)
    return "admit_events, after a delivery"


def landing_recorder(scene: Scene) -> str:
    point = scene.chance.choice(("before-PutItem", "after-PutItem"))
    scene.landings.die_once(point, FUNCTION_SECONDS)
    return f"record_landing, {point}"


def driver_at_its_start(scene: Scene) -> str:
    return _driver(scene, tables_seen=0)


def driver_while_staging(scene: Scene) -> str:
    return _driver(scene, tables_seen=scene.chance.randint(1, 4))


def driver_near_its_end(scene: Scene) -> str:
    return _driver(scene, tables_seen=12)


def worker(scene: Scene) -> str:
    """The process that runs a task; the scheduler's slot that waits for it stays."""
    found: list[psutil.Process] = []

    def at_work() -> bool:
        found[:] = _tasks_at_work(scene)
        return bool(found)

    wait_until(at_work, "a task at work", JOB_SECONDS)
    scene.pause(2.0)
    _kill(scene.chance.choice(_tasks_at_work(scene) or found))
    return "a task's process"


def triggerer(scene: Scene) -> str:
    return _program(scene, "airflow-triggerer")


def scheduler(scene: Scene) -> str:
    return _program(scene, "airflow-scheduler")


def firehose_out(scene: Scene) -> str:
    return _outage(scene, "firehose")


def dynamodb_out(scene: Scene) -> str:
    return _outage(scene, "dynamodb")


ALL: tuple[Kill, ...] = (
    *(producer, function_between_claim_and_delivery, function_after_delivery, landing_recorder),
    *(driver_at_its_start, driver_while_staging, driver_near_its_end),
    *(worker, triggerer, scheduler, firehose_out, dynamodb_out),
)


def in_seeded_order(chance: random.Random) -> Iterator[Kill]:
    """Without end; each way once before any comes again."""
    while True:
        yield from chance.sample(ALL, len(ALL))


def _driver(scene: Scene, tables_seen: int) -> str:
    """The process of a load's Glue run, once it has staged so many tables."""
    found: list[psutil.Process] = []

    def far_enough() -> bool:
        found[:] = [one for one in _processes(scene.lake) if "load_events.py" in _command(one)]
        return bool(found) and _tables_staged(scene.lake) >= tables_seen

    wait_until(far_enough, f"a load's job with {tables_seen} staged tables", JOB_SECONDS)
    victim = scene.chance.choice(found)
    _kill(victim)
    return f"Spark driver with {tables_seen} staged tables ({'Java' if 'java' in _command(victim)[:200] else 'Python'})"


def _tables_staged(lake: Lake) -> int:
    """What the newest run of the load's job has told of in its log."""
    reader = lake.reader()
    glue, logs = reader.client("glue"), reader.client("logs")
    run = glue.get_job_runs(JobName=f"{lake.prefix}-load_events", MaxResults=1)["JobRuns"][0]
    streams = logs.describe_log_streams(logGroupName="/aws-glue/jobs/output", logStreamNamePrefix=run["Id"])
    told = 0
    for stream in streams["logStreams"]:
        events = logs.get_log_events(
            logGroupName="/aws-glue/jobs/output", logStreamName=stream["logStreamName"], startFromHead=True
        )["events"]
        told += sum('"staged_snapshot_id"' in event["message"] for event in events)
    return told


def _tasks_at_work(scene: Scene) -> list[psutil.Process]:
    """Known by who started them: the title that they give themselves lies where their environment was."""
    try:
        below = psutil.Process(_pid_of(scene, "airflow-scheduler")).children(recursive=True)
    # it may have been killed a moment ago
    except psutil.Error:
        return []
    titles = {one: _command(one) for one in below}
    return [one for one, title in titles.items() if "airflow worker" in title and "LocalExecutor" not in title]


def _program(scene: Scene, name: str) -> str:
    scene.pause(5.0)
    pid = _pid_of(scene, name)
    _kill(psutil.Process(pid))
    wait_until(lambda: _pid_of(scene, name) not in (0, pid), f"{name} again", 60)
    return name


def _pid_of(scene: Scene, name: str) -> int:
    """Of one of the lake's programs; 0 while it is being started again."""
    supervisor = Supervisor.running(Home(scene.lake.home))
    assert supervisor is not None, "the lake's supervisor is gone"
    return next((one.pid for one in supervisor.states() if one.name == name), 0)


def _outage(scene: Scene, service: str) -> str:
    seconds = scene.chance.uniform(3.0, LONGEST_OUTAGE_SECONDS)
    write_faults(scene.faults, **{f"outage_{service}": 1})
    time.sleep(seconds)
    write_faults(scene.faults)
    return f"{service} out for {seconds:.1f} s"


def _processes(lake: Lake) -> Iterator[psutil.Process]:
    for line in lake.processes():
        try:
            yield psutil.Process(int(line.partition(":")[0]))
        except psutil.NoSuchProcess:
            continue


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _kill(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return
