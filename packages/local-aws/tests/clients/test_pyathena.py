"""PyAthena: every cursor, and SQLAlchemy."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow.fs
import pyathena
import pytest
import sqlalchemy as sa
from pyathena.arrow.cursor import ArrowCursor
from pyathena.async_cursor import AsyncCursor, AsyncDictCursor
from pyathena.cursor import DictCursor
from pyathena.pandas.cursor import PandasCursor
from pyathena.polars.cursor import PolarsCursor

from local_aws_tests.harness import ENDLESS

VALUES = """SELECT true AS bo, TINYINT '1' AS ti, 3 AS i, BIGINT '4' AS b, CAST(1.5 AS real) AS r, 2.5e0 AS d,
    DECIMAL '1.50' AS n, 'it''s "q", x' AS v, '' AS e, CAST(NULL AS varchar) AS z, DATE '2026-01-02' AS da,
    TIMESTAMP '2026-01-02 03:04:05.678' AS ts, ARRAY[1, 2] AS a, MAP(ARRAY['k'], ARRAY[1]) AS m, JSON '{"a":1}' AS j,
    X'00ff' AS bin, 'é中' AS u"""
TYPED = "SELECT 1 AS i, 'x' AS v, DATE '2026-01-02' AS d, DECIMAL '1.50' AS n, ARRAY[1] AS a, CAST(NULL AS varchar) AS z"
# Equal to the datetime without a zone that it stands for.
MOMENT = pd.Timestamp("2026-01-02 03:04:05.678")


@pytest.fixture
def connect(lake: str, database: str) -> Callable[..., Any]:
    def go(**more: Any) -> Any:
        return pyathena.connect(
            s3_staging_dir=f"s3://{lake}/results/",
            region_name="us-east-1",
            schema_name=database,
            poll_interval=0.02,
            **more,
        )

    return go


@pytest.mark.supports("Clients", "PyAthena: cursors default, dict, pandas, polars, arrow, async and asyncio")
def test_default_and_dict_cursor(connect: Callable[..., Any]) -> None:
    row = connect(cursor_class=DictCursor).cursor().execute(VALUES).fetchone()
    assert row == {
        "bo": True, "ti": 1, "i": 3, "b": 4, "r": 1.5, "d": 2.5, "n": Decimal("1.50"), "v": 'it\'s "q", x', "e": "",
        "z": None, "da": dt.date(2026, 1, 2), "ts": MOMENT, "a": [1, 2],
        "m": {"k": "1"}, "j": {"a": 1}, "bin": b"\x00\xff", "u": "é中",
    }  # fmt: skip
    cursor = connect().cursor()
    cursor.execute("SELECT x FROM UNNEST(sequence(1, 2500)) AS t(x) ORDER BY x")
    assert [r[0] for r in cursor] == list(range(1, 2501))
    cursor.execute("SELECT %(a)s || %(b)s", {"a": "it's ", "b": "%s"})
    assert cursor.fetchone() == ("it's %s",)
    cursor.execute("SELECT ? + 1, ?", ["41", "'x'"], paramstyle="qmark")
    assert cursor.fetchone() == (42, "x")
    assert [d[:2] for d in cursor.description] == [("_col0", "integer"), ("_col1", "varchar")]


def test_pandas_cursor(connect: Callable[..., Any]) -> None:
    cursor = connect(cursor_class=PandasCursor).cursor()
    frame = cursor.execute(VALUES).as_pandas()
    assert frame.loc[0, "n"] == Decimal("1.50")
    assert (frame.loc[0, "ts"], frame.loc[0, "i"]) == (MOMENT, 3)
    chunks = cursor.execute("SELECT x FROM UNNEST(sequence(1, 1000)) AS t(x)", chunksize=400).as_pandas()
    assert [len(c) for c in chunks] == [400, 400, 200]
    unloaded = connect(cursor_class=PandasCursor).cursor(unload=True).execute(TYPED).as_pandas()
    assert unloaded.loc[0, "n"] == Decimal("1.50")
    assert list(unloaded.loc[0, "a"]) == [1]


def test_polars_cursor(connect: Callable[..., Any]) -> None:
    frame = connect(cursor_class=PolarsCursor).cursor().execute(VALUES).as_polars()
    row = frame.to_dicts()[0]
    assert (row["n"], row["da"], row["v"]) == (Decimal("1.50"), dt.date(2026, 1, 2), 'it\'s "q", x')
    unloaded = connect(cursor_class=PolarsCursor).cursor(unload=True).execute(TYPED).as_polars()
    assert unloaded.to_dicts()[0]["a"] == [1]


def test_arrow_cursor(connect: Callable[..., Any], aws_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyArrow's own S3 client is the one that does not read AWS_ENDPOINT_URL, and PyAthena cannot tell it."""
    local = functools.partial(
        pyarrow.fs.S3FileSystem, endpoint_override=aws_url.removeprefix("http://"), scheme="http"
    )
    monkeypatch.setattr(pyarrow.fs, "S3FileSystem", local)
    row = connect(cursor_class=ArrowCursor).cursor().execute(VALUES).as_arrow().to_pylist()[0]
    assert (row["i"], row["v"], row["ts"]) == (3, 'it\'s "q", x', MOMENT)
    unloaded = connect(cursor_class=ArrowCursor).cursor(unload=True).execute(TYPED).as_arrow()
    assert unloaded.to_pylist() == [
        {"i": 1, "v": "x", "d": dt.date(2026, 1, 2), "n": Decimal("1.50"), "a": [1], "z": None}
    ]


