"""`make demo`: a fresh lake, events through it, its DAGs run through Airflow, the books, and everything stopped again.

What belongs in here: starting, walking, stopping. What does not: how a lake is started, and the walk itself (laptop/).
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from draft_contracts import draft_definitions
from eventlake.errors import TerminalError
from eventlake.settings import Settings
from laptop import entry, walk
from laptop.demo_story import DemoResult, next_lines
from laptop.event_file import distinct_lines, lines_of
from laptop.home import CHECKOUT, Home, choose_ports
from laptop.lifecycle import Lake, bring_up, clear_remains, only_one_starter
from laptop.memory import PeakMemory, memory_of
from laptop.simulation import SEED, Simulation
from laptop.supervision import Supervisor
from local_lake import DELIVERY_BUFFER_SECONDS

EXIT_FAILED = 1


@dataclass
class Demo:
    home: Home
    settings: Settings
    wanted: walk.Wanted
    drafted: tuple[str, ...] = ()
    sent: walk.Sent | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> int:
        self.seconds["install"] = float(os.environ.get("LAKE_INSTALL_SECONDS", "0"))
        started = time.monotonic()
        ports = choose_ports(os.environ, None, ui_may_move=True)
        entry.say(f"a fresh lake in {self.home.folder}; UI http://127.0.0.1:{ports.ui}; logs: {self.home.logs}")
        input_file = self.wanted.input_file
        simulation = None if input_file else Simulation.start(self.home, self.wanted.events, SEED)
        try:
            if input_file:
                self._draft(input_file)
            lake = bring_up(
                self.home,
                ports,
                self.settings,
                durable=False,
                scheduled=False,
                aws_ready=lambda: self._send(simulation.finish() if simulation else input_file),
            )
        finally:
            if simulation:
                simulation.stop()
        try:
            self.seconds["start"] = time.monotonic() - started
            with PeakMemory(lambda: memory_of(lake.supervisor.pids())) as memory:
                runs = walk.run_dags(lake.airflow)
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
        self.sent = walk.send_events(self.settings, path, DELIVERY_BUFFER_SECONDS)

    def _tell(self, lake: Lake, runs: walk.Runs, peak_memory_bytes: int, started: float) -> int:
        if self.sent is None:
            raise TerminalError("telling the story: nothing was sent")
        walk.explain_failures(lake.airflow, self.settings, runs)
        figures = walk.figures_of(self.settings)
        self.seconds |= {"stream": self.sent.seconds, "load": runs.seconds}
        self.seconds["total"] = self.seconds["install"] + time.monotonic() - started
        result = DemoResult(
            send=self.sent.report,
            sent_distinct=distinct_lines(lines_of(self.sent.file)),
            drained_seconds=self.sent.drained_seconds,
            figures=figures,
            runs=runs.ended,
            seconds=self.seconds,
            drafted=self.drafted,
            peak_memory_bytes=peak_memory_bytes,
        )
        if not walk.tell(result, self.home.report_file):
            return EXIT_FAILED
        print("\n".join(["", *next_lines(self.home.folder, CHECKOUT, figures.tables)]), flush=True)
        return 0


def main() -> int:
    wanted = walk.wanted()
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
        return Demo(home, settings, wanted).run()


if __name__ == "__main__":
    entry.run(main)
