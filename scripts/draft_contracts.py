"""`make contract INPUT=file.ndjson[.gz] [OUTPUT=folder]`: drafts contracts and suites for a person to edit.
With PATCH instead of INPUT it puts fields that a crawl has found into contracts that there are (patch_contracts).

    python scripts/draft_contracts.py --input events.ndjson.gz --output include

What has a contract or a suite already is left alone. What does not belong here: what a draft says (contract_draft).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deploy import read_definitions
from eventlake.contract import ContractIndex, parse_contract
from eventlake.contract_draft import DRAFT_OWNER, SeenEvents, SeenSubtype, draft_suite, draft_type, why_no_fit
from eventlake.errors import LakeError, TerminalError
from eventlake.event_json import UnreadableLineError, parse_event

CHECKOUT = Path(__file__).resolve().parent.parent
INCLUDE = CHECKOUT / "include"
_GZIP_MAGIC = b"\x1f\x8b"
_DRAFTS_AT_MOST = 2_000
_PLAIN_LIST = re.compile(r"\[\n\s+([^\[\]{}]*?)\n\s+\]")
_LINE_BREAK = re.compile(r",\n\s+")


@dataclass
class Drafted:
    """What became of one input."""

    lines: int = 0
    unreadable: int = 0
    without_valid_name: int = 0
    contracts: list[str] = field(default_factory=list)
    suites: list[str] = field(default_factory=list)
    contracted_already: list[str] = field(default_factory=list)
    left_uncontracted: dict[str, str] = field(default_factory=dict)


def draft_definitions(input_file: Path, known_folders: list[Path], output_folder: Path) -> Drafted:
    """Write `contracts/<type>/<subtype>.json` and `expectations/<type>.json` for what no known folder defines.

    An event is never the reason to fail: lines that admission would reject are counted and passed over.
    """
    drafted = Drafted()
    schemas, suites, _ = read_definitions(known_folders)
    known = ContractIndex(parse_contract(name, schema) for name, schema in schemas.items())
    seen = _look_at(input_file, drafted)
    by_type: dict[str, dict[str, SeenSubtype]] = {}
    for (event_type, subtype), events in sorted(seen.subtypes.items()):
        by_type.setdefault(event_type, {})[subtype] = events
    for event_type, subtypes in by_type.items():
        _draft_one_type(event_type, subtypes, known, suites, output_folder, drafted)
    return drafted


def _draft_one_type(
    event_type: str,
    subtypes: Mapping[str, SeenSubtype],
    known: ContractIndex,
    suites: Mapping[str, Any],
    output_folder: Path,
    drafted: Drafted,
) -> None:
    table = f"events.{event_type}_events"
    accepted = list(known.of_type(event_type))
    # drafts of one type describe a field alike, so they fit each other; those that do not fit its contracts stay out
    for subtype, schema in draft_type(subtypes, event_type, DRAFT_OWNER).items():
        if known.find(event_type, subtype) is not None:
            drafted.contracted_already.append(f"{event_type}/{subtype}")
            continue
        if len(drafted.contracts) >= _DRAFTS_AT_MOST:
            drafted.left_uncontracted[f"{event_type}/{subtype}"] = f"{_DRAFTS_AT_MOST} drafts are enough for one input"
            continue
        contract = parse_contract(f"{event_type}/{subtype}", schema)
        misfit = why_no_fit(table, accepted, (contract,)) if known.of_type(event_type) else None
        if misfit is not None:
            drafted.left_uncontracted[contract.key] = misfit
            continue
        accepted.append(contract)
        _write(output_folder / "contracts" / event_type / f"{subtype}.json", schema)
        drafted.contracts.append(contract.key)
    if event_type not in suites and any(key.startswith(f"{event_type}/") for key in drafted.contracts):
        names = {name for contract in accepted for name in contract.event_names}
        _write(output_folder / "expectations" / f"{event_type}.json", draft_suite(event_type, names))
        drafted.suites.append(event_type)


def _look_at(input_file: Path, drafted: Drafted) -> SeenEvents:
    seen = SeenEvents()
    for line in read_lines(input_file):
        drafted.lines += 1
        try:
            seen.add(parse_event(line))
        except UnreadableLineError:
            drafted.unreadable += 1
    drafted.without_valid_name = seen.without_valid_name
    return seen


def read_lines(input_file: Path) -> Iterator[bytes]:
    """The lines of a file that are not blank; gzip is told by its first bytes, not by the name."""
    try:
        with input_file.open("rb") as plain:
            is_gzip = plain.read(2) == _GZIP_MAGIC
        with gzip.open(input_file, "rb") if is_gzip else input_file.open("rb") as lines:
            for line in lines:
                if line.strip():
                    yield line
    except (OSError, EOFError) as error:
        raise TerminalError(
            f"reading {input_file}: {error}; valid is a file of one JSON object a line, plain or gzip; correct INPUT"
        ) from error


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document_text(document), encoding="utf-8")


def document_text(document: Mapping[str, Any]) -> str:
    """JSON as the files of include/ are written: lists of plain values on one line."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return _PLAIN_LIST.sub(lambda found: f"[{_LINE_BREAK.sub(', ', found[1])}]", text) + "\n"


