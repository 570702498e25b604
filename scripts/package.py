"""Build `dist/`: the zips that Lambda, Glue and MWAA take. The same sources give the same bytes, whenever and wherever.

What belongs in here: which folder goes into which zip, whether the jar of the jobs' Java is that of its sources. What
does not: compiling it (compile_line_reader), where the zips go (deploy).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PLUGINS = CHECKOUT / "plugins"
LAMBDAS = CHECKOUT / "include" / "lambdas"
JOBS = CHECKOUT / "include" / "glue_jobs"
LINE_READER = JOBS / "line_reader"
LINE_READER_JAR = CHECKOUT / ".cache" / "line_reader" / "eventlake-line-reader.jar"
# whose sources the jar is made of; written last
LINE_READER_STAMP = LINE_READER_JAR.with_name("sources.sha256")
FUNCTIONS = ("admit_events", "record_landing")
HASH_DIGITS = 12
# zip's first day: a zip that holds the time of its making is never the same twice
NO_TIME = (1980, 1, 1, 0, 0, 0)
ORDINARY_FILE = 0o100644 << 16
LEFT_OUT = ("__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache")


@dataclass(frozen=True)
class Packages:
    """What was built. `code_hash` names the rules package; records, receipts and functions carry it."""

    code_hash: str
    zips: dict[str, Path]  # the jar is one, too
    job_scripts: list[Path]


def files_of(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part in LEFT_OUT for part in path.parts) and path.suffix != ".pyc":
            yield path


def package_members(folder: Path, under: str = "") -> dict[str, Path]:
    """Names in the zip -> files; `under` keeps a package's own folder."""
    return {f"{under}{path.relative_to(folder).as_posix()}": path for path in files_of(folder)}


def code_hash() -> str:
    return folder_hash(PLUGINS / "eventlake")[:HASH_DIGITS]


def folder_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for name, path in package_members(folder).items():
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def line_reader_hash() -> str:
    return folder_hash(LINE_READER)


def line_reader_is_compiled() -> bool:
    """Whether the jar is there, and is what the sources of now give."""
    is_there = LINE_READER_JAR.is_file() and LINE_READER_STAMP.is_file()
    return is_there and LINE_READER_STAMP.read_text() == line_reader_hash()


def content_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:HASH_DIGITS]


def write_zip(target: Path, members: dict[str, Path]) -> Path:
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, path in sorted(members.items()):
            entry = zipfile.ZipInfo(name, NO_TIME)
            entry.external_attr = ORDINARY_FILE
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return part.rename(target)


def build(target: Path) -> Packages:
    """Everything that is deployed, into `target`. Raises TerminalError where the jobs' Java is not compiled."""
    if not line_reader_is_compiled():
        # whoever compiles it has no rules at hand
        from eventlake.errors import TerminalError

        raise TerminalError(
            f"packing the jobs: received no jar of {LINE_READER.relative_to(CHECKOUT)} as it is now; valid is one that "
            "was compiled from it; run make install, then this again"
        )
    target.mkdir(parents=True, exist_ok=True)
    rules = package_members(PLUGINS / "eventlake", "eventlake/")
    members = {f"{name}.zip": rules | package_members(LAMBDAS / name) for name in FUNCTIONS}
    members["eventlake-glue.zip"] = rules | package_members(JOBS / "eventlake_spark", "eventlake_spark/")
    # the folder whole, so that .airflowignore goes with it: without it MWAA imports every module twice
    members["plugins.zip"] = package_members(PLUGINS)
    zips = {name: write_zip(target / name, content) for name, content in members.items()}
    zips[LINE_READER_JAR.name] = Path(shutil.copyfile(LINE_READER_JAR, target / LINE_READER_JAR.name))
    rules_hash = code_hash()
    checksums = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(zips.items())}
    manifest = {"code_hash": rules_hash, "sha256": checksums}
    (target / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return Packages(rules_hash, zips, sorted(JOBS.glob("*.py")))


def main() -> int:
    packages = build(CHECKOUT / "dist")
    for path in packages.zips.values():
        print(f"  {path.relative_to(CHECKOUT)}  {path.stat().st_size:,} bytes")
    print(f"  code {packages.code_hash}; checksums in dist/manifest.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
