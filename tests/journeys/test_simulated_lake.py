"""The whole walk on simulated events: what the simulator's oracle says must end where, ends there.

One lake for the whole file, its steps in order: demo, start again, send again, a failing expectation, planted losses.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import urlopen

import pytest

from eventlake.definitions import build_bundle
from tests.function_packages import with_door
from tests.journeys.lake import CHECKOUT, Lake, wait_until
from tests.machine_speed import slowness

EVENTS = 20_000
# where tests/machine_speed.py was measured
MOST_SECONDS_TO_AN_ALERT = 60
DAGS = {"load_events", "close_day", "crawl_raw", "watch_stream", "audit_lifecycle"}


DOOR_THAT_DROPS = """
import base64, true_handler
def handler(event, context):
    kept = [r for r in event["Records"] if {lost!r} not in base64.b64decode(r["kinesis"]["data"]).lower()]
    return true_handler.handler(dict(event, Records=kept), context) if kept else None
"""


def simulate(folder: Path, name: str, events: int, seed: int, *options: str) -> tuple[Path, dict[str, Any]]:
    """A file of events and its oracle."""
    output, oracle = folder / f"{name}.ndjson.gz", folder / f"{name}.oracle.json"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    command = [sys.executable, "-m", "simulator", "--events", str(events), "--seed", str(seed), "--now", now, *options]
    subprocess.run([*command, "--output", str(output), "--oracle", str(oracle)], cwd=CHECKOUT, check=True, timeout=600)
    return output, json.loads(oracle.read_text())


def demo_oracle(lake: Lake) -> dict[str, Any]:
    """The oracle that the demo's simulator wrote beside its events."""
    return json.loads((lake.home / "simulated/events.oracle.json").read_text())


def demo_input(lake: Lake) -> Path:
    return lake.home / "simulated/events.ndjson.gz"


@pytest.fixture(scope="module")
def report(lake: Lake) -> dict[str, Any]:
    """`make demo`, as a newcomer runs it; what it prints is shown with the test run."""
    print(lake.make("demo", f"EVENTS={EVENTS}"))
    assert lake.processes() == [], "the demo left processes behind"
    return json.loads((lake.home / "demo.json").read_text())


@pytest.fixture(scope="module")
def kept(lake: Lake, report: dict[str, Any]) -> Lake:
    """The demo's lake, started again: state survives."""
    print(lake.make("up"))
    return lake


def test_the_demo_balances(lake: Lake, report: dict[str, Any]) -> None:
    oracle = demo_oracle(lake)
    assert report["residual"] == 0
    assert report["sent"] == report["received"] == oracle["sent"] == EVENTS
    assert report["sent_distinct"] == oracle["sent_distinct"]
    assert report["duplicates"] == len(oracle["duplicates"])
    assert report["rejected"] == {reason: len(hashes) for reason, hashes in oracle["rejected"].items()}
    assert report["quarantined"] == {reason: len(uuids) for reason, uuids in oracle["quarantine"].items()}
    assert report["tables"] == {table: len(uuids) for table, uuids in oracle["tables"].items()}
    assert report["waiting"] == report["held"] == report["replayed"] == 0
    assert {dag_id: run["state"] for dag_id, run in report["dag_runs"].items()} == dict.fromkeys(DAGS, "success")


def test_an_independent_reader_finds_what_the_oracle_says(kept: Lake) -> None:
    oracle, reader = demo_oracle(kept), kept.reader()
    assert reader.event_uuids() == {table: sorted(uuids) for table, uuids in oracle["tables"].items()}
    assert reader.quarantined() == {reason: sorted(uuids) for reason, uuids in oracle["quarantine"].items()}
    assert reader.rejected() == {reason: sorted(hashes) for reason, hashes in oracle["rejected"].items()}
    assert reader.duplicates() == sorted(oracle["duplicates"])


def test_what_contracts_protect_is_in_no_table_and_no_log_as_it_was_sent(kept: Lake) -> None:
    reader = kept.reader()
    compared, differences = reader.protected_differences()
    assert differences == []
    assert compared > EVENTS / 100
    # short values and those of several words stand in logs by chance, too
    values = {value for value in reader.protected_values() if re.fullmatch(r"\S{8,}", value)}
    assert len(values) > EVENTS / 200
    said: set[str] = set()
    for folder in (kept.home / "logs", kept.home / "state/airflow"):
        for path in folder.rglob("*.log"):
            said |= set(re.findall(r"[\w.@+:-]{8,}", path.read_text(errors="replace")))
    assert said
    assert said & values == set()


