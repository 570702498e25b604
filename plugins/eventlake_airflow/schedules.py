"""When DAGs run and how patiently they wait: the settings that only DAGs have, each with its variable and default.

Cron expressions in UTC; `none` leaves a DAG to people and to other DAGs. A cron text given to Airflow 3 directly makes
data intervals of no length, so every schedule passes through CronDataIntervalTimetable.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from airflow.sdk import CronDataIntervalTimetable

from eventlake.errors import TerminalError
from eventlake.settings import Settings


@dataclass(frozen=True)
class Schedules:
    """The settings of the DAGs. Loads start at minute 5, so that the hour's last buffers have landed."""

    load: str = "5 * * * *"
    # at midnight, so that the interval of a run is its day; the watermark makes it wait as long as it must
    close: str = "0 0 * * *"
    crawl: str = "15 0 * * *"
    watch: str = "*/10 * * * *"
    audit: str = "0 3 * * *"
    waiter_delay_seconds: int = 30

    @staticmethod
    def from_env(environment: Mapping[str, str]) -> Schedules:
        delay = environment.get("LAKE_WAITER_DELAY_SECONDS", str(Schedules.waiter_delay_seconds))
        if not (delay.isascii() and delay.isdigit() and int(delay) > 0):
            raise TerminalError(
                f"reading setting LAKE_WAITER_DELAY_SECONDS: received {delay!r}; valid is a whole number from 1; "
                "correct or unset it"
            )
        return Schedules(
            load=environment.get("LAKE_LOAD_SCHEDULE", Schedules.load),
            close=environment.get("LAKE_CLOSE_SCHEDULE", Schedules.close),
            crawl=environment.get("LAKE_CRAWL_SCHEDULE", Schedules.crawl),
            watch=environment.get("LAKE_WATCH_SCHEDULE", Schedules.watch),
            audit=environment.get("LAKE_AUDIT_SCHEDULE", Schedules.audit),
            waiter_delay_seconds=int(delay),
        )


# the process environment is read once, when a DAG file or a task imports this: names and numbers, no service
SETTINGS = Settings.from_env(os.environ)
SCHEDULES = Schedules.from_env(os.environ)


def every(cron: str) -> CronDataIntervalTimetable | None:
    """The timetable of a setting above: intervals that end at each tick, or None for `none`."""
    return None if cron.strip().lower() == "none" else CronDataIntervalTimetable(cron, timezone="UTC")
