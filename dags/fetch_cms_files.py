"""Fetch CMS files: new and changed files of public catalogues go to landing, as if someone had uploaded them.

Looks once a week (`MEDLAUNCH_FETCH_CRON`): CMS publishes staffing every quarter and provider information every month.
Each server is asked for one thing at a time, with a pause, and left alone for as long as it says. A file that was
fetched before is not fetched again, however long ago it was archived, unless its source says that it changed. A download
that breaks off goes on where it stopped, also in a later run, and lands as a whole, with the checksums that the source
announces. What lands starts the pipeline that takes it, as any upload does.

The DAG is created paused: to unpause it is to allow downloads. It needs a way to the internet
(`docs/deploy.md`, *Fetch files from CMS*).

**Sources**: without configuration, the catalogues of data.cms.gov in `medlaunch.pipelines.cms_files`. The Airflow
Variable `medlaunch_fetch_sources`, a JSON list that is read when a run starts, replaces them:

`[{"kind": "catalogue", "name": "cms-data", "url": "https://data.cms.gov/data.json", "hosts": [], "wanted": [{"title":
"Payroll Based Journal Daily Nurse Staffing", "dataset": "pbj", "extensions": [".csv", ".zip"]}]}, {"kind": "drive",
"name": "partner", "folder_id": "...", "dataset": "pbj", "extensions": [".csv"], "conn_id": "google_drive"}]`

The key of a shared Google Drive folder is the password of the Airflow connection that its source names.

**Params**

| param | meaning | default |
|---|---|---|
| `sources` | names of sources | all |
| `dataset` | files of one dataset only | all |
| `since` | leave out files that the source changed before this day | empty |
| `limit` | how many files one run fetches, oldest first; the next run takes the rest | 100 |
| `dry_run` | only say what would be fetched | off |

Example conf: `{"dataset": "pbj", "since": "2024-01-01", "dry_run": true}`

**Outputs**: objects in `landing/<dataset>/<source>/`, one small document per file in `fetched/`, a report in
`reports/fetch_cms_files/` and the run's note.

**Permissions** of the workers' role, one statement per need; declared in `medlaunch.permissions`:

{permissions}

**When it fails**: `docs/runbooks/fetch_cms_files_failed.md`. A source or file that is broken does not stop the others;
the next run takes what is missing.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import Param, dag

from medlaunch import permissions
from medlaunch.operate import alerts, tools
from medlaunch.pipelines.cms_files import FETCHED_DATASETS
from medlaunch.settings import settings


@dag(
    dag_display_name="Fetch CMS files",
    description="Fetches new and changed files from public catalogues into landing",
    schedule=settings().fetch_cron,
    is_paused_upon_creation=True,
    **tools.dag_settings(dagrun_timeout=timedelta(hours=24)),
    params={
        "sources": Param(
            None,
            type=["null", "array"],
            items={"type": "string"},
            title="Sources",
            description="Names of sources, one per line; empty: all.",
        ),
        "dataset": Param(
            None,
            type=["null", "string"],
            enum=[None, *FETCHED_DATASETS],
            title="Dataset",
            description="Only files of this dataset; empty: all.",
        ),
        "since": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Since",
            description="Leave out files that their source changed before this day.",
        ),
        "limit": Param(
            100,
            type="integer",
            minimum=1,
            maximum=1000,
            title="Limit",
            description="How many files this run fetches, oldest first; the next run takes the rest.",
        ),
        "dry_run": tools.dry_run_param(default=False),
    },
    doc_md=permissions.documented(__doc__, permissions.of("fetch_cms_files")),
)
def fetch_cms_files() -> None:
    listed = tools.list_files(tools.choose_sources())
    planned = tools.plan_fetch()
    fetched, reported = tools.fetch_files(planned), tools.report_fetch()
    listed >> planned
    [planned, fetched] >> reported
    [listed, fetched, reported] >> alerts.alert()


fetch_cms_files()
