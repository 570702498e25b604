"""The regular expressions that contracts may use: a subset that RE2, Python and Java read alike, and the formats in it.

Belongs here: which patterns are valid, and how each engine has to be handed one so that both match the same texts.
Does not belong here: which field has a pattern (contracts say so), running it over rows (row_rules, the load job).

A pattern is *searched*, as JSON Schema defines it. `^` is the start of the text and `$` its very end: Python and Java
both let `$` match before a last line break as well, so it is translated. `\\d \\w \\s` mean ASCII, `.` is anything but
a line feed. Sources: https://github.com/google/re2/wiki/Syntax and the page of java.util.regex.Pattern,
https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/util/regex/Pattern.html
"""

from __future__ import annotations

import re
from functools import lru_cache

_YEAR_LEAP = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE = (
    r"(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    rf"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_YEAR_LEAP}-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_OFFSET = r"(?:[Zz]|[+\-](?:[01][0-9]|2[0-3]):[0-5][0-9])"

# RFC 3339 dates are real days (the 29th of February only where the year has one); an e-mail address is one that can be
# written to: something, one @, labels with a dot between them.
FORMAT_PATTERNS: dict[str, str] = {
    "date": rf"^{_DATE}$",
    "date-time": rf"^{_DATE}[Tt]{_TIME}{_OFFSET}$",
    "uuid": r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$",
    "email": r"^[^@\s]+@[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?)+$",
}

_CLASS_ESCAPES = frozenset("dDwWsS")
_CHARACTER_ESCAPES = frozenset("tnrf")
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_REPEAT = re.compile(r"\{([0-9]{1,4})(,([0-9]{0,4}))?\}")
_MOST_REPEATS = 1000


def pattern_fault(pattern: str) -> str | None:
    """What is wrong with a pattern, in words, or None where it lies in the subset."""
    position, after_quantifier = 0, False
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            fault = _escape_fault(pattern, position)
            position += 2
        elif character == "[":
            fault, position = _class_fault(pattern, position)
        elif character == "(" and pattern.startswith("(?", position) and not pattern.startswith("(?:", position):
            fault = f"the group {pattern[position : position + 4]!r} (only '(…)' and '(?:…)' are known)"
        elif character in "*+?{":
            quantifier = _REPEAT.match(pattern, position) if character == "{" else None
            if character == "{" and quantifier is None:
                return "a '{' that opens no repetition (write '\\{' for the character)"
            if quantifier is not None and int(quantifier[3] or quantifier[1]) > _MOST_REPEATS:
                return f"the repetition {quantifier[0]!r} (at most {_MOST_REPEATS})"
            if after_quantifier:
                return f"a quantifier after a quantifier at character {position + 1}"
            position += len(quantifier[0]) if quantifier is not None else 1
            if pattern.startswith("?", position):  # the lazy form
                position += 1
            after_quantifier = True
            continue
        elif character in "}]":
            fault = f"a lonely {character!r} (write '\\{character}' for the character)"
        else:
            fault = None
            position += 3 if pattern.startswith("(?:", position) else 1
        if fault is not None:
            return fault
        after_quantifier = False
    try:
        re.compile(_translated(pattern, r"\Z"), re.ASCII)
    except (re.error, OverflowError) as error:
        return str(error)
    return None


@lru_cache(maxsize=4096)
def python_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern for Python: use it with `search`."""
    return re.compile(_translated(pattern, r"\Z"), re.ASCII)


def java_pattern(pattern: str) -> str:
    """The pattern for Java's `find` (Spark's rlike). `(?d)`: a line feed is the only thing that `.` does not match."""
    return "(?d)" + _translated(pattern, r"\z")


def _translated(pattern: str, end_of_text: str) -> str:
    """The pattern with each `$` that means the end of the text replaced."""
    parts: list[str] = []
    position, in_class = 0, False
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            parts.append(pattern[position : position + 2])
            position += 2
            continue
        if character == "[":
            in_class = True
        elif character == "]":
            in_class = False
        parts.append(end_of_text if character == "$" and not in_class else character)
        position += 1
    return "".join(parts)


def _escape_fault(pattern: str, position: int) -> str | None:
    if position + 1 == len(pattern):
        return "a backslash at the end"
    escaped = pattern[position + 1]
    if escaped in _CLASS_ESCAPES or escaped in _CHARACTER_ESCAPES or escaped in _PUNCTUATION:
        return None
    return f"the escape '\\{escaped}' (known are \\d \\D \\w \\W \\s \\S \\t \\n \\r \\f and escaped punctuation)"


def _class_fault(pattern: str, start: int) -> tuple[str | None, int]:
    """The fault of a character class, and the position after it."""
    position = start + 1
    if pattern.startswith("^", position):
        position += 1
    if pattern.startswith("]", position):
        return "a class that begins with ']' (write '\\]' for the character)", position
    while position < len(pattern):
        character = pattern[position]
        if character == "]":
            return None, position + 1
        if character == "[":
            return "a '[' inside a class (write '\\[' for the character)", position
        if pattern[position : position + 2] in ("&&", "||", "~~", "--"):
            return f"{pattern[position : position + 2]!r} inside a class (write each character once)", position
        if character == "\\":
            fault = _escape_fault(pattern, position)
            if fault is not None:
                return fault, position
            position += 1
        position += 1
    return "a class without its ']'", position
