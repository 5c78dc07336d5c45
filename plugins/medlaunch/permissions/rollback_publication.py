"""The permissions of the DAG rollback_publication."""

from __future__ import annotations

from medlaunch import lake
from medlaunch.permissions import Statement
from medlaunch.permissions._needs import (
    RESULTS,
    TABLES,
    below,
    catalog,
    list_lake,
    publish_alerts,
    use_key_for_alerts,
    use_key_for_catalog,
    use_key_for_objects,
    write_reports,
)

_DAG = "rollback_publication"
_PIPELINE = "facility_accreditation"
_MANIFESTS = below(f"{lake.PROD}/manifests/{_PIPELINE}/")

STATEMENTS = (
    list_lake("plan_rollback", "roll_back"),
    Statement(
        sid="ReadManifests",
        actions=("s3:GetObject",),
        resources=(_MANIFESTS, below(lake.version_manifests_prefix(_PIPELINE))),
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
        resources=(_MANIFESTS, below(lake.publication_prefix(_PIPELINE))),
        steps=("roll_back",),
        why="The manifest says what is published; each rollback is recorded.",
    ),
    Statement(
        sid="MarkSupersededResults",
        actions=("s3:PutObjectTagging", "s3:DeleteObjectTagging"),
        resources=RESULTS,
        steps=("roll_back",),
        why="The lifecycle rule spares the files that readers see again, and removes the others.",
    ),
    Statement(
        sid="PointPartitions",
        actions=("glue:GetTable", "glue:UpdatePartition"),
        resources=catalog(*TABLES),
        steps=("roll_back",),
        why="Rolling back is pointing a snapshot's partition at its earlier files.",
    ),
    write_reports(_DAG),
    publish_alerts(),
    use_key_for_objects("plan_rollback"),
    use_key_for_catalog("roll_back"),
    use_key_for_alerts(),
)
