"""Glue crawlers: a run that reads the bucket and writes tables and partitions into the catalog.

Belongs in here: the crawler API and what SchemaChangePolicy, RecrawlPolicy and Configuration make of a finding
(https://docs.aws.amazon.com/glue/latest/dg/crawler-configuration.html). Does not belong here: how a schema is found
(crawled_schema.py) and what a table is (crawled_tables.py). Not done: JDBC, DynamoDB and Delta targets, schedules,
custom classifiers, CSV. ministack waits five seconds and writes nothing.
"""

from __future__ import annotations

import contextvars
import json
import logging
import threading
import time
from typing import Any

from ministack.core import responses
from ministack.services import glue, s3

from emulator import crawled_tables as tables
from emulator import patches

FIX = "glue_crawler"

logger = logging.getLogger("emulator.glue_crawler")
_history: dict[tuple[str, str], list[dict[str, float]]] = {}
_lock = threading.Lock()


class _CancelledError(Exception):
    """StopCrawler came."""


def install() -> None:
    patches.replace(FIX, "services.glue:_start_crawler", _start_crawler)
    patches.replace(FIX, "services.glue:_stop_crawler", _stop_crawler)
    patches.replace(FIX, "services.glue:_get_crawler_metrics", _get_crawler_metrics)
    restore = patches.replace(FIX, "services.glue:_restore_state", None)
    glue._restore_state = lambda data: (restore(data), _end_crawls_of_before())[0]


def _end_crawls_of_before() -> None:
    """A crawl that the state shows as running ended with the server that ran it."""
    for _, crawler in glue._crawlers.all_items():
        crawler["State"] = "READY"


def _error(code: str, message: str) -> Any:
    return responses.error_response_json(code, message, 400)


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
    counts = {"created": 0.0, "updated": 0.0, "deleted": 0.0}
    try:
        _Crawl(crawler, counts).run()
    except _CancelledError:
        status = "CANCELLED"
    except Exception as error:
        logger.warning("crawler %s failed: %s", crawler["Name"], error)
        status, message = "FAILED", str(error)
    seconds = time.time() - started
    last = {
        "Status": status,
        "LogGroup": "/aws-glue/crawlers",
        "LogStream": crawler["Name"],
        "MessagePrefix": responses.new_uuid(),
        "StartTime": started,
    }
    if message:
        last["ErrorMessage"] = message
    _history.setdefault((responses.get_account_id(), crawler["Name"]), []).append({"seconds": seconds, **counts})
    crawler.update(LastCrawl=last, CrawlElapsedTime=int(seconds * 1000), State="READY")


