"""`make send INPUT=file.ndjson[.gz]`: put the file's lines on the stream, as they are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import boto3

from eventlake.errors import TerminalError
from laptop import entry
from laptop.event_file import lines_of, require_events
from laptop.home import Home
from laptop.lifecycle import emulator_answers
from laptop.producer import send
from laptop.programs import adopt
from laptop.supervision import Supervisor

SAY_EVERY_RECORDS = 20_000


def main() -> int:
    text = entry.given("LAKE_INPUT")
    if text is None:
        raise TerminalError("sending events: no INPUT given; for example: make send INPUT=events.ndjson.gz")
    path = require_events(Path(text))
    home = Home.from_env(os.environ)
    require_up(home)
    variables = home.read_env()
    adopt(variables)

    def tell(sent: int) -> None:
        if sent % SAY_EVERY_RECORDS == 0:
            entry.say(f"{sent:,} sent")

    report = send(boto3.client("kinesis"), variables["LAKE_STREAM"], lines_of(path), tell)
    print(f"{report.sent:,} events sent in {report.seconds:.1f} s ({report.rate:,.0f} a second)")
    if report.sent_again:
        print(f"  {report.sent_again:,} of them were refused at first and sent again")
    if report.too_large_lines:
        shown = ", ".join(str(number) for number in report.too_large_lines[:10])
        print(
            f"eventlake: {len(report.too_large_lines)} lines are larger than a record may be (1 MiB) "
            f"and were not sent: events number {shown}",
            file=sys.stderr,
        )
        return 1
    return 0


def require_up(home: Home) -> None:
    if home.composed_mark.exists():
        if not emulator_answers(home.read_env()["AWS_ENDPOINT_URL"]):
            raise TerminalError("the composed lake does not answer; `docker compose up --wait` starts it")
    elif Supervisor.running(home) is None:
        raise TerminalError("no lake is up; `make up` starts one")


if __name__ == "__main__":
    entry.run(main)
