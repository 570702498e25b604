"""What a job says it did, read with suspicion: the receipt of one attempt of one load.

Belongs here: parsing, and the sums that must hold inside a receipt. Not here: whether to publish (`verdict`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eventlake.errors import TerminalError
from eventlake.load_plan import TablePlan


@dataclass(frozen=True)
class Counts:
    lines: int
    loaded: int
    duplicate: int
    quarantined: int

    @property
    def are_balanced(self) -> bool:
        return self.lines == self.loaded + self.duplicate + self.quarantined


@dataclass(frozen=True)
class ExpectationResult:
    expectation: str
    column: str | None
    severity: str
    success: bool | None
    observed: str | None
    unexpected_count: int | None
    detail: str | None
    rows: int | None = None

    @property
    def name(self) -> str:
        """What tells it from the others of its suite."""
        return self.expectation if self.column is None else f"{self.expectation}({self.column})"


@dataclass(frozen=True)
class Validation:
    """None in `success` means that the suite gave no answer, which is not the same as a good one; `note` says why."""

    success: bool | None
    results: tuple[ExpectationResult, ...]
    note: str | None = None


@dataclass(frozen=True)
class LandingReceipt:
    object_key: str
    etag: str
    lines: int
    first_day: str | None
    last_day: str | None

    @property
    def identity(self) -> tuple[str, str]:
        return (self.object_key, self.etag)


@dataclass(frozen=True)
class Diff:
    """What a rebuild makes of the rows that it derives anew. `removed`: their line is bad now; `departed`: table and
    rows that this rebuild derives there, because their name has got a contract."""

    added: int
    removed: int
    changed: int
    departed: Mapping[str, int]

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed or self.departed)

    @property
    def rows_more(self) -> int:
        return self.added - self.removed - sum(self.departed.values())


@dataclass(frozen=True)
class TableReceipt:
    table: str
    event_type: str | None
    base_snapshot_id: int | None
    staged_snapshot_id: int | None
    branch: str
    counts: Counts
    added_records: int
    added_files: int
    days: Mapping[str, int]
    landings: tuple[LandingReceipt, ...]
    quarantined_by_reason: Mapping[str, int]
    validation: Validation | None
    error: str | None
    removed_records: int = 0
    # None: a load, which adds rows and does nothing else
    diff: Diff | None = None


@dataclass(frozen=True)
class Receipt:
    load_id: str
    job_run_id: str
    plan_uri: str
    code_hash: str
    started_at: str
    ended_at: str
    tables: tuple[TableReceipt, ...]
    quarantine_uri: str | None
    duplicates_uri: str | None

    def table(self, name: str) -> TableReceipt | None:
        return next((table for table in self.tables if table.table == name), None)


def parse_receipt(text: bytes | str) -> Receipt:
    """Raises TerminalError when the text is no receipt, or when its own sums do not hold."""
    try:
        body: dict[str, Any] = json.loads(text)
        if not isinstance(body["tables"], list):
            raise TypeError(f"tables is {type(body['tables']).__name__}, not a list")
        receipt = Receipt(
            load_id=_text(body, "load_id"),
            job_run_id=_text(body, "job_run_id"),
            plan_uri=_text(body, "plan_uri"),
            code_hash=_text(body, "code_hash"),
            started_at=_text(body, "started_at"),
            ended_at=_text(body, "ended_at"),
            tables=tuple(_table(table) for table in body["tables"]),
            quarantine_uri=_text_or_none(body, "quarantine_uri"),
            duplicates_uri=_text_or_none(body, "duplicates_uri"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TerminalError(
            f"reading a receipt: received {type(error).__name__}: {error}; "
            "valid is the JSON a load job writes as its last act; look at the job's log and run the load again"
        ) from error
    names = [table.table for table in receipt.tables]
    if len(names) != len(set(names)):
        raise _refused(receipt, f"a table twice among {sorted(names)}", "one entry a table")
    for table in receipt.tables:
        _require_sums(receipt, table)
    return receipt


def require_same_load(receipt: Receipt, load_id: str, job_run_id: str) -> None:
    """The receipt must be of the awaited run of this load; an orphan's is refused. Raises TerminalError."""
    if (receipt.load_id, receipt.job_run_id) != (load_id, job_run_id):
        raise _refused(receipt, f"load {receipt.load_id} run {receipt.job_run_id}", f"load {load_id} run {job_run_id}")


def kind_of_exception(words: str) -> str:
    """It stands before the words of an exception, which may hold values: for what people outside the lake see."""
    return words.partition(":")[0]


def landings_differ(receipt: TableReceipt, plan: TablePlan) -> str | None:
    """What sets the objects that were read apart from those that were planned; None when nothing does."""
    planned = {landing.identity for landing in plan.landings}
    read = {landing.identity for landing in receipt.landings}
    if planned == read:
        return None
    missing, extra = sorted(planned - read), sorted(read - planned)
    return f"{len(missing)} planned objects not read {missing[:1]}, {len(extra)} read but not planned {extra[:1]}"


