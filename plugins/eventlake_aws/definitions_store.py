"""The bundle of contracts, suites and rollups that is in force, read from the lake bucket.

Does not belong here: building one (`eventlake.definitions`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eventlake.alerting import LAKE_OWNER
from eventlake.errors import TerminalError
from eventlake.load_plan import type_of_table
from eventlake.settings import Settings
from eventlake_aws.clients import Clients

CURRENT_KEY = "control/definitions/current.json"


@dataclass(frozen=True)
class Definitions:
    """`key` names the immutable object, so that a plan can say by which definitions it was made."""

    key: str
    hash: str
    contracts: Mapping[str, Mapping[str, Any]]
    suites: Mapping[str, Mapping[str, Any]]
    rollups: Mapping[str, str]

    @property
    def contracted_pairs(self) -> frozenset[tuple[str, str]]:
        return frozenset((name.split("/")[0], name.split("/")[1]) for name in self.contracts)

    def owner_of_table(self, table: str) -> str:
        """The owner that its type's contracts name, the first in order of names when they differ. A rollup, and names
        without a contract, belong to who runs the lake."""
        event_type = type_of_table(table)
        owners = (
            str(schema["x-owner"])
            for name, schema in sorted(self.contracts.items())
            if name.split("/")[0] == event_type and "x-owner" in schema
        )
        return next(owners, LAKE_OWNER)


def current_definitions(clients: Clients, settings: Settings) -> Definitions:
    """Raises TerminalError when none was deployed."""
    try:
        pointer = _read(clients, settings, CURRENT_KEY)
    except clients.s3.exceptions.NoSuchKey as error:
        raise TerminalError(
            f"reading the definitions in force: received no s3://{settings.lake_bucket}/{CURRENT_KEY}; "
            "valid is the pointer that a deployment writes; deploy the lake"
        ) from error
    return definitions_at(clients, settings, str(pointer["key"]))


def definitions_at(clients: Clients, settings: Settings, key: str) -> Definitions:
    """The bundle that a plan names."""
    body = _read(clients, settings, key)
    return Definitions(key, body["hash"], body["contracts"], body["suites"], body["rollups"])


def _read(clients: Clients, settings: Settings, key: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(clients.s3.get_object(Bucket=settings.lake_bucket, Key=key)["Body"].read())
    return body
