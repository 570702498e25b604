"""What include/cloudformation/lake.yaml declares is there afterwards, property by property, asked of each service."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import cfnlint.decode
import pytest

from tests.emulator.behaviours import promised
from tests.emulator.running import ROOT, Emulator, make_bucket, wait_for, zipped

SERVICE = "CloudFormation"

TEMPLATE = ROOT / "include/cloudformation/lake.yaml"
PREFIX = "templated"
ACCOUNT, REGION = "000000000000", "eu-west-1"
# conditions are met and numbers are not the defaults, so that nothing is there by chance
PARAMETERS = {
    "Prefix": PREFIX,
    "ArtifactsBucket": f"{PREFIX}-code",
    "AdmitEventsKey": "code.zip",
    "RecordLandingKey": "code.zip",
    "JobsLibraryKey": "library.zip",
    "LineReaderKey": "reader.jar",
    "JobScriptsPrefix": "jobs/",
    "CodeHash": "hash",
    "StreamMode": "PROVISIONED",
    "ShardCount": "3",
    "StreamRetentionHours": "72",
    "AlertEmail": "nobody@example.com",
}
ARNS = {
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{{}}",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{}}",
    "AWS::KMS::Key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{{}}",
    "AWS::Kinesis::Stream": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{{}}",
    "AWS::KinesisFirehose::DeliveryStream": f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{{}}",
    "AWS::Lambda::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}:*",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{}}",
}
NO_VALUE = object()


class Declared:
    """The template with its parameters, conditions and references filled in."""

    def __init__(self, physical_ids: dict[str, str]) -> None:
        self.template, problems = cfnlint.decode.decode(str(TEMPLATE))
        assert not problems, problems
        self.physical_ids = physical_ids
        defaults = {name: one.get("Default") for name, one in self.template["Parameters"].items()}
        self.values = {**defaults, **PARAMETERS, "AWS::AccountId": ACCOUNT, "AWS::Region": REGION}
        self.values |= {"AWS::Partition": "aws", "AWS::NoValue": NO_VALUE}

    def resources(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Name, type and properties of all that the stack makes."""
        for name, resource in self.template["Resources"].items():
            if "Condition" not in resource or self.holds(resource["Condition"]):
                yield name, resource["Type"], self.filled(resource["Properties"])

    def holds(self, condition: Any) -> bool:
        if isinstance(condition, str):
            return self.holds(self.template["Conditions"][condition])
        if "Fn::Not" in condition:
            return not self.holds(condition["Fn::Not"][0])
        one, other = (self.filled(side) for side in condition["Fn::Equals"])
        return bool(one == other)

    def filled(self, value: Any) -> Any:
        if isinstance(value, list):
            return [inner for one in value if (inner := self.filled(one)) is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in ("Ref", "Fn::GetAtt", "Fn::Sub", "Fn::If", "Fn::FindInMap"):
                return getattr(self, f"_{name.rpartition(':')[2].lower()}")(argument)
        return {name: inner for name, one in value.items() if (inner := self.filled(one)) is not NO_VALUE}

    def _ref(self, name: str) -> Any:
        return self.values[name] if name in self.values else self.physical_ids[name]

    def _getatt(self, argument: list[str] | str) -> str:
        name, attribute = argument.split(".") if isinstance(argument, str) else argument
        own_name = self.physical_ids[name].rpartition("/queue")[2].rsplit("/", 1)[-1]
        if attribute == "QueueName":
            return own_name
        assert attribute == "Arn", attribute
        kind = self.template["Resources"][name]["Type"]
        return ARNS[kind].format(own_name if kind == "AWS::SQS::Queue" else self.physical_ids[name])

    def _sub(self, argument: Any) -> str:
        text, own = argument if isinstance(argument, list) else (argument, {})

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name in own:
                return str(self.filled(own[name]))
            return str(self._getatt(name) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^!}]+)\}", value, text)

    def _if(self, argument: list[Any]) -> Any:
        condition, yes, no = argument
        return self.filled(yes if self.holds(condition) else no)

    def _findinmap(self, argument: list[str]) -> Any:
        name, first, second = argument
        return self.template["Mappings"][name][first][second]


