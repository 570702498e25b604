"""Striking the balance: `books_gathering` gathers, `eventlake.books` decides, control.books keeps.

Belongs here: which time the books speak of, whose claim to look up, the summary for people.
"""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog

from eventlake.books import Balance, ClaimFinding, Difference, strike_balance
from eventlake.errors import TransientError
from eventlake.identity import RecordIdentity, parse_record_identity
from eventlake.settings import Settings
from eventlake_aws import control_tables
from eventlake_aws.books_gathering import Gathered, Scope, gather_stream_half, gather_table_half
from eventlake_aws.clients import Clients
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.stream_census import uuids_of
from eventlake_aws.watermark_census import watermark_now

_LOG = logging.getLogger(__name__)
_SAMPLES = 50
_BATCH_GET_MOST = 100
_STRIKING_MOST = timedelta(hours=1)


def balance(
    clients: Clients,
    settings: Settings,
    *,
    arrival_days: Sequence[date] | None,
    as_of: datetime | None,
    now: datetime,
    run_id: str,
) -> dict[str, Any]:
    """The books of some days of arrival (all that the stream keeps when none is named), true as of a watermark."""
    kept_since = _stream_kept_since(clients, settings, now)
    scope = _scope(arrival_days, as_of or _watermark(clients, settings, now), kept_since)
    if scope.until < scope.since:
        raise TransientError(
            f"balancing the books of {settings.prefix}: received {scope.until.isoformat()} as the watermark; valid is "
            f"one after {scope.since.isoformat()}; wait until the stream is read and run the task again"
        )
    catalog = open_catalog(settings)
    gathered = Gathered()
    gather_stream_half(clients, settings, scope, gathered)
    gather_table_half(clients, catalog, settings, scope, gathered)
    claims = _claims_of(clients, settings, scope, gathered.ledger.undecided())
    # only a stream that still keeps all of the time can say that a record never came
    struck = strike_balance(gathered.ledger, claims, is_stream_complete=scope.since >= kept_since)
    differences = (*struck.differences, *gathered.further_differences)
    rows = _write_books(catalog, settings, gathered, struck, differences, scope, run_id, now)
    return _summary(gathered, struck, differences, scope, rows)


def _watermark(clients: Clients, settings: Settings, now: datetime) -> datetime:
    text = watermark_now(clients, settings, now=now)["watermark"]
    if text is None:
        raise TransientError(
            f"balancing the books of {settings.prefix}: received no watermark; valid is a stream with shards; "
            "look at the stream and run the task again"
        )
    return datetime.fromisoformat(text)


def _claims_of(
    clients: Clients, settings: Settings, scope: Scope, undecided: Collection[RecordIdentity]
) -> dict[RecordIdentity, ClaimFinding]:
    """Claims of the few records that nobody decided on; in a good lake there are none and nothing is asked."""
    if not undecided:
        return {}
    uuids = uuids_of(clients, settings, scope.since, set(undecided))
    owners = _owners(clients, settings, sorted(set(uuids.values())))
    findings: dict[RecordIdentity, ClaimFinding] = {}
    for identity, uuid in uuids.items():
        if uuid in owners:
            is_own = owners[uuid] == identity
            findings[identity] = ClaimFinding.OWN if is_own else ClaimFinding.OTHERS
    return findings


def _owners(clients: Clients, settings: Settings, uuids: Sequence[str]) -> dict[str, RecordIdentity]:
    owners: dict[str, RecordIdentity] = {}
    for start in range(0, len(uuids), _BATCH_GET_MOST):
        keys = [{"event_uuid": {"S": uuid}} for uuid in uuids[start : start + _BATCH_GET_MOST]]
        request: dict[str, Any] = {settings.claims_table: {"Keys": keys, "ConsistentRead": True}}
        while request:
            answer = clients.dynamodb.batch_get_item(RequestItems=request)
            for item in answer["Responses"].get(settings.claims_table, []):
                owners[item["event_uuid"]["S"]] = parse_record_identity(item["owner"]["S"])
            request = answer.get("UnprocessedKeys", {})
    return owners


def _scope(arrival_days: Sequence[date] | None, as_of: datetime, kept_since: datetime) -> Scope:
    if not arrival_days:
        return Scope(kept_since, as_of, as_of)
    start = datetime.combine(min(arrival_days), datetime.min.time(), UTC)
    end = datetime.combine(max(arrival_days) + timedelta(days=1), datetime.min.time(), UTC)
    return Scope(start, min(as_of, end - timedelta(microseconds=1)), as_of)


