"""An event day of each table in numbers, kept in tables of control, and what the rules find in it.

A day is counted when it is closed, and again when a run of it finds other rows, so that a baseline of weeks costs a few
rows to read.

Belongs here: counting what readers see of a day, reading earlier profiles, writing both down. Does not belong here: the
rules (`eventlake.day_checks`, `producer_rates`, `references`), looking for what rows refer to (`day_references`).
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.table import Table

from eventlake.circuit_breaker import Ceilings
from eventlake.day_checks import DAYS_OF_A_WEEK, HOURS, MOST_WEEKS, DayProfile, Finding, findings_of_day
from eventlake.producer_rates import ProducerRate, findings_of_rates, producer_rates
from eventlake.references import findings_of_references
from eventlake.settings import Settings
from eventlake_aws.clients import Clients
from eventlake_aws.control_tables import (
    DAY_CHECKS,
    DAY_PROFILES,
    DAY_REFERENCES,
    PRODUCER_RATES,
    append_rows,
    arrow_schema,
    read_rows,
)
from eventlake_aws.day_references import earlier_references, follow, references_of, row_of
from eventlake_aws.definitions_store import current_definitions
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.quarantine_rows import open_by_producer
from eventlake_aws.row_filters import equals, one_of
from eventlake_aws.table_census import event_tables

_LOG = logging.getLogger(__name__)
_THREADS = 4
_TIMES = ("checked_at", "written_at")
# a sender that tries again does so within hours; to look further would read more than the day is worth
_NEIGHBOUR_DAYS = 2


def check_day(clients: Clients, settings: Settings, *, day: date, run_id: str, now: datetime) -> list[Finding]:
    """Counts the day, compares it with earlier ones, and keeps both."""
    catalog = open_catalog(settings)
    earlier = _earlier_profiles(catalog, settings, day)
    tables = event_tables(catalog)
    quarantined = open_by_producer(catalog, settings, day, tables)

    def check(name: str) -> tuple[DayProfile, tuple[ProducerRate, ...], tuple[Finding, ...]]:
        table = catalog.load_table(name)
        profile, uuids, producers = _counted(name, table, day)
        rates = producer_rates(name, profile.day, producers, quarantined.get(name, {}))
        found = findings_of_day(profile, earlier.get(name, ()), _on_other_days(table, day, uuids))
        return profile, rates, (*found, *findings_of_rates(rates, Ceilings.of(settings)))

    declared = references_of(current_definitions(clients, settings).suites)
    with ThreadPoolExecutor(_THREADS) as pool:
        checked = list(pool.map(check, tables))
        references = list(pool.map(lambda one: follow(catalog, one[0], one[1], day), declared))
    profiles = [profile for profile, _, _ in checked]
    findings = [one for _, _, found in checked for one in found]
    findings += findings_of_references(references, earlier_references(catalog, settings, _weekdays(day)))
    rates = [one for _, of_table, _ in checked for one in of_table]
    _keep(catalog, settings, DAY_PROFILES, run_id, [_profile_row(one, run_id, now) for one in profiles])
    _keep(catalog, settings, PRODUCER_RATES, run_id, [_rate_row(one, run_id, now) for one in rates])
    _keep(catalog, settings, DAY_REFERENCES, run_id, [row_of(one, run_id, now) for one in references])
    _keep(catalog, settings, DAY_CHECKS, run_id, [_finding_row(one, day, run_id, now) for one in findings])
    said = {"decision": "check_day", "day": day.isoformat(), "tables": len(profiles), "findings": len(findings)}
    _LOG.info(json.dumps(said))
    return findings


def _counted(name: str, table: Table, day: date) -> tuple[DayProfile, pa.Array, Counter[str | None]]:
    """The profile of the day, its uuids, and its rows by producer."""
    hourly, last_second, uuids = [0] * HOURS, None, []
    producers: Counter[str | None] = Counter()
    if table.current_snapshot() is not None:
        columns = ("event_uuid", "created_datetime", "producer")
        scan = table.scan(row_filter=equals("event_date", day.isoformat()), selected_fields=columns)
        for batch in scan.to_arrow_batch_reader():
            times = batch.column("created_datetime")
            for pair in pc.value_counts(pc.hour(times)).to_pylist():
                hourly[pair["values"]] += pair["counts"]
            newest = pc.max(times).as_py()
            if newest is not None:
                second = newest.hour * 3600 + newest.minute * 60 + newest.second
                last_second = second if last_second is None else max(last_second, second)
            uuids.append(batch.column("event_uuid"))
            for pair in pc.value_counts(batch.column("producer")).to_pylist():
                producers[pair["values"]] += pair["counts"]
    everything = pa.concat_arrays(uuids) if uuids else pa.array([], pa.string())
    return DayProfile(name, day.isoformat(), tuple(hourly), last_second), everything, producers


def _on_other_days(table: Table, day: date, uuids: pa.Array) -> dict[str, str]:
    """Uuids of the day that readers also see on a day beside it, and on which."""
    if not len(uuids):
        return {}
    beside = [(day + timedelta(days=number)).isoformat() for number in range(-_NEIGHBOUR_DAYS, _NEIGHBOUR_DAYS + 1)]
    wanted = one_of("event_date", [other for other in beside if other != day.isoformat()])
    found: dict[str, str] = {}
    scan = table.scan(row_filter=wanted, selected_fields=("event_uuid", "event_date"))
    for batch in scan.to_arrow_batch_reader():
        both = batch.filter(pc.is_in(batch.column("event_uuid"), value_set=uuids))
        found |= {
            uuid: other.isoformat()
            for uuid, other in zip(
                both.column("event_uuid").to_pylist(), both.column("event_date").to_pylist(), strict=True
            )
        }
    return found


def _earlier_profiles(catalog: GlueCatalog, settings: Settings, day: date) -> dict[str, list[DayProfile]]:
    """Of each table, the same weekdays before; of a day that was counted twice, what was counted last."""
    rows = read_rows(catalog, settings, DAY_PROFILES, one_of("day", _weekdays(day)))
    newest = {(row["table_name"], row["day"]): row for row in sorted(rows, key=lambda row: row["written_at"])}
    profiles: dict[str, list[DayProfile]] = {}
    for (table, weekday), row in newest.items():
        counted = DayProfile(table, weekday, tuple(json.loads(row["hourly_rows"])), row["last_second"])
        profiles.setdefault(table, []).append(counted)
    return profiles


def _weekdays(day: date) -> list[str]:
    """The same weekdays before."""
    return [(day - timedelta(days=DAYS_OF_A_WEEK * week)).isoformat() for week in range(1, MOST_WEEKS + 1)]


def _keep(catalog: GlueCatalog, settings: Settings, name: str, run_id: str, rows: list[dict[str, Any]]) -> None:
    """Once, however often a run tries; anew when it differs: a backfill runs the run again that closed the day."""
    before = read_rows(catalog, settings, name, equals("run_id", run_id))
    newest = max((_time_of(row) for row in before), default=None)
    last = [row for row in before if _time_of(row) == newest]
    as_kept = pa.Table.from_pylist(rows, schema=arrow_schema(name)).to_pylist()
    if rows and _facts(as_kept) != _facts(last):
        append_rows(catalog, settings, name, rows)


def _time_of(row: Mapping[str, Any]) -> datetime:
    """When it was written: all rows of one commit have the same."""
    time: datetime = next(value for name, value in row.items() if name in _TIMES)
    return time


def _facts(rows: Iterable[Mapping[str, Any]]) -> set[frozenset[tuple[str, Any]]]:
    return {frozenset((name, value) for name, value in row.items() if name not in _TIMES) for row in rows}


def _profile_row(profile: DayProfile, run_id: str, now: datetime) -> dict[str, Any]:
    return {
        "day": profile.day,
        "table_name": profile.table,
        "rows": profile.rows,
        "hourly_rows": json.dumps(profile.hourly_rows),
        "last_second": profile.last_second,
        "run_id": run_id,
        "written_at": now,
    }


def _rate_row(rate: ProducerRate, run_id: str, now: datetime) -> dict[str, Any]:
    said = {"table_name": rate.table, "rate": rate.rate, "run_id": run_id, "written_at": now}
    return {name: getattr(rate, name) for name in ("day", "producer", "rows", "quarantined")} | said


def _finding_row(finding: Finding, day: date, run_id: str, now: datetime) -> dict[str, Any]:
    told = asdict(finding) | {"table_name": finding.table, "samples": json.dumps(finding.samples)}
    names = ("what", "table_name", "severity", "rows", "observed", "expected", "samples")
    return {name: told[name] for name in names} | {"day": day.isoformat(), "run_id": run_id, "checked_at": now}
