"""Glue jobs: runs that really run, with AWS's states, limits and logs.

Belongs in here: the job and job run API of https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-runs.html.
Does not belong here: what is on a run's disk (glue_job_files.py), the process itself (glue_job_process.py).
ministack marks a Spark job SUCCEEDED without running it.
"""

from __future__ import annotations

import contextvars
import logging
import secrets
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ministack.core import responses
from ministack.services import glue

from emulator import glue_job_files as files
from emulator import glue_job_process as processes
from emulator import moments, patches, service_logs

FIX = "glue_jobs"

_ACTIVE = ("STARTING", "RUNNING", "STOPPING", "WAITING")
_ENDED_WITH_SERVER = "The emulator stopped or was killed while this run was active."
_ERROR_LINES_KEPT = 400
_MESSAGE_LIMIT = 2000

logger = logging.getLogger("emulator.glue_jobs")

_running: dict[str, _Run] = {}
_lock = threading.Lock()
_stopping = threading.Event()
# told of each run that has ended, in its account and region
told_of_end: list[Callable[[dict[str, Any]], None]] = []


def install() -> None:
    create = patches.replace(FIX, "services.glue:_create_job", None)
    update = patches.replace(FIX, "services.glue:_update_job", None)
    restore = patches.replace(FIX, "services.glue:_restore_state", None)
    glue._create_job = lambda data: _keep_execution_property(create(data), data.get("Name"), data)
    glue._update_job = lambda data: _keep_execution_property(
        update(data), data.get("JobName"), data.get("JobUpdate") or {}
    )
    glue._restore_state = lambda data: (restore(data), _end_runs_of_before())[0]
    patches.replace(FIX, "services.glue:_start_job_run", _start_job_run)
    patches.replace(FIX, "services.glue:_get_job_runs", _get_job_runs)
    patches.replace(FIX, "services.glue:_batch_stop_job_run", _batch_stop_job_run)
    patches.at_shutdown(20, _stop_all)


def _keep_execution_property(answer: Any, name: str | None, data: dict[str, Any]) -> Any:
    """ministack drops MaxConcurrentRuns."""
    job = glue._jobs.get(name) if name else None
    if job is not None and answer[0] == 200:
        if "ExecutionProperty" in data:
            job["ExecutionProperty"] = data["ExecutionProperty"]
        job.setdefault("ExecutionProperty", {"MaxConcurrentRuns": 1})
    return answer


def _end_runs_of_before() -> None:
    """A run that the state shows as active has no process any more."""
    for _, runs in glue._job_runs.all_items():
        for run in runs:
            if run["JobRunState"] in _ACTIVE:
                _end(run, "FAILED", _ENDED_WITH_SERVER)


def _error(code: str, message: str) -> Any:
    return responses.error_response_json(code, message, 400)


def _start_job_run(data: dict[str, Any]) -> Any:
    name = data.get("JobName", "")
    job = glue._jobs.get(name)
    if job is None:
        return _error("EntityNotFoundException", f"Failed to start job run: job {name} not found")
    limit = int((job.get("ExecutionProperty") or {}).get("MaxConcurrentRuns") or 1)
    with _lock:
        runs = glue._job_runs.get(name) or []
        if sum(run["JobRunState"] in _ACTIVE for run in runs) >= limit:
            return _error("ConcurrentRunsExceededException", f"Concurrent runs exceeded for {name}")
        if _stopping.is_set():
            return _error("InternalServiceException", "The emulator is stopping.")
        record = _new_record(job, name, data)
        _begin(_Run(record, job))
    return responses.json_response({"JobRunId": record["Id"]})


def _begin(run: _Run) -> None:
    """Under the lock: the run is one of its job's from now on."""
    record = run.record
    glue._job_runs.setdefault(record["JobName"], []).append(record)
    _running[record["Id"]] = run
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run.execute,), name=record["Id"][:11], daemon=True).start()


