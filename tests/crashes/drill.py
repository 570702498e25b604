"""A lake under traffic that is broken again and again, at seeded points, and then has to hold what the oracle says.

    make crash KILLS=100 [SEED=7]

Traffic and loads go on while kills come; afterwards the lake is let be, the last loads run, and an independent reader
compares: nothing lost, nothing double, no file that no table names. What does not belong here: how something is killed
(kills.py).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import Any

import psutil

from tests.crashes.kills import Scene, in_seeded_order
from tests.crashes.points import CrashPoints
from tests.journeys.lake import CHECKOUT, RUN_TIMEOUT_SECONDS, Lake, wait_until

PLUGINS = CHECKOUT / "plugins"
EVENTS_A_KILL = 1_000
LEAST_EVENTS = 4_000
CHUNKS_A_KILL = 8
LAST_CHUNK_EVENTS = 1_000
PAUSE_SECONDS = 1.0
SETTLE_SECONDS = 420
LAST_LOADS = 4


@dataclass(frozen=True)
class CrashLake(Lake):
    """A lake whose emulator obeys a file of faults."""

    faults: Path = field(default=Path())

    def choices(self) -> dict[str, str]:
        return super().choices() | {"EMULATOR_FAULTS": str(self.faults)}


@dataclass
class Traffic:
    """Sends a file's events in order, chunk by chunk, each by a process of its own that may be killed: then again.

    Never runs dry while kills are to come: each chunk is a share of what is left for the next kill.
    """

    lake: Lake
    events: Path
    left: int
    folder: Path
    kills_left: Callable[[], int]
    sent_again: int = 0
    fault: BaseException | None = None
    process: psutil.Process | None = None

    def run(self) -> None:
        try:
            with gzip.open(self.events) as lines:
                for number in count():
                    waits = self.kills_left() > 0
                    size = max(1, self.left // (self.kills_left() + 1) // CHUNKS_A_KILL) if waits else LAST_CHUNK_EVENTS
                    chunk = list(islice(lines, size))
                    if not chunk:
                        return
                    self._send(number, chunk)
                    self.left -= len(chunk)
                    if waits:
                        time.sleep(PAUSE_SECONDS)
        # told by the drill, which waits for this thread
        except BaseException as error:
            self.fault = error

    def _send(self, number: int, chunk: list[bytes]) -> None:
        path = self.folder / f"chunk-{number}.ndjson"
        path.write_bytes(b"".join(chunk))
        while True:
            self.process = psutil.Popen(
                [sys.executable, str(CHECKOUT / "scripts/send.py")],
                cwd=CHECKOUT,
                env=self.lake.shell() | self.lake.choices() | _send_environment(path),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            _, told = self.process.communicate(timeout=120)
            ended, self.process = self.process.returncode, None
            if ended == 0:
                break
            assert ended < 0, f"sending a chunk ended with {ended}: {told}"
            self.sent_again += 1
        path.unlink()


@dataclass
class Outcome:
    """What a drill did and found."""

    seed: int
    kills: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    tidied: str = ""
    seconds: float = 0.0

    def told(self) -> str:
        lines = [f"seed {self.seed}: {len(self.kills)} kills, loads {', '.join(self.loads)}, {self.seconds:.0f} s"]
        return "\n".join([*lines, *self.kills, self.tidied, *(self.differences or ["nothing lost, nothing double"])])


def run_drill(lake: CrashLake, kills: int, seed: int, folder: Path) -> Outcome:
    """The lake is up when this begins, and stays up."""
    outcome, chance, started = Outcome(seed), random.Random(seed), time.monotonic()
    over = threading.Event()
    events, oracle = simulate(folder, max(LEAST_EVENTS, kills * EVENTS_A_KILL), seed)
    traffic = Traffic(lake, events, oracle["sent"], folder, lambda: 0 if over.is_set() else kills - len(outcome.kills))
    scene = Scene(
        lake,
        lake.faults,
        CrashPoints(lake, "admit_events", folder),
        CrashPoints(lake, "record_landing", folder),
        chance,
        lambda: traffic.process,
    )
    sending = threading.Thread(target=traffic.run)
    loading = threading.Thread(target=_load_again_and_again, args=(lake, over, outcome))
    sending.start()
    loading.start()
    try:
        for kill in islice(in_seeded_order(chance), kills):
            scene.pause(3.0)
            outcome.kills.append(f"[{time.monotonic() - started:6.1f} s] {kill(scene)}")
            print(outcome.kills[-1], flush=True)
    finally:
        over.set()
        sending.join()
        loading.join()
    if traffic.fault is not None:
        raise traffic.fault
    _finish(lake, oracle, outcome)
    outcome.differences = list(differences(lake, oracle))
    outcome.seconds = time.monotonic() - started
    return outcome


def simulate(folder: Path, events: int, seed: int) -> tuple[Path, dict[str, Any]]:
    output, oracle = folder / "drill.ndjson.gz", folder / "drill.oracle.json"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    command = [sys.executable, "-m", "simulator", "--events", str(events), "--seed", str(seed), "--now", now]
    subprocess.run([*command, "--output", str(output), "--oracle", str(oracle)], cwd=CHECKOUT, check=True, timeout=900)
    return output, json.loads(oracle.read_text())


def differences(lake: Lake, oracle: dict[str, Any]) -> Iterator[str]:
    """Lines about whatever is not as the oracle has it. Copies are not counted: a killed producer sends them again."""
    reader = lake.reader()
    tables = reader.event_uuids()
    for table in sorted({*oracle["tables"], *tables}):
        yield from _compared(table, oracle["tables"].get(table, []), tables.get(table, []))
    quarantined = reader.quarantined()
    for reason in sorted({*oracle["quarantine"], *quarantined}):
        yield from _compared(f"quarantine {reason}", oracle["quarantine"].get(reason, []), quarantined.get(reason, []))
    rejected = reader.rejected()
    for reason in sorted({*oracle["rejected"], *rejected}):
        wanted, found = set(oracle["rejected"].get(reason, [])), set(rejected.get(reason, []))
        yield from _compared(f"rejected {reason}", sorted(wanted), sorted(found))
    for table, keys in reader.unnamed_files().items():
        yield f"{table}: {len(keys)} files that it does not name, such as {keys[0]}"


def _compared(what: str, wanted: list[Any], found: list[Any]) -> Iterator[str]:
    lost, unknown = set(wanted) - set(found), set(found) - set(wanted)
    if lost:
        yield f"{what}: {len(lost)} lost, such as {sorted(lost, key=str)[0]}"
    if unknown:
        yield f"{what}: {len(unknown)} that belong elsewhere, such as {sorted(unknown, key=str)[0]}"
    if len(found) - len(set(found)) > len(wanted) - len(set(wanted)):
        yield f"{what}: {len(found) - len(set(found))} double"


def _load_again_and_again(lake: Lake, over: threading.Event, outcome: Outcome) -> None:
    """Whatever becomes of a load that was hit: the next one takes what it left."""
    airflow = lake.airflow()
    while not over.is_set():
        try:
            run = airflow.wait("load_events", airflow.trigger("load_events"), RUN_TIMEOUT_SECONDS, lambda _: None)
            outcome.loads.append(run.state)
        # an API server that is starting again, or a scheduler that was killed: the drill goes on
        except Exception as error:
            outcome.loads.append(type(error).__name__)
            over.wait(5)


def _finish(lake: Lake, oracle: dict[str, Any], outcome: Outcome) -> None:
    """All that was sent has its verdict and its landing; loads run until one is green, then the day's closing; then
    tables are tidied."""
    reader = lake.reader()
    wanted = {uuid for uuids in (*oracle["tables"].values(), *oracle["quarantine"].values()) for uuid in uuids}

    def all_landed() -> bool:
        return wanted <= set(reader.raw_identities().values()) and not _messages_waiting(lake)

    wait_until(all_landed, "everything that was sent in raw, and recorded", SETTLE_SECONDS)
    airflow = lake.airflow()
    for _ in range(LAST_LOADS):
        run = airflow.wait("load_events", airflow.trigger("load_events"), RUN_TIMEOUT_SECONDS, lambda _: None)
        outcome.loads.append(run.state)
        if run.state == "success":
            break
    lake.run_dag("close_day")
    outcome.tidied = _tidied(lake)


def _tidied(lake: Lake) -> str:
    environment = lake.shell() | lake.variables() | {"PYTHONPATH": os.pathsep.join(map(str, (CHECKOUT, PLUGINS)))}
    command = [sys.executable, "-m", "tests.crashes.tidy_later"]
    told = json.loads(subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, stdout=subprocess.PIPE).stdout)
    assert not told["leased_elsewhere"], told
    return f"tidied: {told['snapshots']} snapshots, {told['branches']} branches, {told['files']} files"


def _messages_waiting(lake: Lake) -> int:
    sqs = lake.reader().client("sqs")
    url = sqs.get_queue_url(QueueName=f"{lake.prefix}-landings")["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(map(int, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()))


def _send_environment(path: Path) -> dict[str, str]:
    python_path = os.pathsep.join([str(PLUGINS), str(CHECKOUT / "scripts")])
    return {"LAKE_INPUT": str(path), "PYTHONPATH": python_path}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make crash", description="Break a running lake, then compare.")
    parser.add_argument("--kills", type=int, default=int(os.environ.get("LAKE_KILLS") or 20))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("LAKE_SEED") or time.time()))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="eventlake-crash-") as name:
        folder = Path(name)
        lake = CrashLake(folder / "lake", "lake-crash", folder / "faults.json")
        print(f"the same once more: make crash KILLS={options.kills} SEED={options.seed}", flush=True)
        lake.make("up")
        try:
            outcome = run_drill(lake, options.kills, options.seed, folder)
        finally:
            lake.make("down", may_fail=True)
    print(outcome.told())
    return 1 if outcome.differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