class _Crawl:
    """One run of one crawler."""

    def __init__(self, crawler: dict[str, Any], counts: dict[str, float]) -> None:
        self.crawler = crawler
        self.counts = counts
        self.database = crawler["DatabaseName"]
        configuration = json.loads(crawler.get("Configuration") or "{}")
        grouping = configuration.get("Grouping") or {}
        level = grouping.get("TableLevelConfiguration")
        self.level = int(level) if level is not None else None
        output = configuration.get("CrawlerOutput") or {}
        self.inherit = (output.get("Partitions") or {}).get("AddOrUpdateBehavior") == "InheritFromTable"
        self.only_new_columns = (output.get("Tables") or {}).get("AddOrUpdateBehavior") == "MergeNewColumns"
        policy = crawler.get("SchemaChangePolicy") or {}
        self.updates = policy.get("UpdateBehavior", "UPDATE_IN_DATABASE") == "UPDATE_IN_DATABASE"
        self.delete_behavior = policy.get("DeleteBehavior", "DEPRECATE_IN_DATABASE")
        recrawl = (crawler.get("RecrawlPolicy") or {}).get("RecrawlBehavior", "CRAWL_EVERYTHING")
        self.only_new_folders = recrawl == "CRAWL_NEW_FOLDERS_ONLY"

    def run(self) -> None:
        if self.database not in glue._databases:
            raise ValueError(f"Database {self.database} does not exist")
        seen: set[str] = set()
        for target in (self.crawler.get("Targets") or {}).get("S3Targets") or []:
            for table in self._found(target):
                self._still_wanted()
                seen.add(table.name)
                self._write(table)
        if not self.only_new_folders:
            self._remove_missing(seen)

    def _still_wanted(self) -> None:
        if self.crawler["State"] == "STOPPING":
            raise _CancelledError

    def _found(self, target: dict[str, Any]) -> list[tables.CrawledTable]:
        bucket, _, include = target["Path"].removeprefix("s3://").partition("/")
        if include and not include.endswith("/"):
            include += "/"
        stored = s3._ensure_bucket(bucket)
        if stored is None:
            raise ValueError(f"The S3 target {target['Path']} does not exist or is not accessible: bucket not found")
        patterns = target.get("Exclusions") or []
        keys = [
            key
            for key in list(stored["objects"])
            if key.startswith(include) and not tables.excluded(key[len(include) :], patterns)
        ]

        def read(key: str) -> bytes | None:
            self._still_wanted()
            return s3._get_object_data(bucket, key)

        sample = int(target["SampleSize"]) if target.get("SampleSize") else None
        prefix = self.crawler.get("TablePrefix") or ""
        return tables.crawl(bucket, include, keys, read, self.level, prefix, sample, self._need_not_be_read)

    def _need_not_be_read(self, name: str, values: tuple[str, ...]) -> bool:
        if not self.only_new_folders:
            return False
        partitions = glue._partitions.get(f"{self.database}/{name}") or []
        return any(tuple(partition.get("Values", [])) == values for partition in partitions)

    # ---- writing

    def _write(self, table: tables.CrawledTable) -> None:
        assert table.schema is not None
        objects = sum(folder.objects for folder in table.folders.values())
        columns = table.schema.typed_columns()
        current = glue._tables.get(f"{self.database}/{table.name}")
        if current is not None and self.only_new_columns:
            known = current["StorageDescriptor"].get("Columns", [])
            names = {column["Name"] for column in known}
            columns = known + [column for column in columns if column["Name"] not in names]
        written = tables.parameters(self.crawler["Name"], table.schema, objects)
        entry = {
            "Name": table.name,
            "Owner": "owner",
            "StorageDescriptor": tables.storage(table.location, table.schema, columns, written),
            "PartitionKeys": [{"Name": key, "Type": "string"} for key in table.partition_keys],
            "TableType": "EXTERNAL_TABLE",
            "Parameters": written,
        }
        if current is None:
            _checked(glue._create_table({"DatabaseName": self.database, "TableInput": entry}))
            self.counts["created"] += 1
        elif self.updates and _differs(current, entry):
            _checked(glue._update_table({"DatabaseName": self.database, "TableInput": entry}))
            self.counts["updated"] += 1
        if table.partition_keys:
            self._write_partitions(table, columns)

    def _write_partitions(self, table: tables.CrawledTable, table_columns: list[dict[str, str]]) -> None:
        place = {"DatabaseName": self.database, "TableName": table.name}
        stored = glue._partitions.get(f"{self.database}/{table.name}") or []
        known = {tuple(partition.get("Values", [])) for partition in stored}
        new, changed = [], []
        for folder in table.folders.values():
            schema = folder.schema
            if schema is None:
                continue
            columns = table_columns if self.inherit else schema.typed_columns()
            written = tables.parameters(self.crawler["Name"], schema, folder.objects)
            entry = {
                "Values": list(folder.values),
                "StorageDescriptor": tables.storage(folder.location, schema, columns, written),
                "Parameters": written,
            }
            if folder.values in known:
                changed.append({"PartitionValueList": list(folder.values), "PartitionInput": entry})
            else:
                new.append(entry)
        glue._batch_create_partition({**place, "PartitionInputList": new})
        if self.updates and changed:
            glue._batch_update_partition({**place, "Entries": changed})

    def _remove_missing(self, seen: set[str]) -> None:
        """Tables of this crawler whose objects are gone."""
        if self.delete_behavior == "LOG":
            return
        for place, table in list(glue._tables.items()):
            mine = table.get("Parameters", {}).get("UPDATED_BY_CRAWLER") == self.crawler["Name"]
            if not mine or not place.startswith(f"{self.database}/") or table["Name"] in seen:
                continue
            if self.delete_behavior == "DELETE_FROM_DATABASE":
                glue._delete_table({"DatabaseName": self.database, "Name": table["Name"]})
                self.counts["deleted"] += 1
            else:
                table["Parameters"]["DEPRECATED_BY_CRAWLER"] = str(int(time.time() * 1000))
                self.counts["updated"] += 1


def _differs(current: dict[str, Any], entry: dict[str, Any]) -> bool:
    """Whether anything but the counts has changed; the counts are written along."""
    return any(current.get(name) != entry[name] for name in ("StorageDescriptor", "PartitionKeys", "Parameters"))


def _checked(answer: Any) -> None:
    if answer[0] != 200:
        raise ValueError(f"the catalog refused: {answer[2]!r}")
