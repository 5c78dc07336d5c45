"""Databases, tables, partitions, views, file formats: DDL executed, files read."""

from __future__ import annotations

import gzip
import io
import json
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local_aws_tests.harness import Athena

Put = Callable[..., None]
Client = Callable[[str], Any]
OPENX = "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'"
HIVE_JSON = "ROW FORMAT SERDE 'org.apache.hive.hcatalog.data.JsonSerDe'"
CSV = "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'"


def parquet(rows: list[dict[str, Any]], schema: pa.Schema | None = None, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), out, **options)
    return out.getvalue()


# ------------------------------------------------------------------------------------- databases


@pytest.mark.supports("DDL", "CREATE, ALTER, DROP DATABASE/SCHEMA, SHOW DATABASES")
def test_databases(athena: Athena, client: Client) -> None:
    glue, name = client("glue"), f"{athena.database}_x"
    athena(
        f"CREATE DATABASE IF NOT EXISTS {name} COMMENT 'it''s mine' LOCATION 's3://{athena.bucket}/x/' WITH DBPROPERTIES ('a'='b')"
    )
    found = glue.get_database(Name=name)["Database"]
    assert (found["Description"], found["LocationUri"], found["Parameters"]) == (
        "it's mine",
        f"s3://{athena.bucket}/x/",
        {"a": "b"},
    )
    athena(f"CREATE SCHEMA IF NOT EXISTS {name}")
    assert "already exists" in athena.fails(f"CREATE DATABASE {name}")
    athena(f"ALTER DATABASE {name} SET DBPROPERTIES ('c'='d')")
    assert glue.get_database(Name=name)["Database"]["Parameters"] == {"a": "b", "c": "d"}
    assert [name] in athena(f"SHOW DATABASES LIKE '{name[:-1]}*'").rows
    athena(f"CREATE EXTERNAL TABLE {name}.t (a int) LOCATION 's3://{athena.bucket}/t/'")
    assert "is not empty" in athena.fails(f"DROP DATABASE {name}")
    athena(f"DROP DATABASE {name} CASCADE")
    athena(f"DROP DATABASE IF EXISTS {name}")
    assert "does not exist" in athena.fails(f"DROP DATABASE {name}")


# ---------------------------------------------------------------------------------------- tables


@pytest.mark.supports(
    "DDL",
    "CREATE EXTERNAL TABLE: nested types, comments, partitions, SerDes, properties, as Athena keeps it in Glue",
)
def test_create_table_in_glue(athena: Athena, client: Client) -> None:
    sql = f"""
        -- a comment
        CREATE EXTERNAL TABLE IF NOT EXISTS `T1` (
            `Id` string COMMENT 'it''s; the "id"',
            n decimal(10, 2),
            s struct<`a`: int, b: array<struct<c: string, d: map<string, double>>>> COMMENT 'deep' /* here */
        )
        COMMENT 'table\\'s comment'
        PARTITIONED BY (d date COMMENT 'day', region varchar(2))
        {OPENX} WITH SERDEPROPERTIES ('ignore.malformed.json' = 'true')
        LOCATION 's3://{athena.bucket}/t1/'
        TBLPROPERTIES ('has_encrypted_data'='false', 'x'='y')
    """
    athena(sql)
    athena(sql)
    table = client("glue").get_table(DatabaseName=athena.database, Name="t1")["Table"]
    storage = table["StorageDescriptor"]
    assert [(c["Name"], c["Type"], c.get("Comment")) for c in storage["Columns"]] == [
        ("id", "string", 'it\'s; the "id"'),
        ("n", "decimal(10,2)", None),
        ("s", "struct<a:int,b:array<struct<c:string,d:map<string,double>>>>", "deep"),
    ]
    assert [(c["Name"], c["Type"], c.get("Comment")) for c in table["PartitionKeys"]] == [
        ("d", "date", "day"),
        ("region", "varchar(2)", None),
    ]
    assert (
        table["Parameters"] | {"comment": "table's comment", "EXTERNAL": "TRUE", "x": "y"}
        == table["Parameters"]
    )
    assert storage["SerdeInfo"]["SerializationLibrary"] == "org.openx.data.jsonserde.JsonSerDe"
    assert storage["SerdeInfo"]["Parameters"]["ignore.malformed.json"] == "true"
    assert "already exists" in athena.fails(sql.replace("IF NOT EXISTS", ""))
    athena("DROP TABLE t1")
    athena("DROP TABLE IF EXISTS t1")
    assert "Table not found" in athena.fails("DROP TABLE t1")


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE TABLE t (a int) LOCATION '{loc}'", "missing EXTERNAL"),
        ("CREATE EXTERNAL TABLE t (a int)", "no LOCATION"),
        ("CREATE EXTERNAL TABLE t (a int) LOCATION '/tmp/x'", "is no S3 location"),
        ("CREATE EXTERNAL TABLE t (a int) LOCATION 's3://no-such-bucket-here/x/'", "bucket does not exist"),
        ("CREATE EXTERNAL TABLE t (a int, A string) LOCATION '{loc}'", "Duplicate column name: a"),
        (
            "CREATE EXTERNAL TABLE t (a int) PARTITIONED BY (a int) LOCATION '{loc}'",
            "Column repeated in partitioning columns",
        ),
        ("CREATE EXTERNAL TABLE t (a money) LOCATION '{loc}'", "Unknown type 'money'"),
        (
            "CREATE EXTERNAL TABLE t (a int) STORED AS SEQUENCEFILE LOCATION '{loc}'",
            "STORED AS SEQUENCEFILE is not supported by local_aws",
        ),
        (
            "CREATE EXTERNAL TABLE t (a int) ROW FORMAT SERDE 'x.y.Z' LOCATION '{loc}'",
            "'x.y.Z' is not supported by local_aws",
        ),
        ("CREATE EXTERNAL TABLE t a int LOCATION '{loc}'", "line 1:25: mismatched input 'a'"),
        ("ALTER TABLE t DROP COLUMN a", "Table not found"),
        (
            "CREATE EXTERNAL TABLE t (a int) CLUSTERED BY (b) INTO 4 BUCKETS LOCATION '{loc}'",
            "Invalid column reference b",
        ),
        (
            "CREATE EXTERNAL TABLE t (a int) CLUSTERED BY (a) INTO no BUCKETS LOCATION '{loc}'",
            "line 1:58: mismatched input 'BUCKETS'",
        ),
    ],
)
def test_refused_ddl(athena: Athena, sql: str, reason: str) -> None:
    assert reason in athena.fails(sql.format(loc=f"s3://{athena.bucket}/t/"))


