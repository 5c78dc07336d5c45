"""The Airflow plugin: a note on each finished run, what it published and how the lines add up.

It imports nothing of the library. On Amazon MWAA the library travels with the DAGs, and processes that only
load plugins (the scheduler, the web server) never have the DAGs folder on their path.

Airflow calls the listener in the scheduler. It reads what the report task returned from the metadata
database, which is there already; it touches neither S3 nor the network.
"""

from __future__ import annotations

import sys
from typing import Any

from airflow.listeners import hookimpl
from airflow.models.xcom import XComModel
from airflow.plugins_manager import AirflowPlugin
from sqlalchemy.orm import object_session

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


class MedLaunchPlugin(AirflowPlugin):
    name = "medlaunch"
    # Links of operators need no entry here: Airflow keeps their addresses when a task ends.
    listeners = [sys.modules[__name__]]  # noqa: RUF012  # as Airflow declares it
