"""The DAGs themselves: all are there, each says what it is, and parsing one costs little and touches nothing."""

from __future__ import annotations

import ast
import itertools
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import CronDataIntervalTimetable
from airflow.timetables.simple import NullTimetable

from eventlake_airflow.defaults import DEFAULT_ARGS, OWNER, Area, Tier
from eventlake_airflow.load_alerts import TELLING_RETRIES
from eventlake_airflow.operators import PlanUnderLeases

ROOT = Path(__file__).resolve().parents[2]
DAGS = ROOT / "dags"
HEADINGS = ["Purpose", "Reads", "Writes", "Params", "If it fails", "Safe to rerun"]
MOST_LINES = 120
# the first file also pays for the plugin's own modules
PARSE_CPU_SECONDS = 1.0
TASK_VERBS = re.compile(
    r"(plan|stage|publish|resolve|close|balance|mark|crawl|report|audit|await|require|check|tidy|tell|mute)_[a-z_]+"
)

# a new DAG goes in here; one that vanishes fails the test below
EXPECTED = {
    "audit_lifecycle.py": ["audit_lifecycle"],
    "close_day.py": ["close_day"],
    "crawl_raw.py": ["crawl_raw"],
    "load_events.py": ["load_events"],
    "mute_incident.py": ["mute_incident"],
    "release_load.py": ["release_load"],
    "replay_events.py": ["replay_events"],
    "watch_stream.py": ["watch_stream"],
}
# no clock triggers these
BY_HAND = ["mute_incident", "release_load", "replay_events"]
LOADING = ["close_day", "load_events", "release_load", "replay_events"]
REBUILD_CHAIN = ["plan_rebuild", "stage_rebuild", "publish_rebuild"]
LOAD_CHAIN = ["plan_load", "stage_load", "publish_load", "plan_rollups", "stage_rollups", "publish_rollups"]
DAG_IDS = sorted(dag_id for dag_ids in EXPECTED.values() for dag_id in dag_ids)


@pytest.fixture(scope="session")
def dags() -> dict[str, Any]:
    bag = DagBag(dag_folder=str(DAGS))
    assert not bag.import_errors, bag.import_errors
    return dict(bag.dags)


def test_the_set_of_dags_is_the_expected_one(dags: dict[str, Any]) -> None:
    found: dict[str, list[str]] = {}
    for dag_id, dag in dags.items():
        found.setdefault(Path(dag.fileloc).name, []).append(dag_id)
    assert found == EXPECTED, "a DAG vanished or is new: correct EXPECTED in tests/dags/test_dags.py, or the DAG"
    assert sorted(path.name for path in DAGS.glob("*.py")) == sorted(EXPECTED)


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_a_dag_keeps_the_house_rules(dags: dict[str, Any], dag_id: str) -> None:
    dag = dags[dag_id]
    assert Path(dag.fileloc).stem == dag_id
    assert len([tag for tag in dag.tags if tag in set(Tier)]) == 1, "exactly one tier"
    assert {tag for tag in dag.tags if tag not in set(Tier)} <= {area.value for area in Area}
    assert dag.owner == OWNER
    assert dag.is_paused_upon_creation is False
    assert dag.catchup is False
    assert dag.dagrun_timeout is not None
    if dag_id != "close_day":
        assert dag.max_active_runs == 1
    expected = NullTimetable if dag_id in BY_HAND else CronDataIntervalTimetable
    assert dag.timetable.__class__.__name__ == expected.__name__


@pytest.mark.parametrize("dag_id", sorted({*BY_HAND} & {*LOADING}))
def test_what_loads_by_hand_only_tells_unless_it_is_told_otherwise(dags: dict[str, Any], dag_id: str) -> None:
    assert dags[dag_id].params["dry_run"] is True


@pytest.mark.parametrize("dag_id", BY_HAND)
def test_what_a_person_fills_in_has_a_type_and_says_what_it_is(dags: dict[str, Any], dag_id: str) -> None:
    params = dags[dag_id].params
    typed = {name: params.get_param(name).schema for name in params}
    assert all("type" in schema or "enum" in schema for schema in typed.values()), typed
    assert all("title" in schema for schema in typed.values()), typed


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_a_dag_explains_itself_under_fixed_headings(dags: dict[str, Any], dag_id: str) -> None:
    assert re.findall(r"^### (.+)$", dags[dag_id].doc_md or "", flags=re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_task_uses_the_shared_defaults(dags: dict[str, Any], dag_id: str) -> None:
    for task in dags[dag_id].tasks:
        # what tells people tries more often: an alert must not be lost to a service that is out for a moment
        assert task.retries == (TELLING_RETRIES if is_telling(task.task_id) else DEFAULT_ARGS["retries"]), task.task_id
        assert task.execution_timeout, task.task_id
        assert task.retry_policy is DEFAULT_ARGS["retry_policy"], task.task_id
        assert TASK_VERBS.fullmatch(task.task_id.rpartition(".")[2]), task.task_id
        has_alert = bool(task.on_failure_callback)
        # the gate tells what was held by itself, and what failed before it has told so
        assert has_alert or task.task_id == "require_quality", task.task_id


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_the_last_task_of_a_dag_says_that_trouble_is_over(dags: dict[str, Any], dag_id: str) -> None:
    leaves = [task for task in dags[dag_id].tasks if not task.downstream_task_ids]
    assert len(leaves) == 1, "leaves decide the state of a run: one gate, or a failure hides behind another leaf"
    assert [callback.__name__ for callback in leaves[0].on_success_callback] == ["clear_failure"]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_dag_file_is_a_sheet_of_music(name: str) -> None:
    source = (DAGS / name).read_text()
    assert len(source.splitlines()) <= MOST_LINES
    tree = ast.parse(source)
    # what stands at the top level: docstring, imports, one function, one call
    kinds = [type(node).__name__ for node in tree.body]
    assert set(kinds) <= {"Expr", "ImportFrom", "Import", "FunctionDef"}, kinds
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert [function.name for function in functions] == [Path(name).stem]
    called = {node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "attr")}
    assert not called & {"now", "today", "get", "open", "read_text", "client", "resource"}, called


