"""The loader of PBJ files against csv.DictReader with the same checks, pandas, and reading the CSV alone.

A quarter has 1.3 million rows. Records with the wrong number of fields pandas cannot tell from others, so it reads a
copy without them; it types, rejects by the same rules and drops duplicates, and sets no flags. Run as a module with the
name of a candidate it measures that one: see harness.py.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from benchmarks.harness import (
    ROOT,
    SEED,
    Measured,
    OneSlice,
    environment,
    measure,
    megabytes,
    row,
    run_candidate,
)

REFERENCE = ROOT / "include" / "reference"
QUARTER = "2024Q2"
#: Nursing homes, of which each has a row for each of 91 days: 100,000 rows, and a real quarter.
FACILITIES = (1_099, 14_564)
JOBS = ("RNDON", "RNadmin", "RN", "LPNadmin", "LPN", "CNA", "NAtrn", "MedAide")
HOURS = [f"Hrs_{job}{kind}" for job in JOBS for kind in ("", "_emp", "_ctr")]
CCN, NUMBER = r"[0-9]{2}[0-9A-Z][0-9]{3}", r"[0-9]+\.?[0-9]*|\.[0-9]+"
DAY, CENSUS = r"[0-9]{8}(?:\.0)?|[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[0-9]{1,6}(?:\.0)?"


def plain(path: str) -> Any:
    """csv.DictReader, the rules one after the other, json.dumps."""
    with (REFERENCE / "states.csv").open(newline="") as file:
        states = {one["state_code"] for one in csv.DictReader(file)}
    ccn_format, number, day_format, census_format = map(re.compile, (CCN, NUMBER, DAY, CENSUS))
    reasons: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    cent, largest = Decimal("0.01"), Decimal("9999999.99")
    records = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        open(path, encoding="utf-8", errors="surrogateescape", newline="") as file,  # noqa: PTH123 - the plain way
        Path(folder, "bronze").open("w", encoding="utf-8") as bronze,
        Path(folder, "quarantine").open("w", encoding="utf-8") as quarantine,
    ):
        reader = csv.DictReader(file)
        for given in reader:
            if not any(text and (not isinstance(text, str) or text.strip()) for text in given.values()):
                continue
            records += 1
            where = {"source_key": path, "line_number": reader.line_num, "record_number": records}
            why = None
            out: dict[str, Any] = {}
            if None in given or None in given.values():
                why = "wrong_field_count"
            if not why:
                ccn = re.sub(r"\.0+$", "", given["PROVNUM"].strip().upper())
                if ccn.isdigit() and len(ccn) <= 6:
                    ccn = ccn.zfill(6)
                if not ccn_format.fullmatch(ccn):
                    why = "ccn_invalid"
            if not why:
                state = given["STATE"].strip().upper()
                if state not in states:
                    why = "state_invalid"
            if not why:
                text = given["WorkDate"].strip()
                try:
                    if not day_format.fullmatch(text):
                        raise ValueError(text)
                    day = date.fromisoformat(text.removesuffix(".0"))
                except ValueError:
                    why = "work_date_invalid"
            if not why and given["CY_Qtr"].strip().upper() != f"{day.year}Q{(day.month + 2) // 3}":
                why = "quarter_mismatch"
            if not why:
                text = given["MDScensus"].strip()
                if text and not census_format.fullmatch(text):
                    why = "census_invalid"
                census = int(text.removesuffix(".0")) if text and not why else None
            if not why:
                hours: list[Decimal | None] = []
                for name in HOURS:
                    text = given[name].strip()
                    if text and (not number.fullmatch(text) or Decimal(text) > largest):
                        why = "hours_invalid"
                        break
                    hours.append(Decimal(text).quantize(cent, ROUND_HALF_UP) if text else None)
            if why:
                reasons[why] += 1
                out = where | {"reject_reason": why}
                quarantine.write(json.dumps(out | {"raw": list(given.values())}) + "\n")
            else:
                known = [hour or Decimal(0) for hour in hours]
                total = sum(known[::3], Decimal(0))
                flags = []
                if any(abs(known[i] - known[i + 1] - known[i + 2]) > cent for i in range(0, 24, 3)):
                    flags.append("emp_ctr_mismatch")
                if None in hours:
                    flags.append("hours_missing")
                if census == 0 and total:
                    flags.append("census_zero_with_hours")
                elif census and not total:
                    flags.append("census_without_hours")
                elif census and total > 24 * census:
                    flags.append("hprd_above_24")
                flagged.update(flags)
                out = {
                    "ccn": ccn,
                    "provider_name": given["PROVNAME"].strip() or None,
                    "city": given["CITY"].strip() or None,
                    "state": state,
                    "county_name": given["COUNTY_NAME"].strip() or None,
                    "county_fips": given["COUNTY_FIPS"].strip().zfill(3),
                    "work_date": day.isoformat(),
                    "census": census,
                    "hours": [None if hour is None else str(hour) for hour in hours],
                    "flags": flags,
                } | where
            bronze.write(json.dumps(out) + "\n")
    return [records, dict(sorted(reasons.items())), dict(sorted(flagged.items()))]


def with_pandas(path: str) -> Any:
    """The same rules a column at a time, and the last record of each facility and day."""
    import pandas as pd

    with (REFERENCE / "states.csv").open(newline="") as file:
        states = {one["state_code"] for one in csv.DictReader(file)}
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="backslashreplace")
    frame = frame.apply(lambda column: column.str.strip())
    frame = frame[(frame != "").any(axis="columns")]
    ccn = frame["PROVNUM"].str.upper().str.replace(r"\.0+$", "", regex=True)
    ccn = ccn.where(~ccn.str.fullmatch("[0-9]{1,6}"), ccn.str.zfill(6))
    state = frame["STATE"].str.upper()
    day = pd.to_datetime(
        frame["WorkDate"]
        .where(frame["WorkDate"].str.fullmatch(DAY))
        .str.removesuffix(".0")
        .str.replace("-", ""),
        format="%Y%m%d",
        errors="coerce",
    )
    quarter = day.dt.year.astype("Int64").astype(str) + "Q" + day.dt.quarter.astype("Int64").astype(str)
    census = frame["MDScensus"]
    hours = frame[HOURS].apply(
        lambda column: pd.to_numeric(column.where(column.str.fullmatch(NUMBER))).round(2)
    )
    bad_hours = (hours.isna() & (frame[HOURS] != "")) | (hours > 9_999_999.99)
    broken = pd.DataFrame(
        {
            "ccn_invalid": ~ccn.str.fullmatch(CCN),
            "state_invalid": ~state.isin(states),
            "work_date_invalid": day.isna(),
            "quarter_mismatch": frame["CY_Qtr"].str.upper() != quarter,
            "census_invalid": (census != "") & ~census.str.fullmatch(CENSUS),
            "hours_invalid": bad_hours.any(axis="columns"),
        }
    )
    rejected = broken.any(axis="columns")
    reason = broken.idxmax(axis="columns")[rejected]
    out = frame.assign(
        ccn=ccn,
        state=state,
        work_date=day.dt.strftime("%Y-%m-%d"),
        census=pd.to_numeric(census.where(~broken["census_invalid"]), errors="coerce"),
        **hours,
    )
    kept = out[~rejected].drop_duplicates(["ccn", "work_date"], keep="last")
    with tempfile.TemporaryDirectory() as folder:
        kept.to_json(Path(folder, "bronze"), orient="records", lines=True)
        out[rejected].to_json(Path(folder, "quarantine"), orient="records", lines=True)
    return [len(frame), {str(key): int(n) for key, n in sorted(reason.value_counts().items())}]


@dataclass(frozen=True)
class _Upload:
    key: str
    upload_id: str = "0123456789abcdef01234567"
    slice: str | None = None


def ours(path: str) -> Any:
    from medlaunch.staffing.pbj import load

    with (
        tempfile.TemporaryDirectory() as folder,
        Path(path).open("rb") as source,
        Path(folder, "bronze").open("wb") as bronze,
        Path(folder, "quarantine").open("wb") as quarantine,
    ):
        counts = load(source, _Upload(path), OneSlice(bronze), quarantine, reference=REFERENCE)
    flagged = {
        name.removeprefix("flagged_"): number
        for name, number in sorted(counts.measures.items())
        if name.startswith("flagged_")
    }
    return [counts.lines, dict(sorted(counts.rejected_by_reason.items())), flagged]


def read_only(path: str) -> Any:
    """The limit: records as lists of fields, and nothing done with them."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:  # noqa: PTH123
        return sum(1 for _ in csv.reader(file))


