"""The permissions of the DAG fetch_cms_files."""

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
from medlaunch.pipelines.cms_files import FETCHED_DATASETS

_DAG = "fetch_cms_files"

STATEMENTS = (
    list_lake("list_files", "fetch_file"),
    Statement(
        sid="RememberFetchedFiles",
        actions=("s3:GetObject", "s3:PutObject"),
        resources=(below(f"{lake.FETCHED}/"),),
        steps=("list_files", "fetch_file"),
        why="What was fetched last of each file, so that it is not fetched again.",
    ),
    Statement(
        sid="LandFiles",
        actions=("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"),
        resources=tuple(below(lake.landing_prefix(one)) for one in FETCHED_DATASETS),
        steps=("fetch_file",),
        why="What is fetched is work to do; what waits there already is not landed twice.",
    ),
    Statement(
        sid="FindArchivedFiles",
        actions=("s3:GetObject",),
        resources=tuple(below(lake.archive_prefix(one)) for one in FETCHED_DATASETS),
        steps=("fetch_file",),
        why="What was processed already is not landed twice.",
    ),
    Statement(
        sid="UseStaging",
        actions=("s3:GetObject", "s3:PutObject"),
        resources=(below(f"{lake.STAGING}/{_DAG}/"),),
        steps=("choose_sources", "list_files", "plan_fetch", "fetch_file", "write_report"),
        why="The documents of the run, and what has come of files that are being fetched.",
    ),
    Statement(
        sid="ForgetParts",
        actions=("s3:DeleteObject",),
        resources=(below(lake.parts_root(_DAG)),),
        steps=("fetch_file",),
        why="What has come of a file goes when the file has landed, or begins again.",
    ),
    write_reports(lake.reports_prefix(_DAG)),
    publish_alerts(),
    use_key_for_objects("choose_sources", "list_files"),
    use_key_for_alerts(),
)
