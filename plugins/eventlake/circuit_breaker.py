"""When so many records of a type are bad that its good ones are in doubt, too: the ceilings, and what they stop.

Above a ceiling the load of that type is held, and no rebuild touches its table until a person has decided on what is
held: to derive history by rules that the newest data breaks would spread the fault. The breaker closes by that
decision; loads after the held one are judged by their own rates.

Belongs here: the rates, and what a rebuild leaves out. Does not belong here: what else holds a load (`verdict`),
counting and asking (`eventlake_aws`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from eventlake.layout import Area
from eventlake.load_plan import ContractIndex, LoadPlan, TablePlan, table_of_pair, table_of_type
from eventlake.rebuild_plan import LoadedLanding, ShownName
from eventlake.receipt import Counts
from eventlake.settings import Settings


@dataclass(frozen=True)
class Ceilings:
    """Shares of bad records above which a load is held; below `fewest_records` a share says nothing.

    `quarantine_rate` is of the lines that landed, `reject_rate` of those and of what was rejected at admission.
    """

    quarantine_rate: float = 0.25
    reject_rate: float = 0.25
    fewest_records: int = 20

    @staticmethod
    def of(settings: Settings) -> Ceilings:
        return Ceilings(settings.quarantine_rate_ceiling, settings.reject_rate_ceiling)


class Rejection(NamedTuple):
    """A record that admission rejected, and when that was written down. A record that nobody can read has no type."""

    event_type: str
    written_at: datetime


class OverCeiling(NamedTuple):
    """A rate that holds a load. `bad` of `records`; `what` happened to them."""

    bad: int
    records: int
    what: str
    ceiling: float

    def __str__(self) -> str:
        return f"{self.bad} of {self.records} {self.what}, over the ceiling of {self.ceiling:.0%}"


def rates_over_ceiling(counts: Counts, rejected: int, ceilings: Ceilings) -> tuple[OverCeiling, ...]:
    """Every rate of one table's load that is over its ceiling."""
    rates = (
        OverCeiling(counts.quarantined, counts.lines, "lines quarantined", ceilings.quarantine_rate),
        OverCeiling(rejected, rejected + counts.lines, "records rejected at admission", ceilings.reject_rate),
    )
    return tuple(rate for rate in rates if _is_over(rate, ceilings.fewest_records))


def _is_over(rate: OverCeiling, fewest_records: int) -> bool:
    return rate.records >= fewest_records and rate.bad > rate.ceiling * rate.records


def oldest_raw_landing(entry: TablePlan) -> datetime | None:
    """Since when rejections stand beside what this entry loads. What came late says nothing of the last hour."""
    landed = [one.landed_at for one in entry.landings if one.area == Area.RAW.value and one.landed_at]
    return datetime.fromisoformat(min(landed)).astimezone(UTC) if landed else None


def with_rejections(plan: LoadPlan, rejections: Iterable[Rejection]) -> LoadPlan:
    """The plan, with how many records of each type were rejected since its oldest landing."""
    known = list(rejections)

    def rejected(entry: TablePlan) -> int:
        since = oldest_raw_landing(entry)
        if entry.event_type is None or since is None:
            return 0
        return sum(one.written_at >= since and table_of_type(one.event_type) == entry.table for one in known)

    return replace(plan, tables=tuple(replace(entry, rejected=rejected(entry)) for entry in plan.tables))


def with_rejections_of(plan: LoadPlan, held: LoadPlan) -> LoadPlan:
    """The plan of a release, with what stood beside these landings when they were held: waiting mends no rate."""
    known = {entry.table: entry.rejected for entry in held.tables}
    return replace(plan, tables=tuple(replace(one, rejected=known.get(one.table, 0)) for one in plan.tables))


def without_stopped(
    loaded: Iterable[LoadedLanding], contracts: ContractIndex, stopped: Collection[str]
) -> Iterator[LoadedLanding]:
    """What a rebuild may read while these tables are stopped. An error object stands for its lines of other tables."""
    for one in loaded:
        landing = one.landing
        if not any(table in stopped for table in landing.tables(contracts)):
            yield one
        elif pairs := frozenset(pair for pair in landing.pairs if table_of_pair(*pair, contracts) not in stopped):
            yield replace(one, landing=replace(landing, pairs=pairs))


def names_without_stopped(
    shown: Iterable[ShownName], contracts: ContractIndex, stopped: Collection[str]
) -> Iterator[ShownName]:
    """The names that may move to another table while these are stopped: neither from one of them nor into one."""
    for name in shown:
        home = table_of_pair(name.event_type, name.event_subtype, contracts)
        if name.table not in stopped and home not in stopped:
            yield name
