"""What one crawl writes into the catalog: tables, partitions, and what becomes of those whose data is gone.

Belongs in here: what SchemaChangePolicy, RecrawlPolicy and Configuration make of a finding
(https://docs.aws.amazon.com/glue/latest/dg/crawler-configuration.html), and the log of a run. Does not belong here: the
API (glue_crawler.py), which objects make a table (crawled_tables.py).
"""

from __future__ import annotations

import json
import time
from typing import Any

from ministack.core import responses
from ministack.services import glue, s3

from emulator import crawled_tables as tables
from emulator import service_logs
from emulator.faults import fault

LOG_GROUP = "/aws-glue/crawlers"

_RETRY_SECONDS = 0.1


class CancelledError(Exception):
    """StopCrawler came."""


class Crawl:
    """One run of one crawler."""

    def __init__(self, crawler: dict[str, Any]) -> None:
        self.crawler = crawler
        # of tables, and of partitions
        self.counts = {"created": 0.0, "updated": 0.0, "deleted": 0.0}
        self.counts |= {"partitions_created": 0.0, "partitions_updated": 0.0, "partitions_deleted": 0.0}
        self.message_prefix = responses.new_uuid()
        self._log = service_logs.log_stream(LOG_GROUP, crawler["Name"])
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

    def say(self, level: str, what: str) -> None:
        service_logs.write(self._log, [f"[{self.message_prefix}] {level} : {what}"])

    def run(self) -> None:
        if self.database not in glue._databases:
            raise ValueError(f"Database {self.database} does not exist")
        found: dict[str, tables.CrawledTable] = {}
        for target in (self.crawler.get("Targets") or {}).get("S3Targets") or []:
            for table in self._found(target):
                self._still_wanted()
                found[table.name] = table
                self._write(table)
        self.say("BENCHMARK", "Finished writing to Catalog")
        if not self.only_new_folders:
            self._remove_missing(found)

    def _still_wanted(self) -> None:
        while fault("crawl_hangs") and self.crawler["State"] == "RUNNING":
            time.sleep(_RETRY_SECONDS)
        if self.crawler["State"] == "STOPPING":
            raise CancelledError

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
            self.say("INFO", f"Created table {table.name} in database {self.database}")
        elif _differs(current, entry):
            if self.updates:
                _checked(glue._update_table({"DatabaseName": self.database, "TableInput": entry}))
                self.counts["updated"] += 1
            done = "Updated" if self.updates else "Found a change, which its policy only logs, of"
            self.say("INFO", f"{done} table {table.name} in database {self.database}")
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
        self.counts["partitions_created"] += len(new)
        if self.updates and changed:
            glue._batch_update_partition({**place, "Entries": changed})
            self.counts["partitions_updated"] += len(changed)

    def _remove_missing(self, found: dict[str, tables.CrawledTable]) -> None:
        """Tables of this crawler whose objects are gone, and partitions whose folder is."""
        for place, table in list(glue._tables.items()):
            mine = table.get("Parameters", {}).get("UPDATED_BY_CRAWLER") == self.crawler["Name"]
            if not mine or not place.startswith(f"{self.database}/"):
                continue
            if table["Name"] in found:
                self._remove_missing_partitions(place, found[table["Name"]])
            elif self.delete_behavior == "DELETE_FROM_DATABASE":
                glue._delete_table({"DatabaseName": self.database, "Name": table["Name"]})
                self.counts["deleted"] += 1
                self.say("INFO", f"Deleted table {table['Name']} in database {self.database}")
            elif self.delete_behavior == "DEPRECATE_IN_DATABASE":
                table["Parameters"]["DEPRECATED_BY_CRAWLER"] = str(int(time.time() * 1000))
                self.counts["updated"] += 1
                self.say("INFO", f"Deprecated table {table['Name']} in database {self.database}")
            else:
                self.say("INFO", f"The data of table {table['Name']} is gone, which its policy only logs")

    def _remove_missing_partitions(self, place: str, table: tables.CrawledTable) -> None:
        there = {folder.values for folder in table.folders.values()}
        gone = [
            values for one in glue._partitions.get(place) or [] if (values := tuple(one.get("Values", []))) not in there
        ]
        for values in gone if self.delete_behavior == "DELETE_FROM_DATABASE" else []:
            wanted = {"DatabaseName": self.database, "TableName": table.name, "PartitionValues": list(values)}
            glue._delete_partition(wanted)
            self.counts["partitions_deleted"] += 1
        if gone:
            done = "Deleted" if self.delete_behavior == "DELETE_FROM_DATABASE" else "Left"
            self.say("INFO", f"{done} {len(gone)} partitions without data of table {table.name}")


def _differs(current: dict[str, Any], entry: dict[str, Any]) -> bool:
    """Whether anything but the counts has changed; the counts are written along."""
    return any(current.get(name) != entry[name] for name in ("StorageDescriptor", "PartitionKeys", "Parameters"))


def _checked(answer: Any) -> None:
    if answer[0] != 200:
        raise ValueError(f"the catalog refused: {answer[2]!r}")
