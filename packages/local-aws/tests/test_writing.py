"""UNLOAD, CREATE TABLE AS and INSERT: what they write, and where."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from local_aws_tests.harness import Athena

Put = Callable[..., None]
Client = Callable[[str], Any]
OPENX = "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'"
QUERY = """
    SELECT 1 AS id, 'a "b"' AS name, 1.50 AS amount, 2e0 AS ratio, true AS ok, DATE '2026-11-01' AS day,
        TIMESTAMP '2026-11-01 01:02:03' AS at, ARRAY['x', NULL] AS tags,
        CAST(ARRAY[ROW(1, 'p')] AS array(row(n integer, s varchar))) AS items, MAP(ARRAY['k'], ARRAY[1]) AS m, CAST(NULL AS varchar) AS missing
"""


def written(client: Client, athena: Athena, prefix: str) -> dict[str, bytes]:
    """Objects below a prefix of the lake, by the rest of their keys."""
    s3 = client("s3")
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=athena.bucket, Prefix=prefix).get("Contents", [])]
    return {k.removeprefix(prefix): s3.get_object(Bucket=athena.bucket, Key=k)["Body"].read() for k in keys}


def only(files: dict[str, bytes]) -> tuple[str, bytes]:
    assert len(files) == 1, files.keys()
    return next(iter(files.items()))


@pytest.mark.supports(
    "Writing", "UNLOAD to JSON, TEXTFILE and PARQUET with Athena's defaults, names and manifest"
)
def test_unload_json(athena: Athena, client: Client) -> None:
    result = athena(f"UNLOAD ({QUERY}) TO 's3://{athena.bucket}/out/' WITH (format = 'JSON')")
    name, data = only(written(client, athena, "out/"))
    assert re.fullmatch(r"\d{8}_\d{6}_\d{5}_\w{5}_[0-9a-f-]{36}\.gz", name)
    line = gzip.decompress(data).decode()
    assert line.endswith("\n")
    assert json.loads(line) == {
        "id": 1, "name": 'a "b"', "amount": 1.5, "ratio": 2.0, "ok": True, "day": "2026-11-01", "at": "2026-11-01 01:02:03.000",
        "tags": ["x", None], "items": [{"n": 1, "s": "p"}], "m": {"k": 1}, "missing": None,
    }  # fmt: skip
    assert list(json.loads(line))[:3] == ["id", "name", "amount"]
    manifest = result.execution["Statistics"]["DataManifestLocation"]
    query_id = result.execution["QueryExecutionId"]
    assert manifest == f"s3://{athena.bucket}/results/{query_id}-manifest.csv"
    assert (
        written(client, athena, f"results/{query_id}-manifest")[".csv"]
        == f"s3://{athena.bucket}/out/{name}\n".encode()
    )
    assert result.execution["StatementType"] == "DML"
    assert (
        result.execution["ResultConfiguration"]["OutputLocation"]
        == f"s3://{athena.bucket}/results/{query_id}"
    )


def test_unload_parquet(athena: Athena, client: Client) -> None:
    athena(
        f"UNLOAD ({QUERY.replace('1.50 AS amount', 'CAST(1.5 AS decimal(10,2)) AS Amount')}) TO 's3://{athena.bucket}/out' WITH (format = 'PARQUET', compression = 'SNAPPY')"
    )
    name, data = only(written(client, athena, "out/"))
    assert "." not in name
    file = pq.ParquetFile(io.BytesIO(data))
    assert {file.metadata.row_group(0).column(i).compression for i in range(file.metadata.num_columns)} == {
        "SNAPPY"
    }
    row = file.read().to_pylist()[0]
    assert (str(row["amount"]), row["items"], row["m"], str(row["day"])) == (
        "1.50",
        [{"n": 1, "s": "p"}],
        [("k", 1)],
        "2026-11-01",
    )
    athena(f"UNLOAD (SELECT 1 AS a) TO 's3://{athena.bucket}/default/' WITH (format = 'PARQUET')")
    default = pq.ParquetFile(io.BytesIO(only(written(client, athena, "default/"))[1]))
    assert default.metadata.row_group(0).column(0).compression == "GZIP"


def test_unload_text(athena: Athena, client: Client) -> None:
    athena(
        f"UNLOAD (SELECT id, name, missing, tags, m, ratio FROM ({QUERY})) TO 's3://{athena.bucket}/out/' WITH (format = 'TEXTFILE', compression = 'GZIP')"
    )
    name, data = only(written(client, athena, "out/"))
    assert name.endswith(".gz")
    assert gzip.decompress(data).decode() == '1\x01a "b"\x01\\N\x01x\x02\\N\x01k\x031\x012.0\n'
    athena(
        f"UNLOAD (VALUES (1, 'a,b')) TO 's3://{athena.bucket}/csv/' WITH (format = 'TEXTFILE', field_delimiter = ',')"
    )
    assert gzip.decompress(only(written(client, athena, "csv/"))[1]) == b"1,a,b\n"


@pytest.mark.supports("Writing", "UNLOAD partitioned_by: Hive folders, escaped values, NULLs, at most 100")
def test_unload_partitioned(athena: Athena, client: Client) -> None:
    rows = "(VALUES (1, DATE '2026-11-01', 'a b/c=d%'), (2, DATE '2026-11-01', NULL), (3, DATE '2026-11-02', 'Zürich')) AS t(v, d, k)"
    athena(
        f"UNLOAD (SELECT v, d, k FROM {rows}) TO 's3://{athena.bucket}/out/' WITH (format = 'JSON', partitioned_by = ARRAY['d', 'k'])"
    )
    files = {k.rsplit("/", 1)[0]: gzip.decompress(v) for k, v in written(client, athena, "out/").items()}
    assert files == {
        "d=2026-11-01/k=a b%2Fc%3Dd%25": b'{"v":1}\n',
        "d=2026-11-01/k=__HIVE_DEFAULT_PARTITION__": b'{"v":2}\n',
        "d=2026-11-02/k=Zürich": b'{"v":3}\n',
    }
    # And back.
    athena(
        f"CREATE EXTERNAL TABLE t (v int) PARTITIONED BY (d date, k string) {OPENX} LOCATION 's3://{athena.bucket}/out/'"
    )
    athena("MSCK REPAIR TABLE t")
    assert athena("SELECT v, d, k FROM t ORDER BY v").data == [
        ["1", "2026-11-01", "a b/c=d%"], ["2", "2026-11-01", None], ["3", "2026-11-02", "Zürich"],
    ]  # fmt: skip
    order = f"UNLOAD (SELECT k, v FROM {rows}) TO 's3://{athena.bucket}/x/' WITH (format = 'PARQUET', partitioned_by = ARRAY['k'])"
    assert athena.fails(order).startswith(
        "HIVE_COLUMN_ORDER_MISMATCH: Partition keys must be the last columns in the table"
    )
    many = f"UNLOAD (SELECT x AS v, x AS p FROM UNNEST(sequence(1, 101)) AS t(x)) TO 's3://{athena.bucket}/y/' WITH (format = 'PARQUET', partitioned_by = ARRAY['p'])"
    assert athena.fails(many).startswith("HIVE_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of 100 open writers")
    assert written(client, athena, "y/") == {}


@pytest.mark.supports("Writing", "UNLOAD refuses a target that is not empty, and what Athena refuses")
@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        (
            "UNLOAD (SELECT 1 AS a) TO 's3://{b}/taken/' WITH (format = 'JSON')",
            "HIVE_PATH_ALREADY_EXISTS: Target directory for table 's3://{b}/taken/' already exists",
        ),
        (
            "UNLOAD (SELECT 1 AS a) TO 's3://{b}/out/' WITH (format = 'CSV')",
            "INVALID_UNLOAD_PROPERTY: Unload format 'CSV' is not one of",
        ),
        (
            "UNLOAD (SELECT 1 AS a) TO 's3://{b}/out/' WITH (format = 'AVRO', compression = 'SNAPPY')",
            "INVALID_UNLOAD_PROPERTY: compression is for the formats ORC and PARQUET only; AVRO is written with DEFLATE",
        ),
        (
            "UNLOAD (SELECT 1 AS a) TO 's3://{b}/out/' WITH (format = 'JSON', compression = 'NONE')",
            "INVALID_UNLOAD_PROPERTY: compression is for the formats ORC and PARQUET only; JSON is written with GZIP",
        ),
        (
            "UNLOAD (SELECT 1 AS a) TO 's3://{b}/out/' WITH (format = 'PARQUET', compression = 'GZIP', compression_level = 5)",
            "INVALID_TABLE_PROPERTY: compression_level 5 is not one of 1 to 22 with ZSTD compression",
        ),
        (
            "UNLOAD (SELECT 1 AS a) TO 's3://{b}/out/' WITH (format = 'PARQUET', compression = 'RAR')",
            "INVALID_UNLOAD_PROPERTY: Compression 'RAR'",
        ),
        (
            "UNLOAD (SELECT 1 AS a) TO 's3://{b}/out/' WITH (colour = 'red')",
            "INVALID_UNLOAD_PROPERTY: Unload property 'colour' does not exist",
        ),
        (
            "UNLOAD (SELECT 1 AS a, 2 AS A) TO 's3://{b}/out/' WITH (format = 'ORC')",
            "DUPLICATE_COLUMN_NAME: Column name 'a' specified more than once",
        ),
        (
            "UNLOAD (SELECT 1 AS a) TO 's3://no-such-bucket-here/out/' WITH (format = 'ORC')",
            "HIVE_UNKNOWN_ERROR: The specified bucket does not exist",
        ),
        ("UNLOAD (SELECT 1 AS a) TO 's3://{b}/out/'", "INVALID_UNLOAD_PROPERTY: UNLOAD needs WITH (format"),
        ("UNLOAD (SELECT 1 AS a) TO '/tmp/out'", "INVALID_UNLOAD_PROPERTY: UNLOAD location '/tmp/out'"),
        (
            "UNLOAD (SELECT now() AS a) TO 's3://{b}/out/' WITH (format = 'ORC')",
            "NOT_SUPPORTED: Unsupported Hive type: timestamp(3) with time zone",
        ),
        (
            "UNLOAD (SELECT b FROM (VALUES 1) AS t(a)) TO 's3://{b}/out/' WITH (format = 'ORC')",
            "COLUMN_NOT_FOUND: line 1:16: Column 'b'",
        ),
        ("UNLOAD SELECT 1 AS a TO 's3://{b}/out/'", "line 1:8: mismatched input 'SELECT'. Expecting: '('"),
        (
            "UNLOAD (SELECT 1 AS a) INTO 's3://{b}/out/'",
            "line 1:24: mismatched input 'INTO'. Expecting: 'TO'",
        ),
    ],
)
def test_unload_refused(athena: Athena, put: Put, client: Client, sql: str, reason: str) -> None:
    put("taken/x", b"1")
    assert athena.fails(sql.format(b=athena.bucket)).startswith(reason.format(b=athena.bucket))
    assert written(client, athena, "out/") == {}


def test_unload_of_nothing_and_in_order(athena: Athena, client: Client) -> None:
    athena(f"UNLOAD (SELECT 1 AS a WHERE false) TO 's3://{athena.bucket}/none/' WITH (format = 'JSON')")
    assert written(client, athena, "none/") == {}
    athena(
        f"UNLOAD (SELECT x FROM (SELECT a * 1000 + b AS x FROM UNNEST(sequence(0, 199)) AS t(a) CROSS JOIN UNNEST(sequence(1, 1000)) AS u(b)) ORDER BY (x * 7919) % 200003) TO 's3://{athena.bucket}/o/' WITH (format = 'JSON')"
    )
    lines = gzip.decompress(only(written(client, athena, "o/"))[1]).splitlines()
    values = [json.loads(line)["x"] for line in lines]
    assert values == sorted(range(1, 200001), key=lambda x: (x * 7919) % 200003)


def test_a_semicolon_comments_and_parentheses_in_unload(athena: Athena, client: Client) -> None:
    athena(
        f"UNLOAD (SELECT ')' AS a -- not the end )\n /* nor ( this */) TO 's3://{athena.bucket}/o/' WITH (format='JSON');\n"
    )
    assert gzip.decompress(only(written(client, athena, "o/"))[1]) == b'{"a":")"}\n'


@pytest.mark.supports(
    "Writing",
    "CREATE TABLE AS: PARQUET, JSON, TEXTFILE, external_location, partitioned_by, IF NOT EXISTS, WITH NO DATA",
)
def test_create_table_as(athena: Athena, client: Client) -> None:
    result = athena(
        "CREATE TABLE c AS SELECT 1 AS a, 'x' AS b, CAST(ROW(1) AS row(n integer)) AS r UNION ALL SELECT 2, NULL, NULL"
    )
    assert athena("SELECT * FROM c ORDER BY a").data == [["1", "x", "{n=1}"], ["2", None, None]]
    query_id = result.execution["QueryExecutionId"]
    table = client("glue").get_table(DatabaseName=athena.database, Name="c")["Table"]
    assert table["StorageDescriptor"]["Location"] == f"s3://{athena.bucket}/results/tables/{query_id}"
    assert [(c["Name"], c["Type"]) for c in table["StorageDescriptor"]["Columns"]] == [
        ("a", "int"),
        ("b", "varchar(1)"),
        ("r", "struct<n:int>"),
    ]
    assert result.execution["SubstatementType"] == "CREATE_TABLE_AS_SELECT"
    assert client("athena").get_query_results(QueryExecutionId=query_id)["UpdateCount"] == 2
    for kind in ("JSON", "TEXTFILE"):
        athena(
            f"CREATE TABLE {kind} WITH (format = '{kind}', external_location = 's3://{athena.bucket}/{kind}/', partitioned_by = ARRAY['d']) AS SELECT x AS v, 'n' || CAST(x % 2 AS varchar) AS d FROM UNNEST(ARRAY[1, 2, 3]) AS t(x)"
        )
        assert athena(f"SELECT v, d FROM {kind} WHERE d = 'n1' ORDER BY v").data == [["1", "n1"], ["3", "n1"]]
    assert "TABLE_ALREADY_EXISTS" in athena.fails("CREATE TABLE c AS SELECT 1 AS a")
    athena("CREATE TABLE IF NOT EXISTS c AS SELECT 5 AS a")
    assert athena.fails(
        f"CREATE TABLE d WITH (external_location = 's3://{athena.bucket}/JSON/') AS SELECT 1 AS a"
    ).startswith("HIVE_PATH_ALREADY_EXISTS")
    athena("CREATE TABLE e AS SELECT 1 AS a WITH NO DATA")
    assert athena("SELECT * FROM e").data == []
    assert athena.fails("CREATE TABLE f WITH (colour = 'red') AS SELECT 1 AS a").startswith(
        "INVALID_TABLE_PROPERTY: line 1:1: Catalog 'awsdatacatalog' table property 'colour' does not exist"
    )
    assert "Only one of write_compression and parquet_compression" in athena.fails(
        "CREATE TABLE f WITH (write_compression = 'SNAPPY', parquet_compression = 'GZIP') AS SELECT 1 AS a"
    )


@pytest.mark.supports(
    "Writing", "INSERT INTO ... SELECT/VALUES, also into partitioned tables, in the table's format"
)
def test_insert(athena: Athena) -> None:
    formats = {
        "p": "STORED AS PARQUET",
        "j": OPENX,
        "t": "ROW FORMAT DELIMITED FIELDS TERMINATED BY ','",
        "c": "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'",
    }
    for name, form in formats.items():
        athena(
            f"CREATE EXTERNAL TABLE {name} (a {'string' if name == 'c' else 'bigint'}, b string) PARTITIONED BY (d string) {form} LOCATION 's3://{athena.bucket}/{name}/'"
        )
        one = "'1'" if name == "c" else "1"
        athena(
            f"INSERT INTO {name} VALUES ({one}, 'x,\"y', 'k1'), ({one}, 'z', 'k2')"
            if name != "t"
            else f"INSERT INTO {name} VALUES (1, 'xy', 'k1'), (1, 'z', 'k2')"
        )
        athena(f"INSERT INTO {name} (d, a) SELECT 'k1', a FROM {name} WHERE d = 'k2'")
        rows = athena(f"SELECT a, b, d FROM {name} ORDER BY d, b").data
        assert [r[2] for r in rows] == ["k1", "k1", "k2"], name
        assert {r[0] for r in rows} == {"1"}
        if name in ("p", "j"):
            assert rows == [["1", 'x,"y', "k1"], ["1", None, "k1"], ["1", "z", "k2"]]
        assert athena(f"SHOW PARTITIONS {name}").rows == [["d=k1"], ["d=k2"]]
    assert athena.fails("INSERT INTO p VALUES ('x', 'y', 'z')").startswith(
        "TYPE_MISMATCH: line 1:1: Insert query has mismatched column types: Table: [bigint, varchar, varchar]"
    )
    assert athena.fails("INSERT INTO nowhere VALUES 1").startswith("TABLE_NOT_FOUND")
    assert athena.fails("INSERT INTO p (a, d, a) VALUES (1, 'k', 2)").startswith("DUPLICATE_COLUMN_NAME")


def test_insert_of_texts_that_do_not_fit(athena: Athena, client: Client) -> None:
    """https://trino.io/docs/435/release/release-319.html: values of a larger type are taken if they fit."""
    athena(
        f"CREATE EXTERNAL TABLE v (s varchar(3), c char(2), n smallint) STORED AS PARQUET LOCATION 's3://{athena.bucket}/v/'"
    )
    athena("INSERT INTO v VALUES ('abc', 'x', 1), ('de   ', 'yz  ', BIGINT '2'), (NULL, NULL, NULL)")
    assert athena("SELECT s, c || '|', n FROM v ORDER BY s").data == [
        ["abc", "x |", "1"],
        ["de ", "yz|", "2"],
        [None, None, None],
    ]
    for values, begin in (
        ("('abcd', 'x', 1)", "INVALID_CAST_ARGUMENT: Cannot truncate non-space characters when casting from varchar(4) to varchar(3) on INSERT"),
        ("('abc', 'xyz', 1)", "INVALID_CAST_ARGUMENT: Cannot truncate non-space characters when casting from varchar(3) to char(2) on INSERT"),
        ("('abc', 'x', 70000)", "NUMERIC_VALUE_OUT_OF_RANGE"),
    ):  # fmt: skip
        assert athena.fails(f"INSERT INTO v VALUES {values}").startswith(begin), values
    assert len(written(client, athena, "v/")) == 1


