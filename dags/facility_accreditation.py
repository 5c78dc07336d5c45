"""Facility accreditation: from uploads to published results.

Reads facility records from `landing/facilities/<YYYY-MM-DD>/`, and publishes for each snapshot the metrics
of each facility, the rejected lines, the accredited facilities of each state, and the accreditations that
expire soon. A snapshot is published as a whole or not at all; a late or corrected upload publishes its
snapshot anew.

**Params**

| param | meaning | default |
|---|---|---|
| `as_of` | day on which accreditations are looked at, `YYYY-MM-DD` | today in UTC |
| `expiry_window` | ISO-8601 duration from `as_of` on, both ends included: `P6M` months, `P180D` days | `P6M` |
| `expect_shrink` | a snapshot may lose more facilities than `MEDLAUNCH_MAX_SHRINK_SHARE` allows | off |

Example conf: `{"as_of": "2026-11-20", "expiry_window": "P180D"}`

**Outputs** (below `s3://<bucket>/prod/`, tables and views of the Glue database)

| table or view | what |
|---|---|
| `facility_metrics` | one row an accepted facility and snapshot |
| `facility_rejects` | one row a rejected line, with its reasons |
| `accredited_facilities_by_state` | counts, also as a CSV export |
| `expiring_accreditations`, `expiring_facilities` | what expires within the window, also as CSV and NDJSON |
| `current_*` | the same for the newest snapshot |

Rejected lines lie in `quarantine/`, the account of every line in `reports/facility_accreditation/`.

**Permissions** of the workers' role, one statement a need; declared in `medlaunch.permissions`:

{permissions}

**When it fails**: one alert names the failed tasks and the runbook `docs/runbooks/facility_accreditation_failed.md`.
Nothing that is published changes in a failed run and the uploads stay in landing, so clearing the failed
task, or the next run, continues the work.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.glue_catalog import GlueCatalogHook
from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.sdk import Param, TriggerRule, chain, dag, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowFailException

from medlaunch import alerts, checks, exports, lake, landing, permissions, publish, reports, schedules, steps
from medlaunch.accreditation import load, window_end
from medlaunch.athena import (
    STATISTICS,
    AthenaPrepareOperator,
    AthenaSqlOperator,
    client_config,
    client_options,
    read_result,
)
from medlaunch.pipelines import FACILITY_ACCREDITATION
from medlaunch.runs import current_run
from medlaunch.settings import settings
from medlaunch.sql import statements

RESULTS = FACILITY_ACCREDITATION.results
DAG_ID, DATASET = FACILITY_ACCREDITATION.dag_id, FACILITY_ACCREDITATION.dataset
SQL = DAG_ID
TABLES = FACILITY_ACCREDITATION.assets()


@task
def claim_uploads(params: dict[str, Any]) -> list[int]:
    """List all that lies in landing, tell data from what is not, and write the run's batch manifest.

    Returns the numbers of the groups of uploads to load. Fails at once on params that cannot be used.
    """
    config = settings()
    try:
        as_of = lake.parse_date(params["as_of"]) if params["as_of"] else datetime.now(UTC).date()
        window_end(as_of, params["expiry_window"])
    except ValueError as error:
        raise AirflowFailException(f"The run's params cannot be used: {error}") from error
    batch = landing.claim(
        current_run(),
        dataset=DATASET,
        as_of=as_of,
        expiry_window=params["expiry_window"],
        max_files=config.max_files_per_run,
        max_snapshots=config.max_snapshots_per_run,
        max_groups=config.max_load_groups,
        group_bytes=config.load_group_bytes,
    )
    return list(range(batch.groups))


@task(
    map_index_template="{{ group_label }}",
    # A mapped task does not take its function's docstring.
    doc_md="""Reads the uploads of one group, applies the rules line by line, and writes canonical lines to bronze.

