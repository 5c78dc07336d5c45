"""The local Athena: how soon it is there, what one query costs, and the accreditation's statements.

Statements of ``include/sql`` over 1,000,000 records run through the API (client, translation, catalog, result files
and the S3 objects they become) and, in the same process, on DuckDB alone: SQL as one would write it for DuckDB, over
the same bytes, writing the same format (the one JSON result without its folders, which DuckDB cannot write). DuckDB
alone takes casts less strictly than Athena, so that the difference includes what Athena's rules cost.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from string import Template
from typing import Any

import duckdb

import local_aws
from benchmarks.harness import AS_OF, FACILITY_SNAPSHOT, ROOT, OneSlice, environment, facilities_file
from benchmarks.lake import BUCKET, Lake, timed
from medlaunch import lake
from medlaunch.accreditation.bronze import load
from medlaunch.athena import statements
from medlaunch.pipelines.facility_accreditation_tasks import states

RECORDS = 1_000_000
ROUNDS = 5
STARTS = 5
QUERIES = 200
DAG, DATABASE = "facility_accreditation", "medlaunch"
WINDOW_END = "2027-05-20"
UPLOAD = "0123456789abcdef01234567"
SNAPSHOT = date.fromisoformat(FACILITY_SNAPSHOT)

_BRONZE = """{
    facility_id: 'VARCHAR', facility_name: 'VARCHAR', employee_count: 'BIGINT',
    location: 'STRUCT(address VARCHAR, city VARCHAR, state VARCHAR, zip VARCHAR)',
    services: 'VARCHAR[]', labs: 'STRUCT(lab_name VARCHAR, certifications VARCHAR[])[]',
    accreditations: 'STRUCT(accreditation_body VARCHAR, accreditation_id VARCHAR, valid_until VARCHAR)[]',
    number_of_offered_services: 'BIGINT', reject_reason: 'VARCHAR', reject_reasons: 'VARCHAR[]',
    source_key: 'VARCHAR', upload_id: 'VARCHAR', line_number: 'BIGINT', record_number: 'BIGINT'
}"""
_FROM = f"FROM read_json($files, format = 'newline_delimited', columns = {_BRONZE})"
_UPLOADS = (
    "read_json($uploads, format = 'newline_delimited', "
    "columns = {upload_id: 'VARCHAR', upload_order: 'BIGINT'}) AS uploads"
)
_PARQUET = "(FORMAT parquet, COMPRESSION snappy, PARTITION_BY (snapshot_date))"
_SNAPSHOT = f"'{FACILITY_SNAPSHOT}' AS snapshot_date"


@dataclass(frozen=True)
class Statement:
    """A file of include/sql, what it writes, what its SQL on DuckDB is, and which result that SQL reads."""

    name: str
    writes: str | None
    alone: str
    reads: str = "bronze"


STATEMENTS = [
    Statement(
        "extract/facilities",
        "facilities",
        f"""COPY (
            SELECT facility_id, facility_name, employee_count, location, services, labs, accreditations,
                number_of_offered_services, upload_id
            {_FROM} JOIN {_UPLOADS} USING (upload_id)
            WHERE reject_reason IS NULL
            QUALIFY row_number() OVER (PARTITION BY facility_id ORDER BY upload_order DESC, record_number DESC) = 1
        ) TO $out (FORMAT json, COMPRESSION gzip)""",
    ),
    Statement(
        "extract/facility_rejects",
        "facility_rejects",
        f"""COPY (
            SELECT facility_id, facility_name, location.state, reject_reason, reject_reasons, source_key, line_number,
                {_SNAPSHOT}
            {_FROM} JOIN {_UPLOADS} USING (upload_id) WHERE reject_reason IS NOT NULL
        ) TO $out {_PARQUET}""",
    ),
    Statement(
        "extract/facility_metrics",
        "facility_metrics",
        f"""COPY (
            SELECT facility_id, facility_name, employee_count, number_of_offered_services,
                list_min(list_transform(accreditations, lambda a: CAST(a.valid_until AS DATE))),
                CAST(accreditations[1].valid_until AS DATE), location.state, {_SNAPSHOT}
            {_FROM}
        ) TO $out {_PARQUET}""",
        "facilities",
    ),
    Statement(
        "extract/accredited_facilities_by_state",
        "accredited_facilities_by_state",
        f"""COPY (
            SELECT state_code, state_name,
                count(*) FILTER (len(list_filter(
                    accreditations, lambda a: CAST(a.valid_until AS DATE) >= DATE '{AS_OF}')) > 0),
                count(*), {_SNAPSHOT}
            {_FROM} JOIN (VALUES $states) AS states (state_code, state_name) ON location.state = state_code
            GROUP BY ALL
        ) TO $out {_PARQUET}""",
        "facilities",
    ),
    Statement(
        "extract/expiring_accreditations",
        "expiring_accreditations",
        f"""COPY (
            SELECT facility_id, facility_name, location.address, location.city, location.state, location.zip,
                employee_count, a.accreditation_body, a.accreditation_id, CAST(a.valid_until AS DATE) AS valid_until,
                date_diff('day', DATE '{AS_OF}', CAST(a.valid_until AS DATE)), DATE '{AS_OF}', {_SNAPSHOT}
            FROM (SELECT *, unnest(accreditations) AS a {_FROM})
            WHERE CAST(a.valid_until AS DATE) BETWEEN DATE '{AS_OF}' AND DATE '{WINDOW_END}'
        ) TO $out {_PARQUET}""",  # noqa: S608 - our own constants
        "facilities",
    ),
    Statement(
        "check/count_lines",
        None,
        f"""SELECT upload_id, coalesce(reject_reason, 'valid'), count(*)
            {_FROM} JOIN {_UPLOADS} USING (upload_id) GROUP BY ALL
            UNION ALL SELECT upload_id, 'accepted', count(*) {_FROM.replace("$files", "$facilities")} GROUP BY ALL""",
    ),
    Statement(
        "check/count_results",
        None,
        """SELECT count(*), count(DISTINCT facility_id) FROM read_parquet($facility_metrics)
            UNION ALL SELECT count(*), count(DISTINCT facility_id) FROM read_parquet($facility_rejects)
            UNION ALL SELECT count(*), sum(facilities) FROM read_parquet($accredited_facilities_by_state)
            UNION ALL SELECT count(*), count(DISTINCT facility_id) FROM read_parquet($expiring_accreditations)
            UNION ALL SELECT count(DISTINCT facility_id), count(DISTINCT facility_id)
            FROM read_parquet($expiring_accreditations)""",
    ),
]


class _Lake(Lake):
    """A lake with the pipeline's tables in it."""

    def result(self, query: str) -> list[list[str | None]]:
        rows = self.athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
        return [[one.get("VarCharValue") for one in row["Data"]] for row in rows[1:]]

    def render(self, name: str, **values: Any) -> str:
        common = {"s3": partial(lake.s3_uri, BUCKET), "database": statements.Identifier(DATABASE)}
        return statements.render(name, common | values)


