"""Starts the local AWS in the foreground: `python -m emulator`.

Environment (all optional):
    GATEWAY_PORT            port, 4566; 0 takes a free one and says which
    BIND_HOST               127.0.0.1
    AWS_REGION              eu-west-1; the one region of the emulator
    STATE_DIR, S3_DATA_DIR  where state lies, .lake/state and .lake/s3; all of it is there after a stop (SIGTERM,
                            SIGINT), and what the last checkpoint holds after a kill (checkpoints.py)
    LOG_LEVEL               WARNING
    EMULATOR_JOBS_PYTHON    the Python that Glue jobs run on; this one when not set
    EMULATOR_JOBS_JARS      folder of jars that `--datalake-formats iceberg` puts into a job; `python -m
                            emulator.spark_archive` makes them start quicker, once
    EMULATOR_JOBS_DRIVER_MEMORY   2g
    EMULATOR_JOBS_JAVA_OPTIONS    quick to start; empty for runs of many minutes, which full compilation serves better
    EMULATOR_CHECKPOINT_SECONDS   20: how old what survives a kill is at most, but for the time that writing takes
    EMULATOR_ROWS_IN_MEMORY       10000: of a table or a shard, before any lie on disk (row_store.py)
    EMULATOR_FAULTS         a JSON file of faults to inject, tests only (emulator/faults.py)
    EMULATOR_WITHOUT        names of fixes to leave out, comma separated, tests only (emulator/patches.py)
Healthy when GET /_ministack/health answers 200. Exit: 0 after a stop, 2 when it cannot start, 3 when
the disk is full (one line says why).

Belongs in here: environment, start, stop. Does not belong here: what AWS does (one module a service).
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

_LOOPBACK = "127.0.0.1"
_DRAIN_SECONDS = 2.0

logger = logging.getLogger("emulator")


def prepare_environment() -> None:
    """What ministack reads when it is imported; a value of the caller's stays, but for what keeps it on loopback."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "eu-west-1"
    # as paths from here: a function's and a job's processes have their own working folder
    for name, folder in (("STATE_DIR", ".lake/state"), ("S3_DATA_DIR", ".lake/s3")):
        os.environ[name] = str(Path(os.environ.get(name) or folder).resolve())
    os.environ["BIND_HOST"] = os.environ.get("BIND_HOST") or _LOOPBACK
    host, port = os.environ["BIND_HOST"], int(os.environ.get("GATEWAY_PORT") or 4566)
    os.environ["GATEWAY_PORT"] = str(port or _free_port(host))
    for name, value in {
        "MINISTACK_HOST": _LOOPBACK,
        "MINISTACK_REGION": region,
        "MINISTACK_ACCOUNT_ID": "000000000000",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "LAMBDA_EXECUTOR": "local",
        "ATHENA_ENGINE": "duckdb",
        "PERSIST_STATE": "1",
        "LOG_LEVEL": "WARNING",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",
    }.items():
        os.environ.setdefault(name, value)
    # with checkpoints, S3's objects are in those
    os.environ["S3_PERSIST"] = str(int("checkpoints" in os.environ.get("EMULATOR_WITHOUT", "")))
    # what this process starts may keep its compiled modules; a cold start of a function is half as long with them
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # whoever this process starts finds this endpoint, and no proxy on the way to it
    os.environ["AWS_ENDPOINT_URL"] = f"http://{_LOOPBACK}:{os.environ['GATEWAY_PORT']}"
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = f"{_LOOPBACK},localhost"
    _own_temporary_folder()


def _own_temporary_folder() -> None:
    """Functions' code and jobs' scripts are unpacked here; what a killed server left is cleared at the next start."""
    folder = Path(os.environ["STATE_DIR"]) / "tmp"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def listening_socket(host: str, port: int) -> socket.socket:
    """The port, taken; OSError when somebody else has it."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


async def serve(listener: socket.socket) -> None:
    from hypercorn.asyncio import serve as serve_requests
    from hypercorn.config import Config
    from ministack.app import app

    from emulator import patches
    from emulator.checkpoints import with_changes_counted
    from emulator.outages import with_outages

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = _DRAIN_SECONDS
    config.loglevel = os.environ["LOG_LEVEL"].upper()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)

    async def until_stopped() -> None:
        await stop.wait()
        # still serving: a function that is running and a buffer that is written need the server
        for failure in await asyncio.to_thread(patches.run_shutdown_steps):
            logger.error("while stopping: %r", failure)

    await serve_requests(with_outages(with_changes_counted(app)), config, shutdown_trigger=until_stopped)


def main() -> int:
    prepare_environment()
    host, port = os.environ["BIND_HOST"], int(os.environ["GATEWAY_PORT"])
    try:
        listener = listening_socket(host, port)
    except OSError as error:
        print(
            f"emulator: {host}:{port} cannot be taken ({error.strerror}); stop what listens there or set GATEWAY_PORT",
            file=sys.stderr,
        )
        return 2
    # it warns of signing keys, which nothing here uses
    logging.getLogger("kms").setLevel(logging.ERROR)
    from emulator import patches

    try:
        patches.check()
        without = patches.install()
    except (patches.WrongMinistackError, patches.UnusableStateError) as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 2
    if without:
        print(f"emulator: without {', '.join(sorted(without))}", file=sys.stderr)
    print(f"emulator: {os.environ['AWS_ENDPOINT_URL']}", flush=True)
    _raise_file_limit()
    asyncio.run(serve(listener))
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    return 0


def _raise_file_limit() -> None:
    """A burst of connections goes beyond the usual 1024 open files."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted: Any = hard if hard != resource.RLIM_INFINITY else 65536
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            return


if __name__ == "__main__":
    sys.exit(main())
