"""Alerts as a subscriber gets them: one incident one message, told by the load that closed the gate, closed in time."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from lake_builders import NOW, Lake, Sent
from test_live_care import ROLLUP as ROLLUP_SQL
from test_live_care import rolled_up, rollup_dates
from test_live_loads import TABLE, planned, published

from alerts import arrived, as_text
from eventlake.alerting import Alert, Mute, Severity, incident_key
from eventlake.errors import TerminalError
from eventlake.load_alerts import LOAD_FAILED, LOAD_HELD, ROLLUP
from eventlake.load_plan import LoadPlan
from eventlake.release import Release, ReleaseAction
from eventlake.table_evolution import EvolutionError, plan_evolution
from eventlake.table_schema import contract_columns
from eventlake_aws.alerts import clear_alert, mute_incident, open_incidents, raise_alert
from eventlake_aws.clients import Clients
from eventlake_aws.load_alerts import alert_on_outcome, settle_held_tables
from eventlake_aws.publish import main_snapshot_id
from eventlake_aws.release_steps import plan_and_store_release
from tests.contract_builders import a_contract

PAYMENT, SECOND = Sent("uuid-0", 100), Sent("uuid-1", 101)
LAG = Alert("lag", Severity.MEDIUM, "stream", NOW, 3, ("u",), "docs/runbooks/stream-lag.md", "", "team", "stream")

ALARM = {
    "AlarmName": "stream-lag",
    "AlarmDescription": "admit_events is behind; runbook https://git.example.com/docs/runbooks/stream-lag.md",
    "NewStateValue": "ALARM",
    "StateChangeTime": "2026-11-21T09:00:00.000+0000",
}

Inbox = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def inbox(lake: Lake) -> Inbox:
    """What a subscriber of the alerts gets."""
    sqs = boto3.client("sqs", region_name=lake.settings.region)
    url = sqs.create_queue(QueueName=lake.settings.alerts_inbox_queue)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    lake.clients.sns.subscribe(
        TopicArn=lake.settings.alerts_topic_arn,
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": "true"},
    )

    def messages() -> list[dict[str, Any]]:
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        for message in got:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in got]

    return messages


def test_one_incident_is_one_message(lake: Lake, inbox: Inbox) -> None:
    assert raise_alert(lake.clients, lake.settings, LAG, now=NOW)["sent"]
    folded = raise_alert(lake.clients, lake.settings, LAG, now=NOW + timedelta(minutes=10))
    assert (folded["sent"], folded["folded"]) == (False, 1)
    assert [one.what for one in open_incidents(lake.clients, lake.settings)] == ["lag"]
    assert clear_alert(lake.clients, lake.settings, incident=LAG.incident, now=NOW)["cleared"]
    assert not clear_alert(lake.clients, lake.settings, incident=LAG.incident, now=NOW)["cleared"]
    assert [(message["state"], message["incident"]) for message in inbox()] == [
        ("open", LAG.incident),
        ("closed", LAG.incident),
    ]


def test_a_muted_incident_is_silent_until_its_end(lake: Lake, inbox: Inbox) -> None:
    def told(days: float) -> bool:
        return bool(raise_alert(lake.clients, lake.settings, LAG, now=NOW + timedelta(days=days))["sent"])

    def mute(incident: str) -> None:
        chosen = {"until": (NOW + timedelta(days=3)).isoformat(), "reason": "a fix is on its way", "muted_by": "ada"}
        mute_incident(lake.clients, lake.settings, incident=incident, now=NOW, **chosen)
        (known,) = open_incidents(lake.clients, lake.settings)
        assert known.mute == Mute(NOW + timedelta(days=3), "a fix is on its way", "ada")

    with pytest.raises(TerminalError, match="it is not open; valid is one that is: none"):
        mute(LAG.incident)
    assert told(0)
    with pytest.raises(TerminalError, match=f"not open; valid is one that is: {LAG.incident}"):
        mute("nobodys/incident")
    mute(LAG.incident)
    # silent for its days, then told, then as any other
    assert [told(days) for days in (1, 2.9, 3, 3.1, 4)] == [False, False, True, False, True]
    messages = inbox()
    assert [message["state"] for message in messages] == ["open", "muted", "open", "open"]
    assert (messages[1]["reason"], messages[1]["muted_by"]) == ("a fix is on its way", "ada")


def load(lake: Lake, run_id: str, rows: list[Sent], *, is_good: bool) -> tuple[LoadPlan, dict[str, Any]]:
    """A load of payments, published or held for a critical expectation, and told as its task tells it."""
    lake.land(rows)
    _, plan = planned(lake, run_id)
    failure = {
        "expectation": "expect_x",
        "column": "net",
        "severity": "critical",
        "success": False,
        "unexpected_count": 1,
        "detail": {"why": "Finance relies on it.", "event_uuids": [rows[0].event_uuid]},
    }
    judged = {"success": True, "results": []} if is_good else {"success": False, "results": [failure]}
    lake.write_receipt(plan, "jr_1", [lake.receipt_entry(plan, TABLE, "jr_1", rows, validation=judged)])
    return plan, published(lake, plan)


def tell(lake: Lake, outcome: dict[str, Any]) -> dict[str, Any]:
    if "rollup_run_id" in outcome:
        # as the task publish_rollups hands it on
        outcome |= {"kind": ROLLUP, "load_id": outcome["rollup_run_id"]}
    return alert_on_outcome(lake.clients, lake.settings, outcome=outcome, run_url="http://run", now=NOW)


def decide(lake: Lake, plan: LoadPlan, action: ReleaseAction) -> None:
    """What a person does with a held load."""
    plan_and_store_release(
        lake.clients,
        lake.settings,
        dag_id="release_load",
        run_id=plan.load_id,
        release=Release(plan.load_id, action, "a test decides", "somebody"),
        tables=(),
        dry_run=False,
        now=NOW,
    )


def test_a_held_load_says_how_bad_it_is_which_rows_and_what_readers_see(lake: Lake, inbox: Inbox) -> None:
    # given: something that readers see already
    good, _ = load(lake, "run-1", [PAYMENT], is_good=True)
    shown = main_snapshot_id(lake.catalog, TABLE)
    # when
    plan, outcome = load(lake, "run-2", [SECOND, Sent("uuid-2", 102)], is_good=False)
    assert tell(lake, outcome) == {"alerts": 1, "sent": 1, "cleared": 0}
    # then
    (message,) = inbox()
    assert (message["what"], message["severity"], message["owner"]) == (LOAD_HELD, "critical", "team-payments")
    assert (message["count"], message["counted"], message["samples"]) == (1, "rows", ["uuid-1"])
    assert (message["why"], message["detail"]) == ("Finance relies on it.", "critical: expect_x(net), 1 unexpected")
    assert (message["load_id"], message["run_url"]) == (plan.load_id, "http://run")
    assert message["last_good"].startswith(f"snapshot {shown} of ")
    assert message["last_good"].endswith(f" by {good.load_id}")


def test_a_held_load_stays_open_until_nothing_of_it_is_held(lake: Lake, inbox: Inbox) -> None:
    """A good load after it publishes other rows; those that were held are as missing as before."""
    held, outcome = load(lake, "run-1", [PAYMENT], is_good=False)
    tell(lake, outcome)
    _, good = load(lake, "run-2", [SECOND], is_good=True)
    assert tell(lake, good)["cleared"] == 0
    tomorrow = NOW + timedelta(days=1)
    # when: still held after an hour, and after a day
    settled = [settle_held_tables(lake.clients, lake.settings, now=now) for now in (NOW + timedelta(hours=1), tomorrow)]
    # then: a day later it is told again, and once decided on it is over
    assert settled == [{"cleared": [], "reminded": []}, {"cleared": [], "reminded": [TABLE]}]
    decide(lake, held, ReleaseAction.GATE_AGAIN)
    over = settle_held_tables(lake.clients, lake.settings, now=tomorrow + timedelta(hours=1))
    assert over == {"cleared": [TABLE], "reminded": []}
    told, reminded, closed = inbox()
    assert reminded == told
    assert (closed["state"], closed["incident"]) == ("closed", incident_key(LOAD_HELD, TABLE, TABLE))
    assert open_incidents(lake.clients, lake.settings) == []


def test_a_task_that_tells_again_folds_nothing(lake: Lake) -> None:
    _, outcome = load(lake, "run-1", [PAYMENT], is_good=False)
    for _ in range(3):
        tell(lake, outcome)
    _, second = load(lake, "run-2", [SECOND], is_good=False)
    tell(lake, second)
    (incident,) = open_incidents(lake.clients, lake.settings)
    assert incident.folded == 1


def test_two_held_loads_of_a_table_are_one_incident_until_both_are_decided(lake: Lake, inbox: Inbox) -> None:
    plans = []
    for run_id, sent in (("run-1", PAYMENT), ("run-2", SECOND)):
        plan, outcome = load(lake, run_id, [sent], is_good=False)
        tell(lake, outcome)
        plans.append(plan)
    assert len(inbox()) == 1
    cleared = []
    for plan in plans:
        decide(lake, plan, ReleaseAction.SUPERSEDE)
        cleared.append(settle_held_tables(lake.clients, lake.settings, now=NOW)["cleared"])
    assert cleared == [[], [TABLE]]


def test_a_rollup_that_its_suite_refuses_is_told_until_it_is_published(lake: Lake, inbox: Inbox) -> None:
    lake.define({}, {"payments_daily": ROLLUP_SQL})
    lake.publish_directly(TABLE, [PAYMENT])
    failure = {"expectation": "expect_x", "column": "payments", "severity": "critical", "success": False}
    told = [
        tell(lake, rolled_up(lake, rollup_dates(lake, run_id)[0], {"success": not failures, "results": failures}))
        for run_id, failures in (("run-1", [failure]), ("run-2", []))
    ]
    assert [(one["sent"], one["cleared"]) for one in told] == [(1, 0), (0, 1)]
    message, closed = inbox()
    assert (message["what"], message["severity"], message["count"]) == ("rollup held", "critical", 1)
    assert (closed["state"], closed["where"]) == ("closed", "rollups.payments_daily")


def test_a_failed_table_is_over_when_it_is_loaded_after_all(lake: Lake, inbox: Inbox) -> None:
    _, outcome = load(lake, "run-1", [PAYMENT], is_good=True)
    failed = outcome | {"published": {}, "failed": {TABLE: ["OutOfMemoryError: Java heap space"]}}
    assert tell(lake, failed) == {"alerts": 1, "sent": 1, "cleared": 0}
    assert tell(lake, outcome)["cleared"] == 1
    assert [(one["state"], one["what"]) for one in inbox()] == [("open", LOAD_FAILED), ("closed", LOAD_FAILED)]


def test_an_edit_that_a_table_cannot_follow_fails_that_table_alone_and_says_what_to_do(
    lake: Lake, inbox: Inbox
) -> None:
    # given: what the job says of a table whose rows the contract's new type would not survive
    wanted = contract_columns([a_contract({"net": {"type": "integer"}})])
    with pytest.raises(EvolutionError) as refusal:
        plan_evolution(TABLE, {column.name: "string" for column in wanted}, wanted)
    key = lake.land([PAYMENT])
    lesson = Sent("uuid-9", 900, "lesson", "exercise")
    lake.land([lesson])
    _, plan = planned(lake)
    entries = [
        lake.receipt_entry(plan, TABLE, "jr_1", [], error=f"EvolutionError: {refusal.value}"),
        lake.receipt_entry(plan, "events.lesson_events", "jr_1", [lesson]),
    ]
    lake.write_receipt(plan, "jr_1", entries)
    # when
    outcome = published(lake, plan)
    tell(lake, outcome)
    # then
    assert (list(outcome["published"]), list(outcome["failed"])) == (["events.lesson_events"], [TABLE])
    assert (lake.rows("events.lesson_events"), lake.landing(key)["status"]) == (["uuid-9"], "waiting")
    [message] = inbox()
    assert (message["what"], message["dataset"]) == (LOAD_FAILED, TABLE)
    assert "net is string and would become bigint (contract payment/order.json)" in message["detail"]
    assert "give the field a new name in the contract" in message["detail"]
    assert message["runbook"].endswith("load-failed.md")


@pytest.mark.parametrize("service", ["sns", "dynamodb"])
def test_an_alert_is_told_by_the_retry_when_a_service_was_out(
    lake: Lake, inbox: Inbox, faults: Path, service: str
) -> None:
    _, outcome = load(lake, "run-1", [PAYMENT], is_good=False)
    impatient = Clients(lake.settings)
    impatient._config = impatient._config.merge(Config(retries={"max_attempts": 1}))
    faults.write_text(json.dumps({f"outage_{service}": 1}))
    try:
        with pytest.raises(ClientError, match=r"503|ServiceUnavailable"):
            tell(Lake(lake.settings, impatient), outcome)
    finally:
        faults.write_text("{}")
    assert tell(lake, outcome)["sent"] == 1
    assert [message["what"] for message in inbox()] == [LOAD_HELD]


def test_what_arrived_is_shown_newest_last_and_stays(lake: Lake) -> None:
    # given: an inbox as the template makes it, an incident that is over, and an alarm that lasts
    sqs = boto3.client("sqs", region_name=lake.settings.region)
    url = sqs.create_queue(QueueName=lake.settings.alerts_inbox_queue)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = lake.settings.alerts_topic_arn
    lake.clients.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    assert as_text(arrived(sqs, lake.settings)) == ["no alert has arrived"]
    raise_alert(lake.clients, lake.settings, LAG, now=NOW)
    clear_alert(lake.clients, lake.settings, incident=LAG.incident, now=NOW)
    alarm = ALARM | {"AlarmName": f"{lake.settings.prefix}-stream-lag"}
    lake.clients.sns.publish(TopicArn=topic, Message=json.dumps(alarm))
    # when: twice, because reading takes nothing
    first, second = (as_text(arrived(sqs, lake.settings)) for _ in range(2))
    # then
    assert first == second
    assert [line[22:] for line in first if not line.startswith("    ")][:-1] == [
        "open    medium    lag: stream",
        "closed  medium    lag: stream",
        "open    alarm     admit_events is behind: stream-lag",
    ]
    assert "    since        2026-11-21T09:00:00+00:00, 3 rows, such as u" in first
    assert "    runbook      https://git.example.com/docs/runbooks/stream-lag.md" in first
    assert first[-1] == "(1 open of 2 incidents)"
