"""Rows of a type's table, and the smallest spoilings of them that an expectation is there to catch.

Belongs here: rows as the load would stage them, candidates for one expectation. Does not belong here: running suites.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from eventlake.contract import Contract
from eventlake.definitions import Expectation
from eventlake.row_rules import parse_event
from eventlake.table_schema import Column, table_columns
from simulator.catalogue import payload_of
from simulator.scene import MICROSECONDS, Scene

Row = dict[str, Any]

NOW_SECONDS = 1_795_248_000  # 2026-11-21T08:00:00Z


def staged_rows(contracts: list[Contract], of_each_name: int, seed: int = 1) -> list[Row]:
    """Good rows as the load stages them: all columns of the table, null where a subtype has none."""
    random = Random(seed)
    names = [column.name for column in table_columns(contracts)]
    rows = []
    for contract in contracts:
        for event_name in contract.event_names:
            for _ in range(of_each_name):
                scene = Scene(random, NOW_SECONDS * MICROSECONDS)
                # as from a line of JSON: fractions exact
                payload = parse_event(json.dumps(payload_of(event_name, scene)))
                rows.append(dict.fromkeys(names) | payload | _around(event_name, scene))
    return rows


def _around(event_name: str, scene: Scene) -> Row:
    """Envelope and lineage."""
    event_type, event_subtype, *detail = event_name.split(":", 2)
    created = datetime.fromtimestamp(NOW_SECONDS, UTC)
    return {
        "event_uuid": scene.uuid(),
        "event_name": event_name,
        "event_type": event_type,
        "event_subtype": event_subtype,
        "event_detail": detail[0] if detail else None,
        "created_at": Decimal(NOW_SECONDS),
        "created_datetime": created,
        "event_date": date(2026, 11, 21),
        "producer": "simulator",
        "ingested_at": created,
        "shard_id": "shardId-000000000000",
        "sequence_number": str(scene.between(10**20, 10**21)),
        "raw_object": "raw/object.gz",
        "load_id": "load-1",
    }


def for_spark(rows: list[Row], columns: tuple[Column, ...]) -> tuple[list[tuple[Any, ...]], str]:
    """The rows in the order of the table, and its columns as DDL. Nested columns stay out, but for the client."""
    values = [tuple(_spark_value(row[column.name], column.sql_type) for column in columns) for row in rows]
    return values, ", ".join(f"`{column.name}` {column.sql_type}" for column in columns)


def _spark_value(value: Any, sql_type: str) -> Any:
    if value is None or (sql_type.startswith(("struct", "array")) and "platform" not in sql_type):
        return None
    if sql_type.startswith("decimal"):
        return Decimal(value)
    return float(value) if sql_type == "double" else value


def spoilings(rows: list[Row], expectation: Expectation) -> Iterator[list[Row]]:
    """Copies of the rows with one value changed, so that the expectation should fail. Few, the likeliest first.

    What is about many rows at once fails for no single one: there, each value is the largest that a good row has.
    """
    if expectation.from_rows:
        column = expectation.kwargs["column"]
        largest = max(row[column] for row in rows if row[column] is not None)
        yield [row if row[column] is None else row | {column: largest} for row in rows]
        return
    for number, row in enumerate(rows):
        for changes in _changes(row, rows, expectation):
            spoilt = copy.copy(rows)
            spoilt[number] = row | changes
            yield spoilt


def _changes(row: Row, rows: list[Row], expectation: Expectation) -> Iterator[Row]:
    arguments = expectation.kwargs
    column = arguments.get("column", "")
    if any(row[arguments[name]] is None for name in ("column", "column_A", "column_B") if name in arguments):
        return
    match expectation.type:
        case "expect_column_values_to_not_be_null":
            yield {column: None}
        case "expect_column_values_to_be_unique":
            yield {column: next(each[column] for each in rows if each is not row)}
        case "expect_column_values_to_be_in_set":
            yield {column: "unheard_of"}
        case "expect_compound_columns_to_be_unique":
            other = next(each for each in rows if each is not row)
            yield {name: other[name] for name in arguments["column_list"]}
        case "expect_column_values_to_be_between":
            bounds = [(arguments.get("max_value"), 1), (arguments.get("min_value"), -1)]
            yield from ({column: type(row[column])(bound + over)} for bound, over in bounds if bound is not None)
        case "expect_column_value_lengths_to_be_between":
            yield {column: "x" * (arguments["max_value"] + 1)}
        case "expect_column_values_to_match_regex":
            yield {column: f"!{row[column]}"}
        case "expect_column_pair_values_a_to_be_greater_than_b":
            greater = row[arguments["column_A"]]
            yield {arguments["column_B"]: greater + (timedelta(hours=1) if isinstance(greater, datetime) else 1)}
        case "expect_column_pair_values_to_be_in_set":
            values = {value for _, value in arguments["value_pairs_set"]}
            allowed = {b for a, b in arguments["value_pairs_set"] if a == row[arguments["column_A"]]}
            yield from ({arguments["column_B"]: value} for value in sorted(values - allowed))
        case unknown:
            raise AssertionError(f"say in {__name__} how good rows break {unknown}; a gate that nothing closes is none")
