"""Glue jobs run, end and are stopped as AWS documents it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator.behaviours import promised
from tests.emulator.running import CHECKPOINTS, JARS, JOBS_PYTHON, ROLE, Emulator, make_bucket, wait_for, zipped

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


def end_of(emulator: Emulator, name: str, run_id: str, seconds: float = 60) -> dict[str, Any]:
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
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    # it may go between the opening and the reading, too
    except OSError:
        return False


ARGUMENTS = "https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html"
LIBRARIES = "https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-python-libraries.html"
JOB_RUN = "https://docs.aws.amazon.com/glue/latest/webapi/API_JobRun.html"


@promised(
    "https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-pyspark-extensions-get-resolved-options.html",
    closed_by="glue_jobs",
)
def test_a_script_gets_its_arguments_and_what_run_it_is(emulator: Emulator, name: str) -> None:
    default = {"--kept": "default", "--changed": "default", "--conf": "a=b --conf c=d", "--flag": ""}
    make_job(emulator, name, "import sys, json; print(json.dumps(sys.argv[1:]))", DefaultArguments=default)
    run_id = start(emulator, name, Arguments={"--changed": "for this run", "--more": '{"a": 1}'})
    assert end_of(emulator, name, run_id)["JobRunState"] == "SUCCEEDED"
    found = json.loads(log(emulator, "output", run_id)[0])
    assert found[:7] == ["--kept", "default", "--changed", "for this run", "--flag", "--more", '{"a": 1}']
    of_the_run = dict(zip(found[7::2], found[8::2], strict=True))
    assert of_the_run.pop("--JOB_ID").startswith("j_")
    assert of_the_run == {"--JOB_NAME": name, "--JOB_RUN_ID": run_id}


@promised("https://docs.aws.amazon.com/glue/latest/webapi/API_Job.html", closed_by="glue_jobs")
def test_a_run_cannot_override_what_the_job_says_is_not_overridable(emulator: Emulator, name: str) -> None:
    """NonOverridableArguments."""
    make_job(emulator, name, "import sys; print(*sys.argv[1:3])", NonOverridableArguments={"--fixed": "by the job"})
    run_id = start(emulator, name, Arguments={"--fixed": "by the run"})
    assert end_of(emulator, name, run_id)["JobRunState"] == "SUCCEEDED"
    assert log(emulator, "output", run_id) == ["--fixed by the job"]


@promised(ARGUMENTS, closed_by="glue_jobs")
def test_libraries_can_be_imported_and_files_lie_where_the_script_starts(emulator: Emulator, name: str) -> None:
    """--extra-py-files, --extra-files."""
    put = emulator.client("s3").put_object
    script = "import zipped, plain; print(zipped.ANSWER, plain.ANSWER, open('settings.json').read())"
    places = {
        "--extra-py-files": f"s3://{name}/lib/library.zip,s3://{name}/lib/plain.py",
        "--extra-files": f"s3://{name}/conf/settings.json",
    }
    make_job(emulator, name, script, DefaultArguments=places)
    put(Bucket=name, Key="lib/library.zip", Body=zipped(zipped="ANSWER = 42"))
    put(Bucket=name, Key="lib/plain.py", Body=b"ANSWER = 43")
    put(Bucket=name, Key="conf/settings.json", Body=b"{}")
    run_id = start(emulator, name)
    assert end_of(emulator, name, run_id)["JobRunState"] == "SUCCEEDED"
    assert log(emulator, "output", run_id) == ["42 43 {}"]


@promised(LIBRARIES, closed_by="glue_jobs")
def test_a_wheel_in_a_bucket_is_an_additional_module(emulator: Emulator, name: str) -> None:
    """--additional-python-modules."""
    wheel = f"s3://{name}/wheels/ownmodule-1.0-py3-none-any.whl"
    script = "import boto3, ownmodule; print(ownmodule.ANSWER)"
    make_job(emulator, name, script, DefaultArguments={"--additional-python-modules": f"boto3, {wheel}"})
    body = zipped(ownmodule="ANSWER = 42")
    emulator.client("s3").put_object(Bucket=name, Key="wheels/ownmodule-1.0-py3-none-any.whl", Body=body)
    run_id = start(emulator, name)
    assert end_of(emulator, name, run_id)["JobRunState"] == "SUCCEEDED"
    assert log(emulator, "output", run_id) == ["42"]


@promised(LIBRARIES, closed_by="glue_jobs")
def test_a_module_that_cannot_be_installed_fails_the_run(emulator: Emulator, name: str) -> None:
    make_job(
        emulator, name, "", DefaultArguments={"--additional-python-modules": "boto3,eventlake-no-such-module==1.0"}
    )
    run = end_of(emulator, name, start(emulator, name))
    assert run["JobRunState"] == "FAILED"
    assert "eventlake-no-such-module==1.0" in run["ErrorMessage"]


def test_a_module_in_another_version_than_the_jobs_environment_fails_the_run(emulator: Emulator, name: str) -> None:
    """Nothing is installed on the laptop, so that a green run there must mean the version that the job names."""
    ask = [str(JOBS_PYTHON), "-c", "import importlib.metadata as m; print(m.version('great-expectations'))"]
    version = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    make_job(emulator, name, "print('ran')")
    option = "--additional-python-modules"
    right = start(emulator, name, Arguments={option: f"great_expectations=={version}"})
    assert end_of(emulator, name, right)["JobRunState"] == "SUCCEEDED"
    for wrong, reason in (
        ("great-expectations==0.0.1", f"the jobs' environment has great-expectations {version}"),
        ("great-expectations>=1", "neither package==version nor a wheel in S3"),
    ):
        run = end_of(emulator, name, start(emulator, name, Arguments={option: wrong}))
        assert (run["JobRunState"], reason in run["ErrorMessage"]) == ("FAILED", True)


@promised(ARGUMENTS, closed_by="glue_jobs")
def test_options_of_the_service_itself_leave_the_script_alone(emulator: Emulator, name: str) -> None:
    options = {
        "--job-language": "python",
        "--job-bookmark-option": "job-bookmark-disable",
        "--enable-metrics": "true",
        "--enable-observability-metrics": "true",
        "--enable-job-insights": "true",
        "--enable-continuous-cloudwatch-log": "true",
        "--enable-spark-ui": "true",
        "--spark-event-logs-path": f"s3://{name}/events/",
        "--TempDir": f"s3://{name}/temporary/",
    }
    script = (
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--own')\n"
        "print(parser.parse_known_args()[0].own)"
    )
    make_job(emulator, name, script, DefaultArguments=options)
    run_id = start(emulator, name, Arguments={"--own": "value"})
    assert end_of(emulator, name, run_id)["JobRunState"] == "SUCCEEDED"
    assert log(emulator, "output", run_id) == ["value"]


@promised(JOB_RUN, closed_by="glue_jobs")
def test_a_script_that_raises_fails_with_its_last_error(emulator: Emulator, name: str) -> None:
    """ErrorMessage."""
    make_job(emulator, name, "print('before'); raise ValueError('no such\\nthing')")
    run = end_of(emulator, name, run_id := start(emulator, name))
    assert (run["JobRunState"], run["ErrorMessage"]) == ("FAILED", "ValueError: no such")
    assert log(emulator, "output", run_id) == ["before"]
    assert "Traceback (most recent call last):" in log(emulator, "error", run_id)


@promised(JOB_RUN, closed_by="glue_jobs")
def test_a_run_says_when_it_ran_and_on_what(emulator: Emulator, name: str) -> None:
    make_job(emulator, name, "import time; time.sleep(1.1)", WorkerType="G.1X", NumberOfWorkers=2, Timeout=120)
    before = time.time()
    run = end_of(emulator, name, start(emulator, name, NumberOfWorkers=3))
    assert before - 1 <= run["StartedOn"].timestamp() < run["CompletedOn"].timestamp() <= time.time()
    assert run["ExecutionTime"] >= 1
    assert {key: run[key] for key in ("Attempt", "GlueVersion", "Timeout", "ExecutionClass")} == {
        "Attempt": 0, "GlueVersion": "5.1", "Timeout": 120, "ExecutionClass": "STANDARD",
    }  # fmt: skip
    assert (run["WorkerType"], run["NumberOfWorkers"], run["MaxCapacity"]) == ("G.1X", 3, 3.0)
    assert "ErrorMessage" not in run and "DPUSeconds" not in run


@promised("https://docs.aws.amazon.com/glue/latest/dg/add-job.html", closed_by="glue_jobs")
def test_a_failed_run_is_tried_again_and_a_stopped_one_is_not(emulator: Emulator, name: str) -> None:
    """MaxRetries."""
    script = (
        "import sys, time\nrun_id = sys.argv[sys.argv.index('--JOB_RUN_ID') + 1]\nprint(run_id)\n"
        "if '--wait' in sys.argv: time.sleep(60)\nif '_attempt_2' not in run_id: raise ValueError('again')"
    )
    make_job(emulator, name, script, MaxRetries=2)
    first = start(emulator, name)
    ids = [first, f"{first}_attempt_1", f"{first}_attempt_2"]
    listed = wait_for(lambda: len(found := runs_of(emulator, name)) == 3 and found, "two more attempts")
    assert [one["Id"] for one in listed] == ids[::-1]
    assert [end_of(emulator, name, one)["JobRunState"] for one in ids] == ["FAILED", "FAILED", "SUCCEEDED"]
    listed = runs_of(emulator, name)
    assert [(one["Attempt"], one.get("PreviousRunId")) for one in listed] == [(2, ids[1]), (1, ids[0]), (0, None)]
    assert log(emulator, "output", ids[2]) == [ids[2]]
    stopped = start(emulator, name, Arguments={"--wait": ""})
    wait_for(lambda: state(emulator, name, stopped)["JobRunState"] == "RUNNING", "RUNNING")
    emulator.client("glue").batch_stop_job_run(JobName=name, JobRunIds=[stopped])
    assert end_of(emulator, name, stopped)["JobRunState"] == "STOPPED"
    assert end_of(emulator, name, start(emulator, name))["JobRunState"] == "FAILED"
    assert f"{stopped}_attempt_1" not in [one["Id"] for one in runs_of(emulator, name)]


def runs_of(emulator: Emulator, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = emulator.client("glue").get_job_runs(JobName=name)["JobRuns"]
    return found


@promised("https://docs.aws.amazon.com/glue/latest/dg/glue-troubleshooting-errors.html", closed_by="glue_jobs")
@pytest.mark.parametrize("missing", ["job.py", "library.zip"])
def test_a_missing_script_or_library_fails(emulator: Emulator, name: str, missing: str) -> None:
    script = None if missing == "job.py" else "print('ran')"
    make_job(emulator, name, script, DefaultArguments={"--extra-py-files": f"s3://{name}/library.zip"})
    run = end_of(emulator, name, start(emulator, name))
    assert run["JobRunState"] == "FAILED"
    assert f"s3://{name}/{missing}" in run["ErrorMessage"]


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
    # killed, and gone as soon as the machine comes to it
    wait_for(lambda: not any(alive(int(pid)) for pid in pids), "the end of both processes")


def _first_line(emulator: Emulator, run_id: str) -> str:
    try:
        return (log(emulator, "output", run_id) or [""])[0]
    except ClientError:
        return ""


@promised(
    "https://docs.aws.amazon.com/glue/latest/webapi/API_StartJobRun.html",
    closed_by="glue_jobs",
    only_here="asks for a part of a minute",
)
def test_timeout_is_in_minutes(emulator: Emulator, name: str) -> None:
    """Timeout."""
    make_job(emulator, name, "import time; time.sleep(1.5)", Timeout=1)
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
    assert time.monotonic() - started < 20
    assert not alive(pid)
    emulator.start()
    run = state(emulator, name, run_id)
    assert (run["JobRunState"], "emulator stopped or was killed" in run["ErrorMessage"]) == ("FAILED", True)


def test_no_job_outlives_a_killed_server(another_emulator: Callable[..., Emulator], name: str) -> None:
    """A job that still wrote after its server had died would be a writer that nobody knows of."""
    emulator = another_emulator(**CHECKPOINTS)
    make_job(emulator, name, "import os, time; print(os.getpid()); time.sleep(60)")
    run_id = start(emulator, name)
    pid = int(wait_for(lambda: _first_line(emulator, run_id), "its process id"))
    emulator.wait_for_checkpoint()
    emulator.stop(how=9)
    wait_for(lambda: not alive(pid), "the end of the job")
    # and a run that stayed RUNNING for ever would be the last one of its job
    emulator.start()
    run = state(emulator, name, run_id)
    assert (run["JobRunState"], "emulator stopped or was killed" in run["ErrorMessage"]) == ("FAILED", True)
    assert start(emulator, name)


SPARK_SCRIPT = """
import os, tempfile
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
lines = spark.read.json("s3://{bucket}/in/")
lines.createOrReplaceTempView("lines")
spark.sql("create table glue_catalog.{bucket}.events (n bigint, day string) using iceberg partitioned by (day)")
spark.sql("insert into glue_catalog.{bucket}.events select n, day from lines")
spark.sql("alter table glue_catalog.{bucket}.events create branch audit")
print("rows", spark.table("glue_catalog.{bucket}.events").count())
print("zone", spark.conf.get("spark.sql.session.timeZone"))
java = spark.sparkContext._jvm
print("jar", java.Thread.currentThread().getContextClassLoader().getResource("marker.py") is not None)
print("temporary", java.System.getProperty("java.io.tmpdir"), tempfile.gettempdir(), os.environ["SPARK_LOCAL_DIRS"])
"""

needs_jars = pytest.mark.skipif(
    not any(JARS.glob("*.jar")), reason="the jars of Iceberg are not here; run scripts/fetch_jars.py"
)


@pytest.fixture(scope="module")
def spark_run(emulator: Emulator) -> tuple[str, dict[str, Any]]:
    """A Spark job's name and run, once for all tests: it takes as long as all others together."""
    assert JOBS_PYTHON.exists()
    name = "tspark"
    catalog = "spark.sql.catalog.glue_catalog"
    conf = " --conf ".join(
        (
            "spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
            f"{catalog}=org.apache.iceberg.spark.SparkCatalog",
            f"{catalog}.catalog-impl=org.apache.iceberg.aws.glue.GlueCatalog",
            f"{catalog}.io-impl=org.apache.iceberg.aws.s3.S3FileIO",
            f"{catalog}.warehouse=s3://{name}/warehouse",
            "spark.sql.session.timeZone=Asia/Kathmandu",
        )
    )
    arguments = {"--datalake-formats": "iceberg", "--conf": conf, "--extra-jars": f"s3://{name}/own.jar"}
    make_job(emulator, name, SPARK_SCRIPT.format(bucket=name), DefaultArguments=arguments)
    emulator.client("glue").create_database(DatabaseInput={"Name": name})
    put = emulator.client("s3").put_object
    put(Bucket=name, Key="in/a.json", Body=b'{"n": 1, "day": "a"}\n{"n": 2, "day": "b"}\n')
    put(Bucket=name, Key="own.jar", Body=zipped(marker=""))
    return name, end_of(emulator, name, start(emulator, name), seconds=300)


