"""A lake for nurse staffing on the local Athena: uploads become bronze, the statements of a run are carried out."""

from __future__ import annotations

import csv
import io
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from medlaunch import lake
from medlaunch.athena import statements
from medlaunch.declaration import LineCounts
from medlaunch.staffing import pbj, provider_info

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "include/reference"
DAG = "nurse_staffing"
LOADERS = {"pbj": pbj.load, "provider_info": provider_info.load}
#: The results of each track, in the order in which they are computed and merged.
RESULTS = {
    "pbj": ("silver_pbj_daily", "gold_daily_staffing_fact", "gold_pbj_facility"),
    "provider_info": ("silver_provider_info", "gold_quarterly_provider_fact"),
}
#: The time of uploads, in seconds from here.
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Upload:
    """One upload; ``second`` is when it came, in seconds after :data:`EPOCH`."""

    dataset: str
    name: str
    body: bytes
    second: int = 0

    @property
    def key(self) -> str:
        return f"landing/{self.dataset}/{self.name}"

    @property
    def slice(self) -> None:
        return None

    @property
    def uploaded_at(self) -> datetime:
        return EPOCH + timedelta(seconds=self.second)

    @property
    def upload_id(self) -> str:
        return lake.upload_id(self.key, str(hash(self.body)), self.uploaded_at)


class Bronze:
    """Collects bronze lines by slice."""

    def __init__(self) -> None:
        self.slices: defaultdict[str, bytearray] = defaultdict(bytearray)

    def write(self, slice_: str, lines: bytes) -> None:
        self.slices[slice_] += lines


def load(upload: Upload) -> tuple[LineCounts, Bronze, list[dict[str, Any]]]:
    """The counts, bronze lines and rejects of an upload, as the loader writes them."""
    bronze, rejects = Bronze(), io.BytesIO()
    counts = LOADERS[upload.dataset](io.BytesIO(upload.body), upload, bronze, rejects, reference=REFERENCE)
    return counts, bronze, [msgspec.json.decode(line) for line in rejects.getvalue().splitlines()]


@dataclass
class Run:
    """What a run did: the loader's counts by upload, and what the checks returned, by their names."""

    counts: dict[str, LineCounts]
    checks: dict[str, list[dict[str, str]]]