def _require_sums(receipt: Receipt, table: TableReceipt) -> None:
    if table.error is not None:
        return
    counts = table.counts
    if not counts.are_balanced:
        raise _refused(
            receipt,
            f"{table.table} with {counts.lines} lines",
            f"lines = {counts.loaded} loaded + {counts.duplicate} duplicate + {counts.quarantined} quarantined",
        )
    lines_of_landings = sum(landing.lines for landing in table.landings)
    if lines_of_landings != counts.lines:
        received = f"{table.table}: {lines_of_landings} lines in its landings"
        raise _refused(receipt, received, f"{counts.lines} as counted")
    reasons = sum(table.quarantined_by_reason.values())
    if reasons != counts.quarantined:
        raise _refused(receipt, f"{table.table}: {reasons} quarantined by reason", f"{counts.quarantined} as counted")
    if table.diff is not None:
        _require_diff(receipt, table, table.diff)
    elif (table.staged_snapshot_id is None) != (counts.loaded == 0):
        raise _refused(
            receipt,
            f"{table.table}: {counts.loaded} loaded, staged snapshot {table.staged_snapshot_id}",
            "a staged snapshot when, and only when, something was loaded",
        )


def _require_diff(receipt: Receipt, table: TableReceipt, diff: Diff) -> None:
    if (table.staged_snapshot_id is None) != diff.is_empty:
        raise _refused(
            receipt,
            f"{table.table}: {diff}, staged snapshot {table.staged_snapshot_id}",
            "a staged snapshot when, and only when, something differs",
        )
    if table.added_records - table.removed_records != diff.rows_more:
        raise _refused(
            receipt,
            f"{table.table}: {table.added_records} rows written for {table.removed_records}",
            f"{diff.rows_more} rows more, as the difference says",
        )


def _refused(receipt: Receipt, received: str, valid: str) -> TerminalError:
    return TerminalError(
        f"checking the receipt of load {receipt.load_id} run {receipt.job_run_id}: received {received}; "
        f"valid is {valid}; nothing was published; run the load again"
    )


def _table(body: Mapping[str, Any]) -> TableReceipt:
    counts = body["counts"]
    return TableReceipt(
        table=_text(body, "table"),
        event_type=_text_or_none(body, "event_type"),
        base_snapshot_id=_number_or_none(body, "base_snapshot_id"),
        staged_snapshot_id=_number_or_none(body, "staged_snapshot_id"),
        branch=_text(body, "branch"),
        counts=Counts(*(_count(counts, name) for name in ("lines", "loaded", "duplicate", "quarantined"))),
        added_records=_count(body, "added_records"),
        added_files=_count(body, "added_files"),
        days={str(day): int(rows) for day, rows in body["days"].items()},
        landings=tuple(_landing(landing) for landing in body["landings"]),
        quarantined_by_reason={str(reason): int(rows) for reason, rows in body["quarantined_by_reason"].items()},
        validation=parse_validation(body["validation"]),
        error=_text_or_none(body, "error"),
        removed_records=_count(body, "removed_records") if "removed_records" in body else 0,
        diff=_diff(body.get("diff")),
    )


def _diff(body: Mapping[str, Any] | None) -> Diff | None:
    if body is None:
        return None
    departed = {str(table): _count(body["departed"], table) for table in body["departed"]}
    return Diff(_count(body, "added"), _count(body, "removed"), _count(body, "changed"), departed)


def _landing(body: Mapping[str, Any]) -> LandingReceipt:
    return LandingReceipt(
        _text(body, "object_key"),
        _text(body, "etag"),
        _count(body, "lines"),
        _text_or_none(body, "first_day"),
        _text_or_none(body, "last_day"),
    )


def parse_validation(body: Mapping[str, Any] | None) -> Validation | None:
    """What a suite said, as any job's receipt says it. Raises KeyError or TypeError for anything else."""
    if body is None:
        return None
    return Validation(
        success=_flag_or_none(body, "success"),
        results=tuple(
            ExpectationResult(
                expectation=_text(result, "expectation"),
                column=_text_or_none(result, "column"),
                severity=_text(result, "severity"),
                success=_flag_or_none(result, "success"),
                observed=_shown(result.get("observed")),
                unexpected_count=_number_or_none(result, "unexpected_count"),
                detail=_shown(result.get("detail")),
                rows=_number_or_none(result, "rows"),
            )
            for result in body["results"]
        ),
        note=_text_or_none(body, "note"),
    )


def _shown(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, default=str)


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body[name]
    if not isinstance(value, str) or not value:
        raise TypeError(f"{name} is {value!r}, not a text")
    return value


def _text_or_none(body: Mapping[str, Any], name: str) -> str | None:
    return None if body.get(name) is None else _text(body, name)


def _count(body: Mapping[str, Any], name: str) -> int:
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{name} is {value!r}, not a count")
    return value


def _number_or_none(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise TypeError(f"{name} is {value!r}, not a whole number")
    return value


def _flag_or_none(body: Mapping[str, Any], name: str) -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, neither true nor false")
    return value
