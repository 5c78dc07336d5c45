"""Results of nurse staffing and clinical quality on the local Athena, beside DuckDB alone over the same files.

A quarter of PBJ (1.3 million rows), and one in twenty of its rows restated: the statements that compute and merge. Five
million encounters: the statements that compute stays, infections and measures. DuckDB alone runs the same queries in its
own dialect and writes the same format. Of a MERGE it does what any copy on write has to: the same join, and the whole
table written.
"""

from __future__ import annotations

import re
import shutil
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import boto3
import duckdb
import sqlglot
from sqlglot import exp

import local_aws
from benchmarks.bench_load_csv import FACILITIES, pbj_file
from benchmarks.lake import timed
from medlaunch import lake
from tests.sql.clinical_lake import DAG as CLINICAL
from tests.sql.clinical_lake import GOLD, KINDS, STAY_CLASSES, ClinicalLake
from tests.staffing_lake import RESULTS, StaffingLake, Upload

ROUNDS = 3
#: One row of so many is restated.
RESTATED = 20
ENCOUNTERS = 5_000_000
PBJ = RESULTS["pbj"]
KEYS = {
    "silver_pbj_daily": ("quarter", "ccn", "work_date"),
    "gold_daily_staffing_fact": ("quarter", "ccn", "work_date"),
    "gold_pbj_facility": ("quarter", "ccn"),
}
_UNLOAD = re.compile(r"(?:--[^\n]*\n)*UNLOAD \((.*)\)\s*TO\s.*partitioned_by = ARRAY\['(\w+)'\]\)", re.DOTALL)

#: days_that_count is the only reduce() of these statements: days that are 14 or more after the last one that counts.
_MACROS = (
    "at_timezone(moment, zone) AS timezone(zone, moment)",
    """days_that_count(days) AS list_reduce(
        list_transform(days, lambda day: [day]),
        lambda kept, day: CASE WHEN day[1] < kept[-1] + 14 THEN kept ELSE list_concat(kept, day) END
    )""",
)


def _as_duckdb_has_it(node: exp.Expr) -> exp.Expr:
    """What sqlglot does not translate: UNNEST of several arrays, and reduce()."""
    if isinstance(node, exp.Unnest) and len(node.expressions) > 1:
        alias = node.args["alias"]
        each = zip(node.expressions, alias.columns, strict=True)
        columns = [exp.alias_(exp.func("unnest", array), name) for array, name in each]
        return exp.select(*columns).subquery(alias.this)
    if isinstance(node, exp.Reduce):
        return exp.func("days_that_count", node.this)
    return node


