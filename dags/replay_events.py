"""
### Purpose
Derives event days of chosen types anew from raw, by hand: after a contract has changed, after code was fixed, or to see
that nothing would change. Only rows that differ move; a name that has got a contract moves to its table.

### Reads
Landings of `raw/`, `late/` and `errors/` that were loaded and hold events of these days; the current definitions.

### Writes
The days that differ of `events.*`, each table in one replacing snapshot; `rollups.*`, `quarantine.rows`,
`control.loads`, `control.validations`; plan and receipts under `control/loads/<load_id>/`; Data Docs under
`data-docs/`.

### Params
`mode`: `rebuild`. `types`: event types that have a contract; empty: all, and the names without a contract.
`first_day`, `last_day`: event days, UTC, both included. `dry_run`: on by default, says what would be read again. What
is more raw than one load may take is refused: backfill `close_day` instead, whose runs take day after day.

### If it fails
`plan_rebuild` waits while another writer has one of its tables; hourly loads of other types go on. `require_quality`: a
table was held, its rows stand as they stood, docs/runbooks/load-held.md; or somebody wrote it meanwhile, then clear
`plan_rebuild`.

### Safe to rerun
Yes. A rebuild that finds everything as it should be moves no snapshot.
"""

from airflow.sdk import dag

from eventlake_airflow.defaults import Area, Tier, lake_dag
from eventlake_airflow.load_alerts import tell_rebuild, tell_rollups
from eventlake_airflow.load_tasks import require_quality, stage_load
from eventlake_airflow.rebuild_tasks import REPLAY_PARAMS, plan_replay, publish_rebuild
from eventlake_airflow.rollup_tasks import plan_rollups, publish_rollups, stage_rollups


@dag(schedule=None, doc_md=__doc__, params=REPLAY_PARAMS, **lake_dag(Tier.CARE, [Area.RAW, Area.TABLES]))
def replay_events() -> None:
    rebuild = plan_replay()
    staged = stage_load(rebuild.output, "stage_rebuild")
    rebuilt = publish_rebuild(rebuild.output, staged.output)
    told_rebuild = tell_rebuild(rebuilt)
    rollups = plan_rollups()
    staged_rollups = stage_rollups(rollups)
    rolled_up = publish_rollups(rollups, staged_rollups.output)
    told_rollups = tell_rollups(rolled_up)
    gate = require_quality(rebuilt, rolled_up)

    rebuild >> staged >> rebuilt >> rollups >> staged_rollups >> rolled_up >> gate
    [told_rebuild, told_rollups] >> gate


replay_events()
