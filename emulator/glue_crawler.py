"""Glue crawlers: a run that reads the bucket and writes tables and partitions into the catalog.

Belongs in here: the crawler API (https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-crawling.html). Does
not belong here: what a run writes (crawled_catalog.py), what a table is (crawled_tables.py) and how a schema is found
(crawled_schema.py). Not done: JDBC, DynamoDB and Delta targets, schedules, custom classifiers, CSV. ministack waits
five seconds and writes nothing.
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core import responses
from ministack.services import glue

from emulator import moments, patches
from emulator.crawled_catalog import LOG_GROUP, CancelledError, Crawl

FIX = "glue_crawler"

_ENDED_WITH_SERVER = "The emulator stopped or was killed while this crawl was running."

logger = logging.getLogger("emulator.glue_crawler")
# of each account's crawlers, what GetCrawlerMetrics tells of their runs
_history: dict[tuple[str, str], list[dict[str, float]]] = {}
_lock = threading.Lock()
# told when a crawl has Started, Succeeded or Failed, with what it did to tables and partitions
told_of_state: list[Callable[[dict[str, Any], str, dict[str, float]], None]] = []


def install() -> None:
    create = patches.replace(FIX, "services.glue:_create_crawler", None)
    update = patches.replace(FIX, "services.glue:_update_crawler", None)
    delete = patches.replace(FIX, "services.glue:_delete_crawler", None)
    glue._create_crawler = lambda data: _refusal(data) or create(data)
    glue._update_crawler = lambda data: _busy(data) or _refusal(data) or update(data)
    glue._delete_crawler = lambda data: _busy(data) or delete(data)
    patches.replace(FIX, "services.glue:_start_crawler", _start_crawler)
    patches.replace(FIX, "services.glue:_stop_crawler", _stop_crawler)
    patches.replace(FIX, "services.glue:_get_crawler_metrics", _get_crawler_metrics)
    restore = patches.replace(FIX, "services.glue:_restore_state", None)
    glue._restore_state = lambda data: (restore(data), _end_crawls_of_before())[0]


def _end_crawls_of_before() -> None:
    """A crawl that the state shows as running ended with the server that ran it."""
    for _, crawler in glue._crawlers.all_items():
        if crawler["State"] != "READY":
            stopped = crawler["State"] == "STOPPING"
            crawler["LastCrawl"] = {
                "Status": "CANCELLED" if stopped else "FAILED",
                "LogGroup": LOG_GROUP,
                "LogStream": crawler["Name"],
                **({} if stopped else {"ErrorMessage": _ENDED_WITH_SERVER}),
            }
            crawler["State"] = "READY"


def _error(code: str, message: str) -> Any:
    return responses.error_response_json(code, message, 400)


def _busy(data: dict[str, Any]) -> Any:
    name = data.get("Name", "")
    if (glue._crawlers.get(name) or {}).get("State", "READY") == "READY":
        return None
    return _error("CrawlerRunningException", f"Crawler with name {name} is running")


def _refusal(data: dict[str, Any]) -> Any:
    """https://docs.aws.amazon.com/glue/latest/dg/incremental-crawls.html: new folders change no table that is there."""
    described = {**(glue._crawlers.get(data.get("Name", "")) or {}), **data}
    policy = described.get("SchemaChangePolicy") or {}
    if (described.get("RecrawlPolicy") or {}).get("RecrawlBehavior") != "CRAWL_NEW_FOLDERS_ONLY":
        return None
    if policy.get("UpdateBehavior") == policy.get("DeleteBehavior") == "LOG":
        return None
    return _error(
        "InvalidInputException",
        "The SchemaChangePolicy for 'Crawl new folders only' Amazon S3 target can have only LOG DeleteBehavior value "
        "and only LOG UpdateBehavior value.",
    )


def _start_crawler(data: dict[str, Any]) -> Any:
    name = data.get("Name", "")
    with _lock:
        crawler = glue._crawlers.get(name)
        if crawler is None:
            return _error("EntityNotFoundException", f"Crawler entry with name {name} does not exist")
        if crawler["State"] != "READY":
            return _error("CrawlerRunningException", f"Crawler with name {name} has already started")
        crawler.update(State="RUNNING", CrawlElapsedTime=0)
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_run, crawler), name=f"crawler-{name}", daemon=True).start()
    return responses.json_response({})


def _stop_crawler(data: dict[str, Any]) -> Any:
    name = data.get("Name", "")
    with _lock:
        crawler = glue._crawlers.get(name)
        if crawler is None:
            return _error("EntityNotFoundException", f"Crawler entry with name {name} does not exist")
        if crawler["State"] == "STOPPING":
            return _error("CrawlerStoppingException", f"Crawler with name {name} is stopping")
        if crawler["State"] != "RUNNING":
            return _error("CrawlerNotRunningException", f"Crawler with name {name} is not running")
        crawler["State"] = "STOPPING"
    return responses.json_response({})


def _get_crawler_metrics(data: dict[str, Any]) -> Any:
    account = responses.get_account_id()
    found = []
    for name in data.get("CrawlerNameList") or list(glue._crawlers):
        if name not in glue._crawlers:
            continue
        runs = _history.get((account, name), [])
        seconds = sorted(run["seconds"] for run in runs)
        found.append(
            {
                "CrawlerName": name,
                "TimeLeftSeconds": 0.0,
                "StillEstimating": glue._crawlers[name]["State"] == "RUNNING" and not runs,
                "LastRuntimeSeconds": runs[-1]["seconds"] if runs else 0.0,
                "MedianRuntimeSeconds": seconds[len(seconds) // 2] if seconds else 0.0,
                "TablesCreated": int(runs[-1]["created"]) if runs else 0,
                "TablesUpdated": int(runs[-1]["updated"]) if runs else 0,
                "TablesDeleted": int(runs[-1]["deleted"]) if runs else 0,
            }
        )
    return responses.json_response({"CrawlerMetricsList": found})


def _run(crawler: dict[str, Any]) -> None:
    started = time.time()
    status, message = "SUCCEEDED", ""
    crawl = Crawl(crawler)
    crawl.say("BENCHMARK", f"Running Start Crawl for Crawler {crawler['Name']}")
    _tell(crawler, "Started", crawl.counts)
    try:
        crawl.run()
    except CancelledError:
        status = "CANCELLED"
    except Exception as error:
        logger.warning("crawler %s failed: %s", crawler["Name"], error)
        status, message = "FAILED", str(error)
        crawl.say("ERROR", message)
    seconds = time.time() - started
    last = {
        "Status": status,
        "LogGroup": LOG_GROUP,
        "LogStream": crawler["Name"],
        "MessagePrefix": crawl.message_prefix,
        "StartTime": started,
    }
    if message:
        last["ErrorMessage"] = message
    history = _history.setdefault((responses.get_account_id(), crawler["Name"]), [])
    history.append({"seconds": seconds, **crawl.counts})
    crawl.say("BENCHMARK", "Crawler has finished running and is in state READY")
    crawler.update(LastCrawl=last, CrawlElapsedTime=int(seconds * 1000), State="READY")
    if status != "CANCELLED":
        _tell(crawler, status.capitalize(), crawl.counts)
    moments.note_change()


def _tell(crawler: dict[str, Any], state: str, counts: dict[str, float]) -> None:
    for tell in told_of_state:
        tell(crawler, state, counts)


# ---- what a stop keeps


def saved() -> list[tuple[tuple[str, str], list[dict[str, float]]]]:
    return list(_history.items())


def restore(runs: list[tuple[tuple[str, str], list[dict[str, float]]]]) -> None:
    _history.update(runs)
