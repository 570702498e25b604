"""Whether one type's staged load may be seen by readers. The gate closes on doubt: no answer is a no.

Belongs here: the decision. Does not belong here: running expectations (the job), publishing (`eventlake_aws.publish`).
"""

from __future__ import annotations

from dataclasses import dataclass

from eventlake.circuit_breaker import Ceilings, rates_over_ceiling
from eventlake.load_plan import TablePlan
from eventlake.receipt import ExpectationResult, TableReceipt, Validation, kind_of_exception, landings_differ
from eventlake.rollup_plan import RollupReceiptEntry

HOLDING_SEVERITIES = frozenset({"critical", "high"})
WARNING_SEVERITY = "medium"
RECORDED_SEVERITY = "low"


@dataclass(frozen=True)
class Publish:
    """`warnings` leave as alerts, but readers get the data."""

    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hold:
    """The data is in doubt: somebody has to look, and to decide. `trips_breaker`: a rate was over its ceiling."""

    reasons: tuple[str, ...]
    trips_breaker: bool = False


@dataclass(frozen=True)
class Fail:
    """The job is in doubt, and nothing is known of the data: the next load tries again."""

    reasons: tuple[str, ...]


def judge(
    receipt: TableReceipt | None, plan: TablePlan, ceilings: Ceilings, *, accepts_failures: bool = False
) -> Publish | Hold | Fail:
    """The verdict on one table of a receipt. `accepts_failures`: a person has looked at this data and takes what fails,
    but not what has no answer."""
    if receipt is None:
        return Fail(("the receipt does not speak of this table",))
    if receipt.error is not None:
        return Fail((f"error: {receipt.error}",))
    difference = landings_differ(receipt, plan)
    if difference is not None:
        return Fail((f"not the planned objects: {difference}",))
    # where no row is staged there is nothing to validate; staged rows without an answer are in doubt
    is_staged = receipt.staged_snapshot_id is not None and receipt.counts.loaded > 0
    answers = _answers(receipt.validation, needs_one=is_staged)
    rates = [str(rate) for rate in rates_over_ceiling(receipt.counts, plan.rejected, ceilings)]
    failures = [*rates, *answers.failures]
    if accepts_failures:
        return _verdict([], answers.doubts, [*answers.warnings, *(f"accepted: {failure}" for failure in failures)])
    return _verdict(failures, answers.doubts, answers.warnings, trips_breaker=bool(rates))


def judge_rollup(done: RollupReceiptEntry | None) -> Publish | Hold | Fail:
    """The verdict on one rollup of a receipt. What is held is rebuilt by the next run, and judged again."""
    if done is None:
        return Fail(("the receipt does not speak of this table",))
    if done.error is not None:
        return Fail((f"error: {done.error}",))
    answers = _answers(done.validation, needs_one=done.added_records > 0)
    return _verdict(answers.failures, answers.doubts, answers.warnings)


@dataclass(frozen=True)
class _Answers:
    """What a suite said: what failed and holds, what gave no answer, what failed and does not hold."""

    failures: list[str]
    doubts: list[str]
    warnings: list[str]


def _answers(validation: Validation | None, *, needs_one: bool) -> _Answers:
    answers = _Answers([], [], [])
    for result in () if validation is None else validation.results:
        if result.success is None:
            answers.doubts.append(f"no result of {result.name}")
        elif not result.success and result.severity == WARNING_SEVERITY:
            answers.warnings.append(f"medium: {result.name}, {_unexpected(result)}")
        elif not result.success and result.severity != RECORDED_SEVERITY:
            answers.failures.append(f"{_holding(result.severity)}: {result.name}, {_unexpected(result)}")
    answers.doubts.extend(_doubts(validation, needs_one=needs_one))
    return answers


def _verdict(
    failures: list[str], doubts: list[str], warnings: list[str], *, trips_breaker: bool = False
) -> Publish | Hold:
    return Hold((*failures, *doubts), trips_breaker) if failures or doubts else Publish(tuple(warnings))


def _doubts(validation: Validation | None, *, needs_one: bool) -> list[str]:
    """Where an answer is missing as a whole."""
    if validation is None:
        return ["no validation result"] if needs_one else []
    if validation.success is None:
        why = kind_of_exception(validation.note or "")
        return [f"no validation result: {why}" if why else "no validation result"]
    if not validation.success and all(result.success is True for result in validation.results):
        return ["the validation failed without naming an expectation"]
    return []


def _holding(severity: str) -> str:
    # an unknown severity is a slip of the pen in a suite; guessing it harmless would open the gate
    return severity if severity in HOLDING_SEVERITIES else f"unknown severity {severity!r}"


def _unexpected(result: ExpectationResult) -> str:
    return "failed" if result.unexpected_count is None else f"{result.unexpected_count} unexpected"
