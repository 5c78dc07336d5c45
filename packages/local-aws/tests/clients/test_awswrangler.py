"""awswrangler (AWS SDK for pandas)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import awswrangler as wr
import boto3
import pandas as pd
import pytest


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    wr.config.athena_query_wait_polling_delay = 0.02
    yield
    wr.config.reset("athena_query_wait_polling_delay")


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [1, 2, 3],
            "name": ["a", 'b"q', None],
            "amount": [Decimal("1.50"), Decimal("2.25"), None],
            "day": [dt.date(2026, 1, 1)] * 3,
            "ts": [pd.Timestamp("2026-01-01 10:00:00.123")] * 3,
            "ok": [True, False, None],
            "f": [1.5, 2.5, None],
            "tags": [[1, 2], [], None],
            "p": ["x", "x", "y"],
        }
    )


@pytest.fixture
def table(lake: str, database: str) -> str:
    """s3.to_parquet(dataset=True) of the frame, as table t partitioned by p."""
    wr.s3.to_parquet(
        frame(), path=f"s3://{lake}/t/", dataset=True, database=database, table="t",
        partition_cols=["p"], dtype={"tags": "array<int>"},
    )  # fmt: skip
    return "t"


APPROACHES = [
    {"ctas_approach": True},
    {"ctas_approach": False, "unload_approach": True},
    {"ctas_approach": False},
]


@pytest.mark.supports(
    "Clients", "awswrangler: read_sql_query by CTAS, by UNLOAD and plain, in chunks, parameters"
)
@pytest.mark.parametrize("approach", APPROACHES, ids=["ctas", "unload", "plain"])
@pytest.mark.usefixtures("table")
def test_read_sql_query(lake: str, database: str, approach: dict[str, Any]) -> None:
    def read(sql: str, folder: str, **more: Any) -> Any:
        return wr.athena.read_sql_query(
            sql, database=database, s3_output=f"s3://{lake}/{folder}/", **approach, **more
        )

    rows = read("SELECT * FROM t ORDER BY id", "one").to_dict("records")
    assert [r["id"] for r in rows] == [1, 2, 3]
    assert [r["name"] for r in rows][:2] == ["a", 'b"q']
    assert rows[0]["amount"] == Decimal("1.50")
    assert (rows[0]["day"], rows[0]["ts"]) == (dt.date(2026, 1, 1), pd.Timestamp("2026-01-01 10:00:00.123"))
    assert rows[2]["name"] is pd.NA or pd.isna(rows[2]["name"])
    chunks = list(read("SELECT id FROM t", "two", chunksize=2))
    assert sum(len(c) for c in chunks) == 3
    named = read("SELECT id FROM t WHERE name = :name AND day = :day", "three", params={"name": 'b"q', "day": dt.date(2026, 1, 1)})  # fmt: skip
    assert named["id"].tolist() == [2]
    # The temporary table of the CTAS approach is gone.
    assert [t["Name"] for t in wr.catalog.get_tables(database=database)] == ["t"]
    with pytest.raises(wr.exceptions.QueryFailed, match="COLUMN_NOT_FOUND: line "):
        read("SELECT nope FROM t", "four")


@pytest.mark.supports(
    "Clients", "awswrangler: s3.to_parquet, to_csv, to_json datasets and what Athena reads of them"
)
@pytest.mark.usefixtures("table")
def test_datasets(lake: str, database: str) -> None:
    def count() -> int:
        got = wr.athena.read_sql_query(
            "SELECT count(*) AS n FROM t", database=database, s3_output=f"s3://{lake}/r/", ctas_approach=False
        )
        return int(got["n"][0])

    def write(mode: str) -> None:
        wr.s3.to_parquet(
            frame(), path=f"s3://{lake}/t/", dataset=True, database=database, table="t",
            partition_cols=["p"], dtype={"tags": "array<int>"}, mode=mode,
        )  # fmt: skip

    assert count() == 3
    write("append")
    assert count() == 6
    write("overwrite_partitions")
    assert count() == 3
    plain = frame()[["id", "name", "p"]]
    wr.s3.to_json(
        plain, path=f"s3://{lake}/j/", dataset=True, database=database, table="j",
        orient="records", lines=True, index=False,
    )  # fmt: skip
    got = wr.athena.read_sql_table("j", database=database, s3_output=f"s3://{lake}/r2/", ctas_approach=False)
    assert got["id"].tolist() == [1, 2, 3]


@pytest.mark.supports(
    "Clients", "awswrangler: catalog functions, start and wait, unload, create_ctas_table, DDL helpers"
)
@pytest.mark.usefixtures("table")
def test_catalog_and_athena_functions(lake: str, database: str) -> None:
    out = f"s3://{lake}/r/"
    assert wr.catalog.does_table_exist(database, "t")
    assert wr.catalog.get_table_location(database, "t") == f"s3://{lake}/t/"
    types = wr.catalog.get_table_types(database, "t")
    assert (types["amount"], types["tags"], types["p"]) == ("decimal(3,2)", "array<int>", "string")
    assert sorted(wr.catalog.get_partitions(database, "t").values()) == [["x"], ["y"]]
    assert [t["Name"] for t in wr.catalog.search_tables("amount") if t["DatabaseName"] == database] == ["t"]
    wr.catalog.upsert_table_parameters({"owner": "me"}, database, "t")
    assert wr.catalog.get_table_parameters(database, "t")["owner"] == "me"
    assert database in wr.catalog.databases(limit=1000)["Database"].tolist()
    assert wr.athena.repair_table("t", database=database, s3_output=out) == "SUCCEEDED"
    described = wr.athena.describe_table("t", database=database, s3_output=out)
    assert described.loc[described["Column Name"] == "p", "Partition"].tolist() == [True]
    assert wr.athena.show_create_table("t", database=database, s3_output=out).startswith(
        "CREATE EXTERNAL TABLE"
    )
    done = wr.athena.start_query_execution(
        "SELECT 1 AS a, DECIMAL '1.5' AS b", database=database, s3_output=out, wait=True
    )
    assert done["Status"]["State"] == "SUCCEEDED"
    query = done["QueryExecutionId"]
    assert wr.athena.get_query_columns_types(query) == {"a": "integer", "b": "decimal(2,1)"}
    assert wr.athena.get_query_results(query)["a"].tolist() == [1]
    assert query in wr.athena.list_query_executions()
    wr.athena.create_ctas_table(
        "SELECT id, name, p FROM t", database=database, ctas_table="made", s3_output=f"s3://{lake}/made/",
        storage_format="parquet", write_compression="snappy", partitioning_info=["p"], wait=True,
    )  # fmt: skip
    assert wr.catalog.get_table_types(database, "made") == {"id": "bigint", "name": "string", "p": "string"}
    unloaded = wr.athena.unload("SELECT id FROM t", path=f"s3://{lake}/unloaded/", database=database)
    bucket, key = unloaded.manifest_location.removeprefix("s3://").split("/", 1)
    manifest = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    assert sorted(wr.s3.read_parquet(manifest.split())["id"]) == [1, 2, 3]
    assert wr.athena.create_athena_bucket().startswith("s3://aws-athena-query-results-")
    named = boto3.client("athena").create_named_query(Name="n", Database=database, QueryString="SELECT 9")
    assert wr.athena.get_named_query_statement(named["NamedQueryId"]) == "SELECT 9"
    cached = wr.athena.read_sql_query(
        "SELECT 1 AS a, DECIMAL '1.5' AS b", database=database, s3_output=out, ctas_approach=False,
        athena_cache_settings={"max_cache_seconds": 900},
    )  # fmt: skip
    assert cached["a"].tolist() == [1]
    assert wr.catalog.delete_table_if_exists(database, "t")


@pytest.mark.supports(
    "Clients", "awswrangler: to_iceberg, with merge_cols and new columns, delete_from_iceberg_table"
)
def test_iceberg(lake: str, database: str) -> None:
    out = f"s3://{lake}/r/"

    def write(data: pd.DataFrame, number: int, **more: Any) -> None:
        wr.athena.to_iceberg(
            data, database=database, table="ice", table_location=f"s3://{lake}/ice/",
            temp_path=f"s3://{lake}/tmp{number}/", s3_output=out, keep_files=False, **more,
        )  # fmt: skip

    def read() -> list[list[Any]]:
        got = wr.athena.read_sql_query(
            "SELECT * FROM ice ORDER BY id", database=database, s3_output=out, ctas_approach=False
        )
        return [[None if pd.isna(v) else v for v in row] for row in got.itertuples(index=False, name=None)]

    data = frame()[["id", "name", "amount", "ts"]]
    at = pd.Timestamp("2026-01-01 10:00:00.123")
    write(data, 1, partition_cols=["day(ts)"])
    assert read()[0] == [1, "a", Decimal("1.50"), at]
    write(pd.DataFrame({"id": [3, 4], "name": ["c", "d"], "amount": [Decimal("3.00"), None], "ts": [at, at]}), 2, merge_cols=["id"])  # fmt: skip
    assert [r[:3] for r in read()] == [
        [1, "a", Decimal("1.50")],
        [2, 'b"q', Decimal("2.25")],
        [3, "c", Decimal("3.00")],
        [4, "d", None],
    ]
    write(
        pd.DataFrame({"id": [5], "name": ["e"], "amount": [Decimal("5.00")], "ts": [at], "extra": ["new"]}),
        3, schema_evolution=True,
    )  # fmt: skip
    assert [r[-1] for r in read()] == [None, None, None, None, "new"]
    wr.athena.delete_from_iceberg_table(
        pd.DataFrame({"id": [1, 2]}), database=database, table="ice", merge_cols=["id"],
        temp_path=f"s3://{lake}/tmp4/", s3_output=out, keep_files=False,
    )  # fmt: skip
    assert [r[0] for r in read()] == [3, 4, 5]
    write(data.head(1), 5, mode="overwrite")
    assert [r[0] for r in read()] == [1]


@pytest.mark.supports("Clients", "awswrangler: CSV and ORC datasets, bucketed CTAS, prepared statements")
@pytest.mark.usefixtures("table")
def test_other_formats(lake: str, database: str) -> None:
    out = f"s3://{lake}/r/"
    plain = frame()[["id", "name", "f"]]
    wr.s3.to_csv(plain, path=f"s3://{lake}/c/", dataset=True, database=database, table="c", index=False, header=False)  # fmt: skip
    wr.s3.to_orc(plain, path=f"s3://{lake}/o/", dataset=True, database=database, table="o")
    for name in ("c", "o"):
        got = wr.athena.read_sql_query(
            f"SELECT id, f FROM {name} ORDER BY id", database=database, s3_output=out, ctas_approach=False
        )
        assert got["id"].tolist() == [1, 2, 3]
        assert got["f"].tolist()[:2] == [1.5, 2.5]
    wr.athena.create_ctas_table(
        "SELECT id, name FROM t", database=database, ctas_table="bucketed", s3_output=f"s3://{lake}/b/",
        bucketing_info=(["id"], 2), wait=True,
    )  # fmt: skip
    assert (
        wr.athena.read_sql_table("bucketed", database=database, s3_output=out, ctas_approach=False)["id"].size
        == 3
    )
    wr.athena.create_prepared_statement("SELECT name FROM t WHERE id = ?", "by_id")
    got = wr.athena.read_sql_query(
        'EXECUTE "by_id" USING 2', database=database, s3_output=out, ctas_approach=False
    )
    assert got["name"].tolist() == ['b"q']
    wr.athena.delete_prepared_statement("by_id")