@pytest.mark.supports(
    "DDL", "SHOW TABLES/VIEWS/COLUMNS/PARTITIONS/TBLPROPERTIES/CREATE TABLE, DESCRIBE [FORMATTED]"
)
def test_show_and_describe(athena: Athena) -> None:
    athena(
        f"CREATE EXTERNAL TABLE abc (a int COMMENT 'x', b string) PARTITIONED BY (d string) {OPENX} LOCATION 's3://{athena.bucket}/t/' TBLPROPERTIES ('k'='v')"
    )
    athena("CREATE VIEW abv AS SELECT 1 AS one")
    assert athena("SHOW TABLES").rows == [["abc"], ["abv"]]
    assert athena(f"SHOW TABLES IN {athena.database} 'abc*'").rows == [["abc"]]
    assert athena("SHOW VIEWS").rows == [["abv"]]
    assert [str(r[0]).strip() for r in athena("SHOW COLUMNS IN abc").rows] == ["a", "b", "d"]
    assert athena("SHOW TBLPROPERTIES abc('k')").rows == [["v"]]
    described = [[c.strip() for c in str(r[0]).split("\t")] for r in athena("DESCRIBE abc").rows]
    assert described[:3] == [["a", "int", "x"], ["b", "string", ""], ["d", "string", ""]]
    assert any("Location" in str(r[0]) for r in athena("DESCRIBE FORMATTED abc").rows)
    created = "\n".join(str(r[0]) for r in athena("SHOW CREATE TABLE abc").rows)
    athena("DROP TABLE abc")
    athena(created)
    assert "\n".join(str(r[0]) for r in athena("SHOW CREATE TABLE abc").rows) == created
    assert athena("SHOW CREATE VIEW abv").rows[1] == ["SELECT 1 one"]


@pytest.mark.supports(
    "DDL",
    "What Glue keeps of a new table, and SHOW CREATE TABLE and GetTableMetadata show of it, as Athena does",
)
def test_what_athena_keeps_of_a_table(athena: Athena, client: Client) -> None:
    began = int(time.time())
    athena(
        "CREATE EXTERNAL TABLE j (a int) COMMENT 'of two\n  lines ' ROW FORMAT SERDE "
        f"'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://{athena.bucket}/j/'"
    )
    athena(
        "CREATE EXTERNAL TABLE d (a int, b string) ROW FORMAT DELIMITED FIELDS TERMINATED BY '\\t' "
        f"LINES TERMINATED BY '\\n' LOCATION 's3://{athena.bucket}/d/e/'"
    )
    athena(f"CREATE EXTERNAL TABLE root (a int) STORED AS PARQUET LOCATION 's3://{athena.bucket}/'")

    def kept(name: str) -> dict[str, Any]:
        found: dict[str, Any] = client("glue").get_table(DatabaseName=athena.database, Name=name)["Table"]
        return found

    assert kept("j")["StorageDescriptor"]["Location"] == f"s3://{athena.bucket}/j"
    assert kept("root")["StorageDescriptor"]["Location"] == f"s3://{athena.bucket}/"
    assert kept("j")["StorageDescriptor"]["OutputFormat"].endswith(".io.IgnoreKeyTextOutputFormat")
    assert kept("d")["StorageDescriptor"]["OutputFormat"].endswith(".io.IgnoreKeyTextOutputFormat")
    assert int(kept("j")["Parameters"]["transient_lastDdlTime"]) >= began
    metadata = client("athena").get_table_metadata(
        CatalogName="AwsDataCatalog", DatabaseName=athena.database, TableName="j"
    )["TableMetadata"]["Parameters"]
    assert (metadata["comment"], metadata["location"]) == ("of two lines ", f"s3://{athena.bucket}/j")
    time_of_d = kept("d")["Parameters"]["transient_lastDdlTime"]
    shown = "\n".join(str(r[0]) for r in athena("SHOW CREATE TABLE d").rows)
    assert shown.split("\n") == [
        "CREATE EXTERNAL TABLE `d`(",
        "  `a` int, ",
        "  `b` string)",
        "ROW FORMAT DELIMITED ",
        r"  FIELDS TERMINATED BY '\t' ",
        r"  LINES TERMINATED BY '\n' ",
        "STORED AS INPUTFORMAT ",
        "  'org.apache.hadoop.mapred.TextInputFormat' ",
        "OUTPUTFORMAT ",
        "  'org.apache.hadoop.hive.ql.io.IgnoreKeyTextOutputFormat'",
        "LOCATION",
        f"  's3://{athena.bucket}/d/e'",
        "TBLPROPERTIES (",
        f"  'transient_lastDdlTime'='{time_of_d}')",
    ]
    # What is shown makes the same table.
    before = kept("d")["StorageDescriptor"]
    athena("DROP TABLE d")
    athena(shown)
    assert kept("d")["StorageDescriptor"] == before
    created = "\n".join(str(r[0]) for r in athena("SHOW CREATE TABLE j").rows)
    assert "SERDEPROPERTIES" not in created
    assert "ROW FORMAT SERDE \n  'org.openx.data.jsonserde.JsonSerDe' \nSTORED AS INPUTFORMAT" in created
    entry = {k: kept("j")[k] for k in ("Name", "StorageDescriptor", "TableType", "PartitionKeys")}
    client("glue").update_table(
        DatabaseName=athena.database,
        TableInput={**entry, "Parameters": {**kept("j")["Parameters"], "transient_lastDdlTime": "1"}},
    )
    athena("ALTER TABLE j SET TBLPROPERTIES ('x' = 'y')")
    assert int(kept("j")["Parameters"]["transient_lastDdlTime"]) >= began


