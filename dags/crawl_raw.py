"""
### Purpose
Refreshes the Glue catalog of raw, late and decisions for whoever queries them there, and compares what the crawlers saw
in the folders of the last days with the contracts, subtype by subtype. Loads do not wait for it: contracts decide, a
crawler only looks.

### Reads
Objects under `raw/`, `late/` and `decisions/` (the crawlers), the catalog's tables and partitions, the current
contracts, some lines of raw where something is new or breaks.

### Writes
Tables of the Glue databases `raw` and `decisions`, `control.crawls`, patches of contracts under
`control/contract-patches/`.

### Params
None.

### If it fails
A red crawl names the crawler and Glue's reason. Drift does not fail the run: additive drift is in the note, with
patches that `make contract PATCH=...` puts into the contracts; breaking drift alerts, docs/runbooks/contract-drift.md.

### Safe to rerun
Yes: a crawl that runs already is adopted.
"""

from datetime import timedelta

from airflow.sdk import dag

from eventlake_airflow.crawl_tasks import report_drift
from eventlake_airflow.defaults import Area, Tier, lake_dag
from eventlake_airflow.operators import Crawl
from eventlake_airflow.schedules import SCHEDULES, SETTINGS, every


@dag(schedule=every(SCHEDULES.crawl), doc_md=__doc__, **lake_dag(Tier.CARE, [Area.RAW], late_after=timedelta(hours=2)))
def crawl_raw() -> None:
    crawls = [
        Crawl(task_id="crawl_raw_events", crawler_name=SETTINGS.raw_crawler),
        Crawl(task_id="crawl_late_events", crawler_name=SETTINGS.late_crawler),
        Crawl(task_id="crawl_decisions", crawler_name=SETTINGS.decisions_crawler),
    ]

    crawls >> report_drift()


crawl_raw()