def _stream_kept_since(clients: Clients, settings: Settings, now: datetime) -> datetime:
    """From when on the stream keeps everything, for as long as these books take to be struck."""
    summary = clients.kinesis.describe_stream_summary(StreamName=settings.stream)["StreamDescriptionSummary"]
    return now - timedelta(hours=int(summary["RetentionPeriodHours"])) + _STRIKING_MOST


def _write_books(
    catalog: GlueCatalog,
    settings: Settings,
    gathered: Gathered,
    struck: Balance,
    differences: Sequence[Difference],
    scope: Scope,
    run_id: str,
    now: datetime,
) -> int:
    in_flight = dict(gathered.in_flight)
    by_group: dict[tuple[str, str, str], list[Difference]] = defaultdict(list)
    for difference in differences:
        by_group[(difference.half, difference.day, difference.event_type)].append(difference)

    def common(half: str, day: str, event_type: str) -> dict[str, Any]:
        named = by_group.pop((half, day, event_type), [])
        return {
            "run_id": run_id,
            "as_of": scope.as_of,
            "half": half,
            "day": day,
            "event_type": event_type,
            "balanced": not named,
            "differences": len(named),
            "stations": json.dumps(Counter(difference.station.value for difference in named)),
            "samples": json.dumps([str(difference.identity) for difference in named[:_SAMPLES]]),
            "written_at": now,
        }

    rows: list[dict[str, Any]] = [
        common("stream", tally.arrival_day, tally.event_type)
        | {
            "received": tally.received,
            "admitted": tally.admitted,
            "duplicate": tally.duplicate,
            "rejected": tally.rejected,
            "replayed": tally.replayed,
            "in_flight": in_flight.pop((tally.arrival_day, tally.event_type), 0),
        }
        for tally in struck.stream
    ]
    rows += [
        common("table", tally.event_day, tally.event_type)
        | {
            "landed": tally.landed,
            "loaded": tally.loaded,
            "load_duplicate": tally.duplicate,
            "quarantined": tally.quarantined,
            "waiting": tally.waiting,
            "held": tally.held,
            "superseded": tally.superseded,
        }
        for tally in struck.tables
    ]
    rows += [common("stream", *group) | {"in_flight": number} for group, number in sorted(in_flight.items()) if number]
    # differences of groups that have no tally of their own
    rows += [common(*group) for group in sorted(by_group)]
    return control_tables.append_rows(catalog, settings, control_tables.BOOKS, rows)


def _summary(
    gathered: Gathered, struck: Balance, differences: Sequence[Difference], scope: Scope, rows: int
) -> dict[str, Any]:
    ledger = gathered.ledger
    rejected = Counter(
        reason for identity, reason in gathered.rejection_reasons.items() if ledger.verdict_of(*identity) == "rejected"
    )
    quarantined = Counter(
        reason
        for identity, reason in gathered.quarantine_reasons.items()
        if ledger.state_of(*identity) == "quarantined"
    )
    summary = {
        "as_of": scope.as_of.isoformat(),
        "balanced": not differences,
        "received": sum(tally.received for tally in struck.stream),
        "admitted": sum(tally.admitted for tally in struck.stream),
        "duplicates": sum(tally.duplicate for tally in struck.stream),
        "rejected": dict(rejected),
        "replayed": sum(tally.replayed for tally in struck.stream),
        "in_flight": gathered.in_flight.total(),
        "landed_objects": gathered.landed_objects,
        "loaded": sum(tally.loaded for tally in struck.tables),
        "load_duplicates": sum(tally.duplicate for tally in struck.tables),
        "quarantined": dict(quarantined),
        "waiting": sum(tally.waiting for tally in struck.tables),
        "held": sum(tally.held for tally in struck.tables),
        "superseded": sum(tally.superseded for tally in struck.tables),
        "residual": len(differences),
        "differences": [_named(difference) for difference in differences[:_SAMPLES]],
        "stations": dict(Counter(difference.station.value for difference in differences)),
        "tables": gathered.tables,
        "control_rows": rows,
    }
    _LOG.info(json.dumps({"decision": "balance_books"} | summary))
    return summary


def _named(difference: Difference) -> dict[str, str]:
    return {
        "identity": str(difference.identity),
        "station": difference.station.value,
        "what": difference.what,
        "half": difference.half,
        "day": difference.day,
        "event_type": difference.event_type,
    }
