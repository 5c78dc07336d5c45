"""Example of a downstream DAG: how many accreditations of each accrediting body expire soon.

Starts when `expiring_accreditations` is published or rolled back, and counts the slices that changed, and no others.
It needs nothing of MedLaunch but the name of the table, read access to it, and a workgroup.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.athena import AthenaHook
from airflow.providers.amazon.aws.operators.athena import AthenaOperator
from airflow.sdk import Asset, dag, get_current_context, task

log = logging.getLogger(__name__)

BUCKET = os.environ.get("MEDLAUNCH_BUCKET", "medlaunch-local")
# Name and URI of the published asset. With Asset.ref(name=...) Airflow 3.3 starts the run too, but without its events.
TABLE = Asset(name="expiring_accreditations", uri=f"s3://{BUCKET}/prod/expiring_accreditations/")
DATABASE = os.environ.get("MEDLAUNCH_DATABASE", "medlaunch")
WORKGROUP = os.environ.get("MEDLAUNCH_WORKGROUP", "medlaunch")

COUNT = """
SELECT accreditation_body, count(*) AS accreditations, min(valid_until) AS first_day
FROM expiring_accreditations
WHERE snapshot_date = DATE '{day}'
GROUP BY accreditation_body
ORDER BY accreditations DESC, accreditation_body
"""


@task
def queries_of_new_slices() -> list[str]:
    """One statement for each slice that the events name."""
    events = get_current_context()["triggering_asset_events"][TABLE]
    slices = {slice_ for event in events for slice_ in (event.extra or {}).get("slices", ())}
    # Whatever is in an event: only a date reaches the statement.
    return [COUNT.format(day=date.fromisoformat(slice_)) for slice_ in sorted(slices)]


@task
def report(query_ids: Any) -> list[list[str]]:
    """The rows of all queries: body, accreditations, first day on which one of them expires."""
    athena = AthenaHook()
    rows = []
    for query_id in query_ids:
        pages = athena.get_query_results_paginator(query_id) or ()
        _header, *body = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
        rows += [[cell.get("VarCharValue", "") for cell in row] for row in body]
    for name, accreditations, first_day in rows:
        log.info("%s: %s expire soon, the first on %s", name or "unknown", accreditations, first_day)
    return rows


@dag(
    schedule=[TABLE],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["example"],
    doc_md=__doc__,
)
def expiring_by_body() -> None:
    counted = AthenaOperator.partial(
        task_id="count", database=DATABASE, workgroup=WORKGROUP, sleep_time=2
    ).expand(query=queries_of_new_slices())
    report(counted.output)


expiring_by_body()
