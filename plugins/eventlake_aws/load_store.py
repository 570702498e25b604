"""The papers of loads, read as what they say: plans, receipts, outcomes, sidecars. Their storage is `paper_store`."""

from __future__ import annotations

from typing import Any

from eventlake.load_plan import KnownLoad, LoadPlan
from eventlake.receipt import Receipt, parse_receipt
from eventlake.settings import Settings
from eventlake_aws.clients import Clients
from eventlake_aws.paper_store import LOADS_PREFIX, Papers


def papers(clients: Clients, settings: Settings) -> Papers:
    return Papers(clients, settings, LOADS_PREFIX)


def known_loads(clients: Clients, settings: Settings, name_prefix: str) -> list[KnownLoad]:
    return papers(clients, settings).known(name_prefix)


def write_plan(clients: Clients, settings: Settings, plan: LoadPlan) -> LoadPlan:
    """The plan that counts: this one, or the one that a faster retry wrote."""
    return LoadPlan.from_json(papers(clients, settings).write_plan(plan.load_id, plan.to_json()))


def read_plan(clients: Clients, settings: Settings, load_id: str) -> LoadPlan:
    return LoadPlan.from_json(papers(clients, settings).read_plan(load_id))


def read_receipt(clients: Clients, settings: Settings, load_id: str, job_run_id: str) -> Receipt:
    return parse_receipt(papers(clients, settings).read_receipt(load_id, job_run_id))


def write_outcome(clients: Clients, settings: Settings, load_id: str, outcome: dict[str, Any]) -> dict[str, Any]:
    return papers(clients, settings).write_outcome(load_id, outcome)


def read_outcome(clients: Clients, settings: Settings, load_id: str) -> dict[str, Any] | None:
    return papers(clients, settings).read_outcome(load_id)


def read_uri(clients: Clients, uri: str) -> bytes:
    """A sidecar that a receipt names."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body: bytes = clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body
