"""What services tell the event bus reaches rules and their targets in the shape that AWS documents."""

from __future__ import annotations

import json
from typing import Any

from tests.emulator.behaviours import promised
from tests.emulator.measured import make_queue, messages
from tests.emulator.running import ROLE, Emulator, make_bucket, make_function, wait_for

SERVICE = "EventBridge"


def make_rule(emulator: Emulator, name: str, pattern: dict[str, Any], *targets: str) -> None:
    events = emulator.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": str(number), "Arn": arn} for number, arn in enumerate(targets)])


@promised(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html",
    closed_by="state_change_events",
)
def test_an_alarm_that_changes_its_state_is_an_event(emulator: Emulator, name: str) -> None:
    """To a queue, and to a topic."""
    cloudwatch, sns = emulator.client("cloudwatch"), emulator.client("sns")
    url, queue = make_queue(emulator, name)
    told_url, told = make_queue(emulator, f"{name}-told")
    topic = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=told, Attributes={"RawMessageDelivery": "true"})
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "detail": {"alarmName": [name], "state": {"value": ["ALARM"]}},
    }
    make_rule(emulator, name, pattern, queue, topic)
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        AlarmDescription="too many",
        Namespace=name,
        MetricName="m",
        Dimensions=[{"Name": "Shop", "Value": "north"}],
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=10,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="breaching",
    )
    (event,) = messages(emulator, url, 1)
    assert messages(emulator, told_url, 1) == [event]
    detail = event.pop("detail")
    arn = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["AlarmArn"]
    assert event == {
        "version": "0",
        "id": event["id"],
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": "000000000000",
        "time": event["time"],
        "region": "eu-west-1",
        "resources": [arn],
    }
    assert (detail["alarmName"], detail["state"]["value"]) == (name, "ALARM")
    assert detail["state"]["reason"].startswith("Threshold Crossed: no datapoints were received for 1 period")
    assert json.loads(detail["state"]["reasonData"])["recentDatapoints"] == []
    assert detail["previousState"]["value"] == "INSUFFICIENT_DATA"
    assert detail["configuration"]["description"] == "too many"
    (watched,) = detail["configuration"]["metrics"]
    metric = {"dimensions": {"Shop": "north"}, "name": "m", "namespace": name}
    assert watched["metricStat"] == {"metric": metric, "period": 300, "stat": "Sum"}


REMEMBER = """
import boto3, json
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl="%s", MessageBody=json.dumps(event))
"""


@promised(
    "https://docs.aws.amazon.com/glue/latest/dg/automating-awsglue-with-cloudwatch-events.html",
    closed_by="state_change_events",
)
def test_a_job_run_that_ends_is_an_event(emulator: Emulator, name: str) -> None:
    """To a function."""
    glue = emulator.client("glue")
    make_bucket(emulator, name)
    emulator.client("s3").put_object(Bucket=name, Key="job.py", Body=b"import sys; assert 'fail' not in sys.argv")
    url, _ = make_queue(emulator, name)
    function = make_function(emulator, name, REMEMBER % url)
    pattern = {"source": ["aws.glue"], "detail-type": ["Glue Job State Change"], "detail": {"jobName": [name]}}
    make_rule(emulator, name, pattern, function)
    command = {"Name": "glueetl", "ScriptLocation": f"s3://{name}/job.py"}
    glue.create_job(
        Name=name, Role=ROLE, GlueVersion="5.1", Command=command, ExecutionProperty={"MaxConcurrentRuns": 2}
    )
    good = glue.start_job_run(JobName=name)["JobRunId"]
    bad = glue.start_job_run(JobName=name, Arguments={"--how": "fail"})["JobRunId"]
    details = {event["detail"]["jobRunId"]: event["detail"] for event in messages(emulator, url, 2)}
    assert details[good] == {
        "jobName": name,
        "severity": "INFO",
        "state": "SUCCEEDED",
        "jobRunId": good,
        "message": "Job run succeeded",
    }
    assert (details[bad]["severity"], details[bad]["state"]) == ("ERROR", "FAILED")
    assert "AssertionError" in details[bad]["message"]


@promised(
    "https://docs.aws.amazon.com/glue/latest/dg/automating-awsglue-with-cloudwatch-events.html",
    closed_by="state_change_events",
)
def test_a_crawl_that_starts_and_ends_is_two_events(emulator: Emulator, name: str) -> None:
    glue = emulator.client("glue")
    make_bucket(emulator, name)
    emulator.client("s3").put_object(Bucket=name, Key="raw/kind=a/one.json", Body=b'{"a": 1}\n')
    url, queue = make_queue(emulator, name)
    pattern = {
        "source": ["aws.glue"],
        "detail-type": ["Glue Crawler State Change"],
        "detail": {"crawlerName": [{"prefix": name}]},
    }
    make_rule(emulator, name, pattern, queue)
    glue.create_database(DatabaseInput={"Name": name})
    for crawler, bucket in ((name, name), (f"{name}-lost", f"{name}-lost")):
        targets = {"S3Targets": [{"Path": f"s3://{bucket}/raw/"}]}
        glue.create_crawler(Name=crawler, Role=ROLE, DatabaseName=name, Targets=targets)
        glue.start_crawler(Name=crawler)
        wait_for(lambda crawler=crawler: glue.get_crawler(Name=crawler)["Crawler"]["State"] == "READY", "the end")
    details = [event["detail"] for event in messages(emulator, url, 4)]
    states = {(detail["crawlerName"], detail["state"]): detail for detail in details}
    # in the order of each crawl; its end may be told after the next one has started
    for crawler, end in ((name, "Succeeded"), (f"{name}-lost", "Failed")):
        assert [state for whose, state in states if whose == crawler] == ["Started", end]
    succeeded = states[(name, "Succeeded")]
    assert succeeded["message"] == "Crawler Succeeded"
    assert (succeeded["tablesCreated"], succeeded["partitionsCreated"]) == ("1", "1")
    assert states[(f"{name}-lost", "Failed")]["errorMessage"]