@pytest.mark.supports(
    "Writing", "CREATE TABLE AS bucketed_by, bucket_count: a file for each of Hive's buckets"
)
def test_buckets(athena: Athena, client: Client) -> None:
    athena(
        f"CREATE TABLE b WITH (external_location = 's3://{athena.bucket}/b/', format = 'ORC', bucketed_by = ARRAY['s', 'n'], bucket_count = 3, partitioned_by = ARRAY['p']) AS "
        "SELECT n, s, p FROM (VALUES (1, 'a', 'x'), (2, 'é', 'x'), (BIGINT '-5000000000', NULL, 'y'), (2, 'é', 'y')) AS t(n, s, p)"
    )
    table = client("glue").get_table(DatabaseName=athena.database, Name="b")["Table"]["StorageDescriptor"]
    assert (table["BucketColumns"], table["NumberOfBuckets"]) == (["s", "n"], 3)

    def bucket(s: str | None, n: int) -> int:
        """HiveBucketingV1 in Python."""
        h = 0
        for byte in (s or "").encode():
            h = (h * 31 + (byte - 256 if byte > 127 else byte)) & 0xFFFFFFFF
        h = (h * 31 + ((n ^ ((n & (2**64 - 1)) >> 32)) & 0xFFFFFFFF)) & 0xFFFFFFFF
        return (h & 0x7FFFFFFF) % 3

    rows = athena('SELECT s, n, p, "$path" FROM b ORDER BY p, n').data
    assert len(rows) == 4
    for s, n, p, path in rows:
        assert re.search(rf"/p={p}/\d+_\d+_\d+_\w+_bucket-{bucket(s, int(str(n))):05d}$", str(path)), path
    assert "not supported on bucketed tables" in athena.fails("INSERT INTO b VALUES (1, 'a', 'x')")
    assert "must be set together" in athena.fails(
        "CREATE TABLE c WITH (bucketed_by = ARRAY['a']) AS SELECT 1 AS a"
    )


