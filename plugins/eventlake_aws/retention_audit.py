"""What the buckets are told and what lies in them, for `eventlake.retention`; and branches nobody will publish."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from eventlake.retention import (
    LAKE_BUCKET_RETENTION,
    RAW_BUCKET_RETENTION,
    Finding,
    Retention,
    StoredObject,
    audit_objects,
    audit_rules,
)
from eventlake.settings import Settings
from eventlake_aws.bucket_listing import list_objects
from eventlake_aws.clients import Clients
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.staged_branches import staged_branches
from eventlake_aws.table_census import event_tables

_LOG = logging.getLogger(__name__)


def audit_lifecycle(clients: Clients, settings: Settings, *, now: datetime) -> dict[str, Any]:
    """Declared retention against configuration and against what objects are; sizes by class; orphaned branches."""
    findings: list[Finding] = []
    sizes: Counter[str] = Counter()
    objects = 0
    for bucket, declared in (
        (settings.raw_bucket, RAW_BUCKET_RETENTION),
        (settings.lake_bucket, LAKE_BUCKET_RETENTION),
    ):
        stored = list(_stored(clients, bucket))
        objects += len(stored)
        for one in stored:
            sizes[one.storage_class] += one.size_bytes
        findings += audit_rules(bucket, declared, _rules(clients, bucket))
        findings += audit_objects(bucket, _by_longest_prefix(declared), stored, now)
    answer = {
        "ok": not findings,
        "findings": [asdict(finding) for finding in findings],
        "objects": objects,
        "bytes": sizes.total(),
        "bytes_by_class": dict(sizes),
        "orphans": list(_orphaned_branches(clients, settings)),
    }
    _LOG.info(json.dumps({"decision": "audit_lifecycle"} | answer))
    return answer


def _by_longest_prefix(declared: tuple[Retention, ...]) -> tuple[Retention, ...]:
    return tuple(sorted(declared, key=lambda retention: -len(retention.prefix)))


def _stored(clients: Clients, bucket: str) -> Iterator[StoredObject]:
    for found in list_objects(clients.s3, bucket, ""):
        yield StoredObject(found.key, found.size_bytes, found.storage_class, found.last_modified)


def _rules(clients: Clients, bucket: str) -> list[dict[str, Any]]:
    try:
        rules: list[dict[str, Any]] = clients.s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration":
            return []
        raise
    return rules


def _orphaned_branches(clients: Clients, settings: Settings) -> Iterator[str]:
    """Branches of loads that have ended without holding that table: an orphaned job wrote them after the end."""
    catalog = open_catalog(settings)
    for name in event_tables(catalog):
        for branch in staged_branches(clients, settings, name, catalog.load_table(name)):
            if branch.has_ended and not branch.is_held:
                yield f"{name}@{branch.name}"