Rejected lines go to quarantine with their reason. An upload that changed meanwhile is left for the next run;
one that cannot be read at all is set aside.""",
)
def load_bronze(group: int) -> None:
    run = current_run()
    uploads = run.get(landing.group_name(group), list[landing.Upload])
    size = sum(upload.size for upload in uploads)
    label: dict[str, Any] = {"group_label": f"{len(uploads)} files, {size / 1e6:,.1f} MB"}
    get_current_context().update(label)  # type: ignore[typeddict-item]
    reference = settings().include_dir / "reference"
    run.put(landing.loaded_name(group), landing.load_group(run, DATASET, uploads, load, reference))


@task.short_circuit(ignore_downstream_trigger_rules=False)
def plan_snapshots() -> dict[str, Any]:
    """Decide which snapshots are computed, and from which uploads: this run's and the published ones.

    Returns what the SQL needs to know of the run. Without any row to publish the rest is skipped; only
    the report is written and landing is cleared.
    """
    run = current_run()
    batch = run.get(landing.BATCH, landing.Batch)
    plans = publish.plan(run, batch, landing.read_loaded(run, batch))
    if not plans:
        return {}
    return {
        "as_of": f"{batch.as_of}",
        "window_end": f"{window_end(batch.as_of, batch.expiry_window)}",
        "snapshots": [f"{one.snapshot}" for one in plans],
    }


@task
def filter_expiring() -> None:
    """Find the accreditations that expire within the window, and their facilities, snapshot by snapshot.

    The same code as `python -m medlaunch.accreditation`.
    """
    run = current_run()
    exports.write_expiring(run, run.get(landing.BATCH, landing.Batch))


@task
def export_state_counts(ti: Any) -> None:
    """Write the counts per state as CSV: RFC 4180, one header line, sorted by state."""
    exports.write_state_counts(current_run(), read_result(ti.xcom_pull(task_ids="count.read_state_counts")))


@task
def check_results(ti: Any) -> None:
    """Compare the loader's account of every line with Athena's, and the snapshots with what is published.

    Nothing is published unless the accounts agree, and no snapshot has lost more facilities than it may.
    """
    run = current_run()
    line_counts = {
        (row["upload_id"], row["outcome"]): int(row["lines"])
        for row in read_result(ti.xcom_pull(task_ids="count.count_lines"))
    }
    result_rows = {
        (row["result"], date.fromisoformat(row["snapshot_date"])): (
            int(row["result_rows"]),
            int(row["facilities"]),
        )
        for row in read_result(ti.xcom_pull(task_ids="count.count_results"))
    }
    plans = run.get(publish.PLANS, list[checks.SnapshotPlan])
    try:
        account = checks.settle(plans, line_counts, result_rows, exports.read_filter_counts(run))
        checks.check_volume(
            plans,
            account,
            settings().max_shrink_share,
            expected=get_current_context()["params"]["expect_shrink"],
        )
    except checks.CheckFailed as error:
        raise AirflowFailException(str(error)) from error
    run.put(publish.ACCOUNT, account)


@task(outlets=list(TABLES.values()))
def publish_results(outlet_events: Any) -> None:
    """Copy the results to prod on the server side, then switch each snapshot to its new files."""
    run, config = current_run(), settings()
    try:
        manifests = publish.publish(
            run,
            GlueCatalogHook(aws_conn_id=config.aws_conn_id, config=client_config()).get_conn(),
            database=config.database,
            batch=run.get(landing.BATCH, landing.Batch),
            plans=run.get(publish.PLANS, list[checks.SnapshotPlan]),
            account=run.get(publish.ACCOUNT, checks.Account),
            results=RESULTS,
        )
    except (publish.PublishedMeanwhile, publish.NotATable) as error:
        raise AirflowFailException(str(error)) from error
    for result in RESULTS:
        if result.table:
            outlet_events[TABLES[result.table]].extra = {
                "rows": sum(one.results[result.name].rows for one in manifests),
                "snapshots": [f"{one.snapshot_date}" for one in manifests],
                "run": run.key,
            }


@task(trigger_rule=TriggerRule.NONE_FAILED)
def write_report(ti: Any) -> str:
    """Write the account of every file and line to reports/; returns a summary, which becomes the run's note."""
    queries = [
        {"task": task_id, **query}
        for task_id in QUERIES
        for query in ti.xcom_pull(task_ids=task_id, key=STATISTICS) or ()
    ]
    run = current_run()
    report = reports.write(run, queries, steps.times(get_current_context()))
    ti.xcom_push(alerts.REPORT, {"outcome": report.outcome, "key": lake.report_key(run.dag_id, run.key)})
    return report.summary()


@task(trigger_rule=TriggerRule.NONE_FAILED)
def acknowledge_uploads() -> None:
    """Move what was processed out of landing, exactly the versions that were read."""
    run = current_run()
    batch = run.get(landing.BATCH, landing.Batch)
    landing.acknowledge(run, batch, landing.read_loaded(run, batch))


