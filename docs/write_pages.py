"""`make pages`: writes the pages of docs/ that are made from the code; a test in tests/house holds them to it.

Belongs in here: a page's words and its order. Does not: what is true (the tests and modules that it reads).
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from emulator import gaps, patches
from eventlake.contract import ContractIndex, parse_contract
from eventlake.table_schema import contract_columns
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

## After a stop, and after a kill
`make down` keeps everything. After a kill all stores start together from the last checkpoint, at most some 30 seconds
old ([`checkpoints.py`](../emulator/checkpoints.py)), and the first line of the start (`.lake/logs/emulator.log`) says
what moment that is. What was answered later is gone in all of them alike, the stream included, so the books still
balance. What others remember of it stays: Airflow's database is ahead then. A run that asks for a load that is gone
fails and says so (clear the task that plans), and a type whose load was open at that moment waits until its writer's
lease ends, two hours at most. A full disk ends the server as a kill does. A checkpoint outlives the process, not the
machine: the bodies of objects are not forced to the disk.
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


CONTRACTS_INTRODUCTION = """\
# The events and their tables
Generated from [`include/contracts`](../include/contracts) by `make pages`; do not edit.

{names} event names under {contracts} contracts in {types} tables. A table has the envelope's columns, those below, and
its lineage (`ingested_at`, `shard_id`, `sequence_number`, `raw_object`, `load_id`). An event whose name has no contract
is in `events.uncontracted`, its body as JSON text. PII classes: what the strictest contract of the type says. Protected
columns hold no value as it was sent ([decision 0013](decisions/0013-personal-values-on-their-way-into-tables.md)).
"""


def contracts_page() -> str:
    index = ContractIndex(
        parse_contract(f"{path.parent.name}/{path.name}", json.loads(path.read_text()))
        for path in sorted((CHECKOUT / "include" / "contracts").glob("*/*.json"))
    )
    names = sum(len(contract.event_names) for contract in index)
    introduction = CONTRACTS_INTRODUCTION.format(names=names, contracts=len(index), types=len(index.event_types))
    lines = [introduction]
    for event_type in index.event_types:
        contracts = index.of_type(event_type)
        lines += [
            f"## events.{event_type}_events",
            f"Owner: {', '.join(sorted({one.owner for one in contracts}))}.",
            "",
        ]
        lines += [
            f"- **{one.event_subtype}**: {one.title}. {one.description} `{'`, `'.join(one.event_names)}`"
            for one in contracts
        ]
        lines += ["", "| column | type | PII | protected | what it is |", "|---|---|---|---|---|"]
        lines += [
            f"| `{column.name}` | `{column.sql_type}` | {column.pii} | {column.protection} | "
            f"{column.comment.replace('|', '/')} |"
            for column in contract_columns(contracts)
        ]
        lines.append("")
    return "\n".join(lines)


DAGS_INTRODUCTION = """\
# The DAGs
Generated from the DAGs' own pages in [`dags/`](../dags) by `make pages`; do not edit. Airflow's UI shows the same text
beside each DAG.
"""


def dags_page() -> str:
    lines = [DAGS_INTRODUCTION]
    for path in sorted((CHECKOUT / "dags").glob("*.py")):
        page = ast.get_docstring(ast.parse(path.read_text())) or ""
        lines += [f"## [{path.stem}](../dags/{path.name})", page, ""]
    return "\n".join(lines)


PAGES = {"contracts.md": contracts_page, "dags.md": dags_page, "emulator.md": emulator_page}


def main() -> int:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
        print(f"written: docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
