"""Which landings a rebuild reads again, and which rows of the tables it may replace: those of lines that it reads.

Every row of the days whose line is read again is derived anew; every other row stays as it is, so a rebuild can lose
nothing, whatever became of raw. Belongs here: the rule, as a plan of the kind `rebuild`. Does not belong here: finding
the landings (`eventlake_aws.loaded_landings`), deriving rows (the job), publishing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import NamedTuple

from eventlake.errors import TerminalError
from eventlake.load_plan import (
    ERRORS_AREA,
    ContractIndex,
    Landing,
    LoadKind,
    LoadPlan,
    table_of_pair,
    table_plans,
)


@dataclass(frozen=True)
class LoadedLanding:
    """A landing that was loaded, and the span of event days that the load found in it."""

    landing: Landing
    first_day: str
    last_day: str

    def touches(self, days: Collection[str]) -> bool:
        return any(self.first_day <= day <= self.last_day for day in days)


class ShownName(NamedTuple):
    """A table shows rows of this name."""

    table: str
    event_type: str
    event_subtype: str


def days_between(first_day: str, last_day: str) -> tuple[str, ...]:
    """Both included. Raises TerminalError when there is none."""
    first, last = date.fromisoformat(first_day), date.fromisoformat(last_day)
    if last < first:
        raise TerminalError(
            f"choosing days to rebuild: received {first_day} to {last_day}; valid is a first day that is not after the "
            "last; trigger the run again"
        )
    return tuple((first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1))


def of_types(loaded: Iterable[LoadedLanding], types: Collection[str]) -> Iterator[LoadedLanding]:
    """What concerns these types, all of it when none is named. An error object stands for its lines of these types."""
    for one in loaded:
        if not types:
            yield one
        elif one.landing.area != ERRORS_AREA:
            if one.landing.event_type in types:
                yield one
        elif pairs := frozenset(pair for pair in one.landing.pairs if pair[0] in types):
            yield replace(one, landing=replace(one.landing, pairs=pairs))


def tables_of_rebuild(
    loaded: Iterable[LoadedLanding], days: Collection[str], contracts: ContractIndex, shown: Iterable[ShownName]
) -> tuple[str, ...]:
    """Every table that the rebuild writes to: whose leases to take. `shown`: see `plan_rebuild`."""
    return tuple(sorted(_landings_by_table(loaded, days, contracts, shown)))


def plan_rebuild(
    load_id: str,
    loaded: Iterable[LoadedLanding],
    days: Sequence[str],
    contracts: ContractIndex,
    base_snapshots: Mapping[str, int | None],
    shown: Iterable[ShownName],
    definitions_key: str,
    created_at: str,
    requests: Sequence[str] = (),
) -> LoadPlan:
    """The landings that touch the days, under the tables that take their names now.

    `shown`: names that tables show rows of on these days. A name that has got a contract since moves to its table, so
    the one that it leaves is planned as well, be it without a landing of its own.
    """
    wanted = sorted(set(days))
    entries = table_plans(_landings_by_table(loaded, wanted, contracts, shown), base_snapshots)
    taken = {landing.identity: landing.size_bytes for entry in entries for landing in entry.landings}
    return LoadPlan(
        load_id,
        created_at,
        definitions_key,
        (),
        entries,
        0,
        sum(taken.values()),
        LoadKind.REBUILD,
        tuple(wanted),
        tuple(sorted(requests)),
    )


def days_that_fit(loaded: Iterable[LoadedLanding], days: Iterable[str], byte_ceiling: int) -> tuple[str, ...]:
    """The first of the days, as they are given, whose landings are under the ceiling together; at least one."""
    known = list(loaded)
    fitting: list[str] = []
    taken: set[tuple[str, str]] = set()
    taken_bytes = 0
    for day in dict.fromkeys(days):
        more = {one.landing.identity: one.landing.size_bytes for one in known if one.touches((day,))}
        added = sum(size for identity, size in more.items() if identity not in taken)
        if fitting and taken_bytes + added > byte_ceiling:
            break
        fitting.append(day)
        taken |= more.keys()
        taken_bytes += added
    return tuple(fitting)


def _landings_by_table(
    loaded: Iterable[LoadedLanding], days: Collection[str], contracts: ContractIndex, shown: Iterable[ShownName]
) -> dict[str, set[Landing]]:
    tables: dict[str, set[Landing]] = defaultdict(set)
    for one in loaded:
        if one.touches(days):
            for table in one.landing.tables(contracts):
                tables[table].add(one.landing)
    for name in shown:
        home = table_of_pair(name.event_type, name.event_subtype, contracts)
        # rows leave only for a table that this plan fills
        if home in tables:
            tables.setdefault(name.table, set())
    return tables
