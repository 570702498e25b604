"""How many rows of each producer broke their contract on one event day, and whose are too many.

A type's own ceiling (`circuit_breaker`) is of all its producers: one that is broken altogether hides among the others.
Belongs here: the rates and what they say. Does not belong here: counting rows (`eventlake_aws.day_profiles`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eventlake.circuit_breaker import Ceilings
from eventlake.day_checks import BROKEN_PRODUCER, MOST_SAMPLES, Finding

# a producer's name is whatever it sends: a day of random ones must not become a table of them
MOST_PRODUCERS = 100
OTHERS = "(others)"
_LONGEST_NAME_SHOWN = 64


@dataclass(frozen=True)
class ProducerRate:
    """`rows`: that readers see; `quarantined`: that are open in quarantine. `producer` None: it does not say."""

    table: str
    day: str
    producer: str | None
    rows: int
    quarantined: int

    @property
    def records(self) -> int:
        return self.rows + self.quarantined

    @property
    def rate(self) -> float:
        return self.quarantined / self.records if self.records else 0.0


def producer_rates(
    table: str, day: str, rows: Mapping[str | None, int], quarantined: Mapping[str | None, int]
) -> tuple[ProducerRate, ...]:
    """The producers with most bad rows, then those with most rows; what is beyond their number is one line."""
    rates = sorted(
        (ProducerRate(table, day, name, rows.get(name, 0), quarantined.get(name, 0)) for name in {*rows, *quarantined}),
        key=lambda one: (-one.quarantined, -one.rows, one.producer or ""),
    )
    kept, beyond = rates[:MOST_PRODUCERS], rates[MOST_PRODUCERS:]
    if beyond:
        good, bad = sum(one.rows for one in beyond), sum(one.quarantined for one in beyond)
        kept.append(ProducerRate(table, day, OTHERS, good, bad))
    return tuple(kept)


def findings_of_rates(rates: Iterable[ProducerRate], ceilings: Ceilings) -> tuple[Finding, ...]:
    """One finding a table, with every producer whose share of bad rows is over the ceiling."""
    broken: dict[str, list[ProducerRate]] = {}
    for one in rates:
        if one.records >= ceilings.fewest_records and one.rate > ceilings.quarantine_rate:
            broken.setdefault(one.table, []).append(one)
    return tuple(
        Finding(
            BROKEN_PRODUCER,
            table,
            "medium",
            sum(one.quarantined for one in found),
            "; ".join(map(_told, found[:MOST_SAMPLES])),
            f"at most {ceilings.quarantine_rate:.0%} of a producer's rows quarantined",
        )
        for table, found in broken.items()
    )


def _told(one: ProducerRate) -> str:
    name = "no producer named" if one.producer is None else one.producer[:_LONGEST_NAME_SHOWN]
    return f"{name}: {one.quarantined} of {one.records} rows quarantined"
