"""Install what a command needs, then become that command.

    python3 scripts/bootstrap.py --with laptop,jobs,jars [-- scripts/demo.py ...]

Standard library only, and any Python from 3.9 on, because it runs before anything is installed. What belongs in here:
finding Python 3.11 or 3.12, the environments of `.venvs/` from their lock files, Spark's jars and the jobs' own. An
environment is skipped while the stamp in it names the lock file's hash; the stamp is written last, so an interrupted
install is simply done again. What does not: knowing what the commands do.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

CHECKOUT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = CHECKOUT / ".venvs"
JARS = CHECKOUT / ".cache" / "jars"
ARCHIVE_STAMP = JARS / "archive.json"
UV_VERSION = "0.13.8"
WANTED_PYTHONS = ((3, 11), (3, 12))
INSTALL_TIMEOUT_SECONDS = 900
# all environments take 2.4 GB, the caches on the way 1.2 GB; less than this cannot end well
NEEDED_FREE_BYTES = 4 * 1024**3
STAMP = "eventlake-stamp"

running: set[subprocess.Popen[str]] = set()
speech = threading.Lock()


class InstallError(Exception):
    """One line for the person at the keyboard."""


def say(text: str) -> None:
    with speech:
        print(f"  {text}", flush=True)


def run(command: list[str], doing: str, environment: dict[str, str] | None = None) -> str:
    """Run to the end; its output, or an InstallError that carries the last telling lines of it."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    running.add(process)
    try:
        output, _ = process.communicate(timeout=INSTALL_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise InstallError(
            f"{doing}: no end after {INSTALL_TIMEOUT_SECONDS} s; check the network and try again"
        ) from None
    finally:
        running.discard(process)
    if process.returncode != 0:
        if "No space left on device" in output:
            raise InstallError(f"{doing}: the disk is full; free some space and run the command again")
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        raise InstallError(f"{doing} failed: {' | '.join(lines[-4:])}; run the command again when that is mended")
    return output


def python_version(executable: str) -> tuple[int, int] | None:
    """What the candidate really is: a pyenv shim or a dangling link exists without running."""
    try:
        answer = subprocess.run(
            [executable, "-c", "import sys; print(*sys.version_info[:2])"],
            capture_output=True,
            text=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
        )
        major, minor = answer.stdout.split()
        return (int(major), int(minor)) if answer.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def find_pythons() -> dict[str, tuple[int, int]]:
    """Interpreters that run here, wanted versions first. Keys are what to execute."""
    candidates = [sys.executable]
    for name in ("python3.11", "python3.12", "python3"):
        candidates += [found for found in (shutil.which(name), f"/usr/bin/{name}", f"/usr/local/bin/{name}") if found]
    versions = {path: python_version(path) for path in dict.fromkeys(candidates) if Path(path).exists()}
    known = {path: version for path, version in versions.items() if version}
    rank = {version: place for place, version in enumerate(WANTED_PYTHONS)}
    return dict(sorted(known.items(), key=lambda item: rank.get(item[1], len(rank))))


def uv_runs(executable: Path) -> bool:
    try:
        answer = subprocess.run([str(executable), "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.split()[1:2] == [UV_VERSION]


def install_uv(pythons: dict[str, tuple[int, int]]) -> Path:
    """uv, pinned, in `.venvs/tools`: by a venv; where Debian left that out, by any pip; else an uv that is there."""
    tools = ENVIRONMENTS / "tools"
    for executable in (tools / "bin" / "uv", tools / "packages" / "bin" / "uv"):
        if uv_runs(executable):
            return executable
    shutil.rmtree(tools, ignore_errors=True)
    started = time.monotonic()
    refusals = []
    for python in pythons:
        try:
            run([python, "-m", "venv", str(tools)], "making .venvs/tools")
            pip = [str(tools / "bin" / "python"), "-m", "pip", "install", "--quiet", f"uv=={UV_VERSION}"]
            run(pip, "installing uv")
            say(f"uv {UV_VERSION} installed ({time.monotonic() - started:.0f} s)")
            return tools / "bin" / "uv"
        except InstallError as error:
            refusals.append(str(error))
            shutil.rmtree(tools, ignore_errors=True)
    for python in pythons:
        try:
            target = str(tools / "packages")
            run([python, "-m", "pip", "install", "--quiet", "--target", target, f"uv=={UV_VERSION}"], "installing uv")
            say(f"uv {UV_VERSION} installed ({time.monotonic() - started:.0f} s)")
            return tools / "packages" / "bin" / "uv"
        except InstallError as error:
            refusals.append(str(error))
            shutil.rmtree(tools, ignore_errors=True)
    present = shutil.which("uv")
    if present:
        return Path(present)
    lacking = all("ensurepip" in refusal or "No module named" in refusal for refusal in refusals)
    if lacking:
        raise InstallError(
            f"{next(iter(pythons))} has neither venv nor pip; install one of them, for example: "
            "apt-get install python3-venv"
        )
    raise InstallError(next(refusal for refusal in refusals if "No module named" not in refusal))


def stamp_of(environment: str, python: str) -> str:
    lock = (CHECKOUT / "requirements" / f"{environment}.txt").read_bytes()
    return hashlib.sha256(b"\0".join([lock, python.encode(), UV_VERSION.encode()])).hexdigest()


def is_installed(environment: str, python: str) -> bool:
    stamp = ENVIRONMENTS / environment / STAMP
    # the interpreter may have been removed since: an environment that does not run is none
    runs = python_version(str(ENVIRONMENTS / environment / "bin" / "python")) is not None
    return runs and stamp.exists() and stamp.read_text() == stamp_of(environment, python)


def install_environment(environment: str, uv: Path, python: str) -> None:
    started = time.monotonic()
    folder = ENVIRONMENTS / environment
    (folder / STAMP).unlink(missing_ok=True)
    if python_of(folder) != python:
        run([str(uv), "venv", "--quiet", "--clear", "--python", python, str(folder)], f"making .venvs/{environment}")
    lock = CHECKOUT / "requirements" / f"{environment}.txt"
    run(
        [str(uv), "pip", "sync", "--quiet", "--python", str(folder / "bin" / "python"), str(lock)],
        f"installing {lock.relative_to(CHECKOUT)}",
    )
    (folder / STAMP).write_text(stamp_of(environment, python))
    say(f"environment {environment} installed ({time.monotonic() - started:.0f} s)")


def python_of(folder: Path) -> str | None:
    version = python_version(str(folder / "bin" / "python"))
    return f"{version[0]}.{version[1]}" if version else None


def install_jars() -> bool:
    """Whether there was anything to fetch. The resolver is Spark's own, so the jobs' environment comes first."""
    started = time.monotonic()
    python = str(ENVIRONMENTS / "jobs" / "bin" / "python")
    fetched = bool(run([python, str(CHECKOUT / "scripts" / "fetch_jars.py"), str(JARS)], "fetching Spark's jars"))
    if fetched:
        say(f"Spark's jars fetched ({time.monotonic() - started:.0f} s)")
    return fetched


def compile_line_reader() -> None:
    """The jobs' own Java, with the compiler that came with the jars."""
    started = time.monotonic()
    python = str(ENVIRONMENTS / "jobs" / "bin" / "python")
    script = str(CHECKOUT / "scripts" / "compile_line_reader.py")
    if run([python, script, str(JARS)], "compiling the jobs' Java"):
        say(f"the jobs' Java compiled ({time.monotonic() - started:.0f} s)")


def archive_classes() -> None:
    """Spark starts on a third of the processor time with the archive, and without it too: a failure is only told."""
    started = time.monotonic()
    jobs_python = str(ENVIRONMENTS / "jobs" / "bin" / "python")
    environment = {"EMULATOR_JOBS_PYTHON": jobs_python, "EMULATOR_JOBS_JARS": str(JARS)}
    command = [str(ENVIRONMENTS / "emulator" / "bin" / "python"), "-m", "emulator.spark_archive"]
    try:
        run(command, "archiving Spark's classes", environment)
        say(f"Spark's classes archived ({time.monotonic() - started:.0f} s)")
    except InstallError as error:
        say(f"{error}; until then jobs start slower")


def install(parts: list[str]) -> None:
    """Everything named, in parallel; raises InstallError."""
    pythons = find_pythons()
    version = next(iter(pythons.values()), None)
    # with another Python only, uv fetches 3.11 by itself
    python = "{}.{}".format(*version) if version in WANTED_PYTHONS else "3.11"
    missing = [part for part in parts if part != "jars" and not is_installed(part, python)]
    uv = prepare(missing, pythons, python) if missing else None
    with ThreadPoolExecutor(max_workers=len(parts)) as pool:
        jobs = {part: pool.submit(install_environment, part, uv, python) for part in missing if uv}
        if "jars" in parts:
            if "jobs" in jobs:
                jobs["jobs"].result()
            fetched = install_jars()
            compile_line_reader()
            if "emulator" in jobs:
                jobs["emulator"].result()
            if fetched or "jobs" in jobs or not ARCHIVE_STAMP.exists():
                archive_classes()
        for job in jobs.values():
            job.result()


def prepare(missing: list[str], pythons: dict[str, tuple[int, int]], python: str) -> Path:
    """Room on the disk, uv, and an interpreter for it."""
    free = shutil.disk_usage(CHECKOUT).free
    if free < NEEDED_FREE_BYTES and not all((ENVIRONMENTS / part / "bin").exists() for part in missing):
        raise InstallError(
            f"installing takes about {NEEDED_FREE_BYTES // 1024**2} MB of disk, "
            f"{free // 1024**2} MB are free; free some and run the command again"
        )
    say(f"installing {', '.join(missing)} for Python {python} (once; minutes without a cache)")
    uv = install_uv(pythons)
    if not any("{}.{}".format(*version) == python for version in pythons.values()):
        fetch_python(uv, python)
    return uv


def fetch_python(uv: Path, python: str) -> None:
    try:
        run([str(uv), "python", "install", "--quiet", python], f"fetching Python {python}")
    except InstallError as error:
        raise InstallError(
            f"needs Python 3.11 or 3.12, none runs here, and {error}; "
            "install one, for example: apt-get install python3.11 python3.11-venv"
        ) from None


def stop_children(*_: object) -> NoReturn:
    for process in list(running):
        process.terminate()
    raise KeyboardInterrupt


def become(command: list[str], environment_name: str, seconds: float) -> NoReturn:
    python = ENVIRONMENTS / environment_name / "bin" / "python"
    if not python.exists():
        raise InstallError(
            "nothing is installed here yet, so nothing runs; `make up` or `make demo` installs and starts a lake"
        )
    path = os.pathsep.join(str(CHECKOUT / folder) for folder in ("plugins", "scripts", "."))
    environment = {**os.environ, "PYTHONPATH": path, "LAKE_INSTALL_SECONDS": f"{seconds:.1f}"}
    os.execve(python, [str(python), str(CHECKOUT / command[0]), *command[1:]], environment)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--with", dest="parts", default="", help="laptop, workers, jobs, emulator, dev, bench, jars")
    parser.add_argument("--as-is", default="", help="what must be there already; nothing is installed")
    parser.add_argument("--run-in", default="laptop", help="the environment that runs the command")
    parser.add_argument("command", nargs="*")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    signal.signal(signal.SIGTERM, stop_children)
    try:
        if options.parts:
            ENVIRONMENTS.mkdir(exist_ok=True)
            with (ENVIRONMENTS / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # two commands at once: the second one waits and finds it done
                install(options.parts.split(","))
        if options.command:
            become(options.command, options.run_in, time.monotonic() - started)
    except InstallError as error:
        print(f"eventlake: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        for process in list(running):
            process.terminate()
        print("eventlake: interrupted while installing; the next run goes on from here", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"eventlake: installing: {error}; mend that and run the command again", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
