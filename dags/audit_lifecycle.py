"""
### Purpose
Compares three things that should agree: the retention that is declared, the lifecycle rules of the buckets, and what
the objects really are (age, storage class). Names orphaned branches and says how much is stored.

### Reads
Lifecycle rules and listings of the raw and the lake bucket, branches of `events.*`.

### Writes
Nothing but its report (log, XCom, note).

### Params
None.

### If it fails
A finding does not fail the run, it alerts: docs/runbooks/lifecycle-finding.md. A red task could not look: its message
says at what.

### Safe to rerun
Yes: it only looks.
"""

from datetime import timedelta

from airflow.sdk import dag

from eventlake_airflow.audit_tasks import audit_retention
from eventlake_airflow.defaults import Area, Tier, lake_dag
from eventlake_airflow.schedules import SCHEDULES, every


@dag(
    schedule=every(SCHEDULES.audit),
    doc_md=__doc__,
    **lake_dag(Tier.CARE, [Area.RAW, Area.TABLES], late_after=timedelta(hours=1)),
)
def audit_lifecycle() -> None:
    audit_retention()


audit_lifecycle()
