"""What a lake holds, in a form that is the same for the same results, whoever made them and when.

Names that each run gives anew (versions, run ids, ids of uploads, times) are replaced by what they stand for;
contents are canonical: rows in an order of their own.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from medlaunch import lake as lake_keys
from medlaunch.pipelines import PIPELINES
from tests.faults.harness import Lake


@dataclass
class State:
    """``parts``: by prefix of the lake, key -> canonical content. ``wrong``: what no lake may ever show.

    ``reports``: of the runs that were asked for. A run that took over from another one may have found a part
    of the uploads in the archive already, so one of the reports has to be the undisturbed one.
    """

    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def of_rows(self) -> State:
        """Without what a manifest of a merging pipeline has of one run only: its counts, and the order of its uploads."""
        prod = dict(self.parts["prod"])
        for key, one in prod.items():
            if key.endswith("/manifest"):
                inputs = sorted(one["inputs"], key=lambda source: source["upload"]["key"])
                kept = {name: value for name, value in one.items() if name not in ("lines", "measures")}
                prod[key] = kept | {"inputs": inputs}
        return State(self.parts | {"prod": prod}, self.reports, self.wrong)

    def differences(self, other: State) -> list[str]:
        """In what this state differs from the undisturbed one."""
        found = list(self.wrong)
        for part, expected in other.parts.items():
            seen = self.parts[part]
            found += [f"{part}: {key} is missing" for key in sorted(expected.keys() - seen.keys())]
            found += [f"{part}: {key} is there" for key in sorted(seen.keys() - expected.keys())]
            found += [
                f"{part}: {key} differs: {_difference(seen[key], expected[key])}"
                for key in sorted(expected.keys() & seen.keys())
                if seen[key] != expected[key]
            ]
        if self.reports and other.reports and other.reports[-1] not in self.reports:
            found.append(f"report: {_difference(self.reports[-1], other.reports[-1])}")
        return found


def _difference(seen: Any, expected: Any) -> str:
    if isinstance(seen, dict) and isinstance(expected, dict):
        keys = [key for key in {**seen, **expected} if seen.get(key) != expected.get(key)]
        return ", ".join(f"{key}={seen.get(key)!r} instead of {expected.get(key)!r}" for key in keys[:3])[
            :600
        ]
    if isinstance(seen, list) and isinstance(expected, list):
        more = [one for one in seen if one not in expected][:2]
        less = [one for one in expected if one not in seen][:2]
        return f"{len(seen)} rows instead of {len(expected)}; only here: {more}; only there: {less}"[:600]
    return f"{seen!r:.200} instead of {expected!r:.200}"


def read(lake: Lake, run_ids: Iterable[str | None] = ()) -> State:
    """The state of a lake, with the reports of runs, as far as they are there."""
    return _Reader(lake).read([one for one in run_ids if one])


class _Reader:
    def __init__(self, lake: Lake):
        self._lake = lake
        self._dag_id = lake.dag_id
        self._state = State()
        self._names: dict[str, str] = {}

    def read(self, run_ids: list[str]) -> State:
        listed = self._list()
        parts = self._state.parts
        for part in ("landing", "archive"):
            parts[part] = {key: _digest(self._get(key)) for key in listed if key.startswith(f"{part}/")}
        # Of a DAG with several pipelines, each has manifests of its own: <dag>.<track>.
        manifests = {
            key: json.loads(self._get(key))
            for key in listed
            if key.startswith((f"prod/manifests/{self._dag_id}/", f"prod/manifests/{self._dag_id}."))
        }
        for manifest in manifests.values():
            for one in manifest["inputs"]:
                self._names[one["upload"]["upload_id"]] = one["upload"]["key"]
        parts["quarantine"] = {
            key: self._lines(key) if key.endswith("_rejects.jsonl") else _digest(self._get(key))
            for key in listed
            if key.startswith("quarantine/")
        }
        parts["bronze"] = self._bronze(listed)
        parts["prod"] = {}
        for key, manifest in manifests.items():
            self._published(key.removeprefix("prod/manifests/").removesuffix(".json"), manifest)
        self._iceberg(
            [(PIPELINES[key.split("/")[2]].slice_column, manifest) for key, manifest in manifests.items()]
        )
        self._leftovers(listed, list(manifests.values()))
        self._state.reports = [
            self._report(key)
            for one in run_ids
            if (key := lake_keys.report_key(self._dag_id, lake_keys.run_key(one))) in listed
        ]
        return self._state

    def _list(self) -> list[str]:
        pages = self._lake.s3.get_paginator("list_objects_v2").paginate(Bucket=self._lake.bucket)
        return [one["Key"] for page in pages for one in page.get("Contents", ())]

    def _get(self, key: str) -> bytes:
        return self._lake.s3.get_object(Bucket=self._lake.bucket, Key=key)["Body"].read()

    def _lines(self, key: str) -> list[Any]:
        lines = [self._named(json.loads(line)) for line in self._get(key).splitlines()]
        return sorted(lines, key=lambda one: json.dumps(one, sort_keys=True))

    def _named(self, value: Any) -> Any:
        """A value with the ids of uploads replaced by their keys."""
        if isinstance(value, dict):
            return {key: self._named(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._named(one) for one in value]
        return self._names.get(value, value) if isinstance(value, str) else value

    def _bronze(self, listed: list[str]) -> dict[str, Any]:
        """The lines of those uploads that the published slices are made of, whichever run loaded them."""
        found = {}
        for key in listed:
            if key.startswith("bronze/"):
                folder, _, name = re.sub(r"/run=[^/]+/", "/", key).rpartition("/")
                upload_id, _, part = name.partition("-")
                if upload_id in self._names:
                    found[f"{folder}/{self._names[upload_id]}-{part}"] = self._lines(key)
        return found

    def _published(self, slice_: str, manifest: dict[str, Any]) -> None:
        prod = self._state.parts["prod"]
        for result, one in manifest["results"].items():
            if one.get("iceberg_snapshot"):
                continue
            rows: Any = [] if one["prefix"].endswith("/") else None
            for number, file in enumerate(one["files"]):
                content = self._get(file["key"])
                if len(content) != file["size"]:
                    self._state.wrong.append(f"{file['key']} has not the size that its manifest says")
                if file["key"].endswith(".parquet"):
                    table = pq.read_table(io.BytesIO(content))
                    rows += table.to_pylist()
                else:
                    prod[f"{slice_}/{result}/{file['key'].rsplit('/', 1)[-1]}.{number}"] = content.decode()
            if all(file["key"].endswith(".parquet") for file in one["files"]):
                prod[f"{slice_}/{result}"] = sorted(
                    (
                        json.loads(json.dumps(self._named(row), default=str))
                        for row in ({name: one[name] for name in one if name != "run_id"} for one in rows)
                    ),
                    key=lambda row: json.dumps(row, sort_keys=True),
                )
        prod[f"{slice_}/manifest"] = {
            "lines": manifest["lines"],
            "rows": {name: one["rows"] for name, one in manifest["results"].items()},
            "inputs": [
                {
                    **{k: v for k, v in one.items() if k != "version_id"},
                    "upload": {
                        k: v for k, v in one["upload"].items() if k not in ("upload_id", "last_modified")
                    },
                }
                for one in manifest["inputs"]
            ],
            "params": manifest["params"],
            "measures": manifest["measures"],
        }
        self._pointers(manifest)

    def _iceberg(self, manifests: list[tuple[str, dict[str, Any]]]) -> None:
        """Each slice of a table shows what its manifest's snapshot of the table held, and no other slice has rows."""
        slices: dict[tuple[str, str], set[str]] = {}
        for column, manifest in manifests:
            for table, one in manifest["results"].items():
                if not (snapshot := one.get("iceberg_snapshot")):
                    continue
                slices.setdefault((table, column), set()).add(manifest["slice"])
                of = f"{column} = '{manifest['slice']}'"
                now = self._rows(f"SELECT * FROM {table} WHERE {of}")
                then = self._rows(f"SELECT * FROM {table} FOR VERSION AS OF {snapshot} WHERE {of}")
                self._state.parts["prod"][f"{manifest['slice']}/{table}"] = now
                if now != then:
                    self._state.wrong.append(
                        f"{table} does not show {of} as its manifest says: {_difference(now, then)}"
                    )
        for (table, column), known in slices.items():
            there = {row[column] for row in self._rows(f"SELECT DISTINCT {column} FROM {table}")}
            if there - known:
                self._state.wrong.append(f"{table} has rows of {there - known}, which nothing published")

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query, in an order of their own, without what each run gives anew."""
        lake = self._lake
        query = lake.athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": lake.database},
            WorkGroup=lake.workgroup,
        )["QueryExecutionId"]
        while True:
            status = lake.athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
            if status["State"] not in ("QUEUED", "RUNNING"):
                break
            time.sleep(0.02)
        if status["State"] != "SUCCEEDED":
            raise AssertionError(f"{sql}: {status.get('StateChangeReason')}")
        pages = lake.athena.get_paginator("get_query_results").paginate(QueryExecutionId=query)
        header, *rows = [
            [cell.get("VarCharValue") for cell in row["Data"]]
            for page in pages
            for row in page["ResultSet"]["Rows"]
        ]
        found = [
            {
                name: self._named(value)
                for name, value in zip(header, row, strict=True)
                if name not in ("run_id", "uploaded_at")
            }
            for row in rows
        ]
        return sorted(found, key=lambda one: json.dumps(one, sort_keys=True))

    def _pointers(self, manifest: dict[str, Any]) -> None:
        """The tables point at the version that the manifest names, each once."""
        for table in self._lake.glue.get_tables(DatabaseName=self._lake.database)["TableList"]:
            one = manifest["results"].get(table["Name"])
            if one is None or one.get("iceberg_snapshot"):
                continue
            partitions = self._lake.glue.get_partitions(
                DatabaseName=self._lake.database, TableName=table["Name"]
            )["Partitions"]
            places = [
                partition["StorageDescriptor"]["Location"]
                for partition in partitions
                if partition["Values"] == [manifest["slice"]]
            ]
            wanted = f"s3://{self._lake.bucket}/{one['prefix']}"
            if places != [wanted]:
                self._state.wrong.append(f"{table['Name']} points at {places}, its manifest at {wanted}")

    def _leftovers(self, listed: list[str], manifests: list[dict[str, Any]]) -> None:
        """Every file in prod/ is published or marked for the lifecycle rule to remove."""
        current = {
            file["key"] for one in manifests for result in one["results"].values() for file in result["files"]
        }
        # Iceberg's own files are its own affair: VACUUM and the removal of orphans.
        own = tuple(
            f"prod/{name}/"
            for one in manifests
            for name, result in one["results"].items()
            if result.get("iceberg_snapshot")
        )
        for key in listed:
            if not key.startswith("prod/") or key.startswith(("prod/manifests/", "prod/publications/", *own)):
                continue
            tags = self._lake.s3.get_object_tagging(Bucket=self._lake.bucket, Key=key)["TagSet"]
            marked = {"Key": "medlaunch-state", "Value": "superseded"} in tags
            if key in current and marked:
                self._state.wrong.append(f"{key} is published and marked for removal")
            if key not in current and not marked:
                self._state.wrong.append(f"{key} is not published and would stay for ever")

    def _report(self, key: str) -> dict[str, Any]:
        report = json.loads(self._get(key))
        kept = ("params", "outcome", "files", "lines", "measures", "skipped", "quarantine")
        return {
            **{name: report[name] for name in kept},
            "slices": [
                {"slice": one["slice"], "lines": one["lines"], "rows": one["rows"]}
                for one in report["slices"]
            ],
        }


def _digest(content: bytes) -> str:
    return f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"
