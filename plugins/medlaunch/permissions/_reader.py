"""The permissions of readers: analysts, and the dashboard. Published tables and views, through Athena, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from medlaunch import lake
from medlaunch.permissions import Statement
from medlaunch.permissions._statements import below, catalog, use_key_for_catalog, use_key_for_objects
from medlaunch.pipelines import PIPELINES

_QUERIES = "queries of readers"


def published(sql: Path) -> list[str]:
    """The results that readers may read: all but those of the layer below (``silver_*``) that no view reads.

    ``sql`` is the folder of statements.
    """
    found: list[str] = []
    for pipeline in PIPELINES.values():
        views = "\n".join(
            re.sub("--.*", "", file.read_text(encoding="utf-8"))
            for file in sorted((sql / pipeline.dag_id / "views").glob("*.sql"))
        )
        found += [
            result.name
            for result in pipeline.results
            if not result.name.startswith("silver_") or re.search(rf"\b{result.name}\b", views)
        ]
    return sorted(set(found))


def statements(sql: Path) -> tuple[Statement, ...]:
    """What a reader may do. ``sql`` is the folder of statements, whose views say what they read."""
    return (
        Statement(
            sid="ReadPublished",
            actions=("s3:GetObject",),
            resources=(
                *(below(f"{lake.PROD}/{name}/") for name in published(sql)),
                below(f"{lake.PUBLICATIONS}/"),
                below(f"{lake.REPORTS}/"),
            ),
            steps=(_QUERIES,),
            why="Published results, publications and reports of runs. Athena reads with the permissions of the caller.",
        ),
        Statement(
            sid="ListPublished",
            actions=("s3:ListBucket",),
            resources=("{bucket}",),
            steps=(_QUERIES,),
            why="Athena lists the files of a table.",
            condition={
                "StringLike": {
                    "s3:prefix": tuple(
                        f"{prefix}/*"
                        for prefix in (lake.PROD, lake.PUBLICATIONS, lake.REPORTS, lake.READERS_RESULTS)
                    )
                }
            },
        ),
        Statement(
            sid="UseReadersResults",
            actions=(
                "s3:GetObject",
                "s3:PutObject",
                "s3:AbortMultipartUpload",
                "s3:ListMultipartUploadParts",
            ),
            resources=(below(f"{lake.READERS_RESULTS}/"),),
            steps=(_QUERIES,),
            why="Athena writes the result of each query there, apart from those of the pipelines.",
        ),
        Statement(
            sid="LetAthenaWriteResults",
            actions=("s3:GetBucketLocation", "s3:ListBucketMultipartUploads"),
            resources=("{bucket}",),
            steps=(_QUERIES,),
            why="Athena looks up where the bucket is, and writes results in parts.",
        ),
        Statement(
            sid="RunReadersQueries",
            actions=(
                "athena:StartQueryExecution",
                "athena:GetQueryExecution",
                "athena:GetQueryResults",
                "athena:StopQueryExecution",
            ),
            resources=("{readers_workgroup}",),
            steps=(_QUERIES,),
            why="In the readers' workgroup, which limits what one query may scan. Too slow a query is stopped.",
        ),
        Statement(
            sid="FindReadersDatabase",
            actions=("glue:GetDatabase",),
            resources=(*catalog(), "{default_database}"),
            steps=(_QUERIES,),
            why="Athena looks up the database of each statement, and the account's database named default.",
        ),
        Statement(
            sid="DescribeTables",
            actions=("glue:GetTable", "glue:GetPartitions"),
            resources=catalog("*"),
            steps=(_QUERIES,),
            why="Columns, partitions and where they lie; what is there is protected by the statements about objects.",
        ),
        use_key_for_objects(_QUERIES),
        use_key_for_catalog(_QUERIES),
    )