class _Alone:
    """DuckDB, with views over copies of a lake's files."""

    def __init__(self, client: Any, s3: Any, bucket: str, database: str, folder: Path):
        self._client, self._s3, self._bucket, self._database = client, s3, bucket, database
        self._folder, self._out = folder / "files", folder / "out"
        self._duckdb = duckdb.connect()
        for macro in _MACROS:
            self._duckdb.execute(f"CREATE MACRO {macro}")

    def show(self, table: str, keys: Iterable[str], *, iceberg: bool = False, **constants: str) -> None:
        """A view of a table over copies of these objects; ``constants``: columns that no file and no folder has."""
        folder = self._folder / table
        shutil.rmtree(folder, ignore_errors=True)
        files = []
        for key in keys:
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            self._s3.download_file(self._bucket, key, str(path))
            files.append(str(path))
        columns = self._columns(table, partitions=not files)
        more = "".join(f", '{value}' AS {name}" for name, value in constants.items())
        if not files:
            nothing = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in columns.items())
            source = f"(SELECT {nothing} LIMIT 0)"
        elif files[0].endswith(".jsonl"):
            types = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
            source = f"read_json({files}, format = 'newline_delimited', columns = {{{types}}}, hive_types_autocast = false)"
        else:
            source = f"read_parquet({files}, hive_partitioning = {not iceberg}, hive_types_autocast = false)"
        self._duckdb.execute(f"CREATE OR REPLACE VIEW {table} AS SELECT *{more} FROM {source}")  # noqa: S608

    def unload(self, text: str) -> int:
        """Carry out the query of an UNLOAD and write its rows as Parquet; returns their number."""
        found = _UNLOAD.fullmatch(text)
        assert found, text
        query = sqlglot.parse_one(found[1], dialect="athena").transform(_as_duckdb_has_it).sql("duckdb")
        return self._copy(query, f"COMPRESSION snappy, PARTITION_BY ({found[2]})")

    def merge(self, table: str) -> int:
        """Write a table anew, with the rows that are staged in place of those with their keys."""
        names = [name for name in self._columns(table) if name != "run_id"]
        values = ", ".join(f"CASE WHEN new.ccn IS NULL THEN old.{name} ELSE new.{name} END" for name in names)
        same = " AND ".join(f"old.{key} = new.{key}" for key in KEYS[table])
        join = f"SELECT {values} FROM {table} AS old FULL JOIN staging_{table} AS new ON {same}"  # noqa: S608
        return self._copy(join, "COMPRESSION zstd")

    def _copy(self, query: str, options: str) -> int:
        rows: int = self._duckdb.execute(
            f"COPY ({query}) TO '{self._out}' (FORMAT parquet, {options})"
        ).fetchall()[0][0]
        shutil.rmtree(self._out) if self._out.is_dir() else self._out.unlink()
        return rows

    def _columns(self, table: str, *, partitions: bool = False) -> dict[str, str]:
        found = self._client.get_table_metadata(
            CatalogName="AwsDataCatalog", DatabaseName=self._database, TableName=table
        )["TableMetadata"]
        columns = [*found["Columns"], *(found.get("PartitionKeys", ()) if partitions else ())]
        return {one["Name"]: exp.DataType.build(one["Type"], dialect="hive").sql("duckdb") for one in columns}


class _Times:
    """Processor seconds of both sides, by what was done."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)

    def add(self, what: str, ours: tuple[float, float, Any], alone: tuple[float, float, Any]) -> None:
        self._seconds[what].append((alone[1], ours[1]))

    def rows(self, size: str) -> list[dict[str, Any]]:
        """A row for each, and one for all of them, without the first round."""
        kept = {what: pairs[1:] for what, pairs in self._seconds.items()}
        kept["all of these"] = [
            (sum(alone for alone, _ in pairs), sum(ours for _, ours in pairs))
            for pairs in zip(*kept.values(), strict=True)
        ]
        rows = []
        for what, pairs in kept.items():
            alone, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
            rows.append(
                {
                    "what": f"{what}, {size}",
                    "plain": f"{alone:.2f} s CPU DuckDB alone",
                    "ours": f"{ours:.2f} s CPU",
                    "ratio": alone / ours,
                    "goal": ">= 0.8" if what == "all of these" else "",
                }
            )
        return rows


def _objects(s3: Any, bucket: str, prefix: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [one["Key"] for page in pages for one in page.get("Contents", ())]


def _iceberg(there: StaffingLake | ClinicalLake, table: str) -> list[str]:
    """The keys of a table's files."""
    found = there.query(f'SELECT file_path FROM "{table}$files"')  # noqa: S608 - our own tables
    return [one["file_path"].removeprefix(f"s3://{there.bucket}/") for one in found]


def _restated(body: bytes) -> bytes:
    """Every twentieth row of a quarter, with another number of residents."""
    header, *lines = body.splitlines(keepends=True)
    column = header.split(b",").index(b"MDScensus")
    changed = []
    for line in lines[::RESTATED]:
        fields = line.split(b",")
        if b'"' not in line and len(fields) > column and fields[column].isdigit():
            fields[column] = b"%d" % (int(fields[column]) + 1)
            changed.append(b",".join(fields))
    return header + b"".join(changed)


