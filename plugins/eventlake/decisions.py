"""The verdict on each record of a batch, and the decision record that tells of those that did not come in.

Every record has exactly one verdict. Duplicates and rejects are kept with their bytes, so that each can be explained,
counted and, after a fix, sent again.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from eventlake.admission import Candidate, Rejected, RejectionReason
from eventlake.arrival import Arrival
from eventlake.claims import Judgement, Settlement
from eventlake.enrichment import split_event_name
from eventlake.errors import TerminalError
from eventlake.timestamps import iso_from_milliseconds

# Firehose takes 1,000 KiB a record; the rest is room for the delimiter and for growth of the record's own fields
LARGEST_DECISION_BYTES = 900 * 1024


class Verdict(Enum):
    """What became of a record at the door. `replayed` is for events that the lake itself sent again."""

    ADMITTED = "admitted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    REPLAYED = "replayed"


class Decision(NamedTuple):
    """One record and its verdict. `line` is what goes to raw, of an admitted one only."""

    arrival: Arrival
    verdict: Verdict
    reason: RejectionReason | None
    event_uuid: str | None
    event_name: str | None
    first_owner: str | None
    line: bytes | None


_VERDICT_OF_JUDGEMENT = {
    Judgement.DELIVER: Verdict.ADMITTED,
    Judgement.DUPLICATE: Verdict.DUPLICATE,
    Judgement.UUID_CONFLICT: Verdict.REJECTED,
}


def decide(examined: Sequence[Candidate | Rejected], settlements: Mapping[str, Settlement]) -> list[Decision]:
    """One decision a record, in the order of arrival. Raises TerminalError if a record would have none or two."""
    owners = Counter(record.arrival.owner for record in examined)
    if len(owners) < len(examined):
        owner, times = owners.most_common(1)[0]
        raise TerminalError(
            f"judging a batch: record {owner} is there {times} times; valid is once; look at the event source"
        )
    return [_decision(record, settlements) for record in examined]


def _decision(record: Candidate | Rejected, settlements: Mapping[str, Settlement]) -> Decision:
    arrival = record.arrival
    if isinstance(record, Rejected):
        return Decision(arrival, Verdict.REJECTED, record.reason, record.event_uuid, record.event_name, None, None)
    settlement = settlements.get(arrival.owner)
    verdict = _VERDICT_OF_JUDGEMENT.get(settlement.judgement) if settlement else None
    if settlement is None or verdict is None:
        raise TerminalError(
            f"judging a batch: record {arrival.owner} has no verdict, its claim is {settlement}; "
            "valid is exactly one verdict a record; this is a fault of claims.py, the batch is retried"
        )
    return Decision(
        arrival,
        verdict,
        RejectionReason.UUID_CONFLICT if verdict is Verdict.REJECTED else None,
        record.event_uuid,
        record.event_name,
        None if verdict is Verdict.ADMITTED else settlement.first_owner,
        record.line if verdict is Verdict.ADMITTED else None,
    )


def count_verdicts(decisions: Sequence[Decision]) -> dict[str, int]:
    """How many records got each verdict, verdicts that nobody got included."""
    counts = Counter(decision.verdict for decision in decisions)
    return {verdict.value: counts[verdict] for verdict in Verdict}


def count_rejections(decisions: Sequence[Decision]) -> dict[str, int]:
    """How many records were rejected for each reason that occurred."""
    counts = Counter(decision.reason.value for decision in decisions if decision.reason)
    return dict(sorted(counts.items()))


def decision_record(decision: Decision, code_hash: str, body_reference: str | None = None) -> bytes:
    """The decision as one JSON line, with the sent bytes in base64, or with a reference to where they lie."""
    event_type = split_event_name(decision.event_name)[0] if decision.event_name else None
    body = None if body_reference else base64.b64encode(decision.arrival.data).decode()
    return json.dumps(
        {
            "verdict": decision.verdict.value,
            "reason": decision.reason.value if decision.reason else None,
            "event_uuid": decision.event_uuid,
            "event_type": event_type,
            "event_name": decision.event_name,
            "shard_id": decision.arrival.shard_id,
            "sequence_number": decision.arrival.sequence_number,
            "ingested_at": iso_from_milliseconds(decision.arrival.arrived_at_ms),
            "first_owner": decision.first_owner,
            "body": body,
            "body_reference": body_reference,
            "code_hash": code_hash,
        },
        separators=(",", ":"),
    ).encode()
