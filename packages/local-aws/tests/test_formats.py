"""File formats and codecs: what is written can be read back, and by the formats' own libraries."""

from __future__ import annotations

import bz2
import datetime as dt
import io
import struct
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from local_aws.athena import grok
from local_aws.athena.errors import QueryError
from local_aws_tests.harness import Athena

Put = Callable[..., None]
Client = Callable[[str], Any]

ROW = """
    SELECT true AS b, CAST(1 AS tinyint) AS t, CAST(2 AS smallint) AS s, 3 AS i, BIGINT '4' AS l, REAL '1.5' AS f, 2.5e0 AS d,
        CAST(12.34 AS decimal(10,2)) AS n, 'Zürich' AS v, CAST('ab' AS char(3)) AS c, X'0102' AS x, DATE '2026-11-01' AS day,
        TIMESTAMP '2026-11-01 01:02:03.456' AS ts, ARRAY['x', NULL] AS tags, MAP(ARRAY['k'], ARRAY[1]) AS m,
        CAST(ROW(1, ARRAY[ROW('p')]) AS row(n integer, r array(row(s varchar)))) AS o, CAST(NULL AS varchar) AS missing
"""
SHOWN = [
    "true", "1", "2", "3", "4", "1.5", "2.5", "12.34", "Zürich", "ab ", "01 02", "2026-11-01",
    "2026-11-01 01:02:03.456", "[x, null]", "{k=1}", "{n=1, r=[{s=p}]}", None,
]  # fmt: skip


def body(client: Client, athena: Athena, prefix: str) -> tuple[str, bytes]:
    """The only object below a prefix: its name and content."""
    s3 = client("s3")
    (found,) = s3.list_objects_v2(Bucket=athena.bucket, Prefix=prefix)["Contents"]
    return found["Key"], s3.get_object(Bucket=athena.bucket, Key=found["Key"])["Body"].read()


@pytest.mark.supports(
    "Formats", "Every type, nested, written and read in PARQUET, ORC, AVRO, JSON and TEXTFILE"
)
@pytest.mark.parametrize("kind", ["PARQUET", "ORC", "AVRO", "JSON", "TEXTFILE"])
def test_every_type(athena: Athena, kind: str) -> None:
    athena(f"CREATE TABLE t WITH (format = '{kind}') AS {ROW}")
    assert athena("SELECT * FROM t").data == [SHOWN]
    athena("INSERT INTO t SELECT * FROM t")
    athena("INSERT INTO t (i) VALUES 5")
    assert athena("SELECT count(*), count(b), sum(i), min(ts), max(o.r[1].s) FROM t").data == [
        ["3", "2", "11", "2026-11-01 01:02:03.456", "p"]
    ]


@pytest.mark.supports("Formats", "ORC: by position or name, schema evolution, ZLIB, SNAPPY, LZ4, ZSTD")
def test_orc(athena: Athena, put: Put, client: Client) -> None:
    athena(f"UNLOAD ({ROW}) TO 's3://{athena.bucket}/o/' WITH (format = 'ORC', compression = 'SNAPPY')")
    file = orc.ORCFile(io.BytesIO(body(client, athena, "o/")[1]))
    assert file.compression == "SNAPPY"
    (row,) = file.read().to_pylist()
    assert (row["n"], row["day"], row["ts"], row["m"]) == (
        Decimal("12.34"), dt.date(2026, 11, 1), dt.datetime.fromisoformat("2026-11-01 01:02:03.456"), [("k", 1)],
    )  # fmt: skip
    out = io.BytesIO()
    orc.write_table(pa.table({"_col0": [1, 2], "B": ["x", None], "c": [1.5, 2.5]}), out)
    put("r/1.orc", out.getvalue())
    columns = "(a bigint, b string, c double, later string)"
    athena(f"CREATE EXTERNAL TABLE r {columns} STORED AS ORC LOCATION 's3://{athena.bucket}/r/'")
    assert athena("SELECT * FROM r ORDER BY a").data == [["1", "x", "1.5", None], ["2", None, "2.5", None]]
    result = athena('SELECT count(*), max("$path") FROM r')
    assert result.data == [["2", f"s3://{athena.bucket}/r/1.orc"]]
    assert result.scanned == len(out.getvalue())
    athena(
        f"CREATE EXTERNAL TABLE named {columns} ROW FORMAT SERDE 'org.apache.hadoop.hive.ql.io.orc.OrcSerde' "
        f"WITH SERDEPROPERTIES ('orc.column.index.access'='false') STORED AS ORC LOCATION 's3://{athena.bucket}/r/'"
    )
    assert athena("SELECT * FROM named ORDER BY c").data == [
        [None, "x", "1.5", None],
        [None, None, "2.5", None],
    ]
    put("r/2.orc", b"no ORC")
    assert athena.fails("SELECT a FROM r").startswith("HIVE_BAD_DATA: Malformed ORC file.")


