"""`make up`, again, `status`, `down`, and what is left after each way of being killed. Real processes throughout."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from eventlake.settings import Settings
from eventlake_aws.balance_books import balance
from eventlake_aws.clients import Clients
from laptop import database
from laptop.home import Home
from laptop.supervision import Supervisor
from tests.laptop.conftest import Laptop

WAIT_SECONDS = 180
PROGRAMS = ("postgres", "emulator", "airflow-api", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")


def wait_until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not seen within {WAIT_SECONDS} s"
        time.sleep(0.2)


def programs(laptop: Laptop) -> dict[str, int]:
    """The process ids of the supervisor and its programs; others come and go by themselves while DAGs are parsed."""
    supervisor = Supervisor.running(Home(laptop.home))
    assert supervisor is not None
    pids = {one.name: one.pid for one in supervisor.states() if one.name in PROGRAMS}
    return pids | {"supervisor": supervisor_pid(laptop)}


def supervisor_pid(laptop: Laptop) -> int:
    return int(json.loads((laptop.home / "run" / "supervisor.json").read_text())["pid"])


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    one = Laptop(tmp_path_factory.mktemp("lake"))
    started = one.make("up", LAKE_LOAD_SCHEDULE="none", LAKE_CLOSE_SCHEDULE="none", LAKE_CRAWL_SCHEDULE="none",
                       LAKE_WATCH_SCHEDULE="none", LAKE_AUDIT_SCHEDULE="none")  # fmt: skip
    assert started.code == 0, started
    yield one
    one.make("down")
    assert one.processes() == []


def variables(laptop: Laptop) -> dict[str, str]:
    """`.lake/env` as a shell reads it."""
    shown = subprocess.run(
        ["sh", "-c", f". '{laptop.home}/env' && env -0"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
    )
    return dict(item.split("=", 1) for item in shown.stdout.decode().split("\0") if item)


def test_a_second_up_says_where_the_lake_is(up: Laptop) -> None:
    before = programs(up)
    assert set(before) == {*PROGRAMS, "supervisor"}
    ended = up.make("up")
    assert ended.code == 0
    assert "up already" in ended.out
    assert variables(up)["LAKE_AIRFLOW_URL"] in ended.out
    assert programs(up) == before


def test_the_env_file_reaches_everything(up: Laptop) -> None:
    env = variables(up)
    for url in (f"{env['AWS_ENDPOINT_URL']}/_ministack/health", f"{env['LAKE_AIRFLOW_URL']}/api/v2/monitor/health"):
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.status == 200
    names = {
        "LAKE_STREAM",
        "LAKE_RAW_BUCKET",
        "LAKE_BUCKET",
        "LAKE_AIRFLOW_USER",
        "LAKE_AIRFLOW_PASSWORD",
        "AWS_REGION",
    }
    assert names <= set(env)


def test_secrets_are_for_their_owner_only(up: Laptop) -> None:
    for name in ("env", "secrets.json", "run/supervisord.conf", "state/airflow/passwords.json"):
        assert (up.home / name).stat().st_mode & 0o077 == 0, name


def test_nothing_listens_beyond_loopback(up: Laptop) -> None:
    supervisor = psutil.Process(supervisor_pid(up))
    listening = []
    for one in [supervisor, *supervisor.children(recursive=True)]:
        # DAGs are parsed by processes that come and go
        with contextlib.suppress(psutil.NoSuchProcess):
            listening += [
                connection.laddr
                for connection in one.net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            ]
    assert listening
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_status_names_every_program(up: Laptop) -> None:
    ended = up.make("status")
    assert ended.code == 0
    assert all(f"{name} " in ended.out for name in PROGRAMS)
    assert ended.out.count("running") == len(PROGRAMS)
    (data_docs,) = re.findall(r"Data Docs (http://127\.0\.0\.1:\d+/\S+/data-docs/index\.html)", ended.out)
    assert up.make("docs").out.endswith(f"after the first one: {data_docs}\n")


def test_locks_of_a_killed_scheduler_are_given_back(up: Laptop) -> None:
    """Its workers keep its connection open: only the database can end a transaction that nobody goes on with."""
    show = "SHOW idle_in_transaction_session_timeout"
    asked = subprocess.run(
        [str(database.binaries() / "psql"), "-h", str(Home(up.home).run), "-U", "postgres", "-At", "-c", show],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert asked.stdout.strip() == "1min", asked


def test_a_query_of_nothing_yet(up: Laptop) -> None:
    ended = up.make("query", "SQL=select count(*) from events.lesson_events")
    assert ended.code == 2
    assert len(ended.complaints) == 1
    assert "there is no such table" in ended.complaints[0]


def test_wrong_sql_is_one_line(up: Laptop) -> None:
    ended = up.make("query", "SQL=selekt 1")
    assert ended.code == 2
    assert len(ended.complaints) == 1
    assert "syntax error" in ended.complaints[0]


def test_a_query_without_a_table_answers(up: Laptop) -> None:
    ended = up.make("query", "SQL=select 1 as one, 'a $ sign' as text;")
    assert (ended.code, ended.err) == (0, "")
    assert "a $ sign" in ended.out


def test_state_survives_down_and_up(up: Laptop) -> None:
    # given
    events = up.home / "three.ndjson"
    events.write_text('{"event_uuid": "a"}\n\n{"event_uuid": "b"}\n{"event_uuid": "c"}')
    sent = up.make("send", f"INPUT={events}")
    assert sent.out.startswith("3 events sent"), sent
    before = variables(up)
    # when
    assert up.make("down").code == 0
    assert up.processes() == []
    assert up.make("up", LAKE_UI_PORT="").code == 0
    # then
    assert variables(up) == before
    assert records_on_the_stream(up) == 3


def test_a_killed_emulator_is_back_with_books_that_balance(up: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last seconds are gone, and nothing disagrees about them: neither stream, claims, objects nor landings."""
    # given: events that landed, and more that are still under way
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, variables(up)[name])
    settings = Settings(prefix="lake-test")
    clients = Clients(settings)
    state = up.home / "state" / "emulator" / "state"
    log = up.home / "logs" / "emulator.log"
    send(up, 0)
    wait_until(lambda: landings(clients, settings) >= 1, "a landing")
    landed_at = time.time()
    send(up, 1)
    wait_until(lambda: (state / "checkpoint").stat().st_mtime > landed_at, "a checkpoint")
    send(up, 2)
    # when
    emulator = next(one for one in psutil.Process(supervisor_pid(up)).children() if "emulator" in one.cmdline())
    emulator.kill()
    wait_until(lambda: "was killed; all stores are back at" in log.read_text(), "the emulator's word")
    wait_until(lambda: is_healthy(clients.s3.meta.endpoint_url), "the emulator")
    # then: once all that the stream holds is delivered, the books balance, whatever was lost
    wait_until(lambda: books(clients, settings)["balanced"], "books that balance")
    balanced = books(clients, settings)
    assert balanced["received"] == records_on_the_stream(up) >= EVENTS
    assert balanced["waiting"] == balanced["admitted"] >= EVENTS


