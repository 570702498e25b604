"""The papers of loads in the lake bucket: plan, receipts, outcome. Plan and outcome are written once, for ever."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from eventlake.errors import TerminalError, TransientError
from eventlake.load_plan import KnownLoad, LoadPlan
from eventlake.receipt import Receipt, parse_receipt
from eventlake.settings import Settings
from eventlake_aws.clients import Clients

LOADS_PREFIX = "control/loads/"


def load_prefix(load_id: str) -> str:
    return f"{LOADS_PREFIX}{load_id}/"


def plan_uri(settings: Settings, load_id: str) -> str:
    return f"s3://{settings.lake_bucket}/{load_prefix(load_id)}plan.json"


def receipt_prefix_uri(settings: Settings, load_id: str) -> str:
    return f"s3://{settings.lake_bucket}/{load_prefix(load_id)}"


def receipt_uri(settings: Settings, load_id: str, job_run_id: str) -> str:
    return f"{receipt_prefix_uri(settings, load_id)}receipt-{job_run_id}.json"


def known_loads(clients: Clients, settings: Settings, name_prefix: str) -> list[KnownLoad]:
    """Loads that have a plan and whose names begin so."""
    ended: dict[str, bool] = {}
    pages = clients.s3.get_paginator("list_objects_v2").paginate(
        Bucket=settings.lake_bucket, Prefix=LOADS_PREFIX + name_prefix
    )
    for page in pages:
        for entry in page.get("Contents", []):
            load_id, _, name = entry["Key"].removeprefix(LOADS_PREFIX).partition("/")
            if name == "plan.json":
                ended.setdefault(load_id, False)
            elif name == "outcome.json":
                ended[load_id] = True
    return [KnownLoad(load_id, has_ended) for load_id, has_ended in ended.items()]


def write_plan(clients: Clients, settings: Settings, plan: LoadPlan) -> LoadPlan:
    """Writes it once. If a faster retry wrote one already, that one is the plan."""
    if _write_once(clients, settings, f"{load_prefix(plan.load_id)}plan.json", plan.to_json()):
        return plan
    return read_plan(clients, settings, plan.load_id)


def read_plan(clients: Clients, settings: Settings, load_id: str) -> LoadPlan:
    text = _read(clients, settings, f"{load_prefix(load_id)}plan.json")
    if text is None:
        raise TerminalError(
            f"reading the plan of load {load_id}: received no {plan_uri(settings, load_id)}; "
            "valid is a load that plan_load opened; take the load id from control.loads"
        )
    return LoadPlan.from_json(text)


def read_receipt(clients: Clients, settings: Settings, load_id: str, job_run_id: str) -> Receipt:
    """Raises TerminalError when the run left none: a job's state alone is never trusted."""
    text = _read(clients, settings, f"{load_prefix(load_id)}receipt-{job_run_id}.json")
    if text is None:
        raise TerminalError(
            f"publishing load {load_id}: received no receipt of job run {job_run_id}; "
            f"valid is {receipt_uri(settings, load_id, job_run_id)}; look at the job's log and clear stage_load"
        )
    return parse_receipt(text)


def write_outcome(clients: Clients, settings: Settings, load_id: str, outcome: dict[str, Any]) -> dict[str, Any]:
    """The last act of a load. A second writer gets what the first one wrote."""
    if _write_once(clients, settings, f"{load_prefix(load_id)}outcome.json", json.dumps(outcome).encode()):
        return outcome
    written = read_outcome(clients, settings, load_id)
    return outcome if written is None else written


def read_outcome(clients: Clients, settings: Settings, load_id: str) -> dict[str, Any] | None:
    """How the load ended; None while it is open."""
    text = _read(clients, settings, f"{load_prefix(load_id)}outcome.json")
    if text is None:
        return None
    outcome: dict[str, Any] = json.loads(text)
    return outcome


def read_uri(clients: Clients, uri: str) -> bytes:
    """A sidecar that a receipt names."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body: bytes = clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def _write_once(clients: Clients, settings: Settings, key: str, body: bytes) -> bool:
    try:
        clients.s3.put_object(
            Bucket=settings.lake_bucket, Key=key, Body=body, IfNoneMatch="*", ContentType="application/json"
        )
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 412:
            return False
        if status == 409:
            raise TransientError(
                f"writing s3://{settings.lake_bucket}/{key} once: received a conflict with another writer; "
                "valid is one writer; run the task again"
            ) from error
        raise
    return True


def _read(clients: Clients, settings: Settings, key: str) -> bytes | None:
    try:
        body: bytes = clients.s3.get_object(Bucket=settings.lake_bucket, Key=key)["Body"].read()
    except clients.s3.exceptions.NoSuchKey:
        return None
    return body
