"""The papers of loads, rollups and compactions in the lake bucket: plan, receipts, outcome.

Plan and outcome are written once.

What the papers say is parsed by `eventlake`; here they are bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from eventlake.errors import TerminalError, TransientError
from eventlake.load_plan import KnownLoad
from eventlake.settings import Settings
from eventlake_aws.clients import Clients

LOADS_PREFIX = "control/loads/"
ROLLUPS_PREFIX = "control/rollups/"
COMPACTIONS_PREFIX = "control/compactions/"


@dataclass(frozen=True)
class Papers:
    """The folder of one kind of run: `prefix` is one of those above."""

    clients: Clients
    settings: Settings
    prefix: str

    def folder_uri(self, name: str) -> str:
        return f"s3://{self.settings.lake_bucket}/{self.prefix}{name}/"

    def plan_uri(self, name: str) -> str:
        return f"{self.folder_uri(name)}plan.json"

    def receipt_uri(self, name: str, job_run_id: str) -> str:
        return f"{self.folder_uri(name)}receipt-{job_run_id}.json"

    def known(self, name_prefix: str) -> list[KnownLoad]:
        """Runs that have a plan and whose names begin so."""
        ended: dict[str, bool] = {}
        pages = self.clients.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.settings.lake_bucket, Prefix=self.prefix + name_prefix
        )
        for page in pages:
            for entry in page.get("Contents", []):
                name, _, paper = entry["Key"].removeprefix(self.prefix).partition("/")
                if paper == "plan.json":
                    ended.setdefault(name, False)
                elif paper == "outcome.json":
                    ended[name] = True
        return [KnownLoad(name, has_ended) for name, has_ended in ended.items()]

    def write_plan(self, name: str, body: bytes) -> bytes:
        """Writes it once; if a faster retry wrote one already, that one is the plan."""
        if self._write_once(f"{self.prefix}{name}/plan.json", body):
            return body
        return self.read_plan(name)

    def read_plan(self, name: str) -> bytes:
        body = self._read(f"{self.prefix}{name}/plan.json")
        if body is None:
            raise TerminalError(
                f"reading the plan of {name}: received no {self.plan_uri(name)}; "
                "valid is a run whose plan was written and nobody took back; take its name from control.loads, "
                "or clear the task that plans, so that it plans anew"
            )
        return body

    def read_receipt(self, name: str, job_run_id: str) -> bytes:
        """Raises TerminalError when the run left none: a job's state alone is never trusted."""
        body = self._read(f"{self.prefix}{name}/receipt-{job_run_id}.json")
        if body is None:
            raise TerminalError(
                f"publishing {name}: received no receipt of job run {job_run_id}; "
                f"valid is {self.receipt_uri(name, job_run_id)}; look at the job's log and clear the task that staged"
            )
        return body

    def write_outcome(self, name: str, outcome: dict[str, Any]) -> dict[str, Any]:
        """The last word on a run. A second writer gets what the first one wrote."""
        if self._write_once(f"{self.prefix}{name}/outcome.json", json.dumps(outcome).encode()):
            return outcome
        written = self.read_outcome(name)
        return outcome if written is None else written

    def read_outcome(self, name: str) -> dict[str, Any] | None:
        """How the run ended; None while it is open."""
        body = self._read(f"{self.prefix}{name}/outcome.json")
        if body is None:
            return None
        outcome: dict[str, Any] = json.loads(body)
        return outcome

    def _write_once(self, key: str, body: bytes) -> bool:
        try:
            self.clients.s3.put_object(
                Bucket=self.settings.lake_bucket, Key=key, Body=body, IfNoneMatch="*", ContentType="application/json"
            )
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 412:
                return False
            if status == 409:
                raise TransientError(
                    f"writing s3://{self.settings.lake_bucket}/{key} once: received a conflict with another writer; "
                    "valid is one writer; run the task again"
                ) from error
            raise
        return True

    def _read(self, key: str) -> bytes | None:
        try:
            body: bytes = self.clients.s3.get_object(Bucket=self.settings.lake_bucket, Key=key)["Body"].read()
        except self.clients.s3.exceptions.NoSuchKey:
            return None
        return body
