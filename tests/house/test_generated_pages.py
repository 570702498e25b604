"""Pages that are made from the code say what the code says."""

from __future__ import annotations

import json

import pytest

from bench import results
from docs import write_pages
from emulator.patches import FIXES
from tests.emulator.behaviours import behaviours


@pytest.mark.parametrize("name", write_pages.PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (write_pages.DOCS / name).read_text() == write_pages.PAGES[name](), f"docs/{name} is old: run `make pages`"


def test_the_page_of_measured_figures_says_what_the_file_says() -> None:
    """Nobody types a figure: who edits one of the two, or writes them in two orders, is found here."""
    assert results.page(json.loads(results.FILE.read_text())) == results.PAGE.read_text(), "bench/RESULTS.md was edited"


def test_a_behaviour_names_a_fix_that_exists() -> None:
    unknown = {one.closed_by for one in behaviours()} - {fix.name for fix in FIXES} - {None}
    assert not unknown, f"tests/emulator names fixes that emulator/patches.py lacks: {sorted(unknown)}"


def test_every_fix_closes_a_behaviour_that_is_tested() -> None:
    """A fix that no marked test needs is not proved: `pytest tests/emulator --without` would have nothing to fail."""
    unproved = {fix.name for fix in FIXES} - {one.closed_by for one in behaviours()}
    assert not unproved, f"no test of tests/emulator is marked closed_by={sorted(unproved)}"
