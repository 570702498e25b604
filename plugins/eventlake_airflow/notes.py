"""Run notes: one line on each run that says what happened, "nothing changed" included.

A task cannot set its run's note in Airflow 3 (workers have no such call), so a task leaves its line as an XCom under
`NOTE_KEY`, and the scheduler's listener (`eventlake_airflow.run_notes`) copies it to the run when the run ends.
"""

from __future__ import annotations

import logging

from airflow.sdk import get_current_context

NOTE_KEY = "run_note"

log = logging.getLogger(__name__)


def note(text: str) -> None:
    """Leave one line about what this task did; the lines of a run, in order, become the run's note."""
    get_current_context()["ti"].xcom_push(key=NOTE_KEY, value=text)
    log.info("Note: %s", text)
