"""
### Purpose
Ends an event day: waits until everything received before its end is in raw, loads all that still waits (late and error
objects of any day included), rolls up, compares the day with earlier weeks, and balances the books record by record.
Beside that it keeps the tables fit: past days in many small files are written again, snapshots older than the undo
window expire, orphaned files go.

This is the DAG to backfill: thirty days in the Backfill dialog are thirty runs, and each derives its day anew from raw,
under the contracts and suites in force, as mode `recompute` does. Only rows that differ move. A day that has been
closed has a run already: choose "All Runs". Runs that ask at about the same time are served by one job: set "Max Active
Runs" to 10, as with the 1 that the dialog starts with each day is a job of its own. The same from the command line:

    airflow backfill create --dag-id close_day --from-date 2026-10-22 --to-date 2026-11-20 \\
      --reprocess-behavior completed --max-active-runs 10

### Reads
The watermark, landings of `raw/`, `late/` and `errors/`, the stream, raw and decisions, the tables.

### Writes
`events.*`, `rollups.*`, `quarantine.rows`, `control.loads`, `control.books`, `control.days`,
`control.day_profiles`, `control.day_checks`; Data Docs under `data-docs/`. Upkeep changes files and no row.

### Params
`day`: the event day, UTC. Empty: a scheduled or backfill run takes the day its interval starts on; a run by hand
balances everything that was received before it was triggered, and closes nothing.
`mode`: `close`, or `recompute` to derive the day anew. A backfill run always does.
`upkeep`: `run`, `dry run` (only says what it would do) or `skip`. A backfill run skips it.

### If it fails
`await_watermark`: the stream or Firehose is behind, docs/runbooks/stream-lag.md. `balance_books`: its message names the
records and the station that lost them, docs/runbooks/books-differ.md. `require_quality`: a table was held,
docs/runbooks/load-held.md. `plan_load`, `plan_rebuild` and `plan_rollups` wait while another writer has one of their
tables, without a worker.
`stage_compaction`, `publish_compaction`, `tidy_tables`: readers are not concerned; the next day tries again. A day that
only looks wrong fails nothing and alerts, docs/runbooks/day-looks-wrong.md.

### Safe to rerun
Yes. Loading again loads nothing twice; the books keep the history of each run; a day is closed once.
"""

from datetime import timedelta

from airflow.sdk import dag

from eventlake_airflow.day_check_tasks import check_day
from eventlake_airflow.day_tasks import (
    DAY_PARAMS,
    await_landings,
    await_watermark,
    balance_books,
    check_landings,
    mark_closed,
    resolve_day,
)
from eventlake_airflow.defaults import Area, Tier, lake_dag
from eventlake_airflow.load_alerts import tell_load, tell_rebuild, tell_rollups
from eventlake_airflow.load_tasks import plan_whole_load, publish_load, require_quality, stage_load
from eventlake_airflow.rebuild_tasks import plan_day_again, publish_rebuild
from eventlake_airflow.rollup_tasks import plan_all_rollups, publish_rollups, stage_rollups
from eventlake_airflow.schedules import SCHEDULES, every
from eventlake_airflow.upkeep_tasks import plan_compaction, publish_compaction, stage_compaction, tidy_tables


@dag(
    schedule=every(SCHEDULES.close),
    doc_md=__doc__,
    params=DAY_PARAMS,
    **lake_dag(
        Tier.DATA_LATE,
        [Area.TABLES, Area.BOOKS],
        # the dialog offers a backfill no more than this
        max_active_runs=10,
        dagrun_timeout=timedelta(hours=12),
        late_after=timedelta(hours=4),
    ),
)
def close_day() -> None:
    day = resolve_day()
    watermark = await_watermark(day)
    landings = await_landings()
    checked = check_landings()
    plan = plan_whole_load(areas=["raw", "late", "errors"])
    staged = stage_load(plan.output)
    outcome = publish_load(plan.output, staged.output)
    told = tell_load(outcome)
    rebuild = plan_day_again()
    staged_rebuild = stage_load(rebuild.output, "stage_rebuild")
    rebuilt = publish_rebuild(rebuild.output, staged_rebuild.output)
    told_rebuild = tell_rebuild(rebuilt)
    compared = check_day(day)
    rollups = plan_all_rollups()
    staged_rollups = stage_rollups(rollups.output)
    rolled_up = publish_rollups(rollups.output, staged_rollups.output)
    told_rollups = tell_rollups(rolled_up)
    books = balance_books(day["day"], watermark.output)
    closed = mark_closed(day, watermark.output, books)
    compaction = plan_compaction(day["upkeep"])
    staged_compaction = stage_compaction(compaction)
    compacted = publish_compaction(compaction, staged_compaction.output)
    tidied = tidy_tables(day["upkeep"])
    gate = require_quality(outcome, rebuilt, rolled_up)

    day >> watermark >> landings >> checked >> plan >> staged >> outcome
    outcome >> rebuild >> staged_rebuild >> rebuilt
    rebuilt >> rollups >> staged_rollups >> rolled_up >> books >> closed >> gate
    rebuilt >> compaction >> staged_compaction >> compacted >> tidied >> gate
    rebuilt >> compared
    [told, told_rebuild, told_rollups, compared] >> gate


close_day()