@pytest.mark.supports("DDL", "DESCRIBE of columns, nested fields and partitions; CLUSTERED BY")
def test_describe_parts(athena: Athena) -> None:
    athena(
        "CREATE EXTERNAL TABLE t (a int COMMENT 'x', s struct<n:int,l:array<map<string,double>>>) PARTITIONED BY (d date) "
        f"CLUSTERED BY (a) SORTED BY (a DESC) INTO 4 BUCKETS STORED AS ORC LOCATION 's3://{athena.bucket}/t/'"
    )

    def described(what: str) -> list[list[str]]:
        return [[c.strip() for c in str(r[0]).split("\t")] for r in athena(f"DESCRIBE {what}").rows]

    assert described("t a") == [["a", "int", "x"]]
    assert described("t s.l") == [["l", "array<map<string,double>>", "from deserializer"]]
    assert described("t s.l.'$elem$'.'$value$'") == [["$value$", "double", "from deserializer"]]
    assert "Unknown field z" in athena.fails("DESCRIBE t s.z")
    assert "Invalid column reference q" in athena.fails("DESCRIBE t q")
    athena(f"ALTER TABLE t ADD PARTITION (d='2026-11-01') LOCATION 's3://{athena.bucket}/there/'")
    assert ["Location:", f"s3://{athena.bucket}/there/", ""] in described(
        "FORMATTED t PARTITION (d='2026-11-01')"
    )
    assert "Partition not found" in athena.fails("DESCRIBE FORMATTED t PARTITION (d='2026-11-02')")
    assert ["Num Buckets:", "4", ""] in described("FORMATTED t")
    detail = next(r for r in described("EXTENDED t") if r[0] == "Detailed Table Information")
    assert json.loads(detail[1])["partitionKeys"] == [{"Name": "d", "Type": "date"}]
    created = "\n".join(str(r[0]) for r in athena("SHOW CREATE TABLE t").rows)
    assert "CLUSTERED BY ( \n  a) \nSORTED BY ( \n  a DESC) \nINTO 4 BUCKETS" in created
    assert "Table not found database" in athena.fails(f"DESCRIBE DATABASE {athena.database}")


@pytest.mark.supports("DDL", "ALTER TABLE ADD/REPLACE/CHANGE COLUMNS, SET TBLPROPERTIES, SET LOCATION")
def test_alter_table(athena: Athena, put: Put) -> None:
    put("a/1.json", [{"a": 1, "b": "x"}])
    put("b/1.json", [{"a": 2, "b": "y"}])
    athena(f"CREATE EXTERNAL TABLE t (a int) {OPENX} LOCATION 's3://{athena.bucket}/a/'")
    athena("ALTER TABLE t ADD COLUMNS (b string, c double COMMENT 'late')")
    assert athena("SELECT * FROM t").data == [["1", "x", None]]
    athena(f"ALTER TABLE t SET LOCATION 's3://{athena.bucket}/b/'")
    assert athena("SELECT a FROM t").data == [["2"]]
    athena("ALTER TABLE t SET TBLPROPERTIES ('p'='q')")
    assert athena("SHOW TBLPROPERTIES t('p')").rows == [["q"]]
    athena("ALTER TABLE t CHANGE COLUMN c price decimal(10,2) COMMENT 'renamed' FIRST")
    assert athena("SELECT * FROM t").header == ["price", "a", "b"]
    athena("ALTER TABLE t CHANGE a a bigint AFTER b")
    assert athena("SELECT *, typeof(a) FROM t").rows[0] == ["price", "b", "a", "_col3"]
    assert "Duplicate column name: b" in athena.fails("ALTER TABLE t CHANGE a b int")
    athena("ALTER TABLE t REPLACE COLUMNS (b string)")
    assert athena("SELECT * FROM t").header == ["b"]


# ----------------------------------------------------------------------------------------- views


@pytest.mark.supports(
    "DDL",
    "CREATE [OR REPLACE] VIEW, DROP VIEW, views on views and across databases, kept as Athena keeps them",
)
def test_views(athena: Athena, client: Client, put: Put) -> None:
    import base64

    put("t/1.json", [{"a": 1, "s": {"x": "p"}}, {"a": 2}])
    athena(f"CREATE EXTERNAL TABLE t (a int, s struct<x:string>) {OPENX} LOCATION 's3://{athena.bucket}/t/'")
    athena("CREATE VIEW v AS SELECT a AS Id, s.x FROM t WHERE a > 1")
    entry = client("glue").get_table(DatabaseName=athena.database, Name="v")["Table"]
    assert (entry["TableType"], entry["ViewExpandedText"]) == ("VIRTUAL_VIEW", "/* Presto View */")
    body = json.loads(
        base64.b64decode(entry["ViewOriginalText"].removeprefix("/* Presto View: ").removesuffix(" */"))
    )
    assert body["originalSql"] == "SELECT a AS Id, s.x FROM t WHERE a > 1"
    assert body["columns"] == [{"name": "Id", "type": "integer"}, {"name": "x", "type": "varchar"}]
    assert "already exists" in athena.fails("CREATE VIEW v AS SELECT 1 AS a")
    athena("CREATE OR REPLACE VIEW v AS -- new\nSELECT a AS id, s FROM t")
    other = f"{athena.database}_views"
    athena(f"CREATE DATABASE {other}")
    athena(f"CREATE VIEW {other}.w AS SELECT v.id, v.s.x FROM v")
    # The view's names are looked up in the database where it was made.
    elsewhere = Athena(athena.client, athena.bucket, other)
    assert elsewhere("SELECT * FROM w ORDER BY id").data == [["1", "p"], ["2", None]]
    assert "MISSING_COLUMN_NAME" in athena.fails("CREATE VIEW u AS SELECT a + 1 FROM t")
    assert athena.fails("CREATE VIEW u AS SELECT zz FROM t").startswith("COLUMN_NOT_FOUND")
    athena("DROP VIEW v")
    assert athena.fails(f"SELECT * FROM {other}.w").startswith("TABLE_NOT_FOUND")
    athena("DROP VIEW IF EXISTS v")
    athena(f"DROP DATABASE {other} CASCADE")


