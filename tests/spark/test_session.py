"""The session of the jobs: what its making spares every load."""

from __future__ import annotations

from typing import Any

import pytest
from py4j.java_gateway import JVMView
from pyspark.sql import SparkSession


def test_walking_over_a_java_collection_does_not_search_the_jars_for_py4j(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = spark._jvm.java.util.ArrayList()
    collection.add(1)
    looked_up: list[str] = []
    look_up = JVMView.__getattr__

    def noted(view: JVMView, name: str) -> Any:
        looked_up.append(name)
        return look_up(view, name)

    monkeypatch.setattr(JVMView, "__getattr__", noted)
    assert list(collection) == [1]
    assert "py4j" not in looked_up
