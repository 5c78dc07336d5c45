"""The permissions of the DAG check_freshness."""

from __future__ import annotations

from dataclasses import replace

from medlaunch import lake
from medlaunch.permissions import Statement
from medlaunch.permissions._statements import (
    below,
    list_lake,
    publish_alerts,
    use_key_for_alerts,
    use_key_for_objects,
)
from medlaunch.pipelines import PIPELINES

STATEMENTS = (
    list_lake("check_freshness"),
    Statement(
        sid="ReadPublications",
        actions=("s3:GetObject",),
        resources=tuple(below(lake.publication_prefix(one)) for one in PIPELINES),
        steps=("check_freshness",),
        why="When something was published last.",
    ),
    Statement(
        sid="UpdateFreshnessState",
        actions=("s3:GetObject", "s3:PutObject"),
        resources=(below(f"{lake.FRESHNESS}/"),),
        steps=("check_freshness",),
        why="Whether an alert was sent already.",
    ),
    replace(
        publish_alerts(),
        steps=("check_freshness", "alert"),
        why="One alert when nothing was published for too long, and one per failed run.",
    ),
    use_key_for_objects("check_freshness"),
    replace(use_key_for_alerts(), steps=("check_freshness", "alert")),
)
