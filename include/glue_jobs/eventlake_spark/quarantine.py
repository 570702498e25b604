"""Rows that readers do not get to see, as the worker will keep them: why, where from, and their original text.

Belongs here: explaining bad rows by the Python reference, the text of those in conflict, the two files beside a
receipt (quarantined rows and dropped duplicates). Does not belong here: `quarantine.rows`, which the worker alone
writes.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from eventlake.errors import TerminalError
from eventlake.event_json import UnreadableLineError, parse_event
from eventlake.row_rules import Explanation, QuarantineReason, RowRule, explain_line
from eventlake_spark.batch import Batch, SideRow
from eventlake_spark.judgement import BAD, CONFLICT, DUPLICATE
from eventlake_spark.objects import ObjectStore
from eventlake_spark.read_landings import Landings
from eventlake_spark.table_lines import TableLines

ENGINES_DISAGREE = "engines_disagree"
_IDENTITY = re.compile(r'"shard_id":"([^"]*)","sequence_number":"(\d+)"')


def quarantined_rows(batch: Batch, landings: Landings) -> list[dict[str, Any]]:
    """One entry for each bad or conflicting row, explained, with the number of its line in the raw object."""
    sides = [side for side in batch.sides if side.verdict in (BAD, CONFLICT)]
    texts = _texts_of([side for side in sides if side.original is None], batch, landings)
    rules = batch.lines.rules
    return [_quarantined(batch.lines, rules, side, side.original or texts[side]) for side in sides]


def duplicate_rows(batch: Batch) -> list[dict[str, Any]]:
    return [
        {
            "table": batch.entry.table,
            "event_uuid": side.event_uuid,
            "shard_id": side.shard_id,
            "sequence_number": side.sequence_number,
            "event_date": side.day,
        }
        for side in batch.sides
        if side.verdict == DUPLICATE
    ]


def reasons(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    return dict(sorted(Counter(row["reason"] for row in rows).items()))


def write_beside_receipt(rows: list[dict[str, Any]], uri: str, store: ObjectStore) -> str | None:
    """The rows as gzipped JSON lines; None where there are none, and nothing is written."""
    if not rows:
        return None
    body = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    store.create(uri, gzip.compress(body.encode("utf-8", "replace"), mtime=0))
    return uri


def _quarantined(lines: TableLines, rules: tuple[RowRule, ...], side: SideRow, original: str) -> dict[str, Any]:
    reason, rule, field = _explanation(lines, rules, side, original)
    shard_id, sequence_number = side.shard_id, side.sequence_number
    if shard_id is None or sequence_number is None:
        # a line that is no JSON may still show who it was
        found = _IDENTITY.findall(original)
        shard_id, sequence_number = found[-1] if found else (None, None)
    return {
        "table": lines.table,
        "event_type": lines.event_type if lines.event_type is not None else _named(original, "event_type"),
        "event_subtype": side.event_subtype,
        "producer": side.producer,
        "reason": str(reason),
        "rule": rule,
        "field": field,
        "raw_object": side.raw_object,
        "line": side.line,
        "original_text": original,
        "event_uuid": side.event_uuid,
        "shard_id": shard_id,
        "sequence_number": sequence_number,
        "event_date": side.day,
    }


def _explanation(lines: TableLines, rules: tuple[RowRule, ...], side: SideRow, original: str) -> Explanation:
    if side.verdict == CONFLICT:
        return Explanation(QuarantineReason.UUID_CONFLICT, "uuid_conflict", "event_uuid")
    explained = explain_line(original, rules)
    if explained is not None:
        return explained
    if lines.event_type is not None and _named(original, "event_type") != lines.event_type:
        return Explanation(QuarantineReason.UNREADABLE, "envelope.event_type.of_table", "event_type")
    # never lost: what one engine cannot read stays out of the table, whatever the other says
    return Explanation(QuarantineReason.UNREADABLE, ENGINES_DISAGREE, None)


def _named(original: str, field: str) -> str | None:
    try:
        value = parse_event(original).get(field)
    except UnreadableLineError:
        return None
    return value if isinstance(value, str) else None


def _texts_of(sides: Iterable[SideRow], batch: Batch, landings: Landings) -> dict[SideRow, str]:
    """The text of the line that each was, from the object that holds it. Of good lines nobody kept it."""
    texts: dict[SideRow, str] = {}
    wanted: dict[str, dict[int, list[SideRow]]] = defaultdict(lambda: defaultdict(list))
    for side in sides:
        wanted[side.raw_object][side.line].append(side)
    for landing in batch.entry.landings:
        if landing.object_key in wanted:
            for line in landings.lines(landing, batch.entry.table):
                for side in wanted[landing.object_key].get(line.number, ()):
                    # an entry of an error object may hold several lines
                    if _identity(line.content) == side.identity:
                        texts[side] = line.content.decode("utf-8", "replace")
    missing = next((side for side in sides if side not in texts), None)
    if missing is not None:
        raise TerminalError(
            f"quarantining a row of {missing.raw_object}: received no line {missing.line} of {missing.identity} there; "
            "valid is the object as it was when the load began; run the load again"
        )
    return texts


def _identity(line: bytes) -> str:
    """The record that a line was."""
    lake = parse_event(line.decode("utf-8", "replace"))["_lake"]
    return f"{lake['shard_id']}:{lake['sequence_number']}"