def test_the_crawled_tables_return_the_rows_sent(kept: Lake) -> None:
    reader = kept.reader()
    glue = reader.client("glue")
    crawled = {
        f"{database}.{table['Name']}": table
        for database in ("raw", "decisions")
        for table in glue.get_tables(DatabaseName=database)["TableList"]
    }
    for name, table in crawled.items():
        names = [column["Name"] for column in (*table["StorageDescriptor"]["Columns"], *table["PartitionKeys"])]
        assert len(names) == len(set(names)), f"Athena on AWS refuses {name}: a column repeats a partition key"
    athena, total = reader.client("athena"), {"raw": 0, "decisions": 0}
    for name in crawled:
        total[name.partition(".")[0]] += _count_by_athena(athena, name, kept)
    assert total["raw"] == len(reader.raw_identities())
    assert total["decisions"] == len(reader.decisions())


def _count_by_athena(athena: Any, table: str, lake: Lake) -> int:
    bucket = lake.variables()["LAKE_BUCKET"]
    started = athena.start_query_execution(
        QueryString=f"SELECT count(*) FROM {table}",
        QueryExecutionContext={"Database": table.partition(".")[0]},
        ResultConfiguration={"OutputLocation": f"s3://{bucket}/athena/"},
    )["QueryExecutionId"]

    def ended() -> bool:
        return _athena_state(athena, started) not in ("QUEUED", "RUNNING")

    wait_until(ended, f"Athena's count of {table}")
    assert _athena_state(athena, started) == "SUCCEEDED", f"Athena could not count {table}"
    rows = athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
    return int(rows[1]["Data"][0]["VarCharValue"])


def _athena_state(athena: Any, execution: str) -> str:
    return str(athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]["State"])


def test_sending_the_same_file_again_changes_no_table(kept: Lake) -> None:
    # given
    reader = kept.reader()
    before, admitted = reader.snapshots(), reader.raw_identities()
    # when
    kept.make("send", f"INPUT={demo_input(kept)}")
    settle(kept, received=2 * EVENTS)
    kept.run_dag("load_events")
    # then
    assert reader.snapshots() == before
    assert reader.raw_identities() == admitted


def settle(lake: Lake, received: int) -> None:
    """Wait until each record received has a verdict that lies in S3, for raw and decisions are buffered, and each
    object its landing: a load takes what has one.
    """
    reader = lake.reader()

    def verdicts() -> int:
        return len(reader.raw_identities()) + len(reader.decisions())

    wait_until(lambda: verdicts() >= received, f"{received} verdicts in S3 (now {verdicts()})", 600)
    assert verdicts() == received
    wait_until(lambda: not reader.objects_without_landing(), "the landings of all raw objects")


def test_a_failing_expectation_holds_its_table_alone(kept: Lake, tmp_path: Path) -> None:
    # given: an expectation of the lesson suite that no lesson meets, and new events of all types
    reader = kept.reader()
    empty_alerts(kept)
    before = reader.event_uuids()
    plant_failing_expectation(kept, "lesson")
    events, oracle = simulate(tmp_path, "second", 3_000, seed=11)
    # when
    kept.make("send", f"INPUT={events}")
    settle(kept, received=2 * EVENTS + oracle["sent"])
    kept.run_dag("load_events", expect="failed")
    # then: lessons are as they were, the others have the new rows, and their rollups too
    after = reader.event_uuids()
    assert after["events.lesson_events"] == before["events.lesson_events"]
    late = set(oracle["late"])
    for table, uuids in oracle["tables"].items():
        if table != "events.lesson_events":
            fresh = set(uuids) - late
            assert fresh <= set(after.get(table, [])), f"{table} lacks rows of the load that held lessons"
    told = kept.make("alerts")
    assert re.search(r"open +critical +load held by the quality gate: events\.lesson_events", told), told
    alerts = [alert for alert in take_alerts(kept) if "lesson" in alert["what"] + alert["dataset"]]
    assert len(alerts) == 1, alerts
    (alert,) = alerts
    assert (alert["severity"], alert["why"]) == ("critical", "planted by a test: the gate must close")
    held = set(oracle["tables"]["events.lesson_events"]) - late
    assert alert["count"] == len(held)
    assert len(alert["samples"]) == 10
    assert set(alert["samples"]) <= held
    assert Path(unquote(urlsplit(alert["runbook"]).path)).read_text().startswith("# load-held")
    # and: it left at once, while rollups were still to come
    assert_told_in_time(kept, alert)
    assert_data_docs_show_why(kept, alert)
    # and: whoever knows of it can have silence, with an end and a reason
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    muted = kept.make("mute", f"INCIDENT={alert['incident']}", f"UNTIL={tomorrow}", "REASON=planted by a test")
    assert f"{alert['incident']} is muted until {tomorrow}" in muted
    assert [message["state"] for message in take_alerts(kept)] == ["muted"]


