"""What each state of each watched thing means: go on waiting, good, or bad. One table per thing, and no other copy.

Sensors, triggers and operators all read these tables; tests run over them, so a new state is a new test for free.
What does not belong here: asking AWS (watches.py), or deciding what a bad state leads to (sensors and operators).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from eventlake.errors import TerminalError


class Outlook(Enum):
    """What a state means to somebody who waits."""

    WAIT = "wait"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True)
class StateTable:
    """All states that `thing` can be in. A state that is missing here raises: silence would be an endless wait."""

    thing: str
    outlooks: Mapping[str, Outlook]

    def outlook(self, state: str) -> Outlook:
        try:
            return self.outlooks[state]
        except KeyError:
            raise TerminalError(
                f"reading the state of a {self.thing}: received {state!r}; valid is one of "
                f"{sorted(self.outlooks)}; add the new state, with what it means, to its table in states.py"
            ) from None


def _table(thing: str, *, wait: tuple[str, ...] = (), good: tuple[str, ...], bad: tuple[str, ...] = ()) -> StateTable:
    outlooks = dict.fromkeys(wait, Outlook.WAIT) | dict.fromkeys(good, Outlook.GOOD) | dict.fromkeys(bad, Outlook.BAD)
    return StateTable(thing, outlooks)


# https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-runs.html (JobRunState)
JOB_RUN = _table(
    "Glue job run",
    wait=("STARTING", "RUNNING", "STOPPING", "WAITING"),
    good=("SUCCEEDED",),
    bad=("STOPPED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"),
)

# https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-crawling.html: State while it runs, then
# LastCrawl.Status; READY stands for a crawler that has never crawled
CRAWL = _table(
    "Glue crawl",
    wait=("READY", "RUNNING", "STOPPING"),
    good=("SUCCEEDED",),
    bad=("CANCELLED", "FAILED"),
)

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StreamDescriptionSummary.html
STREAM = _table("Kinesis stream", wait=("CREATING", "UPDATING"), good=("ACTIVE",), bad=("DELETING",))

# https://docs.aws.amazon.com/firehose/latest/APIReference/API_DeliveryStreamDescription.html
DELIVERY_STREAM = _table(
    "Firehose delivery stream",
    wait=("CREATING",),
    good=("ACTIVE",),
    bad=("CREATING_FAILED", "DELETING", "DELETING_FAILED"),
)

# https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html; `missing`: there is none
EVENT_SOURCE_MAPPING = _table(
    "Lambda event source mapping",
    wait=("Creating", "Enabling", "Updating"),
    good=("Enabled",),
    bad=("Disabling", "Disabled", "Deleting", "missing"),
)

# https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html: State, and once it is Active
# also LastUpdateStatus, because a failed update leaves the old code running
FUNCTION = _table(
    "Lambda function",
    wait=("Pending", "Inactive", "Active/InProgress"),
    good=("Active/Successful",),
    bad=("Failed", "Deactivating", "Deactivated", "ActiveNonInvocable", "Deleting", "Active/Failed"),
)

# a queue has no state of its own; watches.py derives these from how many messages it holds
LANDINGS_QUEUE = _table("landings queue", wait=("draining",), good=("drained",))
DEAD_LETTER_QUEUE = _table("dead-letter queue", good=("empty",), bad=("holding",))

# derived by watches.py: one whose time is over belongs to nobody
LEASE = _table("lease", wait=("taken",), good=("free",))

# derived by watches.py from the watermark's age and the limit given
WATERMARK = _table("watermark", wait=("lagging",), good=("fresh",))

ALL_TABLES = (
    JOB_RUN,
    CRAWL,
    STREAM,
    DELIVERY_STREAM,
    EVENT_SOURCE_MAPPING,
    FUNCTION,
    LANDINGS_QUEUE,
    DEAD_LETTER_QUEUE,
    LEASE,
    WATERMARK,
)