# ------------------------------------------------------------------------------------------ JSON


@pytest.mark.supports(
    "Formats", "JSON (OpenX and Hive SerDes): nested types, gzip, missing keys, keys in any case, bad data"
)
@pytest.mark.parametrize("serde", [OPENX, HIVE_JSON])
def test_json(athena: Athena, put: Put, serde: str) -> None:
    records = [
        {"id": 1, "name": "Zürich \"x\", y", "ok": True, "amount": 1.10, "price": 12.345, "day": "2026-11-01", "at": "2026-11-01 10:00:00",
         "tags": ["a", None], "loc": {"city": "B", "zip": 5}, "items": [{"k": "a", "n": 1}, {"k": None}], "m": {"x": 1, "y": 2}, "extra": 1},
        {"id": 9223372036854775807, "name": None, "tags": [], "items": [], "loc": None, "m": {}},
        {"id": None},
    ]  # fmt: skip
    put("j/plain.json", records[:1])
    put("j/packed.json.gz", gzip.compress("".join(json.dumps(r) + "\n" for r in records[1:]).encode()))
    put("j/_hidden", [{"id": 99}])
    put("j/.also", [{"id": 98}])
    put("j/sub/deeper.json", [{"id": 4}])
    put("j/empty.json", b"")
    athena(
        "CREATE EXTERNAL TABLE j (id bigint, name string, ok boolean, amount double, price decimal(10,2), day date, at timestamp, "
        f"tags array<string>, loc struct<city:string,zip:int>, items array<struct<k:string,n:int>>, m map<string,bigint>) {serde} LOCATION 's3://{athena.bucket}/j'"
    )
    assert athena("SELECT * FROM j ORDER BY id").data == [
        ["1", 'Zürich "x", y', "true", "1.1", "12.35", "2026-11-01", "2026-11-01 10:00:00.000", "[a, null]", "{city=B, zip=5}", "[{k=a, n=1}, {k=null, n=null}]", "{x=1, y=2}"],
        ["4", *[None] * 10],
        ["9223372036854775807", None, None, None, None, None, None, "[]", None, "[]", "{}"],
        [None] * 11,
    ]  # fmt: skip
    assert athena("SELECT count(*), count(DISTINCT id) FROM j").data == [["4", "3"]]


def test_json_keys_in_any_case(athena: Athena, put: Put) -> None:
    put("k/1.json", '{"ID": 1, "Loc": {"City": "A", "items": [{"Kind": "x"}]}}\n')
    put("k/2.json", [{"id": 2, "loc": {"city": "B", "items": [{"kind": "y"}]}}])
    put("k/3.json.gz", gzip.compress(b'{"iD": 3}\n'))
    athena(
        f"CREATE EXTERNAL TABLE k (id int, loc struct<city:string,items:array<struct<kind:string>>>) {OPENX} LOCATION 's3://{athena.bucket}/k/'"
    )
    assert athena("SELECT id, loc.city, loc.items[1].kind FROM k WHERE id < 3 ORDER BY id").data == [
        ["1", "A", "x"],
        ["2", "B", "y"],
    ]
    assert athena("SELECT max(id) FROM k").data == [["3"]]
    # One file with several spellings, whose maps keep theirs.
    put(
        "k/4.json",
        '{"id": 4, "loc": {"CITY": "C"}, "m": {"X": 1.5}}\n{"Id": 5, "Loc": {"city": "D"}, "m": {"x": 2}}\n',
    )
    assert athena("SELECT sum(id), max(loc.city) FROM k").data == [["15", "D"]]
    athena(
        f"CREATE EXTERNAL TABLE m (id int, loc struct<city:string>, m map<string,double>) {OPENX} LOCATION 's3://{athena.bucket}/k/'"
    )
    assert athena('SELECT id, loc.city, m, "$path" FROM m WHERE id > 3 ORDER BY id').data == [
        ["4", "C", "{X=1.5}", f"s3://{athena.bucket}/k/4.json"],
        ["5", "D", "{x=2.0}", f"s3://{athena.bucket}/k/4.json"],
    ]
    put("k/5.json", '{"id": 6, "ID": 7}\n{"Id": 8}\n')
    assert "Duplicate key" in athena.fails("SELECT sum(id) FROM k")


