"""The load job on a plan of the kind rebuild: rows derived anew from their lines, only days replaced that differ."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Sequence
from random import Random
from typing import Any

from disk_lake.lake import DiskLake
from eventlake.layout import Area
from eventlake.load_plan import Landing
from eventlake.rebuild_plan import LoadedLanding, ShownName, of_types, plan_rebuild
from eventlake.receipt import parse_receipt
from tests.builders import a_sequence_number, a_uuid
from tests.lake_model import TABLE, Contract, Line, ModelLake
from tests.spark.event_lines import a_line
from tests.spark.test_load_events import PAYMENT, SUITE, a_payment

DAYS = ("2026-11-19", "2026-11-20", "2026-11-21")
NOON, DAY_SECONDS = 1_795_248_000, 86_400
REBUILD = "replay_events-0123456789-g1"


def at(day: str) -> int:
    return NOON - (DAYS.index("2026-11-21") - DAYS.index(day)) * DAY_SECONDS


def rebuild(
    lake: DiskLake,
    landings: Sequence[LoadedLanding],
    days: Collection[str],
    types: Collection[str] = (),
    shown: Collection[ShownName] = (),
    publish: bool = True,
) -> dict[str, Any]:
    """Runs the job on the plan that the product would make; publishes what it staged; gives the receipt."""
    bases = {table: lake.main_of(table) for table in lake.tables}
    known = list(of_types(landings, types))
    plan = plan_rebuild(REBUILD, known, sorted(days), lake.pairs, bases, shown, lake.definitions_key, "now")
    receipt = lake.run(plan)
    parse_receipt(json.dumps(receipt))
    if publish:
        lake.publish(receipt)
    return receipt


def loaded(landing: Landing, *days: str) -> LoadedLanding:
    return LoadedLanding(landing, min(days), max(days))


def diff_of(receipt: dict[str, Any], table: str = TABLE) -> tuple[int, int, int, dict[str, int], list[str]]:
    entry = next(entry for entry in receipt["tables"] if entry["table"] == table)
    assert entry["error"] is None
    diff = entry["diff"]
    return (diff["added"], diff["removed"], diff["changed"], diff["departed"], list(entry["days"]))


NOTHING = (0, 0, 0, {}, [])


def test_days_follow_their_contract_row_by_row_and_others_stay(lake: DiskLake) -> None:
    # given: two days and a late object with lines of both; the second payment breaks the contract of its time
    lake.define({"payment/order": PAYMENT}, {"payment": SUITE})
    first = lake.land([a_payment(1), a_payment(2, amount=-1), a_payment(3, order_id="o-33"), a_payment(1)])
    before = lake.land([a_payment(4, created_at=at("2026-11-20"), colour="red")], day="2026-11-20")
    late = lake.land([a_payment(5, colour="red"), a_payment(6, created_at=at("2026-11-20"))], area=Area.LATE)
    lake.load_and_publish(first, before, late)
    landings = [
        loaded(first, "2026-11-21"),
        loaded(before, "2026-11-20"),
        loaded(late, "2026-11-20", "2026-11-21"),
    ]

    # when nothing is different, nothing moves
    main = lake.main_of(TABLE)
    unchanged = rebuild(lake, landings, DAYS)
    assert diff_of(unchanged) == NOTHING
    assert unchanged["tables"][0]["counts"] == {"lines": 7, "loaded": 5, "duplicate": 1, "quarantined": 1}
    assert (unchanged["tables"][0]["staged_snapshot_id"], lake.main_of(TABLE)) == (None, main)

    # when: amounts may be negative now, order ids have three letters, and colours are known
    changed = copy.deepcopy(PAYMENT)
    changed["properties"]["amount"]["minimum"] = -10
    changed["properties"]["order_id"]["maxLength"] = 3
    changed["properties"]["colour"] = {"type": "string"}
    lake.define({"payment/order": changed}, {"payment": SUITE})
    receipt = rebuild(lake, landings, ["2026-11-21"])

    # then: 2 comes, 3 goes, 5 has got a colour; the lines of the other day are no concern of it
    assert diff_of(receipt) == (1, 1, 1, {}, ["2026-11-21"])
    (entry,) = receipt["tables"]
    assert entry["counts"] == {"lines": 5, "loaded": 3, "duplicate": 1, "quarantined": 1}
    assert [landing["lines"] for landing in entry["landings"]] == [1, 4]
    assert (entry["added_records"], entry["removed_records"], entry["validation"]["success"]) == (3, 3, True)
    (bad,) = lake.beside(receipt, "quarantine_uri")
    assert (bad["table"], bad["sequence_number"], bad["reason"]) == (TABLE, a_sequence_number(3), "out_of_range")
    rows = lake.rows(f"SELECT event_uuid u, colour c, load_id l FROM {TABLE} ORDER BY event_date, event_uuid")
    load = "load_events-0123456789-g1"
    assert [tuple(row) for row in rows] == [
        (a_uuid(4), None, load),
        (a_uuid(6), None, load),
        (a_uuid(1), None, load),
        (a_uuid(2), None, REBUILD),
        # its record is the same: whoever takes the load back takes it along
        (a_uuid(5), "red", load),
    ]

    # and again: nothing more on that day, and now the other one
    assert diff_of(rebuild(lake, landings, DAYS)) == (0, 0, 1, {}, ["2026-11-20"])

    # and back: the column that no contract knows any more stays, and is empty in what is written anew
    lake.define({"payment/order": PAYMENT}, {"payment": SUITE})
    assert diff_of(rebuild(lake, landings, DAYS)) == (1, 1, 0, {}, ["2026-11-21"])
    rows = lake.rows(f"SELECT event_uuid u, colour c FROM {TABLE} ORDER BY event_date, event_uuid")
    assert [tuple(row) for row in rows] == [
        (a_uuid(4), "red"),
        (a_uuid(6), None),
        (a_uuid(1), None),
        (a_uuid(3), None),
        (a_uuid(5), None),
    ]


def test_a_name_moves_to_the_table_that_its_contract_made(lake: DiskLake) -> None:
    # given: two names without a contract, one of which also came by an error object
    lake.define({"payment/order": PAYMENT})
    quest = lake.land([a_line(number, event_name="quest:done", level=number) for number in (1, 2)], "quest", "done")
    riddle = lake.land([a_line(3, event_name="riddle:solved")], "riddle", "solved")
    lake.load_and_publish(quest, riddle)
    held = lake.land([a_line(4, event_name="quest:done", level=4)], "quest", "done")
    lake.load_and_publish(held)
    contract = {
        **PAYMENT,
        "x-event-names": ["quest:done"],
        "required": [],
        "properties": {"level": {"type": "integer", "minimum": 2}},
    }

    # when: one of them gets a contract, that the first of its events breaks; one object is not read again
    lake.define({"payment/order": PAYMENT, "quest/done": contract})
    shown = [ShownName("events.uncontracted", "quest", "done"), ShownName("events.uncontracted", "riddle", "solved")]
    receipt = rebuild(lake, [loaded(quest, "2026-11-21"), loaded(riddle, "2026-11-21")], DAYS, ["quest"], shown)

    # then
    assert diff_of(receipt, "events.quest_events") == (1, 0, 0, {}, ["2026-11-21"])
    assert diff_of(receipt, "events.uncontracted") == (0, 0, 0, {"events.quest_events": 2}, ["2026-11-21"])
    assert [row.level for row in lake.rows("SELECT level FROM events.quest_events")] == [2]
    kept = lake.rows("SELECT event_uuid u FROM events.uncontracted ORDER BY 1")
    assert [row.u for row in kept] == [a_uuid(3), a_uuid(4)]
    # and again, of all types: nothing
    again = rebuild(lake, [loaded(quest, "2026-11-21"), loaded(riddle, "2026-11-21")], DAYS, (), shown)
    assert diff_of(again, "events.quest_events") == diff_of(again, "events.uncontracted") == NOTHING


def test_the_job_does_what_the_model_does(lake: DiskLake) -> None:
    """Copies, conflicts and bad lines over four objects of three days, loaded and rebuilt in some order."""
    random = Random(7)
    landings: dict[str, list[Line]] = {name: [] for name in "abcd"}
    for number in range(1, 41):
        uuid = random.randrange(14)
        content = f"{'x' if uuid % 5 == 0 or random.random() < 0.1 else 'o'}-{random.randrange(2)}"
        landings[random.choice("abcd")].append(Line(number, a_uuid(uuid), DAYS[uuid % 3], content))
    whole = Contract(lambda content: content)
    narrow = Contract(lambda content: None if content.startswith("x") else content)
    model = ModelLake(landings, whole)  # type: ignore[arg-type]  # a list is a sequence
    stored = {
        name: lake.land(
            [
                a_payment(line.number, event_uuid=line.uuid, order_id=line.content, created_at=at(line.day))
                for line in lines
            ],
            area=Area.LATE,
        )
        for name, lines in landings.items()
    }
    strict = copy.deepcopy(PAYMENT)
    strict["properties"]["order_id"]["pattern"] = "^o"

    def must_agree() -> None:
        rows = lake.rows(f"SELECT event_date d, event_uuid u, sequence_number n, raw_object o, order_id c FROM {TABLE}")
        found = {(str(row.d), row.u): (row.n, row.o, row.c) for row in rows}
        expected = {
            key: (a_sequence_number(row.number), stored[row.landing].object_key, row.content)
            for key, row in model.table.items()
        }
        assert found == expected
        assert len(rows) == len(found)

    def load(*names: str) -> None:
        model.load(names)
        lake.load_and_publish(*(stored[name] for name in names))
        must_agree()

    def rebuild_both(*days: str) -> dict[str, Any]:
        known = [loaded(stored[name], *(line.day for line in landings[name])) for name in sorted(model.loaded)]
        model.rebuild(days)
        receipt = rebuild(lake, known, days)
        must_agree()
        return receipt

    lake.define({"payment/order": PAYMENT})
    load("c")
    load("a", "c")
    assert diff_of(rebuild_both(*DAYS)) == NOTHING
    model.contract = narrow
    lake.define({"payment/order": strict})
    load("b")
    assert diff_of(rebuild_both(DAYS[0], DAYS[2]))[1] > 0
    load("d")
    model.contract = whole
    lake.define({"payment/order": PAYMENT})
    assert diff_of(rebuild_both(*DAYS))[0] > 0