def differences(declared: Any, found: Any, path: str) -> Iterator[str]:
    """What is declared and not found so; services may say more, and say numbers and documents as text."""
    if isinstance(declared, (dict, list)) and isinstance(found, str):
        found = json.loads(found)
    if isinstance(declared, dict):
        for name, value in declared.items():
            if not isinstance(found, dict) or name not in found:
                yield f"{path}.{name} is not there"
            else:
                yield from differences(value, found[name], f"{path}.{name}")
    elif isinstance(declared, list):
        if isinstance(found, list):
            # CloudFormation adds tags of its own
            found = [one for one in found if not (isinstance(one, dict) and str(one.get("Key")).startswith("aws:"))]
        if not isinstance(found, list) or len(found) != len(declared):
            yield f"{path} is {found}, not {declared}"
        else:
            for number, (one, other) in enumerate(zip(declared, found, strict=True)):
                yield from differences(one, other, f"{path}[{number}]")
    elif as_text(declared) != as_text(found):
        yield f"{path} is {found!r}, not {declared!r}"


def as_text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


# ---- how each service says what it has, in the template's words


def of_bucket(emulator: Emulator, name: str) -> dict[str, Any]:
    s3 = emulator.client("s3")
    encryption = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    queues = s3.get_bucket_notification_configuration(Bucket=name).get("QueueConfigurations", [])
    return {
        "BucketName": name,
        "VersioningConfiguration": s3.get_bucket_versioning(Bucket=name),
        "PublicAccessBlockConfiguration": s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"],
        "OwnershipControls": s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"],
        "Tags": s3.get_bucket_tagging(Bucket=name)["TagSet"],
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {**one, "ServerSideEncryptionByDefault": one["ApplyServerSideEncryptionByDefault"]}
                for one in encryption
            ]
        },
        "NotificationConfiguration": {
            "QueueConfigurations": [
                {"Queue": one["QueueArn"], "Event": one["Events"][0], "Filter": {"S3Key": {"Rules": rules_of(one)}}}
                for one in queues
            ]
        },
        "LifecycleConfiguration": {
            "Rules": [
                {
                    **rule,
                    "Id": rule["ID"],
                    "Prefix": rule["Filter"]["Prefix"],
                    "ExpirationInDays": rule.get("Expiration", {}).get("Days"),
                    "Transitions": [{**one, "TransitionInDays": one["Days"]} for one in rule.get("Transitions", [])],
                }
                for rule in s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
            ]
        },
    }


def rules_of(notification: dict[str, Any]) -> list[dict[str, str]]:
    rules = notification["Filter"]["Key"]["FilterRules"]
    return [{"Name": rule["Name"].lower(), "Value": rule["Value"]} for rule in rules]


def of_key(emulator: Emulator, key_id: str) -> dict[str, Any]:
    kms = emulator.client("kms")
    return {
        **kms.describe_key(KeyId=key_id)["KeyMetadata"],
        "EnableKeyRotation": kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"],
        "KeyPolicy": kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"],
    }


def of_alias(emulator: Emulator, name: str) -> dict[str, Any]:
    (found,) = [one for one in emulator.client("kms").list_aliases()["Aliases"] if one["AliasName"] == name]
    return dict(found)


def of_stream(emulator: Emulator, name: str) -> dict[str, Any]:
    kinesis = emulator.client("kinesis")
    found = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    return {
        **found,
        "Name": found["StreamName"],
        "ShardCount": found["OpenShardCount"],
        "StreamEncryption": {"EncryptionType": found["EncryptionType"], "KeyId": found["KeyId"]},
        "Tags": kinesis.list_tags_for_stream(StreamName=name)["Tags"],
    }


