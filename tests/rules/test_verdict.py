"""The gate closes on doubt."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlake.circuit_breaker import Ceilings
from eventlake.load_plan import Landing, TablePlan
from eventlake.receipt import Counts, ExpectationResult, LandingReceipt, TableReceipt, Validation
from eventlake.rollup_plan import RollupReceiptEntry
from eventlake.verdict import Fail, Hold, Publish, judge, judge_rollup
from tests.single_draws import builds_at_once

PLAN = TablePlan("events.payment_events", "payment", 1, (Landing("k", "e", 1, "raw", "payment", "order"),))
GOOD = TableReceipt(
    table="events.payment_events",
    event_type="payment",
    base_snapshot_id=1,
    staged_snapshot_id=2,
    branch="b",
    counts=Counts(100, 100, 0, 0),
    added_records=100,
    added_files=1,
    days={"2026-11-20": 100},
    landings=(LandingReceipt("k", "e", 100, None, None),),
    quarantined_by_reason={},
    validation=Validation(True, ()),
    error=None,
)
results = builds_at_once(
    ExpectationResult,
    ["expect_x"],
    [None, "net"],
    ["critical", "high", "medium", "low", "severe", ""],
    [True, False, None],
    [None],
    [None, 3],
    [None],
)


def result(severity: str, success: bool | None) -> ExpectationResult:
    return ExpectationResult("expect_x", "net", severity, success, None, 3, None)


def judged(*found: ExpectationResult, success: bool | None = None) -> Publish | Hold | Fail:
    told = all(one.success for one in found) if success is None else success
    return judge(replace(GOOD, validation=Validation(told, found)), PLAN, Ceilings())


@pytest.mark.parametrize(
    ("severity", "verdict"),
    [
        ("critical", Hold(("critical: expect_x(net), 3 unexpected",))),
        ("high", Hold(("high: expect_x(net), 3 unexpected",))),
        ("medium", Publish(("medium: expect_x(net), 3 unexpected",))),
        ("low", Publish(())),
        ("severe", Hold(("unknown severity 'severe': expect_x(net), 3 unexpected",))),
    ],
)
def test_severity_decides(severity: str, verdict: Publish | Hold) -> None:
    assert judged(result(severity, False)) == verdict
    assert judged(result(severity, True)) == Publish(())


def test_a_missing_answer_holds() -> None:
    assert judged(result("low", None)) == Hold(("no result of expect_x(net)",))
    assert judge(replace(GOOD, validation=None), PLAN, Ceilings()) == Hold(("no validation result",))
    assert judge(replace(GOOD, validation=Validation(None, ())), PLAN, Ceilings()) == Hold(("no validation result",))
    unsaid = Validation(None, (), "AnalysisException: column `x` of the row 'ada@example.org'")
    assert judge(replace(GOOD, validation=unsaid), PLAN, Ceilings()) == Hold(
        ("no validation result: AnalysisException",)
    )
    named_nothing = judge(replace(GOOD, validation=Validation(False, ())), PLAN, Ceilings())
    assert named_nothing == Hold(("the validation failed without naming an expectation",))


def test_a_load_that_adds_nothing_needs_no_validation() -> None:
    empty = replace(GOOD, counts=Counts(100, 0, 100, 0), staged_snapshot_id=None, validation=None)
    assert judge(empty, PLAN, Ceilings()) == Publish(())


@pytest.mark.parametrize("accepts", [False, True])
def test_a_job_that_failed_says_nothing_of_the_data(accepts: bool) -> None:
    broken = replace(GOOD, error="out of memory")
    assert judge(broken, PLAN, Ceilings(), accepts_failures=accepts) == Fail(("error: out of memory",))
    silent = judge(None, PLAN, Ceilings(), accepts_failures=accepts)
    assert silent == Fail(("the receipt does not speak of this table",))
    other = judge(replace(GOOD, landings=()), PLAN, Ceilings(), accepts_failures=accepts)
    assert isinstance(other, Fail)
    assert "1 planned objects not read" in other.reasons[0]


def test_what_a_person_accepted_is_published_and_told() -> None:
    found = (result("critical", False), result("high", False), result("medium", False), result("low", False))
    receipt = replace(GOOD, counts=Counts(100, 50, 0, 50), validation=Validation(False, found))
    assert isinstance(judge(receipt, PLAN, Ceilings()), Hold)
    assert judge(receipt, PLAN, Ceilings(), accepts_failures=True) == Publish(
        (
            "medium: expect_x(net), 3 unexpected",
            "accepted: 50 of 100 lines quarantined, over the ceiling of 25%",
            "accepted: critical: expect_x(net), 3 unexpected",
            "accepted: high: expect_x(net), 3 unexpected",
        )
    )


def test_nobody_accepts_what_has_no_answer() -> None:
    unanswered = Validation(None, (result("critical", False), result("low", None)))
    verdict = judge(replace(GOOD, validation=unanswered), PLAN, Ceilings(), accepts_failures=True)
    assert verdict == Hold(("no result of expect_x(net)", "no validation result"))


@pytest.mark.parametrize(
    ("lines", "bad", "is_held"), [(100, 25, False), (100, 26, True), (19, 19, False), (20, 6, True), (20, 5, False)]
)
def test_too_many_bad_rows_hold(lines: int, bad: int, is_held: bool) -> None:
    receipt = replace(GOOD, counts=Counts(lines, lines - bad, 0, bad))
    assert isinstance(judge(receipt, PLAN, Ceilings(0.25, 20)), Hold) is is_held


@given(st.lists(results, max_size=6), st.sampled_from([True, False, None]))
def test_readers_get_nothing_in_doubt(found: list[ExpectationResult], success: bool | None) -> None:
    verdict = judge(replace(GOOD, validation=Validation(success, tuple(found))), PLAN, Ceilings())
    doubtful = [
        one for one in found if one.success is None or (not one.success and one.severity not in ("medium", "low"))
    ]
    if doubtful or success is None:
        assert isinstance(verdict, Hold)
    if isinstance(verdict, Publish):
        assert len(verdict.warnings) == sum(one.success is False and one.severity == "medium" for one in found)


ROLLED_UP = RollupReceiptEntry("daily", "rollups.daily", 1, 2, "b", 7, {"2026-11-21": 7}, None, Validation(True, ()))


@pytest.mark.parametrize(
    ("done", "verdict"),
    [
        (ROLLED_UP, Publish(())),
        (None, Fail(("the receipt does not speak of this table",))),
        (replace(ROLLED_UP, error="no such column"), Fail(("error: no such column",))),
        (replace(ROLLED_UP, validation=None), Hold(("no validation result",))),
        (replace(ROLLED_UP, validation=None, added_records=0), Publish(())),
        (
            replace(ROLLED_UP, validation=Validation(False, (result("high", False),))),
            Hold(("high: expect_x(net), 3 unexpected",)),
        ),
        (
            replace(ROLLED_UP, validation=Validation(False, (result("medium", False),))),
            Publish(("medium: expect_x(net), 3 unexpected",)),
        ),
    ],
)
def test_a_rollup_is_judged_as_a_table_is(done: RollupReceiptEntry | None, verdict: Publish | Hold | Fail) -> None:
    assert judge_rollup(done) == verdict