@task_group
def extract() -> None:
    """Athena computes the results from bronze, into the run's own staging prefix."""
    facilities = AthenaSqlOperator(
        task_id="extract_facilities",
        sql=f"{SQL}/extract_facilities.sql",
        values_from="plan_snapshots",
        writes="facilities",
        doc_md="One record a facility and snapshot: of all accepted lines, the one that was said last.",
    )
    metrics = AthenaSqlOperator(
        task_id="extract_metrics",
        sql=f"{SQL}/extract_metrics.sql",
        values_from="plan_snapshots",
        writes="facility_metrics",
        doc_md="Metrics of each accepted facility.",
    )
    AthenaSqlOperator(
        task_id="extract_rejects",
        sql=f"{SQL}/extract_rejects.sql",
        values_from="plan_snapshots",
        writes="facility_rejects",
        doc_md="Rejected lines, each with its reasons.",
    )
    by_state = AthenaSqlOperator(
        task_id="count_by_state",
        sql=f"{SQL}/count_by_state.sql",
        values={"states": exports.states()},
        values_from="plan_snapshots",
        writes="accredited_facilities_by_state",
        doc_md="Facilities and accredited facilities of each state.",
    )
    expiring = AthenaSqlOperator(
        task_id="extract_expiring",
        sql=f"{SQL}/extract_expiring.sql",
        values_from="plan_snapshots",
        writes="expiring_accreditations",
        doc_md="Accreditations that expire within the window, as a table; `check_results` compares it with the filter.",
    )
    facilities >> [metrics, by_state, expiring, filter_expiring()]


@task_group
def count() -> None:
    """Athena counts what it read and what it wrote, in the files that are about to be published."""
    AthenaSqlOperator(
        task_id="count_lines",
        sql=f"{SQL}/count_lines.sql",
        values_from="plan_snapshots",
        doc_md="What became of the lines of each upload.",
    )
    AthenaSqlOperator(
        task_id="count_results",
        sql=f"{SQL}/count_results.sql",
        values_from="plan_snapshots",
        doc_md="Rows of each result.",
    )
    (
        AthenaSqlOperator(
            task_id="read_state_counts",
            sql=f"{SQL}/read_state_counts.sql",
            values_from="plan_snapshots",
            doc_md="The counts per state, for the CSV export.",
        )
        >> export_state_counts()
    )


QUERIES = [
    "prepare_tables",
    "extract.extract_facilities",
    "extract.extract_metrics",
    "extract.extract_rejects",
    "extract.count_by_state",
    "extract.extract_expiring",
    "count.count_lines",
    "count.count_results",
    "count.read_state_counts",
]


@dag(
    DAG_ID,
    dag_display_name="Facility accreditation",
    description="From uploads of facility records to published metrics, counts by state and what expires soon",
    schedule=schedules.on_uploads(DATASET),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    max_consecutive_failed_dag_runs=5,
    dagrun_timeout=timedelta(seconds=settings().dagrun_timeout_seconds),
    on_failure_callback=alerts.alert_if_nobody_did,
    on_success_callback=alerts.on_success(),
    default_args=schedules.task_defaults(),
    params={
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date",
            title="As of",
            description="Day on which accreditations are looked at. Empty: today in UTC.",
        ),
        "expiry_window": Param(
            "P6M",
            type="string",
            pattern=r"^P(\d+W|(?=\d)(\d+Y)?(\d+M)?(\d+D)?)$",
            title="Expiry window",
            description="ISO-8601 duration from as_of on, both ends included: P6M, P180D.",
        ),
        "expect_shrink": Param(
            False,
            type="boolean",
            title="Expect fewer facilities",
            description="On: a snapshot may lose more of its facilities than MEDLAUNCH_MAX_SHRINK_SHARE allows.",
        ),
    },
    tags=["accreditation", "athena", "medlaunch"],
    doc_md=permissions.documented(__doc__, DAG_ID),
)
def facility_accreditation() -> None:
    wait_for_uploads = S3KeySensor(
        task_id="wait_for_uploads",
        bucket_name=settings().bucket,
        bucket_key=f"{lake.landing_prefix(DATASET)}*",
        wildcard_match=True,
        deferrable=True,
        poke_interval=settings().sensor_poke_seconds,
        timeout=settings().sensor_timeout_seconds,
        soft_fail=True,
        aws_conn_id=settings().aws_conn_id,
        botocore_config=client_options(),
        doc_md="Waits, without a worker slot, until anything lies in landing.",
    )
    prepare_tables = AthenaPrepareOperator(
        task_id="prepare_tables",
        stages=[
            [f"{SQL}/database.sql"],
            statements(f"{SQL}/tables"),
            # Views of what is current read the other ones.
            [name for name in statements(f"{SQL}/views") if "/current_" not in name],
            [name for name in statements(f"{SQL}/views") if "/current_" in name],
        ],
        doc_md="Creates the database, tables and views that do not exist yet.",
    )
    groups = claim_uploads()
    loaded = load_bronze.expand(group=groups)
    extracted, counted = extract(), count()
    acknowledged = acknowledge_uploads()
    chain(
        wait_for_uploads,
        groups,
        loaded,
        plan_snapshots(),
        prepare_tables,
        extracted,
        counted,
        check_results(),
        publish_results(),
        write_report(),
        acknowledged,
    )
    [loaded, extracted, counted, acknowledged] >> alerts.alert()


facility_accreditation()