@pytest.mark.supports("Formats", "Avro: by name, nested types, logical types, deflate and bzip2")
def test_avro(athena: Athena, put: Put, client: Client) -> None:
    athena(f"UNLOAD ({ROW}) TO 's3://{athena.bucket}/a/' WITH (format = 'AVRO')")
    reader = fastavro.reader(io.BytesIO(body(client, athena, "a/")[1]))
    row: Any = next(reader)
    assert reader.codec == "deflate"
    assert (row["n"], row["day"], row["m"], row["o"], row["missing"]) == (
        Decimal("12.34"), dt.date(2026, 11, 1), {"k": 1}, {"n": 1, "r": [{"s": "p"}]}, None,
    )  # fmt: skip
    schema = {
        "type": "record",
        "name": "x",
        "fields": [{"name": "B", "type": "string"}, {"name": "a", "type": "int"}],
    }
    out = io.BytesIO()
    fastavro.writer(out, schema, [{"B": "x", "a": 1}], codec="bzip2")
    put("r/1.avro", out.getvalue())
    athena(
        f"CREATE EXTERNAL TABLE r (a bigint, b string, z date) STORED AS AVRO LOCATION 's3://{athena.bucket}/r/'"
    )
    assert athena("SELECT * FROM r").data == [["1", "x", None]]
    put("r/2.avro", b"no Avro")
    assert athena.fails("SELECT a FROM r").startswith("HIVE_BAD_DATA: Cannot read Avro file")


@pytest.mark.supports(
    "Formats", "Text and JSON in gzip, zstd, bzip2, deflate, snappy and lz4, read and written"
)
@pytest.mark.parametrize(
    ("codec", "ending"),
    [
        ("GZIP", "gz"),
        ("ZSTD", "zst"),
        ("BZIP2", "bz2"),
        ("DEFLATE", "deflate"),
        ("SNAPPY", "snappy"),
        ("LZ4", "lz4"),
        ("NONE", ""),
    ],
)
def test_codecs(athena: Athena, client: Client, codec: str, ending: str) -> None:
    athena(
        f"CREATE TABLE t WITH (format = 'TEXTFILE', write_compression = '{codec}', external_location = 's3://{athena.bucket}/t/') AS "
        "SELECT x, lpad(CAST(x * 7919 % 10007 AS varchar), 5, 'a') AS s FROM UNNEST(sequence(1, 10000)) AS t(x) ORDER BY x"
    )
    key, data = body(client, athena, "t/")
    assert key.endswith(f".{ending}") if ending else "." not in key.rsplit("/", 1)[1]
    plain: Any = {"BZIP2": bz2.decompress, "DEFLATE": zlib.decompress, "NONE": bytes}.get(codec)
    if plain is not None:
        assert plain(data).startswith(b"1\x01a7919\n")
    assert athena("SELECT count(*), sum(x), max(s) FROM t").data == [["10000", "50005000", "aaaa9"]]


