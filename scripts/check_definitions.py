"""`make check`: every contract, suite and rollup in include/ is one that the lake can obey, or is refused by name.

    python scripts/check_definitions.py [FOLDER ...]

All faults are shown, not only the first. What does not belong here: the rules themselves (eventlake.contract).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eventlake.contract import Contract, ContractIndex, parse_contract
from eventlake.contract_terms import Field
from eventlake.definitions import Rollup, Suite, parse_rollup, parse_suite
from eventlake.errors import LakeError
from eventlake.row_rules import table_rules, unchecked_rules
from eventlake.table_schema import table_columns

INCLUDE = Path(__file__).resolve().parent.parent / "include"
UNCONTRACTED_TABLE_NAME = "uncontracted"
# what a suite may ask of a column that holds a hash or a mask; all else is about the text that was sent
ASKED_OF_ANY_VALUE = ("expect_column_values_to_not_be_null", "expect_column_values_to_be_null")


@dataclass
class Findings:
    """What a check found: faults refuse the definitions, notes only say what is worth knowing."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def check_folder(folder: Path) -> Findings:
    """Everything that is wrong in one folder of definitions."""
    findings = Findings()
    index = _check_contracts(folder, findings)
    _check_tables(index, findings)
    rollups = _check_rollups(folder, index, findings)
    _check_suites(folder, index, rollups, findings)
    _check_places(folder, findings)
    return findings


def _check_contracts(folder: Path, findings: Findings) -> ContractIndex:
    contracts: list[Contract] = []
    for path in sorted((folder / "contracts").glob("*/*.json")):
        try:
            contracts.append(parse_contract(f"{path.parent.name}/{path.name}", _read_json(path)))
        except (LakeError, ValueError) as error:
            findings.faults.append(_one_line(path, error))
    findings.counts["contracts"] = len(contracts)
    findings.counts["event names"] = sum(len(contract.event_names) for contract in contracts)
    for contract in contracts:
        findings.faults += _addresses_that_nobody_guards(contract.file, contract.fields)
    return ContractIndex(contracts)


def _addresses_that_nobody_guards(file: str, fields: Iterable[Field]) -> Iterator[str]:
    """A mail address names a person, whatever else a field is for."""
    for field_ in fields:
        if field_.pii == "none" and ("format", "email") in field_.keywords:
            yield (
                f"checking {file}: received x-pii 'none' for {field_.name!r} of format email; "
                "valid is personal or sensitive; say which"
            )
        inner = (*field_.fields, *((field_.items,) if field_.items is not None else ()))
        yield from _addresses_that_nobody_guards(file, inner)


def _check_tables(index: ContractIndex, findings: Findings) -> None:
    for event_type in index.event_types:
        contracts = index.of_type(event_type)
        try:
            columns = table_columns(contracts)
            rules = table_rules(contracts)
        except LakeError as error:
            findings.faults.append(str(error))
            continue
        findings.counts["columns"] = findings.counts.get("columns", 0) + len(columns)
        findings.counts["row rules"] = findings.counts.get("row rules", 0) + len(rules)
        text = [column.name for column in columns if column.is_json_text]
        if text:
            findings.notes.append(f"events.{event_type}_events keeps as JSON text: {', '.join(text)}")
        findings.faults += _rules_that_nobody_checks(event_type, contracts)


def _rules_that_nobody_checks(event_type: str, contracts: Sequence[Contract]) -> Iterator[str]:
    """JSON text is not looked into: a rule about what lies in it would promise what nobody holds."""
    for rule in unchecked_rules(contracts):
        yield (
            f"checking contract {event_type}/{rule.event_subtype}: received the rule {rule.name} about {rule.field!r}, "
            f"which events.{event_type}_events keeps as JSON text; valid is a rule about a field with a column of its "
            "own; give the field one type in all subtypes and at most three levels, or delete the rule"
        )


def _check_suites(folder: Path, index: ContractIndex, rollups: Collection[str], findings: Findings) -> None:
    suites = 0
    for name in (*index.event_types, *rollups):
        # without a suite the gate has no answer, and holds whatever comes
        if not (folder / "expectations" / f"{name}.json").is_file():
            findings.faults.append(
                f"checking {folder / 'expectations'}: received {'a rollup' if name in rollups else 'contracts of'} "
                f"{name!r} and no suite; valid is {name}.json, however short; write it, or draft that of a type with "
                "make contract"
            )
    for path in sorted((folder / "expectations").glob("*.json")):
        try:
            suite = parse_suite(path.stem, _read_json(path))
        except (LakeError, ValueError) as error:
            findings.faults.append(_one_line(path, error))
            continue
        suites += 1
        if index.of_type(suite.event_type):
            findings.faults += _faults_of_columns(path, suite, index)
            findings.faults += _unknown_references(path, suite, index)
        elif suite.event_type != UNCONTRACTED_TABLE_NAME and not (folder / f"rollups/{path.stem}.sql").is_file():
            findings.faults.append(
                f"checking {path}: received a suite for {suite.event_type!r}; valid is a rollup, or a type with "
                f"contracts: {', '.join(index.event_types) or 'none'}; rename or delete the suite"
            )
    findings.counts["suites"] = suites


