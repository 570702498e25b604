"""The door to the Iceberg tables: Glue's catalog, as PyIceberg sees it. Nothing here knows what a table holds."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import CommitFailedException

from eventlake.errors import TransientError
from eventlake.settings import SPARK_CATALOG, Settings

Answer = TypeVar("Answer")

_COMMIT_ATTEMPTS = 8
# Arrow's own 1 s to connect and 3 s without a byte are too few where thirty runs of a backfill share a machine
_CONNECT_SECONDS, _SILENT_SECONDS = 20.0, 60.0


def open_catalog(settings: Settings) -> GlueCatalog:
    """boto3 reads AWS_ENDPOINT_URL by itself, Arrow's file system does not: so it is handed over when it is set."""
    properties: dict[str, Any] = {"s3.region": settings.region, "warehouse": settings.warehouse_uri}
    properties |= {"s3.connect-timeout": _CONNECT_SECONDS, "s3.request-timeout": _SILENT_SECONDS}
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        properties["s3.endpoint"] = endpoint
    return GlueCatalog(SPARK_CATALOG, _glue_client(settings.region, endpoint), **properties)


@lru_cache
def _glue_client(region: str, endpoint: str | None) -> Any:
    """One a process: making it takes longer than most of what a task asks of it."""
    config = Config(retries={"mode": "standard", "max_attempts": 10})
    return boto3.session.Session().client("glue", region_name=region, endpoint_url=endpoint, config=config)


def tables_of(catalog: GlueCatalog, databases: Iterable[str]) -> list[str]:
    """Names of all tables of these databases, as `events.payment_events`."""
    return sorted(".".join(identifier) for database in databases for identifier in catalog.list_tables(database))


def commit_again(doing: str, attempt: Callable[[], Answer]) -> Answer:
    """Runs an attempt that reads the table afresh and commits, again whenever somebody else committed in between."""
    for number in range(1, _COMMIT_ATTEMPTS + 1):
        try:
            return attempt()
        except CommitFailedException as error:
            if number == _COMMIT_ATTEMPTS:
                raise TransientError(
                    f"{doing}: received {_COMMIT_ATTEMPTS} refused commits, the last one {error}; "
                    "valid is a commit between those of others; run the task again"
                ) from error
            # not a measurement and not a secret: spreads out writers that collide
            time.sleep(random.uniform(0.02, 0.1) * 2**number)
    raise AssertionError("unreachable")
