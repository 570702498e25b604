"""Days made anew on a whole lake: what a wrong definition misplaced stands, once it is corrected, where the simulator's
oracle says it must; and doing it again moves nothing.

One lake, its steps in order. Row by row it is held by tests/spark, step by step by tests/lake.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from eventlake.definitions import build_bundle
from tests.journeys.lake import Lake, wait_until
from tests.journeys.test_simulated_lake import last_balance, settle, simulate

pytestmark = pytest.mark.long  # a lake, two loads, a replay and two backfills

# what has no schedule cannot be backfilled
KEPT_SCHEDULES = ("CLOSE",)
DAYS = 30
BACKFILL_TIMEOUT_SECONDS = 3_600
UNCONTRACTED, REFUSED, GOOD = "search", "course", "session"
POINTER = "control/definitions/current.json"


@dataclass(frozen=True)
class Sent:
    """What was sent, and where the oracle wants it."""

    today: date
    uuids: dict[str, set[str]]
    tables: dict[str, list[str]]
    quarantine: list[str]

    @property
    def first_day(self) -> date:
        return self.today - timedelta(days=DAYS)


def events_of(folder: Path) -> tuple[Path, Sent]:
    """Simulated events of three types over the days that are over, and what the oracle says of them."""
    today = datetime.now(UTC).date()
    span = (f"--now={today - timedelta(days=1)}T23:59:59Z", f"--hours={24 * DAYS - 1}")
    shares = [f"--{share}=0" for share in ("late", "uncontracted", "conflicts", "poison")]
    whole, oracle = simulate(folder, "days", 600, 7, *span, *shares)
    uuids: dict[str, set[str]] = {UNCONTRACTED: set(), REFUSED: set(), GOOD: set()}
    lines = []
    for line in gzip.decompress(whole.read_bytes()).splitlines():
        event = json.loads(line)
        event_type = event["event_name"].partition(":")[0]
        if event_type in uuids:
            uuids[event_type].add(event["event_uuid"].lower())
            lines.append(line)
    sent = set().union(*uuids.values())
    chosen = folder / "chosen.ndjson"
    chosen.write_bytes(b"\n".join(lines) + b"\n")
    tables = {table: sorted(set(found) & sent) for table, found in oracle["tables"].items()}
    quarantine = sorted(uuid for found in oracle["quarantine"].values() for uuid in found if uuid in sent)
    return chosen, Sent(today, uuids, {table: found for table, found in tables.items() if found}, quarantine)


@contextmanager
def wrong_definitions(lake: Lake) -> Iterator[None]:
    """One type without contracts, and one whose contracts ask for what nobody sends; the right ones afterwards."""
    s3, bucket = lake.reader().client("s3"), lake.variables()["LAKE_BUCKET"]
    right = s3.get_object(Bucket=bucket, Key=POINTER)["Body"].read()
    bundle = json.load(s3.get_object(Bucket=bucket, Key=json.loads(right)["key"])["Body"])
    contracts = {name: one for name, one in bundle["contracts"].items() if not name.startswith(f"{UNCONTRACTED}/")}
    for name, contract in contracts.items():
        if name.startswith(f"{REFUSED}/"):
            contract["properties"]["never_sent"] = {"type": "string", "description": "planted by a test"}
            contract["required"] = [*contract.get("required", []), "never_sent"]
    body, digest = build_bundle(contracts, bundle["suites"], bundle["rollups"])
    key = f"control/definitions/{digest}.json"
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    s3.put_object(Bucket=bucket, Key=POINTER, Body=json.dumps({"key": key, "hash": digest}).encode())
    yield
    s3.put_object(Bucket=bucket, Key=POINTER, Body=right)


@pytest.fixture(scope="module")
def misjudged(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    """A lake that is up and was loaded under wrong definitions; the right ones are in force again."""
    events, sent = events_of(tmp_path_factory.mktemp("events"))
    print(lake.make("up"))
    with wrong_definitions(lake):
        lake.make("send", f"INPUT={events}")
        settle(lake, received=events.read_bytes().count(b"\n"))
        lake.run_dag("load_events")
        lake.run_dag("close_day", {"upkeep": "skip"})
        # the schedule has begun a run of its own, which may have taken what this one then did not find waiting
        wait_until(lambda: not runs_at_work(lake), "the end of the scheduled run", BACKFILL_TIMEOUT_SECONDS)
    found = lake.reader().event_uuids()
    assert set(found["events.uncontracted"]) >= sent.uuids[UNCONTRACTED]
    assert "events.course_events" not in found
    return sent


def runs_at_work(lake: Lake) -> list[dict[str, Any]]:
    found = lake.airflow().request("GET", "/api/v2/dags/close_day/dagRuns?state=running&state=queued")
    runs: list[dict[str, Any]] = found["dag_runs"]
    return runs


def runs_of_backfill(lake: Lake, sent: Sent) -> list[dict[str, Any]]:
    """Waits for the newest backfill's end; gives its runs."""
    airflow = lake.airflow()

    def has_ended() -> bool:
        backfills = airflow.request("GET", "/api/v2/backfills?dag_id=close_day")["backfills"]
        return max(backfills, key=lambda one: one["id"])["completed_at"] is not None

    wait_until(has_ended, "the end of the backfill", BACKFILL_TIMEOUT_SECONDS)
    runs = airflow.request("GET", "/api/v2/dags/close_day/dagRuns?limit=100")["dag_runs"]
    first = sent.first_day.isoformat()
    return [run for run in runs if run["run_type"] == "backfill" and run["logical_date"][:10] >= first]


