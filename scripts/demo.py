"""`make demo`: a fresh lake, events through it, its DAGs run through Airflow, the books, and everything stopped again.

What belongs in here: the order. What does not: how a lake is started, the numbers, the words (laptop/).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import boto3

from draft_contracts import draft_definitions
from eventlake.errors import TerminalError
from eventlake.settings import Settings
from eventlake_aws.iceberg_catalog import open_catalog
from laptop import drain, entry
from laptop.airflow_api import RunEnd
from laptop.demo_figures import read_figures
from laptop.demo_story import DemoResult, next_lines, report_of, story_of
from laptop.event_file import distinct_lines, lines_of, require_events
from laptop.failures import explain
from laptop.home import CHECKOUT, Home, choose_ports, write_json
from laptop.lifecycle import DELIVERY_BUFFER_SECONDS, Lake, bring_up, clear_remains, only_one_starter
from laptop.memory import PeakMemory
from laptop.producer import SendReport, send
from laptop.simulation import Simulation
from laptop.supervision import Supervisor

DEFAULT_EVENTS = 20_000
STREAM_TIMEOUT_SECONDS = 600
RUN_TIMEOUT_SECONDS = 900
PARSE_TIMEOUT_SECONDS = 90
# side by side within a step; a step begins when the one before has ended
STEPS = (("load_events", "crawl_raw"), ("close_day", "watch_stream", "audit_lifecycle"))
EXIT_FAILED = 1


@dataclass
class Stream:
    """What the strand that sends events hands back."""

    send: SendReport | None = None
    drained_seconds: float = 0.0
    seconds: float = 0.0


@dataclass
class Demo:
    home: Home
    settings: Settings
    input_file: Path | None
    events: int
    drafted: tuple[str, ...] = ()
    stream: Stream = field(default_factory=Stream)
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> int:
        self.seconds["install"] = float(os.environ.get("LAKE_INSTALL_SECONDS", "0"))
        started = time.monotonic()
        ports = choose_ports(os.environ, None, ui_may_move=True)
        entry.say(f"a fresh lake in {self.home.folder}; UI http://127.0.0.1:{ports.ui}; logs: {self.home.logs}")
        simulation = None if self.input_file else Simulation.start(self.home, self.events)
        try:
            if self.input_file:
                self._draft(self.input_file)
            lake = bring_up(
                self.home,
                ports,
                self.settings,
                durable=False,
                scheduled=False,
                aws_ready=lambda: self._send(simulation.finish() if simulation else self.input_file),
            )
        finally:
            if simulation:
                simulation.stop()
        try:
            self.seconds["start"] = time.monotonic() - started
            self.seconds["stream"] = self.stream.seconds
            with PeakMemory(lake.supervisor) as memory:
                runs = self._run_dags(lake)
            return self._tell(lake, runs, memory.peak_bytes, started)
        finally:
            entry.ignore_interrupts()
            entry.say("stopping what was started")
            forced = lake.supervisor.stop()
            if forced:
                entry.say(f"had to end by force: {', '.join(forced)}")

    def _draft(self, path: Path) -> None:
        drafted = draft_definitions(path, [CHECKOUT / "include"], self.home.folder)
        self.drafted = tuple(drafted.contracts)
        if self.drafted:
            entry.say(
                f"drafted contracts for {len(self.drafted)} kinds of event that had none, for this lake only: "
                f"{self.home.contracts}"
            )

    def _send(self, path: Path | None) -> None:
        """Runs beside Airflow's start."""
        if path is None:
            raise TerminalError("sending events: there is no file of them")
        started = time.monotonic()
        self.input_file = path
        dynamodb, sqs = boto3.client("dynamodb"), boto3.client("sqs")
        report = send(boto3.client("kinesis"), self.settings.stream, lines_of(path), lambda _: None)
        entry.say(f"{report.sent:,} events are on the stream ({report.rate:,.0f} a second)")
        drain.wait_for_verdicts(dynamodb, self.settings, report.last_sent, STREAM_TIMEOUT_SECONDS, lambda _: None)
        self.stream.drained_seconds = time.monotonic() - started
        entry.say(f"each has its verdict ({report.sent / self.stream.drained_seconds:,.0f} a second)")
        drain.wait_for_landings(dynamodb, sqs, self.settings, DELIVERY_BUFFER_SECONDS, STREAM_TIMEOUT_SECONDS)
        self.stream.send, self.stream.seconds = report, time.monotonic() - started
        entry.say("all of it has landed in S3")

    def _run_dags(self, lake: Lake) -> dict[str, RunEnd]:
        started = time.monotonic()
        wait_for_dags(lake)
        ended: dict[str, RunEnd] = {}
        tell = changes()
        for step in STEPS:
            for dag_id in step:
                lake.airflow.unpause(dag_id)
            runs = {dag_id: lake.airflow.trigger(dag_id) for dag_id in step}
            ended |= lake.airflow.wait_for_all(runs, RUN_TIMEOUT_SECONDS, tell)
            for dag_id in step:
                entry.say(f"{dag_id}: {ended[dag_id].state} after {ended[dag_id].seconds:.1f} s")
        self.seconds["load"] = time.monotonic() - started
        return ended

    def _tell(self, lake: Lake, runs: dict[str, RunEnd], peak_memory_bytes: int, started: float) -> int:
        if self.stream.send is None or self.input_file is None:
            raise TerminalError("telling the story: nothing was sent")
        for dag_id, run in runs.items():
            if run.state != "success":
                print("\n".join(explain(lake.airflow, self.settings, dag_id, run.run_id)), file=sys.stderr)
        figures = read_figures(open_catalog(self.settings), boto3.client("dynamodb"), boto3.client("s3"), self.settings)
        self.seconds["total"] = self.seconds["install"] + time.monotonic() - started
        result = DemoResult(
            send=self.stream.send,
            sent_distinct=distinct_lines(lines_of(self.input_file)),
            drained_seconds=self.stream.drained_seconds,
            figures=figures,
            runs=runs,
            seconds=self.seconds,
            drafted=self.drafted,
            peak_memory_bytes=peak_memory_bytes,
        )
        write_json(self.home.report_file, report_of(result))
        print("\n".join(story_of(result)))
        if result.troubles():
            for trouble in result.troubles():
                print(f"eventlake: {trouble}", file=sys.stderr)
            return EXIT_FAILED
        print("\n".join(["", *next_lines(self.home.folder, CHECKOUT, figures.tables)]), flush=True)
        return 0