def assert_data_docs_show_why(lake: Lake, alert: dict[str, Any]) -> None:
    """As a browser on the laptop opens them: from the alert, and from what `make docs` says by way of the table."""
    page = opened(alert["data_docs"])
    assert "planted by a test: the gate must close" in page
    assert any(uuid in page for uuid in alert["samples"])
    index = lake.make("docs").splitlines()[-1]
    (of_table,) = links(index, to=f"tables/{alert['dataset']}.html")
    assert alert["data_docs"] in links(of_table, to=f"{alert['load_id']}/{alert['dataset']}.html")


def links(url: str, to: str) -> list[str]:
    """Where a page links to, of what ends so."""
    found = {urljoin(url, link) for link in re.findall(r'href="([^"]+)"', opened(url))}
    return [link for link in sorted(found) if link.endswith(to)]


def opened(url: str) -> str:
    with urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


def assert_told_in_time(lake: Lake, alert: dict[str, Any]) -> None:
    """The answer of a validation is out when the job has written its receipt."""
    s3, bucket = lake.reader().client("s3"), lake.variables()["LAKE_BUCKET"]
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"control/loads/{alert['load_id']}/receipt-")["Contents"]
    (receipt,) = (json.load(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"]) for one in listed)
    seconds = (alert["sent_at"] - datetime.fromisoformat(receipt["ended_at"])).total_seconds()
    print(f"the alert left {seconds:.1f} s after the job had its answers")
    assert 0 < seconds < MOST_SECONDS_TO_AN_ALERT * slowness()


def plant_failing_expectation(lake: Lake, event_type: str) -> None:
    """A new bundle of definitions whose suite of one type no row can pass."""
    s3, bucket = lake.reader().client("s3"), lake.variables()["LAKE_BUCKET"]
    pointer = json.load(s3.get_object(Bucket=bucket, Key="control/definitions/current.json")["Body"])
    bundle = json.load(s3.get_object(Bucket=bucket, Key=pointer["key"])["Body"])
    bundle["suites"][event_type]["expectations"].append(
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "event_type", "value_set": ["nothing_is_this"]},
            "meta": {"severity": "critical", "why": "planted by a test: the gate must close"},
        }
    )
    body, digest = build_bundle(bundle["contracts"], bundle["suites"], bundle["rollups"])
    key = f"control/definitions/{digest}.json"
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    new_pointer = json.dumps({"key": key, "hash": digest}).encode()
    s3.put_object(Bucket=bucket, Key="control/definitions/current.json", Body=new_pointer)


def take_alerts(lake: Lake) -> list[dict[str, Any]]:
    """What arrived in the queue that is subscribed to the topic; taken out of it."""
    sqs = lake.reader().client("sqs")
    queue = sqs.get_queue_url(QueueName=f"{lake.prefix}-alerts-inbox")["QueueUrl"]
    taken = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages"):
        for message in messages:
            envelope = json.loads(message["Body"])
            sent_at = {"sent_at": datetime.fromisoformat(envelope["Timestamp"])}
            taken.append(json.loads(envelope["Message"]) | sent_at)
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return [alert for alert in taken if "incident" in alert]


def empty_alerts(lake: Lake) -> None:
    take_alerts(lake)


@pytest.mark.long  # three more runs of DAGs; the same losses are planted without Airflow in tests/lake
def test_a_record_lost_at_each_station_is_named(kept: Lake, tmp_path: Path) -> None:
    """One record dropped silently in admit_events, one in Firehose and one in the load; the books name all three."""
    # given: three good records of one file and where to lose each
    events, oracle = simulate(tmp_path, "third", 400, seed=23)
    victims = [uuid for uuid in oracle["tables"]["events.exercise_events"] if uuid not in set(oracle["late"])][:3]
    in_function, in_delivery, in_load = victims
    reader = kept.reader()
    already = len(reader.raw_identities()) + len(reader.decisions())
    plant_function_that_drops(kept, in_function)
    # when
    kept.make("send", f"INPUT={events}")
    settle(kept, received=already + oracle["sent"] - 1)
    known = {uuid: ":".join(identity) for identity, uuid in reader.raw_identities().items()}
    drop_from_raw(kept, in_delivery)
    kept.run_dag("load_events", expect="failed")  # lessons are still held
    drop_from_table(kept, "events.exercise_events", in_load)
    run = kept.run_dag("close_day", expect="failed")
    # then
    stations, records = last_balance(kept)
    assert stations == {"admit_events", "firehose", "load_events"}
    assert len(records) == 3
    assert {known[in_delivery], known[in_load]} < set(records)
    told = "\n".join(kept.airflow().failure_logs("close_day", run.run_id))
    for station in stations:
        assert station in told


