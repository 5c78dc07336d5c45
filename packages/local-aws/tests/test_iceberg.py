"""Iceberg tables: statements with Athena's syntax and texts, and PyIceberg reading and writing the same tables."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    ManifestWriterV2,
)
from pyiceberg.partitioning import _to_partition_representation
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _FastAppendFiles
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record
from pyiceberg.types import IntegerType, NestedField, StringType, StructType, UUIDType

from local_aws_tests.harness import Athena, Process, QueryFailedError, connect


@pytest.fixture
def catalog(aws_url: str) -> GlueCatalog:
    """PyIceberg as anybody would use it: a Glue catalog and S3 behind the endpoint."""
    return connect(aws_url)


def create(
    athena: Athena, name: str, columns: str, partitioned: str = "", properties: str = "", folder: str = ""
) -> None:
    athena(
        f"CREATE TABLE {name} ({columns}) {partitioned and f'PARTITIONED BY ({partitioned})'} "
        f"LOCATION 's3://{athena.bucket}/{folder or name}/' TBLPROPERTIES ('table_type'='ICEBERG'{properties})"
    )


def keys(client: Callable[[str], Any], bucket: str, prefix: str) -> list[str]:
    found = client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return [o["Key"] for o in found]


ALL_TYPES = (
    "b boolean, i int, l bigint, f float, d double, m decimal(20,3), s string, v binary, day date, ts timestamp, "
    "a array<int>, kv map<string,bigint>, r struct<x:int,y:array<string>>"
)


@pytest.mark.supports("Iceberg", "CREATE TABLE with Athena's types, properties and partition transforms")
def test_create_table(athena: Athena, client: Callable[[str], Any], catalog: GlueCatalog) -> None:
    create(
        athena,
        "t",
        ALL_TYPES,
        "s, bucket(4, l), day(ts), month(day)",
        ", 'format'='parquet', 'write_compression'='gzip', 'vacuum_max_snapshot_age_seconds'='60'",
    )
    table = client("glue").get_table(DatabaseName=athena.database, Name="t")["Table"]
    assert table["Parameters"]["table_type"] == "ICEBERG"
    assert table["Parameters"]["metadata_location"].startswith(f"s3://{athena.bucket}/t/metadata/00000-")
    assert [c["Type"] for c in table["StorageDescriptor"]["Columns"]][-1] == "struct<x:int,y:array<string>>"
    read = catalog.load_table((athena.database, "t"))
    assert read.metadata.format_version == 2
    assert [str(f.transform) for f in read.spec().fields] == ["identity", "bucket[4]", "day", "month"]
    assert read.properties["write.parquet.compression-codec"] == "gzip"
    assert read.properties["history.expire.max-snapshot-age-ms"] == "60000"
    shown = "\n".join(str(r[0]) for r in athena("SHOW CREATE TABLE t").rows)
    assert "PARTITIONED BY (`s`, bucket(4, `l`), day(`ts`), month(`day`))" in shown
    assert "'vacuum_max_snapshot_age_seconds'='60'" in shown
    athena("DROP TABLE t")
    athena(shown.rstrip(";"))
    assert "# Partition spec:" in [str(r[0]).split("\t")[0] for r in athena("DESCRIBE t").rows]
    assert [c["type"] if "type" in c else c["Type"] for c in athena("SELECT * FROM t").columns] == [
        "boolean", "integer", "bigint", "float", "double", "decimal", "varchar", "varbinary", "date", "timestamp",
        "array", "map", "row",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE EXTERNAL TABLE x (a int) LOCATION '{l}' TBLPROPERTIES ('table_type'='ICEBERG')", "External keyword not supported for table type ICEBERG"),
        ("CREATE TABLE x (a int) LOCATION '{l}' TBLPROPERTIES ('table_type'='ICEBERG', 'my'='own')", "Unsupported table property key: my"),
        ("CREATE TABLE x (a tinyint) LOCATION '{l}' TBLPROPERTIES ('table_type'='ICEBERG')", "Unsupported data type tinyint"),
        ("CREATE TABLE x (a int) PARTITIONED BY (b) LOCATION '{l}' TBLPROPERTIES ('table_type'='ICEBERG')", "Partition column b is no column"),
        ("CREATE TABLE x (a string) PARTITIONED BY (day(a)) LOCATION '{l}' TBLPROPERTIES ('table_type'='ICEBERG')", "Cannot partition by day of a, which is of type string"),
        ("CREATE TABLE x (a int) PARTITIONED BY (bucket(a)) LOCATION '{l}' TBLPROPERTIES ('table_type'='ICEBERG')", "Invalid partition transform bucket"),
        ("CREATE TABLE x (a int) TBLPROPERTIES ('table_type'='ICEBERG')", "need a LOCATION"),
        ("CREATE TABLE x (a int) LOCATION '{l}' TBLPROPERTIES ('table_type'='ICEBERG', 'format'='orc')", "'format'='orc' is not supported by local_aws"),
        ("CREATE TABLE x WITH (table_type='ICEBERG', location='{l}') AS SELECT 1 AS a", "set is_external = false"),
        ("CREATE TABLE x WITH (table_type='ICEBERG', location='{l}', is_external=false) AS SELECT current_timestamp AS a", 'Timestamp with time zone precision (3) not supported for Iceberg. Use "timestamp(6) with time zone" instead.'),
        ("CREATE TABLE x WITH (table_type='ICEBERG', location='{l}', is_external=false) AS SELECT CAST(1 AS smallint) AS a", "Type not supported for Iceberg: smallint"),
        ("CREATE TABLE x WITH (table_type='ICEBERG', location='{l}', is_external=false, partitioned_by=ARRAY['a']) AS SELECT 1 AS a", "use partitioning"),
        ("UPDATE v SET a = 1", "Modifying rows is only supported for Iceberg tables"),
        ("DELETE FROM hive WHERE a = 1", "Modifying rows is only supported for Iceberg tables"),
        ("ALTER TABLE hive DROP COLUMN a", "DROP COLUMN is only supported for Iceberg tables"),
        ("ALTER TABLE hive RENAME TO other", "RENAME is only supported for Iceberg tables"),
        ("VACUUM hive", "VACUUM is only supported for Iceberg tables"),
        ("ALTER TABLE t REPLACE COLUMNS (z int)", "REPLACE COLUMNS is not supported for Iceberg tables"),
        ("ALTER TABLE t DROP COLUMN id", "Cannot drop partition field: id"),
        ("ALTER TABLE t CHANGE COLUMN name name int", "name"),
        ("ALTER TABLE t ADD COLUMNS (name int)", "Duplicate column name: name"),
        ("ALTER TABLE t ADD PARTITION (id = 1)", "NOT_SUPPORTED"),
        ("MSCK REPAIR TABLE t", "NOT_SUPPORTED"),
        ("SHOW PARTITIONS t", "t$partitions"),
        ('SELECT * FROM "t$nonsense"', "does not exist"),
        ("SELECT * FROM t FOR VERSION AS OF 1", "Iceberg snapshot ID does not exists: 1"),
        ("SELECT * FROM t FOR VERSION AS OF 'x'", "Cannot find snapshot with reference name: x"),
        ("SELECT * FROM t FOR TIMESTAMP AS OF TIMESTAMP '2001-01-01 00:00:00 UTC'", "No version history table"),
        ("SELECT * FROM hive FOR VERSION AS OF 1", "does not support versioned tables"),
        ("INSERT INTO t VALUES ('x', 'y')", "Insert query has mismatched column types: Table: [bigint, varchar], Query: [varchar(1), varchar(1)]"),
        ("INSERT INTO t (id, nothing) VALUES (1, 'y')", "Insert column name does not exist in target table: nothing"),
        ("UPDATE t SET id = 'x'", "UPDATE table column types don't match SET expressions: Table: [bigint], Expressions: [varchar(1)]"),
        ("UPDATE t SET nothing = 1", "The UPDATE SET target column nothing doesn't exist"),
        ("MERGE INTO t USING (VALUES 1) AS s(id) ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (1, 2)", "MERGE table column types don't match for MERGE case 0"),
        ("MERGE INTO t USING (VALUES 1) AS s(id) ON t.id = s.id WHEN NOT MATCHED BY SOURCE THEN DELETE", "mismatched input 'BY'"),
        ("MERGE INTO hive USING (VALUES 1) AS s(id) ON hive.a = s.id WHEN MATCHED THEN DELETE", "Modifying rows is only supported for Iceberg tables"),
    ],
)  # fmt: skip
def test_refused(athena: Athena, sql: str, reason: str) -> None:
    if " t" in sql or '"t' in sql:
        create(athena, "t", "id bigint, name string", "id")
    athena("CREATE OR REPLACE VIEW v AS SELECT 1 AS a")
    athena(f"CREATE EXTERNAL TABLE hive (a int) LOCATION 's3://{athena.bucket}/hive/'")
    assert reason in athena.fails(sql.format(l=f"s3://{athena.bucket}/x/"))


@pytest.mark.supports(
    "Iceberg", "INSERT INTO ... VALUES/SELECT with column lists; every type, NULLs; PyIceberg reads it"
)
def test_types(athena: Athena, catalog: GlueCatalog) -> None:
    create(athena, "t", ALL_TYPES)
    result = athena(
        """INSERT INTO t VALUES
        (true, 1, 2, REAL '1.5', 2.5E0, DECIMAL '12345678901234567.891', 'text', X'0aff', DATE '2024-02-29',
         CAST('2024-02-29 12:34:56.123456' AS timestamp(6)), ARRAY[1, NULL], MAP(ARRAY['k'], ARRAY[7]),
         CAST(ROW(3, ARRAY['z']) AS ROW(x integer, y array(varchar)))),
        (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"""
    )
    assert result.execution["Status"]["State"] == "SUCCEEDED"
    assert athena("INSERT INTO t (s, i) SELECT 'partial', 5").rows == []
    assert athena("SELECT * FROM t ORDER BY i").data == [
        ["true", "1", "2", "1.5", "2.5", "12345678901234567.891", "text", "0a ff", "2024-02-29",
         "2024-02-29 12:34:56.123456", "[1, null]", "{k=7}", "{x=3, y=[z]}"],
        [None, "5", None, None, None, None, "partial", None, None, None, None, None, None],
        [None] * 13,
    ]  # fmt: skip
    read = sorted(
        catalog.load_table((athena.database, "t")).scan().to_arrow().to_pylist(), key=lambda r: r["i"] or 9
    )
    assert read[0] == {
        "b": True, "i": 1, "l": 2, "f": 1.5, "d": 2.5, "m": Decimal("12345678901234567.891"), "s": "text",
        "v": b"\x0a\xff", "day": dt.date(2024, 2, 29), "ts": dt.datetime.fromisoformat("2024-02-29 12:34:56.123456"),
        "a": [1, None], "kv": [("k", 7)], "r": {"x": 3, "y": ["z"]},
    }  # fmt: skip
    assert [r["s"] for r in read] == ["text", "partial", None]


@pytest.mark.parametrize(
    "spec",
    [
        "bucket(3, i), bucket(2, l)", "bucket(2, day), bucket(3, ts)", "bucket(3, s), bucket(2, m)", "bucket(2, v), b",
        "truncate(100, i), truncate(2, s)", "truncate(700000000, l)", "truncate(300, m), year(day)",
        "month(ts), s", "day(ts)", "hour(ts)", "i, l, day, ts, m, v",
    ],
)  # fmt: skip
def test_transforms(athena: Athena, catalog: GlueCatalog, spec: str) -> None:
    """Each row is in the partition in which PyIceberg looks for it."""
    create(
        athena,
        "t",
        "i int, l bigint, day date, ts timestamp, s string, m decimal(9,2), v binary, b boolean",
        spec,
    )
    athena(
        """INSERT INTO t SELECT CAST(n * 37 - 300 AS integer), n * 9999999967 - 80000000000, DATE '1969-12-20' + INTERVAL '1' DAY * n,
            CAST(TIMESTAMP '1969-12-31 20:00:00.000001' AS timestamp(6)) + INTERVAL '17' MINUTE * n,
            CASE n % 6 WHEN 0 THEN '' WHEN 1 THEN 'ä€' WHEN 2 THEN 'a/b=c' WHEN 3 THEN '😀x' ELSE 'abc' || CAST(n % 4 AS varchar) END,
            CAST(n - 10 AS decimal(9,2)) * DECIMAL '0.37', to_utf8(CAST(n % 5 AS varchar)), n % 2 = 0
        FROM UNNEST(sequence(1, 40)) AS u(n)
        UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL"""
    )
    table = catalog.load_table((athena.database, "t"))
    fields = [(f, table.schema().find_field(f.source_id)) for f in table.spec().fields]
    total = 0
    for task in table.scan().plan_files():
        with table.io.new_input(task.file.file_path).open() as body:
            found = pq.read_table(body).to_pylist()
        total += len(found)
        for row in found:
            values = [_to_partition_representation(c.field_type, row[c.name]) for _, c in fields]
            expected = [
                f.transform.transform(c.field_type)(v) for (f, c), v in zip(fields, values, strict=True)
            ]
            assert [task.file.partition[i] for i in range(len(fields))] == expected
    assert total == 41


@pytest.mark.supports(
    "Iceberg",
    "CREATE TABLE AS with table_type ICEBERG, partitioning, WITH NO DATA, timestamps with time zone",
)
def test_create_table_as(athena: Athena, catalog: GlueCatalog, client: Callable[[str], Any]) -> None:
    athena(
        f"""CREATE TABLE t WITH (table_type = 'ICEBERG', is_external = false, format = 'PARQUET',
        location = 's3://{athena.bucket}/t/', partitioning = ARRAY['month(day)', 'bucket(word, 4)'],
        write_compression = 'snappy', vacuum_max_snapshot_age_seconds = 60) AS
        SELECT n AS id, word, DATE '2024-01-31' + INTERVAL '1' DAY * n AS day,
            CAST(TIMESTAMP '2024-01-31 00:00:00 UTC' AS timestamp(6) with time zone) AS at
        FROM (VALUES (0, 'a'), (1, 'b'), (2, NULL)) AS v(n, word)"""
    )
    assert athena("SELECT id, word, day, at FROM t ORDER BY id").data == [
        ["0", "a", "2024-01-31", "2024-01-31 00:00:00.000000 UTC"],
        ["1", "b", "2024-02-01", "2024-01-31 00:00:00.000000 UTC"],
        ["2", None, "2024-02-02", "2024-01-31 00:00:00.000000 UTC"],
    ]
    table = catalog.load_table((athena.database, "t"))
    assert [str(f.transform) for f in table.spec().fields] == ["month", "bucket[4]"]
    assert table.scan(row_filter="day = '2024-02-01'").to_arrow()["id"].to_pylist() == [1]
    assert table.scan(row_filter="word = 'a'").to_arrow()["id"].to_pylist() == [0]
    assert "already exists" in athena.fails(
        f"CREATE TABLE t WITH (table_type='ICEBERG', is_external=false, location='s3://{athena.bucket}/z/') AS SELECT 1 AS a"
    )
    assert "non-empty location" in athena.fails(
        f"CREATE TABLE u WITH (table_type='ICEBERG', is_external=false, location='s3://{athena.bucket}/t/') AS SELECT 1 AS a"
    )
    athena(
        f"CREATE TABLE e WITH (table_type='ICEBERG', is_external=false, location='s3://{athena.bucket}/e/') AS SELECT 1 AS a WITH NO DATA"
    )
    assert athena("SELECT count(*) FROM e").data == [["0"]]
    athena.fails(
        f"CREATE TABLE f WITH (table_type='ICEBERG', is_external=false, location='s3://{athena.bucket}/f/') AS SELECT 1/0 AS a"
    )
    assert keys(client, athena.bucket, "f/") == []
    many = f"CREATE TABLE m WITH (table_type='ICEBERG', is_external=false, location='s3://{athena.bucket}/m/', partitioning=ARRAY['n']) AS SELECT * FROM UNNEST(sequence(1, 101)) AS t(n)"
    assert "ICEBERG_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of 100 open writers" in athena.fails(many)
    assert keys(client, athena.bucket, "m/") == []


@pytest.mark.supports("Iceberg", "UPDATE and DELETE, with subqueries, expressions over the old values, NULLs")
def test_update_and_delete(athena: Athena, client: Callable[[str], Any]) -> None:
    create(athena, "t", "id int, name string, amount decimal(10,2)", "truncate(10, id)")
    athena(
        "INSERT INTO t SELECT n, 'n' || CAST(n AS varchar), n * DECIMAL '1.10' FROM UNNEST(sequence(1, 30)) AS u(n)"
    )

    def count(sql: str) -> int:
        execution = athena.wait(athena.start(sql))
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
        assert (execution["StatementType"], execution["SubstatementType"]) == ("DML", sql.split()[0])
        results = client("athena").get_query_results(QueryExecutionId=execution["QueryExecutionId"])
        return int(results["UpdateCount"])

    assert (
        count("UPDATE t SET name = upper(name), amount = amount + id WHERE id IN (SELECT max(id) FROM t)")
        == 1
    )
    assert athena("SELECT * FROM t WHERE id >= 29 ORDER BY id").data == [
        ["29", "n29", "31.90"],
        ["30", "N30", "63.00"],
    ]
    before = athena('SELECT file_path FROM "t$files" ORDER BY 1').data
    assert count("UPDATE t SET name = NULL WHERE id = 5") == 1
    after = athena('SELECT file_path FROM "t$files" ORDER BY 1').data
    assert len(before) == len(after) == 4
    assert len([f for f in before if f in after]) == 3
    # The partition value moves with the row.
    assert count("UPDATE t SET id = id + 100 WHERE id = 7") == 1
    assert athena('SELECT "partition".id_trunc, record_count FROM "t$partitions" ORDER BY 1').data == [
        ["0", "8"], ["10", "10"], ["20", "10"], ["30", "1"], ["100", "1"],
    ]  # fmt: skip
    assert count("DELETE FROM t WHERE name IS NULL OR amount > 30") == 4
    # Whole files go without being rewritten.
    assert count("DELETE FROM t WHERE id BETWEEN 10 AND 19") == 10
    assert athena('SELECT operation FROM "t$snapshots" ORDER BY committed_at DESC LIMIT 1').data == [
        ["delete"]
    ]
    assert count("UPDATE t SET name = 'x' WHERE id = 12345") == 0
    assert count("DELETE FROM t") == 16
    assert athena("SELECT count(*), max(id) FROM t").data == [["0", None]]
    assert athena('SELECT count(*) FROM "t$snapshots"').data == [["7"]]
    # A failure leaves the table and its folder as they were.
    athena("INSERT INTO t VALUES (1, 'x', 0)")
    objects = keys(client, athena.bucket, "t/")
    assert "Division by zero" in athena.fails("UPDATE t SET id = 1 / 0")
    assert keys(client, athena.bucket, "t/") == objects


@pytest.mark.supports(
    "Iceberg", "MERGE INTO: UPDATE, DELETE, INSERT, conditions, several clauses, the first that applies"
)
def test_merge(athena: Athena) -> None:
    create(athena, "t", "id int, name string, note string")
    athena("INSERT INTO t VALUES (1, 'a', 'keep'), (2, 'b', 'keep'), (3, 'c', NULL), (NULL, 'n', 'null key')")
    athena(
        """MERGE INTO t AS target USING (
            SELECT * FROM (VALUES (1, 'one', false), (2, NULL, true), (4, 'four', false), (5, 'skip', false), (NULL, 'new', false)) AS v(id, name, gone)
        ) AS source ON target.id = source.id
        WHEN MATCHED AND source.gone THEN DELETE
        WHEN MATCHED AND target.name = 'never' THEN UPDATE SET note = 'wrong'
        WHEN MATCHED THEN UPDATE SET name = source.name, note = target.note || '+' || CAST(source.id AS varchar)
        WHEN NOT MATCHED AND source.name = 'skip' THEN INSERT (id) VALUES (source.id * 10)
        WHEN NOT MATCHED THEN INSERT (name, id) VALUES (source.name, source.id)"""
    )
    assert athena("SELECT * FROM t ORDER BY id, name").data == [
        ["1", "one", "keep+1"], ["3", "c", None], ["4", "four", None], ["50", None, None],
        [None, "n", "null key"], [None, "new", None],
    ]  # fmt: skip
    # Athena's limit of partitions counts new rows only.
    create(athena, "p", "id int", "id")
    for start in (1, 81):
        athena(f"INSERT INTO p SELECT * FROM UNNEST(sequence({start}, {start + 79})) AS u(n)")
    every = "MERGE INTO p USING (SELECT id FROM p WHERE id <= {}) AS s ON p.id = s.id WHEN MATCHED THEN UPDATE SET id = p.id + 1000"
    assert "ICEBERG_TOO_MANY_OPEN_PARTITIONS" in athena.fails(every.format(101))
    athena(every.format(100))
    athena("DELETE FROM p WHERE id < 1001")
    assert athena("SELECT count(*), min(id) FROM p").data == [["100", "1001"]]
    # Values are computed for the rows of their own clause only.
    athena(
        """MERGE INTO t USING (VALUES (1, 0), (3, 3)) AS s(id, n) ON t.id = s.id
        WHEN MATCHED AND s.n = 0 THEN UPDATE SET note = 'zero' WHEN MATCHED THEN UPDATE SET note = CAST(9 / s.n AS varchar)"""
    )
    assert athena("SELECT id, note FROM t WHERE id IN (1, 3) ORDER BY 1").data == [["1", "zero"], ["3", "3"]]
    twice = "MERGE INTO t USING (VALUES (1, 'x'), (1, 'y')) AS s(id, name) ON t.id = s.id"
    assert athena.fails(f"{twice} WHEN MATCHED THEN UPDATE SET name = s.name") == (
        "MERGE_TARGET_ROW_MULTIPLE_MATCHES: One MERGE target table row matched more than one source row"
    )
    athena(f"{twice} WHEN MATCHED AND s.name = 'y' THEN UPDATE SET name = s.name")
    assert athena("SELECT name FROM t WHERE id = 1").data == [["y"]]
    # The table itself as its source, a subquery in ON, INSERT without columns.
    athena(
        """MERGE INTO t USING (SELECT id + 1000 AS id, name FROM t WHERE id > 3) AS s
        ON t.id = s.id AND t.id > (SELECT max(id) FROM t) WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.name, 'copy')"""
    )
    assert athena("SELECT id FROM t WHERE note = 'copy' ORDER BY 1").data == [["1004"], ["1050"]]


@pytest.mark.supports(
    "Iceberg",
    "MERGE from a staging table of CSV or Parquet files into a silver table: counts, no change where nothing changed",
)
def test_upsert(athena: Athena, put: Callable[..., None], client: Callable[[str], Any]) -> None:
    create(
        athena,
        "silver",
        "provnum string, workdate date, hours decimal(8,2), loaded_at timestamp",
        "month(workdate)",
    )
    athena(
        f"""CREATE EXTERNAL TABLE staging (provnum string, workdate string, hours string)
        ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
        LOCATION 's3://{athena.bucket}/staging/' TBLPROPERTIES ('skip.header.line.count'='1')"""
    )
    upsert = """MERGE INTO silver AS t USING (
        SELECT provnum, CAST(date_parse(workdate, '%Y%m%d') AS date) AS workdate, CAST(hours AS decimal(8,2)) AS hours
        FROM staging WHERE provnum <> ''
    ) AS s ON t.provnum = s.provnum AND t.workdate = s.workdate
    WHEN MATCHED AND t.hours IS DISTINCT FROM s.hours THEN UPDATE SET hours = s.hours, loaded_at = CAST(current_timestamp AS timestamp(6))
    WHEN NOT MATCHED THEN INSERT (provnum, workdate, hours, loaded_at) VALUES (s.provnum, s.workdate, s.hours, CAST(current_timestamp AS timestamp(6)))"""

    def run() -> int:
        execution = athena.wait(athena.start(upsert))
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
        return int(
            client("athena").get_query_results(QueryExecutionId=execution["QueryExecutionId"])["UpdateCount"]
        )

    put(
        "staging/a.csv",
        'PROVNUM,WorkDate,Hours\n"015009",20240401,8.00\n"015009",20240402,7.50\n"015010",20240531,\n'.replace(
            ",\n", ",0\n"
        ),
    )
    assert run() == 3
    first = athena(
        "SELECT loaded_at FROM silver WHERE provnum = '015009' AND workdate = DATE '2024-04-01'"
    ).data
    assert run() == 0
    assert athena('SELECT count(*) FROM "silver$snapshots"').data == [["1"]]
    put(
        "staging/a.csv",
        'PROVNUM,WorkDate,Hours\n"015009",20240401,8.00\n"015009",20240402,6.25\n"015011",20240501,1\n',
    )
    assert run() == 2
    assert athena("SELECT provnum, workdate, hours FROM silver ORDER BY 1, 2").data == [
        ["015009", "2024-04-01", "8.00"], ["015009", "2024-04-02", "6.25"], ["015010", "2024-05-31", "0.00"], ["015011", "2024-05-01", "1.00"],
    ]  # fmt: skip
    assert (
        athena("SELECT loaded_at FROM silver WHERE provnum = '015009' AND workdate = DATE '2024-04-01'").data
        == first
    )


@pytest.mark.supports(
    "Iceberg",
    "ALTER TABLE ADD COLUMNS, DROP COLUMN, CHANGE COLUMN (name, type, place, comment), SET/UNSET TBLPROPERTIES: old files keep their meaning",
)
def test_schema_evolution(athena: Athena, catalog: GlueCatalog) -> None:
    create(athena, "t", "id int, name string, f float, m decimal(5,2), s struct<a:int>")
    athena("INSERT INTO t VALUES (1, 'a', REAL '0.5', DECIMAL '1.25', CAST(ROW(7) AS ROW(a integer)))")
    athena("ALTER TABLE t ADD COLUMNS (extra string COMMENT 'more', nested struct<x:array<int>>)")
    athena("ALTER TABLE t CHANGE COLUMN id id bigint FIRST")
    athena("ALTER TABLE t CHANGE f f double")
    athena("ALTER TABLE t CHANGE COLUMN m m decimal(9,2) COMMENT 'wider'")
    athena("ALTER TABLE t CHANGE COLUMN name title string AFTER m")
    # A new column of an old name is another column.
    athena("ALTER TABLE t DROP COLUMN s")
    athena("ALTER TABLE t ADD COLUMNS (s string, name string)")
    assert athena("SELECT * FROM t").rows == [
        ["id", "f", "m", "title", "extra", "nested", "s", "name"],
        ["1", "0.5", "1.25", "a", None, None, None, None],
    ]
    athena("INSERT INTO t (id, name, m) VALUES (5000000000, 'n', DECIMAL '1234567.89')")
    athena("UPDATE t SET extra = 'e' WHERE id = 1")
    assert athena("SELECT id, title, name, m, extra FROM t ORDER BY id").data == [
        ["1", "a", None, "1.25", "e"], ["5000000000", None, "n", "1234567.89", None],
    ]  # fmt: skip
    assert athena("SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = '" + athena.database + "' AND table_name = 't' AND column_name IN ('id', 'f')").data == [
        ["id", "bigint"], ["f", "double"],
    ]  # fmt: skip
    described = [str(r[0]).split("\t") for r in athena("DESCRIBE t").rows]
    assert ["m", "decimal(9,2)", "wider"] in described
    athena(
        "ALTER TABLE t SET TBLPROPERTIES ('vacuum_min_snapshots_to_keep'='3', 'write_compression'='snappy')"
    )
    assert athena("SHOW TBLPROPERTIES t('vacuum_min_snapshots_to_keep')").rows == [["3"]]
    athena("ALTER TABLE t UNSET TBLPROPERTIES ('vacuum_min_snapshots_to_keep')")
    assert (
        catalog.load_table((athena.database, "t")).properties["write.parquet.compression-codec"] == "snappy"
    )
    assert not [r for r in athena("SHOW TBLPROPERTIES t").rows if "snapshots" in str(r[0])]
    assert "string" in athena.fails("ALTER TABLE t CHANGE COLUMN title title int")


@pytest.mark.supports(
    "Iceberg", "Time travel: FOR TIMESTAMP AS OF, FOR VERSION AS OF (ids and tags), with the schema of then"
)
def test_time_travel(athena: Athena, catalog: GlueCatalog) -> None:
    create(athena, "t", "id int, name string")
    athena("INSERT INTO t VALUES (1, 'a')")
    athena("INSERT INTO t VALUES (2, 'b')")
    athena("ALTER TABLE t CHANGE COLUMN name title string")
    athena("DELETE FROM t WHERE id = 1")
    history = athena('SELECT snapshot_id, made_current_at FROM "t$history" ORDER BY made_current_at').data
    assert len(history) == 3
    assert athena(f"SELECT * FROM t FOR VERSION AS OF {history[0][0]}").rows == [["id", "name"], ["1", "a"]]
    moment = str(history[1][1])
    assert athena(
        f"SELECT x.id, x.name FROM t FOR TIMESTAMP AS OF TIMESTAMP '{moment}' AS x ORDER BY 1"
    ).data == [["1", "a"], ["2", "b"]]
    assert athena("SELECT title FROM t FOR TIMESTAMP AS OF (current_timestamp + INTERVAL '1' DAY)").data == [
        ["b"]
    ]
    assert athena(
        f"SELECT o.id FROM t FOR VERSION AS OF {history[1][0]} AS o LEFT JOIN t ON t.id = o.id WHERE t.id IS NULL AND o.name = 'a'"
    ).data == [["1"]]
    catalog.load_table((athena.database, "t")).manage_snapshots().create_tag(
        int(str(history[0][0])), "first"
    ).commit()
    assert athena("SELECT name FROM t FOR VERSION AS OF 'first'").data == [["a"]]
    assert athena('SELECT name, type FROM "t$refs" ORDER BY 1').data == [["first", "TAG"], ["main", "BRANCH"]]


@pytest.mark.supports(
    "Iceberg", "Metadata tables: $snapshots, $history, $files, $partitions, $manifests, $refs"
)
def test_metadata_tables(athena: Athena) -> None:
    create(athena, "t", "id int, day date", "day(day)")
    for name in ("snapshots", "history", "files", "partitions", "manifests", "refs"):
        assert athena(f'SELECT * FROM "t${name}"').data == []
    athena("INSERT INTO t VALUES (1, DATE '2024-01-01'), (2, DATE '2024-01-01'), (3, NULL)")
    athena("DELETE FROM t WHERE id = 3")
    assert athena("SELECT operation, summary['total-records'] FROM \"t$snapshots\" ORDER BY committed_at").data == [
        ["append", "3"], ["delete", "2"],
    ]  # fmt: skip
    assert athena('SELECT h.is_current_ancestor, s.parent_id IS NULL FROM "t$history" AS h JOIN "t$snapshots" AS s ON h.snapshot_id = s.snapshot_id ORDER BY 2').data == [
        ["true", "false"], ["true", "true"],
    ]  # fmt: skip
    assert athena('SELECT content, file_format, record_count, lower_bounds, upper_bounds FROM "t$files"').data == [
        ["0", "PARQUET", "2", "{1=1, 2=2024-01-01}", "{1=2, 2=2024-01-01}"],
    ]  # fmt: skip
    assert athena(
        'SELECT "partition", record_count, file_count, data.id.max, data.id.null_count FROM "t$partitions"'
    ).data == [["{day_day=2024-01-01}", "2", "1", "2", "0"]]
    assert athena(
        'SELECT sum(added_data_files_count), sum(existing_data_files_count), sum(deleted_data_files_count) FROM "t$manifests"'
    ).data == [["0", "1", "1"]]
    assert athena('SELECT name, type FROM "t$refs"').data == [["main", "BRANCH"]]


@pytest.mark.supports(
    "Iceberg",
    "Only partitions and files that WHERE allows are read, by transforms and by column bounds; bytes of columns in use",
)
def test_pruning(athena: Athena) -> None:
    create(
        athena, "t", "id bigint, ts timestamp, name string, amount decimal(10,2)", "day(ts), bucket(4, id)"
    )
    athena(
        "INSERT INTO t SELECT n, date_add('hour', n, TIMESTAMP '2024-01-01 00:00:00'), 'name ' || CAST(n AS varchar), n / DECIMAL '10' FROM UNNEST(sequence(0, 95)) AS u(n)"
    )
    whole = athena("SELECT id, ts, name, amount FROM t").scanned
    assert athena("SELECT count(*) FROM t").scanned == 0

    def share(where: str, expected: int) -> float:
        result = athena(f"SELECT id, ts, name, amount FROM t WHERE {where}")
        assert len(result.data) == expected
        return result.scanned / whole

    assert share("ts >= TIMESTAMP '2024-01-02 00:00:00' AND ts < TIMESTAMP '2024-01-03 00:00:00'", 24) < 0.3
    assert share("id = 42", 1) < 0.1
    assert share("id IN (1, 2) OR id = 3", 3) < 0.4
    assert share("ts BETWEEN TIMESTAMP '2024-01-04 23:00:00' AND TIMESTAMP '2025-01-01 00:00:00'", 1) < 0.3
    assert share("id > 90.5 AND amount >= 9", 5) < 0.3
    assert share("name = 'nobody'", 0) < 0.9
    assert share("id = 1 AND id = 2", 0) < 0.1
    assert (
        athena(
            "SELECT t.id FROM t JOIN (VALUES 5) AS k(id) ON t.id = k.id WHERE t.ts < TIMESTAMP '2024-01-02 00:00:00'"
        ).scanned
        < whole / 4
    )
    assert athena("SELECT max(id) FROM t").scanned < whole / 2
    # MERGE reads the source first, and then those files that its keys can be in.
    merge = "MERGE INTO t USING (VALUES (10, TIMESTAMP '2024-01-01 10:00:00'), (11, TIMESTAMP '2024-01-01 11:00:00'), (500, TIMESTAMP '2024-01-01 12:00:00')) AS s(id, ts) ON {} WHEN MATCHED THEN UPDATE SET name = 'merged' WHEN NOT MATCHED THEN INSERT (id, ts) VALUES (s.id, s.ts)"
    keys_alone = athena("SELECT id, ts FROM t").scanned
    assert athena(merge.format("s.ts = t.ts AND t.id = s.id")).scanned < keys_alone * 0.4
    assert athena("SELECT count(*), count_if(name = 'merged') FROM t").data == [["97", "2"]]
    assert (
        athena(merge.format("t.id + 0 = s.id AND t.ts = s.ts + INTERVAL '0' DAY")).scanned < keys_alone * 0.4
    )
    assert athena(merge.format("t.id + 0 = s.id AND t.ts + INTERVAL '0' DAY = s.ts")).scanned >= keys_alone
    assert athena("SELECT count(*), count_if(name = 'merged') FROM t").data == [["97", "3"]]


def test_a_change_does_not_read_what_earlier_ones_deleted(athena: Athena) -> None:
    create(athena, "t", "id int, v int", "", "")
    athena("INSERT INTO t VALUES (1, 0)")
    for number in range(4):
        athena(f"UPDATE t SET v = {number} WHERE id = 1")
    assert athena('SELECT count(*) FROM "t$snapshots"').data == [["5"]]
    # That of the one file, and that of the file which the last change deleted.
    assert athena('SELECT count(*) FROM "t$manifests"').data == [["2"]]
    assert athena("SELECT v FROM t").data == [["3"]]


@pytest.mark.supports("Iceberg", "OPTIMIZE ... REWRITE DATA USING BIN_PACK [WHERE]: small files become one")
def test_optimize(athena: Athena) -> None:
    create(athena, "t", "id int, part string", "part", ", 'optimize_rewrite_data_file_threshold'='3'")
    for i in range(3):
        athena(f"INSERT INTO t VALUES ({i}, 'a'), ({i + 10}, 'b')")
    athena("OPTIMIZE t REWRITE DATA USING BIN_PACK WHERE part = 'a' AND id < 2")
    assert athena('SELECT count(*) FROM "t$files"').data == [["6"]]
    athena("OPTIMIZE t REWRITE DATA USING BIN_PACK WHERE part = 'a'")
    assert athena('SELECT "partition".part, file_count FROM "t$partitions" ORDER BY 1').data == [
        ["a", "1"],
        ["b", "3"],
    ]
    athena("OPTIMIZE t REWRITE DATA USING BIN_PACK")
    assert athena(
        'SELECT "partition".part, file_count, record_count FROM "t$partitions" ORDER BY 1'
    ).data == [["a", "1", "3"], ["b", "1", "3"]]
    assert athena("SELECT id FROM t ORDER BY 1").data == [["0"], ["1"], ["2"], ["10"], ["11"], ["12"]]
    assert athena('SELECT operation, count(*) FROM "t$snapshots" GROUP BY 1 ORDER BY 1').data == [
        ["append", "3"],
        ["replace", "2"],
    ]
    athena("OPTIMIZE t REWRITE DATA USING BIN_PACK")
    assert athena('SELECT count(*) FROM "t$snapshots"').data == [["5"]]


@pytest.mark.supports(
    "Iceberg", "VACUUM expires snapshots by the table's properties and removes what nothing needs"
)
def test_vacuum(athena: Athena, client: Callable[[str], Any], put: Callable[..., None]) -> None:
    create(athena, "t", "id int", "", ", 'vacuum_min_snapshots_to_keep'='2'")
    for i in range(4):
        athena(f"INSERT INTO t VALUES ({i})")
    athena("DELETE FROM t WHERE id = 0")
    put("t/data/orphan.parquet", "not of the table")
    athena("VACUUM t")
    assert athena('SELECT count(*) FROM "t$snapshots"').data == [["5"]]
    assert "t/data/orphan.parquet" in keys(client, athena.bucket, "t/")
    athena("ALTER TABLE t SET TBLPROPERTIES ('vacuum_max_snapshot_age_seconds'='0')")
    athena("VACUUM t")
    assert athena('SELECT count(*) FROM "t$snapshots"').data == [["2"]]
    assert athena("SELECT id FROM t ORDER BY 1").data == [["1"], ["2"], ["3"]]
    left = keys(client, athena.bucket, "t/data/")
    # The file of row 0 is still needed by the snapshot before the DELETE.
    assert len(left) == 4
    assert athena('SELECT count(*) FROM "t$files"').data == [["3"]]
    athena("INSERT INTO t VALUES (9)")
    athena("INSERT INTO t VALUES (10)")
    athena("VACUUM t")
    assert len(keys(client, athena.bucket, "t/data/")) == 5


@pytest.mark.supports("Iceberg", "DROP TABLE removes the data too")
def test_drop(athena: Athena, client: Callable[[str], Any]) -> None:
    create(athena, "t", "id int")
    create(athena, "t2", "id int")
    athena("INSERT INTO t VALUES 1")
    assert "use DROP TABLE" in athena.fails("DROP VIEW t")
    athena("DROP TABLE t")
    assert keys(client, athena.bucket, "t/") == []
    assert len(keys(client, athena.bucket, "t2/")) == 1
    athena("DROP TABLE IF EXISTS t")
    create(athena, "t", "id int")
    assert athena("SELECT * FROM t").data == []


@pytest.mark.supports("Iceberg", "ALTER TABLE RENAME TO")
def test_rename(athena: Athena, client: Callable[[str], Any], catalog: GlueCatalog) -> None:
    create(athena, "t", "id int")
    create(athena, "taken", "id int")
    athena("INSERT INTO t VALUES 1")
    assert "already exists" in athena.fails("ALTER TABLE t RENAME TO taken")
    athena(f"ALTER TABLE t RENAME TO `{athena.database}`.`u`")
    athena("INSERT INTO u VALUES 2")
    assert athena("SELECT id FROM u ORDER BY 1").data == [["1"], ["2"]]
    assert "does not exist" in athena.fails("SELECT * FROM t")
    assert catalog.load_table((athena.database, "u")).scan().to_arrow().num_rows == 2
    athena("DROP TABLE u")
    assert keys(client, athena.bucket, "t/") == []


@pytest.mark.supports(
    "Iceberg", "Views on and joins with Iceberg tables, CTAS, UNLOAD and INSERT into others from them"
)
def test_with_others(athena: Athena, put: Callable[..., None]) -> None:
    create(athena, "t", "id int, name string")
    athena("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    athena("CREATE VIEW v AS SELECT id, upper(name) AS name FROM t")
    put("j/1.json", [{"id": 1, "x": "json"}])
    athena(
        f"CREATE EXTERNAL TABLE j (id int, x string) ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://{athena.bucket}/j/'"
    )
    assert athena("SELECT v.name, j.x FROM v LEFT JOIN j ON j.id = v.id ORDER BY 1").data == [
        ["A", "json"],
        ["B", None],
    ]
    athena(
        f"CREATE TABLE copy WITH (format = 'PARQUET', external_location = 's3://{athena.bucket}/copy/') AS SELECT * FROM t"
    )
    athena("INSERT INTO t SELECT id + 10, name FROM copy UNION ALL SELECT id + 20, x FROM j")
    assert athena("SELECT id FROM t ORDER BY 1").data == [["1"], ["2"], ["11"], ["12"], ["21"]]
    assert athena('SELECT count(DISTINCT "$path") FROM t').data == [["2"]]


@pytest.mark.supports(
    "Iceberg", "PyIceberg writes the same tables: appends, overwrites, deletes, schema changes, partitions"
)
def test_external_writer(athena: Athena, catalog: GlueCatalog) -> None:
    create(athena, "t", "id bigint, day date, name string", "day")
    athena("INSERT INTO t VALUES (1, DATE '2024-01-01', 'athena')")
    table = catalog.load_table((athena.database, "t"))
    day = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
    table.append(pa.table({"id": [2, 3], "day": pa.array(day, pa.date32()), "name": ["py", "py"]}))
    assert athena("SELECT * FROM t ORDER BY id").data == [
        ["1", "2024-01-01", "athena"], ["2", "2024-01-02", "py"], ["3", "2024-01-03", "py"],
    ]  # fmt: skip
    assert athena("SELECT id FROM t WHERE day = DATE '2024-01-02'").data == [["2"]]
    athena("UPDATE t SET name = 'changed' WHERE id = 2")
    table.refresh()
    table.delete("id = 3")
    with table.update_schema() as update:
        update.rename_column("name", "title")
    assert athena("SELECT id, title FROM t ORDER BY id").data == [["1", "athena"], ["2", "changed"]]
    made = catalog.create_table(
        (athena.database, "made"),
        pa.schema([("Id", pa.int32()), ("At", pa.timestamp("us", "UTC"))]),
        location=f"s3://{athena.bucket}/made",
    )
    made.append(
        pa.table(
            {
                "Id": pa.array([7], pa.int32()),
                "At": pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC)], pa.timestamp("us", "UTC")),
            }
        )
    )
    assert athena("SELECT id, at FROM made WHERE id = 7").rows == [
        ["id", "at"],
        ["7", "2024-01-01 00:00:00.000000 UTC"],
    ]
    athena("UPDATE made SET id = id + 1")
    made.refresh()
    assert made.scan().to_arrow().to_pylist() == [{"Id": 8, "At": dt.datetime(2024, 1, 1, tzinfo=dt.UTC)}]
    # A commit from an old state is refused, by Glue's optimistic lock.
    stale = catalog.load_table((athena.database, "made"))
    athena("INSERT INTO made (id) VALUES (9)")
    with pytest.raises(Exception, match=r"(?i)branch main has changed|concurrent"):
        stale.append(
            pa.table({"Id": pa.array([1], pa.int32()), "At": pa.array([None], pa.timestamp("us", "UTC"))})
        )
    assert athena("SELECT id FROM made ORDER BY 1").data == [["8"], ["9"]]


@pytest.mark.supports(
    "Iceberg",
    "Tables as others make them: other partitions since, format version 1, required and mixed-case columns, files without ids",
)
def test_tables_of_others(
    athena: Athena, catalog: GlueCatalog, client: Callable[[str], Any], tmp_path: Path
) -> None:
    def place(name: str) -> str:
        return f"s3://{athena.bucket}/{name}"

    create(athena, "t", "id int, part string, n int")
    athena("INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, NULL, 3)")
    with catalog.load_table((athena.database, "t")).update_spec() as update:
        update.add_field("part", IdentityTransform(), "part_id")
    athena("INSERT INTO t VALUES (4, 'a', 4)")
    athena(
        "MERGE INTO t USING (VALUES (1, 10), (4, 40), (6, 60)) AS s(id, n) ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'd', s.n)"
    )
    expected = [["1", "a", "10"], ["2", "b", "2"], ["3", None, "3"], ["4", "a", "40"], ["6", "d", "60"]]
    assert athena("SELECT * FROM t ORDER BY id").data == expected
    assert athena("SELECT id FROM t WHERE part = 'a' ORDER BY 1").data == [["1"], ["4"]]
    found = catalog.load_table((athena.database, "t")).scan(row_filter="part = 'a'").to_arrow()
    assert sorted(found["n"].to_pylist()) == [10, 40]
    first = catalog.create_table(
        (athena.database, "v1"),
        pa.schema([("a", pa.int32())]),
        place("v1"),
        properties={"format-version": "1"},
    )
    first.append(pa.table({"a": pa.array([1, 2], pa.int32())}))
    athena("UPDATE v1 SET a = a * 10 WHERE a = 2")
    assert sorted(first.refresh().scan().to_arrow()["a"].to_pylist()) == [1, 20]
    assert first.metadata.format_version == 1
    inner = StructType(NestedField(3, "Inner", StringType(), required=False))
    fields = [
        NestedField(1, "A", IntegerType(), required=True),
        NestedField(2, "Mixed", inner, required=False),
    ]
    mixed = catalog.create_table((athena.database, "mixed"), Schema(*fields), place("mixed"))
    athena("""INSERT INTO mixed VALUES (1, CAST(ROW('x') AS ROW("inner" varchar)))""")
    assert "NULL value not allowed for NOT NULL column: A" in athena.fails("UPDATE mixed SET a = NULL")
    assert mixed.refresh().scan().to_arrow().to_pylist() == [{"A": 1, "Mixed": {"Inner": "x"}}]
    body = tmp_path / "f.parquet"
    pq.write_table(pa.table({"A": pa.array([7], pa.int32()), "Mixed": pa.array([{"Inner": "q"}])}), body)
    client("s3").put_object(Bucket=athena.bucket, Key="elsewhere/f.parquet", Body=body.read_bytes())
    added = catalog.create_table((athena.database, "added"), pq.read_schema(body), place("added"))
    added.add_files([place("elsewhere/f.parquet")])
    assert athena('SELECT a, mixed."inner" FROM added').data == [["7", "q"]]
    athena("UPDATE added SET a = 8")
    assert added.refresh().scan().to_arrow().to_pylist() == [{"A": 8, "Mixed": {"Inner": "q"}}]
    other = Schema(NestedField(1, "u", UUIDType(), required=False))
    catalog.create_table((athena.database, "other"), other, place("other"))
    assert "The Iceberg type uuid is not supported by local_aws" in athena.fails("SELECT * FROM other")


@pytest.mark.supports(
    "Iceberg",
    "Commits are atomic: of two changes at once one wins, the other fails with ICEBERG_COMMIT_ERROR; appends all succeed",
)
def test_concurrent_writers(athena: Athena) -> None:
    create(athena, "t", "id int, n int")
    athena("INSERT INTO t SELECT n, 0 FROM UNNEST(sequence(1, 100)) AS u(n)")
    barrier = threading.Barrier(6)
    outcomes: list[str] = []

    def change(i: int) -> None:
        barrier.wait()
        sql = f"MERGE INTO t USING (SELECT id FROM t WHERE id <= 50) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = n + 1 WHEN NOT MATCHED THEN INSERT VALUES ({i}, 0)"
        if i >= 3:
            sql = f"INSERT INTO t VALUES ({1000 + i}, 0)"
        try:
            athena(sql)
            outcomes.append("append" if i >= 3 else "changed")
        except QueryFailedError as e:
            # The type on which dbt-athena tries again: https://docs.aws.amazon.com/athena/latest/ug/error-reference.html
            error = e.execution["Status"]["AthenaError"]
            outcomes.append(str(e).split(":")[0] if error["ErrorType"] == 233 else str(error))

    threads = [threading.Thread(target=change, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("append") == 3
    assert set(outcomes) <= {"append", "changed", "ICEBERG_COMMIT_ERROR"}
    done = outcomes.count("changed")
    assert athena("SELECT count(*), sum(n), count(DISTINCT id) FROM t").data == [
        ["103", str(50 * done), "103"]
    ]


@pytest.mark.supports("Iceberg", "A killed server leaves the last commit whole, and comes back with it")
def test_killed(start: Callable[..., Process], tmp_path: Any) -> None:
    state = str(tmp_path / "state")
    server = start("--state", state)
    server.client("s3").create_bucket(Bucket="lake")
    athena = Athena(server.client("athena"), "lake", "default")
    create(athena, "t", "id bigint, n int")
    athena("INSERT INTO t SELECT n, 0 FROM UNNEST(sequence(1, 10000)) AS u(n)")
    query = athena.start(
        "MERGE INTO t USING (SELECT id FROM t) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = n + 1"
    )
    assert query
    server.kill()
    server = start("--state", state)
    athena = Athena(server.client("athena"), "lake", "default")
    found = athena("SELECT count(*), count(DISTINCT n), max(n) FROM t").data
    assert found in ([["10000", "1", "0"]], [["10000", "1", "1"]])
    athena("UPDATE t SET n = 5")
    rows = connect(server.url).load_table(("default", "t")).scan().to_arrow()
    assert (rows.num_rows, set(rows["n"].to_pylist())) == (10000, {5})


class _DeleteManifest(ManifestWriterV2):
    """Writes a manifest of delete files, which PyIceberg itself does not do."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class _RowDelta(_FastAppendFiles):
    """A snapshot that adds delete files, as Athena's own and Spark's merge-on-read writers make them."""

    def _manifests(self) -> list[ManifestFile]:
        with _DeleteManifest(
            self._transaction.table_metadata.spec(),
            self._transaction.table_metadata.schema(),
            self.new_manifest_output(),
            self._snapshot_id,
            "deflate",
        ) as writer:
            for f in self._added_data_files:
                writer.add(ManifestEntry.from_args(
                    status=ManifestEntryStatus.ADDED, snapshot_id=self._snapshot_id, sequence_number=None, file_sequence_number=None, data_file=f
                ))  # fmt: skip
        self._added_data_files = []
        return [*self._existing_manifests(), writer.to_manifest_file()]


