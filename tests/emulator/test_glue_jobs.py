"""Glue jobs run, end and are stopped as AWS documents it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator.behaviours import promised
from tests.emulator.running import JARS, JOBS_PYTHON, ROLE, Emulator, make_bucket, wait_for, zipped

SERVICE = "Glue jobs"

ENDED = ("SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT")


def make_job(emulator: Emulator, name: str, script: str | None, **options: Any) -> None:
    make_bucket(emulator, name)
    if script is not None:
        emulator.client("s3").put_object(Bucket=name, Key="job.py", Body=script.encode())
    emulator.client("glue").create_job(
        Name=name,
        Role=ROLE,
        GlueVersion="5.1",
        Command={"Name": "glueetl", "PythonVersion": "3", "ScriptLocation": f"s3://{name}/job.py"},
        **options,
    )


def start(emulator: Emulator, name: str, **options: Any) -> str:
    return str(emulator.client("glue").start_job_run(JobName=name, **options)["JobRunId"])


def state(emulator: Emulator, name: str, run_id: str) -> dict[str, Any]:
    run: dict[str, Any] = emulator.client("glue").get_job_run(JobName=name, RunId=run_id)["JobRun"]
    return run


def end_of(emulator: Emulator, name: str, run_id: str, seconds: float = 20) -> dict[str, Any]:
    found: dict[str, Any] = wait_for(
        lambda: (run := state(emulator, name, run_id))["JobRunState"] in ENDED and run, "the end of the run", seconds
    )
    return found


def log(emulator: Emulator, group: str, run_id: str) -> list[str]:
    events = emulator.client("logs").get_log_events(
        logGroupName=f"/aws-glue/jobs/{group}", logStreamName=run_id, startFromHead=True
    )["events"]
    return [event["message"] for event in events]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]


@promised(
    "https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html",
    closed_by="glue_jobs",
)
def test_a_script_gets_its_arguments_and_libraries(emulator: Emulator, name: str) -> None:
    script = "import sys, json, library; print(json.dumps([library.ANSWER, *sys.argv[1:]]))"
    default = {"--extra-py-files": f"s3://{name}/library.zip", "--kept": "default", "--changed": "default"}
    make_job(emulator, name, script, DefaultArguments={**default, "--conf": "a=b --conf c=d"})
    emulator.client("s3").put_object(Bucket=name, Key="library.zip", Body=zipped(library="ANSWER = 42"))
    run_id = start(emulator, name, Arguments={"--changed": "for this run"})
    assert end_of(emulator, name, run_id)["JobRunState"] == "SUCCEEDED"
    found = json.loads(log(emulator, "output", run_id)[0])
    pairs = dict(zip(found[1::2], found[2::2], strict=True))
    assert found[0] == 42
    assert (
        pairs.items()
        >= {
            "--JOB_NAME": name,
            "--JOB_RUN_ID": run_id,
            "--kept": "default",
            "--changed": "for this run",
        }.items()
    )
    assert "--conf" not in pairs and "--extra-py-files" not in pairs


@promised("https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-runs.html", closed_by="glue_jobs")
def test_a_script_that_raises_fails_with_its_last_error(emulator: Emulator, name: str) -> None:
    """ErrorMessage."""
    make_job(emulator, name, "print('before'); raise ValueError('no such\\nthing')")
    run = end_of(emulator, name, run_id := start(emulator, name))
    assert (run["JobRunState"], run["ErrorMessage"]) == ("FAILED", "ValueError: no such")
    assert log(emulator, "output", run_id) == ["before"]
    assert "Traceback (most recent call last):" in log(emulator, "error", run_id)


@promised("https://docs.aws.amazon.com/glue/latest/dg/glue-troubleshooting-errors.html", closed_by="glue_jobs")
def test_a_missing_script_fails(emulator: Emulator, name: str) -> None:
    make_job(emulator, name, script=None)
    run = end_of(emulator, name, start(emulator, name))
    assert run["JobRunState"] == "FAILED"
    assert f"s3://{name}/job.py" in run["ErrorMessage"]


@promised("https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging.html", closed_by="glue_jobs")
def test_output_can_be_read_while_it_runs(emulator: Emulator, name: str) -> None:
    make_job(emulator, name, "import time; print('early'); time.sleep(60)")
    run_id = start(emulator, name)

    def early() -> bool:
        try:
            return log(emulator, "output", run_id) == ["early"]
        except ClientError:
            return False

    wait_for(early, "the first line")
    assert state(emulator, name, run_id)["JobRunState"] == "RUNNING"
    emulator.client("glue").batch_stop_job_run(JobName=name, JobRunIds=[run_id])
    end_of(emulator, name, run_id)


@promised("https://docs.aws.amazon.com/glue/latest/webapi/API_BatchStopJobRun.html", closed_by="glue_jobs")
def test_stop_ends_the_script_and_what_it_started(emulator: Emulator, name: str) -> None:
    script = (
        "import os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'])\nprint(os.getpid(), child.pid)\ntime.sleep(60)"
    )
    make_job(emulator, name, script)
    run_id = start(emulator, name)
    wait_for(lambda: state(emulator, name, run_id)["JobRunState"] == "RUNNING", "RUNNING")
    pids = wait_for(lambda: _first_line(emulator, run_id), "its process ids").split()
    answer = emulator.client("glue").batch_stop_job_run(JobName=name, JobRunIds=[run_id, "jr_unknown"])
    assert [one["JobRunId"] for one in answer["SuccessfulSubmissions"]] == [run_id]
    assert answer["Errors"][0]["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException"
    assert end_of(emulator, name, run_id)["JobRunState"] == "STOPPED"
    wait_for(lambda: not any(alive(int(pid)) for pid in pids), "no process left")


def _first_line(emulator: Emulator, run_id: str) -> str:
    try:
        return (log(emulator, "output", run_id) or [""])[0]
    except ClientError:
        return ""


@promised("https://docs.aws.amazon.com/glue/latest/webapi/API_StartJobRun.html", closed_by="glue_jobs")
def test_timeout_is_in_minutes(emulator: Emulator, name: str) -> None:
    """Timeout."""
    make_job(emulator, name, "import time; time.sleep(2)", Timeout=1)
    assert end_of(emulator, name, start(emulator, name))["JobRunState"] == "SUCCEEDED"
    short = emulator.client("glue", parameter_validation=False).start_job_run(JobName=name, Timeout=0.01)["JobRunId"]
    assert end_of(emulator, name, short)["JobRunState"] == "TIMEOUT"


@promised("https://docs.aws.amazon.com/glue/latest/webapi/API_ExecutionProperty.html", closed_by="glue_jobs")
def test_runs_beyond_the_limit_are_refused(emulator: Emulator, name: str) -> None:
    make_job(emulator, name, "import time; time.sleep(60)", ExecutionProperty={"MaxConcurrentRuns": 2})
    runs = [start(emulator, name) for _ in range(2)]
    with pytest.raises(ClientError, match="ConcurrentRunsExceededException"):
        start(emulator, name)
    emulator.client("glue").batch_stop_job_run(JobName=name, JobRunIds=runs)
    for run_id in runs:
        end_of(emulator, name, run_id)
    listed = emulator.client("glue").get_job_runs(JobName=name, MaxResults=1)
    assert [run["Id"] for run in listed["JobRuns"]] == [runs[1]], "newest first, page by page"
    assert listed["NextToken"]


def test_no_job_outlives_the_server(another_emulator: Callable[..., Emulator], name: str) -> None:
    """The laptop's own promise: `make down` leaves nothing behind, and the run says why it ended."""
    emulator = another_emulator()
    make_job(emulator, name, "import os, time; print(os.getpid()); time.sleep(60)")
    run_id = start(emulator, name)
    pid = int(wait_for(lambda: _first_line(emulator, run_id), "its process id"))
    started = time.monotonic()
    assert emulator.stop() == 0
    assert time.monotonic() - started < 10
    assert not alive(pid)
    emulator.start()
    run = state(emulator, name, run_id)
    assert (run["JobRunState"], "emulator stopped" in run["ErrorMessage"]) == ("FAILED", True)