def report(drafted: Drafted, output_folder: Path) -> Iterable[str]:
    """What a person wants to know, line by line."""
    yield f"{drafted.lines} lines read, {drafted.unreadable} of them no JSON objects"
    if drafted.without_valid_name:
        yield f"{drafted.without_valid_name} events passed over: their name is not type:subtype[:detail...]"
    if drafted.contracted_already:
        yield f"{len(drafted.contracted_already)} have a contract already: {', '.join(drafted.contracted_already[:10])}"
    for key, why in list(drafted.left_uncontracted.items())[:10]:
        yield f"no draft for {key}, its events go to events.uncontracted: {why}"
    for key in drafted.contracts:
        yield f"drafted {output_folder / 'contracts' / key}.json"
    for event_type in drafted.suites:
        yield f"drafted {output_folder / 'expectations' / event_type}.json"
    if drafted.contracts:
        yield "next: edit owner, descriptions, x-pii, required and bounds in the drafts, then run `make check`"


def patch(source: str, folders: list[Path]) -> int:
    # it looks for a lake that runs, which drafting has no need of
    from laptop.home import Home
    from patch_contracts import apply_patches

    try:
        # drafts of a lake alone lie in its own folder
        for line in apply_patches(source, [*folders, Home.from_env(os.environ).folder]):
            print(line)
    except (LakeError, BotoCoreError, ClientError) as error:
        print(f"make contract: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print("next: say in each field what it is, look at x-pii and format, then run `make check`")
    return 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="draft contracts and suites from events")
    parser.add_argument("--input", type=Path, default=os.environ.get("LAKE_INPUT") or None)
    parser.add_argument("--output", type=Path, default=os.environ.get("LAKE_OUTPUT") or INCLUDE)
    parser.add_argument("--patch", default=os.environ.get("LAKE_PATCH") or None, metavar="URI, FILE or FOLDER")
    parser.add_argument("--known", action="append", type=Path, metavar="FOLDER", help="where definitions lie already")
    options = parser.parse_args(arguments)
    if options.patch is not None:
        return patch(options.patch, [options.output])
    if options.input is None:
        print(
            "make contract: which events? Say INPUT=file.ndjson or INPUT=file.ndjson.gz, or PATCH=s3://... for the "
            "fields that a crawl has found",
            file=sys.stderr,
        )
        return 2
    known_folders = list(dict.fromkeys([*(options.known or [INCLUDE]), options.output]))
    try:
        drafted = draft_definitions(options.input, known_folders, options.output)
    except LakeError as error:
        print(f"make contract: {error}", file=sys.stderr)
        return 1
    for line in report(drafted, options.output):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
