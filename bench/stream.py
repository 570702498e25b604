"""How many events a second go from a producer to raw objects, with admission and deduplication, for minutes on end.

The emulator and the stack of the lake, without Airflow. A producer sends as fast as verdicts come: never more than
`MOST_WAITING` events ahead of them. At the end each record sent is looked for in raw and decisions, by identity.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from bench.processes import memory_bytes, processor_seconds, processor_seconds_by_role
from bench.results import Figure, Measured
from deploy import deploy
from eventlake.errors import TerminalError
from eventlake.settings import Settings
from laptop import drain, programs
from laptop.entry import say, whole_number
from laptop.event_file import lines_of
from laptop.home import CHECKOUT, Home, Ports, free_port
from laptop.lifecycle import emulator_answers
from laptop.producer import send
from local_lake import DELIVERY_BUFFER_SECONDS, aws_environment

SEED = 11
SECONDS = 300
# made beforehand, and more than the machine can take; what is left over is not sent
EVENTS_A_SECOND_MADE = 3_000
CHUNK_EVENTS = 1_000
MOST_WAITING = 8_000
LOOK_EVERY_SECONDS = 10.0
DRAIN_SECONDS = 600


@dataclass
class Course:
    """What was seen while events flowed."""

    sent: int = 0
    seconds: float = 0.0
    # of the emulator, with nothing in it
    start_seconds: float = 0.0
    # seconds since the start, megabytes of the emulator and its functions, events sent
    memory: list[tuple[float, float, int]] = field(default_factory=list)


def measure() -> Measured:
    seconds = whole_number("BENCH_SECONDS", SECONDS)
    with tempfile.TemporaryDirectory(prefix="eventlake-bench-") as folder:
        home = Home(Path(folder))
        home.prepare()
        events = _simulated(home.folder, seconds * EVENTS_A_SECOND_MADE)
        started = time.monotonic()
        with _emulated_lake(home) as (server, settings, answered):
            before = processor_seconds_by_role(server.pid, _role)
            own_before = processor_seconds(os.getpid())
            course = _flow(server, settings, events, seconds)
            course.start_seconds = answered - started
            after = processor_seconds_by_role(server.pid, _role)
            after["producer"] = processor_seconds(os.getpid()) - own_before
            lost = course.sent - _identities_in_bucket(settings)
    spent = {role: total - before.get(role, 0.0) for role, total in after.items()}
    return _told(course, spent, lost)


def _flow(server: subprocess.Popen[str], settings: Settings, events: Path, seconds: int) -> Course:
    course = Course()
    kinesis, dynamodb, sqs = (boto3.client(name) for name in ("kinesis", "dynamodb", "sqs"))
    started = time.monotonic()
    stop = threading.Event()
    watching = threading.Thread(target=_watch, args=(server, course, started, stop))
    watching.start()
    try:
        last_sent: dict[str, str] = {}
        for chunk in _chunks(lines_of(events)):
            if time.monotonic() - started > seconds:
                break
            report = send(kinesis, settings.stream, chunk, lambda _: None)
            earlier, last_sent = last_sent, {**last_sent, **report.last_sent}
            course.sent += report.sent
            if course.sent % MOST_WAITING == 0 and earlier:
                drain.wait_for_verdicts(dynamodb, settings, earlier, DRAIN_SECONDS, lambda _: None)
        drain.wait_for_verdicts(dynamodb, settings, last_sent, DRAIN_SECONDS, lambda _: None)
        drain.wait_for_landings(dynamodb, sqs, settings, DELIVERY_BUFFER_SECONDS, DRAIN_SECONDS)
        course.seconds = time.monotonic() - started
    finally:
        stop.set()
        watching.join()
    return course


def _watch(server: subprocess.Popen[str], course: Course, started: float, stop: threading.Event) -> None:
    while not stop.wait(LOOK_EVERY_SECONDS):
        at, megabytes = time.monotonic() - started, memory_bytes(server.pid) / 1024**2
        course.memory.append((at, megabytes, course.sent))
        say(f"{course.sent:,} sent ({course.sent / at:,.0f} a second), {megabytes:,.0f} MB")


def _told(course: Course, spent: dict[str, float], lost: int) -> Measured:
    rate = course.sent / course.seconds
    half = [one for one in course.memory if one[0] > course.seconds / 2] or course.memory
    growth_bytes = (half[-1][1] - half[0][1]) * 1024**2 / max(1, half[-1][2] - half[0][2])
    thousands = course.sent / 1000
    where = ", ".join(f"{role} {seconds / thousands:.3f}" for role, seconds in sorted(spent.items()))
    return Measured(
        figures=[
            Figure("stream_events_per_s", round(rate), "events/s", "producer to raw objects, deduplicated", ">= 1,500"),
            Figure("stream_lost", lost, "records", "sent, and in neither raw nor decisions", "0"),
            Figure("stream_seconds", round(course.seconds), "s", "how long events flowed, the drain included", ""),
            Figure(
                "stream_cpu_s_per_thousand",
                round(sum(spent.values()) / thousands, 3),
                "CPU-s",
                "of the emulator, its functions and the producer, for a thousand events",
            ),
            Figure(
                "emulator_start_s", round(course.start_seconds, 1), "s", "until it answers, with nothing in it", "< 5"
            ),
            Figure("stream_memory_mb", round(half[-1][1]), "MB", "of the emulator and its functions, at the end"),
            Figure(
                "stream_memory_bytes_per_event",
                round(growth_bytes),
                "bytes",
                "growth in the second half, for an event: what the emulator keeps lies on disk",
            ),
        ],
        remarks=[
            f"{course.sent:,} events sent; CPU-s for a thousand of them: {where}.",
            "The stream keeps its records for days and the claims table its items for a day, as on AWS: on disk, "
            "beside the checkpoints that are written meanwhile (every 20 s).",
            "Not measured: AWS itself. The emulator's processes, the functions and the producer share the machine.",
        ],
    )


def _role(command: str) -> str:
    if "-m emulator" in command:
        return "emulator"
    return "functions"


def _simulated(folder: Path, events: int) -> Path:
    output = folder / "events.ndjson.gz"
    say(f"simulating {events:,} events")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    command = [sys.executable, "-m", "simulator", "--events", str(events), "--seed", str(SEED), "--now", now]
    subprocess.run([*command, "--output", str(output)], cwd=CHECKOUT, check=True)
    return output


def _chunks(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == CHUNK_EVENTS:
            yield chunk
            chunk = []


@contextlib.contextmanager
def _emulated_lake(home: Home) -> Iterator[tuple[subprocess.Popen[str], Settings, float]]:
    """The server, the lake's settings, and when the server answered."""
    settings = Settings(prefix="bench")
    ports = Ports(ui=0, aws=free_port())
    environment = programs.own_environment(os.environ) | programs.emulator_environment(home, ports, settings)
    environment.pop("PYTHONPATH", None)
    command = [str(CHECKOUT / ".venvs" / "emulator" / "bin" / "python"), "-m", "emulator"]
    server = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL, text=True)
    try:
        programs.adopt(aws_environment(programs.endpoint_url(ports), settings))
        _wait_until_answering(programs.endpoint_url(ports), server)
        answered = time.monotonic()
        parameters = {"DeliveryBufferSeconds": str(DELIVERY_BUFFER_SECONDS)}
        deploy(settings, build_folder=home.folder / "packages", definitions_folders=[], parameters=parameters, say=say)
        yield server, settings, answered
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def _wait_until_answering(endpoint_url: str, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while not emulator_answers(endpoint_url):
        if server.poll() is not None or time.monotonic() > deadline:
            raise TerminalError("starting the emulator for a benchmark: it does not answer")
        time.sleep(0.1)


def _identities_in_bucket(settings: Settings) -> int:
    """Distinct (shard, sequence) in raw and decisions: a record delivered twice counts once."""
    s3 = boto3.client("s3")
    found: set[str] = set()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=settings.raw_bucket):
        # a decision with a large original lies in two objects; the one that is no line of decisions is not counted
        for entry in (one for one in page.get("Contents", []) if one["Key"].endswith(".gz")):
            found |= set(_identities(s3, settings.raw_bucket, entry["Key"]))
    return len(found)


def _identities(s3: Any, bucket: str, key: str) -> Iterator[str]:
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    for line in gzip.decompress(body).splitlines():
        record = json.loads(line)
        lake = record.get("_lake", record)
        yield f"{lake['shard_id']}:{lake['sequence_number']}"