@pytest.mark.parametrize("packed", [False, True])
def test_json_keys_in_any_case_anywhere_in_a_large_file(athena: Athena, put: Put, packed: bool) -> None:
    """One line of 80,000 spells its key otherwise: it counts as the others do, wherever it lies."""
    line = b'{"id": 1, "note": "%s"}\n' % (b"Some Text " * 90)
    # The longest line is longer than what is searched at once.
    lines = (
        [line] * 78_000
        + [line.replace(b"Some Text", b"x" * 100_000), line.replace(b"id", b"Id")]
        + [line] * 2000
    )
    body = b"".join(lines)
    assert len(body) > 64 << 20
    put("l/1.json.gz" if packed else "l/1.json", gzip.compress(body, 1) if packed else body)
    athena(f"CREATE EXTERNAL TABLE l (id int) {OPENX} LOCATION 's3://{athena.bucket}/l/'")
    assert athena("SELECT count(id), count(*) FROM l").data == [["80002", "80002"]]
    athena(f"UNLOAD (SELECT id FROM l) TO 's3://{athena.bucket}/m/' WITH (format = 'JSON')")
    athena(f"CREATE EXTERNAL TABLE m (id int) {OPENX} LOCATION 's3://{athena.bucket}/m/'")
    assert athena("SELECT count(id) FROM m").data == [["80002"]]


NO_JSON = "HIVE_CURSOR_ERROR: Row is not a valid JSON Object - JSONException: "


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ('{"a": 1', "a int", NO_JSON),
        ('{"a": 1, "a": 2}', "a int", NO_JSON),
        (
            '{"a": "x"}',
            "a int",
            "HIVE_BAD_DATA: Error parsing field value 'x' for field 0: For input string: ",
        ),
        ('{"a": 1.5}', "a bigint", "HIVE_BAD_DATA: "),
        ('{"a": [1]}', "a int", "HIVE_BAD_DATA: "),
        ('{"a": {"b": 1}}', "a array<int>", "HIVE_BAD_DATA: "),
        ('{"a": 5}', "a struct<b:int>", "HIVE_BAD_DATA: "),
        ('{"a": "2026-99-99"}', "a date", "HIVE_BAD_DATA: "),
        ('{"a": {"b": 1.5}}', "a struct<b:int>", "HIVE_BAD_DATA: "),
    ],
)
def test_bad_json(athena: Athena, put: Put, line: str, column: str, reason: str) -> None:
    put("b/1.json", '{"a": null}\n' + line + "\n")
    athena(f"CREATE EXTERNAL TABLE b ({column}) {OPENX} LOCATION 's3://{athena.bucket}/b/'")
    failure = athena.fails("SELECT * FROM b")
    assert failure.startswith(reason)
    assert "/bodies/" not in failure, "a path of this machine"


def test_malformed_json_ignored_on_request(athena: Athena, put: Put) -> None:
    put("b/1.json", '{"a": 1}\n{"a":\n{"a": 3}\n')
    athena(
        f"CREATE EXTERNAL TABLE b (a int) {OPENX} WITH SERDEPROPERTIES ('ignore.malformed.json'='true') LOCATION 's3://{athena.bucket}/b/'"
    )
    assert athena("SELECT a FROM b ORDER BY a").data == [["1"], ["3"], [None]]


# ------------------------------------------------------------------------------------- CSV, text


@pytest.mark.supports("Formats", "OpenCSVSerde: quotes, separators, escapes, skip.header.line.count, gzip")
def test_csv(athena: Athena, put: Put) -> None:
    put("c/1.csv", 'id,name,n\n1,"a, ""b""",5\n2,,\n3\n4,x,6,surplus\n')
    put("c/2.csv.gz", gzip.compress(b"id,name,n\n5,'single',7\n"))
    athena(
        f"CREATE EXTERNAL TABLE c (id string, name string, n string) {CSV} WITH SERDEPROPERTIES ('separatorChar'=',', 'quoteChar'='\"', 'escapeChar'='\"') "
        f"LOCATION 's3://{athena.bucket}/c/' TBLPROPERTIES ('skip.header.line.count'='1')"
    )
    assert athena("SELECT * FROM c ORDER BY id").data == [
        ["1", 'a, "b"', "5"], ["2", "", ""], ["3", None, None], ["4", "x", "6"], ["5", "'single'", "7"],
    ]  # fmt: skip
    athena("DROP TABLE c")
    athena(
        f"CREATE EXTERNAL TABLE c (id bigint, name string, n int) {CSV} LOCATION 's3://{athena.bucket}/c/' TBLPROPERTIES ('skip.header.line.count'='1')"
    )
    assert athena("SELECT sum(id) FROM c").data == [["15"]]
    assert athena.fails("SELECT n FROM c").startswith("HIVE_BAD_DATA: ")


def test_csv_escapes_and_line_breaks(athena: Athena, put: Put) -> None:
    put("c/1.csv", 'a\\,b;"c;d"\n')
    athena(
        f"CREATE EXTERNAL TABLE c (x string, y string) {CSV} WITH SERDEPROPERTIES ('separatorChar'=';') LOCATION 's3://{athena.bucket}/c/'"
    )
    assert athena("SELECT * FROM c").data == [["a,b", "c;d"]]
    put("c/1.csv", 'a;"two\nlines"\n')
    assert "does not support line breaks" in athena.fails("SELECT * FROM c")


@pytest.mark.supports("Formats", "Delimited text (LazySimpleSerDe): delimiters, \\N, arrays and maps")
def test_text(athena: Athena, put: Put) -> None:
    put("x/1", '1|a|1.5|p,q|k:1,l:2\n\\N|\\N|x||\nbad|"quoted"|2|\\N|\\N\n')
    athena(
        "CREATE EXTERNAL TABLE x (id int, s string, d double, l array<string>, m map<string,int>) ROW FORMAT DELIMITED "
        f"FIELDS TERMINATED BY '|' COLLECTION ITEMS TERMINATED BY ',' MAP KEYS TERMINATED BY ':' LOCATION 's3://{athena.bucket}/x/'"
    )
    rows = athena("SELECT id, s, d, l FROM x").data
    assert rows == [["1", "a", "1.5", "[p, q]"], [None, None, None, "[]"], [None, '"quoted"', "2.0", None]]
    assert athena("SELECT m['l'] FROM x WHERE id = 1").data == [["2"]]


