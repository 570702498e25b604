"""S3 keeps, moves and ends objects as AWS documents, and tells of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator.behaviours import promised
from tests.emulator.running import Emulator, make_bucket, wait_for

SERVICE = "S3"

GUIDE = "https://docs.aws.amazon.com/AmazonS3/latest/userguide"
API = "https://docs.aws.amazon.com/AmazonS3/latest/API"
MOVES_THE_CLOCK = "moves the clock"

DAY = 86400
HOUR = 3600
LARGE = b"x" * 128 * 1024

Ahead = Callable[[float], None]


@pytest.fixture
def ahead(emulator: Emulator) -> Iterator[Ahead]:
    """Moves the clock of whatever acts by time; it is back after the test."""
    yield lambda seconds: emulator.fault(clock_ahead_seconds=int(seconds))
    emulator.fault()


@pytest.fixture
def bucket(emulator: Emulator, name: str) -> str:
    make_bucket(emulator, name)
    return name


@pytest.fixture
def versioned(emulator: Emulator, bucket: str) -> str:
    emulator.client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def put(emulator: Emulator, bucket: str, key: str, body: bytes = b"x", **options: Any) -> dict[str, Any]:
    return dict(emulator.client("s3").put_object(Bucket=bucket, Key=key, Body=body, **options))


def rule(emulator: Emulator, bucket: str, *rules: dict[str, Any], **options: Any) -> None:
    """Enabled rules, for all keys where a rule says nothing else."""
    full = [{"ID": f"rule {n}", "Status": "Enabled", "Filter": {"Prefix": ""}, **one} for n, one in enumerate(rules)]
    emulator.client("s3").put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": full}, **options
    )


def keys(emulator: Emulator, bucket: str) -> list[str]:
    return [one["Key"] for one in emulator.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]


def classes(emulator: Emulator, bucket: str) -> dict[str, str]:
    listed = emulator.client("s3").list_object_versions(Bucket=bucket).get("Versions", [])
    return {f"{one['Key']}{'' if one['IsLatest'] else ' before'}": one["StorageClass"] for one in listed}


def history(emulator: Emulator, bucket: str) -> tuple[list[str], list[str]]:
    """Version ids and delete markers."""
    listed = emulator.client("s3").list_object_versions(Bucket=bucket)
    return [one["VersionId"] for one in listed.get("Versions", [])], [
        one["VersionId"] for one in listed.get("DeleteMarkers", [])
    ]


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    response = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def queue_of_events(
    emulator: Emulator, bucket: str, *events: str, **of_keys: str
) -> Callable[[], list[dict[str, Any]]]:
    """A queue that the bucket tells of these events; gives what reads the records so far."""
    sqs = emulator.client("sqs")
    url = sqs.create_queue(QueueName=bucket)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:*", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    configuration: dict[str, Any] = {"QueueArn": arn, "Events": list(events)}
    if of_keys:
        rules = [{"Name": kind, "Value": value} for kind, value in of_keys.items()]
        configuration["Filter"] = {"Key": {"FilterRules": rules}}
    emulator.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [configuration]}
    )
    seen: list[dict[str, Any]] = []

    def read() -> list[dict[str, Any]]:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            seen.extend(json.loads(message["Body"]).get("Records", []))
        return seen

    return read


# ---- objects


@promised(f"{GUIDE}/conditional-writes.html")
def test_a_put_that_asks_for_a_free_key_is_refused_when_it_is_taken(emulator: Emulator, bucket: str) -> None:
    put(emulator, bucket, "k", IfNoneMatch="*")
    call = emulator.client("s3").put_object
    assert refusal(call, Bucket=bucket, Key="k", Body=b"y", IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert emulator.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


@promised(f"{GUIDE}/conditional-writes.html")
def test_a_put_over_another_content_than_it_names_is_refused(emulator: Emulator, bucket: str) -> None:
    etag = put(emulator, bucket, "k")["ETag"]
    put(emulator, bucket, "k", b"y", IfMatch=etag)
    call = emulator.client("s3").put_object
    assert refusal(call, Bucket=bucket, Key="k", Body=b"z", IfMatch=etag) == ("PreconditionFailed", 412)


@promised(f"{GUIDE}/Versioning.html")
def test_a_version_outlives_what_is_put_over_it_and_a_delete(emulator: Emulator, versioned: str) -> None:
    s3 = emulator.client("s3")
    first = put(emulator, versioned, "k", b"one")["VersionId"]
    second = put(emulator, versioned, "k", b"two")["VersionId"]
    marker = s3.delete_object(Bucket=versioned, Key="k")
    assert marker["DeleteMarker"] and keys(emulator, versioned) == []
    assert history(emulator, versioned) == ([second, first], [marker["VersionId"]])
    assert s3.get_object(Bucket=versioned, Key="k", VersionId=first)["Body"].read() == b"one"
    s3.delete_object(Bucket=versioned, Key="k", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=versioned, Key="k")["Body"].read() == b"two"


@promised(f"{GUIDE}/mpuoverview.html")
def test_an_upload_in_parts_is_there_at_once_or_not_at_all(emulator: Emulator, bucket: str) -> None:
    s3 = emulator.client("s3")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    parts = []
    for number, body in enumerate([b"a" * 5 * 1024 * 1024, b"b"], start=1):
        part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"ETag": part["ETag"], "PartNumber": number})
    assert keys(emulator, bucket) == []
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=5242879-")["Body"].read() == b"ab"


@promised(f"{GUIDE}/ListingKeysUsingAPIs.html")
def test_a_listing_is_in_the_order_of_keys_and_comes_in_pages(emulator: Emulator, bucket: str) -> None:
    for key in ("b/2", "a/1", "b/1", "c"):
        put(emulator, bucket, key)
    s3 = emulator.client("s3")
    first = s3.list_objects_v2(Bucket=bucket, MaxKeys=2)
    rest = s3.list_objects_v2(Bucket=bucket, ContinuationToken=first["NextContinuationToken"])
    assert [one["Key"] for one in (*first["Contents"], *rest["Contents"])] == ["a/1", "b/1", "b/2", "c"]
    folders = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [one["Prefix"] for one in folders["CommonPrefixes"]] == ["a/", "b/"]


@promised(f"{GUIDE}/notification-content-structure.html")
def test_a_put_is_told_to_the_queue_with_its_key_encoded(emulator: Emulator, versioned: str) -> None:
    told = queue_of_events(emulator, versioned, "s3:ObjectCreated:*", prefix="raw/")
    put(emulator, versioned, "other")
    made = put(emulator, versioned, "raw/type=a b")
    (record,) = wait_for(told, "the notification")
    assert (record["eventName"], record["s3"]["object"]["key"]) == ("ObjectCreated:Put", "raw/type%3Da+b")
    assert record["s3"]["object"]["versionId"] == made["VersionId"]


# ---- what a lifecycle configuration may say

REFUSED = {
    "infrequent access before 30 days": {"Transitions": [{"Days": 29, "StorageClass": "STANDARD_IA"}]},
    "archived while infrequent access is paid for": {
        "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 59, "StorageClass": "GLACIER"}]
    },
    "the end before the move": {
        "Transitions": [{"Days": 60, "StorageClass": "GLACIER"}],
        "Expiration": {"Days": 60},
    },
    "old versions to infrequent access before 30 days": {
        "NoncurrentVersionTransitions": [{"NoncurrentDays": 10, "StorageClass": "ONEZONE_IA"}]
    },
    "days and dates mixed": {
        "Transitions": [{"Days": 60, "StorageClass": "GLACIER"}],
        "Expiration": {"Date": "2030-01-01T00:00:00Z"},
    },
    "a date that is not midnight": {"Expiration": {"Date": "2030-01-01T10:00:00Z"}},
    "no action": {},
    "unfinished uploads by tag": {
        "Filter": {"Tag": {"Key": "k", "Value": "v"}},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    },
    "more newer versions than 100": {
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 101}
    },
}


@promised(f"{GUIDE}/lifecycle-transition-general-considerations.html", closed_by="s3_lifecycle")
@pytest.mark.parametrize("why", REFUSED)
def test_a_rule_that_s3_could_not_keep_is_refused(emulator: Emulator, bucket: str, why: str) -> None:
    code, status = refusal(lambda: rule(emulator, bucket, REFUSED[why]))
    assert (status, code in ("InvalidArgument", "InvalidRequest")) == (400, True), code
    assert refusal(emulator.client("s3").get_bucket_lifecycle_configuration, Bucket=bucket)[1] == 404


@promised(f"{API}/API_LifecycleRule.html", closed_by="s3_lifecycle")
def test_a_rule_of_the_old_form_keeps_its_prefix(emulator: Emulator, bucket: str) -> None:
    old = {"ID": "old", "Status": "Enabled", "Prefix": "raw/", "Expiration": {"Days": 1}}
    s3 = emulator.client("s3")
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [old]})
    (read,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert "raw/" in (read.get("Prefix"), read.get("Filter", {}).get("Prefix"))
    put(emulator, bucket, "raw/a")
    put(emulator, bucket, "b")
    assert "Expiration" in s3.head_object(Bucket=bucket, Key="raw/a")
    assert "Expiration" not in s3.head_object(Bucket=bucket, Key="b")


# ---- what the rules do


@promised(f"{GUIDE}/intro-lifecycle-rules.html", closed_by="s3_lifecycle", only_here=MOVES_THE_CLOCK)
def test_an_object_ends_at_the_midnight_after_its_days(emulator: Emulator, bucket: str, ahead: Ahead) -> None:
    put(emulator, bucket, "k")
    rule(emulator, bucket, {"Expiration": {"Days": 3}})
    now = time.time()
    end = (int(now + 3 * DAY) // DAY + 1) * DAY
    # a pass is seen by what it ends, so a second bucket shows that there was one
    ahead(end - 60 - now)
    witness(emulator, bucket)
    assert keys(emulator, bucket) == ["k"]
    ahead(end + 60 - now)
    wait_for(lambda: keys(emulator, bucket) == [], "the object's end")


def witness(emulator: Emulator, bucket: str) -> None:
    """An object of another bucket that any pass of the rules ends."""
    other = f"{bucket}w"
    make_bucket(emulator, other)
    put(emulator, other, "k")
    rule(emulator, other, {"Expiration": {"Date": "2020-01-01T00:00:00Z"}})
    wait_for(lambda: keys(emulator, other) == [], "a pass of the rules")


@promised(f"{GUIDE}/lifecycle-expire-general-considerations.html", closed_by="s3_lifecycle")
def test_a_response_says_when_an_object_will_end_and_by_which_rule(emulator: Emulator, bucket: str) -> None:
    rule(emulator, bucket, {"Expiration": {"Days": 30}}, {"Filter": {"Prefix": "t/"}, "Expiration": {"Days": 1}})
    s3 = emulator.client("s3")
    assert 'rule-id="rule%201"' in put(emulator, bucket, "t/k")["Expiration"]
    end = datetime.now(UTC) + timedelta(days=2)
    assert f'expiry-date="{end:%a, %d %b %Y} 00:00:00 GMT"' in s3.head_object(Bucket=bucket, Key="t/k")["Expiration"]
    assert 'rule-id="rule%200"' in put(emulator, bucket, "k")["Expiration"]


@promised(f"{GUIDE}/intro-lifecycle-filters.html", closed_by="s3_lifecycle")
def test_a_rule_means_what_its_prefix_and_tags_and_sizes_say(emulator: Emulator, bucket: str) -> None:
    for key, body, tags in (
        ("logs/1", b"x", ""),
        ("other", b"x", ""),
        ("tagged", b"x", "a=1&b=2"),
        ("half-tagged", b"x", "a=1"),
        ("big/1", b"x" * 2000, ""),
        ("big/2", b"x" * 10, ""),
    ):
        put(emulator, bucket, key, body, Tagging=tags)
    long_ago = {"Expiration": {"Date": "2020-01-01T00:00:00Z"}}
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    rule(
        emulator,
        bucket,
        {**long_ago, "Filter": {"Prefix": "logs/"}},
        {**long_ago, "Filter": {"And": {"Tags": tags}}},
        {**long_ago, "Filter": {"And": {"Prefix": "big/", "ObjectSizeGreaterThan": 1000}}},
        {**long_ago, "Filter": {"Prefix": "other"}, "Status": "Disabled"},
    )
    wait_for(lambda: keys(emulator, bucket) == ["big/2", "half-tagged", "other"], "what no rule means")


@promised(f"{GUIDE}/lifecycle-configuration-examples.html", closed_by="s3_lifecycle", only_here=MOVES_THE_CLOCK)
def test_objects_move_to_colder_classes_step_by_step(emulator: Emulator, versioned: str, ahead: Ahead) -> None:
    put(emulator, versioned, "k", LARGE)
    put(emulator, versioned, "k", LARGE)
    put(emulator, versioned, "small")
    rule(
        emulator,
        versioned,
        {
            "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 90, "StorageClass": "GLACIER_IR"}],
            "NoncurrentVersionTransitions": [{"NoncurrentDays": 60, "StorageClass": "GLACIER"}],
        },
    )
    for days, current, before in (
        (32, "STANDARD_IA", "STANDARD"),
        (62, "STANDARD_IA", "GLACIER"),
        (92, "GLACIER_IR", "GLACIER"),
    ):
        ahead(days * DAY)
        # what is smaller than 128 KiB stays, by default
        expected = {"k": current, "k before": before, "small": "STANDARD"}
        wait_for(lambda expected=expected: classes(emulator, versioned) == expected, f"day {days}")
    assert emulator.client("s3").head_object(Bucket=versioned, Key="k")["StorageClass"] == "GLACIER_IR"


@promised(f"{API}/API_PutBucketLifecycleConfiguration.html", closed_by="s3_lifecycle", only_here=MOVES_THE_CLOCK)
def test_small_objects_are_archived_where_the_bucket_says_so(emulator: Emulator, bucket: str, ahead: Ahead) -> None:
    for key in ("a/small", "b/small"):
        put(emulator, bucket, key)
    rule(
        emulator,
        bucket,
        {"Filter": {"Prefix": "a/"}, "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]},
        {"Filter": {"Prefix": "b/"}, "Transitions": [{"Days": 0, "StorageClass": "GLACIER"}]},
        TransitionDefaultMinimumObjectSize="varies_by_storage_class",
    )
    read = emulator.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket)
    assert read["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    ahead(32 * DAY)
    wait_for(lambda: classes(emulator, bucket) == {"a/small": "STANDARD", "b/small": "GLACIER"}, "the archived one")


@promised(f"{GUIDE}/intro-lifecycle-rules.html", closed_by="s3_lifecycle", only_here=MOVES_THE_CLOCK)
def test_an_end_leaves_a_marker_and_markers_go_last(emulator: Emulator, versioned: str, ahead: Ahead) -> None:
    version = put(emulator, versioned, "k")["VersionId"]
    rule(emulator, versioned, {"Expiration": {"Days": 1}, "NoncurrentVersionExpiration": {"NoncurrentDays": 5}})
    ahead(3 * DAY)
    wait_for(lambda: keys(emulator, versioned) == [], "the marker")
    versions, markers = history(emulator, versioned)
    assert (versions, len(markers)) == ([version], 1)
    # the marker is made by the machine's time, so the version is noncurrent from today on
    ahead(7 * DAY)
    wait_for(lambda: history(emulator, versioned) == ([], []), "the version's end, and the marker's after it")


@promised(f"{GUIDE}/intro-lifecycle-rules.html", closed_by="s3_lifecycle", only_here=MOVES_THE_CLOCK)
def test_so_many_newer_versions_are_kept_whatever_their_age(emulator: Emulator, versioned: str, ahead: Ahead) -> None:
    versions = [put(emulator, versioned, "k", str(n).encode())["VersionId"] for n in range(5)]
    rule(emulator, versioned, {"NoncurrentVersionExpiration": {"NoncurrentDays": 10, "NewerNoncurrentVersions": 2}})
    ahead(12 * DAY)
    wait_for(lambda: history(emulator, versioned)[0] == versions[:1:-1], "two of four old versions")


@promised(
    f"{GUIDE}/mpu-abort-incomplete-mpu-lifecycle-config.html", closed_by="s3_lifecycle", only_here=MOVES_THE_CLOCK
)
def test_an_upload_that_is_not_completed_ends(emulator: Emulator, bucket: str, ahead: Ahead) -> None:
    rule(emulator, bucket, {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}})
    s3 = emulator.client("s3")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")
    assert (upload["AbortRuleId"], upload["AbortDate"].hour) == ("rule 0", 0)
    ahead(9 * DAY)
    wait_for(lambda: "Uploads" not in s3.list_multipart_uploads(Bucket=bucket), "the upload's end")


@promised(f"{GUIDE}/lifecycle-configure-notification.html", closed_by="s3_lifecycle", only_here=MOVES_THE_CLOCK)
def test_what_a_rule_does_is_told_as_that(emulator: Emulator, versioned: str, ahead: Ahead) -> None:
    told = queue_of_events(
        emulator, versioned, "s3:LifecycleExpiration:*", "s3:LifecycleTransition", "s3:ObjectRemoved:*"
    )
    put(emulator, versioned, "ends")
    put(emulator, versioned, "moves", LARGE)
    rule(
        emulator,
        versioned,
        {"Filter": {"Prefix": "ends"}, "Expiration": {"Days": 1}},
        {"Filter": {"Prefix": "moves"}, "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]},
    )
    ahead(3 * DAY)
    wait_for(lambda: len(told()) >= 2, "both notifications")
    assert sorted((one["eventName"], one["s3"]["object"]["key"]) for one in told()) == [
        ("LifecycleExpiration:DeleteMarkerCreated", "ends"),
        ("LifecycleTransition", "moves"),
    ]


# ---- archives


@promised(f"{GUIDE}/restoring-objects.html")
def test_an_archived_object_is_listed_and_not_read(emulator: Emulator, bucket: str) -> None:
    put(emulator, bucket, "k", StorageClass="GLACIER")
    s3 = emulator.client("s3")
    assert s3.head_object(Bucket=bucket, Key="k")["StorageClass"] == "GLACIER"
    assert refusal(s3.get_object, Bucket=bucket, Key="k") == ("InvalidObjectState", 403)


def restore(emulator: Emulator, bucket: str, key: str = "k", tier: str = "Standard", days: int = 2) -> int:
    request = {"Days": days, "GlacierJobParameters": {"Tier": tier}}
    answer = emulator.client("s3").restore_object(Bucket=bucket, Key=key, RestoreRequest=request)
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])


def state(emulator: Emulator, bucket: str, key: str = "k") -> str:
    return str(emulator.client("s3").head_object(Bucket=bucket, Key=key).get("Restore", ""))


RETRIEVALS = [
    ("GLACIER", "Expedited", 5 * 60),
    ("GLACIER", "Standard", 5 * HOUR),
    ("GLACIER", "Bulk", 12 * HOUR),
    ("DEEP_ARCHIVE", "Standard", 12 * HOUR),
    ("DEEP_ARCHIVE", "Bulk", 48 * HOUR),
]


@promised(f"{GUIDE}/restoring-objects-retrieval-options.html", closed_by="s3_restore", only_here=MOVES_THE_CLOCK)
def test_a_restore_takes_as_long_as_its_class_and_tier(emulator: Emulator, bucket: str, ahead: Ahead) -> None:
    for storage_class, tier, _ in RETRIEVALS:
        put(emulator, bucket, f"{storage_class}-{tier}", StorageClass=storage_class)
        assert restore(emulator, bucket, f"{storage_class}-{tier}", tier) == 202
    for storage_class, tier, seconds in RETRIEVALS:
        key = f"{storage_class}-{tier}"
        ahead(seconds - 120)
        assert state(emulator, bucket, key) == 'ongoing-request="true"'
        assert refusal(emulator.client("s3").get_object, Bucket=bucket, Key=key)[0] == "InvalidObjectState"
        ahead(seconds + 10)
        assert state(emulator, bucket, key).startswith('ongoing-request="false"')
        assert emulator.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"


@promised(f"{API}/API_RestoreObject.html", closed_by="s3_restore", only_here=MOVES_THE_CLOCK)
def test_a_restored_copy_goes_at_midnight_after_its_days(emulator: Emulator, bucket: str, ahead: Ahead) -> None:
    put(emulator, bucket, "k", StorageClass="GLACIER")
    restore(emulator, bucket, days=2)
    back = time.time() + 5 * HOUR
    end = (int(back + 2 * DAY) // DAY + 1) * DAY
    ahead(5 * HOUR + 60)
    assert f'expiry-date="{datetime.fromtimestamp(end, UTC):%a, %d %b %Y} 00:00:00 GMT"' in state(emulator, bucket)
    # asked again while the copy is there, it only stays longer
    assert restore(emulator, bucket, days=9) == 200
    ahead(end - time.time() + 60)
    assert emulator.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    ahead(11 * DAY)
    assert refusal(emulator.client("s3").get_object, Bucket=bucket, Key="k")[0] == "InvalidObjectState"
    assert state(emulator, bucket) == ""


@promised(f"{API}/API_RestoreObject.html")
def test_a_second_restore_is_refused_while_the_first_goes_on(emulator: Emulator, bucket: str) -> None:
    put(emulator, bucket, "k", StorageClass="GLACIER")
    restore(emulator, bucket)
    assert refusal(lambda: restore(emulator, bucket)) == ("RestoreAlreadyInProgress", 409)


@promised(f"{GUIDE}/restoring-objects-retrieval-options.html", closed_by="s3_restore")
def test_nothing_is_back_from_the_deep_archive_in_minutes(emulator: Emulator, bucket: str) -> None:
    put(emulator, bucket, "k", StorageClass="DEEP_ARCHIVE")
    assert refusal(lambda: restore(emulator, bucket, tier="Expedited")) == ("InvalidArgument", 400)


@promised(
    f"{GUIDE}/notification-how-to-event-types-and-destinations.html", closed_by="s3_restore", only_here=MOVES_THE_CLOCK
)
def test_a_restore_is_told_at_its_start_its_end_and_its_expiry(emulator: Emulator, bucket: str, ahead: Ahead) -> None:
    told = queue_of_events(emulator, bucket, "s3:ObjectRestore:*")
    put(emulator, bucket, "k", StorageClass="GLACIER")
    restore(emulator, bucket, days=1)
    for seconds, event in ((0, "Post"), (6 * HOUR, "Completed"), (4 * DAY, "Delete")):
        ahead(seconds)
        wait_for(lambda event=event: told() and told()[-1]["eventName"] == f"ObjectRestore:{event}", event)
    assert len(told()) == 3
    assert told()[1]["glacierEventData"]["restoreEventData"]["lifecycleRestoreStorageClass"] == "GLACIER"
