"""The Airflow plugin: buttons on tasks that open their results on S3, and notes on finished runs."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from medlaunch import run_notes
from medlaunch.athena import S3ResultsLink


class MedLaunchPlugin(AirflowPlugin):
    name = "medlaunch"
    operator_extra_links = [S3ResultsLink()]  # noqa: RUF012  # as Airflow declares them
    listeners = [run_notes]  # noqa: RUF012
