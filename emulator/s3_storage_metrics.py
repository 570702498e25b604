"""What S3 reports of a bucket once a day: bytes by storage class, and the number of objects.

Belongs in here: the daily storage metrics of AWS/S3, versions and delete markers included, unfinished uploads not.
Does not belong here: request metrics, for whose configuration nothing here has a place.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ministack.core import responses
from ministack.services import s3

from emulator import clock, metric_minutes
from emulator.cloudwatch_metrics import record

FIX = "s3_storage_metrics"

_NAMESPACE = "AWS/S3"
_DAY_SECONDS = 86_400
_STORAGE_TYPES = {
    "STANDARD": "StandardStorage",
    "STANDARD_IA": "StandardIAStorage",
    "ONEZONE_IA": "OneZoneIAStorage",
    "INTELLIGENT_TIERING": "IntelligentTieringFAStorage",
    "GLACIER_IR": "GlacierInstantRetrievalStorage",
    "GLACIER": "GlacierStorage",
    "DEEP_ARCHIVE": "DeepArchiveStorage",
    "REDUCED_REDUNDANCY": "ReducedRedundancyStorage",
}
_days = {"reported": clock.now() // _DAY_SECONDS}


def install() -> None:
    metric_minutes.at_each_end(_report)


def _report(minute_end: float) -> None:
    """When a day is over, its storage; the point bears the start of that day."""
    today = minute_end // _DAY_SECONDS
    if today == _days["reported"]:
        return
    _days["reported"] = today
    at = (today - 1) * _DAY_SECONDS
    for (account, name), bucket in s3._buckets.to_dict().items():
        metric_minutes.enter(account, bucket.get("region") or responses.get_region())
        sizes: dict[str, int] = defaultdict(int)
        number = 0
        for version in _versions(name, bucket):
            number += 1
            sizes[_STORAGE_TYPES.get(version.get("storage_class") or "STANDARD", "StandardStorage")] += version["size"]
        for storage_type, size in sizes.items():
            where = {"BucketName": name, "StorageType": storage_type}
            record(_NAMESPACE, "BucketSizeBytes", size, "Bytes", where, at)
        if number:
            where = {"BucketName": name, "StorageType": "AllStorageTypes"}
            record(_NAMESPACE, "NumberOfObjects", number, "Count", where, at)


def _versions(name: str, bucket: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Every version of every object and every delete marker; a key without versions is its object."""
    versions = {key: found for (of_bucket, key), found in s3._object_versions.items() if of_bucket == name}
    for found in versions.values():
        yield from list(found)
    for key, stored in list(bucket["objects"].items()):
        if key not in versions:
            yield stored
