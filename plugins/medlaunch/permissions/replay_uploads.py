"""The permissions of the DAG replay_uploads."""

from __future__ import annotations

from medlaunch import lake
from medlaunch.permissions import Statement
from medlaunch.permissions._statements import (
    below,
    list_lake,
    publish_alerts,
    use_key_for_alerts,
    use_key_for_objects,
    write_reports,
)
from medlaunch.pipelines import PIPELINES

_DAG = "replay_uploads"
_DATASETS = tuple(dataset.name for one in PIPELINES.values() for dataset in one.datasets)

STATEMENTS = (
    list_lake("plan_replay", "restore_uploads"),
    Statement(
        sid="ReadManifests",
        actions=("s3:GetObject",),
        resources=tuple(below(lake.manifests_prefix(one)) for one in PIPELINES),
        steps=("plan_replay",),
        why="Which archived uploads a slice was made of.",
    ),
    Statement(
        sid="ReadArchive",
        actions=("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectVersionTagging"),
        resources=tuple(below(lake.archive_prefix(one)) for one in _DATASETS),
        steps=("restore_uploads",),
        why="The uploads as they came, in exactly the version that was planned, with their tags.",
    ),
    Statement(
        sid="RestoreUploads",
        actions=("s3:GetObject", "s3:PutObject", "s3:PutObjectTagging"),
        resources=tuple(below(lake.landing_prefix(one)) for one in _DATASETS),
        steps=("restore_uploads",),
        why="What is restored is work to do; what is there already is left alone.",
    ),
    Statement(
        sid="UseStaging",
        actions=("s3:GetObject", "s3:PutObject"),
        resources=(below(f"{lake.STAGING}/{_DAG}/"),),
        steps=("plan_replay", "restore_uploads", "write_report"),
        why="The plan and its batches, which are carried out as they were made.",
    ),
    write_reports(lake.reports_prefix(_DAG)),
    publish_alerts(),
    use_key_for_objects("plan_replay"),
    use_key_for_alerts(),
)