def test_async_cursors(connect: Callable[..., Any], lake: str) -> None:
    cursor = connect(cursor_class=AsyncCursor).cursor(max_workers=4)
    futures = [cursor.execute(f"SELECT {i} AS i")[1] for i in range(12)]
    assert [f.result().fetchall() for f in futures] == [[(i,)] for i in range(12)]
    query, _ = cursor.execute(ENDLESS)
    cursor.cancel(query).result(30)
    ended = cursor.query_execution(query)
    ended = ended.result(30)
    assert ended.state in ("RUNNING", "CANCELLED")
    query, future = connect(cursor_class=AsyncDictCursor).cursor().execute("SELECT 1 AS i")
    assert future.result().fetchall() == [{"i": 1}]

    async def native() -> list[Any]:
        connection = await pyathena.aio_connect(
            s3_staging_dir=f"s3://{lake}/results/", region_name="us-east-1", poll_interval=0.02
        )
        async with connection.cursor() as aio:
            await aio.execute("SELECT 1 AS a")
            return list(await aio.fetchall())

    assert asyncio.run(native()) == [(1,)]


@pytest.mark.supports("Clients", "PyAthena: DDL, CTAS and INSERT with counts, reuse of results, its errors")
def test_statements_and_errors(connect: Callable[..., Any], lake: str) -> None:
    cursor = connect().cursor()
    cursor.execute(f"CREATE EXTERNAL TABLE t (a int, b string) STORED AS PARQUET LOCATION 's3://{lake}/t/'")
    cursor.executemany("INSERT INTO t VALUES (%(a)d, %(b)s)", [{"a": 1, "b": "it's"}, {"a": 2, "b": "y"}])
    cursor.execute("SELECT * FROM t WHERE b IN %(b)s ORDER BY a", {"b": ["it's", "y"]})
    assert cursor.fetchall() == [(1, "it's"), (2, "y")]
    cursor.execute("CREATE TABLE c AS SELECT * FROM t")
    assert (cursor.rowcount, cursor.state) == (2, "SUCCEEDED")
    assert cursor.data_manifest_location.endswith("-manifest.csv")
    cursor.execute("SHOW TABLES")
    assert sorted(cursor.fetchall()) == [("c",), ("t",)]
    assert [c.name for c in cursor.get_table_metadata("t").columns] == ["a", "b"]
    cursor.execute("SELECT count(*) FROM t", result_reuse_enable=True, result_reuse_minutes=5)
    cursor.execute("SELECT count(*) FROM t", result_reuse_enable=True, result_reuse_minutes=5)
    assert (cursor.reused_previous_result, cursor.fetchone()) == (True, (2,))
    with pytest.raises(pyathena.OperationalError, match=r"TABLE_NOT_FOUND: line 1:15: "):
        cursor.execute("SELECT * FROM nowhere")
    with pytest.raises(pyathena.DatabaseError, match=r"InvalidRequestException.*line 1:1: mismatched input"):
        cursor.execute("SELEC 1")


@pytest.mark.supports(
    "Clients", "SQLAlchemy by PyAthena: create_all, insert, select, reflection; pandas.read_sql"
)
def test_sqlalchemy(lake: str, database: str) -> None:
    engine = sa.create_engine(
        f"awsathena+rest://local:local@athena.us-east-1.amazonaws.com:443/{database}"
        f"?s3_staging_dir=s3://{lake}/results/&poll_interval=0.02"
    )
    made = sa.Table(
        "made", sa.MetaData(),
        sa.Column("id", sa.Integer, comment="the id"),
        sa.Column("name", sa.String),
        sa.Column("price", sa.types.DECIMAL(10, 2)),
        sa.Column("day", sa.types.DATE, awsathena_partition=True),
        awsathena_location=f"s3://{lake}/made/", awsathena_file_format="PARQUET", awsathena_compression="SNAPPY",
        comment="made by SQLAlchemy",
    )  # fmt: skip
    made.metadata.create_all(engine)
    with engine.connect() as connection:
        day = dt.date(2026, 1, 1)
        connection.execute(made.insert().values(id=1, name="it's", price=Decimal("1.50"), day=day))
        query = (
            sa.select(made.c.id, sa.func.upper(made.c.name), made.c.price)
            .where(made.c.day == day)
            .order_by(made.c.id)
            .limit(5)
        )
        assert connection.execute(query).fetchall() == [(1, "IT'S", Decimal("1.50"))]
    inspector = sa.inspect(engine)
    assert inspector.get_table_names() == ["made"]
    assert database in inspector.get_schema_names()
    assert next((c["name"], c["comment"]) for c in inspector.get_columns("made")) == ("id", "the id")
    assert inspector.get_table_comment("made") == {"text": "made by SQLAlchemy"}
    assert not inspector.has_table("nowhere")
    reflected = sa.Table("made", sa.MetaData(), autoload_with=engine)
    assert [str(c.type) for c in reflected.columns] == ["INTEGER", "VARCHAR", "DECIMAL(10, 2)", "DATE"]
    frame = pd.read_sql("SELECT id, name FROM made", engine)
    assert frame.to_dict("records") == [{"id": 1, "name": "it's"}]
