"""`make pages`: writes the pages of docs/ that are made from the code; a test in tests/house holds them to it.

Belongs in here: a page's words and its order. Does not: what is true (the tests and modules that it reads).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from emulator import gaps, patches
from tests.emulator.behaviours import Behaviour, behaviours

CHECKOUT = Path(__file__).resolve().parent.parent
DOCS = CHECKOUT / "docs"
EMULATOR_INTRODUCTION = """\
# What the laptop emulates, and how truly
Generated from [`tests/emulator`](../tests/emulator) by `make pages`; do not edit.

The laptop's AWS is [ministack](https://pypi.org/project/ministack/) {version} behind a launcher,
[`emulator/`](../emulator/__main__.py), that closes the gaps the lake leans on: one file a service, each fix named in
[`patches.py`](../emulator/patches.py). Another version of ministack is refused at start. Each line below is a test
against the live endpoint:

- **as AWS**: {as_aws} behaviours that ministack has by itself;
- **closed by us**: {closed} that hold only with the fix in brackets. `make test-long` leaves each fix out
  (`EMULATOR_WITHOUT`) and sees each of its tests fail;
- **template only**: {stored} that are stored and read back, and that nothing obeys.

What AWS does is taken from its documentation (the link); no account is used in this repository's tests. A test that
could not run against AWS says why.
"""


def emulator_page() -> str:
    found = behaviours()
    stored = sum(one.stored_only for one in found)
    closed = sum(one.closed_by is not None and not one.stored_only for one in found)
    lines = [
        EMULATOR_INTRODUCTION.format(
            version=patches.PINNED_VERSION, as_aws=len(found) - stored - closed, closed=closed, stored=stored
        )
    ]
    for service, of_service in groupby(found, key=lambda one: one.service):
        lines += [f"## {service}", "| behaviour | here | AWS |", "|---|---|---|", *_rows(of_service), ""]
    lines += ["## Not here", "| service | what AWS does and nothing here does |", "|---|---|"]
    lines += [f"| {service} | {what} |" for service, what in gaps.NOT_HERE.items()]
    return "\n".join(lines) + "\n"


def _rows(of_service: Iterable[Behaviour]) -> Iterator[str]:
    for one in of_service:
        only_here = f" ({one.only_here})" if one.only_here else ""
        page = one.page.rpartition("/")[2].partition("#")[0].removesuffix(".html")
        yield f"| [{one.sentence}](../tests/emulator/{one.test}){only_here} | {one.label} | [{page}]({one.page}) |"


PAGES = {"emulator.md": emulator_page}


def main() -> int:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
        print(f"written: docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
