"""The loader of facilities against the plain way with the same checks, pandas, decoding alone, and reading from S3 alone.

One malformed line fails pandas' whole file, so it reads a copy without those lines, and is spared all that
the rules say of them. Run as a module with the name of a candidate it measures that one: see harness.py.
"""

from __future__ import annotations

import csv
import json
import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import boto3

from benchmarks.harness import (
    FACILITY_SNAPSHOT,
    ROOT,
    SIZES,
    Measured,
    OneSlice,
    facilities_file,
    measure,
    megabytes,
    row,
    run_candidate,
)

STATES = ROOT / "include" / "reference" / "states.csv"
BUCKET = "bench"
SNAPSHOT = date.fromisoformat(FACILITY_SNAPSHOT)


def plain(path: str) -> Any:
    """json.loads, the rules one after the other, json.dumps."""
    with STATES.open(newline="") as file:
        states = {one["state_code"] for one in csv.DictReader(file)}
    facility_id, exact = re.compile("FAC[0-9]+"), re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
    reasons: Counter[str] = Counter()
    quarantined = 0

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    with (
        tempfile.TemporaryDirectory() as folder,
        open(path, "rb") as lines,  # noqa: PTH123 - the plain way
        Path(folder, "bronze").open("w", encoding="utf-8") as bronze,
        Path(folder, "quarantine").open("w", encoding="utf-8") as quarantine,
    ):
        record_number = 0
        for line_number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            record_number += 1
            why: list[str] = []
            given: Any
            try:
                given = json.loads(line.decode(), parse_constant=refuse)
            except (ValueError, RecursionError):
                given = None
            if not isinstance(given, dict):
                why, given = ["malformed_json"], {}
            text = {key: value for key, value in given.items() if isinstance(value, str)}
            place: Any = given.get("location") if isinstance(given.get("location"), dict) else {}
            state = place["state"].strip().upper() if isinstance(place.get("state"), str) else None
            zip_code = place.get("zip")
            if isinstance(zip_code, int):
                zip_code = str(zip_code).zfill(5)
            identity = text.get("facility_id", "").strip().upper() or None
            name = text.get("facility_name", "").strip() or None
            employees = given.get("employee_count")
            if isinstance(employees, str) and (digits := employees.strip()).isascii() and digits.isdigit():
                employees = int(employees)
            if type(employees) is not int or not 0 <= employees < 2**63:
                employees = None
            services: Any = given.get("services") if isinstance(given.get("services"), list) else []
            labs: Any = given.get("labs") if isinstance(given.get("labs"), list) else []
            listed: Any = given.get("accreditations")
            listed = listed if isinstance(listed, list) else []
            accreditations, bad = [], []
            for number, one in enumerate(listed, 1):
                one_given: Any = one if isinstance(one, dict) else {}
                valid_until: Any = one_given.get("valid_until")
                try:
                    if not exact.fullmatch(valid_until):
                        raise ValueError(valid_until)
                    datetime.strptime(valid_until, "%Y-%m-%d")  # noqa: DTZ007
                except (ValueError, TypeError):
                    valid_until = None
                    bad.append((number, one))
                accreditations.append(
                    {
                        "accreditation_body": one_given.get("accreditation_body"),
                        "accreditation_id": one_given.get("accreditation_id"),
                        "valid_until": valid_until,
                    }
                )
            if not why:
                if not facility_id.fullmatch(identity or ""):
                    why.append("facility_id_does_not_start_with_FAC")
                if not name:
                    why.append("facility_name_blank_after_trim")
                if employees is None:
                    why.append("employee_count_negative_or_invalid")
                if state not in states:
                    why.append("state_invalid")
            own = given.get("snapshot_date")
            out = {
                "facility_id": identity,
                "facility_name": name,
                "employee_count": employees,
                "location": {
                    "address": place.get("address"),
                    "city": place.get("city"),
                    "state": state,
                    "zip": zip_code,
                },
                "services": services,
                "labs": [
                    {"lab_name": lab.get("lab_name"), "certifications": lab.get("certifications")}
                    for lab in labs
                    if isinstance(lab, dict)
                ],
                "accreditations": accreditations,
                "number_of_offered_services": len(services),
                "snapshot_date_differs": own is not None and own != FACILITY_SNAPSHOT,
                "reject_reason": why[0] if why else None,
                "reject_reasons": why,
                "source_key": path,
                "upload_id": "0123456789abcdef01234567",
                "line_number": line_number,
                "record_number": record_number,
            }
            bronze.write(json.dumps(out, ensure_ascii=False) + "\n")
            where = {"source_key": path, "line_number": line_number, "record_number": record_number}
            if why:
                reasons[why[0]] += 1
                raw = line.decode(errors="backslashreplace").strip()
                quarantine.write(json.dumps(where | {"reject_reason": why[0], "raw": raw}) + "\n")
            else:
                quarantined += len(bad)
                for number, one in bad:
                    quarantine.write(json.dumps(where | {"accreditation": number, "raw": one}) + "\n")
    return [record_number, dict(sorted(reasons.items())), quarantined]