def staffing(client: Any, s3: Any, folder: Path) -> list[dict[str, Any]]:
    """Rows of a quarter that is new, and of one that is restated."""
    there = StaffingLake(client, s3)
    alone = _Alone(client, s3, there.bucket, there.database, folder)
    body = pbj_file(FACILITIES[1]).read_bytes()
    uploads = {"new": Upload("pbj", "a.csv", body, 1), "restated": Upload("pbj", "b.csv", _restated(body), 2)}
    runs = {name: there.stage(upload)[1]["pbj"] for name, upload in uploads.items()}
    times = {name: _Times() for name in runs}
    for _ in range(ROUNDS + 1):
        there.clear()
        for name, values in runs.items():
            run, staging = values["run"], lake.staging_prefix("nurse_staffing.pbj", values["run"])
            for key in (key for result in PBJ for key in _objects(s3, there.bucket, f"{staging}{result}/")):
                s3.delete_object(Bucket=there.bucket, Key=key)
            bronze = _objects(s3, there.bucket, "bronze/pbj/")
            alone.show("bronze_pbj", [key for key in bronze if f"run={run}/" in key])
            alone.show(
                "run_uploads", _objects(s3, there.bucket, f"{staging}uploads/"), pipeline="nurse_staffing.pbj"
            )
            for table in PBJ:
                alone.show(table, _iceberg(there, table), iceberg=True)
            for result in PBJ:
                target = lake.s3_uri(there.bucket, f"{staging}{result}/")
                text = there.render(f"nurse_staffing/extract/{result}.sql", target=target, **values)
                ours = timed(lambda text=text: there.query(text))  # type: ignore[misc]
                times[name].add(f"extract/{result}", ours, timed(lambda text=text: alone.unload(text)))  # type: ignore[misc]
                alone.show(f"staging_{result}", _objects(s3, there.bucket, f"{staging}{result}/"))
            for result in PBJ:
                text = there.render(f"nurse_staffing/merge/{result}.sql", **values)
                ours = timed(lambda text=text: there.query(text))  # type: ignore[misc]
                theirs = timed(lambda result=result: alone.merge(result))  # type: ignore[misc]
                times[name].add(f"merge/{result}", ours, theirs)
                (counted,) = there.query(f"SELECT count(*) AS n FROM {result}")  # noqa: S608 - our own tables
                _require(result, int(counted["n"]), theirs[2])
    rows = body.count(b"\n")
    return [
        *times["new"].rows(f"a new quarter of {rows:,} rows"),
        *times["restated"].rows(f"{rows // RESTATED:,} of {rows:,} rows restated"),
    ]


def clinical(client: Any, s3: Any, folder: Path) -> list[dict[str, Any]]:
    """Rows of five million encounters that are in silver."""
    there = ClinicalLake(client, s3)
    alone = _Alone(client, s3, there.bucket, there.database, folder)
    _populate(there)
    for kind in KINDS:
        alone.show(f"silver_{kind}", _iceberg(there, f"silver_{kind}"), iceberg=True)
        alone.show(f"staging_silver_{kind}", [])
    times, staging = _Times(), lake.staging_prefix(CLINICAL, "bench")
    values = {
        "run": "bench",
        "stay_classes": ",".join(STAY_CLASSES),
        "data_end": "",
        "dates_from": "written",
        "facility_timezone": "UTC",
    }
    for _ in range(ROUNDS + 1):
        for key in _objects(s3, there.bucket, staging):
            s3.delete_object(Bucket=there.bucket, Key=key)
        for result in GOLD:
            target = lake.s3_uri(there.bucket, f"{staging}{result}/")
            text = there.render(f"{CLINICAL}/extract/{result}.sql", target=target, **values)
            ours = timed(lambda text=text: there.query(text))  # type: ignore[misc]
            theirs = timed(lambda text=text: alone.unload(text))  # type: ignore[misc]
            times.add(f"extract/{result}", ours, theirs)
            table = f"staging_{result}"
            alone.show(table, _objects(s3, there.bucket, f"{staging}{result}/"))
            (counted,) = there.query(f"SELECT count(*) AS n FROM {table} WHERE run = 'bench'")  # noqa: S608
            _require(table, int(counted["n"]), theirs[2])
    return times.rows(f"{ENCOUNTERS:,} encounters")


def _require(table: str, ours: int, alone: int) -> None:
    if ours != alone or not ours:
        raise RuntimeError(f"{table} has {ours} rows here and {alone} on DuckDB alone")


