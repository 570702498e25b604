"""`make test`: every check and every folder of tests, each in the environment that it needs, within a time limit.

What belongs in here: which group runs in which environment, what may run side by side on two cores, and the sum at the
end. What does not: tests. A folder of tests that no group names is an error, so none is forgotten.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from eventlake.errors import TerminalError
from laptop import entry
from laptop.home import CHECKOUT, ENVIRONMENTS
from laptop.programs import own_environment

RESULTS = CHECKOUT / ".cache" / "tests"
# the aim, told when it is missed; and the end, for a machine that is slow or shared
AIMED_AT_SECONDS = 20 * 60
ALL_SECONDS = 75 * 60
ALL_SECONDS_LONG = 3 * 60 * 60
STOP_SECONDS = 90
SHOWN_LINES = 400


@dataclass(frozen=True)
class Group:
    """One run of pytest over a folder, or one check over the sources."""

    name: str
    timeout_seconds: int
    environment: str = "dev"
    check: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return CHECKOUT / "tests" / self.name

    def command(self, *, long: bool) -> list[str]:
        tools = ENVIRONMENTS / self.environment / "bin"
        if self.check:
            return [str(tools / self.check[0]), *self.check[1:]]
        return [
            *(str(tools / "python"), "-m", "pytest", str(self.folder.relative_to(CHECKOUT))),
            *("-m", "long or not long" if long else "not long"),
            *(f"--junitxml={self.results}", "--durations=5", "--color=no", "-q"),
        ]

    @property
    def results(self) -> Path:
        return RESULTS / f"{self.name}.xml"


@dataclass(frozen=True)
class Outcome:
    group: Group
    passed: int
    failed: int
    skipped: int
    seconds: float


# What two cores work off side by side, each taking the next when it is done: after what is told at once, the longest
# first, or one core ends up waiting. A whole lake would keep both busy, but waits for a third of its time: for leases,
# for buffers, for what starts again.
GROUPS = (
    Group("ruff", 120, check=("ruff", "check", "--output-format=concise", ".")),
    Group("mypy", 480, check=("mypy", "plugins", "scripts", "bench")),
    Group("journeys", 2400),
    Group("crashes", 1800),
    Group("spark", 1200, environment="jobs"),
    Group("lake", 900),
    Group("laptop", 900),
    Group("emulator", 900),
    Group("rules", 360),
    Group("dags", 600),
    Group("house", 360),
    Group("simulator", 360),
    Group("functions", 360),
)
CORES = 2

running: set[subprocess.Popen[str]] = set()
speech = threading.Lock()
interrupted = threading.Event()


def run_group(group: Group, deadline: float, long: bool) -> Outcome:
    """Its output is shown whole when it fails, and kept in .cache/tests in any case."""
    started = time.monotonic()
    group.results.unlink(missing_ok=True)
    seconds = deadline - started if long else min(group.timeout_seconds, deadline - started)
    process = subprocess.Popen(
        group.command(long=long),
        cwd=CHECKOUT,
        env=test_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    running.add(process)
    try:
        output, _ = process.communicate(timeout=max(1.0, seconds))
    except subprocess.TimeoutExpired:
        end(process)
        output, _ = process.communicate()
        output += f"\n{group.name}: no end after {seconds:.0f} s, stopped"
    finally:
        running.discard(process)
    (RESULTS / f"{group.name}.log").write_text(output)
    outcome = judge(group, process.returncode, time.monotonic() - started)
    with speech:
        if outcome.failed:
            print(f"--- {group.name} failed:", *output.splitlines()[-SHOWN_LINES:], sep="\n")
        entry.say(
            f"{group.name:<10} {outcome.passed:>5} passed {outcome.failed:>3} failed {outcome.skipped:>3} skipped "
            f"{outcome.seconds:7.1f} s"
        )
    return outcome


def judge(group: Group, code: int, seconds: float) -> Outcome:
    """Counts come from pytest's own report; a run that ended badly is never without a failure."""
    passed = failed = skipped = 0
    if group.check:
        passed = int(code == 0)
    else:
        with contextlib.suppress(OSError, xml.etree.ElementTree.ParseError):
            for suite in xml.etree.ElementTree.parse(group.results).iter("testsuite"):
                counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
                failed += counts["failures"] + counts["errors"]
                skipped += counts["skipped"]
                passed += counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"]
    if code != 0:
        failed = max(failed, 1)
    return Outcome(group, passed, failed, skipped, seconds)


def end(process: subprocess.Popen[str]) -> None:
    """As Ctrl-C would, so that fixtures stop what they started; then for good."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_environment() -> dict[str, str]:
    """A person's shell, without the variables of a lake, an account or an outer make."""
    return {name: value for name, value in own_environment(os.environ).items() if not name.startswith("LAKE_")}


def chosen(names: str | None) -> tuple[Group, ...]:
    """All groups, or those that somebody asks for by name."""
    if names is None:
        return GROUPS
    wanted = set(names.split(","))
    unknown = wanted - {group.name for group in GROUPS}
    if unknown:
        raise TerminalError(f"reading ONLY={names}: there is no group {', '.join(sorted(unknown))}")
    return tuple(group for group in GROUPS if group.name in wanted)


def require_every_folder() -> None:
    named = {group.name for group in GROUPS if not group.check}
    present = {path.parent.relative_to(CHECKOUT / "tests").parts[0] for path in CHECKOUT.glob("tests/*/**/test_*.py")}
    if present - named:
        raise TerminalError(
            f"reading tests/: no group runs {', '.join(sorted(present - named))}; add them to scripts/run_tests.py"
        )
    if named - present:
        raise TerminalError(f"reading tests/: there are no tests in {', '.join(sorted(named - present))}")


def run_groups(groups: Iterable[Group], deadline: float, long: bool) -> list[Outcome]:
    """In their order, one on each core; Ctrl-C ends those that run and starts no other."""

    def run_unless_interrupted(group: Group) -> list[Outcome]:
        return [] if interrupted.is_set() else [run_group(group, deadline, long)]

    with ThreadPoolExecutor(max_workers=CORES) as pool:
        outcomes = [pool.submit(run_unless_interrupted, group) for group in groups]
        try:
            return [outcome for each in outcomes for outcome in each.result()]
        # within the pool's block: leaving it waits for what runs
        except KeyboardInterrupt:
            interrupted.set()
            for process in list(running):
                end(process)
            raise


def main() -> int:
    parser = argparse.ArgumentParser(description="Run every check and every test.")
    parser.add_argument("--long", action="store_true", help="also what takes longer than twenty minutes allow")
    long = parser.parse_args().long
    groups = chosen(entry.given("LAKE_ONLY"))
    require_every_folder()
    # started in the background of a shell, this process ignores Ctrl-C, and so would all that it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    RESULTS.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + (ALL_SECONDS_LONG if long else ALL_SECONDS)
    outcomes = run_groups(groups, deadline, long)
    passed, failed, skipped = (sum(getattr(one, name) for one in outcomes) for name in ("passed", "failed", "skipped"))
    entry.say(f"all groups done; their output: {RESULTS}")
    if not long and entry.seconds_so_far() > AIMED_AT_SECONDS:
        entry.say(f"longer than the {AIMED_AT_SECONDS // 60} minutes aimed at; the logs name the slowest tests")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    # a line is seen when it is said, through a pipe too; the stubs know only that stdout can be any text stream
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    entry.run(main)