def with_pandas(path: str) -> Any:
    """The same rules a column at a time, on a file without malformed lines."""
    import pandas as pd

    with STATES.open(newline="") as file:
        states = {one["state_code"] for one in csv.DictReader(file)}
    frame = pd.read_json(path, lines=True, dtype=False, convert_dates=False)

    def texts(values: Any) -> Any:
        """Strings, trimmed; None in the place of anything else."""
        return values.where(values.map(lambda one: isinstance(one, str))).str.strip()

    def member(values: Any, name: str) -> Any:
        return values.map(lambda one: one.get(name) if isinstance(one, dict) else None)

    def lists(values: Any) -> Any:
        return values.map(lambda one: one if isinstance(one, list) else [])

    identity = texts(frame["facility_id"]).str.upper().replace("", None)
    name = texts(frame["facility_name"]).replace("", None)
    digits = texts(frame["employee_count"]).str.fullmatch("[0-9]+", na=False)
    employees = frame["employee_count"].where(~digits, frame["employee_count"].where(digits, 0).map(int))
    employees = employees.where(employees.map(lambda one: type(one) is int and 0 <= one < 2**63), None)
    state = texts(member(frame["location"], "state")).str.upper()
    services, listed = lists(frame["services"]), lists(frame["accreditations"])
    one = listed[listed.map(len) > 0].explode()
    valid_until = member(one, "valid_until").map(lambda text: text if isinstance(text, str) else None)
    exact = valid_until.str.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", na=False)
    bad = pd.to_datetime(valid_until.where(exact), format="%Y-%m-%d", errors="coerce").isna()
    broken = pd.DataFrame(
        {
            "facility_id_does_not_start_with_FAC": ~identity.str.fullmatch("FAC[0-9]+", na=False),
            "facility_name_blank_after_trim": name.isna(),
            "employee_count_negative_or_invalid": employees.isna(),
            "state_invalid": ~state.isin(states),
        }
    )
    rejected = broken.any(axis="columns")
    reason = broken.idxmax(axis="columns").where(rejected, None)
    out = frame.assign(
        facility_id=identity,
        facility_name=name,
        employee_count=employees,
        services=services,
        accreditations=listed,
        number_of_offered_services=services.map(len),
        reject_reason=reason,
        source_key=path,
        line_number=frame.index + 1,
    )
    with tempfile.TemporaryDirectory() as folder:
        out.to_json(Path(folder, "bronze"), orient="records", lines=True)
        out[rejected].to_json(Path(folder, "quarantine"), orient="records", lines=True)
    quarantined = int(bad[~rejected.reindex(bad.index)].sum())
    return [len(frame), {str(key): int(n) for key, n in sorted(reason.value_counts().items())}, quarantined]


@dataclass(frozen=True)
class _Upload:
    key: str
    upload_id: str = "0123456789abcdef01234567"
    slice: str = FACILITY_SNAPSHOT


def _load(source: Any, key: str, bronze: Any, quarantine: Any) -> Any:
    from medlaunch.accreditation.bronze import load

    counts = load(cast(BinaryIO, source), _Upload(key), OneSlice(bronze), quarantine, reference=STATES.parent)
    quarantined = counts.measures["accreditations_quarantined"]
    return [counts.lines, dict(sorted(counts.rejected_by_reason.items())), quarantined]


def ours(path: str) -> Any:
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(path).open("rb") as source,
        Path(folder, "bronze").open("wb") as bronze,
        Path(folder, "quarantine").open("wb") as quarantine,
    ):
        return _load(source, path, bronze, quarantine)


def decode_only(path: str) -> Any:
    """The limit: whole records decoded, and nothing done with them."""
    from medlaunch.accreditation.rules import decode_clean

    count = 0
    with Path(path).open("rb", 256 * 1024) as lines:
        for line in lines:
            try:
                decode_clean(line)
            except (ValueError, RecursionError):
                continue
            count += 1
    return count