def plant_function_that_drops(lake: Lake, event_uuid: str) -> None:
    """admit_events with a door before it that silently loses the record of one uuid."""
    client = lake.reader().client("lambda")
    name = f"{lake.prefix}-admit_events"
    package = next((lake.home / "state").rglob("admit_events*.zip")).read_bytes()
    planted = with_door(package, DOOR_THAT_DROPS.format(lost=event_uuid.encode()))
    client.update_function_code(FunctionName=name, ZipFile=planted)


def drop_from_raw(lake: Lake, event_uuid: str) -> None:
    """Rewrite the raw object that holds a record without it, and its landing too: as if Firehose had lost it."""
    reader, bucket = lake.reader(), lake.variables()["LAKE_RAW_BUCKET"]
    s3 = reader.client("s3")

    def lines_of(key: str) -> list[bytes]:
        return gzip.decompress(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).splitlines(keepends=True)

    keys = [
        entry["Key"]
        for entry in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="raw/").search("Contents[]")
    ]
    key = next(one for one in keys if any(event_uuid.encode() in line.lower() for line in lines_of(one)))
    rest = [line for line in lines_of(key) if event_uuid.encode() not in line.lower()]
    forget_landing(lake, key)
    s3.delete_object(Bucket=bucket, Key=key)
    if rest:
        s3.put_object(Bucket=bucket, Key=key, Body=gzip.compress(b"".join(rest)))
        wait_until(lambda: bool(landings_of(lake, key)), "the landing of the rewritten object")


def landings_of(lake: Lake, key: str) -> list[dict[str, Any]]:
    return lake.reader().client("dynamodb").query(
        TableName=f"{lake.prefix}-landings",
        KeyConditionExpression="object_key = :key",
        ExpressionAttributeValues={":key": {"S": key}},
    )["Items"]  # fmt: skip


def forget_landing(lake: Lake, key: str) -> None:
    for item in landings_of(lake, key):
        lake.reader().client("dynamodb").delete_item(
            TableName=f"{lake.prefix}-landings", Key={name: item[name] for name in ("object_key", "etag")}
        )


def drop_from_table(lake: Lake, table: str, event_uuid: str) -> None:
    lake.reader().catalog().load_table(table).delete(f"event_uuid == '{event_uuid}'")


def last_balance(lake: Lake) -> tuple[set[str], list[str]]:
    """Stations and records that the last balance of control.books names."""
    rows = lake.reader().column("control.books", "written_at", "differences", "stations", "samples")
    last = max(written_at for written_at, *_ in rows)
    unbalanced = [(stations, samples) for at, count, stations, samples in rows if at == last and count]
    stations = {station for named, _ in unbalanced for station in json.loads(named)}
    return stations, [record for _, samples in unbalanced for record in json.loads(samples)]


@pytest.mark.long  # two more runs of a DAG; the same decisions are carried out without Airflow in tests/lake
def test_held_lessons_reach_their_readers_when_a_person_says_so(kept: Lake) -> None:
    # given: the load that held lessons first
    reader = kept.reader()
    ends = reader.column("control.loads", "started_at", "load_id", "table_name", "status", "loaded")
    _, held, table, _, rows = min(end for end in ends if end[3] == "held")
    assert table == "events.lesson_events"
    decision = {"load_id": held, "action": "publish anyway", "reason": "a test planted the expectation that fails"}
    before = reader.event_uuids()[table]
    # when: first only asked
    kept.run_dag("release_load", decision)
    assert reader.event_uuids()[table] == before
    kept.run_dag("release_load", decision | {"dry_run": False})
    # then
    after = reader.event_uuids()[table]
    assert set(before) < set(after)
    assert len(after) == len(set(after)) == len(before) + rows
    [(load_id, decided_by)] = reader.column("control.releases", "load_id", "decided_by")
    assert (load_id, decided_by) == (held, "admin")


def test_down_leaves_no_process(kept: Lake) -> None:
    kept.make("down")
    assert kept.processes() == []
