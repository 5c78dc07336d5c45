"""The rules of the accreditation pipeline once more, written down as plainly as possible.

Shares no code with the product: whole files in memory, stdlib json, no fast path. What the pipeline
publishes is compared with what this says.
"""

from __future__ import annotations

import calendar
import csv
import gzip
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
with (ROOT / "include/reference/states.csv").open(newline="") as _file:
    STATES = {row["state_code"]: row["state_name"] for row in csv.DictReader(_file)}


@dataclass
class Upload:
    """An upload as it lies in landing."""

    snapshot: date
    file: str
    body: bytes
    last_modified: datetime

    @property
    def key(self) -> str:
        return f"landing/facilities/{self.snapshot}/{self.file}"


@dataclass
class Facility:
    id: str
    name: str
    employees: int
    location: dict[str, Any]
    services: int
    accreditations: list[tuple[Any, Any, date | None]]

    @property
    def dates(self) -> list[date]:
        return [day for _, _, day in self.accreditations if day]


@dataclass
class Result:
    """What is expected of one snapshot."""

    read: int = 0
    superseded: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    quarantined_accreditations: int = 0
    facilities: dict[str, Facility] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        return len(self.facilities)

    def by_state(self, as_of: date) -> list[tuple[str, str, int, int]]:
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for one in self.facilities.values():
            counts[one.location["state"]][0] += any(day >= as_of for day in one.dates)
            counts[one.location["state"]][1] += 1
        return [(state, STATES[state], *counts[state]) for state in sorted(counts)]  # type: ignore[misc]

    def expiring(self, as_of: date, until: date) -> list[tuple[date, str, int]]:
        return sorted(
            (day, one.id, place)
            for one in self.facilities.values()
            for place, (_, _, day) in enumerate(one.accreditations)
            if day and as_of <= day <= until
        )


def plus_months(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    last = calendar.monthrange(day.year + years, month + 1)[1]
    return date(day.year + years, month + 1, min(day.day, last))


def real_date(value: Any) -> date | None:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def values(body: bytes, file: str) -> list[Any]:
    """Each JSON value or broken line of a file; what is broken as None. Only for NDJSON and arrays."""
    if file.endswith(".gz"):
        body = gzip.decompress(body)
    body = body.removeprefix(b"\xef\xbb\xbf")
    if body.lstrip().startswith(b"["):
        try:
            whole = json.loads(body)
        except ValueError:
            pass
        else:
            return [one if isinstance(one, dict) else None for one in whole]
    found = []
    for line in body.split(b"\n"):
        if line.strip():
            try:
                value = json.loads(line.decode())
            except (ValueError, RecursionError):
                value = None
            found.append(value if isinstance(value, dict) else None)
    return found


def judge(record: Any) -> tuple[str | None, Facility | None, int]:
    """(reject reason, facility, accreditations to quarantine) of one line."""
    if record is None:
        return "malformed_json", None, 0
    text = {key: record.get(key) for key in ("facility_id", "facility_name")}
    identity = text["facility_id"].strip().upper() if isinstance(text["facility_id"], str) else ""
    if not re.fullmatch(r"FAC[0-9]+", identity):
        return "facility_id_does_not_start_with_FAC", None, 0
    name = text["facility_name"].strip() if isinstance(text["facility_name"], str) else ""
    if not name:
        return "facility_name_blank_after_trim", None, 0
    employees = record.get("employee_count")
    if isinstance(employees, str) and re.fullmatch(r"[0-9]+", employees.strip()):
        employees = int(employees)
    if isinstance(employees, bool) or not isinstance(employees, int) or employees < 0:
        return "employee_count_negative_or_invalid", None, 0
    location = record.get("location") if isinstance(record.get("location"), dict) else {}
    state = location.get("state")
    state = state.strip().upper() if isinstance(state, str) else ""
    if state not in STATES:
        return "state_invalid", None, 0
    listed = record.get("accreditations") if isinstance(record.get("accreditations"), list) else []
    accreditations = [
        (one.get("accreditation_body"), one.get("accreditation_id"), real_date(one.get("valid_until")))
        if isinstance(one, dict)
        else (None, None, None)
        for one in listed
    ]
    services = record.get("services")
    facility = Facility(
        identity,
        name,
        employees,
        {**location, "state": state},
        len(services) if isinstance(services, list) else 0,
        accreditations,
    )
    return None, facility, sum(1 for _, _, day in accreditations if day is None)


def expect(uploads: list[Upload]) -> dict[date, Result]:
    """What is to be published of each snapshot, after all of these uploads."""
    latest: dict[str, Upload] = {}
    for upload in sorted(uploads, key=lambda one: (one.last_modified.replace(microsecond=0), one.key)):
        latest[upload.key] = upload
    results: dict[date, Result] = defaultdict(Result)
    for upload in sorted(
        latest.values(), key=lambda one: (one.last_modified.replace(microsecond=0), one.key)
    ):
        result = results[upload.snapshot]
        for value in values(upload.body, upload.file):
            result.read += 1
            reason, facility, quarantined = judge(value)
            result.quarantined_accreditations += quarantined
            if facility is None:
                assert reason
                result.rejected[reason] += 1
            else:
                result.superseded += facility.id in result.facilities
                result.facilities[facility.id] = facility
    return dict(results)
