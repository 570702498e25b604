"""The command: a file of events and, beside it, what must become of them.

`python -m simulator --events 20000 --seed 7 --now 2026-11-21T08:00:00Z --output day.ndjson.gz --oracle day.oracle.json`
"""

from __future__ import annotations

import argparse
import gzip
import sys
from dataclasses import fields
from datetime import datetime
from pathlib import Path

from simulator.oracle import Oracle
from simulator.stream import lines
from simulator.traffic import Traffic

_SHARES = ("duplicates", "conflicts", "poison", "contract_breaking", "late", "uncontracted")


def main(arguments: list[str]) -> int:
    """Write one file of events and its oracle; the same arguments give the same bytes."""
    options = _parser().parse_args(arguments)
    shares = {share: getattr(options, share) for share in _SHARES}
    now = int(options.now.timestamp())
    try:
        traffic = Traffic(events=options.events, seed=options.seed, now=now, hours=options.hours, **shares)
        traffic.counts()
    except ValueError as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2
    oracle = Oracle(traffic.seed, traffic.events)
    # without name and time in the header, so that the bytes depend on the events alone
    with options.output.open("wb") as file, gzip.GzipFile("", "wb", 5, file, mtime=0) as packed:
        for line in lines(traffic):
            packed.write(line.data + b"\n")
            oracle.note(line.fate)
    if options.oracle is not None:
        options.oracle.write_bytes(oracle.to_bytes())
    return 0


def _parser() -> argparse.ArgumentParser:
    defaults = {field.name: field.default for field in fields(Traffic)}
    parser = argparse.ArgumentParser(
        prog="simulator", description="A learning product's day as events, with an oracle."
    )
    parser.add_argument("--events", type=int, default=defaults["events"], help="lines in all, copies included")
    parser.add_argument("--seed", type=int, default=defaults["seed"])
    parser.add_argument("--now", type=_moment, required=True, help="ISO 8601 with a zone; no event is newer")
    parser.add_argument(
        "--hours", type=int, default=defaults["hours"], help="on-time events begin so many hours before"
    )
    parser.add_argument("--output", type=Path, required=True, help="NDJSON, gzip")
    parser.add_argument("--oracle", type=Path, help="JSON: where every line must end")
    for share in _SHARES:
        name = "--" + share.replace("_", "-")
        parser.add_argument(name, type=float, default=defaults[share], help=f"share of all lines, {defaults[share]}")
    return parser


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"received {text}, a time without zone; write 2026-11-21T08:00:00Z")
    return moment


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
