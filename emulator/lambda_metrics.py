"""AWS/Lambda metrics of invocations that an event source makes; ministack counts those of the Invoke API alone.

Belongs in here: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html by FunctionName. Does not
belong here: IteratorAge, which is the stream's (kinesis_event_source.py).
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any

from ministack.services import cloudwatch, lambda_svc

from emulator import patches

FIX = "lambda_metrics"

is_by_event_source: ContextVar[bool] = ContextVar("is_by_event_source", default=False)


def install() -> None:
    execute = patches.replace(FIX, "services.lambda_svc:_execute_function", None)
    lambda_svc._execute_function = lambda function, event: _executed(execute, function, event)
    run_batch = patches.replace(FIX, "services.lambda_svc:_run_sqs_batch", None)
    lambda_svc._run_sqs_batch = lambda *arguments: _by_event_source(run_batch, *arguments)
    patches.replace(FIX, "services.lambda_svc:_emit_lambda_metrics", emit)


def _by_event_source(run_batch: Any, *arguments: Any) -> None:
    token = is_by_event_source.set(True)
    try:
        run_batch(*arguments)
    finally:
        is_by_event_source.reset(token)


def _executed(execute: Any, function: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    if not is_by_event_source.get():
        answer: dict[str, Any] = execute(function, event)
        return answer
    # execution may come through here once more, in the function's own account, and is one invocation all the same
    token = is_by_event_source.set(False)
    started = time.monotonic()
    try:
        answer = execute(function, event)
    finally:
        is_by_event_source.reset(token)
    if not answer.get("throttle"):
        name = (function.get("config") or function)["FunctionName"]
        emit(name, (time.monotonic() - started) * 1000, error=bool(answer.get("error")), throttle=False)
    return answer


def emit(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None:
    """A throttled request is no invocation."""
    dimensions = {"FunctionName": function_name}

    def record(metric: str, value: float, unit: str = "Count") -> None:
        cloudwatch.record_metric("AWS/Lambda", metric, value, unit, dimensions)

    record("Throttles", int(throttle))
    if throttle:
        return
    record("Invocations", 1)
    record("Errors", int(error))
    if duration_ms > 0:
        record("Duration", duration_ms, "Milliseconds")
