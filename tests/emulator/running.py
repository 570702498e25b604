"""A running emulator: real HTTP, real processes, a state folder of its own.

Belongs in here: start and stop, clients, small makers of resources. Does not belong here: what is held of them.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import time
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.fault_file import write_faults

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venvs/emulator/bin/python"
JOBS_PYTHON = ROOT / ".venvs/jobs/bin/python"
JARS = ROOT / ".cache/jars"
ROLE = "arn:aws:iam::000000000000:role/tests"
# environment of a server that makes checkpoints so often that a test need not wait for one
CHECKPOINTS = {"EMULATOR_CHECKPOINT_SECONDS": "0.2"}
# the share of its time that each wait is given
PATIENCE = 1.0


class Emulator:
    """One server process and its state folder."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = environment
        self.endpoint = ""
        self.process: subprocess.Popen[str] | None = None
        self._clients: dict[tuple[Any, ...], Any] = {}

    def start(self) -> Emulator:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "GATEWAY_PORT": "0",
            "STATE_DIR": str(self.folder / "state"),
            "S3_DATA_DIR": str(self.folder / "s3"),
            "EMULATOR_JOBS_PYTHON": str(JOBS_PYTHON),
            "EMULATOR_JOBS_JARS": str(JARS),
            "EMULATOR_FAULTS": str(self.folder / "faults.json"),
            **self.environment,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = (self.folder / "log").open("a")
        self.process = subprocess.Popen(
            [str(PYTHON), "-m", "emulator"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("emulator: http://127.0.0.1:"), (line, (self.folder / "log").read_text())
        self.endpoint = line.split()[1]
        # a server comes whatever fix it lacks
        wait_for(self.healthy, "a healthy emulator", seconds=60 / PATIENCE)
        return self

    def healthy(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2).status == 200)
        return False

    def stop(self, how: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(120)
        self.log.close()
        return code

    def client(self, service: str, **options: Any) -> Any:
        """One client a service and server: making one costs more than most requests."""
        key = (self.endpoint, service, json.dumps(options, sort_keys=True))
        if key not in self._clients:
            self._clients[key] = boto3.client(
                service,
                endpoint_url=self.endpoint,
                region_name="eu-west-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(**{"retries": {"max_attempts": 1}, "s3": {"addressing_style": "path"}, **options}),
            )
        return self._clients[key]

    def processor_seconds(self) -> float:
        """Of the server and all that it started; says what work costs on a machine that others use too."""
        assert self.process is not None
        parents, seconds = {}, {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[int(folder.name)] = int(fields[1])
                seconds[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        family = {self.process.pid}
        while found := {child for child, parent in parents.items() if parent in family} - family:
            family |= found
        return sum(seconds.get(one, 0.0) for one in family)

    @property
    def checkpoint(self) -> Path:
        return self.folder / "state/checkpoint"

    def wait_for_checkpoint(self) -> None:
        """One that begins from now on; what was answered before is in it. For a server that makes them often."""
        # the first one that ends may have begun before
        for _ in range(2):
            before = modified(self.checkpoint)
            self.client("sqs").create_queue(QueueName=f"now-{time.time_ns()}")
            wait_for(lambda before=before: modified(self.checkpoint) > before, "a checkpoint")

    def fault(self, **faults: int) -> None:
        write_faults(self.folder / "faults.json", **faults)


def modified(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


def wait_for(check: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """The first true answer of `check`. Waits for long, as the machine may be slow and others at work on it."""
    deadline = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.05)
    pytest.fail(f"waited {seconds} s for {what}")


def zipped(**files: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for file_name, text in files.items():
            archive.writestr(f"{file_name}.py", text)
    return written.getvalue()


def make_function(emulator: Emulator, name: str, code: str, **options: Any) -> str:
    """A function of one file; gives its ARN."""
    settings = {"Runtime": "python3.11", "Handler": "handler.handler", "Role": ROLE, "Timeout": 20, **options}
    made = emulator.client("lambda").create_function(
        FunctionName=name, Code={"ZipFile": zipped(handler=code)}, **settings
    )
    return str(made["FunctionArn"])


def objects(emulator: Emulator, bucket: str, prefix: str = "") -> dict[str, bytes]:
    """Key and content of all objects under a prefix."""
    s3 = emulator.client("s3")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return {one["Key"]: s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed}


def make_bucket(emulator: Emulator, name: str) -> None:
    emulator.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
