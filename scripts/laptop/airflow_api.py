"""Airflow's REST API as the laptop's scripts use it: health, triggering, waiting, and the logs that explain a failure.

What does not belong here: what is triggered in which order.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from eventlake.errors import TerminalError, TransientError

REQUEST_TIMEOUT_SECONDS = 30
POLL_EVERY_SECONDS = 0.5
ENDED = ("success", "failed")
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
        """One call; a token is fetched when there is none or it ran out."""
        for attempt in (1, 2):
            try:
                return self._send(method, path, body, self._token or self._login())
            except urllib.error.HTTPError as error:
                if error.code == 401 and attempt == 1:
                    self._token = None
                    continue
                detail = error.read(2000).decode(errors="replace")
                raise TerminalError(f"asking Airflow {method} {path}: {error.code} {detail}") from error
            except (urllib.error.URLError, OSError) as error:
                raise TransientError(f"asking Airflow {method} {path}: {error}") from error
        raise TerminalError(f"asking Airflow {method} {path}: the admin password is refused")

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

    def wait(self, dag_id: str, run_id: str, timeout_seconds: float, on_look: Callable[[str], None]) -> RunEnd:
        """The end of a run. `on_look` gets what is going on at each look."""
        started = time.monotonic()
        path = f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id)}"
        while True:
            run = self.request("GET", path)
            seconds = time.monotonic() - started
            if run["state"] in ENDED:
                return RunEnd(dag_id, run_id, run["state"], seconds, run.get("note"))
            if seconds > timeout_seconds:
                return RunEnd(dag_id, run_id, f"no end after {timeout_seconds:.0f} s", seconds, None)
            on_look(
                ", ".join(f"{one['task_id']} {one['state']}" for one in self.tasks(dag_id, run_id) if _is_at_work(one))
            )
            time.sleep(POLL_EVERY_SECONDS)

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


def _is_at_work(task: dict[str, Any]) -> bool:
    return task["state"] in ("running", "deferred", "queued", "up_for_retry", "restarting", "scheduled")
