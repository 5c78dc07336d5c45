"""MERGE of 100,000 rows into an Iceberg table of 1,300,000, against DuckDB alone.

DuckDB alone does what any copy on write has to: the same join over the same files, and the same Parquet
written. What local_aws adds is finding each change once and only once, Iceberg's metadata, a commit that
others can see, and the API.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import duckdb

import local_aws
from benchmarks.lake import Lake, timed

ROWS = 1_300_000
CHANGES = 100_000
ROUNDS = 5
# Half of the changes are of rows that are there.
EVERY = 2 * ROWS // CHANGES

_RECORDS = """
    SELECT n AS id, lpad(CAST(n % 15000 AS varchar), 6, '0') AS provnum,
        DATE '2024-04-01' + INTERVAL '1' DAY * (n % 91) AS workdate,
        CAST(n % 1000 AS decimal(8,2)) AS hours, 'name of ' || CAST(n * 7919 % 1300021 AS varchar) AS name
    FROM (SELECT a * {inner} + b AS n FROM UNNEST(sequence(0, {outer} - 1)) AS x(a)
        CROSS JOIN UNNEST(sequence(0, {inner} - 1)) AS y(b))
"""
_STAGING = """
    CREATE TABLE staging WITH (format = 'PARQUET', external_location = 's3://lake/staging/') AS
    SELECT id * {every} AS id, provnum, workdate, hours + 1 AS hours, name FROM ({records})
"""
_MERGE = """
    MERGE INTO silver AS t USING staging AS s ON t.id = s.id
    WHEN MATCHED AND (t.hours <> s.hours OR t.name <> s.name) THEN UPDATE SET hours = s.hours, name = s.name
    WHEN NOT MATCHED THEN INSERT (id, provnum, workdate, hours, name) VALUES (s.id, s.provnum, s.workdate, s.hours, s.name)
"""
_ALONE = """
    COPY (
        SELECT t.id, t.provnum, t.workdate, coalesce(s.hours, t.hours) AS hours, coalesce(s.name, t.name) AS name
        FROM read_parquet({target}) AS t LEFT JOIN read_parquet({source}) AS s ON t.id = s.id
        UNION ALL
        SELECT s.* FROM read_parquet({source}) AS s ANTI JOIN read_parquet({target}) AS t ON t.id = s.id
    ) TO '{out}' (FORMAT parquet, COMPRESSION zstd)
"""


def run() -> list[dict[str, Any]]:
    """Two rows: by the clock and by processor time, medians of rounds that took turns."""
    ours: list[tuple[float, float, Any]] = []
    alone: list[tuple[float, float, Any]] = []
    with tempfile.TemporaryDirectory() as temporary, local_aws.serve() as server:
        lake, folder = Lake(server.url, poll_seconds=0.01), Path(temporary)
        lake.run(_STAGING.format(every=EVERY, records=_RECORDS.format(outer=100, inner=CHANGES // 100)))
        for number in range(ROUNDS + 1):
            lake.run(
                f"CREATE TABLE silver WITH (table_type = 'ICEBERG', is_external = false, location = 's3://lake/silver{number}/') AS "
                + _RECORDS.format(outer=1000, inner=ROWS // 1000)
            )
            target, source = lake.download(f"silver{number}/data/", folder), lake.download("staging/", folder)
            merged = timed(lambda: lake.run(_MERGE))
            sql = _ALONE.format(target=target, source=source, out=folder / "out.parquet")
            copied = timed(lambda sql=sql: duckdb.sql(sql))  # type: ignore[misc]
            changed = lake.athena.get_query_results(QueryExecutionId=merged[2])["UpdateCount"]
            if changed != CHANGES:
                raise RuntimeError(f"MERGE changed {changed} rows instead of {CHANGES}")
            if number:
                ours.append(merged)
                alone.append(copied)
            lake.run("DROP TABLE silver")
    rows = []
    for index, unit in ((0, "s"), (1, "s CPU")):
        theirs, mine = (statistics.median(one[index] for one in runs) for runs in (alone, ours))
        rows.append(
            {
                "what": f"MERGE of {CHANGES:,} rows into {ROWS:,}",
                "plain": f"{theirs:.2f} {unit} DuckDB alone: the same join and Parquet",
                "ours": f"{mine:.2f} {unit}",
                "ratio": theirs / mine,
                "goal": "",
            }
        )
    return rows


if __name__ == "__main__":
    print(run())
