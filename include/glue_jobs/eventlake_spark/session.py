"""The Spark session of a job. Where the tables are (catalog, warehouse) is the template's business: its `--conf`.

Belongs here: what is true of our jobs on any machine. A type's batch is small, so most of a load is overhead of jobs
and stages: few partitions, and no re-planning between stages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TypeVar

from py4j.java_gateway import java_import
from pyspark import inheritable_thread_target
from pyspark.sql import SparkSession

Given = TypeVar("Given")
Made = TypeVar("Made")

_CONFIGURATION = {
    "spark.scheduler.mode": "FAIR",  # or the first big type would starve the others
    # its words of a failed task are those of the exception, and may hold values: jobs say themselves what failed
    "spark.log.level": "OFF",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "4",
    # a plan lists its files; listing them again in a Spark job costs more than reading small ones
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
    # two tables partitioned alike by day and bucket may be joined as they lie
    "spark.sql.requireAllClusterKeysForCoPartition": "false",
    # pruning the columns of a JSON parse changes which lines count as unreadable
    "spark.sql.optimizer.enableJsonExpressionOptimization": "false",
    # Operators of wide rows in one method: Java's compiler spends seconds on each, and every filter copies all columns.
    "spark.sql.codegen.wholeStage": "false",
    # a row goes through joins as one value: fields taken out of it below a join would be copied one by one
    "spark.sql.optimizer.nestedSchemaPruning.enabled": "false",
    # what a filter implies about other columns: sets of it grow without bound over a table's many expressions
    "spark.sql.constraintPropagation.enabled": "false",
}

# Generated code is compiled for every plan anew; below this much raw, no plan runs long enough to earn that back: 5 MB
# of 11 types cost 35 CPU-s interpreted and 40 compiled in a fresh process, 38 MB of one type (349,000 events) 36 either
# way.
BYTES_WORTH_COMPILING = 32 * 1024**2
_INTERPRETED = {
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    # interpreted, what occurs twice is kept in a cache that costs more than to work it out again
    "spark.sql.subexpressionElimination.enabled": "false",
}


# Java's names by which PySpark and these modules reach Java again and again. A name that was not imported by itself is
# looked for in every package that might have it, through all jars, each time.
_JAVA_NAMES = (
    "eventlake.LineReader",
    "org.apache.iceberg.PartitionSpec",
    "org.apache.iceberg.SortOrder",
    "org.apache.iceberg.catalog.TableIdentifier",
    "org.apache.iceberg.spark.SparkSchemaUtil",
    "org.apache.spark.api.python.PythonRDD",
    "org.apache.spark.api.python.PythonUtils",
    "org.apache.spark.api.python.SerDeUtil",
    "org.apache.spark.sql.SparkSession",
    "org.apache.spark.sql.api.python.PythonSQLUtils",
    "org.apache.spark.sql.functions",
    "org.apache.spark.sql.types.DataType",
    "org.apache.spark.sql.types.StructType",
)


def start_session(application: str, size_bytes: int) -> SparkSession:
    """The session for a job whose largest plan will read about so many bytes."""
    builder = SparkSession.builder.appName(application)
    for name, value in _CONFIGURATION.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    # where a context is there already
    session.sparkContext.setLogLevel(_CONFIGURATION["spark.log.level"])
    for name in _JAVA_NAMES:
        java_import(session._jvm, name)
    _keep_type_test(session)
    if size_bytes < BYTES_WORTH_COMPILING:
        for name, value in _INTERPRETED.items():
            session.conf.set(name, value)
    return session


def _keep_type_test(session: SparkSession) -> None:
    """py4j ends each walk over a Java collection by an exception, of which PySpark asks a dozen times whether it is of
    some class. The class that answers is in a package, which no import makes known: so it is looked up here, once."""
    answering = session._jvm.py4j.reflection.TypeUtil
    session._jvm.py4j = SimpleNamespace(reflection=SimpleNamespace(TypeUtil=answering))


def in_parallel(
    session: SparkSession, work: Callable[[Given], Made], given: Iterable[Given], threads: int
) -> list[Made]:
    """`work` on each of `given`, started in their order, each in a fair-scheduling pool of its own."""

    def in_own_pool(numbered: tuple[int, Given]) -> Made:
        number, each = numbered
        # what reads settings without being handed a session (Iceberg's catalog) asks for the thread's own
        session._jvm.SparkSession.setActiveSession(session._jsparkSession)
        session.sparkContext.setLocalProperty("spark.scheduler.pool", f"work-{number}")
        return work(each)

    with ThreadPoolExecutor(max_workers=threads) as pool:
        return list(pool.map(inheritable_thread_target(in_own_pool), enumerate(given)))