def read_ours(path: str) -> Any:
    """Records as our reader gives them, and nothing done with them."""
    from medlaunch.formats.content import open_content
    from medlaunch.formats.csv_records import CsvRecords

    with Path(path).open("rb") as source:
        records = CsvRecords(open_content(source))
        records.read_header({}, [])
        return sum(1 for _ in records.items(tuple))


def pbj_file(facilities: int) -> Path:
    """A generated quarter, three records in a thousand with a defect; made once and kept under build/bench/."""
    path = ROOT / "build" / "bench" / f"pbj-{facilities}-{SEED}.csv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            command = [
                sys.executable,
                "-m",
                "sample_data",
                "staffing",
                "--out",
                folder,
                "--quarters",
                QUARTER,
            ]
            command += ["--facilities", str(facilities), "--seed", str(SEED)]
            subprocess.run(command, env=environment(), cwd=ROOT, check=True, capture_output=True)  # noqa: S603
            max(Path(folder, "pbj").iterdir(), key=lambda one: one.stat().st_size).rename(path)
    return path


def _without_wrong_counts(path: Path) -> Path:
    """A copy without the records that have fewer or more fields than the header."""
    clean = path.with_name(f"well-formed-{path.name}")
    if not clean.exists():
        unfinished = clean.with_name(f"unfinished-{clean.name}")
        with (
            path.open(encoding="utf-8", errors="surrogateescape", newline="") as lines,
            unfinished.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out,
        ):
            reader = csv.reader(lines)
            header = next(reader)
            csv.writer(out).writerows([header, *(one for one in reader if len(one) == len(header))])
        unfinished.rename(clean)
    return clean