# --------------------------------------------------------------------------------------- Parquet


@pytest.mark.supports(
    "Formats",
    "Parquet: columns by name, schema evolution, nested types, incompatible types refused, bytes of columns in use",
)
def test_parquet(athena: Athena, put: Put) -> None:
    rows = [{"ID": 1, "name": "a", "loc": {"city": "x", "zip": 1}, "tags": ["p"], "items": [{"k": 1}]}]
    put(
        "p/1.parquet",
        parquet(
            rows,
            pa.schema(
                [
                    ("ID", pa.int32()),
                    ("name", pa.string()),
                    ("loc", pa.struct([("city", pa.string()), ("zip", pa.int32())])),
                    ("tags", pa.list_(pa.string())),
                    ("items", pa.list_(pa.struct([("k", pa.int32())]))),
                ]
            ),
        ),
    )
    put("p/2.parquet", parquet([{"id": 2, "loc": {"city": "y"}, "later": 5}]))
    athena(
        "CREATE EXTERNAL TABLE p (id bigint, name string, loc struct<zip:bigint,city:string>, tags array<string>, items array<struct<k:bigint>>, later bigint) "
        f"STORED AS PARQUET LOCATION 's3://{athena.bucket}/p/'"
    )
    result = athena("SELECT * FROM p ORDER BY id")
    assert result.data == [
        ["1", "a", "{zip=1, city=x}", "[p]", "[{k=1}]", None],
        ["2", None, "{zip=null, city=y}", None, None, "5"],
    ]
    narrow = athena("SELECT id FROM p")
    assert 0 < narrow.scanned < result.scanned
    assert athena("SELECT count(*) FROM p").data == [["2"]]
    put("p/3.parquet", parquet([{"id": "text"}]))
    reason = athena.fails("SELECT id FROM p")
    assert (
        reason
        == f"HIVE_BAD_DATA: Field id's type BYTE_ARRAY in parquet file s3://{athena.bucket}/p/3.parquet is incompatible with type bigint defined in table schema"
    )
    put("p/3.parquet", b"no parquet at all")
    assert "Not valid Parquet file" in athena.fails("SELECT id FROM p")


# ------------------------------------------------------------------------------------ partitions


@pytest.mark.supports(
    "Partitions", "ALTER TABLE ADD/DROP/RENAME PARTITION, SET LOCATION, MSCK REPAIR TABLE, SHOW PARTITIONS"
)
def test_partitions(athena: Athena, put: Put) -> None:
    for d, r in (("2026-11-01", "a b"), ("2026-11-02", "c")):
        put(f"t/d={d}/r={r}/1.json", [{"v": d}])
    put("elsewhere/1.json", [{"v": "moved"}])
    athena(
        f"CREATE EXTERNAL TABLE t (v string) PARTITIONED BY (d date, r string) {OPENX} LOCATION 's3://{athena.bucket}/t/'"
    )
    assert athena("SELECT * FROM t").data == []
    repaired = athena("MSCK REPAIR TABLE t")
    assert len(repaired.rows) == 3
    assert athena("SHOW PARTITIONS t").rows == [["d=2026-11-01/r=a b"], ["d=2026-11-02/r=c"]]
    assert athena("SELECT v, d, r FROM t ORDER BY d").data == [
        ["2026-11-01", "2026-11-01", "a b"],
        ["2026-11-02", "2026-11-02", "c"],
    ]
    athena(
        f"ALTER TABLE t ADD IF NOT EXISTS PARTITION (d='2026-11-03', r='z') LOCATION 's3://{athena.bucket}/nothing/' PARTITION (d='2026-11-04', r='z')"
    )
    assert "already exists" in athena.fails("ALTER TABLE t ADD PARTITION (d='2026-11-04', r='z')")
    # Nothing lies there: no rows, no failure.
    assert athena("SELECT count(*) FROM t WHERE d >= DATE '2026-11-03'").data == [["0"]]
    athena(f"ALTER TABLE t PARTITION (d='2026-11-03', r='z') SET LOCATION 's3://{athena.bucket}/elsewhere/'")
    assert athena("SELECT v FROM t WHERE d = DATE '2026-11-03'").data == [["moved"]]
    athena("ALTER TABLE t PARTITION (d='2026-11-03', r='z') RENAME TO PARTITION (d='2026-12-03', r='y')")
    assert athena("SELECT d, r FROM t WHERE v = 'moved'").data == [["2026-12-03", "y"]]
    athena("ALTER TABLE t DROP PARTITION (d='2026-11-01', r='a b'), PARTITION (d='2026-12-03', r='y')")
    assert athena("SHOW PARTITIONS t").rows == [["d=2026-11-02/r=c"], ["d=2026-11-04/r=z"]]
    assert "Partition not found" in athena.fails("ALTER TABLE t DROP PARTITION (d='1999-01-01', r='q')")
    athena("ALTER TABLE t DROP IF EXISTS PARTITION (d='1999-01-01', r='q')")
    assert "mismatched input '>'" in athena.fails("ALTER TABLE t DROP PARTITION (d > '2026-11-02')")
    assert athena('SELECT * FROM "t$partitions" ORDER BY d').data == [
        ["2026-11-02", "c"],
        ["2026-11-04", "z"],
    ]
    athena("ALTER TABLE t DROP PARTITION (d = '2026-11-04', r = 'z')")
    assert athena("SHOW PARTITIONS t").rows == [["d=2026-11-02/r=c"]]
    assert "x is no partition column" in athena.fails("ALTER TABLE t DROP PARTITION (x = 1)")