def test_blocks_of_hadoop_and_damaged_files(athena: Athena, put: Put) -> None:
    """One block may hold several pieces, and a file several blocks (BlockDecompressorStream)."""
    snappy = pa.Codec("snappy")
    first, second = b'{"a": 1}\n{"a"', b": 2}\n"
    pieces = [snappy.compress(p, asbytes=True) for p in (first, second)]
    block = struct.pack(">I", len(first + second)) + b"".join(struct.pack(">I", len(p)) + p for p in pieces)
    put("j/1.snappy", block + block)
    athena(
        f"CREATE EXTERNAL TABLE j (a int) ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://{athena.bucket}/j/'"
    )
    assert athena("SELECT sum(a) FROM j").data == [["6"]]
    put("j/2.bz2", b"no bzip2")
    assert athena.fails("SELECT a FROM j").startswith("HIVE_CURSOR_ERROR: Failed to read file")


@pytest.mark.supports("Formats", "RegexSerDe: a group a column")
def test_regex(athena: Athena, put: Put) -> None:
    put("r/1.log", '1.2.3.4 - "GET /x" 200\nnonsense\n1.2.3.5 - "PUT /y"\n')
    athena(
        "CREATE EXTERNAL TABLE r (ip string, verb string, path string, status int) ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.RegexSerDe' "
        """WITH SERDEPROPERTIES ('input.regex'='^(\\\\S+) - "(?!POST)(\\\\w+) ([^"]*)"(?: (\\\\d+))?$') """
        f"LOCATION 's3://{athena.bucket}/r/'"
    )
    assert athena("SELECT * FROM r ORDER BY ip").data == [
        ["1.2.3.4", "GET", "/x", "200"], ["1.2.3.5", "PUT", "/y", None], [None] * 4,
    ]  # fmt: skip


@pytest.mark.supports(
    "Formats", "Delimited text: escapes, deeper nesting, structs; CSV with both kinds of escapes"
)
def test_text_in_full(athena: Athena, put: Put, client: Client) -> None:
    put("e/1", "a\\,b,1,\\\\\n\\N,x,c\n")
    athena(
        f"CREATE EXTERNAL TABLE e (s string, n int, t string) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' ESCAPED BY '\\\\' LOCATION 's3://{athena.bucket}/e/'"
    )
    assert athena("SELECT * FROM e").data == [["a,b", "1", "\\"], [None, None, "c"]]
    athena("INSERT INTO e VALUES ('p,q\\r', 2, NULL)")
    assert athena("SELECT s, t FROM e WHERE n = 2").data == [["p,q\\r", None]]
    put("n/1", "1;p=1/2+q=3;x/y\n")
    athena(
        r"CREATE EXTERNAL TABLE n (i int, m map<string,array<int>>, s struct<a:string,b:string>) ROW FORMAT DELIMITED FIELDS TERMINATED BY '\;' "
        f"COLLECTION ITEMS TERMINATED BY '+' MAP KEYS TERMINATED BY '=' LOCATION 's3://{athena.bucket}/n/'"
    )
    assert athena("SELECT m['q'], s.a FROM n").data == [["[3]", "x/y"]]
    deep = "CAST(ROW(1, ARRAY[MAP(ARRAY['k'], ARRAY[ARRAY[1, 2]])]) AS row(a integer, b array(map(varchar, array(integer)))))"
    athena(f"CREATE TABLE d WITH (format = 'TEXTFILE') AS SELECT {deep} AS s")
    assert athena("SELECT s FROM d").data == [["{a=1, b=[{k=[1, 2]}]}"]]
    put("c/1.csv", 'a,"b\\"c","d""e"\n"\\\\",f,"g,h"\n')
    athena(
        f"CREATE EXTERNAL TABLE c (x string, y string, z string) ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde' LOCATION 's3://{athena.bucket}/c/'"
    )
    assert athena("SELECT * FROM c").data == [["a", 'b"c', 'd"e'], ["\\", "f", "g,h"]]


