"""What is kept of an exception, in receipts and logs alike: nothing that may be the value of a row.

Belongs here: which exceptions of the engines may be quoted beside those of `eventlake.exception_words`, and what is
said of all others: what they are and where they came from. Does not belong here: what a failure leads to.
"""

from __future__ import annotations

import contextlib
import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, PySparkException

from eventlake.exception_words import LEFT_OUT, may_be_quoted

_LONGEST = 2000
_MOST_CAUSES = 8
_JAVA_THAT_SPEAKS_OF_NO_ROW = (
    "java.io.IOException",
    "java.io.FileNotFoundException",
    "java.lang.OutOfMemoryError",
    "java.net.",
    "org.apache.iceberg.exceptions.",
    "software.amazon.awssdk.",
)
_ERROR_CLASS = re.compile(r"\[[A-Z][A-Z0-9_.]*\]")
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)", re.MULTILINE)
_GX_SPEAKS_OF_A_COLUMN = re.compile(r'The column "[^"]{1,128}" in BatchData does not exist')


def told(error: BaseException) -> str:
    """In one line: what it is, and what it says or where it came from."""
    name = type(error).__name__
    if may_be_quoted(error):
        return f"{name}: {' '.join(str(error).split()) or 'without words'}"[:_LONGEST]
    if isinstance(error, AnalysisException):
        # said before a row is read; the plan that follows the first line is long, and the code shows it too
        first_line = str(error).strip().partition("\n")[0]
        return f"{name}: {first_line}"[:_LONGEST]
    origin = ", caused by ".join([name, *_java_causes(error)])
    return f"{origin}, raised at {_place(error)}; {LEFT_OUT}"[:_LONGEST]


def log_failure(log: logging.Logger, what: str, error: BaseException) -> None:
    """The failure and the way to it through the code: lines of the code hold no value."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s failed: %s\n%s", what, told(error), frames)


def told_of_expectation(fault: Mapping[str, Any]) -> str:
    """What Great Expectations says of an exception within an expectation, which it hands on as two texts."""
    message, trace = str(fault.get("exception_message")), str(fault.get("exception_traceback"))
    raised = [found[1].rpartition(".")[2] for found in _RAISED.finditer(trace)]
    kind = next((name for name in reversed(raised) if name.endswith(("Error", "Exception"))), "an exception")
    said = [found[0] for pattern in (_ERROR_CLASS, _GX_SPEAKS_OF_A_COLUMN) if (found := pattern.search(message))]
    return ": ".join([f"the expectation raised {kind}", *said])


def _java_causes(error: BaseException) -> Iterator[str]:
    """The exceptions of the engine below one of Python's, the outermost first."""
    if isinstance(error, PySparkException) and error.getErrorClass():
        yield str(error.getErrorClass())
    current = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    # an engine that is gone answers no question, and the failure has to be told all the same
    with contextlib.suppress(Py4JError, OSError):
        for _ in range(_MOST_CAUSES):
            if current is None:
                return
            name = current.getClass().getName()
            speaks = name.startswith(_JAVA_THAT_SPEAKS_OF_NO_ROW)
            yield f"{name}: {' '.join(str(current.getMessage()).split())}" if speaks else name
            current = current.getCause()


def _place(error: BaseException) -> str:
    """The innermost place in the code of the lake."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "eventlake" in frame.filename or "glue_jobs" in frame.filename]
    frame = (ours or list(frames) or [None])[-1]
    return "a place unknown" if frame is None else f"{Path(frame.filename).name}:{frame.lineno}"
