"""The permissions of the DAG replay_uploads."""

from __future__ import annotations

from medlaunch import lake
from medlaunch.permissions import Statement
from medlaunch.permissions._needs import (
    below,
    list_lake,
    publish_alerts,
    use_key_for_alerts,
    use_key_for_objects,
    write_reports,
)

_DAG = "replay_uploads"
_LANDING = below(lake.landing_prefix("facilities"))

STATEMENTS = (
    list_lake("plan_replay", "put_back"),
    Statement(
        sid="ReadManifests",
        actions=("s3:GetObject",),
        resources=(below(f"{lake.PROD}/manifests/facility_accreditation/"),),
        steps=("plan_replay",),
        why="Which archived uploads a snapshot was made of.",
    ),
    Statement(
        sid="ReadArchive",
        actions=("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectVersionTagging"),
        resources=(below(f"{lake.ARCHIVE}/facilities/"),),
        steps=("put_back",),
        why="The uploads as they came, in exactly the version that was planned, with their tags.",
    ),
    Statement(
        sid="PutBack",
        actions=("s3:GetObject", "s3:PutObject", "s3:PutObjectTagging"),
        resources=(_LANDING,),
        steps=("put_back",),
        why="What is put back is work to do; what lies there already is left alone.",
    ),
    Statement(
        sid="UseStaging",
        actions=("s3:GetObject", "s3:PutObject"),
        resources=(below(f"{lake.STAGING}/{_DAG}/"),),
        steps=("plan_replay", "put_back", "write_report"),
        why="The plan and its batches, which are carried out as they were made.",
    ),
    write_reports(_DAG),
    publish_alerts(),
    use_key_for_objects("plan_replay"),
    use_key_for_alerts(),
)