@pytest.mark.supports(
    "Formats", "Parquet as Athena writes it: INT96 timestamps, elements named array_element"
)
def test_parquet_as_athena_writes_it(athena: Athena, client: Client) -> None:
    athena(f"UNLOAD ({ROW}) TO 's3://{athena.bucket}/p/' WITH (format = 'PARQUET', compression = 'ZSTD')")
    with pq.ParquetFile(io.BytesIO(body(client, athena, "p/")[1])) as file:
        columns = {c.path: c.physical_type for c in map(file.schema.column, range(len(file.schema)))}
        group = file.metadata.row_group(0)
        codecs = {group.column(i).compression for i in range(group.num_columns)}
    assert columns["ts"] == "INT96"
    assert {"tags.list.array_element", "o.r.list.array_element.s"} <= columns.keys()
    assert codecs == {"ZSTD"}
    athena(
        f"CREATE EXTERNAL TABLE p (ts timestamp, tags array<string>) STORED AS PARQUET LOCATION 's3://{athena.bucket}/p/'"
    )
    assert athena("SELECT * FROM p").data == [["2026-11-01 01:02:03.456", "[x, null]"]]


@pytest.mark.supports(
    "Formats", "Ion: text and binary, every type, path extractors, compressed; CTAS and INSERT"
)
@pytest.mark.parametrize("encoding", ["BINARY", "TEXT"])
def test_ion(athena: Athena, client: Client, encoding: str) -> None:
    athena(
        f"CREATE TABLE t WITH (format = 'ION', ion_encoding = '{encoding}', write_compression = 'ZSTD', "
        f"external_location = 's3://{athena.bucket}/t/') AS {ROW}"
    )
    name, content = body(client, athena, "t/")
    assert name.endswith(".zst")
    text = pa.input_stream(io.BytesIO(content), compression="zstd").read()
    assert text.startswith(b"$ion_1_0" if encoding == "TEXT" else b"\xe0\x01\x00\xea")
    assert athena("SELECT * FROM t").data == [SHOWN]
    athena("INSERT INTO t SELECT * FROM t")
    assert athena("SELECT count(*), max(o.r[1].s) FROM t").data == [["2", "p"]]


@pytest.mark.parametrize(
    ("line", "column"),
    [("{a: 300}", "a tinyint"), ('{a: "x"}', "a int"), ("{a: [1]}", "a struct<b:int>"), ("{a: ", "a int")],
)
def test_ion_that_does_not_fit(athena: Athena, put: Put, line: str, column: str) -> None:
    put("i/1.ion", line)
    athena(f"CREATE EXTERNAL TABLE i ({column}) STORED AS ION LOCATION 's3://{athena.bucket}/i/'")
    assert athena.fails("SELECT a FROM i").startswith(
        f"HIVE_BAD_DATA: Cannot read Ion file s3://{athena.bucket}/i/1.ion: "
    )


@pytest.mark.supports("Formats", "Grok: the built-in patterns, custom ones, unmatched lines")
def test_grok(athena: Athena, put: Put) -> None:
    put("g/1.log", '10.0.0.1 - ann [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326\nnothing\n')
    athena(
        "CREATE EXTERNAL TABLE g (clientip string, verb string, response int, bytes bigint, absent string) "
        "ROW FORMAT SERDE 'com.amazonaws.glue.serde.GrokSerDe' WITH SERDEPROPERTIES ('input.format'='%{COMMONAPACHELOG}') "
        f"LOCATION 's3://{athena.bucket}/g/'"
    )
    assert athena("SELECT * FROM g").data == [["10.0.0.1", "GET", "200", "2326", None], [None] * 5]


def test_every_grok_pattern_is_a_regular_expression() -> None:
    for name in grok.built_in():
        grok.splitter(f"%{{{name}}}", "", [name.lower()])
    with pytest.raises(QueryError, match="No definition for key 'NOPE' found"):
        grok.splitter("%{NOPE}", "", [])


@pytest.mark.parametrize("codec", ["DEFLATE", "SNAPPY", "BZIP2", "ZSTD"])
def test_avro_codecs(athena: Athena, client: Client, codec: str) -> None:
    athena(f"CREATE TABLE t WITH (format = 'AVRO', write_compression = '{codec}', external_location = 's3://{athena.bucket}/t/') AS SELECT 'x' AS a")  # fmt: skip
    assert fastavro.reader(io.BytesIO(body(client, athena, "t/")[1])).codec == {"ZSTD": "zstandard"}.get(codec, codec.lower())  # fmt: skip
    assert athena("SELECT a FROM t").data == [["x"]]


