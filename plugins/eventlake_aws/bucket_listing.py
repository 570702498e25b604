"""What lies in a bucket, as S3 lists it. What the keys mean is `eventlake.layout`'s."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class ListedObject:
    key: str
    etag: str
    size_bytes: int
    storage_class: str
    last_modified: datetime

    @property
    def identity(self) -> tuple[str, str]:
        return (self.key, self.etag)


def list_objects(
    client: Any, bucket: str, prefix: str, start_after: str = "", until: str | None = None
) -> Iterator[ListedObject]:
    """Objects under a prefix in order of keys, after one key and before another (not included)."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, StartAfter=start_after)
    for page in pages:
        for entry in page.get("Contents", []):
            if until is not None and entry["Key"] >= until:
                return
            yield ListedObject(
                entry["Key"],
                # the listing quotes what the notification does not
                entry["ETag"].strip('"'),
                entry["Size"],
                entry.get("StorageClass", "STANDARD"),
                entry["LastModified"],
            )


def list_folders(client: Any, bucket: str, prefix: str) -> list[str]:
    """The folders right under a prefix, as prefixes themselves."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    return [folder["Prefix"] for page in pages for folder in page.get("CommonPrefixes", [])]
