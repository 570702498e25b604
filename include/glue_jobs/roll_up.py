"""Glue job: rebuilds the dates of one plan's rollups on staged branches, validates them, and says so in a receipt.

    roll_up.py --JOB_RUN_ID … --plan_uri s3://… --receipt_prefix s3://…

A rollup that fails takes no other with it; the worker publishes what the receipt tells.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from pyspark.sql import SparkSession

from eventlake.definitions import parse_bundle
from eventlake.rollup_plan import RollupEntry, RollupPlan
from eventlake_spark.arguments import parse_arguments
from eventlake_spark.failure import log_failure
from eventlake_spark.job_log import now, start_log
from eventlake_spark.objects import ObjectStore, s3_object_store
from eventlake_spark.receipt import code_hash, write_receipt
from eventlake_spark.rollup_staging import failed_rollup, stage_rollup
from eventlake_spark.session import in_parallel, start_session
from eventlake_spark.validation import Validator

THREADS = 2

_log = logging.getLogger("roll_up")


def main(argv: Sequence[str], store: ObjectStore | None = None, session: SparkSession | None = None) -> int:
    """Exit code: 0 when a receipt was written and at least one rollup of a plan did not fail."""
    started_at = now()
    validator = Validator()
    arguments = parse_arguments(argv, reads_landings=False)
    store = store or s3_object_store()
    session = session or start_session("roll_up", 0)
    plan = RollupPlan.from_json(store.read(arguments.plan_uri))
    definitions = parse_bundle(store.read(f"s3://{arguments.lake_bucket}/{plan.definitions_key}"))

    def rebuild(entry: RollupEntry) -> dict[str, Any]:
        try:
            rollup, suite = definitions.rollups[entry.name], definitions.suites.get(entry.name)
            gate = partial(validator.validate, suite=suite)
            made = stage_rollup(session, entry, rollup, gate, plan.rollup_run_id, arguments.job_run_id)
        # one rollup's failure must not take the others with it; the receipt tells, and the next run tries again
        except Exception as error:
            log_failure(_log, f"rebuilding {entry.table}", error)
            made = failed_rollup(entry, plan.rollup_run_id, arguments.job_run_id, error)
        _log.info(json.dumps({"rollup_run_id": plan.rollup_run_id, **made}))
        return made

    entries = in_parallel(session, rebuild, plan.rollups, THREADS)
    write_receipt(
        {
            "rollup_run_id": plan.rollup_run_id,
            "job_run_id": arguments.job_run_id,
            "plan_uri": arguments.plan_uri,
            "code_hash": arguments.code_hash or code_hash(),
            "started_at": started_at,
            "ended_at": now(),
            "rollups": entries,
        },
        arguments.uri_beside_receipt("receipt.json"),
        store,
    )
    return 1 if entries and all(entry["error"] is not None for entry in entries) else 0


if __name__ == "__main__":
    start_log("roll_up")
    sys.exit(main(sys.argv[1:]))
