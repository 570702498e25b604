"""The history of validations: what each expectation said of each table of each load and rollup, in control.validations.

Does not belong here: running suites (the jobs), what a failure means (`eventlake.verdict`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog

from eventlake.receipt import Validation
from eventlake.settings import Settings
from eventlake_aws.control_tables import VALIDATIONS, append_rows, read_rows
from eventlake_aws.row_filters import all_of, equals

# stands for an expectation in the row of a suite that gave no answer
THE_SUITE = "the suite"


def write_validations(
    catalog: GlueCatalog,
    settings: Settings,
    load_id: str,
    job_run_id: str,
    said: Mapping[str, Validation | None],
    now: datetime,
) -> None:
    """`said`: of each table. A former try may have written them: then they are there, all in one commit or none."""
    common = {"load_id": load_id, "job_run_id": job_run_id, "validated_at": now}
    rows = [common | {"table_name": table} | row for table, validation in said.items() for row in _rows(validation)]
    of_this_run = all_of(equals("load_id", load_id), equals("job_run_id", job_run_id))
    if rows and not read_rows(catalog, settings, VALIDATIONS, of_this_run, ("load_id", "job_run_id")):
        append_rows(catalog, settings, VALIDATIONS, rows)


def _rows(validation: Validation | None) -> Iterator[dict[str, Any]]:
    """What each expectation said; where the suite gave no answer, why."""
    if validation is None:
        return
    if validation.success is None and not validation.results:
        yield {"expectation": THE_SUITE, "detail": validation.note}
    for result in validation.results:
        yield {
            "expectation": result.expectation,
            "column_name": result.column,
            "severity": result.severity,
            "success": result.success,
            "observed": result.observed,
            "unexpected_count": result.unexpected_count,
            "rows": result.rows,
            "detail": result.detail,
        }