def wait_for_dags(lake: Lake) -> None:
    wanted = {dag_id for step in STEPS for dag_id in step}
    deadline = time.monotonic() + PARSE_TIMEOUT_SECONDS
    while missing := wanted - lake.airflow.dag_ids():
        if time.monotonic() > deadline:
            errors = "; ".join(lake.airflow.import_errors())
            raise TerminalError(f"waiting for Airflow to read the DAGs: {', '.join(sorted(missing))} missing; {errors}")
        time.sleep(0.3)


def changes() -> Callable[[str, str], None]:
    """Says what each run is at whenever that changes."""
    last: dict[str, str] = {}

    def look(dag_id: str, at_work: str) -> None:
        if at_work and at_work != last.get(dag_id):
            last[dag_id] = at_work
            entry.say(f"{dag_id}: {at_work}")

    return look


def main() -> int:
    text = entry.given("LAKE_INPUT")
    input_file = require_events(Path(text)).resolve() if text else None
    events = entry.whole_number("LAKE_EVENTS", DEFAULT_EVENTS)
    if events < 1:
        raise TerminalError("reading EVENTS: received 0; valid is a whole number from 1 such as 20000")
    home = Home.from_env(os.environ)
    settings = Settings.from_env(os.environ)
    with only_one_starter(home):
        if Supervisor.running(home) is not None:
            raise TerminalError(f"a lake is up in {home.folder}; `make down` first, or LAKE_HOME=.lake-demo make demo")
        clear_remains(home)
        aside = home.set_aside()
        if aside is not None:
            entry.say(f"the lake that was kept here is set aside, whole, in {aside}")
        home.prepare()
        return Demo(home, settings, input_file, events).run()


if __name__ == "__main__":
    entry.run(main)
