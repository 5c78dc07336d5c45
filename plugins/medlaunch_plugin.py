"""The Airflow plugin: notes on runs. What a finished one published and how the lines add up; and on one that
runs, that Airflow pauses the DAG if it fails, which its alert then says too.

It imports nothing of the library. On Amazon MWAA the library travels with the DAGs, and processes that only
load plugins (the scheduler, the web server) never have the DAGs folder on their path.

Airflow calls the listener in the scheduler. It reads what the report task returned, and how the runs
before ended, from the metadata database, which is there already; it touches neither S3 nor the network.
"""

from __future__ import annotations

import sys
from typing import Any

from airflow.listeners import hookimpl
from airflow.models.dagrun import DagRun
from airflow.models.variable import Variable
from airflow.models.xcom import XComModel
from airflow.plugins_manager import AirflowPlugin
from airflow.utils.state import DagRunState
from sqlalchemy import select
from sqlalchemy.orm import object_session

#: Tasks whose answers become the note; write_report may be in several task groups.
REPORT_TASKS = ["write_report", "check_freshness"]
#: Begins the note of a run whose failure makes Airflow pause its DAG.
PAUSES = "If this run fails, Airflow pauses the DAG"
#: Airflow Variable with the id of that run, for each DAG; as in medlaunch.alerts, which asks for it: a task
#: cannot read a note.
PAUSES_VARIABLE = "medlaunch_failure_pauses__"


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:  # noqa: ARG001  # the names are Airflow's
    """Say on the run that its failure would be one too many in a row.

    The same look back as Airflow's own when a run has failed (DagRun._check_last_n_dagruns_failed); a task
    cannot ask for it.
    """
    session = object_session(dag_run)
    limit = dag_run.dag_model.max_consecutive_failed_dag_runs if dag_run.dag_model else 0
    if session is None or not limit or (dag_run.note and not dag_run.note.startswith(PAUSES)):
        return
    before = session.scalars(
        select(DagRun.state)
        .where(DagRun.dag_id == dag_run.dag_id, DagRun.id != dag_run.id)
        .order_by(DagRun.run_after.desc(), DagRun.id.desc())
        .limit(limit - 1)
    ).all()
    if len(before) == limit - 1 and all(state == DagRunState.FAILED for state in before):
        dag_run.note = f"{PAUSES}: the {limit - 1} runs before it failed."
        _remember(session, f"{PAUSES_VARIABLE}{dag_run.dag_id}", dag_run.run_id)
    elif dag_run.note:  # cleared, and the runs before it have changed since
        dag_run.note = None


def _remember(session: Any, key: str, value: str) -> None:
    known = session.scalar(select(Variable).where(Variable.key == key))
    if known is None:
        about = "The run whose failure makes Airflow pause the DAG; written by the MedLaunch plugin"
        session.add(Variable(key=key, val=value, description=about))
    else:
        known.set_val(value)


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:  # noqa: ARG001  # the names are Airflow's
    """Put the report's summary on the run, unless it has a note already."""
    session = object_session(dag_run)
    if session is None or (dag_run.note and not dag_run.note.startswith(PAUSES)):
        return
    query = select(XComModel).where(
        XComModel.dag_id == dag_run.dag_id,
        XComModel.run_id == dag_run.run_id,
        XComModel.key == "return_value",
    )
    found = [one for one in session.scalars(query) if one.task_id.rpartition(".")[2] in REPORT_TASKS]
    if found:
        notes = (XComModel.deserialize_value(one) for one in sorted(found, key=lambda one: one.task_id))
        dag_run.note = "\n\n".join(note for note in notes if note)


class MedLaunchPlugin(AirflowPlugin):
    name = "medlaunch"
    # Links of operators need no entry here: Airflow keeps their addresses when a task ends.
    listeners = [sys.modules[__name__]]  # noqa: RUF012  # as Airflow declares it
