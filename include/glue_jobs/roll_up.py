"""Glue job: rebuilds the dates of rollups that a plan names on staged branches, and says what it did in a receipt.

    roll_up.py --JOB_RUN_ID … --plan_uri s3://… --receipt_prefix s3://…

Read the plan, and for each rollup: run its SELECT over the sources as the plan saw them, replace the days on a branch. A
rollup that fails takes no other with it.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from eventlake.definitions import parse_bundle
from eventlake.rollup_plan import RollupEntry, RollupPlan
from eventlake_spark.arguments import parse_arguments
from eventlake_spark.objects import ObjectStore, s3_object_store
from eventlake_spark.receipt import code_hash, write_receipt
from eventlake_spark.rollups import failed, rebuild
from eventlake_spark.session import in_parallel, start_session
from pyspark.sql import SparkSession

THREADS = 2

_log = logging.getLogger("roll_up")


def main(argv: Sequence[str], store: ObjectStore | None = None, session: SparkSession | None = None) -> int:
    """Exit code: 0 when a receipt was written and at least one rollup of a plan did not fail."""
    started_at = _now()
    arguments = parse_arguments(argv, reads_landings=False)
    store = store or s3_object_store()
    session = session or start_session("roll_up")
    plan = RollupPlan.from_json(store.read(arguments.plan_uri))
    definitions = parse_bundle(store.read(f"s3://{arguments.lake_bucket}/{plan.definitions_key}"))

    def roll_up(entry: RollupEntry) -> dict[str, Any]:
        try:
            rollup = definitions.rollups[entry.name]
            made = rebuild(session, plan, entry, rollup, definitions.contracts, arguments.job_run_id)
        # one rollup's failure must not take the others with it; the receipt tells, and the worker holds it
        except Exception as error:
            _log.exception("rolling up %s", entry.name)
            made = failed(plan, entry, arguments.job_run_id, error)
        told = {name: made[name] for name in ("table", "staged_snapshot_id", "added_records", "error")}
        _log.info(json.dumps({"rollup_run_id": plan.rollup_run_id, **told}))
        return made

    made = in_parallel(session, roll_up, plan.rollups, THREADS)
    write_receipt(
        {
            "rollup_run_id": plan.rollup_run_id,
            "job_run_id": arguments.job_run_id,
            "plan_uri": arguments.plan_uri,
            "code_hash": arguments.code_hash or code_hash(),
            "started_at": started_at,
            "ended_at": _now(),
            "rollups": made,
        },
        arguments.uri_beside_receipt("receipt.json"),
        store,
    )
    return 1 if made and all(each["error"] is not None for each in made) else 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    sys.exit(main(sys.argv[1:]))