def span(sent: Sent) -> tuple[str, str]:
    last = sent.today - timedelta(days=1)
    return f"{sent.first_day}T00:00:00Z", f"{last}T00:00:00Z"


def test_a_replay_of_one_type_takes_its_rows_out_of_quarantine_and_touches_no_other(
    lake: Lake, misjudged: Sent
) -> None:
    # when: a dry run first
    reader = lake.reader()
    before = reader.snapshots()
    last = misjudged.today - timedelta(days=1)
    chosen = {"first_day": str(misjudged.first_day), "last_day": str(last), "types": [REFUSED]}
    told = lake.run_dag("replay_events", chosen)
    assert f"Would rebuild {DAYS} days from {misjudged.first_day}" in str(told.note)
    assert reader.snapshots() == before
    # when: for real
    lake.run_dag("replay_events", chosen | {"dry_run": False})
    # then
    assert reader.event_uuids()["events.course_events"] == misjudged.tables["events.course_events"]
    rows = reader.column("quarantine.rows", "event_uuid", "resolved_by")
    resolved = {uuid: resolved_by.partition("-")[0] for uuid, resolved_by in rows if resolved_by}
    assert resolved == dict.fromkeys(misjudged.tables["events.course_events"], "replay_events")
    wrong_indeed = [uuid for uuid in misjudged.quarantine if uuid not in misjudged.uuids[UNCONTRACTED]]
    assert sorted(uuid for uuid, resolved_by in rows if not resolved_by) == wrong_indeed
    after = reader.snapshots()
    others = [table for table in before if table.startswith("events.") and table != "events.course_events"]
    assert [after[table] for table in others] == [before[table] for table in others]


def test_a_backfill_puts_every_row_where_the_corrected_definitions_want_it(lake: Lake, misjudged: Sent) -> None:
    # when: as the Backfill dialog does it
    first, last = span(misjudged)
    wanted = {"dag_id": "close_day", "from_date": first, "to_date": last, "run_backwards": False, "max_active_runs": 10}
    wanted |= {"reprocess_behavior": "completed", "dag_run_conf": {"mode": "recompute"}}
    lake.airflow().request("POST", "/api/v2/backfills", wanted)
    runs = runs_of_backfill(lake, misjudged)
    # then
    assert [run["state"] for run in runs] == ["success"] * DAYS, [(run["dag_run_id"], run["note"]) for run in runs]
    reader = lake.reader()
    assert reader.event_uuids() == misjudged.tables
    assert sorted(uuid for uuids in reader.quarantined().values() for uuid in uuids) == misjudged.quarantine
    # and the books, over all days
    lake.run_dag("close_day", {"upkeep": "skip"})
    assert last_balance(lake) == (set(), [])


def test_the_same_backfill_from_the_command_line_moves_nothing(lake: Lake, misjudged: Sent) -> None:
    before = lake.reader().snapshots()
    first, last = span(misjudged)
    options = {"dag-id": "close_day", "from-date": first, "to-date": last, "reprocess-behavior": "completed"}
    lake.airflow_command("backfill", "create", *(f"--{name}={value}" for name, value in options.items()))
    runs = runs_of_backfill(lake, misjudged)
    assert [run["state"] for run in runs] == ["success"] * DAYS, [(run["dag_run_id"], run["note"]) for run in runs]
    assert lake.reader().snapshots() == before
