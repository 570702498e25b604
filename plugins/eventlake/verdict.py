"""Whether one type's staged load may be seen by readers. The gate closes on doubt: no answer is a no.

Belongs here: the decision. Does not belong here: running expectations (the job), publishing (`eventlake_aws.publish`).
"""

from __future__ import annotations

from dataclasses import dataclass

from eventlake.load_plan import TablePlan
from eventlake.receipt import ExpectationResult, TableReceipt, landings_differ

HOLDING_SEVERITIES = frozenset({"critical", "high"})
WARNING_SEVERITY = "medium"
RECORDED_SEVERITY = "low"


@dataclass(frozen=True)
class Ceilings:
    """Over this share of bad lines a load is held; below `fewest_lines` a share says nothing."""

    quarantine_rate: float = 0.25
    fewest_lines: int = 20


@dataclass(frozen=True)
class Publish:
    """`warnings` leave as alerts, but readers get the data."""

    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hold:
    reasons: tuple[str, ...]


def judge(receipt: TableReceipt, plan: TablePlan, ceilings: Ceilings) -> Publish | Hold:
    """The verdict on one table of a receipt."""
    if receipt.error is not None:
        return Hold((f"error: {receipt.error}",))
    reasons: list[str] = []
    warnings: list[str] = []
    difference = landings_differ(receipt, plan)
    if difference is not None:
        reasons.append(f"not the planned objects: {difference}")
    reasons.extend(_over_ceiling(receipt, ceilings))
    if receipt.validation is None:
        # where no row is staged there is nothing to validate; staged rows without an answer are in doubt
        if receipt.staged_snapshot_id is not None and receipt.counts.loaded:
            reasons.append("no validation result")
    else:
        for result in receipt.validation.results:
            _sort_result(result, reasons, warnings)
        named_failure = any(result.success is not True for result in receipt.validation.results)
        if receipt.validation.success is None:
            reasons.append("no validation result")
        elif not receipt.validation.success and not named_failure:
            reasons.append("the validation failed without naming an expectation")
    return Hold(tuple(reasons)) if reasons else Publish(tuple(warnings))


def _over_ceiling(receipt: TableReceipt, ceilings: Ceilings) -> list[str]:
    counts = receipt.counts
    if counts.lines < ceilings.fewest_lines or counts.quarantined <= ceilings.quarantine_rate * counts.lines:
        return []
    share = f"{counts.quarantined} of {counts.lines} lines quarantined"
    return [f"{share}, over the ceiling of {ceilings.quarantine_rate:.0%}"]


def _sort_result(result: ExpectationResult, reasons: list[str], warnings: list[str]) -> None:
    name = result.expectation if result.column is None else f"{result.expectation}({result.column})"
    if result.success is None:
        reasons.append(f"no result of {name}")
    elif result.success or result.severity == RECORDED_SEVERITY:
        return
    elif result.severity == WARNING_SEVERITY:
        warnings.append(f"medium: {name}, {_unexpected(result)}")
    elif result.severity in HOLDING_SEVERITIES:
        reasons.append(f"{result.severity}: {name}, {_unexpected(result)}")
    else:
        # an unknown severity is a slip of the pen in a suite; guessing it harmless would open the gate
        reasons.append(f"unknown severity {result.severity!r}: {name}, {_unexpected(result)}")


def _unexpected(result: ExpectationResult) -> str:
    return "failed" if result.unexpected_count is None else f"{result.unexpected_count} unexpected"