PARSE = """
import sys, time
import airflow.sdk, airflow.sdk.definitions.dag, airflow.providers.amazon.aws.hooks.base_aws
import airflow.providers.standard.decorators.short_circuit
import pytest_socket
pytest_socket.disable_socket()
import runpy
for path in sys.argv[1:]:
    started = time.process_time()
    runpy.run_path(path)
    print("parsed", path.rpartition("/")[2], f"{time.process_time() - started:.3f}")
heavy = {"pyiceberg", "pyarrow", "pyspark", "great_expectations", "pandas", "eventlake_aws"}
print("heavy", *sorted(heavy & set(sys.modules)))
"""


def test_parsing_is_quick_and_touches_nothing() -> None:
    """In a fresh process: nothing is loaded but Airflow, no socket opens, and heavy libraries stay out."""
    paths = [str(DAGS / name) for name in sorted(EXPECTED)]
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARSE, *paths],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(ROOT / "plugins")},
    )
    assert run.returncode == 0, run.stderr
    printed = [line.split() for line in run.stdout.splitlines()]
    seconds = {line[1]: float(line[2]) for line in printed if line[0] == "parsed"}
    assert sorted(seconds) == sorted(EXPECTED)
    assert max(seconds.values()) < PARSE_CPU_SECONDS, seconds
    assert ["heavy"] in printed, "a parse pays for libraries: import eventlake_aws inside the task"


def is_telling(task_id: str) -> bool:
    return task_id.startswith("tell_")


def order_of(dags: dict[str, Any], dag_id: str) -> dict[str, set[str]]:
    return {task.task_id: set(task.upstream_task_ids) for task in dags[dag_id].tasks}


def must_follow(dags: dict[str, Any], dag_id: str, chain: list[str]) -> None:
    """Each task of the chain waits for the one before it, directly."""
    upstream = order_of(dags, dag_id)
    assert set(chain) <= set(upstream), sorted(upstream)
    for earlier, later in itertools.pairwise(chain):
        assert earlier in upstream[later], f"{later} does not wait for {earlier}"


def test_load_events_goes_in_order(dags: dict[str, Any]) -> None:
    chain = [*LOAD_CHAIN, "require_quality"]
    must_follow(dags, "load_events", chain)
    assert set(order_of(dags, "load_events")) == {*chain, "tell_load", "tell_rollups"}


def test_release_load_goes_in_order(dags: dict[str, Any]) -> None:
    chain = ["plan_release", *LOAD_CHAIN[1:], "require_quality"]
    must_follow(dags, "release_load", chain)
    assert set(order_of(dags, "release_load")) == {*chain, "tell_load", "tell_rollups"}


def test_replay_events_goes_in_order(dags: dict[str, Any]) -> None:
    chain = [*REBUILD_CHAIN, *LOAD_CHAIN[3:], "require_quality"]
    must_follow(dags, "replay_events", chain)
    assert set(order_of(dags, "replay_events")) == {*chain, "tell_rebuild", "tell_rollups"}


def test_close_day_goes_in_order(dags: dict[str, Any]) -> None:
    before = ["resolve_day", "await_watermark", "await_landings", "check_landings"]
    loading, rolling_up = LOAD_CHAIN[:3], LOAD_CHAIN[3:]
    chain = [*before, *loading, *REBUILD_CHAIN, *rolling_up, "balance_books", "mark_closed", "require_quality"]
    upkeep = ["plan_compaction", "stage_compaction", "publish_compaction", "tidy_tables"]
    must_follow(dags, "close_day", chain)
    must_follow(dags, "close_day", ["publish_rebuild", *upkeep, "require_quality"])
    must_follow(dags, "close_day", ["publish_rebuild", "check_day", "require_quality"])
    assert set(order_of(dags, "close_day")) == {
        *chain,
        *upkeep,
        "check_day",
        "tell_load",
        "tell_rebuild",
        "tell_rollups",
    }


