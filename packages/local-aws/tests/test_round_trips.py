"""Properties: whatever a value is, the result files and the files of tables give it back."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_aws_tests.harness import Athena

# The fixtures are a server and a bucket, which examples may share.
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# What Athena's strings can hold; a share of them of characters that mean something in CSV, JSON or delimited text.
TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12),
    st.text(st.sampled_from("\"',\\\n\r\t\x01\x02 ;{}[]NULLnull"), max_size=8),
)


def literal(value: str | None) -> str:
    return "CAST(NULL AS varchar)" if value is None else "'" + value.replace("'", "''") + "'"


@pytest.mark.supports(
    "API", "Result CSV: any text comes back from the file and from GetQueryResults, NULL and '' apart"
)
@FEW
@given(st.lists(st.tuples(st.none() | TEXT, st.none() | TEXT), min_size=1, max_size=6))
def test_csv_quoting(
    athena: Athena, client: Callable[[str], Any], rows: list[tuple[str | None, str | None]]
) -> None:
    values = ", ".join(f"({i}, {literal(a)}, {literal(b)})" for i, (a, b) in enumerate(rows))
    result = athena(f"SELECT a, b FROM (VALUES {values}) AS t(i, a, b) ORDER BY i")
    assert [tuple(r) for r in result.data] == rows
    key = f"results/{result.execution['QueryExecutionId']}.csv"
    body = client("s3").get_object(Bucket=athena.bucket, Key=key)["Body"].read()

    def quoted(value: str | None) -> str:
        return "" if value is None else '"' + value.replace('"', '""') + '"'

    # https://docs.aws.amazon.com/athena/latest/ug/querying-finding-output-files.html
    expected = '"a","b"\n' + "".join(f"{quoted(a)},{quoted(b)}\n" for a, b in rows)
    assert body.decode() == expected
    read = list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))
    assert [tuple(r) for r in read[1:]] == [(a or "", b or "") for a, b in rows]


INTEGERS = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64}
DATES = st.dates(dt.date(1583, 1, 1), dt.date(9999, 12, 31))


def timestamps(first: str, last: str) -> st.SearchStrategy[str]:
    moments = st.datetimes(dt.datetime.fromisoformat(first), dt.datetime.fromisoformat(last))
    return moments.map(lambda m: f"TIMESTAMP '{m:%Y-%m-%d %H:%M:%S}.{m.microsecond // 1000:03d}'")


def integers(name: str, bits: int) -> st.SearchStrategy[str]:
    limit = 1 << (bits - 1)
    return st.integers(-limit, limit - 1).map(lambda n: f"CAST('{n}' AS {name})")


SCALARS: dict[str, st.SearchStrategy[str]] = {
    "boolean": st.sampled_from(["true", "false"]),
    **{name: integers(name, bits) for name, bits in INTEGERS.items()},
    "double": st.floats(allow_nan=False, allow_infinity=False).map(lambda f: f"CAST('{f!r}' AS double)"),
    "real": st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda f: f"CAST('{f!r}' AS real)"),
    "decimal(38,9)": st.decimals(-10**20, 10**20, places=9).map(lambda d: f"CAST('{d:f}' AS decimal(38,9))"),
    "decimal(5,2)": st.decimals(Decimal("-999.99"), Decimal("999.99"), places=2).map(lambda d: f"CAST('{d:f}' AS decimal(5,2))"),
    "varchar": TEXT.map(lambda s: f"CAST({literal(s)} AS varchar)"),
    "varbinary": st.binary(max_size=6).map(lambda b: f"X'{b.hex()}'"),
    "date": DATES.map(lambda d: f"DATE '{d:%Y-%m-%d}'"),
    "timestamp(3)": timestamps("1583-01-01", "9999-12-31"),
}  # fmt: skip
NESTED = {
    "array(integer)": st.lists(SCALARS["integer"], max_size=3).map(lambda v: f"CAST(ARRAY[{', '.join(v)}] AS array(integer))"),
    "map(varchar, bigint)": st.dictionaries(st.text("abé \"\\,", max_size=3), SCALARS["bigint"], max_size=3).map(
        lambda m: f"CAST(MAP(ARRAY[{', '.join(map(literal, m))}], ARRAY[{', '.join(m.values())}]) AS map(varchar, bigint))"
    ),
    "row(n integer, s varchar)": st.tuples(SCALARS["integer"], SCALARS["varchar"]).map(
        lambda v: f"CAST(ROW({v[0]}, {v[1]}) AS row(n integer, s varchar))"
    ),
}  # fmt: skip
TYPES = {**SCALARS, **NESTED}
# What a format cannot hold, by the documentation of its SerDe or of Iceberg's types.
LACKS: dict[str, tuple[str, ...]] = {
    "PARQUET": (),
    "ORC": (),
    "AVRO": ("tinyint", "smallint"),
    # Numbers in JSON are doubles to DuckDB: see test_long_decimals_in_json.
    "JSON": ("decimal(38,9)",),
    "ICEBERG": ("tinyint", "smallint", "timestamp(3)"),
}


@pytest.mark.supports(
    "Writing", "Values of every type come back from Parquet, ORC, Avro, JSON and Iceberg as they were"
)
@pytest.mark.parametrize("kind", list(LACKS))
def test_types(athena: Athena, kind: str) -> None:
    types = {t: s for t, s in TYPES.items() if t not in LACKS[kind]}
    if kind == "ORC":
        # PyArrow reads ORC's timestamps as nanoseconds in 64 bits.
        types["timestamp(3)"] = timestamps("1678-01-01", "2262-01-01")
    number = iter(range(1000))

    @settings(FEW, max_examples=8)
    @given(st.lists(st.tuples(*(st.none() | s for s in types.values())), min_size=1, max_size=4))
    def check(rows: list[tuple[str | None, ...]]) -> None:
        lines = []
        for i, row in enumerate(rows):
            values = (f"CAST({v or 'NULL'} AS {t})" for t, v in zip(types, row, strict=True))
            lines.append("(" + ", ".join([str(i), *values]) + ")")
        columns = ", ".join(["i", *(f"c{n}" for n in range(len(types)))])
        query = f"SELECT {columns} FROM (VALUES {', '.join(lines)}) AS t({columns})"
        table = f"t{next(number)}"
        options = f"format = '{kind}'"
        if kind == "ICEBERG":
            options = (
                f"table_type = 'ICEBERG', is_external = false, location = 's3://{athena.bucket}/{table}/'"
            )
        athena(f"CREATE TABLE {table} WITH ({options}) AS {query}")
        given_, stored = athena(f"{query} ORDER BY i"), athena(f"SELECT * FROM {table} ORDER BY i")
        assert stored.data == given_.data
        assert len(stored.data) == len(rows)

    check()


def test_long_decimals_in_json(athena: Athena, put: Callable[..., None]) -> None:
    """Exact, or refused: never a digit that was not there."""
    put(
        "t/1.json",
        '{"d": "8510553.426572057"}\n{"d": 12345678.1234567}\n{"d": 12345678901234567890}\n{"d": null}\n{"d": -1.5e3}\n',
    )
    serde = f"ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://{athena.bucket}"
    athena(f"CREATE EXTERNAL TABLE t (d decimal(38,9)) {serde}/t/'")
    assert athena("SELECT d FROM t").data == [
        ["8510553.426572057"], ["12345678.123456700"], ["12345678901234567890.000000000"], [None], ["-1500.000000000"],
    ]  # fmt: skip
    put("n/1.json", '{"a": [{"d": 8510553.426572057}]}\n')
    athena(f"CREATE EXTERNAL TABLE n (a array<struct<d: decimal(38,9)>>) {serde}/n/'")
    assert athena.fails("SELECT a FROM n").startswith(
        "NOT_SUPPORTED: A number of more than 15 digits in JSON"
    )


def test_the_largest_numbers(athena: Athena) -> None:
    values = [
        f"CAST('{v!r}' AS double)"
        for v in (math.pi, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1 + 0.2)
    ]
    athena(f"CREATE TABLE t AS SELECT * FROM (VALUES {', '.join(values)}) AS t(a)")
    assert [r[0] for r in athena("SELECT a FROM t").data] == ["3.141592653589793", "2.2250738585072014E-308", "1.7976931348623157E308", "0.30000000000000004"]  # fmt: skip