def of_table(emulator: Emulator, name: str) -> dict[str, Any]:
    dynamodb = emulator.client("dynamodb")
    found = dynamodb.describe_table(TableName=name)["Table"]
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    return {
        **found,
        "BillingMode": found["BillingModeSummary"]["BillingMode"],
        "SSESpecification": {"SSEEnabled": found.get("SSEDescription", {}).get("Status") == "ENABLED"},
        "TimeToLiveSpecification": {**expiry, "Enabled": expiry["TimeToLiveStatus"] == "ENABLED"},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": recovery == "ENABLED"},
    }


def of_log_group(emulator: Emulator, name: str) -> dict[str, Any]:
    (found,) = [
        one
        for one in emulator.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        if one["logGroupName"] == name
    ]
    return {"LogGroupName": name, "RetentionInDays": found.get("retentionInDays")}


def of_role(emulator: Emulator, name: str) -> dict[str, Any]:
    iam = emulator.client("iam")
    policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return {
        **iam.get_role(RoleName=name)["Role"],
        "Policies": [iam.get_role_policy(RoleName=name, PolicyName=policy) for policy in policies],
    }


def of_managed_policy(emulator: Emulator, arn: str) -> dict[str, Any]:
    iam = emulator.client("iam")
    found = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=found["DefaultVersionId"])["PolicyVersion"]
    return {**found, "ManagedPolicyName": found["PolicyName"], "PolicyDocument": version["Document"]}


def of_function(emulator: Emulator, name: str) -> dict[str, Any]:
    found = emulator.client("lambda").get_function(FunctionName=name)["Configuration"]
    # where the code came from is not said; that it is there is
    code = {"S3Bucket": PARAMETERS["ArtifactsBucket"], "S3Key": "code.zip"}
    return {**found, "Code": code if found["CodeSize"] else {}}


def of_event_source(emulator: Emulator, uuid: str) -> dict[str, Any]:
    found = dict(emulator.client("lambda").get_event_source_mapping(UUID=uuid))
    return {**found, "FunctionName": found["FunctionArn"]}


def of_delivery(emulator: Emulator, name: str) -> dict[str, Any]:
    found = emulator.client("firehose").describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    destination = found["Destinations"][0]["ExtendedS3DestinationDescription"]
    return {**found, "ExtendedS3DestinationConfiguration": destination}


def of_queue(emulator: Emulator, url: str) -> dict[str, Any]:
    attributes = emulator.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return {**attributes, "QueueName": url.rpartition("/")[2]}


def of_database(emulator: Emulator, name: str) -> dict[str, Any]:
    found = emulator.client("glue").get_database(Name=name)["Database"]
    return {"CatalogId": found["CatalogId"], "DatabaseInput": found}


def of_topic(emulator: Emulator, arn: str) -> dict[str, Any]:
    attributes = emulator.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    return {**attributes, "TopicName": attributes["TopicArn"].rpartition(":")[2]}