@pytest.mark.supports("Partitions", "Partitions made and moved through the Glue API")
def test_glue_partitions(athena: Athena, put: Put, client: Client) -> None:
    glue = client("glue")
    for version in ("v1", "v2"):
        put(f"data/{version}/1.json", [{"v": version}])
    athena(
        f"CREATE EXTERNAL TABLE t (v string) PARTITIONED BY (d string) {OPENX} LOCATION 's3://{athena.bucket}/unused/'"
    )
    table = {"DatabaseName": athena.database, "TableName": "t"}
    storage = glue.get_table(DatabaseName=athena.database, Name="t")["Table"]["StorageDescriptor"]

    def partition(version: str) -> dict[str, Any]:
        return {
            "Values": ["1"],
            "StorageDescriptor": {**storage, "Location": f"s3://{athena.bucket}/data/{version}/"},
        }

    glue.create_partition(**table, PartitionInput=partition("v1"))
    assert athena("SELECT v, d FROM t").data == [["v1", "1"]]
    glue.update_partition(**table, PartitionValueList=["1"], PartitionInput=partition("v2"))
    assert athena("SELECT v FROM t WHERE d = '1'").data == [["v2"]]
    glue.batch_update_partition(
        **table, Entries=[{"PartitionValueList": ["1"], "PartitionInput": partition("v1")}]
    )
    assert athena("SELECT v FROM t WHERE d IN ('0', '1')").data == [["v1"]]
    glue.delete_partition(**table, PartitionValues=["1"])
    assert athena("SELECT v FROM t").data == []


@pytest.fixture
def daily(athena: Athena, put: Put) -> Athena:
    """A table with a partition of 100 bytes for each of ten days."""
    athena(
        f"CREATE EXTERNAL TABLE t (v int) PARTITIONED BY (d date, h int) {OPENX} LOCATION 's3://{athena.bucket}/t/'"
    )
    for day in range(1, 11):
        put(f"t/d=2026-11-{day:02d}/h=0/1.json", f'{{"v": {day}}}'.ljust(99) + "\n")
    athena("MSCK REPAIR TABLE t")
    return athena


@pytest.mark.supports(
    "Partitions",
    "Only the partitions that WHERE allows are read: =, IN, ranges, BETWEEN, casts, through views, joins and unions",
)
@pytest.mark.parametrize(
    ("condition", "days"),
    [
        ("d = DATE '2026-11-03'", 1),
        ("DATE '2026-11-03' = d", 1),
        ("d IN (DATE '2026-11-03', DATE '2026-11-04')", 2),
        ("d = DATE '2026-11-03' OR d = DATE '2026-11-05'", 2),
        ("d BETWEEN DATE '2026-11-03' AND DATE '2026-11-05'", 3),
        ("d > DATE '2026-11-08' AND h = 0", 2),
        ("d <= DATE '2026-11-02'", 2),
        ("d <> DATE '2026-11-02'", 9),
        ("CAST(d AS varchar) LIKE '%-10'", 1),
        ("d = CAST('2026-11-03' AS date)", 1),
        ("d = date_add('day', 1, DATE '2026-11-02')", 1),
        ("day(d) = 3", 1),
        ("h = 1", 0),
        ("d = DATE '2026-11-03' AND v > 100", 1),
        ("NOT (d < DATE '2026-11-09')", 2),
        ("v = 3", 10),
        ("d = DATE '2026-11-03' OR v = 4", 10),
        ("d = (SELECT max(d) FROM t)", 20),
    ],
)
def test_pruning(daily: Athena, condition: str, days: int) -> None:
    everything = {r[0] for r in daily("SELECT v FROM t").data}
    result = daily(f"SELECT v FROM t WHERE {condition}")
    assert result.scanned == days * 100
    # The same rows as without pruning: a condition on a column that hides where it comes from.
    disguised = daily(f"SELECT v FROM (SELECT v, d, h FROM t LIMIT 100) AS t WHERE {condition}")
    assert disguised.data == result.data
    assert {r[0] for r in result.data} <= everything


@pytest.mark.parametrize(
    ("sql", "days"),
    [
        ("SELECT v FROM w WHERE d = DATE '2026-11-03'", 1),
        ("SELECT v FROM (SELECT v, d FROM t UNION ALL SELECT v, d FROM t) WHERE d = DATE '2026-11-03'", 2),
        (
            "WITH x AS (SELECT d, sum(v) AS s FROM t GROUP BY d) SELECT s FROM x WHERE d = DATE '2026-11-03'",
            1,
        ),
        (
            "SELECT v FROM (SELECT v, d, row_number() OVER (PARTITION BY d ORDER BY v) AS n FROM t) WHERE d = DATE '2026-11-03' AND n = 1",
            1,
        ),
        (
            "SELECT v FROM (SELECT v, d, row_number() OVER (ORDER BY v) AS n FROM t) WHERE d = DATE '2026-11-03'",
            10,
        ),
        ("SELECT v FROM (SELECT v, d FROM t ORDER BY v LIMIT 5) WHERE d = DATE '2026-11-03'", 10),
        ("SELECT a.v FROM t a JOIN t b ON a.d = b.d AND b.d = DATE '2026-11-03'", 11),
        (
            "SELECT a.v FROM t a LEFT JOIN t b ON a.d = b.d AND a.d = DATE '2026-11-03' AND b.d = DATE '2026-11-03'",
            11,
        ),
        (
            "SELECT count(*) FROM t WHERE d = DATE '2026-11-03' AND EXISTS (SELECT 1 FROM t u WHERE u.d = DATE '2026-11-04')",
            2,
        ),
    ],
)
def test_pruning_through(daily: Athena, sql: str, days: int) -> None:
    daily("CREATE VIEW w AS SELECT v, d FROM t")
    assert daily(sql).scanned == days * 100


