"""filter_expiring against the plain way, pandas, and decoding alone, on the same canonical records.

Run as a module with the name of a candidate it measures that one: see harness.py.
"""

from __future__ import annotations

import csv
import gzip
import json
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from benchmarks.harness import (
    AS_OF,
    FACILITY_SNAPSHOT,
    SIZES,
    WINDOW,
    facilities_file,
    measure,
    megabytes,
    row,
    run_candidate,
)

END = "2027-05-20"
COLUMNS = [
    "facility_id",
    "facility_name",
    "address",
    "city",
    "state",
    "zip",
    "employee_count",
    "accreditation_body",
    "accreditation_id",
    "valid_until",
    "days_until_expiry",
    "run_date",
    "snapshot_date",
]


def plain(path: str) -> Any:
    """What a good programmer writes in ten minutes."""
    as_of, end = date.fromisoformat(AS_OF), date.fromisoformat(END)
    rows, records = [], []
    with open(path, encoding="utf-8") as lines:  # noqa: PTH123 - the plain way
        for line in lines:
            record = json.loads(line)
            found = False
            for accreditation in record["accreditations"]:
                if accreditation["valid_until"] is None:
                    continue
                day = datetime.strptime(accreditation["valid_until"], "%Y-%m-%d").date()  # noqa: DTZ007
                if as_of <= day <= end:
                    found = True
                    location = record["location"]
                    rows.append(
                        {
                            "facility_id": record["facility_id"],
                            "facility_name": record["facility_name"],
                            "address": location["address"],
                            "city": location["city"],
                            "state": location["state"],
                            "zip": location["zip"],
                            "employee_count": record["employee_count"],
                            "accreditation_body": accreditation["accreditation_body"],
                            "accreditation_id": accreditation["accreditation_id"],
                            "valid_until": accreditation["valid_until"],
                            "days_until_expiry": (day - as_of).days,
                            "run_date": AS_OF,
                            "snapshot_date": FACILITY_SNAPSHOT,
                        }
                    )
            if found:
                del record["number_of_offered_services"], record["upload_id"]
                record["snapshot_date"] = FACILITY_SNAPSHOT
                records.append(record)
    rows.sort(key=lambda one: (one["valid_until"], one["facility_id"]))
    records.sort(key=lambda one: one["facility_id"])
    with tempfile.TemporaryDirectory() as folder:
        with Path(folder, "soon.csv").open("w", newline="", encoding="utf-8") as table:
            writer = csv.DictWriter(table, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        with Path(folder, "facilities.ndjson").open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        return [len(rows), len(records)]


def with_pandas(path: str) -> Any:
    import pandas as pd

    frame = pd.read_json(path, lines=True, dtype=False, convert_dates=False)
    one = frame.explode("accreditations").dropna(subset="accreditations")
    listed = pd.json_normalize(one["accreditations"].tolist()).set_index(one.index)
    listed["day"] = pd.to_datetime(listed["valid_until"])
    soon = listed[listed["day"].between(AS_OF, END)]
    where = pd.json_normalize(frame["location"].tolist())
    table = soon.join(frame[["facility_id", "facility_name", "employee_count"]]).join(where)
    table["days_until_expiry"] = (table["day"] - pd.Timestamp(AS_OF)).dt.days
    table["run_date"], table["snapshot_date"] = AS_OF, FACILITY_SNAPSHOT
    records = frame.loc[soon.index.unique()].drop(columns=["number_of_offered_services", "upload_id"])
    with tempfile.TemporaryDirectory() as folder:
        table = table.sort_values(["valid_until", "facility_id"])[COLUMNS]
        table.to_csv(Path(folder, "soon.csv"), index=False, lineterminator="\r\n")
        records.sort_values("facility_id").to_json(
            Path(folder, "facilities.ndjson"), orient="records", lines=True
        )
    return [len(table), len(records)]


class _Accreditation(msgspec.Struct, gc=False):
    accreditation_body: str | None = None
    accreditation_id: str | None = None
    valid_until: str | None = None


class _Location(msgspec.Struct, gc=False):
    address: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None


class _Facility(msgspec.Struct, gc=False):
    facility_id: str
    facility_name: str
    location: _Location
    accreditations: list[_Accreditation]


def decode_only(path: str) -> Any:
    """The limit: the four fields that rows are made of, decoded and forgotten."""

    decode = msgspec.json.Decoder(_Facility).decode
    count = 0
    with open(path, "rb", 256 * 1024) as lines:  # noqa: PTH123
        for line in lines:
            decode(line)
            count += 1
    return count


def ours(path: str) -> Any:
    from medlaunch.accreditation.expiry import filter_expiring
    from medlaunch.formats.content import open_content

    with (
        tempfile.TemporaryDirectory() as folder,
        Path(path).open("rb") as source,
        Path(folder, "soon.csv").open("wb") as table,
        Path(folder, "facilities.ndjson").open("wb") as records,
    ):
        counts = filter_expiring(
            open_content(cast(BinaryIO, source)),
            as_of=date.fromisoformat(AS_OF),
            window=WINDOW,
            snapshot_date=date.fromisoformat(FACILITY_SNAPSHOT),
            csv_out=table,
            ndjson_out=records,
        )
    return [counts.expiring_accreditations, counts.expiring_facilities]


def canonical_file(records: int) -> Path:
    """What Athena extracts of an upload: its accepted records, with the columns of staging_facilities."""
    from medlaunch.accreditation.rules import check_record
    from medlaunch.accreditation.states import read_states

    source = facilities_file(records)
    path = source.with_name(f"canonical-{source.name}")
    if not path.exists():
        states = read_states(Path(__file__).parents[1] / "include" / "reference" / "states.csv")
        snapshot = date.fromisoformat(FACILITY_SNAPSHOT)
        unfinished = path.with_name(f"unfinished-{path.name}")
        with source.open("rb") as lines, unfinished.open("wb") as out:
            for line in lines:
                checked = check_record(line, states, snapshot)
                if checked.reject_reason is None:
                    fields = msgspec.structs.asdict(checked.facility)
                    fields["number_of_offered_services"] = checked.number_of_offered_services
                    del fields["snapshot_date"]
                    out.write(msgspec.json.encode(fields | {"upload_id": "0123456789abcdef01234567"}) + b"\n")
        unfinished.rename(path)
    return path


def run(sizes: tuple[int, ...] = SIZES) -> list[dict[str, Any]]:
    """Rows for plain files and gzip, against each other way."""
    rows = []
    for size in sizes:
        path = canonical_file(size)
        zipped = path.with_name(f"{path.name}.gz")
        if not zipped.exists():
            zipped.write_bytes(gzip.compress(path.read_bytes(), 6))
        found = measure(
            __name__,
            {"plain": [path], "decode_only": [path], "ours": [path], "ours:gz": [zipped]},
        )
        pandas = measure(__name__, {"with_pandas": [path]}, rounds=1)["with_pandas"]
        assert found["plain"].result == found["ours"].result == found["ours:gz"].result == pandas.result
        what = f"filter_expiring, {size:,} records, {megabytes(path):,.0f} MB"
        rows += [
            row(what, "plain Python", found["plain"], found["ours"], ">= 5"),
            row(what, "decoding four fields alone", found["decode_only"], found["ours"], ">= 0.45"),
            row(what, "pandas (one round)", pandas, found["ours"]),
            row(f"{what}, as gzip", "plain Python on the plain file", found["plain"], found["ours:gz"]),
        ]
    return rows


if __name__ == "__main__":
    run_candidate(
        {"plain": plain, "with_pandas": with_pandas, "decode_only": decode_only, "ours": ours},
        imports={
            "with_pandas": ("pandas",),
            "ours": ("medlaunch.accreditation", "medlaunch.formats.content"),
        },
    )
