"""Glue job: writes the days of one plan again, in few files, on staged branches, and says what it did in a receipt.

    compact_tables.py --JOB_RUN_ID … --plan_uri s3://… --receipt_prefix s3://…

A table that fails takes no other with it; the worker publishes what the receipt tells.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession

from eventlake.compaction import CompactionEntry, CompactionPlan
from eventlake_spark.arguments import parse_arguments
from eventlake_spark.compaction import failed_compaction, stage_compaction
from eventlake_spark.failure import log_failure
from eventlake_spark.job_log import now, start_log
from eventlake_spark.objects import ObjectStore, s3_object_store
from eventlake_spark.receipt import code_hash, write_receipt
from eventlake_spark.session import in_parallel, start_session

THREADS = 2

_log = logging.getLogger("compact_tables")


def main(argv: Sequence[str], store: ObjectStore | None = None, session: SparkSession | None = None) -> int:
    """Exit code: 0 when a receipt was written and at least one table of a plan did not fail."""
    started_at = now()
    arguments = parse_arguments(argv, reads_landings=False)
    store = store or s3_object_store()
    plan = CompactionPlan.from_json(store.read(arguments.plan_uri))
    session = session or start_session("compact_tables", plan.size_bytes)

    def compact(entry: CompactionEntry) -> dict[str, Any]:
        try:
            made = stage_compaction(session, entry, plan.compaction_id, arguments.job_run_id)
        # one table's failure must not take the others with it; the receipt tells
        except Exception as error:
            log_failure(_log, f"compacting {entry.table}", error)
            made = failed_compaction(entry, plan.compaction_id, arguments.job_run_id, error)
        _log.info(json.dumps({"compaction_id": plan.compaction_id, **made}))
        return made

    largest_first = sorted(plan.entries, key=lambda entry: -entry.size_bytes)
    tables = in_parallel(session, compact, largest_first, THREADS)
    write_receipt(
        {
            "compaction_id": plan.compaction_id,
            "job_run_id": arguments.job_run_id,
            "plan_uri": arguments.plan_uri,
            "code_hash": arguments.code_hash or code_hash(),
            "started_at": started_at,
            "ended_at": now(),
            "tables": tables,
        },
        arguments.uri_beside_receipt("receipt.json"),
        store,
    )
    return 1 if tables and all(table["error"] is not None for table in tables) else 0


if __name__ == "__main__":
    start_log("compact_tables")
    sys.exit(main(sys.argv[1:]))
