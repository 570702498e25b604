"""What an ended load tells: how bad it is, how many rows, which, why, and which troubles are over."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eventlake.alerting import Alert, OpenIncident, Severity, incident_key
from eventlake.circuit_breaker import Ceilings
from eventlake.errors import TerminalError
from eventlake.load_alerts import (
    LOAD_FAILED,
    LOAD_HELD,
    PUBLISHED_FAILING,
    alerts_of_outcome,
    evidence_of_load,
    evidence_of_rollup,
    findings_of_held,
    incidents_over,
)
from eventlake.receipt import Counts, ExpectationResult, TableReceipt, Validation
from eventlake.rollup_plan import RollupReceiptEntry
from eventlake.settings import Settings

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
TABLE = "events.payment_events"
DOCS = "http://127.0.0.1:4566/lake/data-docs/"


def failed(severity: str, unexpected: int | None, uuids: list[str], success: bool | None = False) -> ExpectationResult:
    detail = json.dumps({"why": f"{severity} rows matter.", "event_uuids": uuids})
    return ExpectationResult("expect_x", "net", severity, success, None, unexpected, detail)


def receipt(*results: ExpectationResult, quarantined: int = 0) -> TableReceipt:
    counts = Counts(lines=100, loaded=100 - quarantined, duplicate=0, quarantined=quarantined)
    validation = Validation(all(one.success for one in results), results)
    return TableReceipt(TABLE, "payment", 1, 2, "b", counts, 100, 1, {}, (), {}, validation, None)


def told(outcome: dict[str, Any], of: TableReceipt | None = None, rejected: int = 0) -> tuple[Alert, ...]:
    whole = {"load_id": "load-1", "kind": "load", "held": {}, "warnings": {}, "published": {}, "empty": []} | outcome
    evidence = {} if of is None else {TABLE: evidence_of_load(of, rejected, Ceilings())}
    return alerts_of_outcome(whole, evidence, {TABLE: "team-pay"}, {TABLE: "snapshot 7"}, "url", DOCS, NOW)


@pytest.mark.parametrize(
    ("of", "severity", "rows"),
    [
        (receipt(failed("critical", 3, []), failed("high", 8, [])), Severity.CRITICAL, 8),
        (receipt(failed("high", 3, []), failed("medium", 50, [])), Severity.HIGH, 3),
        # no answer is no failure: nobody knows yet how bad it is
        (receipt(failed("critical", None, [], success=None)), Severity.HIGH, 100),
        (receipt(failed("critcal", None, [])), Severity.HIGH, 100),
        (receipt(quarantined=40), Severity.HIGH, 40),
        (receipt(quarantined=10), Severity.HIGH, 100),
        (None, Severity.HIGH, 0),
    ],
)
def test_a_held_table_is_as_bad_as_its_worst_failure(of: TableReceipt | None, severity: Severity, rows: int) -> None:
    (alert,) = told({"held": {TABLE: ["a reason"]}}, of)
    assert (alert.severity, alert.count, alert.counted) == (severity, rows, "rows")
    assert (alert.owner, alert.dataset, alert.load_id, alert.detail) == ("team-pay", TABLE, "load-1", "a reason")
    assert (alert.last_good, alert.runbook) == ("snapshot 7", "docs/runbooks/load-held.md")
    assert json.loads(alert.to_json("", NOW))["data_docs"] == f"{DOCS}validations/load-1/{TABLE}.html"


def test_a_table_held_for_rejections_counts_them() -> None:
    (alert,) = told({"held": {TABLE: ["70 of 170 records rejected"]}}, receipt(), rejected=70)
    assert (alert.severity, alert.count) == (Severity.HIGH, 70)


def test_an_alert_names_records_and_says_why_it_matters() -> None:
    uuids = [f"u{number}" for number in range(8)]
    results = [failed("critical", 9, uuids), failed("high", 2, ["u0", "v1", "v2", "v3"]), failed("medium", 1, ["w"])]
    (alert,) = told({"held": {TABLE: ["x"]}}, receipt(*results))
    assert alert.samples == (*uuids, "v1", "v2")
    assert alert.why == "critical rows matter. high rows matter."


def test_words_of_an_exception_are_neither_samples_nor_a_reason() -> None:
    broken = ExpectationResult("expect_x", None, "high", None, None, None, "column not found: 'net'")
    (alert,) = told({"held": {TABLE: ["no result of expect_x"]}}, receipt(broken))
    assert (alert.samples, alert.why) == ((), "")


def test_a_medium_failure_is_told_though_it_is_published() -> None:
    of = receipt(failed("medium", 4, ["w"]), failed("low", 90, ["x"]))
    (alert,) = told({"published": {TABLE: 100}, "warnings": {TABLE: ["medium: expect_x"]}}, of)
    assert (alert.what, alert.severity, alert.count, alert.samples) == (PUBLISHED_FAILING, Severity.MEDIUM, 4, ("w",))


def test_what_a_person_accepted_is_told_once_more() -> None:
    of = receipt(failed("critical", 7, ["w"]))
    (alert,) = told({"published": {TABLE: 100}, "warnings": {TABLE: ["accepted: critical: expect_x"]}}, of)
    assert (alert.what, alert.severity, alert.count) == (PUBLISHED_FAILING, Severity.MEDIUM, 7)


def test_what_the_job_could_not_judge_has_an_alert_of_its_own() -> None:
    (alert,) = told({"failed": {TABLE: ["OutOfMemoryError"]}})
    assert (alert.what, alert.severity, alert.detail) == (LOAD_FAILED, Severity.HIGH, "OutOfMemoryError")
    assert alert.runbook == "docs/runbooks/load-failed.md"


def test_a_rollup_tells_under_its_own_name() -> None:
    held = {"held": {"rollups.payments_daily": ["error: x"]}}
    (load,), (rollup,) = told(held), told(held | {"kind": "rollup"})
    assert (load.what, rollup.what, rollup.owner) == (LOAD_HELD, "rollup held", "data-platform")


@pytest.mark.parametrize(
    ("result", "severity", "rows"),
    [(failed("critical", 2, []), Severity.CRITICAL, 2), (failed("high", None, []), Severity.HIGH, 30)],
)
def test_a_rollup_is_as_bad_as_its_suite_says(result: ExpectationResult, severity: Severity, rows: int) -> None:
    validation = Validation(False, (result,))
    entry = RollupReceiptEntry("daily", "rollups.daily", 1, 2, "b", 30, {}, None, validation)
    found = findings_of_held(evidence_of_rollup(entry))
    assert (found.severity, found.rows, found.why) == (severity, rows, f"{severity} rows matter.")


def over(**outcome: Any) -> set[str]:
    return set(incidents_over({"kind": "load", "published": {}, "empty": [], "warnings": {}} | outcome))


def test_a_good_load_ends_failures_but_no_hold() -> None:
    """The rows that were held are as missing as before."""
    failure, medium, held = (incident_key(what, TABLE, TABLE) for what in (LOAD_FAILED, PUBLISHED_FAILING, LOAD_HELD))
    assert over(published={TABLE: 5}) == {failure, medium}
    assert over(published={TABLE: 5}, warnings={TABLE: ["medium: x"]}) == {failure}
    assert over(empty=[TABLE]) == {failure}
    assert held not in over(published={TABLE: 5}, empty=["events.lesson_events"])


@pytest.mark.parametrize(("kind", "what"), [("rebuild", "rebuild held by the quality gate"), ("rollup", "rollup held")])
def test_a_rebuild_and_a_rollup_that_work_again_end_their_hold(kind: str, what: str) -> None:
    assert incident_key(what, TABLE, TABLE) in over(kind=kind, empty=[TABLE])
    assert incident_key(LOAD_FAILED, TABLE, TABLE) not in over(kind=kind, published={TABLE: 1})


def test_a_message_says_since_when_and_links_its_runbook() -> None:
    (alert,) = told({"held": {TABLE: ["x"]}})
    opened_at = NOW - timedelta(days=2)
    message = json.loads(alert.to_json("https://git.example.com/lake/", opened_at, folded=5))
    assert message["runbook"] == "https://git.example.com/lake/docs/runbooks/load-held.md"
    assert (message["since"], message["folded"]) == (opened_at.isoformat(), 5)


def test_a_reminder_is_the_message_that_was_told() -> None:
    (alert,) = told({"held": {TABLE: ["x"]}})
    opened_at = NOW - timedelta(days=2)
    known = OpenIncident(
        alert.incident, alert.severity, opened_at, NOW, 3, alert.what, "o", TABLE, alert.to_json("", NOW)
    )
    assert not known.must_remind(NOW + timedelta(hours=23))
    assert known.must_remind(NOW + timedelta(hours=24))
    assert json.loads(known.reminding_json()) == json.loads(alert.to_json("", opened_at, folded=3))
    assert json.loads(known.closing_json(NOW))["where"] == TABLE


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://git.example.com/lake/blob/main", "https://git.example.com/lake/blob/main/"),
        ("file:///home/me/my%20lake/", "file:///home/me/my%20lake/"),
        ("", ""),
    ],
)
def test_the_address_of_the_runbooks_is_a_setting(given: str, base: str) -> None:
    assert Settings.from_env({"LAKE_RUNBOOK_BASE_URL": given}).runbook_base_url == base


@pytest.mark.parametrize("given", ["docs", "https://", "https://a b/", "ftp://a/", "https://a/?x=1"])
def test_an_address_that_no_link_can_begin_with_is_refused(given: str) -> None:
    with pytest.raises(TerminalError, match="LAKE_RUNBOOK_BASE_URL"):
        Settings.from_env({"LAKE_RUNBOOK_BASE_URL": given})
