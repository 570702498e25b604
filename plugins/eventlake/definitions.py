"""What a lake is told: contracts, suites and rollups, checked and bound into one immutable object named by its hash.

Belongs here: the bundle's bytes, what a suite and a rollup have to look like.
Does not belong here: reading folders, storing the bundle (scripts and eventlake_aws do), running suites or rollups.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from eventlake.contract import ContractIndex, parse_contract
from eventlake.errors import TerminalError
from eventlake.references import Reference, parse_references
from eventlake.rollup_plan import Window
from eventlake.table_schema import table_columns

SEVERITIES = ("critical", "high", "medium", "low")

_NAME = re.compile(r"[a-z0-9_]+")
_EXPECTATION_TYPE = re.compile(r"expect_[a-z0-9_]+")
_HEADER = re.compile(r"^-- ([a-z]+):[ \t]*(.*)$", re.MULTILINE)
_HASH_LENGTH = 12


class DefinitionError(TerminalError):
    """A suite, a rollup or a bundle is not what it has to be."""

    def __init__(self, what: str, received: object, valid: str, next_step: str) -> None:
        self.what = what
        super().__init__(f"reading {what}: received {str(received)[:200]}; valid is {valid}; {next_step}")


@dataclass(frozen=True)
class Expectation:
    """One expectation of Great Expectations, with the severity that decides what its failure does. `from_rows`: of
    fewer it is not asked, as a mean or a share says nothing of a handful."""

    type: str
    kwargs: Mapping[str, Any]
    severity: str
    why: str
    from_rows: int = 0


@dataclass(frozen=True)
class Suite:
    """The expectations of one event type, and what its rows say of other ones."""

    event_type: str
    expectations: tuple[Expectation, ...]
    document: Mapping[str, Any]
    references: tuple[Reference, ...] = ()

    def asked_of(self, rows: int) -> tuple[Expectation, ...]:
        """Those that so many rows are asked for, in their order."""
        return tuple(each for each in self.expectations if rows >= each.from_rows)


@dataclass(frozen=True)
class Rollup:
    """One table of aggregates: a SELECT over `events.*` whose result has the partition column. With the header
    `-- window: week`, a row is about a week, and the partition column holds its Monday."""

    name: str
    description: str
    partition: str
    sources: tuple[str, ...]
    select: str
    window: Window = Window.DAY


@dataclass(frozen=True)
class Bundle:
    """Everything a load obeys. `hash` names the bytes it was read from."""

    hash: str
    contracts: ContractIndex
    suites: Mapping[str, Suite]
    rollups: Mapping[str, Rollup]


def build_bundle(
    contracts: Mapping[str, Mapping[str, Any]], suites: Mapping[str, Mapping[str, Any]], rollups: Mapping[str, str]
) -> tuple[bytes, str]:
    """The bundle's bytes and the hash that names it; equal definitions give equal bytes.

    Raises ContractError or DefinitionError where one of them is not valid.
    """
    content = {
        "contracts": {name: contracts[name] for name in sorted(contracts)},
        "suites": {name: suites[name] for name in sorted(suites)},
        "rollups": {name: rollups[name] for name in sorted(rollups)},
    }
    digest = _digest(content)
    _checked(content, digest)
    return _encode({"hash": digest, **content}), digest


def parse_bundle(body: bytes | str) -> Bundle:
    """The definitions in a bundle. Raises where the bytes are not what the hash in them says."""
    try:
        document = json.loads(body)
        content = {part: document[part] for part in ("contracts", "suites", "rollups")}
        claimed = document["hash"]
    except (ValueError, KeyError, TypeError) as error:
        raise DefinitionError(
            "a definitions bundle",
            repr(error),
            "JSON with hash, contracts, suites and rollups",
            "deploy the lake again",
        ) from error
    digest = _digest(content)
    if digest != claimed:
        raise DefinitionError(
            "a definitions bundle", f"content of hash {digest}", f"{claimed}", "deploy the lake again"
        )
    return _checked(content, digest)


def parse_suite(event_type: str, document: Mapping[str, Any]) -> Suite:
    """The suite of a type. Raises DefinitionError on what no load could run or judge."""
    what = f"suite {event_type}"
    if not _NAME.fullmatch(event_type):
        raise DefinitionError(what, event_type, "the name of an event type", "rename the file")
    expectations = document.get("expectations") if isinstance(document, Mapping) else None
    if not isinstance(expectations, list) or not isinstance(document.get("name"), str):
        raise DefinitionError(
            what, document, "an object with name and expectations", "save it as GX 1.x writes a suite"
        )
    return Suite(
        event_type,
        tuple(_expectation(f"{what}, expectation {number}", each) for number, each in enumerate(expectations, start=1)),
        MappingProxyType(dict(document)),
        parse_references(event_type, document),
    )


def _expectation(what: str, document: Any) -> Expectation:
    kind = document.get("type") if isinstance(document, Mapping) else None
    if not isinstance(kind, str) or not _EXPECTATION_TYPE.fullmatch(kind):
        raise DefinitionError(what, kind, "a type such as expect_column_values_to_not_be_null", "name the expectation")
    kwargs, meta = document.get("kwargs", {}), document.get("meta", {})
    severity = meta.get("severity", document.get("severity")) if isinstance(meta, Mapping) else None
    if severity not in SEVERITIES:
        raise DefinitionError(
            f"{what} ({kind})",
            f"severity {severity!r}",
            f"one of {', '.join(SEVERITIES)}",
            "write it under meta.severity",
        )
    if not isinstance(kwargs, Mapping):
        raise DefinitionError(f"{what} ({kind})", kwargs, "kwargs as an object", "write {}")
    from_rows = meta.get("from_rows", 0)
    if type(from_rows) is not int or from_rows < 0:
        raise DefinitionError(
            f"{what} ({kind})",
            f"from_rows {from_rows!r}",
            "a number of rows",
            "correct meta.from_rows, or leave it out",
        )
    return Expectation(kind, MappingProxyType(dict(kwargs)), severity, str(meta.get("why", "")), from_rows)


def parse_rollup(name: str, sql: str) -> Rollup:
    """The rollup in a SQL file, its header read from the comments at its top."""
    what = f"rollup {name}"
    if not _NAME.fullmatch(name):
        raise DefinitionError(what, name, "lower case letters, digits and _", "rename the file")
    headers = dict(_HEADER.findall(sql))
    for header in ("description", "partition", "sources"):
        if not headers.get(header, "").strip():
            raise DefinitionError(what, f"no '-- {header}:'", f"a comment line '-- {header}: ...' at the top", "add it")
    sources = tuple(part.strip() for part in headers["sources"].split(",") if part.strip())
    for source in sources:
        if not re.fullmatch(r"events\.[a-z0-9_]+", source):
            raise DefinitionError(what, f"the source {source!r}", "tables such as events.payment_events", "correct it")
    select = (
        "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--")).strip().rstrip(";").strip()
    )
    if not re.match(r"(select|with)\b", select, re.IGNORECASE) or ";" in _without_texts(select):
        raise DefinitionError(what, select[:60], "one SELECT (it may begin with WITH)", "make one query of it")
    read = set(re.findall(r"\bevents\.[a-z0-9_]+", _without_texts(select)))
    if read != set(sources):
        raise DefinitionError(
            what,
            f"sources {', '.join(sorted(sources))} over a query that reads {', '.join(sorted(read)) or 'none'}",
            "the tables that the query reads, all of them and no others",
            "correct the line '-- sources:', it decides when the rollup is rebuilt",
        )
    window = headers.get("window", Window.DAY.value).strip()
    if window not in set(Window):
        raise DefinitionError(what, f"the window {window!r}", f"one of {', '.join(Window)}", "correct '-- window:'")
    return Rollup(name, headers["description"].strip(), headers["partition"].strip(), sources, select, Window(window))


def _without_texts(select: str) -> str:
    return re.sub(r"'(?:[^'\\]|\\.|'')*'", "''", select)


def _checked(content: Mapping[str, Any], digest: str) -> Bundle:
    contracts = ContractIndex(parse_contract(name, schema) for name, schema in content["contracts"].items())
    for event_type in contracts.event_types:
        table_columns(contracts.of_type(event_type))  # refuses spellings that fold together
    return Bundle(
        hash=digest,
        contracts=contracts,
        suites=MappingProxyType({name: parse_suite(name, each) for name, each in content["suites"].items()}),
        rollups=MappingProxyType({name: parse_rollup(name, each) for name, each in content["rollups"].items()}),
    )


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_encode(content)).hexdigest()[:_HASH_LENGTH]


def _encode(document: Mapping[str, Any]) -> bytes:
    # key order inside a contract is meaning (columns come in it), so only the names of files are sorted
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