def add_deletes(
    table: Table, kind: DataFileContent, deletes: pa.Table, location: str, equality: list[int] | None = None
) -> None:
    with table.io.new_output(location).create() as out:
        pq.write_table(deletes, out)
    with table.transaction() as transaction:
        delta = _RowDelta(Operation.APPEND, transaction, table.io)
        delta.append_data_file(
            DataFile.from_args(
                content=kind,
                file_path=location,
                file_format=FileFormat.PARQUET,
                partition=Record(),
                record_count=len(deletes),
                file_size_in_bytes=1000,
                column_sizes={},
                value_counts={},
                null_value_counts={},
                nan_value_counts={},
                lower_bounds={},
                upper_bounds={},
                key_metadata=None,
                split_offsets=None,
                equality_ids=equality,
                sort_order_id=None,
                spec_id=0,
            )
        )
        delta.commit()


@pytest.mark.supports(
    "Iceberg",
    "Position deletes of other writers are read, and gone once their rows are rewritten; equality deletes are refused",
)
def test_deletes_of_others(athena: Athena, catalog: GlueCatalog) -> None:
    create(athena, "t", "id int, name string")
    athena("INSERT INTO t SELECT n, 'x' FROM UNNEST(sequence(0, 9)) AS u(n)")
    athena("INSERT INTO t VALUES (10, 'y')")
    table = catalog.load_table((athena.database, "t"))
    paths = {f.file.record_count: f.file.file_path for f in table.scan().plan_files()}
    place = f"s3://{athena.bucket}/t/data"
    deletes = pa.table({"file_path": [paths[10]] * 2, "pos": pa.array([3, 4], pa.int64())})
    add_deletes(table, DataFileContent.POSITION_DELETES, deletes, f"{place}/d1.parquet")
    expected = [0, 1, 2, 5, 6, 7, 8, 9, 10]

    def ids() -> list[int]:
        return [int(str(r[0])) for r in athena("SELECT id FROM t ORDER BY id").data]

    assert ids() == expected
    assert athena("SELECT count(*) FROM t").data == [["9"]]
    assert athena("SELECT count(*) FROM t WHERE id = 4").data == [["0"]]
    assert athena('SELECT content, count(*) FROM "t$files" GROUP BY 1 ORDER BY 1').data == [
        ["0", "2"],
        ["1", "1"],
    ]
    athena("UPDATE t SET name = 'z' WHERE id = 5")
    assert ids() == expected
    assert athena("SELECT name, count(*) FROM t GROUP BY 1 ORDER BY 1").data == [
        ["x", "7"],
        ["y", "1"],
        ["z", "1"],
    ]
    assert sorted(catalog.load_table((athena.database, "t")).scan().to_arrow()["id"].to_pylist()) == expected
    # All the rows that are left of a file go: the file goes, although it once had more.
    table = table.refresh()
    paths = {f.file.record_count: f.file.file_path for f in table.scan().plan_files()}
    deletes = pa.table({"file_path": [paths[8]], "pos": pa.array([0], pa.int64())})
    add_deletes(table, DataFileContent.POSITION_DELETES, deletes, f"{place}/d2.parquet")
    athena("DELETE FROM t WHERE id < 10")
    assert ids() == [10]
    assert athena('SELECT record_count FROM "t$files" WHERE content = 0').data == [["1"]]
    gone = pa.table({"id": pa.array([10], pa.int32())})
    add_deletes(table.refresh(), DataFileContent.EQUALITY_DELETES, gone, f"{place}/e.parquet", [1])
    assert "Equality deletes" in athena.fails("SELECT * FROM t")


