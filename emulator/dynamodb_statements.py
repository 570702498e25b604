"""PartiQL statements are read once: a text that was seen before, and the statement of a batch that is about to run.

Belongs in here: what is remembered of statements. Does not belong here: what they do (ministack's own). ministack takes
the text of each statement of a batch apart twice, which was a quarter of the server's time when claims came in; they
all have one text. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.html
"""

from __future__ import annotations

import functools
from typing import Any

from ministack.services import dynamodb

from emulator import patches

FIX = "dynamodb_statements"

_TEXTS_REMEMBERED = 256

# statement, parameters and what was read of them, until they are run
_read_ahead: tuple[str, list[Any], dict[str, Any]] | None = None


def install() -> None:
    take_apart = patches.replace(FIX, "services._dynamodb_keywords:_tokenize", None)
    # nobody changes the tokens, only the place in them
    patches.replace(FIX, "services._dynamodb_keywords:_tokenize", functools.lru_cache(_TEXTS_REMEMBERED)(take_apart))
    parse = patches.replace(FIX, "services.dynamodb:_parse_partiql", None)
    dynamodb._parse_partiql = lambda statement, parameters: _parse_once(parse, statement, parameters)


def _parse_once(parse: Any, statement: str, parameters: list[Any]) -> dict[str, Any]:
    """The same list of parameters, not an equal one: a batch reads each of its statements, then runs it."""
    global _read_ahead
    if _read_ahead is not None and _read_ahead[1] is parameters and _read_ahead[0] == statement:
        parsed, _read_ahead = _read_ahead[2], None
        return parsed
    read: dict[str, Any] = parse(statement, parameters)
    _read_ahead = (statement, parameters, read)
    return read
