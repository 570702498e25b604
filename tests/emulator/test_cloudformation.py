"""A stack makes what its template says, the properties too that ministack would drop."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.emulator.behaviours import promised
from tests.emulator.running import ROLE, Emulator, make_bucket, wait_for, zipped

SERVICE = "CloudFormation"

ENDED = ("CREATE_COMPLETE", "ROLLBACK_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "CREATE_FAILED")


def template(name: str, **changes: Any) -> dict[str, Any]:
    function = {
        "FunctionName": name,
        "Runtime": "python3.11",
        "Handler": "handler.handler",
        "Role": ROLE,
        "ReservedConcurrentExecutions": 3,
        "Code": {"S3Bucket": f"{name}-code", "S3Key": "code.zip"},
    }
    lifecycle = [
        {
            "Id": "raw",
            "Status": "Enabled",
            "Prefix": "raw/",
            "Transitions": [{"StorageClass": "STANDARD_IA", "TransitionInDays": 30}],
            "ExpirationInDays": 365,
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        },
        {
            "Id": "uploads",
            "Status": "Enabled",
            "Prefix": "",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]
    encryption = {
        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]}},
        "BucketKeyEnabled": True,
    }
    resources: dict[str, Any] = {
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {"Version": "2012-10-17", "Statement": []}}},
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketName": name,
                "LifecycleConfiguration": {"Rules": lifecycle},
                "BucketEncryption": {"ServerSideEncryptionConfiguration": [encryption]},
                "Tags": [{"Key": "lake", "Value": "a & b"}],
            },
        },
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            },
        },
        "Stream": {
            "Type": "AWS::Kinesis::Stream",
            "Properties": {
                "Name": name,
                "ShardCount": changes.get("shards", 3),
                "StreamEncryption": {"EncryptionType": "KMS", "KeyId": {"Fn::GetAtt": ["Key", "Arn"]}},
            },
        },
        "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
        "Job": {
            "Type": "AWS::Glue::Job",
            "Properties": {
                "Name": name,
                "Role": ROLE,
                "Command": {"Name": "glueetl", "ScriptLocation": f"s3://{name}/job.py"},
                "ExecutionProperty": {"MaxConcurrentRuns": 4},
            },
        },
    }
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}


def deploy(emulator: Emulator, name: str, code: bool = True) -> dict[str, Any]:
    make_bucket(emulator, f"{name}-code")
    if code:
        body = zipped(handler="def handler(event, context): pass\n")
        emulator.client("s3").put_object(Bucket=f"{name}-code", Key="code.zip", Body=body)
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template(name)))
    return ended(emulator, name)


def ended(emulator: Emulator, name: str) -> dict[str, Any]:
    cloudformation = emulator.client("cloudformation")
    found: dict[str, Any] = wait_for(
        lambda: (one := cloudformation.describe_stacks(StackName=name)["Stacks"][0])["StackStatus"] in ENDED and one,
        "the stack's end",
    )
    return found


@promised(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucket.html",
    closed_by="cloudformation",
)
def test_lifecycle_encryption_tags_expiry_and_concurrency_are_applied(emulator: Emulator, name: str) -> None:
    assert deploy(emulator, name)["StackStatus"] == "CREATE_COMPLETE"
    s3 = emulator.client("s3")
    rules = {one["ID"]: one for one in s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]}
    assert rules["raw"]["Filter"] == {"Prefix": "raw/"}
    assert rules["raw"]["Transitions"] == [{"Days": 30, "StorageClass": "STANDARD_IA"}]
    assert (rules["raw"]["Expiration"], rules["raw"]["Status"]) == ({"Days": 365}, "Enabled")
    assert rules["uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    encryption = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == [{"Key": "lake", "Value": "a & b"}]
    dynamodb = emulator.client("dynamodb")
    assert dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED",
        "AttributeName": "expires_at",
    }
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    stream = emulator.client("kinesis").describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    assert (stream["EncryptionType"], stream["OpenShardCount"]) == ("KMS", 3)
    function = emulator.client("lambda").get_function_concurrency(FunctionName=name)
    assert function["ReservedConcurrentExecutions"] == 3
    job = emulator.client("glue").get_job(JobName=name)["Job"]
    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 4}


@promised("https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-deployment.html", closed_by="cloudformation")
def test_code_that_is_not_there_fails_the_stack(emulator: Emulator, name: str) -> None:
    assert deploy(emulator, name, code=False)["StackStatus"] == "ROLLBACK_COMPLETE"
    events = emulator.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    assert any("NoSuchKey" in event.get("ResourceStatusReason", "") for event in events)


DROPPED: list[tuple[str, dict[str, Any], str]] = [
    ("AWS::SQS::Queue", {"ContentBasedDeduplication": True}, "ContentBasedDeduplication"),
    ("AWS::S3::Bucket", {"AccelerateConfiguration": {"AccelerationStatus": "Enabled"}}, "AccelerateConfiguration."),
    (
        "AWS::S3::Bucket",
        {"LifecycleConfiguration": {"Rules": [{"Id": "a", "Status": "Enabled", "Filter": {}}]}},
        "LifecycleConfiguration.Rules.Filter",
    ),
    ("AWS::StepFunctions::StateMachine", {}, "an AWS::StepFunctions::StateMachine"),
]


@pytest.mark.parametrize(("kind", "properties", "named"), DROPPED)
def test_what_nothing_stores_fails_the_stack_by_name(
    emulator: Emulator, name: str, kind: str, properties: dict[str, Any], named: str
) -> None:
    """A property that AWS would obey and the laptop would drop must not look done."""
    resources = {"Odd": {"Type": kind, "Properties": properties}}
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    assert ended(emulator, name)["StackStatus"] == "ROLLBACK_COMPLETE"
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    (reason,) = [one["ResourceStatusReason"] for one in events if one["ResourceStatus"] == "CREATE_FAILED"]
    assert named in reason and "Odd" in reason and reason.count("\n") == 0


def test_an_update_that_would_be_dropped_fails_by_name(emulator: Emulator, name: str) -> None:
    """The same for a property that comes later."""
    cloudformation = emulator.client("cloudformation")
    resources = {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}}}
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    assert ended(emulator, name)["StackStatus"] == "CREATE_COMPLETE"
    resources["Topic"]["Properties"]["KmsMasterKeyId"] = "alias/aws/sns"
    cloudformation.update_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    assert ended(emulator, name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    reasons = [one["ResourceStatusReason"] for one in events if one["ResourceStatus"] == "UPDATE_FAILED"]
    assert "KmsMasterKeyId of Topic" in reasons[0]


@promised(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-kinesis-stream.html",
    closed_by="cloudformation",
)
def test_a_changed_shard_count_reshards_the_stream(emulator: Emulator, name: str) -> None:
    """ShardCount: update requires no interruption; what the stream holds stays."""
    assert deploy(emulator, name)["StackStatus"] == "CREATE_COMPLETE"
    kinesis = emulator.client("kinesis")
    shard_id = kinesis.put_record(StreamName=name, Data=b"kept", PartitionKey="one")["ShardId"]
    changed = json.dumps(template(name, shards=5))
    emulator.client("cloudformation").update_stack(StackName=name, TemplateBody=changed)
    assert ended(emulator, name)["StackStatus"] == "UPDATE_COMPLETE"
    stream = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    assert stream["OpenShardCount"] == 5
    iterator = kinesis.get_shard_iterator(StreamName=name, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON")
    records = kinesis.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    assert [one["Data"] for one in records] == [b"kept"]
