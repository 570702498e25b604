"""What is done beside the loads: rollups planned and published, sweeps, audits of retention."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import cfnlint.decode
import pyarrow as pa
import pytest
from lake_builders import NOW, ROW, Lake, Sent, wait_until
from test_live_loads import TABLE, planned, published

from eventlake.retention import SMALLEST_TRANSITION_BYTES
from eventlake.rollup_plan import sources_text
from eventlake.settings import Settings
from eventlake_aws.clients import Clients
from eventlake_aws.control_tables import VALIDATIONS
from eventlake_aws.publish import JOB_RUN_ID_PROPERTY, main_snapshot_id
from eventlake_aws.quarantine_rows import append_quarantine, open_identities, resolve_loaded
from eventlake_aws.retention_audit import audit_lifecycle
from eventlake_aws.rollups import (
    ROLLUP_RUN_ID_PROPERTY,
    SOURCES_PROPERTY,
    abandon_rollups,
    plan_rollups,
    publish_rollups,
)
from eventlake_aws.row_filters import equals
from eventlake_aws.sweep import sweep_landings

ROOT = Path(__file__).resolve().parents[2]
ROLLUP = """-- description: payments a day
-- partition: event_date
-- sources: events.payment_events
select event_date, count(*) as payments from events.payment_events group by event_date
"""
PAYMENT = Sent("uuid-0", 100)
GOOD = {"success": True, "results": []}


def rolled_up(
    lake: Lake, plan: dict[str, Any], validation: Mapping[str, Any] = GOOD, **properties: str
) -> dict[str, Any]:
    """What the rollup job leaves, and what publishing makes of it."""
    folder = f"control/rollups/{plan['rollup_run_id']}/"
    body = json.loads(
        lake.clients.s3.get_object(Bucket=lake.settings.lake_bucket, Key=f"{folder}plan.json")["Body"].read()
    )
    (entry,) = body["rollups"]
    said = {
        ROLLUP_RUN_ID_PROPERTY: plan["rollup_run_id"],
        JOB_RUN_ID_PROPERTY: "jr_r",
        SOURCES_PROPERTY: sources_text(entry["sources"]),
    } | properties
    table = lake.table(entry["table"])
    if table.current_snapshot() is None:
        table.append(ROW.empty_table())
    base = main_snapshot_id(lake.catalog, entry["table"])
    assert base is not None
    branch = f"b_{plan['rollup_run_id'].rsplit('-', 2)[1]}"
    table.manage_snapshots().create_branch(base, branch).commit()
    table.append(pa.Table.from_pylist([PAYMENT.row("x")], schema=ROW), snapshot_properties=said, branch=branch)
    staged = table.refresh().metadata.refs[branch].snapshot_id
    receipt = {
        "rollup_run_id": plan["rollup_run_id"],
        "job_run_id": "jr_r",
        "rollups": [
            {
                "name": entry["name"],
                "table": entry["table"],
                "base_snapshot_id": base,
                "staged_snapshot_id": staged,
                "branch": branch,
                "added_records": 1,
                "days": {"2026-11-21": 1},
                "error": None,
                "validation": validation,
            }
        ],
    }
    lake.put_lake(f"{folder}receipt-jr_r.json", json.dumps(receipt).encode())
    return publish_rollups(lake.clients, lake.settings, rollup_run_id=plan["rollup_run_id"], job_run_id="jr_r", now=NOW)


def rollup_dates(lake: Lake, run_id: str) -> tuple[dict[str, Any], list[str]]:
    plan = plan_rollups(lake.clients, lake.settings, dag_id="load_events", run_id=run_id, now=NOW)
    if plan["nothing_to_do"]:
        return plan, []
    key = plan["plan_uri"].split("/", 3)[3]
    body = json.loads(lake.clients.s3.get_object(Bucket=lake.settings.lake_bucket, Key=key)["Body"].read())
    return plan, body["rollups"][0]["dates"]


def test_a_rollup_rebuilds_the_dates_that_changed_since(lake: Lake) -> None:
    # given: no source yet, then two days
    lake.define({}, {"payments_daily": ROLLUP})
    assert rollup_dates(lake, "run-0")[1] == []
    lake.publish_directly(TABLE, [PAYMENT, Sent("uuid-1", 101, day="2026-11-20")])
    # when
    plan, dates = rollup_dates(lake, "run-1")
    # then
    assert dates == ["2026-11-20", "2026-11-21"]
    assert rollup_dates(lake, "run-1")[0] == plan
    outcome = rolled_up(lake, plan)
    assert (outcome["published"], outcome["days"]) == ({"rollups.payments_daily": 1}, {"rollups.payments_daily": dates})
    # and then only what changed: one day more, or one day less after an undo
    assert rollup_dates(lake, "run-2")[1] == []
    lake.publish_directly(TABLE, [Sent("uuid-2", 102, day="2026-11-19")])
    assert rollup_dates(lake, "run-3")[1] == ["2026-11-19"]


def test_what_another_run_rebuilds_is_left_to_it_or_waited_for(lake: Lake) -> None:
    """That run may have looked before this one published: a day is closed with rollups that show it."""
    # given: a run that rebuilds, and rows that came after it had looked
    lake.define({}, {"payments_daily": ROLLUP})
    lake.publish_directly(TABLE, [PAYMENT])
    plan, _ = rollup_dates(lake, "run-1")
    lake.publish_directly(TABLE, [Sent("uuid-2", 102, day="2026-11-19")])
    of_day = {"dag_id": "close_day", "run_id": "run-2", "now": NOW, "needs_all": True}
    # when
    assert rollup_dates(lake, "run-2")[0]["nothing_to_do"]
    answer = plan_rollups(lake.clients, lake.settings, **of_day)
    assert answer == {"nothing_to_do": True, "leased": ["rollup#payments_daily"]}
    # then
    rolled_up(lake, plan)
    answer = plan_rollups(lake.clients, lake.settings, **of_day)
    assert (answer["leased"], answer["dates"]) == ([], 1)
    # and a run that failed for good keeps nobody waiting
    assert plan_rollups(lake.clients, lake.settings, **of_day | {"run_id": "run-3"})["leased"]
    abandon_rollups(lake.clients, lake.settings, rollup_run_id=answer["rollup_run_id"])
    assert plan_rollups(lake.clients, lake.settings, **of_day | {"run_id": "run-3"})["dates"] == 1


def test_a_rollup_that_misremembers_its_sources_is_held(lake: Lake) -> None:
    lake.define({}, {"payments_daily": ROLLUP})
    lake.publish_directly(TABLE, [PAYMENT])
    plan, _ = rollup_dates(lake, "run-1")
    outcome = rolled_up(lake, plan, **{SOURCES_PROPERTY: "{}"})
    assert "eventlake.sources" in outcome["held"]["rollups.payments_daily"][0]
    assert lake.rows("rollups.payments_daily") == []


def test_a_rollup_that_its_suite_refuses_is_held_and_rebuilt_by_the_next_run(lake: Lake) -> None:
    # given
    lake.define({}, {"payments_daily": ROLLUP})
    lake.publish_directly(TABLE, [PAYMENT])
    failed = {"expectation": "expect_x", "column": "payments", "severity": "critical", "success": False, "rows": 1}
    # when
    outcome = rolled_up(lake, rollup_dates(lake, "run-1")[0], {"success": False, "results": [failed]})
    # then
    assert outcome["held"] == {"rollups.payments_daily": ["critical: expect_x(payments), failed"]}
    assert lake.rows("rollups.payments_daily") == []
    [said] = lake.catalog.load_table(VALIDATIONS).scan().to_arrow().to_pylist()
    assert (said["load_id"], said["table_name"]) == (outcome["rollup_run_id"], "rollups.payments_daily")
    plan, dates = rollup_dates(lake, "run-2")
    assert dates == ["2026-11-21"]
    # and what only warns is published and told
    warning = failed | {"severity": "medium"}
    outcome = rolled_up(lake, plan, {"success": False, "results": [warning]})
    assert (list(outcome["published"]), outcome["held"]) == (["rollups.payments_daily"], {})
    assert outcome["warnings"] == {"rollups.payments_daily": ["medium: expect_x(payments), failed"]}


def test_the_sweep_records_what_was_forgotten(lake: Lake) -> None:
    forgotten = lake.land([PAYMENT], name="forgotten", is_recorded=False)
    gone = lake.land([PAYMENT], name="gone")
    lake.clients.s3.delete_object(Bucket=lake.settings.raw_bucket, Key=gone)
    later = datetime.now(UTC) + timedelta(hours=1)
    found = sweep_landings(lake.clients, lake.settings, repair=False, now=later)
    assert (found["unrecorded"], found["repaired"], found["vanished"]) == ([forgotten], 0, [gone])
    assert sweep_landings(lake.clients, lake.settings, repair=True, now=later)["repaired"] == 1
    assert lake.landing(forgotten)["status"] == "waiting"
    assert sweep_landings(lake.clients, lake.settings, repair=True, now=later)["unrecorded_count"] == 0


def test_a_young_object_is_not_forgotten_yet(lake: Lake) -> None:
    lake.land([PAYMENT], name="young", is_recorded=False)
    found = sweep_landings(lake.clients, lake.settings, repair=True, now=datetime.now(UTC))
    assert (found["listed"], found["unrecorded_count"]) == (1, 0)


def test_the_audit_names_buckets_without_rules_and_orphaned_branches(lake: Lake) -> None:
    # given: a load that ended, and an orphaned run of it that staged afterwards
    lake.land([PAYMENT])
    _, plan = planned(lake)
    lake.write_receipt(plan, "jr_1", [lake.receipt_entry(plan, TABLE, "jr_1", [PAYMENT])])
    published(lake, plan)
    lake.stage(TABLE, [PAYMENT], plan.load_id, "jr_orphan", branch="load_orphan")
    # when
    audit = audit_lifecycle(lake.clients, lake.settings, now=datetime.now(UTC))
    # then
    assert [finding["kind"] for finding in audit["findings"]] == ["no_lifecycle", "no_lifecycle"]
    assert audit["orphans"] == [f"{TABLE}@load_orphan"]
    assert audit["objects"] > 3


BIG = b"x" * SMALLEST_TRANSITION_BYTES


@pytest.fixture
def declared(environment: None) -> tuple[Clients, Settings]:
    """The buckets as the template declares them, with nothing around them."""
    settings = Settings(prefix=f"t{uuid.uuid4().hex[:8]}")
    template, _ = cfnlint.decode.decode(str(ROOT / "include/cloudformation/lake.yaml"))
    resources = {name: template["Resources"][name] for name in ("Key", "RawBucket", "LakeBucket")}
    del resources["RawBucket"]["DependsOn"], resources["RawBucket"]["Properties"]["NotificationConfiguration"]
    body = {"Parameters": {"Prefix": {"Type": "String"}}, "Resources": resources}
    cloudformation = boto3.client("cloudformation", region_name=settings.region)
    cloudformation.create_stack(
        StackName=settings.prefix,
        TemplateBody=json.dumps(body),
        Parameters=[{"ParameterKey": "Prefix", "ParameterValue": settings.prefix}],
    )
    patience = {"Delay": 0.1, "MaxAttempts": 600}
    cloudformation.get_waiter("stack_create_complete").wait(StackName=settings.prefix, WaiterConfig=patience)
    return Clients(settings), settings


def test_what_the_rules_did_is_as_declared_and_what_they_missed_is_found(
    declared: tuple[Clients, Settings], ahead: Callable[[timedelta], None]
) -> None:
    """The template's rules, the declared retention and what S3 makes of both are the same thing."""
    clients, settings = declared
    raw = settings.raw_bucket

    def classes() -> dict[str, str]:
        listed = clients.s3.list_objects_v2(Bucket=raw).get("Contents", [])
        return {one["Key"]: one["StorageClass"] for one in listed}

    def findings(days: int) -> list[tuple[str, str, str, str]]:
        audit = audit_lifecycle(clients, settings, now=datetime.now(UTC) + timedelta(days=days))
        return [(one["kind"], one["where"], one["expected"], one["actual"]) for one in audit["findings"]]

    # given
    for key, content in (("raw/big", BIG), ("raw/small", b"x"), ("decisions/big", BIG)):
        clients.s3.put_object(Bucket=raw, Key=key, Body=content)
    assert findings(0) == []
    # when: past the first retention
    ahead(timedelta(days=40))
    moved = {"raw/big": "STANDARD_IA", "raw/small": "STANDARD", "decisions/big": "STANDARD_IA"}
    wait_until(lambda: classes() == moved, "the first retention")
    assert findings(40) == []
    # and: an object that came after the rules had acted is as old as the others, and was missed
    clients.s3.put_object(Bucket=raw, Key="raw/missed", Body=BIG)
    assert findings(40) == [("overdue", f"{raw}/raw/", "STANDARD_IA", "STANDARD")]
    # then: past the next ones all is as declared again
    ahead(timedelta(days=370))
    gone = {"raw/big": "GLACIER_IR", "raw/missed": "GLACIER_IR", "raw/small": "STANDARD"}
    wait_until(lambda: classes() == gone, "the next retentions")
    assert findings(370) == []


def test_a_row_that_is_loaded_after_all_is_resolved(lake: Lake) -> None:
    # given: two records in quarantine, one of which a later load puts into the table
    rows = [
        {
            "event_type": "payment",
            "reason": "wrong_type",
            "shard_id": PAYMENT.shard_id,
            "sequence_number": str(number),
            "raw_object": "raw/a.gz",
            "line": number,
        }
        for number in (100, 101)
    ]
    append_quarantine(lake.catalog, lake.settings, rows, "load-1", NOW)
    lake.land([PAYMENT])
    _, plan = planned(lake)
    lake.write_receipt(plan, "jr_1", [lake.receipt_entry(plan, TABLE, "jr_1", [PAYMENT])])
    # when
    published(lake, plan)
    # then
    assert set(open_identities(lake.catalog, lake.settings)) == {(PAYMENT.shard_id, "101")}
    of_load = equals("load_id", plan.load_id)
    assert resolve_loaded(lake.catalog, lake.settings, TABLE, "payment", of_load, plan.load_id, NOW) == 0
