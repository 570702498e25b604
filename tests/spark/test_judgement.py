"""However a batch is spread and its lines are brought together, each line gets the verdict that it has alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from disk_lake.lake import DiskLake
from eventlake_spark import judgement, stage
from eventlake_spark.table_lines import quoted
from tests.builders import a_uuid
from tests.spark.event_lines import a_line
from tests.spark.test_load_events import PAYMENT, a_payment, counts_of

DAY_SECONDS = 86_400
TEXT = {"type": "string"}
NOON = 1_795_248_000
SPREADS = {
    "one task": {},
    "one task, all of one key": {"KEY_OF": "CAST(0 AS BIGINT)"},
    "many tasks": {"BYTES_OF_ONE_TASK": 0},
    "many tasks, counted": {"BYTES_OF_ONE_TASK": 0, "BYTES_TO_BROADCAST": 0},
    "many tasks, sorted": {"BYTES_OF_ONE_TASK": 0, "BYTES_TO_BROADCAST": 0, "ROWS_TO_BROADCAST": 0},
    "all under suspicion": {"BYTES_OF_ONE_TASK": 0, "KEY_OF": "CAST(0 AS BIGINT)"},
    "all under suspicion, sorted": {
        "BYTES_OF_ONE_TASK": 0,
        "BYTES_TO_BROADCAST": 0,
        "ROWS_TO_BROADCAST": 0,
        "KEY_OF": "CAST(0 AS BIGINT)",
    },
}


def batches() -> tuple[list[bytes], list[list[bytes]]]:
    """What the table holds, and three objects of a load: every way in which a line can meet its equals."""
    held = [a_payment(1), a_payment(2), a_payment(3)]
    same = a_payment(1)
    known_conflict = a_payment(20, event_uuid=a_uuid(2), amount=5)
    known_duplicate = a_payment(21, event_uuid=a_uuid(3), order_id="o-3")
    first, again, other = (
        a_payment(4),
        a_payment(22, event_uuid=a_uuid(4), order_id="o-4"),
        a_payment(23, event_uuid=a_uuid(4)),
    )
    bad_twice = a_payment(5, amount=-1)
    bad_of_good = a_payment(24, event_uuid=a_uuid(6), amount=-1)
    other_day = a_payment(25, event_uuid=a_uuid(1), created_at=NOON - DAY_SECONDS)
    alone = [a_payment(number) for number in range(30, 40)]
    return held, [
        [same, first, bad_twice, *alone[:4]],
        [again, known_conflict, bad_twice, a_payment(6), *alone[4:]],
        [other, known_duplicate, bad_of_good, other_day, b"no JSON", alone[0]],
    ]


@pytest.mark.parametrize("spread", SPREADS)
def test_verdicts_do_not_depend_on_how_a_batch_is_spread(
    lake: DiskLake, monkeypatch: pytest.MonkeyPatch, spread: str
) -> None:
    # given
    lake.define({"payment/order": PAYMENT})
    held, objects = batches()
    lake.load_and_publish(lake.land(held))
    for name, value in SPREADS[spread].items():
        monkeypatch.setattr(judgement, name, value)

    # when
    receipt = lake.load(*(lake.land(lines) for lines in objects))

    # then
    assert counts_of(receipt) == {"lines": 23, "loaded": 13, "duplicate": 4, "quarantined": 6}
    (entry,) = receipt["tables"]
    assert entry["quarantined_by_reason"] == {"out_of_range": 3, "unreadable": 1, "uuid_conflict": 2}
    added = lake.staged_rows(entry, "event_uuid, CAST(event_date AS STRING), order_id")
    expected = [(a_uuid(n), "2026-11-21", f"o-{n}") for n in (1, 2, 3, 4, 6, *range(30, 40))]
    assert sorted(map(tuple, added)) == sorted([*expected, (a_uuid(1), "2026-11-20", "o-25")])


@pytest.mark.parametrize("spread", ["one task", "many tasks"])
def test_fields_may_be_called_as_the_job_calls_things(
    lake: DiskLake, monkeypatch: pytest.MonkeyPatch, spread: str
) -> None:
    # given
    names = ("value", "e", "r", "row", "key", "verdict", "count", "content", "lines")
    lake.define({"payment/order": {**PAYMENT, "properties": {**PAYMENT["properties"], **dict.fromkeys(names, TEXT)}}})
    for name, value in SPREADS[spread].items():
        monkeypatch.setattr(judgement, name, value)
    held = a_payment(1, **dict.fromkeys(names, "old"))
    lake.load_and_publish(lake.land([held]))

    # when
    new = [a_payment(2, **{name: name for name in names})] * 2
    receipt = lake.load(lake.land([*new, held, a_payment(3, event_uuid=a_uuid(1), **dict.fromkeys(names, "new"))]))

    # then
    assert counts_of(receipt) == {"lines": 4, "loaded": 1, "duplicate": 2, "quarantined": 1}
    added = lake.staged_rows(receipt["tables"][0], ", ".join(map(quoted, names)))
    assert sorted(map(tuple, added)) == [("old",) * len(names), names]


def objects_of(days: int) -> Sequence[Sequence[bytes]]:
    lines = [a_payment(n, created_at=NOON - n % days * DAY_SECONDS) for n in range(1, 3 * days + 1)]
    return [lines[place::3] for place in range(3)]


@pytest.mark.parametrize("days", [stage.DAYS_WRITTEN_AT_ONCE, stage.DAYS_WRITTEN_AT_ONCE + 1])
def test_of_many_days_none_is_written_twice(lake: DiskLake, monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    # given: rows of all days in turn, as they were read
    monkeypatch.setattr(judgement, "BYTES_OF_ONE_TASK", 0)
    lake.define({"payment/order": PAYMENT})

    # when
    receipt = lake.load_and_publish(*(lake.land(lines) for lines in objects_of(days)))

    # then: one file for each day, though every object holds all of them
    assert counts_of(receipt) == {"lines": 3 * days, "loaded": 3 * days, "duplicate": 0, "quarantined": 0}
    files = lake.rows(
        "SELECT partition.event_date AS day, count(*) AS files FROM events.payment_events.files GROUP BY 1"
    )
    assert [row.files for row in files] == [1] * days


@pytest.mark.parametrize("between", ["", " ", ",", ", "])
def test_of_two_objects_on_one_line_none_is_loaded(lake: DiskLake, between: str) -> None:
    # given: also one whose equal would be found first
    lake.define({"payment/order": PAYMENT})
    line = a_payment(1)
    pairs = [first + between.encode() + second for first, second in itertools.product((line, a_payment(2)), repeat=2)]

    # when
    receipt = lake.load(lake.land([*pairs, a_line(3, order_id="o-3", amount=1)]))

    # then
    assert counts_of(receipt) == {"lines": 5, "loaded": 1, "duplicate": 0, "quarantined": 4}
    assert receipt["tables"][0]["quarantined_by_reason"] == {"unreadable": 4}
