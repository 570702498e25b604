"""The job's class judges lines by the rules of the Python reference: the same lines are bad. JSON Schema's
own library, told of the dialect, is the third judge of the same lines.

All lines of a test go through Spark at once; one job a line would take a day.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

from pyspark.sql import Observation, SparkSession

from eventlake.contract import parse_contract
from eventlake.event_json import parse_event
from eventlake.row_rules import explain_line
from eventlake_spark.line_reading import read_lines
from eventlake_spark.table_lines import TableLines
from tests.builders import a_uuid
from tests.json_schema_judge import objections
from tests.spark.event_lines import Written, a_line

ORDER = {
    "type": "object",
    "x-owner": "team",
    "x-retention-class": "financial",
    "x-event-names": ["payment:order"],
    "required": ["amount", "customer"],
    "properties": {
        "amount": {"type": "number", "x-decimal": [12, 2], "minimum": 0, "exclusiveMaximum": 500.001},
        "wide": {"type": "number", "x-decimal": [38, 0], "maximum": 10**37},
        "long": {"type": "number", "x-decimal": [38, 20]},
        "ratio": {"type": "number", "exclusiveMinimum": 0, "maximum": 1.5, "enum": [0.1, 0.5, 1, 1.5]},
        "pieces": {"type": "integer", "minimum": 1, "maximum": 2**62, "enum": [1, 2, 3, 9007199254740993]},
        "is_gift": {"type": "boolean", "const": True},
        "currency": {"type": "string", "enum": ["EUR", "ISK'", "a\\b"], "minLength": 3},
        "code": {"type": "string", "pattern": "^[A-Z]{2}\\d+$", "maxLength": 5},
        "note": {"type": "string", "minLength": 2, "maxLength": 3},
        "mark": {"type": "string", "pattern": "^[?x]+$"},
        "day": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time"},
        "mail": {"type": "string", "format": "email"},
        "tags": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "string", "minLength": 1}},
        "prices": {"type": "array", "items": {"type": "number", "x-decimal": [4, 1]}},
        "counts": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "customer": {
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": "string"},
                "age": {"type": "integer"},
                "address": {"type": "object", "properties": {"city": {"type": "string"}}},
            },
        },
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["sku"],
                "properties": {
                    "sku": {"type": "string", "pattern": "^s"},
                    "price": {"type": "number", "x-decimal": [6, 2]},
                    "marks": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
        "anything": {},
        "gross": {"type": "number", "x-decimal": [12, 2]},
        "net": {"type": "number", "x-decimal": [12, 2]},
        "low": {"type": "number"},
        "high": {"type": "number"},
        "first": {"type": "string"},
        "second": {"type": "string"},
    },
    "if": {"properties": {"currency": {"const": "EUR"}, "pieces": {"minimum": 2}}, "required": ["currency", "pieces"]},
    "then": {"required": ["gross"], "properties": {"is_gift": {"const": True}, "gross": {"minimum": 1}}},
    "x-rules": [
        {"name": "net_below_gross", "left": "net", "operator": "<=", "right": "gross"},
        {"name": "pieces_not_gross", "left": "pieces", "operator": "!=", "right": "gross"},
        {"name": "low_below_high", "left": "low", "operator": "<", "right": "high"},
        {"name": "texts", "left": "first", "operator": "<", "right": "second"},
    ],
}
REFUND = {
    "type": "object",
    "x-owner": "team",
    "x-retention-class": "financial",
    "x-event-names": ["payment:refund"],
    "properties": {"reason": {"type": "string", "enum": ["x"]}, "anything": {"type": "integer"}},
}

NUMBERS = [
    "0",
    "-0",
    "1",
    "2",
    "3",
    "-1",
    "1.0",
    "1.50",
    "0.1",
    "0.10",
    "0.100000000000000000001",
    "1e0",
    "1e2",
    "1E-2",
    "1e-20",
    "15e-1",
    "499.99",
    "500.001",
    "500.01",
    "1.005",
    "12345678901",
    "99999999999.99",
    "9007199254740993",
    "4611686018427387904",
    "4611686018427387905",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "1e400",
    "-1e400",
    "1e-400",
    "99999999999999999999999999999999999999",
    "100000000000000000000000000000000000000",
    "0.00000000000000000001",
    "123456789012345678.12345678901234567890",
    "9999.9",
    "999.9",
    "99.95",
    "5e-324",
    "1" * 400,
]
TEXTS = [
    '""',
    '"EUR"',
    '"ISK\'"',
    '"a\\\\b"',
    '"a"',
    '"ab"',
    '"abc"',
    '"abcd"',
    '"\\u00e9\\ud83d\\ude00"',
    '"\\ud800x"',
    '"AB12"',
    '"AB12\\n"',
    '"xAB1"',
    '"2024-02-29"',
    '"2023-02-29"',
    '"2026-11-21T08:00:00Z"',
    '"2026-11-21T08:00:00"',
    '"a@b.c"',
    '"a@b"',
    '"NaN"',
    '"Infinity"',
    '"12.5"',
    '"7"',
    '"true"',
    '"null"',
    '"x \\"sku\\": 5"',
    '"\\u0041B1"',
    '" "',
    '"s1"',
]
OTHERS = ["null", "true", "false", "{}", "[]", '{"a":1}', "[1]", '["a"]']
ARRAYS = [
    '["a","b"]',
    '["a",5]',
    "[5]",
    '[null,"a"]',
    '["a",null,""]',
    '["a", "b" , "c"]',
    '["a","b","c","d"]',
    "[[]]",
    '["[",5]',
    '["a\\"]",5]',
    "[1.5,2]",
    "[1.55]",
    '["1.5"]',
    "[1e1]",
    "[null,1]",
    "[-1]",
    "[1,1.0]",
    "[true]",
    '[{"sku":"s"}]',
]
OBJECTS = [
    '{"id":"x"}',
    '{"id":5}',
    '{"id":null}',
    '{"id":"x","age":1.0}',
    '{"id":"x","age":"1"}',
    '{"id":"x","address":{"city":"y"}}',
    '{"id":"x","address":{"city":5}}',
    '{"id":"x","address":[]}',
    '{"id":"x","address":{}}',
    '{"id":"x","address":null}',
    '{"id":"x","other":{"sku":5,"id":7}}',
    '{"id":{"id":"x"}}',
    '{"\\u0069d":5}',
    '{"id":[]}',
    '{"id":true}',
    '{ "id" : "x" }',
]
LINES = [
    '[{"sku":"s1"}]',
    '[{"sku":"x1"}]',
    '[{"sku":5}]',
    "[{}]",
    "[null]",
    '[{"sku":"s1"},{"sku":null}]',
    '[{"sku":"s1","price":1.25}]',
    '[{"sku":"s1","price":1.255}]',
    '[{"sku":"s1","\\u0070rice":1.25}]',
    '[{"sku":"s1","\\u0070rice":1.255}]',
    '[{"sku":"s1","\\u0070rice":"1.25"}]',
    '[{"sku":"s1","price":"1.25"}]',
    '[{"sku":"s1","price":12345.00}]',
    '[{"sku":"s1"},{"sku":true}]',
    '[{"sku":"s1","marks":["a"]}]',
    '[{"sku":"s1","marks":["a",1]}]',
    '[{"sku":"s1","marks":[]},{"sku":"s2","marks":[null,2]}]',
    '[{"sku":"s1","marks":"a"}]',
    '[{"sku":"s1","price":1e-30}]',
    '[{"sku":"s1","extra":{"price":"1"}}]',
    '[["s1"]]',
    '["s1"]',
]
ALL = [*NUMBERS, *TEXTS, *OTHERS, *ARRAYS, *OBJECTS, *LINES]

GOOD = {"amount": "1.00", "customer": '{"id":"x"}'}
# fields of formats that the library knows otherwise, or not at all
OWN_FORMATS = ("at", "mail")


def a_payment_line(**written: str) -> str:
    return a_line(1, **{name: Written(value) for name, value in written.items()}).decode()


def verdicts(spark: SparkSession, table: TableLines, lines: Sequence[str]) -> list[bool]:
    """Whether Spark finds each line bad, in one job."""
    given = [(line, "an/object", None) for line in lines]
    raw = spark.createDataFrame(given, "value string, path string, number int").coalesce(1)
    read = read_lines(raw, "", table, "a-load", b"", (), Observation())
    rows = read.selectExpr("original IS NOT NULL AS bad", "line").collect()
    assert [row.line for row in rows] == list(range(1, len(lines) + 1))
    return [row.bad for row in rows]


def payments() -> TableLines:
    contracts = (parse_contract("payment/order", ORDER), parse_contract("payment/refund", REFUND))
    return TableLines("events.payment_events", "payment", contracts)


def require_same_verdicts(spark: SparkSession, lines: Sequence[str]) -> None:
    table = payments()
    reference = [explain_line(line, table.rules) for line in lines]
    compiled = verdicts(spark, table, lines)
    differing = [
        (line, explained, bad)
        for line, explained, bad in zip(lines, reference, compiled, strict=True)
        if (explained is not None) != bad
    ]
    shown = [f"{line[:140]}…{line[-60:]} {explained} {bad}" for line, explained, bad in differing]
    assert not shown, "\n".join(shown)
    assert 0 < sum(compiled) < len(lines)


def require_agreement_of_json_schema(lines: Sequence[str]) -> None:
    """The library and the reference, hence Spark, say the same of each line."""
    rules, differing = payments().rules, []
    for line in lines:
        explained, objected = explain_line(line, rules), objections(ORDER, parse_event(line))
        if (explained is not None) != bool(objected):
            differing.append(f"{line[:140]}…{line[-60:]} {explained} {objected[:1]}")
    assert not differing, "\n".join(differing)


def test_on_every_value_in_every_field_spark_the_reference_and_json_schema_agree(spark: SparkSession) -> None:
    lines = [a_payment_line(**{**GOOD, field: value}) for field in ORDER["properties"] for value in ALL]
    require_same_verdicts(spark, lines)
    require_agreement_of_json_schema([line for line in lines if not any(f'"{name}":' in line for name in OWN_FORMATS)])


def test_on_fields_together_spark_the_reference_and_json_schema_agree(spark: SparkSession) -> None:
    generator = random.Random(20261121)
    pools = {"currency": ['"EUR"', '"ISK\'"'], "pieces": ["1", "2", "3"], "is_gift": ["true", "false", "null"]}
    numbers = ["0", "1", "1.00", "2", "3.00", "0.99", "null"]
    texts = ['"a"', '"b"', '"\\u00e9"', '"\\ud83d\\ude00"', '"\\uffee"', "null"]
    pools |= dict.fromkeys(("gross", "net", "low", "high"), numbers) | dict.fromkeys(("first", "second"), texts)
    lines = []
    for _ in range(1500):
        chosen = {name: generator.choice(pool) for name, pool in pools.items() if generator.random() < 0.7}
        lines.append(a_payment_line(**GOOD, **chosen))
    require_same_verdicts(spark, lines)
    require_agreement_of_json_schema(lines)


def test_lines_that_are_no_event_get_the_verdict_of_the_reference(spark: SparkSession) -> None:
    good = a_payment_line(**GOOD)
    another = a_line(2, **{name: Written(value) for name, value in GOOD.items()}).decode()
    tail = good[good.index(',"created_datetime"') :]
    lines = [
        good,
        good + "  ",
        good[:-1],
        good[:40],
        good[1:],
        good + another,
        good + " x",
        good + "}",
        f"[{good}]",
        "null",
        "{}",
        "5",
        '"text"',
        "nul",
        good.replace(":", "="),
        good.replace('"amount":1.00', '"amount":NaN'),
        good.replace('"amount":1.00', '"amount":01'),
        good.replace('"amount":1.00', "'amount':1"),
        good.replace('"amount":1.00', '"amount":1.00,'),
        good.replace('"event_uuid":"', '"event_uuid":5,"x":"'),
        good.replace('"event_subtype":"order"', '"event_subtype":"refund"'),
        good.replace('"event_subtype":"order"', '"event_subtype":null'),
        good.replace(tail, "}"),
        good.replace('"ingested_at":', '"ingested":'),
        good.replace(a_uuid(1), "a\tb"),
        good.replace(a_uuid(1), "a\\tb"),
        good.replace("{", '{"event_type":5,', 1),
        good.replace('"amount":1.00', '"amount":1.00,"amount":2'),
        good.replace('"amount":1.00', '"amount":1.00,"first":5,"first":"x"'),
        good.replace('"amount":1.00', '"\\u0061mount":1.00'),
        good.replace('"amount":1.00', '"\\u0061mount":"1.00"'),
        good.replace('"amount":1.00', '"amount":1.00,"lon\\u0067":0.100000000000000000001'),
        "\ufeff" + good,
        good.replace('"amount":1.00', '"amount":1.00,"deep":' + "[" * 200 + "]" * 200),
    ]
    require_same_verdicts(spark, lines)


REPEATED = ["5", '"5"', '"ab"', "null", "true", '"true"', '["a"]', "1.5", "1e400"]
CUSTOMERS = ['{"id":"x"}', '{"id":5}', '{"id":"5"}', "{}", '{"id":"x","address":{"city":5}}']
ITEMS = ['[{"sku":"s1"}]', '[{"sku":5}]', '[{"sku":"s1","marks":[1]}]', '[{"sku":"s1","price":"1"}]']
REPEATING = {
    **{f'"{name}":%s,"{name}":%s': REPEATED for name in ("note", "first", "amount", "long", "low", "pieces")},
    '"note":%s,"\\u006eote":%s': REPEATED,
    '"customer":%s,"customer":%s': CUSTOMERS,
    '"lines":%s,"lines":%s': ITEMS,
    '"tags":%s,"tags":%s': ['["a"]', '["5"]', "[5]", '["a",5]'],
    '"customer":{"id":"x","id":%s,"id":%s}': REPEATED,
    '"customer":{"id":"x","address":{"city":%s,"city":%s}}': REPEATED,
    '"lines":[{"sku":"s1"},{"sku":%s,"sku":%s}]': REPEATED,
    '"lines":[{"sku":"s1","price":%s,"price":%s}]': REPEATED,
    '"lines":[{"sku":"s1","marks":[%s],"marks":[%s]}]': REPEATED,
}


def test_of_a_repeated_name_spark_and_the_reference_judge_the_last_value(spark: SparkSession) -> None:
    lines = []
    for template, values in REPEATING.items():
        others = {name: value for name, value in GOOD.items() if f'"{name}":' not in template}
        good = a_payment_line(zz="0", **others)
        pairs = itertools.product(values, repeat=2)
        lines += [good.replace('"zz":0', template % pair) for pair in pairs]
    require_same_verdicts(spark, lines)
