"""What a Glue job run finds on its disk: script, libraries, jars and files from S3, and the modules it asks for.

Belongs in here: what is downloaded into the folder of a run
(https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html). Does not belong here: the
process that reads it (glue_job_process.py), states and the API (glue_jobs.py).

Nothing is installed here, where Glue runs pip: a module of `--additional-python-modules` has to be in the jobs'
environment in that version, or be a wheel in S3. Any other fails the run, as a failed installation does there.
"""

from __future__ import annotations

import json
import re
import subprocess
import zipfile
from pathlib import Path

from ministack.services import s3

from emulator.glue_job_process import JobFiles, interpreter

_FORMATS_HERE = frozenset({"", "iceberg"})
_INSTALLED = "import importlib.metadata as m, json; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"


class CannotStartError(Exception):
    """A run that lacks what it asks for, in one line."""


def fetch(script: str, arguments: dict[str, str], folder: Path) -> JobFiles:
    """Everything that the run needs, on disk; CannotStartError names what is missing."""
    files = JobFiles(folder).make()
    unknown = {one.strip() for one in arguments.get("--datalake-formats", "").split(",")} - _FORMATS_HERE
    if unknown:
        raise CannotStartError(f"LAUNCH ERROR | --datalake-formats {', '.join(sorted(unknown))}: only iceberg is here")
    files.script = _download(script, files.work)
    for place in _places(arguments, "--extra-files"):
        _download(place, files.work)
    for number, place in enumerate(_places(arguments, "--extra-py-files")):
        library = _download(place, folder / f"library-{number}")
        files.python_path.append(library.parent if library.suffix == ".py" else library)
    for number, place in enumerate(_places(arguments, "--extra-jars")):
        files.jars.append(_download(place, folder / f"jar-{number}"))
    _add_modules(files, _places(arguments, "--additional-python-modules"))
    return files


def _places(arguments: dict[str, str], name: str) -> list[str]:
    return [place.strip() for place in arguments.get(name, "").split(",") if place.strip()]


def _download(place: str, folder: Path) -> Path:
    bucket, _, key = place.removeprefix("s3://").partition("/")
    if not place.startswith("s3://") or not key:
        raise CannotStartError(
            f"InvalidInputException: {place or 'the script location'} is no s3:// address of an object"
        )
    body = s3._get_object_data(bucket, key)
    if body is None:
        raise CannotStartError(f"LAUNCH ERROR | {place} could not be downloaded: The specified key does not exist.")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / Path(key).name
    path.write_bytes(body)
    return path


# ---- --additional-python-modules


def _add_modules(files: JobFiles, modules: list[str]) -> None:
    wheels = [module for module in modules if module.startswith("s3://") and module.endswith(".whl")]
    for number, place in enumerate(wheels):
        files.python_path.insert(0, _unpacked(_download(place, files.folder / f"wheel-{number}")))
    wanted = [module for module in modules if module not in wheels]
    if not wanted:
        return
    installed = _installed()
    failed = [reason for module in wanted if (reason := _why_not(module, installed))]
    if failed:
        raise CannotStartError(
            "LAUNCH ERROR | Python Module Installer indicates modules that failed to install: " + "; ".join(failed)
        )


def _unpacked(wheel: Path) -> Path:
    folder = wheel.parent / "unpacked"
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    except zipfile.BadZipFile as error:
        raise CannotStartError(
            f"LAUNCH ERROR | Python Module Installer indicates modules that failed to install: {wheel.name}: {error}"
        ) from None
    return folder


def _installed() -> dict[str, str]:
    run = subprocess.run([interpreter(), "-c", _INSTALLED], capture_output=True, text=True, timeout=30, check=True)
    return {_normalized(name): version for name, version in json.loads(run.stdout)}


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _why_not(module: str, installed: dict[str, str]) -> str | None:
    """The reason why this module is not to be had; none when it is there."""
    match = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?(?:==([A-Za-z0-9.+!_-]+))?", module)
    if match is None:
        return f"{module} (neither package==version nor a wheel in S3)"
    name, version = match.groups()
    found = installed.get(_normalized(name))
    if found is None:
        return f"{module} (the jobs' environment has no {name}, and nothing is installed here)"
    if version is not None and version != found:
        return f"{module} (the jobs' environment has {name} {found}, and nothing is installed here)"
    return None