def _begin_next_attempt(failed: dict[str, Any], job: dict[str, Any]) -> None:
    """What failed is tried again, what was stopped or took too long is not.

    https://docs.aws.amazon.com/glue/latest/dg/add-job.html (Number of retries)
    """
    attempt = failed["Attempt"] + 1
    with _lock:
        if attempt > int(job.get("MaxRetries") or 0) or _stopping.is_set() or failed["JobName"] not in glue._jobs:
            return
        first_id = failed["Id"].partition("_attempt_")[0]
        record = {name: value for name, value in failed.items() if name not in ("CompletedOn", "ErrorMessage")}
        record.update(Id=f"{first_id}_attempt_{attempt}", Attempt=attempt, PreviousRunId=failed["Id"], **_started())
        _begin(_Run(record, job))


def _started() -> dict[str, Any]:
    now = int(time.time())
    return {"StartedOn": now, "LastModifiedOn": now, "JobRunState": "STARTING", "ExecutionTime": 0}


def _new_record(job: dict[str, Any], name: str, data: dict[str, Any]) -> dict[str, Any]:
    arguments = {**(job.get("DefaultArguments") or {}), **(data.get("Arguments") or {})}
    arguments.update(job.get("NonOverridableArguments") or {})
    workers = int(data.get("NumberOfWorkers") or job.get("NumberOfWorkers") or 2)
    return {
        "Id": f"jr_{secrets.token_hex(32)}",
        "Attempt": 0,
        "JobName": name,
        "JobMode": "SCRIPT",
        **_started(),
        "Arguments": arguments,
        "PredecessorRuns": [],
        "AllocatedCapacity": workers,
        "MaxCapacity": float(workers),
        "Timeout": data.get("Timeout") or job.get("Timeout") or 2880,
        "WorkerType": data.get("WorkerType") or job.get("WorkerType", "G.1X"),
        "NumberOfWorkers": workers,
        "LogGroupName": "/aws-glue/jobs",
        "GlueVersion": job.get("GlueVersion", "5.0"),
        "ExecutionClass": data.get("ExecutionClass") or job.get("ExecutionClass") or "STANDARD",
    }


def _get_job_runs(data: dict[str, Any]) -> Any:
    """Newest first, page by page."""
    name = data.get("JobName")
    if name not in glue._jobs:
        return _error("EntityNotFoundException", f"Job {name} not found")
    runs = list(reversed(glue._job_runs.get(name, [])))
    start = int(data.get("NextToken") or 0)
    size = min(int(data.get("MaxResults") or 200), 200)
    answer: dict[str, Any] = {"JobRuns": runs[start : start + size]}
    if start + size < len(runs):
        answer["NextToken"] = str(start + size)
    return responses.json_response(answer)


def _batch_stop_job_run(data: dict[str, Any]) -> Any:
    name = data.get("JobName", "")
    known = {run["Id"]: run for run in glue._job_runs.get(name, [])}
    stopped, errors = [], []
    for run_id in data.get("JobRunIds", []):
        record, run = known.get(run_id), _running.get(run_id)
        if record is None:
            errors.append(_stop_error(name, run_id, "EntityNotFoundException", f"Job run {run_id} not found"))
        elif run is None or record["JobRunState"] not in ("STARTING", "RUNNING"):
            message = f"Job run {run_id} is in state {record['JobRunState']} and cannot be stopped"
            errors.append(_stop_error(name, run_id, "JobRunNotInTerminalStateException", message))
        else:
            run.stop()
            stopped.append({"JobName": name, "JobRunId": run_id})
    return responses.json_response({"SuccessfulSubmissions": stopped, "Errors": errors})


def _stop_error(name: str, run_id: str, code: str, message: str) -> dict[str, Any]:
    return {"JobName": name, "JobRunId": run_id, "ErrorDetail": {"ErrorCode": code, "ErrorMessage": message}}


def _end(record: dict[str, Any], state: str, message: str = "") -> None:
    now = int(time.time())
    record.update(CompletedOn=now, LastModifiedOn=now, ExecutionTime=now - record["StartedOn"])
    if message:
        record["ErrorMessage"] = message[:_MESSAGE_LIMIT]
    record["JobRunState"] = state
    moments.note_change()


