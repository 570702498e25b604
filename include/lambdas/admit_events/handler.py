"""admit_events: one verdict for each record of the stream, then on to raw or to the decisions.

Gathers, lets the rules decide, acts. A record that is bad never raises: it gets its verdict and the shard goes on. What
raises is the infrastructure; then the event source calls again with the same batch, which is harmless, because a record
finds its own claim and is delivered again.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from claims_table import CALLS_AT_ONCE, ClaimsTable
from delivery import deliver
from positions_table import note_positions

from eventlake.admission import Candidate, examine
from eventlake.arrival import Arrival
from eventlake.claims import ClaimContest, claim_for
from eventlake.decision_log import decision_line
from eventlake.decisions import (
    LARGEST_DECISION_BYTES,
    Decision,
    Verdict,
    count_rejections,
    count_verdicts,
    decide,
    decision_record,
)
from eventlake.layout import large_body_key
from eventlake.positions import furthest_positions
from eventlake.settings import Settings
from eventlake.timestamps import iso_from_milliseconds


@dataclass(frozen=True)
class Lake:
    """What the function works with: the names of the lake, clients, a clock. Tests pass their own."""

    settings: Settings
    code_hash: str
    dynamodb: Any
    firehose: Any
    s3: Any
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    sleep: Callable[[float], None] = time.sleep


@cache
def lake_of_this_function() -> Lake:
    """Made at the first call and kept while the function is warm."""
    settings = Settings.from_env(os.environ)
    config = Config(
        retries={"mode": "standard", "max_attempts": 5}, max_pool_connections=CALLS_AT_ONCE, read_timeout=20
    )
    dynamodb, firehose, s3 = (
        boto3.client(service, region_name=settings.region, config=config) for service in ("dynamodb", "firehose", "s3")
    )
    return Lake(settings, os.environ["CODE_HASH"], dynamodb, firehose, s3)


def handler(event: Mapping[str, Any], context: object, lake: Lake | None = None) -> None:
    """The entry point. Returns nothing: either the whole batch has its verdicts, or it raises and is retried."""
    lake = lake or lake_of_this_function()
    arrivals = [_arrival(record) for record in event["Records"]]
    examined = [examine(arrival, lake.code_hash) for arrival in arrivals]

    window_seconds = lake.settings.claim_window_hours * 3_600
    contest = ClaimContest(claim_for(record, window_seconds) for record in examined if isinstance(record, Candidate))
    ClaimsTable(lake.dynamodb, lake.settings.claims_table, lake.sleep).settle(contest)
    decisions = decide(examined, contest.settlements)

    lines = [decision.line for decision in decisions if decision.line is not None]
    again = deliver(lake.firehose, lake.settings.raw_delivery, lines, lake.sleep)
    again += deliver(lake.firehose, lake.settings.decisions_delivery, _told_about(decisions, lake), lake.sleep)

    now_ms = lake.now_ms()
    positions = furthest_positions(arrivals)
    note_positions(lake.dynamodb, lake.settings.positions_table, positions, iso_from_milliseconds(now_ms))
    _print_decision(lake, decisions, now_ms, again, len(positions))


def _arrival(record: Mapping[str, Any]) -> Arrival:
    kinesis = record["kinesis"]
    return Arrival(
        data=base64.b64decode(kinesis["data"]),
        shard_id=record["eventID"].rpartition(":")[0],
        sequence_number=kinesis["sequenceNumber"],
        arrived_at_ms=round(kinesis["approximateArrivalTimestamp"] * 1_000),
    )


def _told_about(decisions: Sequence[Decision], lake: Lake) -> Iterator[bytes]:
    """The decision records of all that was not admitted. A body too large for one is put beside it and referenced."""
    for decision in decisions:
        if decision.verdict is Verdict.ADMITTED:
            continue
        record = decision_record(decision, lake.code_hash)
        if len(record) > LARGEST_DECISION_BYTES:
            arrival, bucket = decision.arrival, lake.settings.raw_bucket
            day = iso_from_milliseconds(arrival.arrived_at_ms)[:10]
            key = large_body_key(arrival.shard_id, arrival.sequence_number, day)
            lake.s3.put_object(Bucket=bucket, Key=key, Body=arrival.data)
            record = decision_record(decision, lake.code_hash, f"s3://{bucket}/{key}")
        yield record


def _print_decision(lake: Lake, decisions: Sequence[Decision], now_ms: int, again: int, shards: int) -> None:
    verdicts = {f"Records{name.capitalize()}": number for name, number in count_verdicts(decisions).items()}
    print(
        decision_line(
            lake=lake.settings.prefix,
            station="admit_events",
            at_ms=now_ms,
            counts={"RecordsReceived": len(decisions), **verdicts, "RecordsDeliveredAgain": again},
            details={"rejections": count_rejections(decisions), "shards": shards, "code_hash": lake.code_hash},
        ),
        flush=True,
    )
