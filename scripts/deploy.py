"""Bring a lake into being, or up to date: packages, stack and definitions. The same on AWS and on the emulator.

    python scripts/deploy.py [--parameter Name=value ...] [--definitions FOLDER ...]

Where: as boto3 finds it (AWS_ENDPOINT_URL, credentials, region); which lake: LAKE_PREFIX. What does not belong here:
what the stack consists of (include/cloudformation/lake.yaml), and anything the emulator needs beyond it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

import package
from eventlake.contract import ContractIndex, parse_contract
from eventlake.definitions import build_bundle
from eventlake.errors import LakeError, TerminalError
from eventlake.settings import Settings
from eventlake_aws.definitions_store import CURRENT_KEY

CHECKOUT = Path(__file__).resolve().parent.parent
TEMPLATE = CHECKOUT / "include" / "cloudformation" / "lake.yaml"
STACK_TIMEOUT_SECONDS = 1800
# CloudFormation takes a template of this size in the call; a larger one from S3 only
LONGEST_INLINE_TEMPLATE = 51_200


def deploy(
    settings: Settings,
    *,
    build_folder: Path,
    definitions_folders: list[Path],
    parameters: Mapping[str, str],
    say: Callable[[str], None],
) -> str:
    """Returns what became of the stack: created, updated or unchanged. Raises TerminalError with the reasons."""
    contracts, suites, rollups = read_definitions([CHECKOUT / "include", *definitions_folders])
    bundle, bundle_hash = build_bundle(contracts, suites, rollups)
    s3 = boto3.client("s3")
    require_a_lake_that_follows(settings, s3, contracts, bundle_hash, say)
    packages = package.build(build_folder)
    make_artifacts_bucket(s3, settings)
    parameters = {**upload_packages(s3, settings, packages), **parameters}
    outcome = apply_stack(settings, s3, parameters, say)
    key = f"control/definitions/{bundle_hash}.json"
    s3.put_object(Bucket=settings.lake_bucket, Key=key, Body=bundle)
    pointer = json.dumps({"key": key, "hash": bundle_hash}).encode()
    s3.put_object(Bucket=settings.lake_bucket, Key=CURRENT_KEY, Body=pointer)
    return outcome


def read_definitions(folders: list[Path]) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Contracts, suites and rollups of all folders; a later folder never replaces what an earlier one defines."""
    contracts: dict[str, Any] = {}
    suites: dict[str, Any] = {}
    rollups: dict[str, str] = {}
    for folder in folders:
        for path in sorted((folder / "contracts").glob("*/*.json")):
            contracts.setdefault(f"{path.parent.name}/{path.stem}", read_json(path))
        for path in sorted((folder / "expectations").glob("*.json")):
            suites.setdefault(path.stem, read_json(path))
        for path in sorted((folder / "rollups").glob("*.sql")):
            rollups.setdefault(path.stem, path.read_text())
    return contracts, suites, rollups


def require_a_lake_that_follows(
    settings: Settings, s3: Any, contracts: Mapping[str, Any], bundle_hash: str, say: Callable[[str], None]
) -> None:
    """Raises TerminalError where loads of the lake would refuse these contracts, each fault said as `make check` does.

    The first deployment, and one that changes no definition, ask nobody.
    """
    try:
        pointer = json.loads(s3.get_object(Bucket=settings.lake_bucket, Key=CURRENT_KEY)["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchBucket", "NoSuchKey"):
            return
        raise
    if pointer["hash"] == bundle_hash:
        return
    # it brings PyIceberg, which a lake that starts as it stopped should not wait for
    from eventlake_aws.clients import Clients
    from eventlake_aws.live_contracts import compare_with_lake

    index = ContractIndex(parse_contract(f"{name}.json", schema) for name, schema in contracts.items())
    refusals = compare_with_lake(Clients.from_settings(settings), settings, index).refusals
    for refusal in refusals:
        say(f"fault: {refusal}")
    if refusals:
        raise TerminalError(
            f"received {len(refusals)} faults in the contracts (above); valid are contracts that the tables of "
            f"{settings.prefix} can follow; nothing was uploaded: correct them, `make check` says whether they fit"
        )


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise TerminalError(f"reading {path}: {error}; valid is one JSON object; correct the file") from error


def make_artifacts_bucket(s3: Any, settings: Settings) -> None:
    """The one thing that exists before the stack: the stack's code is read from it."""
    bucket = settings.artifacts_bucket
    try:
        s3.head_bucket(Bucket=bucket)
        return
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise TerminalError(f"looking for bucket {bucket}: {error}; see whether it is yours") from error
    where = {} if settings.region == "us-east-1" else {"LocationConstraint": settings.region}
    s3.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": where} if where else {}))
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))