def test_symlinks_name_their_files(athena: Athena, put: Put) -> None:
    put("data/1.csv", "1\n")
    put("data/2.csv", "2\n")
    put("links/day=x/symlink.txt", f"s3://{athena.bucket}/data/2.csv\n")
    athena(
        "CREATE EXTERNAL TABLE s (a int) PARTITIONED BY (day string) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' "
        "STORED AS INPUTFORMAT 'org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat' "
        "OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat' "
        f"LOCATION 's3://{athena.bucket}/links/'"
    )
    athena("MSCK REPAIR TABLE s")
    result = athena('SELECT a, day, "$path" FROM s')
    assert (result.data, result.scanned) == ([["2", "x", f"s3://{athena.bucket}/data/2.csv"]], 2)
    put("links/day=x/symlink.txt", f"s3://{athena.bucket}/data/3.csv\n")
    assert athena.fails("SELECT a FROM s").startswith(f"HIVE_FILE_NOT_FOUND: s3://{athena.bucket}/data/3.csv")


def test_unknown_input_formats(athena: Athena, client: Client) -> None:
    ddl = "CREATE EXTERNAL TABLE u (a int) STORED AS INPUTFORMAT 'x.y.Z' OUTPUTFORMAT 'x.y.O' "
    assert (
        athena.fails(f"{ddl} LOCATION 's3://{athena.bucket}/u/'")
        == "FAILED: SemanticException Cannot find class 'x.y.Z'"
    )
    storage = {
        "Columns": [{"Name": "a", "Type": "int"}],
        "Location": f"s3://{athena.bucket}/u/",
        "InputFormat": "x.y.Z",
    }
    client("glue").create_table(
        DatabaseName=athena.database, TableInput={"Name": "u", "StorageDescriptor": storage}
    )
    assert athena.fails("SELECT a FROM u") == "HIVE_UNSUPPORTED_FORMAT: Unable to create input format x.y.Z"


@pytest.mark.supports("Formats", "Buckets: equality on their columns reads the files that can have the rows")
def test_bucket_pruning(athena: Athena) -> None:
    athena(
        "CREATE TABLE t WITH (format = 'TEXTFILE', write_compression = 'NONE', bucketed_by = ARRAY['k', 's'], bucket_count = 8) AS "
        "SELECT x AS k, chr(97 + CAST(x % 3 AS integer)) AS s FROM UNNEST(sequence(1, 99)) AS t(x)"
    )
    whole = athena("SELECT count(*) FROM t").scanned
    for k in (1, 50, 99):
        one = athena(f"SELECT k, s FROM t WHERE k = {k} AND s = '{'abc'[k % 3]}'")
        assert one.data == [[str(k), "abc"[k % 3]]]
        assert one.scanned < whole / 4
    assert athena("SELECT count(*) FROM t WHERE k IN (1, 2, 3) AND s IN ('a', 'b', 'c')").data == [["3"]]
    assert athena("SELECT k FROM t WHERE k = 5 OR s = 'zz'").scanned == whole


def test_output_formats(athena: Athena, client: Client) -> None:
    """https://docs.aws.amazon.com/athena/latest/ug/describe-table.html shows the one without STORED AS."""
    for name, clause, output in [
        ("a", "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'", "IgnoreKeyTextOutputFormat"),
        ("b", "STORED AS TEXTFILE", "HiveIgnoreKeyTextOutputFormat"),
    ]:
        athena(f"CREATE EXTERNAL TABLE {name} (x int) {clause} LOCATION 's3://{athena.bucket}/{name}/'")
        table = client("glue").get_table(DatabaseName=athena.database, Name=name)["Table"]
        assert table["StorageDescriptor"]["OutputFormat"] == f"org.apache.hadoop.hive.ql.io.{output}"