@pytest.mark.supports("Writing", "INSERT INTO moved partitions, and into tables with partition projection")
def test_insert_where_the_partition_lies(athena: Athena, client: Client) -> None:
    athena(
        f"CREATE EXTERNAL TABLE m (v int) PARTITIONED BY (d string) {OPENX} LOCATION 's3://{athena.bucket}/m/'"
    )
    athena(f"ALTER TABLE m ADD PARTITION (d='a') LOCATION 's3://{athena.bucket}/elsewhere/'")
    athena("INSERT INTO m VALUES (1, 'a'), (2, 'b')")
    assert athena("SELECT v, d FROM m ORDER BY v").data == [["1", "a"], ["2", "b"]]
    assert len(written(client, athena, "elsewhere/")) == len(written(client, athena, "m/d=b/")) == 1
    athena(
        f"CREATE EXTERNAL TABLE p (v int) PARTITIONED BY (day date, n int, kind string) STORED AS PARQUET LOCATION 's3://{athena.bucket}/p/' TBLPROPERTIES ("
        "'projection.enabled'='true', 'projection.day.type'='date', 'projection.day.range'='2026/11/01,2026/11/30', 'projection.day.format'='yyyy/MM/dd', "
        "'projection.n.type'='integer', 'projection.n.range'='1,20', 'projection.n.digits'='3', 'projection.kind.type'='injected', "
        f"'storage.location.template'='s3://{athena.bucket}/p/${{kind}}/${{day}}/${{n}}/')"
    )
    athena("INSERT INTO p VALUES (1, DATE '2026-11-05', 7, 'k'), (2, DATE '2026-11-06', 8, 'k')")
    assert sorted(k.rsplit("/", 1)[0] for k in written(client, athena, "p/k/")) == [
        "2026/11/05/007",
        "2026/11/06/008",
    ]
    rows = athena("SELECT v, day, n FROM p WHERE kind = 'k' AND day > DATE '2026-11-05'").data
    assert rows == [["2", "2026-11-06", "8"]]
    assert "which its projection" in athena.fails("INSERT INTO p VALUES (1, DATE '2027-01-01', 7, 'k')")


def test_a_large_file_becomes_several_of_whole_lines(
    athena: Athena, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local_aws.athena.write.PIECE", 100_000)
    query = "SELECT x, lpad(CAST(x AS varchar), 50, '0') AS s, 'k' AS d FROM (SELECT a * 1000 + b AS x FROM UNNEST(sequence(0, 19)) AS t(a) CROSS JOIN UNNEST(sequence(1, 1000)) AS u(b))"
    athena(
        f"UNLOAD ({query}) TO 's3://{athena.bucket}/o/' WITH (format = 'JSON', partitioned_by = ARRAY['d'])"
    )
    files = written(client, athena, "o/d=k/")
    assert len(files) > 5
    values = [json.loads(line)["x"] for data in files.values() for line in gzip.decompress(data).splitlines()]
    assert sorted(values) == list(range(1, 20001))
    athena(f"UNLOAD ({query} ORDER BY x) TO 's3://{athena.bucket}/p/' WITH (format = 'JSON')")
    assert len(gzip.decompress(only(written(client, athena, "p/"))[1]).splitlines()) == 20000