def _stop_all() -> None:
    """No job outlives the server; what it wrote stays, and its run says why it ended."""
    _stopping.set()
    with _lock:
        runs = list(_running.values())
    for run in runs:
        run.stop(_ENDED_WITH_SERVER)
    for run in runs:
        run.ended.wait(15)


class _Run:
    """One run from STARTING to its end."""

    def __init__(self, record: dict[str, Any], job: dict[str, Any]) -> None:
        self.record = record
        self.job = job
        self.ended = threading.Event()
        self._stop_message: str | None = None
        self._process: processes.JobProcess | None = None
        self._process_lock = threading.Lock()
        self._last_errors: deque[str] = deque(maxlen=_ERROR_LINES_KEPT)

    def stop(self, failure: str = "") -> None:
        with self._process_lock:
            if self.record["JobRunState"] not in _ACTIVE:
                return
            self._stop_message = failure
            self.record["JobRunState"] = "STOPPING"
            process = self._process
        if process is not None:
            threading.Thread(target=process.end, daemon=True).start()

    def execute(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="glue-job-"))
        try:
            code = self._execute(folder)
            state, message = self._outcome(code)
        except files.CannotStartError as error:
            state, message = "FAILED", str(error)
        except Exception as error:
            logger.exception("job run %s could not be carried out", self.record["Id"])
            state, message = "FAILED", f"{type(error).__name__}: {error}"
        # first, so that a run that has ended has left nothing
        shutil.rmtree(folder, ignore_errors=True)
        with self._process_lock:
            if self._stop_message is not None:
                state, message = ("FAILED" if self._stop_message else "STOPPED"), self._stop_message
            _end(self.record, state, message)
        with _lock:
            _running.pop(self.record["Id"], None)
        self._tell_of_end()
        self.ended.set()
        if state == "FAILED":
            _begin_next_attempt(self.record, self.job)

    def _tell_of_end(self) -> None:
        for tell in told_of_end:
            try:
                tell(self.record)
            except Exception:
                logger.exception("the end of job run %s could not be told", self.record["Id"])

    def _execute(self, folder: Path) -> int | None:
        """The script's exit code; None when it took too long, or was stopped before it started."""
        arguments = {name: str(value) for name, value in self.record["Arguments"].items()}
        script = arguments.get("--scriptLocation") or (self.job.get("Command") or {}).get("ScriptLocation", "")
        found = files.fetch(script, arguments, folder)
        options = processes.script_arguments(arguments, self.record["JobName"], self.record["Id"])
        environment = processes.environment(arguments, responses.get_account_id(), found)
        with self._process_lock:
            if self._stop_message is not None:
                return None
            command = [processes.interpreter(), str(found.script), *options]
            process = self._process = processes.JobProcess(command, environment, found.work)
            self.record["JobRunState"] = "RUNNING"
        readers = [
            self._follow(process.output, "/aws-glue/jobs/output", None),
            self._follow(process.errors, "/aws-glue/jobs/error", self._last_errors),
        ]
        code = process.wait(float(self.record["Timeout"]) * 60)
        if code is None:
            process.end()
        for reader in readers:
            reader.join(10)
        return code

    def _outcome(self, code: int | None) -> tuple[str, str]:
        if code is None:
            return "TIMEOUT", "Job timed out."
        if code == 0:
            return "SUCCEEDED", ""
        said = processes.last_error("\n".join(self._last_errors))
        return "FAILED", said or f"The script ended with exit code {code}."

    def _follow(self, stream: Any, group: str, keep: deque[str] | None) -> threading.Thread:
        log = service_logs.log_stream(group, self.record["Id"])

        def take(lines: list[str]) -> None:
            if keep is not None:
                keep.extend(lines)
            service_logs.write(log, lines)

        context = contextvars.copy_context()
        reader = threading.Thread(target=context.run, args=(processes.pump, stream, take), daemon=True)
        reader.start()
        return reader
