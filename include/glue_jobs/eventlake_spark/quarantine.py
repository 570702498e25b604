"""Rows that readers do not get to see, as the worker will keep them: why, where from, and their original text.

Belongs here: explaining bad rows by the Python reference, finding the line each came from, the two files beside a
receipt (quarantined rows and dropped duplicates). Does not belong here: `quarantine.rows`, which the worker alone
writes.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from eventlake.errors import TerminalError
from eventlake.event_json import UnreadableLineError, parse_event
from eventlake.row_rules import Explanation, QuarantineReason, RowRule, explain_line
from eventlake_spark.batch import Batch, SideRow
from eventlake_spark.judgement import BAD, CONFLICT, DUPLICATE
from eventlake_spark.objects import ObjectStore
from eventlake_spark.read_landings import Landings, LineOf
from eventlake_spark.row_parsing import TableLines

ENGINES_DISAGREE = "engines_disagree"
_IDENTITY = re.compile(r'"shard_id":"([^"]*)","sequence_number":"(\d+)"')
_REPLACEMENT = "�"
_REPLACED = re.compile(f"{_REPLACEMENT}+")


def quarantined_rows(batch: Batch, landings: Landings) -> list[dict[str, Any]]:
    """One entry for each bad or conflicting row, explained, with the number of its line in the raw object."""
    sides = [side for side in batch.sides if side.verdict in (BAD, CONFLICT)]
    found = _lines_of(sides, batch, landings)
    rules = batch.lines.rules
    return [_quarantined(batch.lines, rules, side, next(found[_mark(side)], None)) for side in sides]


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


def _quarantined(lines: TableLines, rules: tuple[RowRule, ...], side: SideRow, line: LineOf | None) -> dict[str, Any]:
    original = side.original
    if original is None:
        if line is None:
            raise TerminalError(
                f"quarantining a row of {side.raw_object}: received no line of {side.identity} there; valid is the "
                "object as it was when the load began; run the load again"
            )
        original = line.content.decode("utf-8", "replace")
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
        "line": None if line is None else line.number,
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


def _lines_of(sides: Iterable[SideRow], batch: Batch, landings: Landings) -> dict[_Mark, Iterator[LineOf]]:
    """The lines of each mark, in order: equal lines are told apart by nothing else. Objects are read once more, and of
    their lines none is kept that nobody asks for."""
    found: dict[_Mark, list[LineOf]] = {_mark(side): [] for side in sides}
    marks: dict[str, list[_Mark]] = defaultdict(list)
    for mark in found:
        marks[mark.raw_object].append(mark)
    for landing in batch.entry.landings:
        if landing.object_key in marks:
            marks_of_line = _recognition(marks[landing.object_key])
            for line in landings.lines(landing, batch.entry.table):
                for mark in marks_of_line(line.content):
                    found[mark].append(line)
    return {mark: iter(lines) for mark, lines in found.items()}


def _recognition(marks: Iterable[_Mark]) -> Callable[[bytes], Iterator[_Mark]]:
    """Which of an object's marks a line bears. Nearly all bear none, so that is what has to be quick."""
    by_bytes, by_text, by_identity = {}, {}, {}
    for mark in marks:
        if mark.identity is not None:
            by_identity[mark.identity] = mark
        elif mark.text is not None and _REPLACEMENT in mark.text:
            by_text[mark.text] = mark
        elif mark.text is not None:
            by_bytes[mark.text.encode("utf-8", "replace")] = mark

    def marks_of_line(content: bytes) -> Iterator[_Mark]:
        if content in by_bytes:
            yield by_bytes[content]
        if by_text and (text := _comparable(content.decode("utf-8", "replace"))) in by_text:
            yield by_text[text]
        if by_identity and (identity := _identity(content)) in by_identity:
            yield by_identity[identity]

    return marks_of_line


def _identity(content: bytes) -> str:
    """The record that a line was, as it says at its end; empty where it says none. The lake writes it in one way, which
    is quick to find; a line that somebody put there may be written in another."""
    end = content[max(0, content.rfind(b'"shard_id":')) :].decode("utf-8", "replace")
    if found := _IDENTITY.match(end):
        return ":".join(found.groups())
    try:
        lake = parse_event(content).get("_lake")
    except UnreadableLineError:
        return ""
    return f"{lake.get('shard_id')}:{lake.get('sequence_number')}" if isinstance(lake, dict) else ""


class _Mark(NamedTuple):
    """By what a line is found again: its text, or where nobody kept that, the record that it was."""

    raw_object: str
    text: str | None
    identity: str | None


def _mark(side: SideRow) -> _Mark:
    if side.original is None:
        return _Mark(side.raw_object, None, side.identity)
    return _Mark(side.raw_object, _comparable(side.original), None)


def _comparable(text: str) -> str:
    """Engines differ in how many signs they put for bytes that are no UTF-8."""
    return _REPLACED.sub(_REPLACEMENT, text)
