"""
### Purpose
Says that an open incident is known: nothing more of it is told before a moment that a person names, unless it gets
worse or is over. Once that moment is past, it is told again if it lasts.

### Reads
The incidents that are open, in the table of leases.

### Writes
End, reason and name of whoever muted, beside the incident; one message to the topic of alerts, for whoever else is on
call.

### Params
`incident`: of the alert, such as `events.payment_events/0123456789ab`. `until`: after now, within 30 days. `reason`: a
sentence; it stands in the message, with your name.

### If it fails
The task's message says what is not right, or which incidents are open: docs/runbooks/dag-failed.md.

### Safe to rerun
Yes: the incident is muted as before, and a second message says so.
"""

from airflow.sdk import dag

from eventlake_airflow.defaults import Area, Tier, lake_dag
from eventlake_airflow.mute_tasks import MUTE_PARAMS, mute_open_incident


@dag(schedule=None, doc_md=__doc__, params=MUTE_PARAMS, **lake_dag(Tier.CARE, [Area.STREAM, Area.TABLES]))
def mute_incident() -> None:
    mute_open_incident()


mute_incident()
