"""Airflow's REST API as the laptop's scripts use it: health, triggering, waiting, and the logs that explain a failure.

What does not belong here: what is triggered in which order.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eventlake.errors import TerminalError, TransientError

REQUEST_TIMEOUT_SECONDS = 30
POLL_EVERY_SECONDS = 0.5
# a look at a run is cheap, a list of its tasks is not, and both cost the processor that the run wants
TELL_EVERY_LOOKS = 3
ENDED = ("success", "failed")
AT_WORK = ("running", "deferred", "up_for_retry", "restarting")
READ_ATTEMPTS = 4
LOG_LINES = 25


@dataclass(frozen=True)
class RunEnd:
    dag_id: str
    run_id: str
    state: str
    seconds: float
    note: str | None


@dataclass
class AirflowApi:
    url: str
    user: str
    password: str
    _token: str | None = field(default=None, repr=False)

    def is_healthy(self) -> bool:
        """All four processes: the API itself, and the heartbeats of the others."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v2/monitor/health", timeout=5) as answer:
                health = json.load(answer)
        except (urllib.error.URLError, OSError, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return all((health.get(part) or {}).get("status") == "healthy" for part in parts)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """One call. A reading one is tried again when a busy API does not answer; a token is fetched when needed."""
        doing = f"asking Airflow {method} {path}"
        refused = unanswered = 0
        while True:
            try:
                return self._send(method, path, body, self._token or self._login())
            except urllib.error.HTTPError as error:
                refused += 1
                if error.code == 401 and refused == 1:
                    self._token = None
                    continue
                detail = error.read(2000).decode(errors="replace")
                raise TerminalError(f"{doing}: {error.code} {detail}") from error
            except OSError as error:
                unanswered += 1
                if method != "GET" or unanswered == READ_ATTEMPTS:
                    raise TransientError(f"{doing}: {error}") from error
                time.sleep(POLL_EVERY_SECONDS)

    def _login(self) -> str:
        answer = self._send("POST", "/auth/token", {"username": self.user, "password": self.password}, None)
        self._token = str(answer["access_token"])
        return self._token

    def _send(self, method: str, path: str, body: Any, token: str | None) -> Any:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, method=method, data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_SECONDS) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def dag_ids(self) -> set[str]:
        return {dag["dag_id"] for dag in self.request("GET", "/api/v2/dags?limit=100")["dags"]}

    def import_errors(self) -> list[str]:
        errors = self.request("GET", "/api/v2/importErrors")["import_errors"]
        return [f"{one['filename']}: {one['stack_trace'].strip().splitlines()[-1]}" for one in errors]

    def unpause(self, dag_id: str) -> None:
        self.request("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, configuration: dict[str, Any] | None = None) -> str:
        body = {"logical_date": None, "conf": configuration or {}}
        return str(self.request("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def end_of(self, dag_id: str, run_id: str, started: float) -> RunEnd | None:
        """None while it goes on. `started`: on the monotonic clock."""
        run = self.request("GET", f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id)}")
        if run["state"] not in ENDED:
            return None
        return RunEnd(dag_id, run_id, run["state"], time.monotonic() - started, run.get("note"))

    def wait(self, dag_id: str, run_id: str, timeout_seconds: float, on_look: Callable[[str], None]) -> RunEnd:
        """The end of a run. `on_look` gets what is going on at each look."""
        looks = {dag_id: on_look}
        return self.wait_for_all({dag_id: run_id}, timeout_seconds, lambda name, told: looks[name](told))[dag_id]

    def wait_for_all(
        self, runs: Mapping[str, str], timeout_seconds: float, on_look: Callable[[str, str], None]
    ) -> dict[str, RunEnd]:
        """The ends of runs that go on side by side, dag_id -> run."""
        started = time.monotonic()
        ended: dict[str, RunEnd] = {}
        looks = 0
        while pending := {dag_id: run_id for dag_id, run_id in runs.items() if dag_id not in ended}:
            looks += 1
            for dag_id, run_id in pending.items():
                end = self.end_of(dag_id, run_id, started)
                if end is None and time.monotonic() - started > timeout_seconds:
                    end = RunEnd(dag_id, run_id, f"no end after {timeout_seconds:.0f} s", timeout_seconds, None)
                if end is not None:
                    ended[dag_id] = end
                elif looks % TELL_EVERY_LOOKS == 0:
                    on_look(dag_id, self.at_work(dag_id, run_id))
            time.sleep(POLL_EVERY_SECONDS)
        return {dag_id: ended[dag_id] for dag_id in runs}

    def at_work(self, dag_id: str, run_id: str) -> str:
        tasks = (task for task in self.tasks(dag_id, run_id) if task["state"] in AT_WORK)
        return ", ".join(f"{task['task_id']} {task['state']}" for task in tasks)

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id)}/taskInstances?limit=100"
        return list(self.request("GET", path)["task_instances"])

    def failure_logs(self, dag_id: str, run_id: str) -> list[str]:
        """The last lines of each task that failed in the run."""
        told = []
        for task in self.tasks(dag_id, run_id):
            if task["state"] != "failed":
                continue
            told.append(f"{dag_id}.{task['task_id']} failed at try {task['try_number']}:")
            told += [f"    {line}" for line in self._log(dag_id, run_id, task)[-LOG_LINES:]]
        return told

    def _log(self, dag_id: str, run_id: str, task: dict[str, Any]) -> list[str]:
        path = (
            f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id)}/taskInstances/{task['task_id']}"
            f"/logs/{task['try_number']}?map_index={task['map_index']}&full_content=true"
        )
        try:
            content = self.request("GET", path)["content"]
        except (TerminalError, TransientError) as error:
            return [str(error)]
        lines: list[str] = []
        for one in content:
            lines += _lines_of(one) if isinstance(one, dict) else [str(one)]
        return lines


def _lines_of(entry: dict[str, Any]) -> list[str]:
    """A log entry as text; an exception's chain is what explains, so it is told whole but for its frames."""
    lines = [str(entry.get("event", ""))]
    for error in entry.get("error_detail") or []:
        lines.append(f"{error.get('exc_type')}: {error.get('exc_value')}")
        lines += [
            f"  {frame['filename']}:{frame['lineno']} {frame['name']}" for frame in (error.get("frames") or [])[-4:]
        ]
    return lines
