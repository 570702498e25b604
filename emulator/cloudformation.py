"""CloudFormation: the properties that ministack accepts and drops are applied, and those that nothing stores refused.

Belongs in here: one function a property, through the service's own API, so that what that API refuses fails the stack.
Does not belong here: the list of what is stored (stored_properties.py), what the services then do with it.

    S3 bucket       LifecycleConfiguration, BucketEncryption, OwnershipControls, VersioningConfiguration, Tags
    DynamoDB table  TimeToLiveSpecification, PointInTimeRecoverySpecification, SSESpecification
    Kinesis stream  StreamEncryption; a change of ShardCount
    Lambda          ReservedConcurrentExecutions; code that is not in its bucket fails the stack
    Glue job        ExecutionProperty
    Firehose        an update is refused for what a creation is refused for
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import dynamodb, kinesis, lambda_svc, s3
from ministack.services.cloudformation import provisioners

from emulator import firehose as deliveries
from emulator import patches, stored_properties

FIX = "cloudformation"

_XML = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_Properties = dict[str, Any]


def install() -> None:
    handlers = {resource_type: dict(entry) for resource_type, entry in provisioners._RESOURCE_HANDLERS.items()}
    for resource_type, apply in _APPLIED.items():
        _extend(resource_type, handlers[resource_type], apply)
    for resource_type, entry in handlers.items():
        _refuse_what_cannot_be(resource_type, entry)
    # the update of a stack asks for this table by name in several modules, so its entries change, not the table
    patches.replace(FIX, "services.cloudformation.provisioners:_RESOURCE_HANDLERS", provisioners._RESOURCE_HANDLERS)
    provisioners._RESOURCE_HANDLERS.update(handlers)
    patches.replace(
        FIX,
        "services.cloudformation.provisioners:_GLUE_JOB_DEFAULTS",
        {**provisioners._GLUE_JOB_DEFAULTS, "ExecutionProperty": {"MaxConcurrentRuns": 1}},
    )


def _refuse_what_cannot_be(resource_type: str, entry: dict[str, Any]) -> None:
    create, update = entry["create"], entry.get("update")

    def checked_create(logical_id: str, properties: _Properties, stack_name: str) -> Any:
        stored_properties.check(resource_type, logical_id, properties)
        return create(logical_id, properties, stack_name)

    def checked_update(physical_id: str, old: _Properties, new: _Properties, *rest: Any) -> Any:
        stored_properties.check(resource_type, rest[1] if len(rest) > 1 else physical_id, new)
        if resource_type in _REFUSED_UPDATES:
            _REFUSED_UPDATES[resource_type](physical_id, old, new)
        return update(physical_id, old, new, *rest)

    entry["create"] = checked_create
    if update is not None:
        entry["update"] = checked_update


def _extend(resource_type: str, entry: dict[str, Any], apply: Callable[[str, _Properties, _Properties], None]) -> None:
    create, update = entry["create"], entry.get("update")

    def create_and_apply(logical_id: str, properties: _Properties, stack_name: str) -> Any:
        made = create(logical_id, properties, stack_name)
        try:
            apply(made[0], {}, properties)
        except ValueError:
            # the engine rolls back what it knows of; this resource is not among it yet
            entry["delete"](made[0], properties)
            raise
        return made

    def update_and_apply(physical_id: str, old: _Properties, new: _Properties, *rest: Any) -> Any:
        made = update(physical_id, old, new, *rest)
        apply(made[0], old, new)
        return made

    entry["create"] = create_and_apply
    if update is not None:
        entry["update"] = update_and_apply


def _checked(what: str, answer: Any) -> None:
    """The API's refusal is the reason of the failed resource."""
    if answer[0] >= 300:
        body = answer[2].decode(errors="replace") if isinstance(answer[2], bytes) else str(answer[2])
        raise ValueError(f"{what} was refused: {body}")


# ---- S3


