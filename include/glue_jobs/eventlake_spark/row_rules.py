"""The row rules of `eventlake.row_rules`, compiled to one SQL condition: is this line bad?

Belongs here: what Spark's JSON parser does not see by itself. It has the type of every field and refuses most wrong
ones (the field UNREADABLE of the parsed line), but takes anything for a text, a text for an exact number, and reads no
further than the first object of a line. Does not belong here: why a line is bad; `explain_line` tells that in Python.

That is judged in two steps, because the exact one parses the line again. A text is suspected where it reads like
another token of JSON, an exact number where its name is followed by anything but plain digits; only then the field is
looked at as it was written. There, of a name that one object repeats, the first value is found and not the last. So a
suspected line of which such an object repeats a name is bad, whatever the reference says: what that would take ends in
quarantine as `engines_disagree`, and nothing that it refuses reaches a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_FLOOR, Context, Decimal

from eventlake.contract_terms import EACH_ITEM, Comparison, Condition, Path
from eventlake.patterns import FORMAT_PATTERNS, java_pattern
from eventlake.row_rules import ENVELOPE_RULES, RowRule, fits_decimal
from eventlake.table_schema import ColumnShape
from eventlake_spark.row_parsing import (
    CREATED,
    INGESTED,
    LAKE_FIELDS,
    UNREADABLE,
    WIDE_SCALE,
    WIDEST_DECIMAL,
    TableLines,
    quoted,
    text,
    wide_scale,
)

Shapes = Mapping[str, ColumnShape]

_SEQUENCE_NUMBER = ("_lake", "sequence_number")
# The lake's own object closes a line as admission wrote it, and nothing like it came before: so what was parsed is all
# of the line. Of a line that says the same in other words, the parser has to find that it is one value.
_MEMBERS = """, '",', """.join(f"""'"{name}":"', e._lake.{name}""" for name in LAKE_FIELDS)
_TAIL = f"""concat('"_lake":{{', {_MEMBERS}, '"}}}}')"""
_ENDS_AS_WRITTEN = f"octet_length(value) - octet_length(substring_index(value, {_TAIL}, 1)) = octet_length({_TAIL})"
_IS_ONE_VALUE = "json_array_length(concat('[', value, ']')) = 1"
_ENDS_AS_PARSED = f"(coalesce({_ENDS_AS_WRITTEN}, false) OR coalesce({_IS_ONE_VALUE}, false))"
# names written with escapes hide from the search for names; they hold letters, digits and _
_ESCAPE = r"\u00"
_ESCAPED_NAME = r"\\u00(?:3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA])"
# Between texts that are looked at together. Java searches for four fixed signs four at a time, for fewer one by one.
_BETWEEN = r"\n\n\n\n"
# how the parser shows what is no text in a field of texts
_TOKEN = rf'{_BETWEEN}(?:[\[{{"]|(?:true|false|-?[0-9]++(?:\.[0-9]++)?+(?:[eE][+\-]?[0-9]++)?+){_BETWEEN})'
_TEXTS = r"""\[(?:\s*(?:"(?:[^"\\]++|\\.)*+"|null)\s*,?)*+\s*\]"""


def is_bad(lines: TableLines) -> str:
    """The SQL condition, never null, over `value` and `e`."""
    shapes = lines.shapes
    broken = [
        f"e.{UNREADABLE} IS NOT NULL",
        f"{CREATED} IS NULL",
        f"{INGESTED} IS NULL",
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
    # the line's end is judged as it is written, and the sequence number in it
    texts = [rule.path for rule in type_rules if rule.argument == "string" and rule.path != _SEQUENCE_NUMBER]
    exacts = [rule.path for rule in type_rules if shape_at(rule.path, shapes).decimal is not None]
    yield _any_wrong_text(texts)
    if exacts:
        yield _any_wrong_exact_number(exacts, shapes)


def _any_wrong_text(paths: list[Path]) -> str:
    """A text that reads like another token of JSON may have been one; how it was written is looked up only then."""
    fields = [path for path in paths if EACH_ITEM not in path]
    wrong = []
    if fields:
        pairs = ", ".join(f"struct({_read(path)} AS v, {_place(path)} AS p)" for path in fields)
        wrong.append(f"exists(array({pairs}), f -> {_shows_token('f.v')} AND {_first_sign('f.p')} <> '\"')")
    wrong += [f"({_shows_token(_texts_at(path))} AND {_wrong_text(path)})" for path in paths if EACH_ITEM in path]
    names, _ = _names(paths)
    # beyond every double: the parser shows it in quotes, and get_json_object would write it as a text
    huge = rf'"(?:{names})"\s*:\s*-?[0-9]+(?:\.[0-9]*)?[eE]\+?[0-9]{{3,}}'
    shown = ", ".join(_texts_at(path) for path in paths)
    wrong.append(f"""(contains(concat_ws('{_BETWEEN}', '', {shown}), '{_BETWEEN}"') AND value RLIKE {text(huge)})""")
    wrong += _repeated_names(paths)
    return f"({_shows_token(shown)} AND ({' OR '.join(wrong)}))"


def _shows_token(shown: str) -> str:
    return f"concat_ws('{_BETWEEN}', '', {shown}, '') RLIKE {text(_TOKEN)}"


def _texts_at(path: Path, base: str = "e", depth: int = 0) -> str:
    """All texts at a path, one after the other."""
    if EACH_ITEM not in path:
        return ".".join([base, *(quoted(part) for part in path)])
    place = path.index(EACH_ITEM)
    array, rest = _texts_at(path[:place], base), path[place + 1 :]
    item = f"x{depth}"
    items = f"transform({array}, {item} -> {_texts_at(rest, item, depth + 1)})" if rest else array
    return f"array_join({items}, '{_BETWEEN}')"


def _any_wrong_exact_number(paths: list[Path], shapes: Shapes) -> str:
    """A number is suspected where it is written as a text, with an exponent, or with more digits than are read."""
    # one expression for all fields outside arrays: large plans cost more than the rows of a small batch
    places = ", ".join(_place(path) for path in paths if EACH_ITEM not in path)
    wrong = [f"exists(array({places}), p -> {_first_sign('p')} = '\"')"] if places else []
    wrong += [_wrong_exact_number(path) for path in paths if EACH_ITEM in path]
    for path in paths:
        # digits beyond those that are read: rather quarantined than rounded
        there = _somewhere(path, lambda value: f"{value} IS NOT NULL")
        wrong.append(f"(value RLIKE {text(_lossy_number(path, shapes))} AND ({there}))")
    wrong += _repeated_names(paths)
    has_escaped_name = f"contains(value, {text(_ESCAPE)}) AND value RLIKE {text(_ESCAPED_NAME)}"
    suspected = " OR ".join([*_suspicions_of_numbers(paths, shapes), f"({has_escaped_name})"])
    return f"(({suspected}) AND ({' OR '.join(wrong)}))"


def _suspicions_of_numbers(paths: list[Path], shapes: Shapes) -> Iterator[str]:
    """One for each name: a pattern that begins with many fixed signs skips as many at a time, one of alternatives looks
    at every sign of the line. A name is looked for only where it was found when the line was parsed."""
    by_name: dict[tuple[str, bool, int], list[Path]] = {}
    for path in paths:
        is_of_array = path[-1] == EACH_ITEM
        name = path[-2] if is_of_array else path[-1]
        by_name.setdefault((name, is_of_array, _digits_read(path, shapes)), []).append(path)
    for (name, is_of_array, digits), group in by_name.items():
        plain = rf"(?:null|-?[0-9]++(?:\.[0-9]{{0,{digits}}}+)?+)"
        odd = rf"(?!null|\[(?:\s*+{plain}\s*+,?)*+\])" if is_of_array else rf"(?!{plain}\s*+[,}}])"
        is_there = " OR ".join(dict.fromkeys(f"{_read(_before_items(path))} IS NOT NULL" for path in group))
        pattern = rf'"{name}"\s*+:\s*+{odd}'
        yield f"(({is_there}) AND value RLIKE {text(pattern)})"


def _before_items(path: Path) -> Path:
    return path[: path.index(EACH_ITEM)] if EACH_ITEM in path else path


def _digits_read(path: Path, shapes: Shapes) -> int:
    decimal = shape_at(path, shapes).decimal
    assert decimal is not None
    return wide_scale(decimal)


def _lossy_number(path: Path, shapes: Shapes) -> str:
    """A number at the path's name that has a digit behind those that are read, or may have: exponents do not count."""
    digits = _digits_read(path, shapes)
    powers = r"(?:\.[0-9]*)?[eE]-0*[1-9][0-9]|\.[0-9]{9,}[eE]" if digits >= WIDE_SCALE else r"(?:\.[0-9]*[eE]|[eE]-)"
    number = rf"-?[0-9]+(?:\.[0-9]{{{digits}}}[0-9]*[1-9]|{powers})"
    names, arrays = _names([path])
    name = rf'"(?:{names or arrays}|[^"]*{_ESCAPED_NAME}[^"]*)"\s*:\s*'
    return f"{name}{number}" if names else rf"{name}\[(?:[^\]]*,)?\s*{number}"


def _names(paths: list[Path]) -> tuple[str, str]:
    """The names of fields, and of arrays of scalars, as alternatives of a pattern. Names hold letters, digits and _."""
    fields = dict.fromkeys(path[-1] for path in paths if path[-1] != EACH_ITEM)
    arrays = dict.fromkeys(path[-2] for path in paths if path[-1] == EACH_ITEM)
    return "|".join(fields), "|".join(arrays)


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
    """A condition on values as they are written, quotes included."""
    if EACH_ITEM not in path:
        return of_value(_written(base, path))
    place = path.index(EACH_ITEM)
    array, rest = _written(base, path[:place]), path[place + 1 :]
    if not rest:
        return of_array(array)
    item = f"x{depth}"
    return f"exists(from_json({array}, 'array<string>'), {item} -> {_token(rest, of_value, of_array, item, depth + 1)})"


def _repeated_names(paths: list[Path]) -> Iterator[str]:
    """Whether an object on the way to one of the values repeats a name: only the first value of it would be judged."""
    holders = dict.fromkeys(path[:length] for path in paths for length, part in enumerate(path) if part != EACH_ITEM)
    plain = [f"json_object_keys({_object('value', holder)})" for holder in holders if EACH_ITEM not in holder]
    if plain:
        yield f"exists(array({', '.join(plain)}), k -> size(k) > size(array_distinct(k)))"
    yield from (_repeated_name_in_items("value", holder) for holder in holders if EACH_ITEM in holder)


def _repeated_name_in_items(base: str, holder: Path, depth: int = 0) -> str:
    place, item = holder.index(EACH_ITEM), f"x{depth}"
    rest = holder[place + 1 :]
    if EACH_ITEM in rest:
        inner = _repeated_name_in_items(item, rest, depth + 1)
    else:
        inner = f"exists(array(json_object_keys({_object(item, rest)})), k -> size(k) > size(array_distinct(k)))"
    return f"exists(from_json({_written(base, holder[:place])}, 'array<string>'), {item} -> {inner})"


def _object(base: str, path: Path) -> str:
    return _written(base, path) if path else base


def _first_sign(place: str) -> str:
    """Of a value as it is written: within a JSON array get_json_object keeps quotes."""
    return f"substring(get_json_object(concat('[', value, ']'), {place}), 1, 1)"


def _place(path: Path) -> str:
    return text("$[*]." + ".".join(path))


def _written(base: str, path: Path) -> str:
    return f"get_json_object(concat('[', {base}, ']'), {_place(path)})"
