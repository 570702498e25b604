"""The simulator's promises: same arguments same bytes, exact numbers, an oracle that the lake's rules agree with."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import unicodedata
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from eventlake.admission import Candidate, Rejected, examine
from eventlake.arrival import Arrival
from eventlake.contract import Contract, parse_contract
from eventlake.row_rules import RowRule, broken_rules, parse_event, table_rules
from simulator.__main__ import main
from simulator.breaks import BREAKS
from simulator.catalogue import BUILDERS, EVENT_NAMES, payload_of
from simulator.oracle import Oracle
from simulator.poison import POISON
from simulator.scene import MICROSECONDS, Scene
from simulator.stream import UNCONTRACTED_NAMES, Line, lines
from simulator.traffic import Traffic

NOW = 1_795_248_000  # 2026-11-21T08:00:00Z
# many of each special kind in few lines
TRAFFIC = Traffic(
    events=1_500, seed=11, now=NOW, duplicates=0.05, conflicts=0.02, poison=0.04, contract_breaking=0.08, late=0.05,
    uncontracted=0.01,
)  # fmt: skip
CONTRACTS_FOLDER = Path(__file__).parents[2] / "include" / "contracts"


@pytest.fixture(scope="module")
def contracts() -> list[Contract]:
    files = sorted(CONTRACTS_FOLDER.glob("*/*.json"))
    return [parse_contract(f"{file.parent.name}/{file.stem}", json.loads(file.read_text())) for file in files]


@pytest.fixture(scope="module")
def rules_of_type(contracts: list[Contract]) -> dict[str, tuple[RowRule, ...]]:
    types = {contract.event_type for contract in contracts}
    return {each: table_rules([contract for contract in contracts if contract.event_type == each]) for each in types}


@pytest.fixture(scope="module")
def file_lines() -> list[Line]:
    return list(lines(TRAFFIC))


def admit(data: bytes, number: int) -> Candidate | Rejected:
    return examine(Arrival(data, "shardId-000000000000", str(number), NOW * 1_000), "0" * 12)


def test_every_contracted_name_is_simulated_and_no_other(contracts: list[Contract]) -> None:
    contracted = {name for contract in contracts for name in contract.event_names}
    assert set(EVENT_NAMES) == contracted
    assert set(BUILDERS) == {contract.key for contract in contracts}
    assert not {name for name in UNCONTRACTED_NAMES if "/".join(name.split(":")[:2]) in BUILDERS}


def test_every_name_builds_events_of_its_contract(
    contracts: list[Contract], rules_of_type: dict[str, tuple[RowRule, ...]]
) -> None:
    random = Random(3)
    for contract in contracts:
        known = {field.name for field in contract.fields}
        for name in contract.event_names:
            scene = Scene(random, NOW * MICROSECONDS)
            for _ in range(3):
                payload = payload_of(name, scene)
                assert set(payload) <= known, name
                event = parse_event(json.dumps({"event_name": name, **payload}))
                assert broken_rules(rules_of_type[contract.event_type], event) == [], name


def test_somebody_sends_every_field(contracts: list[Contract]) -> None:
    random = Random(4)
    for contract in contracts:
        unused = {field.name for field in contract.fields}
        for _ in range(40):
            for name in contract.event_names:
                scene = Scene(random, NOW * MICROSECONDS)
                # the second event of a person knows what came before
                unused -= set(payload_of(name, scene)) | set(payload_of(name, scene))
            if not unused:
                break
        assert not unused, f"{contract.key} has fields that nobody ever sends: {unused}"


@pytest.mark.parametrize("fault", BREAKS, ids=lambda fault: f"{fault.event_name}-{fault.field}-{fault.keyword}")
def test_a_break_breaks_one_rule_the_intended_one(fault, rules_of_type: dict[str, tuple[RowRule, ...]]) -> None:
    for seed in range(2):
        scene = Scene(Random(seed), NOW * MICROSECONDS)
        payload = payload_of(fault.event_name, scene)
        fault.apply(payload)
        event = parse_event(json.dumps({"event_name": fault.event_name, **payload}))
        broken = broken_rules(rules_of_type[fault.event_name.partition(":")[0]], event)
        assert [(rule.reason.value, rule.field, rule.keyword) for rule in broken] == [
            (fault.reason, fault.field, fault.keyword)
        ]


def test_every_reason_of_quarantine_is_there_in_several_types() -> None:
    types = {reason: set() for reason in {fault.reason for fault in BREAKS}}
    for fault in BREAKS:
        types[fault.reason].add(fault.event_name.partition(":")[0])
    assert set(types) == {
        "wrong_type", "missing_required", "out_of_range", "not_in_set", "bad_format", "cross_field",
    }  # fmt: skip
    assert min(map(len, types.values())) >= 4


def test_numbers_are_exact(file_lines: list[Line]) -> None:
    counts = Counter(line.fate.kind for line in file_lines)
    conflicts = sum(line.fate.place == "uuid_conflict" for line in file_lines)
    assert len(file_lines) == 1_500
    assert counts["duplicate"] == 75
    assert conflicts == 30
    assert counts["rejected"] - conflicts == 60
    assert counts["quarantine"] == 120
    assert sum(line.fate.late for line in file_lines) == 75
    assert sum(line.fate.place == "events.uncontracted" for line in file_lines) == 15
    assert {line.fate.place for line in file_lines if line.fate.kind == "rejected"} == {*POISON, "uuid_conflict"}


def test_every_line_ends_where_the_lakes_rules_say(
    file_lines: list[Line], rules_of_type: dict[str, tuple[RowRule, ...]]
) -> None:
    first_bytes: dict[str, bytes] = {}
    for number, (data, fate) in enumerate(file_lines):
        answer = admit(data, number)
        assert b"\n" not in data
        if isinstance(answer, Rejected):
            assert (fate.kind, fate.place) == ("rejected", answer.reason.value), data[:300]
        elif answer.event_uuid in first_bytes:
            same = first_bytes[answer.event_uuid] == data
            assert fate.kind == ("duplicate" if same else "rejected"), data[:300]
            assert fate.place == ("" if same else "uuid_conflict")
        else:
            first_bytes[answer.event_uuid] = data
            event_type = answer.event_name.partition(":")[0]
            broken = broken_rules(rules_of_type.get(event_type, ()), parse_event(data))
            if fate.kind == "quarantine":
                assert [rule.reason.value for rule in broken] == [fate.place]
            else:
                assert broken == []
                known = "/".join(answer.event_name.split(":")[:2]) in BUILDERS
                assert fate.place == (f"events.{event_type}_events" if known else "events.uncontracted")
            assert fate.identity == answer.event_uuid
            assert b'"area":"late"' in answer.line if fate.late else b'"area":"raw"' in answer.line
        if fate.kind == "rejected":
            assert fate.identity == hashlib.sha256(data).hexdigest()


def test_copies_come_both_at_once_and_much_later(file_lines: list[Line]) -> None:
    place = {line.data: number for number, line in reversed(list(enumerate(file_lines)))}
    distances = [number - place[line.data] for number, line in enumerate(file_lines) if line.fate.kind == "duplicate"]
    assert min(distances) > 0
    assert sum(distance < 20 for distance in distances) > 15
    assert sum(distance > 150 for distance in distances) > 15


def test_traffic_looks_like_a_products(file_lines: list[Line]) -> None:
    good = [line.data for line in file_lines if line.fate.kind == "table"]
    names = Counter(json.loads(data)["event_name"] for data in good)
    assert min(map(len, good)) >= 200
    assert max(map(len, good)) <= 8_192
    assert names.most_common(1)[0][1] > 20 * names.most_common()[len(names) // 2][1]
    written = [json.loads(data, parse_float=str) for data in good]
    assert {type(event["created_at"]) for event in written} == {int, str}
    assert any(event["event_uuid"] != event["event_uuid"].lower() for event in written)
    letters = {each for event in written for each in json.dumps(event, ensure_ascii=False) if each.isalpha()}
    scripts = {unicodedata.name(letter).split()[0] for letter in letters}
    common = {"LATIN", "CYRILLIC", "GREEK", "ARABIC", "DEVANAGARI", "CJK", "HIRAGANA", "KATAKANA", "HANGUL"}
    rare = {"HEBREW", "BENGALI", "TAMIL", "THAI"}
    assert scripts >= common
    assert scripts & rare


def test_larger_files_hold_every_name() -> None:
    name = re.compile(rb'"event_name": ?"([a-z_:]+)"')
    good = [line.data for line in lines(Traffic(events=6_000, seed=5, now=NOW)) if line.fate.kind == "table"]
    assert set(EVENT_NAMES) <= {found[1].decode() for data in good if (found := name.search(data))}


def test_same_arguments_same_bytes(tmp_path: Path) -> None:
    def files(folder: str, seed: str) -> tuple[bytes, bytes]:
        output, oracle = tmp_path / folder / "day.ndjson.gz", tmp_path / folder / "day.oracle.json"
        output.parent.mkdir()
        options = ["--events", "400", "--seed", seed, "--now", "2026-11-21T08:00:00Z"]
        assert main([*options, "--output", str(output), "--oracle", str(oracle)]) == 0
        return output.read_bytes(), oracle.read_bytes()

    first, again, other = files("first", "7"), files("again", "7"), files("other", "8")
    assert first == again
    assert first[0] != other[0]
    assert gzip.decompress(first[0]).count(b"\n") == json.loads(first[1])["sent"] == 400


def test_the_oracle_books_every_line_once(file_lines: list[Line]) -> None:
    oracle = Oracle(TRAFFIC.seed, TRAFFIC.events)
    for line in file_lines:
        oracle.note(line.fate)
    book = oracle.document()
    listed = sum(len(each) for part in ("tables", "quarantine", "rejected") for each in book[part].values())
    assert book["sent"] == len(file_lines) == listed + len(book["duplicates"])
    assert book["sent_distinct"] == len({line.data for line in file_lines})
    uuids = [uuid for part in ("tables", "quarantine") for each in book[part].values() for uuid in each]
    assert len(uuids) == len(set(uuids))
    assert set(book["duplicates"]) | set(book["late"]) <= set(uuids)
    assert all(uuid == uuid.lower() for uuid in uuids)
    assert book["first_created"] < book["last_created"] <= "2026-11-21T08:00:00Z"


def test_shares_that_leave_nothing_to_copy_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(
        ["--events", "100", "--poison", "0.9", "--duplicates", "0.2", "--now", "2026-11-21T08:00:00Z",
         "--output", str(tmp_path / "x.gz")]
    )  # fmt: skip
    assert code == 2
    assert "lower the shares" in capsys.readouterr().err