def of_subscription(emulator: Emulator, arn: str) -> dict[str, Any]:
    sns = emulator.client("sns")
    (listed,) = [one for one in sns.list_subscriptions()["Subscriptions"] if one["SubscriptionArn"] == arn]
    return {**sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"], **listed}


def of_secret(emulator: Emulator, name: str) -> dict[str, Any]:
    secrets = emulator.client("secretsmanager")
    text = secrets.get_secret_value(SecretId=name)["SecretString"]
    return {**secrets.describe_secret(SecretId=name), "GenerateSecretString": {"PasswordLength": len(text)}}


READERS: dict[str, Callable[[Emulator, str], dict[str, Any]]] = {
    "AWS::CloudWatch::Alarm": lambda emulator, name: emulator.client("cloudwatch").describe_alarms(AlarmNames=[name])[
        "MetricAlarms"
    ][0],
    "AWS::DynamoDB::Table": of_table,
    "AWS::Glue::Crawler": lambda emulator, name: emulator.client("glue").get_crawler(Name=name)["Crawler"],
    "AWS::Glue::Database": of_database,
    "AWS::Glue::Job": lambda emulator, name: emulator.client("glue").get_job(JobName=name)["Job"],
    "AWS::IAM::ManagedPolicy": of_managed_policy,
    "AWS::IAM::Role": of_role,
    "AWS::KMS::Alias": of_alias,
    "AWS::KMS::Key": of_key,
    "AWS::Kinesis::Stream": of_stream,
    "AWS::KinesisFirehose::DeliveryStream": of_delivery,
    "AWS::Lambda::EventSourceMapping": of_event_source,
    "AWS::Lambda::Function": of_function,
    "AWS::Logs::LogGroup": of_log_group,
    "AWS::S3::Bucket": of_bucket,
    "AWS::SecretsManager::Secret": of_secret,
    "AWS::SNS::Subscription": of_subscription,
    "AWS::SNS::Topic": of_topic,
    "AWS::SQS::Queue": of_queue,
}


@pytest.fixture(scope="module")
def declared(emulator: Emulator) -> Iterator[Declared]:
    """The stack, up once for the whole file."""
    make_bucket(emulator, PARAMETERS["ArtifactsBucket"])
    body = zipped(handler="def handler(event, context): return {'batchItemFailures': []}\n")
    emulator.client("s3").put_object(Bucket=PARAMETERS["ArtifactsBucket"], Key="code.zip", Body=body)
    cloudformation = emulator.client("cloudformation")
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in PARAMETERS.items()]
    cloudformation.create_stack(
        StackName=PREFIX,
        TemplateBody=TEMPLATE.read_text(),
        Parameters=parameters,
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    status = wait_for(
        lambda: (
            not (one := cloudformation.describe_stacks(StackName=PREFIX)["Stacks"][0]["StackStatus"]).endswith(
                "_IN_PROGRESS"
            )
            and one
        ),
        "the stack's end",
    )
    events = cloudformation.describe_stack_events(StackName=PREFIX)["StackEvents"]
    reasons = [one.get("ResourceStatusReason") for one in events if one["ResourceStatus"] == "CREATE_FAILED"]
    assert status == "CREATE_COMPLETE", reasons
    made = cloudformation.describe_stack_resources(StackName=PREFIX)["StackResources"]
    yield Declared({one["LogicalResourceId"]: one["PhysicalResourceId"] for one in made})
    cloudformation.delete_stack(StackName=PREFIX)


@promised(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-whatis-concepts.html",
    closed_by="cloudformation",
)
def test_what_the_lake_declares_is_what_the_services_say_they_have(emulator: Emulator, declared: Declared) -> None:
    found: list[str] = []
    for name, kind, properties in declared.resources():
        physical_id = declared.physical_ids[name]
        if kind == "AWS::SQS::QueuePolicy":
            for url in properties["Queues"]:
                found += differences(properties["PolicyDocument"], of_queue(emulator, url)["Policy"], name)
            continue
        assert kind in READERS, f"{name} is an {kind}: say above how its properties are read back"
        found += differences(properties, READERS[kind](emulator, physical_id), name)
    assert not found, "\n".join(found)


@promised(
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html",
    closed_by="cloudformation",
    stored_only=True,
)
def test_data_at_rest_is_encrypted_under_the_key_of_the_lake(emulator: Emulator, declared: Declared) -> None:
    """Declared and read back; what lies on the disk is plain."""
    key = ARNS["AWS::KMS::Key"].format(declared.physical_ids["Key"])
    for bucket in ("RawBucket", "LakeBucket"):
        found = emulator.client("s3").get_bucket_encryption(Bucket=declared.physical_ids[bucket])
        (rule,) = found["ServerSideEncryptionConfiguration"]["Rules"]
        encryption = rule["ApplyServerSideEncryptionByDefault"]
        assert (encryption["SSEAlgorithm"], encryption["KMSMasterKeyID"]) == ("aws:kms", key)
    stream = of_stream(emulator, declared.physical_ids["Stream"])
    assert stream["StreamEncryption"] == {"EncryptionType": "KMS", "KeyId": key}
    for table in ("Claims", "Positions", "Landings", "Leases"):
        found = emulator.client("dynamodb").describe_table(TableName=declared.physical_ids[table])["Table"]
        assert found["SSEDescription"]["Status"] == "ENABLED"