def _faults_of_columns(path: Path, suite: Suite, index: ContractIndex) -> Iterator[str]:
    try:
        columns = {column.name: column for column in table_columns(index.of_type(suite.event_type))}
    except LakeError:
        # told of the table already
        return
    for expectation in suite.expectations:
        for key, value in expectation.kwargs.items():
            if not key.startswith("column"):
                continue
            for column in value if isinstance(value, list) else [value]:
                if not isinstance(column, str):
                    continue
                if column not in columns:
                    yield (
                        f"checking {path}: received column {column!r} in {expectation.type}; "
                        f"valid is a column of events.{suite.event_type}_events; "
                        "correct the name, or add the field to a contract"
                    )
                elif columns[column].protection and expectation.type not in ASKED_OF_ANY_VALUE:
                    yield (
                        f"checking {path}: received {expectation.type} on {column!r}, which the table holds "
                        f"{columns[column].protection}; valid is {' or '.join(ASKED_OF_ANY_VALUE)}; let the contract "
                        "judge the value, rows are judged as they were sent"
                    )


def _unknown_references(path: Path, suite: Suite, index: ContractIndex) -> Iterator[str]:
    """A reference between columns that there are not, or that hold different things, would find nothing, for ever."""
    here = _plain_columns(suite.event_type, index)
    for reference in suite.references:
        there = _plain_columns(reference.to_type, index)
        for event_type, columns, column in (
            (suite.event_type, here, reference.column), (reference.to_type, there, reference.to_column)
        ):  # fmt: skip
            if column not in columns:
                yield (
                    f"checking {path}: received {event_type}.{column} in a reference; valid is a column of a type with "
                    f"contracts that is no object, array or JSON text; correct the name"
                )
        types = {here.get(reference.column), there.get(reference.to_column)}
        if None not in types and len(types) > 1:
            yield (
                f"checking {path}: received a reference from {reference.column} to {reference.to_type}."
                f"{reference.to_column}, of the types {', '.join(sorted(map(str, types)))}; valid is one type; "
                "correct the reference or a contract"
            )


def _plain_columns(event_type: str, index: ContractIndex) -> dict[str, str]:
    try:
        columns = table_columns(index.of_type(event_type)) if index.of_type(event_type) else ()
    except LakeError:
        return {}
    return {one.name: one.sql_type for one in columns if not one.is_json_text and "<" not in one.sql_type}


def _check_rollups(folder: Path, index: ContractIndex, findings: Findings) -> list[str]:
    """The names of those that are as they should be."""
    tables = {f"events.{event_type}_events" for event_type in index.event_types}
    rollups: list[str] = []
    for path in sorted((folder / "rollups").glob("*.sql")):
        try:
            rollup = parse_rollup(path.stem, path.read_text(encoding="utf-8"))
        except (LakeError, ValueError) as error:
            findings.faults.append(_one_line(path, error))
            continue
        faults = list(_faults_of_rollup(path, rollup, index, tables))
        findings.faults += faults
        if not faults:
            rollups.append(rollup.name)
    findings.counts["rollups"] = len(rollups)
    return rollups


def _faults_of_rollup(path: Path, rollup: Rollup, index: ContractIndex, tables: Collection[str]) -> Iterator[str]:
    if index.of_type(rollup.name):
        yield (
            f"checking {path}: received the name of a type with contracts; valid is any other: their suites would be "
            "one file; rename the rollup"
        )
    for source in rollup.sources:
        if source not in tables:
            yield (
                f"checking {path}: received source {source}; valid is the table of a type with contracts; "
                "correct the name, or write the contract first"
            )


def _check_places(folder: Path, findings: Findings) -> None:
    """A file in the wrong place would never be read, and nobody would notice."""
    expected = {"contracts": ("*/*.json",), "expectations": ("*.json",), "rollups": ("*.sql",)}
    for name, patterns in expected.items():
        read = {path for pattern in patterns for path in (folder / name).glob(pattern)}
        for path in sorted((folder / name).rglob("*")):
            if path.is_file() and path not in read and not path.name.startswith(".") and path.suffix != ".md":
                findings.faults.append(
                    f"checking {folder / name}: received {path.relative_to(folder / name)}; "
                    f"valid is {' or '.join(patterns)}; move the file, nobody reads it there"
                )


def _read_json(path: Path) -> Any:
    """A JSON document in which no object repeats a name: the second one would silently win."""

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            names = [name for name, _ in pairs]
            raise ValueError(f"the name {next(name for name in names if names.count(name) > 1)!r} twice in one object")
        return built

    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=build)


def _one_line(path: Path, error: Exception) -> str:
    if isinstance(error, LakeError):
        return str(error)
    return f"reading {path}: received {error}; valid is UTF-8 and one well-formed document; correct the file"


def main(arguments: list[str]) -> int:
    faults = 0
    for folder in [Path(each) for each in arguments] or [INCLUDE]:
        findings = check_folder(folder)
        for note in findings.notes:
            print(f"note: {note}")
        for fault in findings.faults:
            print(f"fault: {fault}", file=sys.stderr)
        counted = ", ".join(f"{count} {what}" for what, count in findings.counts.items())
        print(f"{folder}: {counted}; {len(findings.faults)} faults")
        faults += len(findings.faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