def test_columns_named_like_the_engines_own(athena: Athena) -> None:
    create(athena, "t", "file_index int, filename string, file_row_number bigint")
    athena("INSERT INTO t VALUES (5, 'f', 6)")
    assert athena("SELECT * FROM t WHERE filename = 'f'").data == [["5", "f", "6"]]
    assert "a column named file_index" in athena.fails("UPDATE t SET filename = 'g'")
    assert "a column named file_index" in athena.fails('SELECT "$path" FROM t')
    create(athena, "u", "filename string, c0 int, t int, q int")
    athena("INSERT INTO u VALUES ('f', 1, 2, 3)")
    athena("UPDATE u SET filename = 'g', t = c0 + q")
    assert athena("SELECT * FROM u").data == [["g", "1", "4", "3"]]


def test_damage_is_named(athena: Athena, client: Callable[[str], Any]) -> None:
    create(athena, "t", "id int")
    athena("INSERT INTO t VALUES 1")
    data = keys(client, athena.bucket, "t/data/")[0]
    client("s3").put_object(Bucket=athena.bucket, Key=data, Body=b"no Parquet")
    assert f"Not a valid Parquet file: s3://{athena.bucket}/{data}" in athena.fails("SELECT * FROM t")
    client("s3").delete_object(Bucket=athena.bucket, Key=data)
    assert "does not exist" in athena.fails("SELECT * FROM t")
    glue = client("glue")
    location = glue.get_table(DatabaseName=athena.database, Name="t")["Table"]["Parameters"][
        "metadata_location"
    ]
    client("s3").delete_object(Bucket=athena.bucket, Key=location.split("/", 3)[3])
    assert (
        f"Metadata not found in metadata location for table {athena.database}.t: {location}"
        in athena.fails("SELECT * FROM t")
    )
    assert athena("SHOW TABLES").rows == [["t"]]
    athena("DROP TABLE t")
    assert keys(client, athena.bucket, "t/") == []


def test_a_table_without_its_metadata_hides_no_other(athena: Athena, client: Callable[[str], Any]) -> None:
    for name in ("gone", "here"):
        athena(
            f"CREATE TABLE {name} (a int) LOCATION 's3://{athena.bucket}/{name}/' TBLPROPERTIES ('table_type' = 'ICEBERG')"
        )
    for one in client("s3").list_objects_v2(Bucket=athena.bucket, Prefix="gone/")["Contents"]:
        client("s3").delete_object(Bucket=athena.bucket, Key=one["Key"])
    listed = athena(
        f"SELECT table_name FROM information_schema.columns WHERE table_schema = '{athena.database}'"
    )
    assert listed.data == [["here"]]
