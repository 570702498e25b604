"""What the outcome of a load, a rebuild or a rollup has to tell, and which told troubles it ends.

Belongs here: how bad, how many rows, which samples, why; and which incidents are over. Does not belong here: the
message and its folding (`alerting`), asking the lake and sending (`eventlake_aws.load_alerts`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eventlake.alerting import LAKE_OWNER, MOST_SAMPLES, Alert, Severity, incident_key
from eventlake.circuit_breaker import Ceilings, rates_over_ceiling
from eventlake.data_docs import validation_path
from eventlake.load_plan import LoadKind
from eventlake.receipt import ExpectationResult, TableReceipt, Validation
from eventlake.rollup_plan import RollupReceiptEntry
from eventlake.verdict import RECORDED_SEVERITY, WARNING_SEVERITY

ROLLUP = "rollup"
LOAD_HELD = "load held by the quality gate"
LOAD_FAILED = "load failed"
PUBLISHED_FAILING = "published with failed expectations"
_HELD = {LoadKind.LOAD: LOAD_HELD, LoadKind.REBUILD: "rebuild held by the quality gate", ROLLUP: "rollup held"}
_FAILED = {LoadKind.LOAD: LOAD_FAILED, LoadKind.REBUILD: "rebuild failed", ROLLUP: "rollup failed"}

HELD_RUNBOOK = "docs/runbooks/load-held.md"
FAILED_RUNBOOK = "docs/runbooks/load-failed.md"
_DETAIL_LENGTH = 1000


@dataclass(frozen=True)
class Evidence:
    """What a receipt says of one table: the suite's answers, its lines or rows, and the bad ones when they hold it."""

    validation: Validation | None
    rows: int
    over_ceiling: int = 0


@dataclass(frozen=True)
class Findings:
    """What of that an alert tells."""

    severity: Severity
    rows: int
    samples: tuple[str, ...]
    why: str


def alerts_of_outcome(
    outcome: Mapping[str, Any],
    evidence: Mapping[str, Evidence],
    owners: Mapping[str, str],
    last_good: Mapping[str, str],
    run_url: str,
    data_docs_url: str,
    since: datetime,
) -> tuple[Alert, ...]:
    """Held tables, those that the job could not judge, and what was published with failures that do not hold."""
    kind = outcome["kind"]

    def alert(what: str, runbook: str, table: str, reasons: Sequence[str], found: Findings, counted: str) -> Alert:
        return Alert(
            what=what,
            severity=found.severity,
            where=table,
            since=since,
            count=found.rows,
            samples=found.samples,
            runbook=runbook,
            run_url=run_url,
            owner=owners.get(table, LAKE_OWNER),
            dataset=table,
            detail="; ".join(reasons)[:_DETAIL_LENGTH],
            counted=counted,
            why=found.why,
            last_good=last_good.get(table, ""),
            load_id=outcome["load_id"],
            data_docs=f"{data_docs_url}{validation_path(outcome['load_id'], table)}",
        )

    alerts = [
        alert(_HELD[kind], HELD_RUNBOOK, table, reasons, findings_of_held(evidence.get(table)), "rows")
        for table, reasons in sorted(outcome["held"].items())
    ]
    alerts += [
        alert(_FAILED[kind], FAILED_RUNBOOK, table, reasons, Findings(Severity.HIGH, 1, (), ""), "table")
        for table, reasons in sorted(outcome.get("failed", {}).items())
    ]
    alerts += [
        alert(PUBLISHED_FAILING, HELD_RUNBOOK, table, reasons, findings_of_warned(evidence.get(table)), "rows")
        for table, reasons in sorted(outcome["warnings"].items())
        if reasons
    ]
    return tuple(alerts)


def evidence_of_load(receipt: TableReceipt, rejected: int, ceilings: Ceilings) -> Evidence:
    """`rejected`: as the plan counts them."""
    over_ceiling = sum(rate.bad for rate in rates_over_ceiling(receipt.counts, rejected, ceilings))
    return Evidence(receipt.validation, receipt.counts.lines, over_ceiling)


def evidence_of_rollup(receipt: RollupReceiptEntry) -> Evidence:
    return Evidence(receipt.validation, receipt.added_records)


def findings_of_held(evidence: Evidence | None) -> Findings:
    """Critical when a critical expectation failed; a missing answer, a ceiling and a doubtful receipt are high."""
    holding = [
        one
        for one in _results(evidence)
        if one.success is not True and one.severity not in (WARNING_SEVERITY, RECORDED_SEVERITY)
    ]
    is_critical = any(one.success is False and one.severity == Severity.CRITICAL for one in holding)
    severity = Severity.CRITICAL if is_critical else Severity.HIGH
    over_ceiling = 0 if evidence is None else evidence.over_ceiling
    return Findings(severity, _rows(evidence, holding, over_ceiling), _samples(holding), _why(holding))


def findings_of_warned(evidence: Evidence | None) -> Findings:
    """Medium however bad: what is worse and published all the same, a person has looked at and accepted."""
    failed = [one for one in _results(evidence) if one.success is False and one.severity != RECORDED_SEVERITY]
    return Findings(Severity.MEDIUM, _rows(evidence, failed), _samples(failed), _why(failed))


def incidents_over(outcome: Mapping[str, Any]) -> tuple[str, ...]:
    """What the tables that are published or found as they should be put an end to.

    Not a held load: its rows are still missing, whatever came after it. That ends when nothing of it is held any more.
    """
    kind, warned = outcome["kind"], {table for table, reasons in outcome["warnings"].items() if reasons}
    ended = (_FAILED,) if kind == LoadKind.LOAD else (_FAILED, _HELD)
    over = [
        incident_key(what[kind], table, table) for table in (*outcome["published"], *outcome["empty"]) for what in ended
    ]
    # one that brought nothing has not shown that the next rows are better
    over += [incident_key(PUBLISHED_FAILING, table, table) for table in outcome["published"] if table not in warned]
    return tuple(sorted(over))


def _results(evidence: Evidence | None) -> tuple[ExpectationResult, ...]:
    return () if evidence is None or evidence.validation is None else evidence.validation.results


def _rows(evidence: Evidence | None, results: Iterable[ExpectationResult], over_ceiling: int = 0) -> int:
    """As many as are concerned at least. What names no row is about all of them."""
    named = max((one.unexpected_count or 0 for one in results), default=0)
    return max(named, over_ceiling) or (0 if evidence is None else evidence.rows)


def _samples(results: Iterable[ExpectationResult]) -> tuple[str, ...]:
    uuids = [str(uuid) for one in results for uuid in _said(one).get("event_uuids", ())]
    return tuple(dict.fromkeys(uuids))[:MOST_SAMPLES]


def _why(results: Iterable[ExpectationResult]) -> str:
    return " ".join(dict.fromkeys(str(why) for one in results if (why := _said(one).get("why"))))[:_DETAIL_LENGTH]


def _said(result: ExpectationResult) -> Mapping[str, Any]:
    """What the job adds of a failed expectation; an exception's words are none of it."""
    try:
        said = json.loads(result.detail or "{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