# Numbers spread over what there is; a step that shares no factor with a range meets all of it.
_NUMBERS = """
    SELECT thousand * 1000 + one AS n
    FROM UNNEST(sequence(0, {thousands} - 1)) AS x (thousand) CROSS JOIN UNNEST(sequence(0, 999)) AS y (one)
"""
_ADMIT = "date_add('day', n * 104729 % 900, DATE '2024-01-01')"
_PATIENT = "'p' || CAST(n * 7919 % {patients} AS varchar)"
_POPULATION = (
    """
    INSERT INTO silver_patient (id, identifiers, deceased_date, deceased_flag, pseudonym, slice)
    SELECT 'p' || CAST(n AS varchar), CAST(ARRAY[] AS array(varchar)),
        CASE WHEN n % 25 = 0 THEN date_add('day', n * 7 % 900, DATE '2024-01-01') END, n % 25 = 0,
        'p' || CAST(n AS varchar), 'all'
    FROM ({numbers}) WHERE n < {patients}
    """,
    """
    INSERT INTO silver_encounter (
        id, status, void, class_codes, type_codes, service_codes, priority_codes, patient_id, org_id, part_of,
        admit, start_instant, discharge, end_instant, disposition, pseudonym, patient_pseudonym, slice
    )
    SELECT id, CASE WHEN n % 50 = 0 THEN 'in-progress' ELSE 'finished' END, n % 500 = 1,
        CASE WHEN n % 10 < 7 THEN ARRAY['IMP'] ELSE ARRAY['AMB'] END, CAST(ARRAY[] AS array(varchar)),
        CASE WHEN n % 40 = 3 THEN ARRAY['394587001'] ELSE CAST(ARRAY[] AS array(varchar)) END,
        CASE WHEN n % 5 = 0 THEN ARRAY['EL'] ELSE CAST(ARRAY[] AS array(varchar)) END, patient,
        'o' || CAST(n % 200 AS varchar), CASE WHEN n % 97 = 5 THEN 'e' || CAST(n - 1 AS varchar) END,
        admit, CAST(admit AS varchar) || 'T08:00:00Z', date_add('day', n * 31 % 12, admit),
        CAST(date_add('day', n * 31 % 12, admit) AS varchar) || 'T16:00:00Z',
        element_at(ARRAY['died', 'acute_transfer', 'ama', 'hospice', 'unknown'], CAST(least(n * 13 % 50, 4) + 1 AS integer)),
        id, patient, 'all'
    FROM (SELECT n, 'e' || CAST(n AS varchar) AS id, {patient} AS patient, {admit} AS admit FROM ({numbers}))
    """,
    """
    INSERT INTO silver_condition (
        id, void, infection_type, verification, patient_id, encounter_id, onset_date, pseudonym, patient_pseudonym,
        encounter_pseudonym, slice
    )
    SELECT 'c' || CAST(n AS varchar), n % 1000 = 10, element_at(ARRAY['sepsis', 'pneumonia', 'uti', 'cdiff', 'ssi'], n / 10 % 5 + 1),
        CASE WHEN n % 90 = 0 THEN 'provisional' ELSE 'confirmed' END, patient, encounter,
        date_add('day', n / 10 % 7, admit), 'c' || CAST(n AS varchar), patient, encounter, 'all'
    FROM (SELECT n, 'e' || CAST(n AS varchar) AS encounter, {patient} AS patient, {admit} AS admit FROM ({numbers}))
    WHERE n % 10 = 0
    """,
)


def _populate(there: ClinicalLake) -> None:
    """Three encounters a patient, and an infection in ten."""
    size = {"thousands": ENCOUNTERS // 1000, "patients": ENCOUNTERS * 34 // 100}
    names = {"numbers": _NUMBERS.format(**size), "patient": _PATIENT.format(**size), "admit": _ADMIT}
    for text in _POPULATION:
        there.query(text.format(**size, **names))


def run() -> list[dict[str, Any]]:
    """Rows of both pipelines."""
    rows = []
    for measured in (staffing, clinical):
        with tempfile.TemporaryDirectory() as folder, local_aws.serve() as server:
            athena, s3 = (boto3.client(name, endpoint_url=server.url) for name in ("athena", "s3"))
            rows += measured(athena, s3, Path(folder))
    return rows


if __name__ == "__main__":
    for line in run():
        print(line)