@pytest.mark.parametrize("dag_id", LOADING)
def test_what_was_decided_is_told_at_once_and_nothing_waits_for_that(dags: dict[str, Any], dag_id: str) -> None:
    """An alert waits for no rollup and no books, and they wait for no alert."""
    published = [
        task_id for task_id in dags[dag_id].task_ids if re.fullmatch("publish_(load|rebuild|rollups)", task_id)
    ]
    assert published
    for task_id in published:
        telling = dags[dag_id].get_task(task_id.replace("publish", "tell"))
        assert telling.upstream_task_ids == {task_id}
        assert telling.downstream_task_ids == {"require_quality"}
        # also when nothing was published: what is held is reminded of, or over
        assert telling.trigger_rule == "none_failed"
        # telling that fails for good is told as any other failure
        assert telling.on_failure_callback


def test_a_run_goes_on_when_it_rebuilds_nothing(dags: dict[str, Any]) -> None:
    """A rebuild that is not wanted skips itself: what comes before it may be skipped as well, what comes after runs."""
    for dag_id in ("close_day", "release_load", "replay_events"):
        assert dags[dag_id].get_task("plan_rollups").trigger_rule == "none_failed"
    assert dags["close_day"].get_task("plan_rebuild").trigger_rule == "none_failed"
    assert dags["close_day"].get_task("plan_compaction").trigger_rule == "none_failed"
    for task_id in REBUILD_CHAIN[1:]:
        assert dags["close_day"].get_task(task_id).trigger_rule == "all_success"


def test_nothing_waits_for_upkeep_or_fails_with_it(dags: dict[str, Any]) -> None:
    """Readers, rollups and books of a day must not hang on whether files could be put together."""
    tasks = {task.task_id: task for task in dags["close_day"].tasks}
    upkeep = {"plan_compaction", "stage_compaction", "publish_compaction", "tidy_tables"}
    for name in upkeep:
        assert tasks[name].downstream_task_ids <= upkeep | {"require_quality"}, name
    assert tasks["tidy_tables"].trigger_rule == "all_done"


@pytest.mark.parametrize("dag_id", ["crawl_raw", "watch_stream"])
def test_the_report_waits_for_everything_it_reports(dags: dict[str, Any], dag_id: str) -> None:
    (last,) = (task for task in dags[dag_id].tasks if not task.downstream_task_ids)
    assert last.upstream_task_ids == {task.task_id for task in dags[dag_id].tasks} - {last.task_id}


def test_gates_run_whatever_happened_before(dags: dict[str, Any]) -> None:
    for dag_id in LOADING:
        assert dags[dag_id].get_task("require_quality").trigger_rule == "all_done"


def test_a_short_circuit_skips_only_what_its_absence_makes_pointless(dags: dict[str, Any]) -> None:
    """It skips its direct followers whatever their trigger rule: the gate, skipped, would turn a red run green."""
    for dag_id in LOADING:
        for task_id in {"plan_load", "plan_rollups", "plan_compaction"} & set(dags[dag_id].task_ids):
            followers = [dags[dag_id].get_task(name) for name in dags[dag_id].get_task(task_id).downstream_task_ids]
            assert followers
            assert {task.trigger_rule for task in followers} == {"all_success"}, task_id


def test_rollups_catch_up_even_when_nothing_is_loaded(dags: dict[str, Any]) -> None:
    """A run that died between publish and rollup is healed by the next one, whether it loads or not."""
    for dag_id in ("load_events", "close_day"):
        assert dags[dag_id].get_task("plan_rollups").trigger_rule == "none_failed"


def test_a_day_waits_for_whoever_writes_what_it_needs(dags: dict[str, Any]) -> None:
    """The hourly load leaves to the next hour what another run has; a closed day must not be without it."""
    for task_id in ("plan_load", "plan_rebuild", "plan_rollups"):
        assert isinstance(dags["close_day"].get_task(task_id), PlanUnderLeases), task_id
    assert not isinstance(dags["load_events"].get_task("plan_rollups"), PlanUnderLeases)


def test_no_task_is_timed_out_while_it_may_still_wait(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        waiting = [task for task in dag.tasks if hasattr(task, "patience")]
        for task in waiting:
            assert timedelta(seconds=task.patience.seconds) < task.patience.deadline <= task.execution_timeout
            assert task.execution_timeout < dag.dagrun_timeout, f"{dag.dag_id}.{task.task_id}"


def test_settings_move_schedules_and_none_unhooks_them() -> None:
    from eventlake_airflow.schedules import Schedules, every

    schedules = Schedules.from_env({"LAKE_LOAD_SCHEDULE": "0 0 * * *", "LAKE_WAITER_DELAY_SECONDS": "2"})
    assert (schedules.load, schedules.waiter_delay_seconds) == ("0 0 * * *", 2)
    assert every("none") is None
