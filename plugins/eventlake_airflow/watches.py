"""How to ask AWS for the state of one watched thing: one small coroutine a kind, and the table that judges its answer.

What belongs in here: the call and where in its answer the state lies. What does not: waiting (triggers.py), and what
a state means (states.py). Everything takes a client, so tests pass fakes in.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eventlake.errors import TerminalError
from eventlake_airflow.states import (
    CRAWL,
    DEAD_LETTER_QUEUE,
    DELIVERY_STREAM,
    EVENT_SOURCE_MAPPING,
    FUNCTION,
    JOB_RUN,
    LANDINGS_QUEUE,
    LEASE,
    STREAM,
    Outlook,
    StateTable,
)

# a client of aiobotocore has no static type
AskState = Callable[[Any, str], Awaitable[str]]


@dataclass(frozen=True)
class WatchKind:
    """A sort of thing that can be watched: the service to ask, how, and how to read the answer."""

    service: str
    ask: AskState
    table: StateTable


@dataclass(frozen=True, order=True)
class Watched:
    """One thing to watch: a kind of `WATCH_KINDS`, and its name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    def table(self) -> StateTable:
        return watch_kind(self.kind).table

    def outlook(self, state: str) -> Outlook:
        return self.table().outlook(state)


def parse_watched(text: str) -> Watched:
    """`stream:eventlake-local-events` as a Watched. Raises TerminalError on a kind that there is not."""
    kind, _, name = text.partition(":")
    watch_kind(kind)
    return Watched(kind, name)


def watch_kind(kind: str) -> WatchKind:
    try:
        return WATCH_KINDS[kind]
    except KeyError:
        raise TerminalError(
            f"watching: received the kind {kind!r}; valid is one of {sorted(WATCH_KINDS)}; correct the sensor"
        ) from None


def job_run(job_name: str, job_run_id: str) -> Watched:
    return Watched("job_run", f"{job_name}/{job_run_id}")


def lease(table: str, lease_name: str) -> Watched:
    return Watched("lease", f"{table}/{lease_name}")


async def _ask_job_run(client: Any, name: str) -> str:
    job_name, _, job_run_id = name.rpartition("/")
    response = await client.get_job_run(JobName=job_name, RunId=job_run_id)
    return str(response["JobRun"]["JobRunState"])


async def _ask_crawl(client: Any, name: str) -> str:
    crawler = (await client.get_crawler(Name=name))["Crawler"]
    if crawler["State"] != "READY" or not crawler.get("LastCrawl"):
        return str(crawler["State"])
    return str(crawler["LastCrawl"]["Status"])


async def _ask_stream(client: Any, name: str) -> str:
    response = await client.describe_stream_summary(StreamName=name)
    return str(response["StreamDescriptionSummary"]["StreamStatus"])


async def _ask_delivery_stream(client: Any, name: str) -> str:
    response = await client.describe_delivery_stream(DeliveryStreamName=name)
    return str(response["DeliveryStreamDescription"]["DeliveryStreamStatus"])


async def _ask_event_source_mapping(client: Any, function_name: str) -> str:
    response = await client.list_event_source_mappings(FunctionName=function_name)
    states = [str(mapping["State"]) for mapping in response["EventSourceMappings"]]
    return next((state for state in states if state != "Enabled"), "Enabled") if states else "missing"


async def _ask_function(client: Any, name: str) -> str:
    configuration = await client.get_function_configuration(FunctionName=name)
    state = str(configuration["State"])
    return f"Active/{configuration['LastUpdateStatus']}" if state == "Active" else state


async def _queue_depth(client: Any, name: str) -> int:
    url = (await client.get_queue_url(QueueName=name))["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    response = await client.get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return sum(int(response["Attributes"][attribute]) for attribute in names)


async def _ask_landings_queue(client: Any, name: str) -> str:
    return "draining" if await _queue_depth(client, name) else "drained"


async def _ask_dead_letter_queue(client: Any, name: str) -> str:
    return "holding" if await _queue_depth(client, name) else "empty"


async def _ask_lease(client: Any, name: str) -> str:
    table, _, lease_name = name.partition("/")
    answer = await client.get_item(TableName=table, Key={"lease_name": {"S": lease_name}}, ConsistentRead=True)
    item = answer.get("Item")
    return "taken" if item and int(item["expires_at"]["N"]) > time.time() else "free"


WATCH_KINDS: Mapping[str, WatchKind] = {
    "job_run": WatchKind("glue", _ask_job_run, JOB_RUN),
    "crawl": WatchKind("glue", _ask_crawl, CRAWL),
    "stream": WatchKind("kinesis", _ask_stream, STREAM),
    "delivery_stream": WatchKind("firehose", _ask_delivery_stream, DELIVERY_STREAM),
    "event_source_mapping": WatchKind("lambda", _ask_event_source_mapping, EVENT_SOURCE_MAPPING),
    "function": WatchKind("lambda", _ask_function, FUNCTION),
    "landings_queue": WatchKind("sqs", _ask_landings_queue, LANDINGS_QUEUE),
    "lease": WatchKind("dynamodb", _ask_lease, LEASE),
    "dead_letter_queue": WatchKind("sqs", _ask_dead_letter_queue, DEAD_LETTER_QUEUE),
}
