"""Glue job: loads the landings of one plan into staged branches of the events' tables, and says what it did in a
receipt.

    load_events.py --JOB_RUN_ID … --load_id … --plan_uri s3://… --receipt_prefix s3://… --raw_bucket …
        --protection_secret …

Read the plan, and for each table: read its lines, judge them, write the new ones to a branch, validate them. A plan of
the kind `rebuild` names lines that were loaded before; the days on which they say something else are written anew.
Nothing that happens here is seen by a reader; the worker publishes what the receipt tells. A table that fails takes
no other with it.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from eventlake.definitions import Bundle, parse_bundle
from eventlake.load_plan import LoadPlan, TablePlan
from eventlake_spark.arguments import JobArguments, parse_arguments
from eventlake_spark.batch import Batch
from eventlake_spark.failure import log_failure
from eventlake_spark.job_log import now, start_log
from eventlake_spark.judgement import LOADED
from eventlake_spark.objects import ObjectStore, s3_object_store
from eventlake_spark.protection_key import ReadSecret, read_key, secret_of_lake
from eventlake_spark.quarantine import duplicate_rows, quarantined_rows, reasons, write_beside_receipt
from eventlake_spark.read_landings import Landings
from eventlake_spark.receipt import code_hash, failed_entry, table_entry, write_receipt
from eventlake_spark.session import in_parallel, start_session
from eventlake_spark.stage import stage
from eventlake_spark.table_lines import TableLines, lines_of_table
from eventlake_spark.validation import Validator

# small types are mostly waiting for the catalog and for S3; more threads than this only wait for cores
THREADS = 4

_log = logging.getLogger("load_events")


@dataclass(frozen=True)
class Outcome:
    """What became of one table: its entry in the receipt, and the rows for the files beside it."""

    entry: dict[str, Any]
    quarantined: list[dict[str, Any]]
    duplicates: list[dict[str, Any]]


def main(
    argv: Sequence[str],
    store: ObjectStore | None = None,
    session: SparkSession | None = None,
    read_secret: ReadSecret = secret_of_lake,
) -> int:
    """Exit code: 0 when a receipt was written and at least one table of a plan did not fail."""
    started_at = now()
    arguments = parse_arguments(argv, reads_landings=True)
    validator = Validator()
    store = store or s3_object_store()
    plan = LoadPlan.from_json(store.read(arguments.plan_uri))
    session = session or start_session("load_events", plan.largest_table_bytes)
    definitions = parse_bundle(store.read(f"s3://{arguments.lake_bucket}/{plan.definitions_key}"))
    pairs = [(contract.event_type, contract.event_subtype) for contract in definitions.contracts]
    landings = Landings(plan, pairs, arguments.raw_bucket, store)
    asks_for_key = any(lines_of_entry(entry, definitions).protects for entry in plan.tables)
    key = read_key(arguments.protection_secret, read_secret) if asks_for_key else b""

    def load(entry: TablePlan) -> Outcome:
        return load_table(session, entry, definitions, landings, arguments, validator, key)

    outcomes = in_parallel(session, load, plan.tables, THREADS)
    write_receipt(
        {
            "load_id": plan.load_id,
            "job_run_id": arguments.job_run_id,
            "plan_uri": arguments.plan_uri,
            "code_hash": arguments.code_hash or code_hash(),
            "started_at": started_at,
            "ended_at": now(),
            "tables": [outcome.entry for outcome in outcomes],
            "quarantine_uri": write_beside_receipt(
                [row for outcome in outcomes for row in outcome.quarantined],
                arguments.uri_beside_receipt("quarantine.ndjson.gz"),
                store,
            ),
            "duplicates_uri": write_beside_receipt(
                [row for outcome in outcomes for row in outcome.duplicates],
                arguments.uri_beside_receipt("duplicates.ndjson.gz"),
                store,
            ),
        },
        arguments.uri_beside_receipt("receipt.json"),
        store,
    )
    failed = [outcome.entry["table"] for outcome in outcomes if outcome.entry["error"] is not None]
    return 1 if outcomes and len(failed) == len(outcomes) else 0


def load_table(
    session: SparkSession,
    entry: TablePlan,
    definitions: Bundle,
    landings: Landings,
    arguments: JobArguments,
    validator: Validator,
    key: bytes,
) -> Outcome:
    """One table, from its lines to its entry in the receipt."""
    try:
        lines = lines_of_entry(entry, definitions)
        batch = stage(session, lines, entry, landings, arguments.load_id, arguments.job_run_id, key)
        quarantined = quarantined_rows(batch, landings)
        has_news = batch.staged is not None and batch.count(LOADED)
        validation = _validation(batch, definitions, validator) if has_news else None
        made = Outcome(table_entry(batch, reasons(quarantined), validation), quarantined, duplicate_rows(batch))
    # one table's failure must not take the others with it; the receipt tells, and its landings go on waiting
    except Exception as error:
        log_failure(_log, f"loading {entry.table}", error)
        made = Outcome(failed_entry(entry, arguments.load_id, arguments.job_run_id, error), [], [])
    _log.info(json.dumps({"load_id": arguments.load_id, **_decision(made.entry)}))
    return made


def lines_of_entry(entry: TablePlan, definitions: Bundle) -> TableLines:
    contracts = () if entry.event_type is None else definitions.contracts.of_type(entry.event_type)
    return lines_of_table(entry.event_type, entry.table, contracts)


def _validation(batch: Batch, definitions: Bundle, validator: Validator) -> dict[str, Any]:
    entry = batch.entry
    suite = definitions.suites.get(entry.event_type or entry.table.partition(".")[2])
    if suite is None and entry.event_type is None:
        # names without a contract promise nothing
        return {"success": True, "results": []}
    return validator.validate(batch.loaded_rows, batch.count(LOADED), suite)


def _decision(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in ("table", "staged_snapshot_id", "counts", "error")}


if __name__ == "__main__":
    start_log("load_events")
    sys.exit(main(sys.argv[1:]))