def upload_packages(s3: Any, settings: Settings, packages: package.Packages) -> dict[str, str]:
    """Keys carry the content's hash: what is unchanged stays, what changed gives the stack something to update."""
    bucket = settings.artifacts_bucket

    def upload(name: str, content: bytes, prefix: str) -> str:
        key = f"{prefix}{name}"
        s3.put_object(Bucket=bucket, Key=key, Body=content)
        return key

    zips = {name: path.read_bytes() for name, path in packages.zips.items()}
    keys = {name: upload(name, content, f"code/{package.content_hash(content)}/") for name, content in zips.items()}
    scripts = {path.name: path.read_bytes() for path in packages.job_scripts}
    prefix = f"jobs/{package.content_hash(b''.join(scripts.values()))}/"
    for name, content in scripts.items():
        upload(name, content, prefix)
    return {
        "Prefix": settings.prefix,
        "ArtifactsBucket": bucket,
        "AdmitEventsKey": keys["admit_events.zip"],
        "RecordLandingKey": keys["record_landing.zip"],
        "JobsLibraryKey": keys["eventlake-glue.zip"],
        "LineReaderKey": keys["eventlake-line-reader.jar"],
        "JobScriptsPrefix": prefix,
        "CodeHash": packages.code_hash,
        "ClaimWindowHours": str(settings.claim_window_hours),
        "DeliveryBufferSeconds": str(settings.delivery_buffer_seconds),
        "RunbookBaseUrl": settings.runbook_base_url,
    }


def apply_stack(settings: Settings, s3: Any, parameters: Mapping[str, str], say: Callable[[str], None]) -> str:
    cloudformation = boto3.client("cloudformation")
    request = {
        "StackName": settings.stack,
        **_template(s3, settings),
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }
    status = stack_status(cloudformation, settings.stack)
    if status in ("ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS", "CREATE_FAILED"):
        say(f"stack {settings.stack} is {status} from an earlier try: removing it")
        cloudformation.delete_stack(StackName=settings.stack)
        _wait_for_end(cloudformation, settings.stack)
        status = None
    started = time.time()
    if status is None:
        cloudformation.create_stack(**request)
    else:
        try:
            cloudformation.update_stack(**request)
        except ClientError as error:
            if "No updates are to be performed" in str(error):
                return "unchanged"
            raise
    end = _wait_for_end(cloudformation, settings.stack)
    if end not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        reasons = failures(cloudformation, settings.stack, started)
        raise TerminalError(f"stack {settings.stack} ended as {end}: " + ("; ".join(reasons) or "it gives no reason"))
    return "created" if status is None else "updated"


def _template(s3: Any, settings: Settings) -> dict[str, str]:
    text = TEMPLATE.read_text()
    if len(text.encode()) <= LONGEST_INLINE_TEMPLATE:
        return {"TemplateBody": text}
    key = f"templates/{hashlib.sha256(text.encode()).hexdigest()}.yaml"
    s3.put_object(Bucket=settings.artifacts_bucket, Key=key, Body=text.encode())
    return {"TemplateURL": f"{s3.meta.endpoint_url}/{settings.artifacts_bucket}/{key}"}


def stack_status(cloudformation: Any, name: str) -> str | None:
    try:
        status = str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if status == "DELETE_COMPLETE" else status


def _wait_for_end(cloudformation: Any, name: str) -> str:
    """The status in which the stack came to rest; short looks first, because an emulator needs a second."""
    deadline = time.monotonic() + STACK_TIMEOUT_SECONDS
    pause_seconds = 0.2
    while time.monotonic() < deadline:
        status = stack_status(cloudformation, name)
        if status is None or not status.endswith("_IN_PROGRESS"):
            return status or "DELETE_COMPLETE"
        time.sleep(pause_seconds)
        pause_seconds = min(5.0, pause_seconds * 1.3)
    raise TerminalError(f"waiting for stack {name}: no end after {STACK_TIMEOUT_SECONDS} s; look at its events")


def failures(cloudformation: Any, name: str, since: float) -> list[str]:
    """One line for each resource that failed, the first cause first."""
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return [
        f"{one['LogicalResourceId']}: {one.get('ResourceStatusReason', one['ResourceStatus'])}"
        for one in reversed(events)
        if one["ResourceStatus"].endswith("_FAILED") and one["Timestamp"].timestamp() >= since - 1
    ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Deploy the lake that LAKE_PREFIX names.")
    parser.add_argument("--parameter", action="append", default=[], metavar="Name=value", help="of the template")
    parser.add_argument("--definitions", action="append", default=[], type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_env(os.environ)
        outcome = deploy(
            settings,
            build_folder=CHECKOUT / "dist",
            definitions_folders=options.definitions,
            parameters=dict(text.split("=", 1) for text in options.parameter),
            say=print,
        )
    except (LakeError, BotoCoreError, ClientError, ValueError) as error:
        print(f"eventlake: deploying: {error}", file=sys.stderr)
        return 2
    print(f"stack {settings.stack}: {outcome}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