class StaffingLake:
    """A bucket and a database with the tables of the pipeline."""

    def __init__(self, athena: Any, s3: Any):
        self.athena, self.s3 = athena, s3
        self.bucket = f"test-{uuid.uuid4().hex[:12]}"
        self.database = f"db_{uuid.uuid4().hex[:8]}"
        self.runs = 0
        self.published: dict[str, set[str]] = {track: set() for track in RESULTS}
        s3.create_bucket(Bucket=self.bucket)
        self.query(f"CREATE DATABASE {self.database}")
        for stage in statements.stages([f"{DAG}/tables", f"{DAG}/views"]):
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(self.execute, stage))
        self.execute("common/tables/run_uploads.sql")

    # --- Athena

    def query(self, text: str) -> list[dict[str, str]]:
        """The rows of a statement, as text; '' is NULL or empty."""
        query_id = self.athena.start_query_execution(
            QueryString=text,
            QueryExecutionContext={} if text.startswith("CREATE DATABASE") else {"Database": self.database},
            ResultConfiguration={"OutputLocation": f"s3://{self.bucket}/athena-results/"},
        )["QueryExecutionId"]
        while True:
            execution = self.athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
                break
            time.sleep(0.005)
        reason = execution["Status"].get("StateChangeReason")
        assert execution["Status"]["State"] == "SUCCEEDED", f"{reason}\n{text}"
        key = execution["ResultConfiguration"]["OutputLocation"].removeprefix(f"s3://{self.bucket}/")
        if not key.endswith(".csv"):
            return []
        body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read().decode()
        return list(csv.DictReader(io.StringIO(body)))

    def render(self, name: str, **values: Any) -> str:
        known = {"s3": partial(lake.s3_uri, self.bucket), "database": statements.Identifier(self.database)}
        return statements.render(name, known | values)

    def execute(self, name: str, **values: Any) -> list[dict[str, str]]:
        return self.query(self.render(name, **values))

    def view(self, name: str, order: str = "1") -> list[dict[str, str]]:
        return self.query(f"SELECT * FROM {name} ORDER BY {order}")

    # --- a run

    def run(self, *uploads: Upload, checks: Sequence[str] = ()) -> Run:
        """Load uploads and publish the quarters that they have a part in, as the DAG does, with some of its checks."""
        counts, values = self.stage(*uploads)
        results: dict[str, list[dict[str, str]]] = {name: [] for name in checks}
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda track: self._publish(track, values[track], results), values))
        return Run(counts, results)

    def stage(self, *uploads: Upload) -> tuple[dict[str, LineCounts], dict[str, dict[str, Any]]]:
        """Load uploads into bronze, for a run; their counts by key, and the values of the run's statements by track."""
        self.runs += 1
        run = f"manual__{self.runs}"
        counts: dict[str, LineCounts] = {}
        rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for upload in uploads:
            counted, bronze, _ = load(upload)
            counts[upload.key] = counted
            for name, lines in bronze.slices.items():
                self.s3.put_object(
                    Bucket=self.bucket,
                    Key=lake.bronze_key(upload.dataset, "quarter", name, upload.upload_id, 0, run),
                    Body=bytes(lines),
                )
                rows[upload.dataset].append(
                    {
                        "slice": name,
                        "dataset": upload.dataset,
                        "upload_id": upload.upload_id,
                        "upload_order": len(rows[upload.dataset]),
                        "uploaded_at": f"{upload.uploaded_at:%Y-%m-%d %H:%M:%S}",
                        "source_key": upload.key,
                    }
                )
        values = {}
        for track, listed in rows.items():
            self.s3.put_object(
                Bucket=self.bucket,
                Key=f"{lake.staging_prefix(f'{DAG}.{track}', run)}uploads/uploads.jsonl",
                Body=b"".join(msgspec.json.encode(row) + b"\n" for row in listed),
            )
            slices = sorted({row["slice"] for row in listed})
            before = sorted({*slices, *self.published[track]})
            values[track] = {"run": run, "slices": slices, "slices_and_before": before}
        return counts, values

    def _publish(self, track: str, values: dict[str, Any], results: dict[str, list[dict[str, str]]]) -> None:
        """What a track does with bronze; rows of its checks are added to ``results``."""
        for name in RESULTS[track]:
            target = lake.s3_uri(
                self.bucket, f"{lake.staging_prefix(f'{DAG}.{track}', values['run'])}{name}/"
            )
            self.execute(f"{DAG}/extract/{name}.sql", target=target, **values)
        known = {Path(name).stem for name in statements.statements(f"{DAG}/check/{track}")}
        for name in results.keys() & known:
            results[name] += self.execute(f"{DAG}/check/{track}/{name}.sql", **values)
        for name in RESULTS[track]:
            self.execute(f"{DAG}/merge/{name}.sql", **values)
        self.published[track].update(values["slices"])

    def snapshots(self, table: str) -> int:
        """How often a table was changed."""
        return len(self.query(f'SELECT snapshot_id FROM "{table}$snapshots"'))

    def clear(self) -> None:
        """Empty the tables: what is in bronze belongs to runs that no later one names."""
        tables = [table for tables in RESULTS.values() for table in tables]
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda table: self.query(f"DELETE FROM {table}"), tables))
        self.published = {track: set() for track in RESULTS}


def plain(rows: list[dict[str, Any]], like: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Rows as text that compares, sorted: numbers, where the rows beside them have numbers, without spare zeros."""
    numbers = {
        name
        for row in like
        for name, value in row.items()
        if isinstance(value, int | Decimal) and not isinstance(value, bool)
    }
    texts = [
        {
            name: _text(Decimal(value) if name in numbers and value not in ("", None) else value)
            for name, value in sorted(row.items())
        }
        for row in rows
    ]
    return sorted(texts, key=lambda row: list(row.values()))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value.normalize() + 0:f}" if isinstance(value, Decimal) else str(value)
