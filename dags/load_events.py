"""
### Purpose
Loads what landed in `raw/` since the last run into the typed tables `events.*`, one atomic publish a table.

### Reads
Landings that wait (DynamoDB `landings`), their objects under `raw/`, the current definitions (contracts, suites).

### Writes
`events.<type>_events`, `events.uncontracted`, `rollups.*`, `quarantine.rows`, `control.loads`, `control.validations`;
plan and receipts under `control/loads/<load_id>/`; Data Docs under `data-docs/`. Every published
table is an Asset event with its load and days.

### Params
None.

### If it fails
`require_quality` is red when a table was held or a task failed; tables that are not named are published. Held: read the
reasons in `control.loads`, then docs/runbooks/load-held.md. Failed: its message says what to do; then clear that task.

### Safe to rerun
Yes. A retry goes on with the same load, a cleared `plan_load` opens the next generation, and rows that are published
already are not loaded twice.
"""

from datetime import timedelta

from airflow.sdk import dag

from eventlake_airflow.defaults import Area, Tier, lake_dag
from eventlake_airflow.load_alerts import tell_load, tell_rollups
from eventlake_airflow.load_tasks import plan_load, publish_load, require_quality, stage_load
from eventlake_airflow.rollup_tasks import plan_rollups, publish_rollups, stage_rollups
from eventlake_airflow.schedules import SCHEDULES, every


@dag(
    schedule=every(SCHEDULES.load),
    doc_md=__doc__,
    **lake_dag(Tier.DATA_LATE, [Area.TABLES], late_after=timedelta(minutes=50)),
)
def load_events() -> None:
    plan = plan_load(areas=["raw"])
    staged = stage_load(plan)
    outcome = publish_load(plan, staged.output)
    told = tell_load(outcome)
    rollups = plan_rollups()
    staged_rollups = stage_rollups(rollups)
    rolled_up = publish_rollups(rollups, staged_rollups.output)
    told_rollups = tell_rollups(rolled_up)
    gate = require_quality(outcome, rolled_up)

    plan >> staged >> outcome >> rollups >> staged_rollups >> rolled_up >> gate
    [told, told_rollups] >> gate


load_events()
