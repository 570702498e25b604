"""Bad rows by producer: counted, bounded, and told where one hides among the others."""

from __future__ import annotations

from eventlake.circuit_breaker import Ceilings
from eventlake.day_checks import BROKEN_PRODUCER, Finding
from eventlake.producer_rates import MOST_PRODUCERS, OTHERS, ProducerRate, findings_of_rates, producer_rates

TABLE, DAY = "events.lesson_events", "2026-11-20"


def test_every_producer_of_good_or_bad_rows_has_its_rate() -> None:
    rates = producer_rates(TABLE, DAY, {"ios": 90, "web": 900, None: 5}, {"ios": 10, "beta": 3})
    assert [(one.producer, one.rows, one.quarantined, round(one.rate, 2)) for one in rates] == [
        ("ios", 90, 10, 0.1),
        ("beta", 0, 3, 1.0),
        ("web", 900, 0, 0.0),
        (None, 5, 0, 0.0),
    ]


def test_a_day_of_random_names_is_kept_short_and_loses_no_row() -> None:
    rows = {f"producer-{number:04}": 1 for number in range(MOST_PRODUCERS + 50)}
    rates = producer_rates(TABLE, DAY, rows, {"producer-0007": 2})
    assert len(rates) == MOST_PRODUCERS + 1
    assert (rates[0].producer, rates[-1].producer, rates[-1].rows) == ("producer-0007", OTHERS, 50)
    assert sum(one.rows for one in rates) == len(rows)


def test_a_producer_that_is_broken_is_told_however_many_others_are_not() -> None:
    rates = (
        ProducerRate(TABLE, DAY, "web", 10_000, 20),
        ProducerRate(TABLE, DAY, "ios" * 40, 10, 30),
        ProducerRate(TABLE, DAY, None, 0, 40),
        # too few to say anything, and just at the ceiling
        ProducerRate(TABLE, DAY, "beta", 0, 19),
        ProducerRate(TABLE, DAY, "tv", 75, 25),
    )
    (finding,) = findings_of_rates(rates, Ceilings())
    assert finding == Finding(
        BROKEN_PRODUCER,
        TABLE,
        "medium",
        70,
        f"{('ios' * 40)[:64]}: 30 of 40 rows quarantined; no producer named: 40 of 40 rows quarantined",
        "at most 25% of a producer's rows quarantined",
    )
    assert findings_of_rates(rates[:1], Ceilings()) == ()