def _apply_bucket(name: str, old: _Properties, new: _Properties) -> None:
    if rules := (new.get("LifecycleConfiguration") or {}).get("Rules"):
        _checked("LifecycleConfiguration", s3._put_bucket_lifecycle(name, lifecycle_xml(rules)))
    elif "LifecycleConfiguration" in old:
        s3._delete_bucket_lifecycle(name)
    if encryption := (new.get("BucketEncryption") or {}).get("ServerSideEncryptionConfiguration"):
        _checked("BucketEncryption", s3._put_bucket_encryption(name, _encryption_xml(encryption)))
    elif "BucketEncryption" in old:
        s3._delete_bucket_encryption(name)
    if controls := (new.get("OwnershipControls") or {}).get("Rules"):
        rules = "".join(f"<Rule>{_element('ObjectOwnership', rule.get('ObjectOwnership'))}</Rule>" for rule in controls)
        body = f"<OwnershipControls {_XML}>{rules}</OwnershipControls>"
        _checked("OwnershipControls", s3._put_bucket_ownership_controls(name, body.encode()))
    elif "OwnershipControls" in old:
        s3._delete_bucket_ownership_controls(name)
    if status := (new.get("VersioningConfiguration") or {}).get("Status"):
        body = f"<VersioningConfiguration {_XML}>{_element('Status', status)}</VersioningConfiguration>"
        _checked("VersioningConfiguration", s3._put_bucket_versioning(name, body.encode()))
    if tags := new.get("Tags"):
        pairs = "".join(f"<Tag>{_element('Key', tag['Key'])}{_element('Value', tag['Value'])}</Tag>" for tag in tags)
        body = f"<Tagging {_XML}><TagSet>{pairs}</TagSet></Tagging>"
        _checked("Tags", s3._put_bucket_tagging(name, body.encode()))
    elif "Tags" in old:
        s3._delete_bucket_tagging(name)


def _element(name: str, value: Any) -> str:
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{escape(text)}</{name}>"


def _encryption_xml(rules: list[_Properties]) -> bytes:
    parts = []
    for rule in rules:
        default = rule.get("ServerSideEncryptionByDefault") or {}
        inner = _element("SSEAlgorithm", default.get("SSEAlgorithm"))
        inner += _element("KMSMasterKeyID", default.get("KMSMasterKeyID"))
        parts.append(
            f"<Rule><ApplyServerSideEncryptionByDefault>{inner}</ApplyServerSideEncryptionByDefault>"
            f"{_element('BucketKeyEnabled', rule.get('BucketKeyEnabled'))}</Rule>"
        )
    return f"<ServerSideEncryptionConfiguration {_XML}>{''.join(parts)}</ServerSideEncryptionConfiguration>".encode()


def lifecycle_xml(rules: list[_Properties]) -> bytes:
    """The template's names to those of the S3 API.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-s3-bucket-rule.html
    """
    body = "".join(f"<Rule>{_lifecycle_rule(rule)}</Rule>" for rule in rules)
    return f"<LifecycleConfiguration {_XML}>{body}</LifecycleConfiguration>".encode()


def _lifecycle_rule(rule: _Properties) -> str:
    parts = [_element("ID", rule.get("Id")), _element("Status", rule.get("Status")), _lifecycle_filter(rule)]
    transitions = rule.get("Transitions") or ([rule["Transition"]] if rule.get("Transition") else [])
    for one in transitions:
        inner = _element("Days", one.get("TransitionInDays")) + _element("Date", one.get("TransitionDate"))
        parts.append(f"<Transition>{inner}{_element('StorageClass', one.get('StorageClass'))}</Transition>")
    expiration = _element("Days", rule.get("ExpirationInDays")) + _element("Date", rule.get("ExpirationDate"))
    expiration += _element("ExpiredObjectDeleteMarker", rule.get("ExpiredObjectDeleteMarker"))
    if expiration:
        parts.append(f"<Expiration>{expiration}</Expiration>")
    old_transitions = rule.get("NoncurrentVersionTransitions") or []
    for one in old_transitions:
        inner = _element("NoncurrentDays", one.get("TransitionInDays"))
        inner += _element("NewerNoncurrentVersions", one.get("NewerNoncurrentVersions"))
        inner += _element("StorageClass", one.get("StorageClass"))
        parts.append(f"<NoncurrentVersionTransition>{inner}</NoncurrentVersionTransition>")
    old_expiration = dict(rule.get("NoncurrentVersionExpiration") or {})
    if rule.get("NoncurrentVersionExpirationInDays") is not None:
        old_expiration["NoncurrentDays"] = rule["NoncurrentVersionExpirationInDays"]
    if old_expiration:
        inner = _element("NoncurrentDays", old_expiration.get("NoncurrentDays"))
        inner += _element("NewerNoncurrentVersions", old_expiration.get("NewerNoncurrentVersions"))
        parts.append(f"<NoncurrentVersionExpiration>{inner}</NoncurrentVersionExpiration>")
    if abort := rule.get("AbortIncompleteMultipartUpload"):
        inner = _element("DaysAfterInitiation", abort.get("DaysAfterInitiation"))
        parts.append(f"<AbortIncompleteMultipartUpload>{inner}</AbortIncompleteMultipartUpload>")
    return "".join(parts)


