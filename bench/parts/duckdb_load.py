"""The same load as a DuckDB script: row rules, quarantine, first of a uuid, duplicates in history, partitioned Parquet.

Runs in the laptop's environment. Its rules are the contract's own, as data, put into DuckDB's SQL; those about items of
arrays and about other fields (`when`) are left out and counted. It writes Parquet files, no table: no branch, no
snapshot, no commit that a reader sees whole.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

from bench.parts.measured import Meter, tell
from eventlake.contract_terms import EACH_ITEM, Comparison, Contract
from eventlake.definitions import build_bundle, parse_bundle
from eventlake.patterns import FORMAT_PATTERNS
from eventlake.row_rules import ENVELOPE_RULES, RowRule, table_rules
from eventlake.table_schema import ColumnShape, table_shape

CONTRACTS = Path(__file__).parents[2] / "include" / "contracts"
_ENVELOPE = ("event_uuid", "event_name", "event_type", "event_subtype", "event_detail", "created_datetime", "producer")
_LAKE = ("ingested_at", "shard_id", "sequence_number")
_TYPES = {
    "string": ("VARCHAR",),
    "integer": ("UBIGINT", "BIGINT"),
    "number": ("UBIGINT", "BIGINT", "DOUBLE"),
    "boolean": ("BOOLEAN",),
    "object": ("OBJECT",),
    "array": ("ARRAY",),
}
_RANGES = {"minimum": "<", "maximum": ">", "exclusiveMinimum": "<=", "exclusiveMaximum": ">="}
_LENGTHS = {"minLength": "length({}) <", "maxLength": "length({}) >", "minItems": "len({}) <", "maxItems": "len({}) >"}


def main(order: dict[str, Any]) -> None:
    meter = Meter()
    contracts = contracts_of(order["event_type"])
    rules = [*ENVELOPE_RULES, *table_rules(contracts)]
    compiled = {rule: condition for rule in rules if (condition := broken(rule))}
    paths = [f"{order['folder']}/a-raw/{each['key']}" for each in json.loads(Path(order["objects"]).read_text())]
    connection = duckdb.connect(config={"threads": 2, "memory_limit": "8GB"})
    connection.execute(f"SET temp_directory = '{order['folder']}/duckdb'")
    start = meter.lap()
    connection.execute(judged(paths, contracts, list(compiled.items()), order["history"]))
    result = Path(order["result"])
    result.mkdir()
    connection.execute(
        f"COPY (SELECT * EXCLUDE (verdict, line) FROM judged WHERE verdict = 'loaded' ORDER BY event_subtype, "
        f"event_uuid) TO '{result}/rows' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (event_date))"
    )
    connection.execute(
        f"COPY (SELECT line, raw_object, verdict FROM judged WHERE verdict IN ('bad', 'conflict')) "
        f"TO '{result}/quarantine.ndjson.gz' (FORMAT json)"
    )
    tallies = dict(connection.execute("SELECT verdict, count(*) FROM judged GROUP BY verdict").fetchall())
    spent = meter.lap()
    tell(
        {
            "start": start,
            "rounds": [
                {
                    **spent,
                    "lines": sum(tallies.values()),
                    "loaded": tallies.get("loaded", 0),
                    "duplicate": tallies.get("duplicate", 0) + tallies.get("known", 0),
                    "quarantined": tallies.get("bad", 0) + tallies.get("conflict", 0),
                }
            ],
            "rules": len(rules),
            "left_out": len(rules) - len(compiled),
        }
    )


def contracts_of(event_type: str) -> tuple[Contract, ...]:
    files = sorted((CONTRACTS / event_type).glob("*.json"))
    documents = {f"{event_type}/{file.stem}": json.loads(file.read_text(encoding="utf-8")) for file in files}
    body, _ = build_bundle(documents, {}, {})
    return tuple(parse_bundle(body).contracts.of_type(event_type))


def judged(
    paths: list[str], contracts: tuple[Contract, ...], rules: Iterable[tuple[RowRule, str]], history: str
) -> str:
    """One table of all lines with their verdict, in one pass over the objects."""
    shapes = dict(table_shape(contracts))
    structure = dict.fromkeys(_ENVELOPE, "VARCHAR") | {name: _structure(shape) for name, shape in shapes.items()}
    structure |= {"created_at": "DOUBLE"}
    structure["_lake"] = dict.fromkeys(_LAKE, "VARCHAR")
    typed_paths = {rule.path: f"$.{'.'.join(rule.path)}" for rule, _ in rules if rule.keyword == "type"}
    places = {path: number for number, path in enumerate(typed_paths, start=1)}
    conditions = [
        _of_subtype(rule, condition.replace("@type", f"t[{places.get(rule.path)}]")) for rule, condition in rules
    ]
    names = (*_ENVELOPE, "created_at", *shapes)
    columns = ", ".join(f"e.{_quoted(name)} AS {_quoted(name)}" for name in names)
    content = ", ".join(f"{_quoted(name)} := e.{_quoted(name)}" for name in names)
    return f"""
        CREATE TEMP TABLE judged AS
        WITH read AS (
            SELECT json AS line, filename AS raw_object, json_transform(json, '{json.dumps(structure)}') AS e,
                   json_type(json, {list(typed_paths.values())}) AS t
            FROM read_json_objects({paths}, format='newline_delimited', filename=true, maximum_object_size=2000000)
        ), ruled AS (
            SELECT line, raw_object, e, CAST(TRY_CAST(e.created_datetime AS TIMESTAMP) AS DATE) AS event_date,
                   lower(e.event_uuid) AS u, coalesce({" OR ".join(conditions)}, false) AS bad,
                   sha256(to_json(struct_pack({content}))) AS content
            FROM read
        ), placed AS (
            SELECT *, row_number() OVER first AS place, first_value(content) OVER first AS first_content,
                   u IN (SELECT lower(event_uuid) FROM '{history}/**/*.parquet') AS is_known
            FROM ruled
            WINDOW first AS (PARTITION BY event_date, u, bad ORDER BY e._lake.ingested_at, e._lake.shard_id,
                             length(e._lake.sequence_number), e._lake.sequence_number)
        ), told AS (
            SELECT *, CASE WHEN bad THEN 'bad' WHEN is_known THEN 'known' WHEN place = 1 THEN 'loaded'
                           WHEN content = first_content THEN 'duplicate' ELSE 'conflict' END AS verdict
            FROM placed
        )
        SELECT {columns}, event_date, e._lake.ingested_at::TIMESTAMP AS ingested_at, e._lake.shard_id AS shard_id,
               e._lake.sequence_number AS sequence_number, raw_object, verdict,
               CASE WHEN verdict IN ('bad', 'conflict') THEN line END AS line
        FROM told
    """


def broken(rule: RowRule) -> str:
    """The SQL condition under which a line breaks the rule; empty where this script has none. `@type`: what JSON type
    the value has."""
    if rule.when or EACH_ITEM in rule.path:
        return ""
    value = ".".join(["e", *map(_quoted, rule.path)])
    match rule.keyword:
        case "type":
            return f"@type NOT IN ({', '.join(map(repr, (*_TYPES[str(rule.argument)], 'NULL')))})"
        case "required":
            holder = ".".join(["e", *map(_quoted, rule.path[:-1])])
            return f"({holder} IS NOT NULL AND {value} IS NULL)"
        case "pattern" | "format":
            pattern = rule.argument if rule.keyword == "pattern" else FORMAT_PATTERNS[str(rule.argument)]
            return f"NOT regexp_matches({value}, {_text(str(pattern))})"
        case "enum":
            return f"{value} NOT IN ({', '.join(map(_literal, rule.argument))})"
        case keyword if keyword in _RANGES:
            return f"{value} {_RANGES[keyword]} {_literal(rule.argument)}"
        case keyword if keyword in _LENGTHS:
            return f"{_LENGTHS[keyword].format(value)} {rule.argument}"
        case "compare" if isinstance(rule.argument, Comparison):
            other = ".".join(["e", *map(_quoted, rule.argument.right)])
            return f"NOT ({value} {rule.argument.operator} {other})"
        case _:
            return ""


def _of_subtype(rule: RowRule, condition: str) -> str:
    return condition if rule.event_subtype is None else f"(e.event_subtype = '{rule.event_subtype}' AND {condition})"


def _structure(shape: ColumnShape) -> Any:
    if shape.kind == "object":
        return {name: _structure(child) for name, child in shape.children}
    if shape.items is not None:
        return [_structure(shape.items)]
    return shape.sql_type.upper().replace("STRING", "VARCHAR")


def _literal(value: object) -> str:
    return _text(value) if isinstance(value, str) else str(value)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return f'"{name}"'


if __name__ == "__main__":
    main(json.load(sys.stdin))
