"""Reading and judging the lines of a table: once each, by the Java class that is told here what they have to be.

Belongs here: the contracts' shapes and rules as data for `line_reader/eventlake/LineReader.java`, and the columns that
it makes. Does not belong here: what a rule means (eventlake.row_rules, to which a test holds the class), which line is
loaded (judgement).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from eventlake.contract_terms import EACH_ITEM, Comparison, Path
from eventlake.patterns import FORMAT_PATTERNS, java_pattern
from eventlake.protection import Protection
from eventlake.row_rules import ENVELOPE_RULES, RowRule
from eventlake.table_schema import ColumnShape, protected_places, table_shape
from eventlake_spark.table_lines import ADDED, TableLines, cast_type, quoted

# the class judges these by the shapes
_OF_SHAPES = ("type", "decimal")


def read_lines(
    raw: DataFrame,
    root: str,
    lines: TableLines,
    load_id: str,
    key: bytes,
    only_days: Sequence[str],
    counted: Observation,
) -> DataFrame:
    """Each line of `raw` (Landings.frame, `root` of its paths) that is not blank: `row`, a struct of the table's
    columns; `original`, its text, where the row is bad; `line`, its number within its object. Of a line that cannot be
    read, columns are null.

    `key`: under which personal values are hashed; empty where none is. `only_days`: a line of another day is none of
    this batch. `counted`: gets how many lines there are.
    """
    jvm = raw.sparkSession._jvm
    # names within structs quoted, too
    types = {name: cast_type(shape) for name, shape in table_shape(lines.contracts)}
    columns = ",".join(f"{quoted(each.name)}:{types.get(each.name, each.sql_type)}" for each in lines.columns)
    made = jvm.DataType.fromDDL(f"row struct<{columns}>, original string, line int")
    given = (raw[name]._jc for name in ("value", "path", "number"))
    read = Column(jvm.LineReader.column(json.dumps(told(lines, root, load_id)), key, made, *given))
    found = raw.select(read.alias("read")).where("read IS NOT NULL")
    if only_days:
        days = ", ".join(f"DATE '{day}'" for day in only_days)
        # a line without a day is bad, and stands in quarantine for every day
        found = found.where(f"read.row.event_date IN ({days}) OR read.row.event_date IS NULL")
    # taken apart last: each operator before copies one value
    return found.observe(counted, F.count(F.lit(1)).alias("lines")).selectExpr("read.*")


def told(lines: TableLines, root: str, load_id: str) -> dict[str, Any]:
    """All that the class has to know of a table's lines."""
    # what it makes a moment of, it judges itself
    envelope = [rule for rule in ENVELOPE_RULES if rule.keyword != "format"]
    rules = [rule for rule in (*envelope, *lines.rules) if rule.keyword not in _OF_SHAPES]
    subtypes = dict.fromkeys(rule.event_subtype for rule in rules if rule.event_subtype is not None)
    return {
        "line": {"kind": "object", "fields": _fields(lines.shapes.items(), (), protected_places(lines.contracts))},
        "event_type": lines.event_type,
        "rules": [_rule(rule) for rule in rules if rule.event_subtype is None],
        "rules_of_subtype": {
            subtype: [_rule(rule) for rule in rules if rule.event_subtype == subtype] for subtype in subtypes
        },
        "columns": [column.name for column in lines.columns],
        "root": root,
        "load_id": load_id,
        "added": ADDED,
        "moment": java_pattern(FORMAT_PATTERNS["date-time"]),
    }


def _fields(
    shapes: Iterable[tuple[str, ColumnShape]], above: Path, protected: Mapping[Path, Protection]
) -> list[dict[str, Any]]:
    return [{"name": name, **_shape(shape, (*above, name), protected)} for name, shape in shapes]


def _shape(shape: ColumnShape, path: Path, protected: Mapping[Path, Protection]) -> dict[str, Any]:
    protection = protected.get(path)
    return {
        "kind": shape.kind,
        "decimal": shape.decimal,
        "protection": None if protection is None else protection.name,
        "fields": _fields(shape.children, path, protected),
        "items": None if shape.items is None else _shape(shape.items, (*path, EACH_ITEM), protected),
    }


def _rule(rule: RowRule) -> dict[str, Any]:
    conditions = [_judgement(*condition) for condition in rule.when]
    return {**_judgement(rule.path, rule.keyword, rule.argument), "when": conditions}


def _judgement(path: Path, keyword: str, argument: Any) -> dict[str, Any]:
    if isinstance(argument, Comparison):
        return {"path": path, "keyword": keyword, "argument": argument._asdict()}
    if keyword == "format":
        keyword, argument = "pattern", FORMAT_PATTERNS[argument]
    told_argument = java_pattern(argument) if keyword == "pattern" else _argument(argument)
    return {"path": path, "keyword": keyword, "argument": told_argument}


def _argument(argument: Any) -> Any:
    if isinstance(argument, tuple | list):
        return [_argument(each) for each in argument]
    if isinstance(argument, str | bool):
        return argument
    # JSON has no numbers that every reader takes alike
    return {"double": repr(argument)} if isinstance(argument, float) else {"exact": str(argument)}
