"""Glue job: checks one event day of each table as readers see it, and puts its small files together.

    close_day.py --JOB_RUN_ID … --plan_uri s3://… --receipt_prefix s3://…

Read the plan, and for each table: run its full suite on the day, compact the day where that pays, count the rows before
and after. The worker holds the types' leases. A table that fails takes no other with it.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession

from eventlake.definitions import parse_bundle
from eventlake_spark.arguments import parse_arguments
from eventlake_spark.compaction import DayEntry, DayPlan, close_table, failed_table
from eventlake_spark.job_log import now, start_log
from eventlake_spark.objects import ObjectStore, s3_object_store
from eventlake_spark.receipt import code_hash, write_receipt
from eventlake_spark.session import in_parallel, start_session
from eventlake_spark.validation import Validator

THREADS = 2

_log = logging.getLogger("close_day")


def main(argv: Sequence[str], store: ObjectStore | None = None, session: SparkSession | None = None) -> int:
    """Exit code: 0 when a receipt was written and at least one table of a plan did not fail."""
    started_at = now()
    arguments = parse_arguments(argv, reads_landings=False)
    validator = Validator()
    store = store or s3_object_store()
    plan = DayPlan.from_json(store.read(arguments.plan_uri))
    session = session or start_session("close_day", 0)
    definitions = parse_bundle(store.read(f"s3://{arguments.lake_bucket}/{plan.definitions_key}"))

    def close(entry: DayEntry) -> dict[str, Any]:
        try:
            made = close_table(session, plan.day, entry, definitions, validator)
        # one table's failure must not take the others with it; the receipt tells
        except Exception as error:
            _log.exception("closing %s of %s", plan.day, entry.table)
            made = failed_table(entry, error)
        told = {name: made[name] for name in ("table", "rows", "files_before", "files_after", "error")}
        _log.info(json.dumps({"day_run_id": plan.day_run_id, "day": plan.day, **told}))
        return made

    made = in_parallel(session, close, plan.tables, THREADS)
    write_receipt(
        {
            "day_run_id": plan.day_run_id,
            "job_run_id": arguments.job_run_id,
            "plan_uri": arguments.plan_uri,
            "code_hash": arguments.code_hash or code_hash(),
            "started_at": started_at,
            "ended_at": now(),
            "day": plan.day,
            "tables": made,
        },
        arguments.uri_beside_receipt("receipt.json"),
        store,
    )
    return 1 if made and all(each["error"] is not None for each in made) else 0


if __name__ == "__main__":
    start_log("close_day")
    sys.exit(main(sys.argv[1:]))
