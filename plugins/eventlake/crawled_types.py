"""The types of a crawler, read from the catalog's words: `array<struct<at:string,net:decimal(12,2)>>`.

Belongs here: those words as a tree, several folders' trees as one, a tree as JSON Schema. Does not belong here: what of
it a contract expects (drift). A crawler writes names in lower case, on every level.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_INTEGERS = frozenset({"tinyint", "smallint", "int", "bigint"})

# what a crawler may say of a JSON value, by the kind that a contract says
SEEN_AS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"string", "timestamp", "date", "char", "varchar"}),
    "integer": _INTEGERS,
    "number": _INTEGERS | {"float", "double", "decimal"},
    "boolean": frozenset({"boolean"}),
    "object": frozenset({"struct", "map"}),
    "array": frozenset({"array"}),
}
_FORMATS = {"timestamp": "date-time", "date": "date"}


@dataclass(frozen=True)
class CrawledType:
    """What was seen of one value: the words without their brackets, and what lies in it."""

    words: frozenset[str]
    fields: Mapping[str, CrawledType] = field(default_factory=dict)
    items: CrawledType | None = None
    decimal: tuple[int, int] | None = None

    def __str__(self) -> str:
        return " or ".join(sorted(self._text(word) for word in self.words))

    def _text(self, word: str) -> str:
        if word == "struct":
            return f"struct<{','.join(f'{name}:{inner}' for name, inner in self.fields.items())}>"
        if word == "array" and self.items is not None:
            return f"array<{self.items}>"
        return f"decimal({self.decimal[0]},{self.decimal[1]})" if word == "decimal" and self.decimal else word

    def is_a(self, kind: str) -> bool:
        """Whether all that was seen can be of this kind of a contract."""
        return self.words <= SEEN_AS[kind]


def crawled_type(text: str) -> CrawledType:
    text = text.strip().lower()
    word = re.split(r"[<(]", text, maxsplit=1)[0]
    if word == "array" and "<" in text:
        return CrawledType(frozenset({word}), items=crawled_type(_inside(text)))
    if word == "struct" and "<" in text:
        members = {name: crawled_type(member) for name, member in _members(_inside(text))}
        return CrawledType(frozenset({word}), fields=members)
    decimal = _DECIMAL.fullmatch(text)
    return CrawledType(frozenset({word}), decimal=(int(decimal[1]), int(decimal[2])) if decimal else None)


def merged(left: CrawledType, right: CrawledType) -> CrawledType:
    """Both at once, as several folders show them."""
    fields = dict(left.fields)
    for name, inner in right.fields.items():
        fields[name] = merged(fields[name], inner) if name in fields else inner
    items = left.items or right.items
    if left.items is not None and right.items is not None:
        items = merged(left.items, right.items)
    return CrawledType(left.words | right.words, fields, items, _wider(left.decimal, right.decimal))


def _wider(left: tuple[int, int] | None, right: tuple[int, int] | None) -> tuple[int, int] | None:
    if left is None or right is None:
        return left or right
    scale = max(left[1], right[1])
    return max(left[0] - left[1], right[0] - right[1]) + scale, scale


def json_schema_of(seen: CrawledType) -> dict[str, Any]:
    """What was seen as a property of a contract; what cannot be said stays open."""
    kind = next((kind for kind in ("boolean", "integer", "number", "string", "object", "array") if seen.is_a(kind)), "")
    if kind == "object":
        inner = {name: json_schema_of(member) for name, member in seen.fields.items()}
        return {"type": kind, "properties": inner} if inner else {}
    if kind == "array":
        items = json_schema_of(seen.items) if seen.items is not None else {}
        return {"type": kind, "items": items} if items.get("type", "array") != "array" else {}
    if kind == "number" and seen.words == {"decimal"} and seen.decimal is not None:
        return {"type": kind, "x-decimal": list(seen.decimal)}
    if kind == "string" and len(seen.words) == 1 and (said := _FORMATS.get(next(iter(seen.words)))):
        return {"type": kind, "format": said}
    return {"type": kind} if kind else {}


def _inside(text: str) -> str:
    return text[text.index("<") + 1 : text.rindex(">")]


def _members(text: str) -> Iterator[tuple[str, str]]:
    """`a:string,b:struct<c:int>` as pairs, splitting only where no bracket is open."""
    depth, start = 0, 0
    for position, sign in enumerate(f"{text},"):
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            name, _, member = text[start:position].partition(":")
            if name:
                yield name, member
            start = position + 1
