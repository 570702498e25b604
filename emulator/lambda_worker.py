"""Lambda's execution environment: it outlives a handler that raises, answers as soon as the handler has, and knows no
variable of the server's.

Belongs in here: the process of one function (ministack kills it on every exception, so that each retry pays a cold
start, waits 50 ms for log lines that a silent handler never writes, and hands its own environment on, in which a
variable that the template forgot may be there by chance). Does not belong here: who invokes it.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

import json
import queue
import threading
import time
from contextvars import ContextVar
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from emulator import patches

FIX = "lambda_worker"
# Written to the log stream after each invocation: what came before it belongs to that invocation.
_END_OF_LOG = "\x1eend of invocation"
_LOG_WAIT_SECONDS = 2.0

# what a process on this machine needs, and what ministack says to a function
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE")
_KEPT_VARIABLES += ("NO_PROXY", "no_proxy")
_KEPT_PREFIXES = ("AWS_", "_LAMBDA_", "LAMBDA_TASK_ROOT")

_SCRIPT_CHANGES = (
    (
        "    os.environ.update(env)\n",
        f"    for name in [one for one in os.environ if one not in {_KEPT_VARIABLES!r}]:\n"
        f"        if not name.startswith({_KEPT_PREFIXES!r}):\n"
        "            del os.environ[name]\n"
        "    os.environ.update(env)\n",
    ),
    # Ctrl-C goes to every process of the terminal; the server ends its functions itself.
    ("def run():\n", "def run():\n    import signal\n    signal.signal(signal.SIGINT, signal.SIG_IGN)\n"),
    (
        '"trace": traceback.format_exc()}) + "\\n")\n        _real_stdout.flush()\n',
        '"errorType": type(e).__name__, "trace": traceback.format_exc()}) + "\\n")\n'
        f"        sys.stderr.write({_END_OF_LOG!r} + chr(10))\n"
        "        sys.stderr.flush()\n"
        "        _real_stdout.flush()\n",
    ),
)

# what the handler of this thread's invocation raised, as its process told it
_raised: ContextVar[dict[str, Any] | None] = ContextVar("raised", default=None)


def install() -> None:
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    for old, new in _SCRIPT_CHANGES:
        if script.count(old) != 1:
            raise patches.WrongMinistackError(
                f"ministack's Python worker script does not hold {old!r} once; reinstall {patches.PINNED_VERSION}"
            )
        script = script.replace(old, new)
    patches.replace(FIX, "core.lambda_runtime:_PYTHON_WORKER_SCRIPT", script)
    original = patches.replace(FIX, "core.lambda_runtime:Worker.invoke", None)

    def invoke(self: Any, event: Any, request_id: str, **context: Any) -> dict[str, Any]:
        if not str(self.config.get("Runtime", "python3.11")).startswith("python"):
            return original(self, event, request_id, **context)
        return _invoke(self, event, request_id, **context)

    lambda_runtime.Worker.invoke = invoke
    execute = patches.replace(FIX, "services.lambda_svc:_execute_function_warm", None)
    lambda_svc._execute_function_warm = lambda *arguments: _with_type(execute, *arguments)
    patches.at_shutdown(40, lambda_runtime.reset)


def _with_type(execute: Any, function: dict[str, Any], event: Any, request_id: str) -> Any:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html; ministack calls all of them alike."""
    _raised.set(None)
    answer = execute(function, event, request_id)
    if answer.get("error") and (raised := _raised.get()) is not None:
        answer["body"] |= {
            "errorType": raised["errorType"],
            "requestId": request_id,
            "stackTrace": raised["trace"].splitlines(keepends=True),
        }
    return answer


def _invoke(
    self: Any,
    event: Any,
    request_id: str,
    *,
    trace_id: str | None = None,
    depth: Any = None,
    durable: dict[str, Any] | None = None,
    invoked_function_arn: str | None = None,
) -> dict[str, Any]:
    with self._lock:
        cold = self._proc is None or self._proc.poll() is not None
        if cold:
            self._spawn()
            self._cold = False
        timeout = float(self.config.get("Timeout", 3))
        envelope = {
            "event": event,
            "ctx": {
                "request_id": request_id,
                "invoked_function_arn": invoked_function_arn or self.config.get("FunctionArn", ""),
                "timeout_ms": int(timeout * 1000),
                "trace_id": trace_id,
                "depth": depth,
                "durable": durable or {},
            },
        }
        answers: list[dict[str, Any]] = []
        reader = threading.Thread(target=_exchange, args=(self._proc, json.dumps(envelope), answers), daemon=True)
        reader.start()
        reader.join(timeout)
        if reader.is_alive():
            _end(self)
            return {
                "status": "error",
                "error": f"Task timed out after {timeout:.2f} seconds",
                "cold_start": cold,
                "log": self._drain_stderr(),
            }
        answer = answers[0] if answers else {"status": "error", "error": "Runtime exited without providing a reason"}
        if answer.get("status") == "error" and "trace" not in answer:
            # the process itself is gone or speaks no more; an exception of the handler comes with its trace
            _end(self)
            answer["log"] = self._drain_stderr()
        else:
            answer["log"] = _log_of_invocation(self._stderr_queue)
        if "errorType" in answer:
            _raised.set(answer)
        answer["cold_start"] = cold
        return answer


def _exchange(process: Any, line: str, answers: list[dict[str, Any]]) -> None:
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
        while True:
            text = process.stdout.readline()
            if not text:
                return
            if text.startswith("{"):
                answer = json.loads(text)
                if answer.get("status") in ("ok", "error"):
                    answers.append(answer)
                    return
    except (OSError, ValueError) as error:
        answers.append({"status": "error", "error": f"Runtime exited: {error}"})


def _log_of_invocation(lines: queue.Queue[str]) -> str:
    kept: list[str] = []
    deadline = time.monotonic() + _LOG_WAIT_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = lines.get(timeout=left)
        except queue.Empty:
            break
        if line.endswith(_END_OF_LOG):
            if line != _END_OF_LOG:
                kept.append(line[: -len(_END_OF_LOG)])
            break
        kept.append(line)
    return "\n".join(kept)


def _end(self: Any) -> None:
    process, self._proc = self._proc, None
    lambda_runtime._signal(process)
    lambda_runtime._collect(process, time.monotonic() + lambda_runtime._REAP_GRACE)