@promised(
    "https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-format-iceberg.html",
    closed_by="glue_jobs",
)
@needs_jars
def test_spark_writes_an_iceberg_table_through_catalog_and_bucket(
    emulator: Emulator, spark_run: tuple[str, dict[str, Any]]
) -> None:
    """--datalake-formats, and many settings in one --conf."""
    name, run = spark_run
    assert run["JobRunState"] == "SUCCEEDED", (run.get("ErrorMessage"), log(emulator, "error", run["Id"])[-20:])
    assert log(emulator, "output", run["Id"])[:3] == ["rows 2", "zone Asia/Kathmandu", "jar True"]
    table = emulator.client("glue").get_table(DatabaseName=name, Name="events")["Table"]
    assert table["Parameters"]["table_type"] == "ICEBERG"
    place = table["Parameters"]["metadata_location"].removeprefix(f"s3://{name}/")
    metadata = json.loads(emulator.client("s3").get_object(Bucket=name, Key=place)["Body"].read())
    assert {"main", "audit"} == metadata["refs"].keys()


@needs_jars
def test_what_spark_throws_away_goes_with_the_run(emulator: Emulator, spark_run: tuple[str, dict[str, Any]]) -> None:
    """Java leaves its unpacked libraries behind when it is killed; /tmp would fill up."""
    _, run = spark_run
    kind, *folders = log(emulator, "output", run["Id"])[-1].split()
    assert kind == "temporary"
    assert len(set(folders)) == 1 and folders[0].startswith(str(emulator.folder / "state/tmp/"))
    assert not Path(folders[0]).exists() and not list((emulator.folder / "state/tmp").glob("glue-job-*"))


def test_a_table_format_that_is_not_here_fails_the_run(emulator: Emulator, name: str) -> None:
    """A job that wrote plain Parquet instead would look well."""
    make_job(emulator, name, "print('ran')", DefaultArguments={"--datalake-formats": "iceberg,delta"})
    run = end_of(emulator, name, start(emulator, name))
    assert (run["JobRunState"], "delta" in run["ErrorMessage"]) == ("FAILED", True)
