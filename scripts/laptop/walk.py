"""The demo's walk over a lake that is up: events onto the stream, the DAGs through Airflow, then what the lake says.

What belongs in here: the order, and what is waited for. What does not: who started the lake and who ends it (demo.py),
the numbers (demo_figures), the words (demo_story).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3

from eventlake.errors import TerminalError
from eventlake.settings import Settings
from eventlake_aws.iceberg_catalog import open_catalog
from laptop import drain, entry
from laptop.airflow_api import AirflowApi, RunEnd
from laptop.demo_figures import Figures, read_figures
from laptop.demo_story import DemoResult, report_of, story_of
from laptop.event_file import lines_of, require_events
from laptop.failures import explain
from laptop.home import write_json
from laptop.producer import SendReport, send

DEFAULT_EVENTS = 20_000
STREAM_TIMEOUT_SECONDS = 600
RUN_TIMEOUT_SECONDS = 900
PARSE_TIMEOUT_SECONDS = 90
# side by side within a step; a step begins when the one before has ended
STEPS = (("load_events", "crawl_raw"), ("close_day", "watch_stream", "audit_lifecycle"))


@dataclass(frozen=True)
class Wanted:
    """What a person asked to send: a file, or so many simulated events."""

    input_file: Path | None
    events: int


@dataclass(frozen=True)
class Sent:
    """What became of the events up to S3."""

    file: Path
    report: SendReport
    drained_seconds: float
    seconds: float


@dataclass(frozen=True)
class Runs:
    """How the DAGs ended, dag_id -> end."""

    ended: Mapping[str, RunEnd]
    seconds: float


def wanted() -> Wanted:
    """From INPUT and EVENTS; raises TerminalError where they name nothing that can be sent."""
    text = entry.given("LAKE_INPUT")
    input_file = require_events(Path(text)).resolve() if text else None
    events = entry.whole_number("LAKE_EVENTS", DEFAULT_EVENTS)
    if events < 1:
        raise TerminalError(f"reading EVENTS: received 0; valid is a whole number from 1 such as {DEFAULT_EVENTS}")
    return Wanted(input_file, events)


def is_fresh(settings: Settings) -> bool:
    """Whether nothing was ever sent to this lake."""
    return not drain.positions(boto3.client("dynamodb"), settings)


def send_events(settings: Settings, path: Path, buffer_seconds: int) -> Sent:
    """All of the file, until it has landed in S3. `buffer_seconds`: how long the deliveries hold a record back."""
    started = time.monotonic()
    dynamodb, sqs = boto3.client("dynamodb"), boto3.client("sqs")
    report = send(boto3.client("kinesis"), settings.stream, lines_of(path), lambda _: None)
    entry.say(f"{report.sent:,} events are on the stream ({report.rate:,.0f} a second)")
    drain.wait_for_verdicts(dynamodb, settings, report.last_sent, STREAM_TIMEOUT_SECONDS, lambda _: None)
    drained_seconds = time.monotonic() - started
    entry.say(f"each has its verdict ({report.sent / drained_seconds:,.0f} a second)")
    drain.wait_for_landings(dynamodb, sqs, settings, buffer_seconds, STREAM_TIMEOUT_SECONDS)
    entry.say("all of it has landed in S3")
    return Sent(path, report, drained_seconds, time.monotonic() - started)


def run_dags(airflow: AirflowApi) -> Runs:
    started = time.monotonic()
    wait_for_dags(airflow)
    ended: dict[str, RunEnd] = {}
    tell = changes()
    for step in STEPS:
        for dag_id in step:
            airflow.unpause(dag_id)
        runs = {dag_id: airflow.trigger(dag_id) for dag_id in step}
        ended |= airflow.wait_for_all(runs, RUN_TIMEOUT_SECONDS, tell)
        for dag_id in step:
            entry.say(f"{dag_id}: {ended[dag_id].state} after {ended[dag_id].seconds:.1f} s")
    return Runs(ended, time.monotonic() - started)


def wait_for_dags(airflow: AirflowApi) -> None:
    wanted = {dag_id for step in STEPS for dag_id in step}
    deadline = time.monotonic() + PARSE_TIMEOUT_SECONDS
    while missing := wanted - airflow.dag_ids():
        if time.monotonic() > deadline:
            errors = "; ".join(airflow.import_errors())
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


def explain_failures(airflow: AirflowApi, settings: Settings, runs: Runs) -> None:
    for dag_id, run in runs.ended.items():
        if run.state != "success":
            print("\n".join(explain(airflow, settings, dag_id, run.run_id)), file=sys.stderr)


def figures_of(settings: Settings) -> Figures:
    return read_figures(open_catalog(settings), boto3.client("dynamodb"), boto3.client("s3"), settings)


def tell(result: DemoResult, report_file: Path) -> bool:
    """Print the story and write the report; False, with the reasons on stderr, when the demo failed."""
    write_json(report_file, report_of(result))
    print("\n".join(story_of(result)))
    for trouble in result.troubles():
        print(f"eventlake: {trouble}", file=sys.stderr)
    return result.is_good