def test_no_job_outlives_a_killed_server(another_emulator: Callable[..., Emulator], name: str) -> None:
    """A job that still wrote after its server had died would be a writer that nobody knows of."""
    emulator = another_emulator()
    make_job(emulator, name, "import os, time; print(os.getpid()); time.sleep(60)")
    run_id = start(emulator, name)
    pid = int(wait_for(lambda: _first_line(emulator, run_id), "its process id"))
    emulator.stop(how=9)
    wait_for(lambda: not alive(pid), "the end of the job")


def test_without_the_fix_a_failing_job_succeeds(another_emulator: Callable[..., Emulator], name: str) -> None:
    """What the fix is for."""
    emulator = another_emulator(EMULATOR_WITHOUT="glue_jobs")
    make_job(emulator, name, "raise ValueError")
    assert end_of(emulator, name, start(emulator, name))["JobRunState"] == "SUCCEEDED"


SPARK_SCRIPT = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
lines = spark.read.json("s3://{bucket}/in/")
lines.createOrReplaceTempView("lines")
spark.sql("create table glue_catalog.{bucket}.events (n bigint, day string) using iceberg partitioned by (day)")
spark.sql("insert into glue_catalog.{bucket}.events select n, day from lines")
spark.sql("alter table glue_catalog.{bucket}.events create branch audit")
print("rows", spark.table("glue_catalog.{bucket}.events").count())
"""


@promised(
    "https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-format-iceberg.html",
    closed_by="glue_jobs",
)
@pytest.mark.skipif(not any(JARS.glob("*.jar")), reason="the jars of Iceberg are not here; run scripts/fetch_jars.py")
def test_spark_writes_an_iceberg_table_through_catalog_and_bucket(emulator: Emulator, name: str) -> None:
    assert JOBS_PYTHON.exists()
    catalog = "spark.sql.catalog.glue_catalog"
    conf = " --conf ".join(
        (
            "spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
            f"{catalog}=org.apache.iceberg.spark.SparkCatalog",
            f"{catalog}.catalog-impl=org.apache.iceberg.aws.glue.GlueCatalog",
            f"{catalog}.io-impl=org.apache.iceberg.aws.s3.S3FileIO",
            f"{catalog}.warehouse=s3://{name}/warehouse",
        )
    )
    arguments = {"--datalake-formats": "iceberg", "--conf": conf}
    make_job(emulator, name, SPARK_SCRIPT.format(bucket=name), DefaultArguments=arguments)
    emulator.client("glue").create_database(DatabaseInput={"Name": name})
    emulator.client("s3").put_object(Bucket=name, Key="in/a.json", Body=b'{"n": 1, "day": "a"}\n{"n": 2, "day": "b"}\n')
    run = end_of(emulator, name, run_id := start(emulator, name), seconds=120)
    assert run["JobRunState"] == "SUCCEEDED", (run.get("ErrorMessage"), log(emulator, "error", run_id)[-20:])
    assert log(emulator, "output", run_id)[-1] == "rows 2"
    table = emulator.client("glue").get_table(DatabaseName=name, Name="events")["Table"]
    assert table["Parameters"]["table_type"] == "ICEBERG"
    place = table["Parameters"]["metadata_location"].removeprefix(f"s3://{name}/")
    metadata = json.loads(emulator.client("s3").get_object(Bucket=name, Key=place)["Body"].read())
    assert {"main", "audit"} == metadata["refs"].keys()