EVENTS = 300


def send(laptop: Laptop, batch: int) -> None:
    events = laptop.home / "many.ndjson"
    names = [f"{uuid.UUID(int=batch * EVENTS + number)}" for number in range(EVENTS)]
    lines = [{"event_uuid": name, "event_name": "payment:order", "created_at": time.time()} for name in names]
    events.write_text("".join(json.dumps(line) + "\n" for line in lines))
    sent = laptop.make("send", f"INPUT={events}")
    assert sent.out.startswith(f"{EVENTS} events sent"), sent


def landings(clients: Clients, settings: Settings) -> int:
    return int(clients.dynamodb.scan(TableName=settings.landings_table, Select="COUNT")["Count"])


def books(clients: Clients, settings: Settings) -> dict[str, Any]:
    now = datetime.now(UTC)
    return balance(clients, settings, arrival_days=None, as_of=now, now=now, run_id="books-of-a-test")


def is_healthy(endpoint: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=2).status == 200)
    return False


def records_on_the_stream(laptop: Laptop) -> int:
    env = variables(laptop)
    kinesis = boto3.client(
        "kinesis",
        endpoint_url=env["AWS_ENDPOINT_URL"],
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )
    stream = env["LAKE_STREAM"]
    shards = [shard["ShardId"] for shard in kinesis.list_shards(StreamName=stream)["Shards"]]
    iterators = [
        kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        for shard in shards
    ]
    return sum(len(kinesis.get_records(ShardIterator=one)["Records"]) for one in iterators)


def test_a_demo_beside_a_lake_that_is_up_is_refused(up: Laptop) -> None:
    ended = up.make("demo", "EVENTS=10")
    assert ended.code == 2
    assert "make down" in ended.complaints[0]
    assert up.make("status").code == 0


def test_down_ends_what_a_killed_supervisor_left(up: Laptop) -> None:
    # given
    pid = supervisor_pid(up)
    psutil.Process(pid).kill()
    wait_until(lambda: not psutil.pid_exists(pid), "the supervisor's end")
    assert up.processes() != []
    # when
    ended = up.make("down")
    # then
    assert ended.code == 0
    assert up.processes() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_leaves_nothing(laptop: Laptop, tmp_path: Path, number: signal.Signals) -> None:
    # given: an `up` whose programs have started
    command = laptop.start("up")
    wait_until(lambda: (laptop.home / "run" / "supervisor.sock").exists(), "the supervisor")
    # when: as a terminal does it, to the whole group
    os.killpg(command.pid, number)
    output, _ = command.communicate(timeout=WAIT_SECONDS)
    # then
    assert command.returncode != 0
    assert "eventlake: interrupted" in output
    assert "Traceback" not in output
    wait_until(lambda: not laptop.processes(), "the end of every process")


def test_a_killed_up_leaves_nothing(laptop: Laptop) -> None:
    # given
    command = laptop.start("up")
    wait_until(lambda: (laptop.home / "run" / "supervisor.sock").exists(), "the supervisor")
    # when: nothing of ours gets to run a handler
    os.killpg(command.pid, signal.SIGKILL)
    command.communicate(timeout=WAIT_SECONDS)
    # then
    wait_until(lambda: not laptop.processes(), "the end of every process")
