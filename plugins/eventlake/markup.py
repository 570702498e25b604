"""HTML that cannot be broken by what it shows: text becomes markup only by way of `element`, which escapes it.

Belongs here: escaping and nesting. Does not belong here: what a page says (`data_docs`).
"""

from __future__ import annotations

import html
import json
from typing import Any

# neither HTML nor UTF-8 has a place for these: control characters but tab and line ends, halves of a pair
_UNPRINTABLE = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160), *range(0xD800, 0xE000)), "\ufffd")
_WITHOUT_END = frozenset({"meta", "link", "br"})


class Markup(str):
    """Text that is HTML already. Any other text is escaped when it gets into an element."""

    __slots__ = ()


def element(tag: str, *content: str, **attributes: str) -> Markup:
    """`class_` is the attribute class; an attribute with empty text is left out."""
    given = "".join(f' {name.rstrip("_")}="{_escaped(value)}"' for name, value in attributes.items() if value)
    if tag in _WITHOUT_END:
        return Markup(f"<{tag}{given}>")
    return Markup(f"<{tag}{given}>{joined(*content)}</{tag}>")


def joined(*content: str) -> Markup:
    return Markup("".join(one if isinstance(one, Markup) else _escaped(one) for one in content))


def data_block(name: str, value: Any) -> Markup:
    """What a program reads back from the page; a browser neither runs nor shows it."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    # inside a script element nothing is unescaped, so nothing in it may look like markup
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return element("script", Markup(text), type="application/json", id=name)


def read_data_block(page: str, name: str) -> Any:
    """What `data_block` put into the page; None when the page has none."""
    _, found, rest = page.partition(f'<script type="application/json" id="{_escaped(name)}">')
    return json.loads(rest.partition("</script>")[0]) if found else None


def document(title: str, style: str, *body: str) -> str:
    """A whole page, one block a line, so that two versions of it can be compared."""
    head = (
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(style)),
    )
    page = element("html", _lines(element("head", _lines(*head)), element("body", _lines(*body))), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def _lines(*content: str) -> Markup:
    return Markup("\n" + "\n".join(joined(one) for one in content if one) + "\n")


def _escaped(text: str) -> str:
    return html.escape(text.translate(_UNPRINTABLE))
