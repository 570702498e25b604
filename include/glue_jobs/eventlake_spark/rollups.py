"""Rebuilding the dates of a rollup from its SELECT: what the job does for one entry of a plan.

Belongs here: reading the sources as the plan saw them, and replacing whole days on a branch.
Does not belong here: which dates are out of date (the worker plans), publishing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from eventlake.contract import ContractIndex
from eventlake.definitions import Rollup
from eventlake.errors import TerminalError
from eventlake.load_plan import branch_name, type_of_table
from eventlake.rollup_plan import RollupEntry, RollupPlan, sources_text
from eventlake.settings import SPARK_CATALOG
from eventlake.table_schema import Column
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from eventlake_spark.row_parsing import lines_of_table
from eventlake_spark.table_ddl import PARTITION, open_table, ready_table

OWNER = "rollups"


def rebuild(
    session: SparkSession, plan: RollupPlan, entry: RollupEntry, rollup: Rollup, contracts: ContractIndex, job_run_id: str
) -> dict[str, Any]:
    """Stages the entry's dates anew; gives its part of the receipt."""
    if rollup.partition != PARTITION:
        raise TerminalError(
            f"rebuilding rollup {entry.name}: received the partition {rollup.partition}; valid is {PARTITION}; "
            "name the day so in its SELECT and in the line '-- partition:'"
        )
    branch = branch_name(plan.rollup_run_id, job_run_id)
    result = _selected(session, entry, rollup, contracts).where(_in_dates(entry)).persist()
    try:
        days = {str(row[0]): int(row[1]) for row in result.groupBy(PARTITION).count().orderBy(PARTITION).collect()}
        columns = [Column(field.name, field.dataType.simpleString()) for field in result.schema.fields]
        table = ready_table(session, entry.table, columns, OWNER, ())
        table.create_branch(branch)
        _replace_days(result, table.identifier, branch, entry, plan.rollup_run_id, job_run_id)
        staged = table.staged(branch)
    finally:
        result.unpersist()
    if staged.added_records != sum(days.values()) or staged.parent_id != table.base_snapshot_id:
        raise TerminalError(
            f"rebuilding rollup {entry.name}: received a snapshot of {staged.added_records} rows on {staged.parent_id}; "
            f"valid is {sum(days.values())} rows on {table.base_snapshot_id}; run the rollup again"
        )
    return {
        "name": entry.name,
        "table": entry.table,
        "base_snapshot_id": table.base_snapshot_id,
        "staged_snapshot_id": staged.snapshot_id,
        "branch": branch,
        "added_records": staged.added_records,
        "days": days,
        "error": None,
    }


def failed(plan: RollupPlan, entry: RollupEntry, job_run_id: str, error: Exception) -> dict[str, Any]:
    message = " ".join(str(error).split())
    return {
        "name": entry.name,
        "table": entry.table,
        "base_snapshot_id": entry.base_snapshot_id,
        "staged_snapshot_id": None,
        "branch": branch_name(plan.rollup_run_id, job_run_id),
        "added_records": 0,
        "days": {},
        "error": f"{type(error).__name__}: {message}"[:2000],
    }


def _selected(session: SparkSession, entry: RollupEntry, rollup: Rollup, contracts: ContractIndex) -> DataFrame:
    """The SELECT over views of its sources, each cut to the dates and as the plan saw it."""
    statement = rollup.select
    for source in rollup.sources:
        view = f"{source.partition('.')[2]}_of_{entry.name}"
        _source(session, source, entry, contracts).createOrReplaceTempView(view)
        statement = re.sub(rf"\b{re.escape(source)}\b", view, statement)
    return session.sql(statement)


def _source(session: SparkSession, source: str, entry: RollupEntry, contracts: ContractIndex) -> DataFrame:
    snapshot_id = entry.sources.get(source)
    if snapshot_id is not None and open_table(session, source) is not None:
        seen = session.sql(f"SELECT * FROM {SPARK_CATALOG}.{source} VERSION AS OF {snapshot_id}")
        return _with_contract_columns(seen, source, contracts).where(_in_dates(entry))
    return _with_contract_columns(session.range(0).drop("id"), source, contracts)


def _with_contract_columns(rows: DataFrame, source: str, contracts: ContractIndex) -> DataFrame:
    """A column that the contracts have and the snapshot does not yet is null, as it will be."""
    event_type = type_of_table(source)
    lines = lines_of_table(event_type, source, () if event_type is None else contracts.of_type(event_type))
    there = set(rows.columns)
    missing = [F.lit(None).cast(column.sql_type).alias(column.name) for column in lines.columns if column.name not in there]
    return rows.select("*", *missing) if missing else rows


def _in_dates(entry: RollupEntry) -> str:
    dates = ", ".join(f"DATE '{day}'" for day in entry.dates)
    return f"{PARTITION} IN ({dates})" if dates else "false"


def _replace_days(
    result: DataFrame, identifier: str, branch: str, entry: RollupEntry, rollup_run_id: str, job_run_id: str
) -> None:
    properties: Mapping[str, str] = {
        "eventlake.rollup_run_id": rollup_run_id,
        "eventlake.job_run_id": job_run_id,
        "eventlake.sources": sources_text(entry.sources),
    }
    writer = result.coalesce(1).writeTo(f"{identifier}.branch_{branch}")
    for name, value in properties.items():
        writer = writer.option(f"snapshot-property.{name}", value)
    # by condition, not by the partitions that have rows: a day that lost its last row must go, too
    writer.overwrite(F.expr(_in_dates(entry)))