def _zipped(path: Path) -> Path:
    zipped = path.with_suffix(".zip")
    if not zipped.exists():
        unfinished = zipped.with_name(f"unfinished-{zipped.name}")
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, path.name)
        unfinished.rename(zipped)
    return zipped


def run(facilities: tuple[int, ...] = FACILITIES) -> list[dict[str, Any]]:
    """Rows for a part of a quarter and a whole one, plain and as CMS zips it, against each other way."""
    rows = []
    for number in facilities:
        path = pbj_file(number)
        found: dict[str, Measured] = measure(
            __name__,
            {
                "plain": [path],
                "read_only": [path],
                "ours": [path],
                "ours:zip": [_zipped(path)],
                "read_ours": [path],
            },
        )
        assert found["plain"].result == found["ours"].result == found["ours:zip"].result
        clean = _without_wrong_counts(path)
        beside = measure(__name__, {"with_pandas": [clean], "ours": [clean]}, rounds=1)
        assert beside["with_pandas"].result == beside["ours"].result[:2]
        what = f"loading PBJ, {found['ours'].result[0]:,} rows, {megabytes(path):,.0f} MB"
        rows += [
            row(what, "csv.DictReader, same checks", found["plain"], found["ours"], ">= 4"),
            row(f"{what}, as zip", "the same on the plain file", found["plain"], found["ours:zip"]),
            row(
                f"{what}, without wrong field counts",
                "pandas, no flags (one round)",
                beside["with_pandas"],
                beside["ours"],
                ">= 3",
            ),
            row(what, "csv.reader alone", found["read_only"], found["ours"]),
            row(
                f"reading it, {found['ours'].result[0]:,} rows",
                "csv.reader",
                found["read_only"],
                found["read_ours"],
            ),
        ]
    return rows


if __name__ == "__main__":
    run_candidate(
        {
            "plain": plain,
            "with_pandas": with_pandas,
            "ours": ours,
            "read_only": read_only,
            "read_ours": read_ours,
        },
        imports={
            "with_pandas": ("pandas",),
            "ours": ("medlaunch.staffing.pbj",),
            "read_ours": ("medlaunch.formats.csv_records",),
        },
    )
