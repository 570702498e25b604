"""A listener of the scheduler: when a run ends, what its tasks noted becomes the note that the UI shows on the run.

What belongs in here: that copy, and nothing that may fail a run. It runs in the scheduler's own session, which commits.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.listeners import hookimpl
from sqlalchemy import select
from sqlalchemy.orm import object_session

from eventlake_airflow.notes import NOTE_KEY

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

# the column holds this many
NOTE_LENGTH = 1000

log = logging.getLogger(__name__)


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:
    write_note(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    write_note(dag_run)


def write_note(dag_run: DagRun) -> None:
    """Copy the tasks' lines to the run. A note that a person wrote stays; one of an earlier end gives way."""
    from airflow.models.xcom import XComModel

    session = object_session(dag_run)
    former = dag_run.dag_run_note
    if session is None or (former is not None and former.user_id is not None):
        return
    query = (
        select(XComModel)
        .where(XComModel.dag_id == dag_run.dag_id, XComModel.run_id == dag_run.run_id, XComModel.key == NOTE_KEY)
        .order_by(XComModel.timestamp)
    )
    lines = [str(XComModel.deserialize_value(row)) for row in session.scalars(query)]
    if lines:
        dag_run.note = "\n".join(lines)[:NOTE_LENGTH]
