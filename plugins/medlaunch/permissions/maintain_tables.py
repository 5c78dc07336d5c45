"""The permissions of the DAG maintain_tables."""

from __future__ import annotations

from medlaunch import lake
from medlaunch.permissions import Statement
from medlaunch.permissions._statements import (
    below,
    catalog,
    iceberg_results,
    list_lake,
    merge_slices,
    publish_alerts,
    stop_queries,
    use_athena,
    use_key_for_alerts,
    use_key_for_catalog,
    use_key_for_objects,
    write_reports,
)
from medlaunch.pipelines import PIPELINES

_DAG, _TASK = "maintain_tables", "maintain_table"
_ICEBERG = tuple(one for pipeline in PIPELINES.values() for one in iceberg_results(pipeline))

STATEMENTS = (
    list_lake(_TASK),
    Statement(
        sid="UseStaging",
        actions=("s3:GetObject", "s3:PutObject"),
        resources=(below(f"{lake.STAGING}/{_DAG}/"),),
        steps=(_TASK, "write_report"),
        why="What became of each table, for the report.",
    ),
    Statement(
        sid="ReadTables",
        actions=("glue:GetTable",),
        resources=catalog("*"),
        steps=(_TASK,),
        why="Whether a table is there, where it lies, and its history, which has a name of its own.",
    ),
    Statement(
        sid="CommitToTables",
        actions=("glue:UpdateTable",),
        resources=catalog(*(one.table for one in _ICEBERG)),
        steps=(_TASK,),
        why="OPTIMIZE and VACUUM commit to the catalog.",
    ),
    *merge_slices(_ICEBERG, _TASK),
    Statement(
        sid="RemoveFilesOfOldSnapshots",
        actions=("s3:DeleteObject",),
        resources=tuple(below(f"{lake.PROD}/{one.table}/") for one in _ICEBERG),
        steps=(_TASK,),
        why="VACUUM removes files that no snapshot needs. The bucket keeps what was deleted for as long as its lifecycle "
        "rule says.",
    ),
    write_reports(lake.reports_prefix(_DAG)),
    publish_alerts(),
    use_key_for_objects(_TASK),
    use_key_for_catalog(_TASK),
    use_key_for_alerts(),
    *use_athena(_TASK),
    stop_queries(f"{_TASK}: on_kill"),
)