def test_rows_of_unpruned_joins_are_right(daily: Athena) -> None:
    """A condition on the kept side of an outer join must not drop its rows."""
    left = daily(
        "SELECT a.v, b.v FROM t a LEFT JOIN t b ON a.d = b.d AND a.d = DATE '2026-11-03' ORDER BY 1"
    ).data
    assert left == [[str(v), "3" if v == 3 else None] for v in range(1, 11)]
    right = daily(
        "SELECT count(a.v), count(b.v) FROM t a RIGHT JOIN t b ON a.d = b.d AND b.d = DATE '2026-11-03'"
    ).data
    assert right == [["1", "10"]]


def test_many_partitions_and_path(athena: Athena, put: Put) -> None:
    """More partitions than are read by one SELECT each."""
    athena(
        f"CREATE EXTERNAL TABLE t (v int) PARTITIONED BY (k int) {OPENX} LOCATION 's3://{athena.bucket}/t/'"
    )
    for k in range(70):
        put(f"t/k={k}/f.json", [{"v": k * 10}])
    athena("MSCK REPAIR TABLE t")
    assert athena("SELECT count(*), sum(v), sum(k), count(DISTINCT k) FROM t").data == [
        ["70", str(10 * 2415), "2415", "70"]
    ]
    path = athena('SELECT "$path", v, k FROM t WHERE k = 7').data
    assert path == [[f"s3://{athena.bucket}/t/k=7/f.json", "70", "7"]]
    assert "$path" not in athena("SELECT * FROM t WHERE k = 7").header


# ------------------------------------------------------------------------------------ projection


@pytest.mark.supports(
    "Partitions", "Partition projection: injected, enum, integer, date, storage.location.template"
)
def test_projection(athena: Athena, put: Put) -> None:
    for day in ("2026/11/01", "2026/11/02", "2026/12/01"):
        for region in ("eu", "us"):
            put(f"t/{region}/{day}/007/run=r1/1.json", [{"v": f"{region} {day}"}])
    put("t/eu/2026/11/01/007/run=r2/1.json", [{"v": "other run"}])
    athena(
        f"CREATE EXTERNAL TABLE t (v string) PARTITIONED BY (region string, day string, n int, run string) {OPENX} LOCATION 's3://{athena.bucket}/t/' TBLPROPERTIES ("
        "'projection.enabled'='true', 'projection.region.type'='enum', 'projection.region.values'='eu,us', "
        "'projection.day.type'='date', 'projection.day.range'='2026/11/01,NOW+30DAYS', 'projection.day.format'='yyyy/MM/dd', "
        "'projection.n.type'='integer', 'projection.n.range'='1,20', 'projection.n.digits'='3', 'projection.run.type'='injected', "
        f"'storage.location.template'='s3://{athena.bucket}/t/${{region}}/${{day}}/${{n}}/run=${{run}}/')"
    )
    assert athena("SELECT v FROM t WHERE run = 'r1' AND day = '2026/11/01' ORDER BY v").data == [
        ["eu 2026/11/01"],
        ["us 2026/11/01"],
    ]
    assert athena(
        "SELECT v, n FROM t WHERE run = 'r1' AND region = 'us' AND day BETWEEN '2026/11/02' AND '2026/11/30' AND n > 5"
    ).data == [["us 2026/11/02", "7"]]
    assert athena("SELECT v FROM t WHERE run IN ('r2', 'none') AND n = 7").data == [["other run"]]
    assert athena("SELECT count(*) FROM t WHERE run = 'r1' AND region = 'mars'").data == [["0"]]
    # Outside of the range there is nothing, whatever lies there.
    assert athena("SELECT count(*) FROM t WHERE run = 'r1' AND n = 21").data == [["0"]]
    needs = "CONSTRAINT_VIOLATION: For the injected projected partition column run, the WHERE clause must contain only static equality conditions, and at least one such condition must be present."
    assert athena.fails("SELECT * FROM t WHERE day = '2026/11/01'") == needs
    assert athena.fails("SELECT * FROM t WHERE run > 'a'") == needs
    assert athena.fails("SELECT * FROM t WHERE run LIKE 'r%'") == needs
    assert athena.fails("SELECT * FROM t WHERE run = (SELECT 'r1')") == needs
    # Projected partitions are not registered, so they are not listed.
    assert athena("SHOW PARTITIONS t").rows == []


def test_injected_column_through_view_and_join(athena: Athena, put: Put) -> None:
    put("t/run=1/a.json", [{"v": "x", "k": 1}])
    put("t/run=2/a.json", [{"v": "y", "k": 1}])
    properties = f"TBLPROPERTIES ('projection.enabled'='true', 'projection.run.type'='injected', 'storage.location.template'='s3://{athena.bucket}/t/run=${{run}}/')"
    athena(
        f"CREATE EXTERNAL TABLE t (v string, k int) PARTITIONED BY (run string) {OPENX} LOCATION 's3://{athena.bucket}/t/' {properties}"
    )
    athena("CREATE VIEW w AS SELECT upper(v) AS v, k, run FROM t")
    assert athena("SELECT v FROM w WHERE run = '1'").data == [["X"]]
    assert athena(
        "SELECT a.v, b.v FROM t a JOIN w b ON a.k = b.k WHERE a.run = '1' AND b.run = '2'"
    ).data == [["x", "Y"]]
    assert athena("SELECT v FROM t WHERE run = ?", ExecutionParameters=["'2'"]).data == [["y"]]


def test_missing_bucket(athena: Athena, client: Client) -> None:
    name = f"gone-{athena.bucket}"
    client("s3").create_bucket(Bucket=name)
    athena(f"CREATE EXTERNAL TABLE t (v string) {OPENX} LOCATION 's3://{name}/t/'")
    client("s3").delete_bucket(Bucket=name)
    assert "The specified bucket does not exist" in athena.fails("SELECT * FROM t")
