"""The template names what the settings name, and each alarm links its runbook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cfnlint.decode
import pytest

from eventlake.settings import DATABASES, Settings

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "include/cloudformation/lake.yaml"
SETTINGS = Settings(prefix="lake-under-test", account_id="123456789012", region="eu-central-1")
PSEUDO = {"Prefix": SETTINGS.prefix, "AWS::AccountId": SETTINGS.account_id, "AWS::Region": SETTINGS.region}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    decoded, problems = cfnlint.decode.decode(str(TEMPLATE))
    assert not problems, problems
    return decoded


def name_of(resource: dict[str, Any]) -> str | None:
    """The name that a resource is given, parameters filled in."""
    for key in (
        "Name", "BucketName", "TableName", "QueueName", "TopicName", "FunctionName", "DeliveryStreamName", "AlarmName",
    ):  # fmt: skip
        value = resource.get("Properties", {}).get(key)
        if isinstance(value, dict) and "Fn::Sub" in value:
            return re.sub(r"\$\{([^}]+)\}", lambda match: PSEUDO[match[1]], value["Fn::Sub"])
    return None


def test_every_name_of_the_settings_is_made_by_the_template(template: dict[str, Any]) -> None:
    made = {name_of(resource) for resource in template["Resources"].values()}
    made |= {
        f"arn:aws:sns:{SETTINGS.region}:{SETTINGS.account_id}:{name_of(resource)}"
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::SNS::Topic"
    }
    # the deploy command makes this one before the stack; the stack itself is named by it; these are paths
    made |= {SETTINGS.artifacts_bucket, SETTINGS.stack, SETTINGS.warehouse_uri, SETTINGS.data_docs_url}
    named = {name: getattr(SETTINGS, name) for name, member in vars(Settings).items() if isinstance(member, property)}
    missing = {name: value for name, value in named.items() if value not in made}
    assert not missing, f"settings.py names what lake.yaml does not make: {missing}"


def test_every_database_is_made_by_the_template(template: dict[str, Any]) -> None:
    made = {
        resource["Properties"]["DatabaseInput"]["Name"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Glue::Database"
    }
    assert made == set(DATABASES)


def test_every_alarm_links_the_runbook_of_its_name(template: dict[str, Any]) -> None:
    alarms = [one for one in template["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    assert alarms
    for alarm in alarms:
        name = str(name_of(alarm)).removeprefix(f"{SETTINGS.prefix}-")
        described = alarm["Properties"]["AlarmDescription"]["Fn::Sub"]
        assert described.endswith(f" ${{RunbookBaseUrl}}docs/runbooks/{name}.md"), f"alarm {name}: {described}"


def test_every_job_runs_a_script_that_exists(template: dict[str, Any]) -> None:
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Glue::Job":
            location = resource["Properties"]["Command"]["ScriptLocation"]["Fn::Sub"]
            script = ROOT / "include/glue_jobs" / location.rpartition("}")[2]
            assert script.is_file(), f"{location} names no script of include/glue_jobs"


def test_sender_cannot_stop_a_shard(template: dict[str, Any]) -> None:
    """Retries without end, one function a shard: DESIGN, station 3."""
    source = template["Resources"]["AdmitEventsSource"]["Properties"]
    assert source["MaximumRetryAttempts"] == -1
    assert source["MaximumRecordAgeInSeconds"] == -1
    assert source["ParallelizationFactor"] == 1
    assert source["StartingPosition"] == "TRIM_HORIZON"