def _bronze(folder: Path) -> Path:
    """What loading the records writes: one object of canonical lines."""

    @dataclass(frozen=True)
    class Upload:
        key: str = "landing/facilities/bench.jsonl"
        upload_id: str = UPLOAD
        slice: str = f"{SNAPSHOT}"

    path = folder / "bronze.jsonl"
    with (
        facilities_file(RECORDS).open("rb") as source,
        path.open("wb") as bronze,
        (folder / "quarantine.jsonl").open("wb") as quarantine,
    ):
        load(source, Upload(), OneSlice(bronze), quarantine, reference=ROOT / "include" / "reference")
    return path


def _row(what: str, theirs: float, base: str, ours: float, unit: str, goal: str = "") -> dict[str, Any]:
    digits = 4 if ours < 0.1 else 2
    return {
        "what": what,
        "plain": f"{theirs:.{digits}f} {unit} {base}",
        "ours": f"{ours:.{digits}f} {unit}",
        "ratio": theirs / ours,
        "goal": goal,
    }


def accreditation() -> list[dict[str, Any]]:
    """Rows by processor time: each statement, and all of them."""
    clock: dict[str, list[tuple[float, float]]] = {}
    cpu: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as temporary, local_aws.serve() as server:
        folder, there = Path(temporary), _Lake(server.url, DATABASE)
        there.run(there.render("common/database/database.sql"))
        for name in [*statements.statements("common/tables"), *statements.statements(f"{DAG}/tables")]:
            there.run(there.render(name))
        bronze = _bronze(folder)
        uploads = folder / "uploads.jsonl"
        uploads.write_text(
            json.dumps({"slice": FACILITY_SNAPSHOT, "upload_id": UPLOAD, "upload_order": 1}) + "\n"
        )
        for number in range(ROUNDS + 1):
            run = f"bench__{number}"
            # Anew, as each run reads what was loaded for it: nothing is known of these bytes.
            key = lake.bronze_key("facilities", "snapshot_date", FACILITY_SNAPSHOT, "bench", 0)
            there.s3.upload_file(str(bronze), BUCKET, key)
            staging = lake.staging_prefix(DAG, run)
            there.s3.upload_file(str(uploads), BUCKET, f"{staging}uploads/uploads.jsonl")
            files: dict[str, list[str]] = {"bronze": [str(bronze)], "uploads": [str(uploads)]}
            for one in STATEMENTS:
                values: dict[str, Any] = {
                    "run": run,
                    "slices": [FACILITY_SNAPSHOT],
                    "as_of": AS_OF,
                    "window_end": WINDOW_END,
                    "states": states(),
                }
                if one.writes:
                    values["target"] = lake.s3_uri(BUCKET, f"{staging}{one.writes}/")
                text = there.render(f"{DAG}/{one.name}.sql", **values)
                ours = timed(lambda text=text: there.run(text))  # type: ignore[misc]
                if one.writes:
                    files[one.writes] = there.download(f"{staging}{one.writes}/", folder)
                out = folder / "alone"
                alone = Template(one.alone).substitute(
                    files,
                    files=files[one.reads],
                    states=statements.literal(states()),
                    out=statements.literal(str(out)),
                )
                theirs = timed(lambda alone=alone: duckdb.execute(alone).fetchall())  # type: ignore[misc]
                _check(one, there, ours[2], theirs[2], out, files)
                if number:
                    clock.setdefault(one.name, []).append((theirs[0], ours[0]))
                    cpu.setdefault(one.name, []).append((theirs[1], ours[1]))
            for path in [one for name in ("facilities", "facility_metrics") for one in files[name]]:
                Path(path).unlink()
    rows = []
    for name, pairs in cpu.items():
        theirs_cpu, ours_cpu = (statistics.median(column) for column in zip(*pairs, strict=True))
        rows.append(_row(f"{name}.sql, {RECORDS:,} records", theirs_cpu, "DuckDB alone", ours_cpu, "s CPU"))
    for measured, unit in ((cpu, "s CPU"), (clock, "s")):
        sums = [
            [sum(pairs[n][side] for pairs in measured.values()) for n in range(ROUNDS)] for side in (0, 1)
        ]
        rows.append(
            _row(
                f"all of these, {RECORDS:,} records",
                statistics.median(sums[0]),
                "DuckDB alone",
                statistics.median(sums[1]),
                unit,
                ">= 0.87",
            )
        )
    return rows


