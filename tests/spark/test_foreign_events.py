"""Events that nobody here has seen before: drafted contracts take every one of them, and the load quarantines none.

The payloads are those of AWS's own API examples, as botocore ships them, and values made to be awkward.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyspark", reason="the jobs' environment: .venvs/jobs/bin/python -m pytest tests/spark")

import botocore

from disk_lake.lake import DiskLake
from draft_contracts import draft_definitions
from eventlake.admission import Candidate, examine
from eventlake.load_plan import table_of_type
from tests.builders import CODE_HASH, EIGHT_O_CLOCK_SECONDS, a_uuid, an_arrival

MOST_SERVICES = 30
EXAMPLES = Path(botocore.__file__).parent / "data"


def nested(levels: int, leaf: object) -> object:
    return leaf if levels == 0 else {f"level_{levels}": nested(levels - 1, leaf), "at": levels}


AWKWARD: tuple[object, ...] = (
    # deep, wide, and of many shapes
    nested(7, "x"), nested(3, 5), {"a": {"b": {"c": {"d": [1, {"e": "5"}]}}}}, {f"key_{n}": n for n in range(300)},
    [[1, 2], [3]], [[{"a": 1}]], [], {}, [None], [{}], [{"a": []}], [1, "a", None, True], [1, 2.5],
    [{"sku": "5", "n": 1.0}, {"sku": 5}], [{"a": {"b": {"c": {"d": 1}}}}],
    # names that columns cannot have, or that differ only in case
    {"a b": 1}, {"": 1}, {"A": 1, "a": 2}, {"x.y": {"z": 1}},
    # texts that look like something else, and long ones
    "12345", "true", "null", "[1]", "{}", '"q"', "NaN", "1e5", "\u0000", "\U0001f600", "a\\b", "line\nbreak\r\n", " ",
    "", "2024-02-30T00:00:00Z", "x" * 20_000,
    # numbers at the edges of what engines hold
    True, False, 0, -0.0, 1.5, 3.0, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**30, 1e300, 5e-324, 0.1, 1e-7,
    123456789.123456789,
)  # fmt: skip
# some that SQL reserves, two that differ only in case
FIELDS = ("p", "q", "P2", "user", "type", "order", "select", "value", "event")


def awkward_events() -> Iterator[tuple[str, dict[str, Any]]]:
    """Fields with one odd value among absent ones; one name with every type; and mixtures of both."""
    for number, value in enumerate(AWKWARD):
        yield "alpha:one", {f"field_{number:02}": value, "same": AWKWARD[number * 7 % len(AWKWARD)]}
        yield "beta:each:value", {"solo": value}
        yield "delta:nested", {"in": {"deeper": value, "list": [{"value": value}]}}
    # the same fields again, of other types, in another subtype
    for number, value in enumerate(reversed(AWKWARD)):
        yield "alpha:two", {f"field_{number:02}": value}
    # each value and its neighbour under one name: an integer where a fraction was, an object where a list was
    for number, (value, other) in enumerate(pairwise(AWKWARD)):
        yield "pair:of_two", {f"field_{number:02}": value}
        yield "pair:of_two", {f"field_{number:02}": other}
    draw = random.Random(4)
    for _ in range(60):
        yield "gamma:mix", {draw.choice(FIELDS): draw.choice(AWKWARD) for _ in range(4)}


def aws_examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """What AWS's own API examples send and receive, of the services with most of them."""
    documents = {path: json.loads(path.read_text()) for path in sorted(EXAMPLES.glob("*/*/examples-1.json"))}
    of_service: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for path, document in documents.items():
        service = "".join(sign if sign.isalnum() else "_" for sign in path.parts[-3].lower())
        for operation, examples in document["examples"].items():
            for example in examples:
                for part in ("input", "output"):
                    if isinstance(example.get(part), dict):
                        name = f"{service}:{operation.lower()}:{part}"
                        of_service[service].append((name, example[part]))
    largest = sorted(of_service, key=lambda service: (-len(of_service[service]), service))[:MOST_SERVICES]
    for service in largest:
        yield from of_service[service]


def sent(events: Iterator[tuple[str, dict[str, Any]]]) -> list[str]:
    return [
        json.dumps(
            {"event_uuid": a_uuid(number), "event_name": name, "created_at": EIGHT_O_CLOCK_SECONDS, **payload},
            # both ways of writing what is not ASCII
            ensure_ascii=bool(number % 2),
        )
        for number, (name, payload) in enumerate(events)
    ]


def admitted(lines: Sequence[str]) -> dict[tuple[str, str], list[bytes]]:
    """The lines of raw by type and subtype; what admission turns away it names, and here that may be nothing."""
    raw: dict[tuple[str, str], list[bytes]] = defaultdict(list)
    for number, line in enumerate(lines):
        answer = examine(an_arrival(line.encode(), number=number), CODE_HASH)
        assert isinstance(answer, Candidate), (answer.reason, line[:300])
        event_type, subtype = answer.event_name.split(":")[:2]
        raw[event_type, subtype].append(answer.line)
    return raw


def drafted(folder: Path, lines: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `make contract INPUT=…` writes: contracts and suites."""
    folder.mkdir()
    file = folder / "events.ndjson"
    file.write_text("".join(f"{line}\n" for line in lines))
    done = draft_definitions(file, [], folder / "include")
    assert (done.lines, done.unreadable, done.without_valid_name, done.left_uncontracted) == (len(lines), 0, 0, {})
    read: list[dict[str, Any]] = [
        {
            str(path.relative_to(folder / "include" / kind).with_suffix("")): json.loads(path.read_text())
            for path in (folder / "include" / kind).rglob("*.json")
        }
        for kind in ("contracts", "expectations")
    ]
    return read[0], read[1]


@pytest.mark.parametrize("events", [awkward_events, pytest.param(aws_examples, marks=pytest.mark.long)])
def test_drafted_contracts_take_every_event_they_were_drafted_from(lake: DiskLake, tmp_path: Path, events: Any) -> None:
    # given
    lines = sent(events())
    assert len(lines) > 200
    lake.define(*drafted(tmp_path / "drafts", lines))
    raw = admitted(lines)
    # when
    receipt = lake.load(*(lake.land(of_pair, *pair) for pair, of_pair in raw.items()))
    # then: every event is a row, and nothing is said against any
    bad = lake.beside(receipt, "quarantine_uri")
    assert not bad, [(row["rule"], row["field"], row["original_text"][:200]) for row in bad[:5]]
    expected = Counter(table_of_type(event_type) for (event_type, _), of_pair in raw.items() for _ in of_pair)
    loaded = {entry["table"]: (entry["counts"]["loaded"], entry["error"]) for entry in receipt["tables"]}
    assert loaded == {table: (count, None) for table, count in expected.items()}
    failed = {
        entry["table"]: result
        for entry in receipt["tables"]
        for result in entry["validation"]["results"]
        if result["success"] is not True
    }
    assert not failed
