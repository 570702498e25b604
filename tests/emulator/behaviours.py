"""What AWS promises and a test of this folder holds: the mark of such a test, and the reading of all marks.

A marked test speaks to the endpoint by boto3 alone, so that the same file could run against AWS; one that moves the
emulator's clock or injects a fault says so. Its name is the sentence that docs/emulator.md prints, and its module's
`SERVICE` the heading. Tests without a mark hold what the laptop alone promises (a start, a stop, a log).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Behaviour:
    """One sentence about one service. `closed_by` is a fix of emulator/patches.py; without it, ministack does this."""

    service: str
    sentence: str
    page: str
    closed_by: str | None
    stored_only: bool
    only_here: str | None
    test: str

    @property
    def label(self) -> str:
        if self.stored_only:
            return "template only"
        return f"closed by us (`{self.closed_by}`)" if self.closed_by else "as AWS"


def promised(
    page: str, *, closed_by: str | None = None, stored_only: bool = False, only_here: str | None = None
) -> pytest.MarkDecorator:
    """AWS promises this on `page`.

    closed_by    the fix without which the test fails; none when ministack does it by itself
    stored_only  what is declared can be read back, and nothing obeys it
    only_here    why the test cannot run against AWS: "moves the clock", "injects a fault"
    """
    if not page.startswith("https://docs.aws.amazon.com/"):
        raise ValueError(f"{page} is no page of AWS's documentation")
    return pytest.mark.promised(page, closed_by=closed_by, stored_only=stored_only, only_here=only_here)


def behaviours() -> list[Behaviour]:
    """All marked tests of this folder, by service and in the order of their files; a parametrised one counts once."""
    found: list[Behaviour] = []
    for path in sorted(FOLDER.glob("test_*.py")):
        found += _of_module(importlib.import_module(f"tests.emulator.{path.stem}"), path.name)
    return sorted(found, key=lambda one: one.service)


def _of_module(module: ModuleType, file_name: str) -> Iterator[Behaviour]:
    for name, test in vars(module).items():
        for mark in getattr(test, "pytestmark", []) if name.startswith("test_") else []:
            if mark.name == "promised":
                sentence = name.removeprefix("test_").replace("_", " ")
                yield Behaviour(module.SERVICE, sentence.capitalize(), mark.args[0], **mark.kwargs, test=file_name)