def _check(
    one: Statement, there: _Lake, query: str, rows: Any, out: Path, files: dict[str, list[str]]
) -> None:
    """Both did the same: as many rows written, or the same counts."""
    if one.writes is None:
        ours = sorted(int(str(row[-1])) for row in there.result(query))
        if ours != sorted(int(row[-1]) for row in rows):
            raise RuntimeError(f"{one.name} gives {ours} here and {rows} on DuckDB alone")
        return
    read = "read_parquet({})"
    if one.writes == "facilities":
        read = "read_json_objects({}, format = 'newline_delimited', compression = 'gzip')"
    counts = [
        duckdb.sql(f"SELECT count(*) FROM {read.format(paths)}").fetchall()  # noqa: S608 - our own files
        for paths in (files[one.writes], [str(p) for p in [out, *out.rglob("*")] if p.is_file()])
    ]
    if counts[0] != counts[1]:
        raise RuntimeError(f"{one.name} writes {counts[0]} rows here and {counts[1]} on DuckDB alone")
    if out.is_dir():
        shutil.rmtree(out)
    else:
        out.unlink()


def _healthy_after(command: list[str], address: Callable[[str], str]) -> float:
    """Seconds from the start of a server until it answers."""
    with tempfile.TemporaryDirectory() as state:
        started = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, "-m", *(part.format(state=state) for part in command)],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "http://" in line:
                    break
            else:
                raise RuntimeError(f"{command} ended with status {process.wait()}")
            url = address(line[line.index("http://") :].split()[0])
            with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own server
                answer.read()
            return time.perf_counter() - started
        finally:
            process.kill()
            process.wait()


def start() -> list[dict[str, Any]]:
    """From the start of the process to an answer, beside moto's own server, which is a part of it."""
    ours, theirs = [], []
    for number in range(STARTS + 1):
        mine = _healthy_after(
            ["local_aws", "--port", "0", "--state", "{state}"], lambda url: f"{url}/_local_aws/health"
        )
        moto = _healthy_after(["moto.server", "-p", "0"], lambda url: f"{url}/moto-api/data.json")
        if number:
            ours.append(mine)
            theirs.append(moto)
    return [
        _row(
            "start of python -m local_aws until it is healthy",
            statistics.median(theirs),
            "moto's server alone",
            statistics.median(ours),
            "s",
        )
    ]


def round_trip() -> list[dict[str, Any]]:
    """SELECT 1 from the request to its rows, beside as many requests that only look something up."""
    with local_aws.serve() as server:
        there = _Lake(server.url, DATABASE)

        def query() -> None:
            if there.result(there.run("SELECT 1", poll_seconds=0.001)) != [["1"]]:
                raise RuntimeError("SELECT 1 is not 1")

        def look_up() -> None:
            for _ in range(3):
                there.athena.get_work_group(WorkGroup="primary")

        ours, theirs = [], []
        for number in range(QUERIES + 20):
            mine, plain = timed(query)[0], timed(look_up)[0]
            if number >= 20:
                ours.append(mine)
                theirs.append(plain)
    return [
        _row(
            "SELECT 1, from StartQueryExecution to the rows",
            statistics.median(theirs),
            "three requests of GetWorkGroup",
            statistics.median(ours),
            "s",
        )
    ]


def run() -> list[dict[str, Any]]:
    """Rows of all three."""
    return [*start(), *round_trip(), *accreditation()]


if __name__ == "__main__":
    for line in globals()[sys.argv[1]]() if sys.argv[1:] else run():
        print(line)
