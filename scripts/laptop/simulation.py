"""The demo's own events: the simulator at work beside the lake's start. What does not belong here: what it makes up."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from eventlake.errors import TerminalError
from laptop.entry import say
from laptop.home import CHECKOUT, Home

SEED = 7
TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Simulation:
    """`output` gets the events, `oracle` says what must become of each."""

    process: subprocess.Popen[str]
    events: int
    seed: int
    output: Path
    oracle: Path

    @staticmethod
    def start(home: Home, events: int, seed: int) -> Simulation:
        home.simulated.mkdir(exist_ok=True)
        output, oracle = home.simulated / "events.ndjson.gz", home.simulated / "events.oracle.json"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        command = [sys.executable, "-m", "simulator", "--events", str(events), "--seed", str(seed), "--now", now]
        process = subprocess.Popen(
            [*command, "--output", str(output), "--oracle", str(oracle)],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        return Simulation(process, events, seed, output, oracle)

    def finish(self) -> Path:
        """The file of events, whole."""
        try:
            _, told = self.process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.stop()
            raise TerminalError(f"simulating {self.events:,} events: no end after {TIMEOUT_SECONDS} s") from None
        if self.process.returncode != 0:
            reason = (told.strip().splitlines() or ["no reason given"])[-1]
            raise TerminalError(f"simulating {self.events:,} events: {reason}")
        say(f"simulated {self.events:,} events (seed {self.seed}); what must become of each: {self.oracle}")
        return self.output

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
