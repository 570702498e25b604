"""
### Purpose
Decides on what the gate held: a person has looked at it, and says what becomes of it and why.

### Reads
The landings that a load holds, their objects, the current definitions (contracts, suites).

### Writes
The decision, with reason and name, to `control.releases`. Then `events.*`, `rollups.*`, `quarantine.rows`,
`control.loads`, `control.validations`, as a load does; plan and receipts under `control/loads/<load_id>/`; Data Docs
under `data-docs/`.

### Params
`load_id`: the load that holds, from `control.loads` or the alert. `tables`: of these only; empty: all that it holds.
`action`: `gate again`, once the suite or contract is corrected and deployed. `publish anyway`, when the rule is right
but this data is to be seen all the same: what fails is told and not held; what gives no answer is. `supersede`, when it
is never to be seen: the books count it so, and no load and no rebuild takes it. `reason`: a sentence. `dry_run`: on by
default, says what is held.

### If it fails
`plan_release` refuses a load that holds nothing of the kind by name, and waits while another writer has one of its
tables. `require_quality`: the gate held it again, docs/runbooks/load-held.md; the held load is this run's then.

### Safe to rerun
Yes. What was decided once is held no more, and a retry goes on with the same load.
"""

from airflow.sdk import dag

from eventlake_airflow.defaults import Area, Tier, lake_dag
from eventlake_airflow.load_alerts import tell_load, tell_rollups
from eventlake_airflow.load_tasks import publish_load, require_quality, stage_load
from eventlake_airflow.release_tasks import RELEASE_PARAMS, plan_release
from eventlake_airflow.rollup_tasks import plan_rollups, publish_rollups, stage_rollups


@dag(schedule=None, doc_md=__doc__, params=RELEASE_PARAMS, **lake_dag(Tier.CARE, [Area.RAW, Area.TABLES]))
def release_load() -> None:
    plan = plan_release()
    staged = stage_load(plan.output)
    outcome = publish_load(plan.output, staged.output)
    told = tell_load(outcome)
    rollups = plan_rollups()
    staged_rollups = stage_rollups(rollups)
    rolled_up = publish_rollups(rollups, staged_rollups.output)
    told_rollups = tell_rollups(rolled_up)
    gate = require_quality(outcome, rolled_up)

    plan >> staged >> outcome >> rollups >> staged_rollups >> rolled_up >> gate
    [told, told_rollups] >> gate


release_load()
