"""Which exceptions may be quoted in alerts, receipts and logs: those whose words cannot be the value of a row.

Libraries put values into their words (a number that is none, a text that does not parse), so words stand by list only.
Does not belong here: the exceptions of engines (eventlake_spark.failure).
"""

from __future__ import annotations

from eventlake.errors import LakeError

# of the lake, of files and of the machine; then those that speak of services and of tasks
_KINDS = (LakeError, OSError, ImportError, MemoryError)
_PACKAGES = ("airflow.", "botocore.", "boto3.")
LEFT_OUT = "its words are left out, they may hold values of rows"


def may_be_quoted(error: BaseException) -> bool:
    return isinstance(error, _KINDS) or type(error).__module__.startswith(_PACKAGES)


def quoted_or_named(error: BaseException) -> str:
    """In one line: its words, or where they may not stand its class."""
    if may_be_quoted(error):
        return " ".join(str(error).split()) or type(error).__name__
    return f"{type(error).__name__}; {LEFT_OUT}"
