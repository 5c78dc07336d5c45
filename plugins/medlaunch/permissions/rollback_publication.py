"""The permissions of the DAG rollback_publication."""

from __future__ import annotations

from medlaunch import lake
from medlaunch.permissions import Statement
from medlaunch.permissions._statements import (
    below,
    catalog,
    iceberg_results,
    list_lake,
    merge_slices,
    partitioned_tables,
    publish_alerts,
    results,
    stop_queries,
    use_athena,
    use_key_for_alerts,
    use_key_for_catalog,
    use_key_for_objects,
    write_reports,
)
from medlaunch.pipelines import PIPELINES

_DAG = "rollback_publication"
_MANIFESTS = tuple(below(lake.manifests_prefix(one)) for one in PIPELINES)
_VERSIONS = tuple(below(lake.version_manifests_prefix(one)) for one in PIPELINES)
_PUBLICATIONS = tuple(below(lake.publication_prefix(one)) for one in PIPELINES)
_RESULTS = tuple(one for pipeline in PIPELINES.values() for one in results(pipeline))
_TABLES = tuple(one for pipeline in PIPELINES.values() for one in partitioned_tables(pipeline))
_ICEBERG = tuple(one for pipeline in PIPELINES.values() for one in iceberg_results(pipeline))

STATEMENTS = (
    list_lake("plan_rollback", "roll_back"),
    Statement(
        sid="ReadManifests",
        actions=("s3:GetObject",),
        resources=(*_MANIFESTS, *_VERSIONS),
        steps=("plan_rollback", "roll_back"),
        why="What readers see, and what they saw before.",
    ),
    Statement(
        sid="UseStaging",
        actions=("s3:GetObject", "s3:PutObject"),
        resources=(below(f"{lake.STAGING}/{_DAG}/"),),
        steps=("plan_rollback", "roll_back", "write_report"),
        why="The plan, which is carried out as it was made.",
    ),
    Statement(
        sid="SwitchManifests",
        actions=("s3:PutObject",),
        resources=(*_MANIFESTS, *_PUBLICATIONS),
        steps=("roll_back",),
        why="The manifest says what is published; each rollback is recorded.",
    ),
    Statement(
        sid="MarkSupersededResults",
        actions=("s3:PutObjectTagging", "s3:DeleteObjectTagging"),
        resources=_RESULTS,
        steps=("roll_back",),
        why="The lifecycle rule spares the files that readers see again, and removes the others.",
    ),
    Statement(
        sid="PointPartitions",
        actions=("glue:UpdatePartition",),
        resources=catalog(*_TABLES),
        steps=("roll_back",),
        why="Rolling back is pointing a slice's partition at its earlier files.",
    ),
    Statement(
        sid="ReadTables",
        actions=("glue:GetTable",),
        resources=catalog("*"),
        steps=("plan_rollback", "roll_back"),
        why="The columns of a table, where it lies, and the history of an Iceberg table, which has a name of its own.",
    ),
    write_reports(lake.reports_prefix(_DAG)),
    publish_alerts(),
    use_key_for_objects("plan_rollback"),
    use_key_for_catalog("roll_back"),
    use_key_for_alerts(),
    *use_athena("plan_rollback", "roll_back"),
    stop_queries("plan_rollback: on_kill", "roll_back: on_kill"),
    Statement(
        sid="CommitToTables",
        actions=("glue:UpdateTable",),
        resources=catalog(*(one.table for one in _ICEBERG)),
        steps=("roll_back",),
        why="An Iceberg table is rolled back by a MERGE, which commits to the catalog.",
    ),
    *merge_slices(_ICEBERG, "roll_back", reading=("plan_rollback",)),
)
