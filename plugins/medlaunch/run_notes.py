"""A note on each finished run: what it published and how the lines add up, in the list of runs.

Airflow calls this listener in the scheduler. It reads what the report task returned from the metadata
database, which is there already; it touches neither S3 nor the network.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.listeners import hookimpl
from airflow.models.xcom import XComModel
from sqlalchemy.orm import object_session

log = logging.getLogger(__name__)

REPORT_TASK = "write_report"


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:  # noqa: ARG001  # the names are Airflow's
    """Put the report's summary on the run, unless somebody wrote a note of their own."""
    session = object_session(dag_run)
    if session is None or dag_run.note:
        return
    query = XComModel.get_many(
        run_id=dag_run.run_id, dag_ids=dag_run.dag_id, task_ids=REPORT_TASK, key="return_value", limit=1
    )
    if (found := session.scalars(query).first()) is not None:
        dag_run.note = XComModel.deserialize_value(found)
