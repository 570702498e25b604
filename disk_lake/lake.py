"""Objects as files, the jobs run for real on them, and a worker that publishes without asking.

What does not belong here: the lines of objects (tests/spark/event_lines.py, bench/event_copies.py).
"""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO, Any

from pyspark.sql import SparkSession

import load_events
from eventlake.definitions import build_bundle
from eventlake.layout import Area, event_prefix
from eventlake.load_plan import ERRORS_AREA, Landing, LoadPlan, plan_load
from eventlake_spark.objects import already_there, split_uri
from eventlake_spark.protection_key import ReadSecret
from eventlake_spark.table_ddl import open_table

RAW, LAKE = "a-raw", "a-lake"
# what Secrets Manager keeps of a lake, here open
PROTECTION_SECRET, PROTECTION_KEY = "a-protection-key", "the key of a lake on disk"
_SECRETS = {PROTECTION_SECRET: PROTECTION_KEY}
_runs = count(1)


class DiskStore:
    """The object store of the jobs, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, uri: str) -> bytes:
        return self.path(uri).read_bytes()

    def create(self, uri: str, body: bytes | IO[bytes]) -> None:
        path = self.path(uri)
        if path.exists():
            raise already_there(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body if isinstance(body, bytes) else body.read())

    def spark_path(self, uri: str) -> str:
        return f"{self._folder}/{uri.removeprefix('s3://')}"

    def path(self, uri: str) -> Path:
        return self._folder.joinpath(*split_uri(uri))


class DiskLake:
    def __init__(self, session: SparkSession, folder: Path) -> None:
        self.session = session
        self.store = DiskStore(folder)
        self._folder = folder
        self.definitions_key = ""
        self.pairs: set[tuple[str, str]] = set()
        self.tables: set[str] = set()
        self._files = count(1)
        self.define({})

    def define(
        self,
        contracts: Mapping[str, Mapping[str, Any]],
        suites: Mapping[str, Mapping[str, Any]] | None = None,
        rollups: Mapping[str, str] | None = None,
    ) -> None:
        """What the lake is told from now on."""
        body, digest = build_bundle(contracts, suites or {}, rollups or {})
        self.definitions_key = f"control/definitions/{digest}-{next(_runs)}.json"
        self.store.create(f"s3://{LAKE}/{self.definitions_key}", body)
        self.pairs = {(name.partition("/")[0], name.partition("/")[2]) for name in contracts}

    def land(
        self,
        lines: Sequence[bytes | str],
        event_type: str = "payment",
        subtype: str = "order",
        day: str = "2026-11-21",
        area: Area = Area.RAW,
    ) -> Landing:
        """Lines as one raw object."""
        key = f"{event_prefix(area, event_type, subtype, day)}080000-{next(self._files):04d}.gz"
        return self._put(key, lines, area.value, event_type, subtype)

    def land_errors(self, lines: Sequence[bytes | str], pairs: set[tuple[str, str]]) -> Landing:
        """Lines that an object of Firehose's error prefix holds, exactly as they are given."""
        key = f"errors/processing-failed/2026/11/21/08/{next(self._files):04d}"
        landing = self._put(key, lines, ERRORS_AREA, "", "")
        return Landing(*(getattr(landing, name) for name in ("object_key", "etag", "size_bytes", "area")), "", "", "",
                       frozenset(pairs))  # fmt: skip

    def _put(self, key: str, lines: Sequence[bytes | str], area: str, event_type: str, subtype: str) -> Landing:
        body = gzip.compress(b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines))
        self.store.create(f"s3://{RAW}/{key}", body)
        return Landing(key, f"etag-{key[-7:]}", len(body), area, event_type, subtype)

    def load(
        self, *landings: Landing, load_id: str = "load_events-0123456789-g1", expected_exit: int = 0
    ) -> dict[str, Any]:
        """Plans the landings, runs the job, gives its receipt."""
        return self.run(self.plan(*landings, load_id=load_id), expected_exit)

    def plan(self, *landings: Landing, load_id: str) -> LoadPlan:
        bases = {table: self.main_of(table) for table in self.tables}
        return plan_load(
            load_id, landings, self.pairs, bases, (), 10**9, self.definitions_key, "2026-11-21T08:05:00Z", ("raw",)
        )

    def run(
        self, plan: LoadPlan, expected_exit: int = 0, read_secret: ReadSecret = _SECRETS.__getitem__
    ) -> dict[str, Any]:
        tables = [entry.table for entry in plan.tables]
        options = ["--load_id", plan.load_id, "--raw_bucket", RAW, "--protection_secret", PROTECTION_SECRET]
        main = partial(load_events.main, read_secret=read_secret)
        return self.run_job(main, plan.to_json(), tables, expected_exit, options)

    def run_job(
        self,
        main: Callable[..., int],
        plan: bytes,
        tables: Sequence[str],
        expected_exit: int = 0,
        options: Sequence[str] = (),
    ) -> dict[str, Any]:
        """A job on a plan; gives its receipt."""
        self.tables |= set(tables)
        run_id = f"jr_{next(_runs):012d}"
        prefix = f"s3://{LAKE}/control/runs/"
        plan_uri = f"{prefix}plan-{run_id}.json"
        self.store.create(plan_uri, plan)
        argv = ["--JOB_NAME", "job", "--JOB_RUN_ID", run_id, "--plan_uri", plan_uri, "--receipt_prefix", prefix]
        assert main([*argv, *options, "--enable-metrics", "true"], self.store, self.session) == expected_exit
        return dict(json.loads(self.store.read(f"{prefix}receipt-{run_id}.json")))

    def publish(self, receipt: Mapping[str, Any]) -> None:
        """Moves `main` of every table to what the receipt staged, under the publisher's conditions."""
        for entry in receipt["tables"]:
            if entry["staged_snapshot_id"] is None:
                continue
            table = open_table(self.session, entry["table"])
            assert table is not None
            assert table.base_snapshot_id == entry["base_snapshot_id"]
            table._table.manageSnapshots().setCurrentSnapshot(entry["staged_snapshot_id"]).commit()

    def load_and_publish(self, *landings: Landing) -> dict[str, Any]:
        receipt = self.load(*landings)
        self.publish(receipt)
        return receipt

    def main_of(self, table: str) -> int | None:
        opened = open_table(self.session, table)
        return None if opened is None else opened.base_snapshot_id

    def rows(self, select: str) -> list[Any]:
        """Rows of a SELECT over published tables, in their order."""
        return list(self.session.sql(re.sub(r"(?<![a-z_.])events\.", "glue_catalog.events.", select)).collect())

    def staged_rows(self, entry: Mapping[str, Any], columns: str = "*") -> list[Any]:
        return list(
            self.session.sql(
                f"SELECT {columns} FROM glue_catalog.{entry['table']} VERSION AS OF {entry['staged_snapshot_id']}"
            ).collect()
        )

    def beside(self, receipt: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        """The rows of a file beside the receipt (`quarantine_uri`, `duplicates_uri`)."""
        uri = receipt[name]
        if uri is None:
            return []
        with gzip.open(io.BytesIO(self.store.read(uri)), "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def drop_tables(self) -> None:
        for table in self.tables:
            self.session.sql(f"DROP TABLE IF EXISTS glue_catalog.{table} PURGE")
        shutil.rmtree(self._folder, ignore_errors=True)
