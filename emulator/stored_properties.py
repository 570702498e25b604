"""Which properties of a template are stored here, by type of resource; a stack that declares another one fails.

Belongs in here: the names, as https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/ has them; one
stands for all below it. Does not belong here: how they are stored (ministack's provisioners, cloudformation.py), and
what obeys them. Whoever adds a name has seen it read back: tests/emulator/test_lake_template.py does so for all that
include/cloudformation/lake.yaml declares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_LIFECYCLE_RULE = (
    "Id Status Prefix TagFilters ObjectSizeGreaterThan ObjectSizeLessThan ExpirationInDays ExpirationDate "
    "ExpiredObjectDeleteMarker NoncurrentVersionExpirationInDays "
    "Transition.StorageClass Transition.TransitionInDays Transition.TransitionDate "
    "Transitions.StorageClass Transitions.TransitionInDays Transitions.TransitionDate "
    "NoncurrentVersionTransitions.StorageClass NoncurrentVersionTransitions.TransitionInDays "
    "NoncurrentVersionTransitions.NewerNoncurrentVersions NoncurrentVersionExpiration.NoncurrentDays "
    "NoncurrentVersionExpiration.NewerNoncurrentVersions AbortIncompleteMultipartUpload.DaysAfterInitiation"
)
_NOTIFICATION = "Event Filter.S3Key.Rules.Name Filter.S3Key.Rules.Value"
_S3_DESTINATION = (
    "BucketARN RoleARN Prefix ErrorOutputPrefix CompressionFormat FileExtension CustomTimeZone BufferingHints "
    "EncryptionConfiguration CloudWatchLoggingOptions DynamicPartitioningConfiguration ProcessingConfiguration "
    "S3BackupMode"
)


def _below(place: str, names: str) -> str:
    return " ".join(f"{place}.{name}" for name in names.split())


STORED: dict[str, frozenset[str]] = {
    resource_type: frozenset(names.split())
    for resource_type, names in {
        "AWS::CloudWatch::Alarm": "AlarmName AlarmDescription Namespace MetricName Dimensions Statistic "
        "ExtendedStatistic Period EvaluationPeriods DatapointsToAlarm Threshold ComparisonOperator TreatMissingData "
        "Unit ActionsEnabled AlarmActions OKActions InsufficientDataActions Tags",
        "AWS::DynamoDB::Table": "TableName BillingMode AttributeDefinitions KeySchema GlobalSecondaryIndexes "
        "LocalSecondaryIndexes ProvisionedThroughput StreamSpecification.StreamViewType "
        "TimeToLiveSpecification PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled SSESpecification "
        "DeletionProtectionEnabled Tags",
        "AWS::Glue::Crawler": "Name Role DatabaseName Description Targets.S3Targets.Path Targets.S3Targets.Exclusions "
        "Targets.S3Targets.SampleSize TablePrefix SchemaChangePolicy RecrawlPolicy Configuration Tags",
        "AWS::Glue::Database": "CatalogId DatabaseInput.Name DatabaseInput.Description DatabaseInput.LocationUri "
        "DatabaseInput.Parameters",
        "AWS::Glue::Job": "Name Role Description Command DefaultArguments NonOverridableArguments MaxRetries Timeout "
        "GlueVersion NumberOfWorkers WorkerType MaxCapacity ExecutionProperty Tags",
        "AWS::IAM::ManagedPolicy": "ManagedPolicyName Path Description PolicyDocument Roles Users Groups",
        "AWS::IAM::Role": "RoleName Path Description AssumeRolePolicyDocument MaxSessionDuration ManagedPolicyArns "
        "Policies Tags",
        "AWS::KMS::Alias": "AliasName TargetKeyId",
        "AWS::KMS::Key": "Description KeyPolicy Enabled EnableKeyRotation RotationPeriodInDays KeySpec KeyUsage Tags",
        "AWS::Kinesis::Stream": "Name StreamModeDetails ShardCount RetentionPeriodHours StreamEncryption Tags",
        "AWS::KinesisFirehose::DeliveryStream": "DeliveryStreamName DeliveryStreamType Tags "
        + _below("ExtendedS3DestinationConfiguration", _S3_DESTINATION),
        "AWS::Lambda::EventSourceMapping": "EventSourceArn FunctionName StartingPosition BatchSize Enabled "
        "MaximumBatchingWindowInSeconds FunctionResponseTypes FilterCriteria DestinationConfig ParallelizationFactor "
        "MaximumRetryAttempts MaximumRecordAgeInSeconds BisectBatchOnFunctionError ScalingConfig",
        "AWS::Lambda::Function": "FunctionName Description Runtime Handler Role MemorySize Timeout Architectures "
        "Environment Layers EphemeralStorage LoggingConfig TracingConfig ReservedConcurrentExecutions Tags "
        + _below("Code", "S3Bucket S3Key S3ObjectVersion ZipFile"),
        "AWS::Logs::LogGroup": "LogGroupName RetentionInDays LogGroupClass KmsKeyId Tags",
        "AWS::S3::Bucket": "BucketName VersioningConfiguration.Status PublicAccessBlockConfiguration "
        "OwnershipControls.Rules.ObjectOwnership Tags NotificationConfiguration.EventBridgeConfiguration "
        + _below(
            "BucketEncryption.ServerSideEncryptionConfiguration",
            "BucketKeyEnabled ServerSideEncryptionByDefault.SSEAlgorithm ServerSideEncryptionByDefault.KMSMasterKeyID",
        )
        + " "
        + _below("NotificationConfiguration.QueueConfigurations", f"Queue {_NOTIFICATION}")
        + " "
        + _below("NotificationConfiguration.TopicConfigurations", f"Topic {_NOTIFICATION}")
        + " "
        + _below("NotificationConfiguration.LambdaConfigurations", f"Function {_NOTIFICATION}")
        + " "
        + _below("LifecycleConfiguration.Rules", _LIFECYCLE_RULE),
        "AWS::SecretsManager::Secret": "Name Description KmsKeyId GenerateSecretString.PasswordLength Tags",
        "AWS::SNS::Subscription": "TopicArn Protocol Endpoint DeliveryPolicy FilterPolicy FilterPolicyScope "
        "RawMessageDelivery RedrivePolicy SubscriptionRoleArn",
        "AWS::SNS::Topic": "TopicName DisplayName Tags Subscription.Protocol Subscription.Endpoint",
        "AWS::SQS::Queue": "QueueName VisibilityTimeout MaximumMessageSize MessageRetentionPeriod DelaySeconds "
        "ReceiveMessageWaitTimeSeconds KmsMasterKeyId KmsDataKeyReusePeriodSeconds SqsManagedSseEnabled RedrivePolicy "
        "RedriveAllowPolicy Tags",
        "AWS::SQS::QueuePolicy": "Queues PolicyDocument",
    }.items()
}


def check(resource_type: str, name: str, properties: Mapping[str, Any]) -> None:
    """ValueError names what would be dropped."""
    stored = STORED.get(resource_type)
    if stored is None:
        raise ValueError(f"{name} is an {resource_type}, {_ADVICE}")
    for path in _paths(properties):
        parts = path.split(".")
        if not any(".".join(parts[:length]) in stored for length in range(1, len(parts) + 1)):
            raise ValueError(f"{path} of {name} ({resource_type}) would be dropped, {_ADVICE}")


_ADVICE = "which the emulator is not known to store; emulator/stored_properties.py says what it takes to add it"


def _paths(value: Any, path: str = "") -> Iterator[str]:
    """Dotted names down to what holds no more names; a list is looked through."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _paths(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _paths(inner, path)
    else:
        yield path
