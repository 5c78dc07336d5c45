"""PyIceberg with the Glue catalog: a reader and writer of Iceberg that has no part in local_aws' process."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.types import DoubleType

from local_aws_tests.harness import Athena


@pytest.fixture
def catalog(aws_url: str) -> Any:
    return load_catalog("lake", type="glue", **{"glue.endpoint": aws_url, "s3.endpoint": aws_url})


def rows(table: Any, **scan: Any) -> list[tuple[Any, ...]]:
    return sorted(tuple(r.values()) for r in table.scan(**scan).to_arrow().to_pylist())


@pytest.mark.supports(
    "Clients", "PyIceberg reads what INSERT, UPDATE, DELETE and MERGE wrote, also of earlier snapshots"
)
def test_pyiceberg_reads(catalog: Any, athena: Athena) -> None:
    athena(
        f"CREATE TABLE visits (id int, clinic string, at timestamp, cost decimal(10,2)) "
        f"PARTITIONED BY (day(at), bucket(4, id)) LOCATION 's3://{athena.bucket}/visits/' "
        "TBLPROPERTIES ('table_type' = 'ICEBERG', 'format' = 'parquet')"
    )
    athena(
        "INSERT INTO visits SELECT x, 'c' || CAST(x % 3 AS varchar), "
        "TIMESTAMP '2026-01-01 10:00:00' + x * INTERVAL '6' HOUR, CAST(x AS decimal(10,2)) "
        "FROM UNNEST(sequence(1, 20)) AS t(x)"
    )
    athena("UPDATE visits SET cost = cost + 100 WHERE id = 2")
    athena("DELETE FROM visits WHERE id > 10 AND id < 15")
    athena(
        "MERGE INTO visits AS t USING (VALUES (1, 'gone'), (3, 'changed'), (99, 'new')) AS s(id, clinic) "
        "ON t.id = s.id "
        "WHEN MATCHED AND s.clinic = 'gone' THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET clinic = s.clinic "
        "WHEN NOT MATCHED THEN INSERT (id, clinic, cost) VALUES (s.id, s.clinic, 0)"
    )
    table = catalog.load_table(f"{athena.database}.visits")
    assert [str(f.transform) for f in table.spec().fields] == ["day", "bucket[4]"]
    got = rows(table, selected_fields=("id", "clinic", "cost"))
    by_athena = athena("SELECT id, clinic, cost FROM visits ORDER BY id").data
    assert [[str(i), c, str(d)] for i, c, d in got] == by_athena
    assert [r[0] for r in got] == [*range(2, 11), *range(15, 21), 99]
    assert got[0] == (2, "c2", pa.scalar("102.00").cast(pa.decimal128(10, 2)).as_py())
    assert got[1][1] == "changed"
    # The filter is pushed down to partitions and files.
    assert [r[0] for r in rows(table, row_filter="id = 20", selected_fields=("id",))] == [20]
    first = table.history()[0].snapshot_id
    assert len(rows(table, snapshot_id=first)) == 20
    assert athena(f"SELECT count(*) FROM visits FOR VERSION AS OF {first}").data == [["20"]]


@pytest.mark.supports("Clients", "PyIceberg writes, adds columns and deletes; Athena reads it")
def test_pyiceberg_writes(catalog: Any, athena: Athena) -> None:
    schema = pa.schema([("id", pa.int64()), ("name", pa.string()), ("tags", pa.list_(pa.string()))])
    table = catalog.create_table(
        f"{athena.database}.things", schema=schema, location=f"s3://{athena.bucket}/things"
    )
    table.append(
        pa.table({"id": [1, 2, 3], "name": ["a", None, "c"], "tags": [["x"], [], None]}, schema=schema)
    )
    assert athena("SELECT * FROM things ORDER BY id").data == [
        ["1", "a", "[x]"],
        ["2", None, "[]"],
        ["3", "c", None],
    ]
    with table.update_schema() as update:
        update.add_column("price", DoubleType())
        update.rename_column("name", "label")
    table.append(pa.table({"id": [4], "label": ["d"], "tags": [["y", "z"]], "price": [1.5]}))
    table.delete("id = 1")
    assert athena("SELECT id, label, price FROM things ORDER BY id").data == [
        ["2", None, None],
        ["3", "c", None],
        ["4", "d", "1.5"],
    ]
    athena("MERGE INTO things AS t USING (VALUES 3, 5) AS s(id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET price = 9 WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)")  # fmt: skip
    table.refresh()
    assert [(r[0], r[-1]) for r in rows(table)] == [(2, None), (3, 9.0), (4, 1.5), (5, None)]
    assert athena('SELECT count(*) FROM "things$snapshots"').data == [[str(len(table.history()))]]