def _lifecycle_filter(rule: _Properties) -> str:
    conditions = [f"<Prefix>{escape(rule['Prefix'])}</Prefix>"] if "Prefix" in rule else []
    conditions += [
        f"<Tag>{_element('Key', tag['Key'])}{_element('Value', tag['Value'])}</Tag>"
        for tag in rule.get("TagFilters") or []
    ]
    conditions += [
        _element(name, rule[name]) for name in ("ObjectSizeGreaterThan", "ObjectSizeLessThan") if name in rule
    ]
    inner = "".join(conditions) or "<Prefix></Prefix>"
    return f"<Filter><And>{inner}</And></Filter>" if len(conditions) > 1 else f"<Filter>{inner}</Filter>"


# ---- DynamoDB


def _apply_table(name: str, old: _Properties, new: _Properties) -> None:
    if expiry := new.get("TimeToLiveSpecification"):
        enabled = str(expiry.get("Enabled", True)).lower() == "true"
        wanted = {"AttributeName": expiry.get("AttributeName", ""), "Enabled": enabled}
        answer = dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": wanted})
        _checked("TimeToLiveSpecification", answer)
    elif before := old.get("TimeToLiveSpecification"):
        dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": {**before, "Enabled": False}})
    if "PointInTimeRecoverySpecification" in {**old, **new}:
        wanted = new.get("PointInTimeRecoverySpecification") or {"PointInTimeRecoveryEnabled": False}
        answer = dynamodb._update_continuous_backups({"TableName": name, "PointInTimeRecoverySpecification": wanted})
        _checked("PointInTimeRecoverySpecification", answer)
    if specification := new.get("SSESpecification"):
        dynamodb._tables[name]["SSEDescription"] = dynamodb._sse_description_from_spec(
            {"Enabled": specification.get("SSEEnabled", False), **specification}
        )


# ---- Kinesis


def _apply_stream(name: str, old: _Properties, new: _Properties) -> None:
    if encryption := new.get("StreamEncryption"):
        _checked("StreamEncryption", kinesis._start_stream_encryption({"StreamName": name, **encryption}))
    elif "StreamEncryption" in old:
        kinesis._stop_stream_encryption({"StreamName": name})
    # a stream that is made has its shards; on-demand streams name none
    if old and new.get("ShardCount") is not None:
        change = {"StreamName": name, "TargetShardCount": int(new["ShardCount"]), "ScalingType": "UNIFORM_SCALING"}
        _checked("ShardCount", kinesis._update_shard_count(change))


# ---- Firehose


def _refuse_destination(name: str, old: _Properties, new: _Properties) -> None:
    """ministack writes an update past the API."""
    if reason := deliveries.refusal(new.get("ExtendedS3DestinationConfiguration") or {}):
        raise ValueError(reason)


# ---- Lambda


def _apply_function(name: str, old: _Properties, new: _Properties) -> None:
    code = new.get("Code") or {}
    if code.get("S3Key") and not lambda_svc._functions[name].get("code_zip"):
        raise ValueError(
            f"Error occurred while GetObject. S3 Error Code: NoSuchKey. s3://{code.get('S3Bucket')}/{code['S3Key']}"
        )
    if (reserved := new.get("ReservedConcurrentExecutions")) is not None:
        answer = lambda_svc._put_function_concurrency(name, {"ReservedConcurrentExecutions": int(reserved)})
        _checked("ReservedConcurrentExecutions", answer)
    elif "ReservedConcurrentExecutions" in old:
        lambda_svc._delete_function_concurrency(name)


_APPLIED: dict[str, Callable[[str, _Properties, _Properties], None]] = {
    "AWS::S3::Bucket": _apply_bucket,
    "AWS::DynamoDB::Table": _apply_table,
    "AWS::Kinesis::Stream": _apply_stream,
    "AWS::Lambda::Function": _apply_function,
}
_REFUSED_UPDATES: dict[str, Callable[[str, _Properties, _Properties], None]] = {
    "AWS::KinesisFirehose::DeliveryStream": _refuse_destination,
}