def from_s3(url: str, key: str) -> Any:
    """The task: a stream from S3, canonical lines as a stream to S3."""
    from medlaunch.aws.objects import CLIENT_CONFIG, ObjectWriter, open_object

    client = boto3.client("s3", endpoint_url=url, config=CLIENT_CONFIG)
    with (
        open_object(client, BUCKET, key) as source,
        ObjectWriter(client, BUCKET, f"{key}.bronze") as bronze,
        ObjectWriter(client, BUCKET, f"{key}.quarantine") as quarantine,
    ):
        return _load(source, key, bronze, quarantine)


def read_s3(url: str, key: str) -> Any:
    """The limit of that: the same stream, read and forgotten."""
    from medlaunch.aws.objects import CLIENT_CONFIG, open_object

    client = boto3.client("s3", endpoint_url=url, config=CLIENT_CONFIG)
    size = 0
    with open_object(client, BUCKET, key) as source:
        while chunk := source.read(256 * 1024):
            size += len(chunk)
    return size


def _without_malformed(path: Path) -> Path:
    """A copy of an upload without its malformed lines, which pandas cannot read."""
    from medlaunch.accreditation.rules import RejectReason, check_record

    clean = path.with_name(f"well-formed-{path.name}")
    if not clean.exists():
        unfinished = clean.with_name(f"unfinished-{clean.name}")
        with path.open("rb") as lines, unfinished.open("wb") as out:
            for line in lines:
                if check_record(line, (), SNAPSHOT).reject_reason is not RejectReason.MALFORMED_JSON:
                    out.write(line)
        unfinished.rename(clean)
    return clean


def _measure_s3(path: Path, zipped: Path) -> dict[str, Measured]:
    import os

    import local_aws

    os.environ.setdefault("AWS_ACCESS_KEY_ID", "bench")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "bench")
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    with local_aws.serve(port=0) as server:
        client = boto3.client("s3", endpoint_url=server.url)
        client.create_bucket(Bucket=BUCKET)
        for file in (path, zipped):
            client.upload_file(str(file), BUCKET, file.name)
        return measure(
            __name__,
            {
                "read_s3": [server.url, path.name],
                "from_s3": [server.url, path.name],
                "from_s3:gz": [server.url, zipped.name],
            },
        )


def run(sizes: tuple[int, ...] = SIZES) -> list[dict[str, Any]]:
    """Rows for plain files and gzip, from disk and from S3, against each other way."""
    rows = []
    for size in sizes:
        path, zipped = facilities_file(size), facilities_file(size, gzipped=True)
        found = measure(
            __name__,
            {"plain": [path], "decode_only": [path], "ours": [path], "ours:gz": [zipped]},
        )
        assert found["plain"].result == found["ours"].result == found["ours:gz"].result
        clean = _without_malformed(path)
        against_pandas = measure(__name__, {"with_pandas": [clean], "ours": [clean]}, rounds=1)
        assert against_pandas["with_pandas"].result == against_pandas["ours"].result
        s3 = _measure_s3(path, zipped)
        assert s3["from_s3"].result == s3["from_s3:gz"].result == found["ours"].result
        what = f"loading facilities, {size:,} records, {megabytes(path):,.0f} MB"
        rows += [
            row(what, "plain Python, same checks", found["plain"], found["ours"], ">= 4"),
            row(what, "decoding alone", found["decode_only"], found["ours"]),
            row(
                f"{what}, without malformed lines",
                "pandas, fewer columns (one round)",
                against_pandas["with_pandas"],
                against_pandas["ours"],
            ),
            row(f"{what}, as gzip", "plain Python on the plain file", found["plain"], found["ours:gz"]),
            row(
                f"{what}, S3 to S3",
                "reading it from S3 alone",
                s3["read_s3"],
                s3["from_s3"],
                by_the_clock=True,
            ),
            row(
                f"{what}, gzip, S3 to S3",
                "reading the plain one from S3 alone",
                s3["read_s3"],
                s3["from_s3:gz"],
                by_the_clock=True,
            ),
        ]
    return rows


if __name__ == "__main__":
    ours_needs = ("medlaunch.accreditation",)
    run_candidate(
        {
            "plain": plain,
            "with_pandas": with_pandas,
            "ours": ours,
            "decode_only": decode_only,
            "from_s3": from_s3,
            "read_s3": read_s3,
        },
        imports={
            "with_pandas": ("pandas",),
            "ours": ours_needs,
            "decode_only": ours_needs,
            "from_s3": ours_needs,
        },
    )
