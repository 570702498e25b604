"""The row rules of `eventlake.row_rules`, compiled to one SQL condition: is this line bad?

Belongs here: what Spark's JSON parser does not see by itself. It has the type of every field and refuses most wrong
ones (the field UNREADABLE of the parsed line), but takes anything for a text, a text for an exact number, and reads no
further than the first object of a line. Does not belong here: why a line is bad; `explain_line` tells that in Python.

Texts are judged in two steps, because the exact one parses the line again: one regular expression suspects a line
where the name of a text field is followed by something else, anywhere in it; only then are the fields looked at.
A name repeated within one object is judged by its first value there, and by its last everywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_FLOOR, Context, Decimal

from eventlake.contract_terms import EACH_ITEM, Comparison, Condition, Path
from eventlake.patterns import FORMAT_PATTERNS, java_pattern
from eventlake.row_rules import ENVELOPE_RULES, RowRule, fits_decimal
from eventlake.table_schema import ColumnShape
from eventlake_spark.row_parsing import UNREADABLE, WIDE_SCALE, WIDEST_DECIMAL, TableLines, quoted, text, wide_scale

Shapes = Mapping[str, ColumnShape]

# the lake's own object closes a line, and it is the one that was parsed: nothing follows the first object
_ENDS_AS_PARSED = (
    r"""(substring_index(value, '"_lake":', -1) RLIKE '^\\s*\\{[^{}]*\\}\\s*\\}\\s*$'"""
    """ AND instr(substring_index(value, '"_lake":', -1), concat('"', e._lake.sequence_number, '"')) > 0)"""
)
# names written with escapes hide from the search for names
_ESCAPED_NAME = r"\u00"
_TEXTS = r"""\[(?:\s*(?:"(?:[^"\\]++|\\.)*+"|null)\s*,?)*+\s*\]"""


def is_bad(lines: TableLines) -> str:
    """The SQL condition, never null, over `value` and `e`."""
    shapes = lines.shapes
    broken = [
        f"e.{UNREADABLE} IS NOT NULL",
        "CAST(e.created_datetime AS TIMESTAMP) IS NULL",
        "CAST(e._lake.ingested_at AS TIMESTAMP) IS NULL",
        f"NOT {_ENDS_AS_PARSED}",
    ]
    if lines.event_type is not None:
        broken.append(f"e.event_type <> {text(lines.event_type)}")
    rules = (*ENVELOPE_RULES, *lines.rules)
    broken.append(_any_broken([rule for rule in rules if rule.event_subtype is None], shapes))
    for subtype in dict.fromkeys(rule.event_subtype for rule in rules if rule.event_subtype is not None):
        own = _any_broken([rule for rule in rules if rule.event_subtype == subtype], shapes)
        if own != "false":
            broken.append(f"e.event_subtype = {text(subtype)} AND ({own})")
    broken += _wrong_tokens([rule for rule in rules if rule.keyword == "type"], shapes)
    # unknown is not broken: one coalesce for all, since an OR is true as soon as one part is
    return f"coalesce({' OR '.join(['e IS NULL', *(each for each in broken if each != 'false')])}, false)"


def _any_broken(rules: list[RowRule], shapes: Shapes) -> str:
    conditions = [_broken(rule, shapes) for rule in rules]
    return " OR ".join(each for each in conditions if each != "false") or "false"


def _broken(rule: RowRule, shapes: Shapes) -> str:
    broken = _broken_value(rule, shapes)
    if broken == "false" or not rule.when:
        return broken
    return f"({' AND '.join([*(_holds(condition, shapes) for condition in rule.when), broken])})"


def _broken_value(rule: RowRule, shapes: Shapes) -> str:
    if rule.keyword == "required":
        *holder, name = rule.path
        return _somewhere(tuple(holder), lambda value: f"({value} IS NOT NULL AND {value}.{quoted(name)} IS NULL)")
    shape = shape_at(rule.path, shapes)
    if isinstance(rule.argument, Comparison):
        return _comparison_fails(rule.path, rule.argument, shapes)
    if rule.keyword == "type":
        if shape.kind == "number" and shape.decimal is None:
            return _somewhere(rule.path, lambda value: f"abs({value}) = double('infinity')")
        return "false"
    return _somewhere(rule.path, lambda value: _fails(value, shape, rule.keyword, rule.argument))


def _holds(condition: Condition, shapes: Shapes) -> str:
    """Conditions are about fields outside arrays; a missing field fulfils none."""
    value = _read(condition.path)
    if condition.keyword == "required":
        return f"{value} IS NOT NULL"
    fails = _fails(value, shape_at(condition.path, shapes), condition.keyword, condition.argument)
    return f"({value} IS NOT NULL AND NOT coalesce({fails}, false))"


def _fails(value: str, shape: ColumnShape, keyword: str, argument: object) -> str:
    """The condition under which a value that is there breaks a keyword; null or false where it is missing."""
    match keyword:
        case "decimal":
            return _is_no_decimal(value, shape)
        case "pattern":
            return f"NOT ({value} RLIKE {text(java_pattern(str(argument)))})"
        case "format":
            return f"NOT ({value} RLIKE {text(java_pattern(FORMAT_PATTERNS[str(argument)]))})"
        case "minLength":
            return f"char_length({value}) < {argument}"
        case "maxLength":
            return f"char_length({value}) > {argument}"
        case "minItems":
            return f"array_size({value}) < {argument}"
        case "maxItems":
            return f"array_size({value}) > {argument}"
        case "enum":
            assert isinstance(argument, tuple)
            return f"NOT ({' OR '.join(_compared(value, shape, '=', each) for each in argument)})"
        case "const":
            return f"NOT ({_compared(value, shape, '=', argument)})"
        case _:
            return f"NOT ({_compared(value, shape, _RANGES[keyword], argument)})"


_RANGES = {"minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}


def _compared(value: str, shape: ColumnShape, operator: str, argument: object) -> str:
    """A value against an argument: as doubles where the argument is one, exactly otherwise."""
    if isinstance(argument, bool):
        return f"{value} {operator} {str(argument).lower()}"
    if isinstance(argument, str):
        return f"{value} {operator} {text(argument)}"
    if isinstance(argument, float):
        return f"CAST({value} AS DOUBLE) {operator} CAST('{argument!r}' AS DOUBLE)"
    assert isinstance(argument, int | Decimal)
    if shape.kind == "integer" and abs(argument) < 2**63:
        return f"{value} {operator} {argument}L"
    scale = 0 if shape.decimal is None else wide_scale(shape.decimal)
    if not fits_decimal(argument, WIDEST_DECIMAL, scale):
        return _compared_with_stranger(value, operator, argument, scale)
    return f"CAST({value} AS DECIMAL({WIDEST_DECIMAL},{scale})) {operator} {_decimal_literal(argument, scale)}"


def _compared_with_stranger(value: str, operator: str, argument: int | Decimal, scale: int) -> str:
    """A comparison with a number that no value of the column can be: only its place among them counts."""
    if operator == "=":
        return f"({value} IS NULL)"
    if abs(argument) >= 10 ** (WIDEST_DECIMAL - scale):
        is_fulfilled = (argument > 0) == (operator in ("<", "<="))
        return "true" if is_fulfilled else f"({value} IS NULL)"
    below = Decimal(argument).quantize(Decimal(1).scaleb(-scale), ROUND_FLOOR, Context(prec=2 * WIDEST_DECIMAL))
    side = "<=" if operator in ("<", "<=") else ">"
    return f"CAST({value} AS DECIMAL({WIDEST_DECIMAL},{scale})) {side} {_decimal_literal(below, scale)}"


def _decimal_literal(number: int | Decimal, scale: int) -> str:
    return f"CAST('{Decimal(number):f}' AS DECIMAL({WIDEST_DECIMAL},{scale}))"


def _is_no_decimal(value: str, shape: ColumnShape) -> str:
    assert shape.decimal is not None
    precision, scale = shape.decimal
    wide = wide_scale(shape.decimal)
    conditions = [f"{value} <> CAST({value} AS DECIMAL({WIDEST_DECIMAL},{scale}))"] if scale < wide else []
    if precision - scale < WIDEST_DECIMAL - wide:
        conditions.append(f"abs({value}) >= {_decimal_literal(10 ** (precision - scale), wide)}")
    return f"({' OR '.join(conditions)})" if conditions else "false"


def _comparison_fails(left: Path, comparison: Comparison, shapes: Shapes) -> str:
    kinds = [shape_at(path, shapes).kind for path in (left, comparison.right)]
    numbers = ("integer", "number")
    if not (kinds == ["string", "string"] or all(kind in numbers for kind in kinds)):
        return "false"
    sides = [_read(left), _read(comparison.right)]
    if comparison.as_double:
        sides = [f"CAST({side} AS DOUBLE)" for side in sides]
    return f"NOT ({sides[0]} {comparison.operator} {sides[1]})"


def shape_at(path: Path, shapes: Shapes) -> ColumnShape:
    shape = shapes[path[0]]
    for part in path[1:]:
        found = shape.items if part == EACH_ITEM else dict(shape.children)[part]
        assert found is not None, f"a rule about {path}, which is no part of the table"
        shape = found
    return shape


def _read(path: Path) -> str:
    return ".".join(["e", *(quoted(part) for part in path)])


def _somewhere(path: Path, condition: Callable[[str], str], base: str = "e", depth: int = 0) -> str:
    """Whether any value at the path fulfils the condition: one value, or one for each item on the way."""
    if EACH_ITEM not in path:
        return condition(".".join([base, *(quoted(part) for part in path)]))
    place = path.index(EACH_ITEM)
    array = ".".join([base, *(quoted(part) for part in path[:place])])
    item = f"x{depth}"
    inner = _somewhere(path[place + 1 :], condition, item, depth + 1)
    return "false" if inner == "false" else f"exists({array}, {item} -> {inner})"


# ---------------------------------------------------------------- what the parser takes though it is of another type


def _wrong_tokens(type_rules: list[RowRule], shapes: Shapes) -> Iterator[str]:
    texts = [rule.path for rule in type_rules if rule.argument == "string"]
    exacts = [rule.path for rule in type_rules if shape_at(rule.path, shapes).decimal is not None]
    wrong = [*_wrong_fields(texts, "<> '\"'"), *_wrong_fields(exacts, "= '\"'")]
    wrong += [_wrong_text(path) for path in texts if EACH_ITEM in path]
    wrong += [_wrong_exact_number(path) for path in exacts if EACH_ITEM in path]
    fields, _ = _names(texts)
    # beyond every double: get_json_object would write it as a text
    huge = rf'"(?:{fields})"\s*:\s*-?[0-9]+(?:\.[0-9]*)?[eE]\+?[0-9]{{3,}}'
    wrong.append(f"value RLIKE {text(huge)}")
    # only before a name is a quote that follows these signs: half of the quotes need not be looked at
    suspicions = "|".join([*_suspicions_of_texts(texts), *_suspicions_of_exact_numbers(exacts)])
    suspicious = text(rf'[{{,]\s*+"(?:{suspicions})')
    suspected = f"(value RLIKE {suspicious} OR contains(value, {text(_ESCAPED_NAME)}))"
    yield f"({suspected} AND ({' OR '.join(wrong)}))"
    lossy = []
    for path in exacts:
        if path != ("created_at",):  # the time is cut on purpose
            # digits beyond those that are read: rather quarantined than rounded
            there = _somewhere(path, lambda value: f"{value} IS NOT NULL")
            lossy.append(f"(value RLIKE {text(_lossy_number(path, shapes))} AND ({there}))")
    if lossy:
        shortest = min(
            WIDE_SCALE,
            *(wide_scale(decimal) for path in exacts if (decimal := shape_at(path, shapes).decimal) is not None),
        )
        maybe = rf"[0-9](?:[eE][0-9+\-]|\.[0-9]{{{shortest + 1},}})"
        yield f"(value RLIKE {text(maybe)} AND ({' OR '.join(lossy)}))"


def _suspicions_of_texts(paths: list[Path]) -> Iterator[str]:
    names, arrays = _names(paths)
    if names:
        yield rf'(?:{names})"\s*:\s*[^"\sn]'
    if arrays:
        yield rf'(?:{arrays})"\s*:(?!\s*(?:null|{_TEXTS}))'


def _suspicions_of_exact_numbers(paths: list[Path]) -> Iterator[str]:
    names, arrays = _names(paths)
    if names:
        yield rf'(?:{names})"\s*:\s*"'
    if arrays:
        yield rf'(?:{arrays})"\s*:\s*\[[^\]"]*"'


def _lossy_number(path: Path, shapes: Shapes) -> str:
    """A number at the path's name that has a digit behind those that are read, or may have: exponents do not count."""
    decimal = shape_at(path, shapes).decimal
    assert decimal is not None
    digits = wide_scale(decimal)
    powers = r"(?:\.[0-9]*)?[eE]-0*[1-9][0-9]|\.[0-9]{9,}[eE]" if digits >= WIDE_SCALE else r"(?:\.[0-9]*[eE]|[eE]-)"
    number = rf"-?[0-9]+(?:\.[0-9]{{{digits}}}[0-9]*[1-9]|{powers})"
    names, arrays = _names([path])
    return rf'"{names}"\s*:\s*{number}' if names else rf'"{arrays}"\s*:\s*\[(?:[^\]]*,)?\s*{number}'


def _names(paths: list[Path]) -> tuple[str, str]:
    """The names of fields, and of arrays of scalars, as alternatives of a pattern. Names hold letters, digits and _."""
    fields = dict.fromkeys(path[-1] for path in paths if path[-1] != EACH_ITEM)
    arrays = dict.fromkeys(path[-2] for path in paths if path[-1] == EACH_ITEM)
    return "|".join(fields), "|".join(arrays)


def _wrong_fields(paths: list[Path], first_sign: str) -> Iterator[str]:
    """One expression for all fields outside arrays: large plans cost more than the rows of a small batch."""
    found = [text("$[*]." + ".".join(path)) for path in paths if EACH_ITEM not in path]
    if found:
        yield (
            f"exists(array({', '.join(found)}),"
            f" p -> coalesce(substring(get_json_object(concat('[', value, ']'), p), 1, 1) {first_sign}, false))"
        )


def _wrong_text(path: Path) -> str:
    clean = text(f"^{_TEXTS}$")
    return _token(
        path,
        lambda token: f"substring({token}, 1, 1) <> '\"'",
        lambda array: f"NOT ({array} RLIKE {clean})",
    )


def _wrong_exact_number(path: Path) -> str:
    return _token(path, lambda token: f"substring({token}, 1, 1) = '\"'", lambda array: f"instr({array}, '\"') > 0")


def _token(
    path: Path, of_value: Callable[[str], str], of_array: Callable[[str], str], base: str = "value", depth: int = 0
) -> str:
    """A condition on values as they are written, quotes included: within a JSON array get_json_object keeps them."""
    if EACH_ITEM not in path:
        return of_value(_written(base, path))
    place = path.index(EACH_ITEM)
    array, rest = _written(base, path[:place]), path[place + 1 :]
    if not rest:
        return of_array(array)
    item = f"x{depth}"
    return f"exists(from_json({array}, 'array<string>'), {item} -> {_token(rest, of_value, of_array, item, depth + 1)})"


def _written(base: str, path: Path) -> str:
    return f"get_json_object(concat('[', {base}, ']'), {text('$[*].' + '.'.join(path))})"
