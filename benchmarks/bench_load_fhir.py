"""The loader of FHIR resources against a loop of json.loads and json.dumps with the same checks, and against decoding alone.

Patients, Encounters and Conditions of the sample in one NDJSON file, one line in a hundred with a defect. Run as a module
with the name of a candidate it measures that one: see harness.py.
"""

from __future__ import annotations

import csv
import hmac
import json
import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, SEED, Measured, OneSlice, measure, megabytes, row, run_candidate

REFERENCE = ROOT / "include" / "reference"
#: Persons, of which each has about three resources: 100,000 resources, and a million.
PEOPLE = (34_700, 347_000)
PSEUDONYM_KEY = b"k" * 32
KINDS = ("Patient", "Encounter", "Condition")


def plain(path: str) -> Any:
    """json.loads, the rules one after the other, json.dumps."""
    tables: dict[str, list[tuple[str, ...]]] = {}
    for name in ("ref_disposition", "ref_infection"):
        with (REFERENCE / f"{name}.csv").open(newline="") as file:
            tables[name] = [tuple(one.values()) for one in csv.DictReader(file)]
    listed = {(system, code.lower()): category for system, code, category in tables["ref_disposition"]}
    infections = tables["ref_infection"]
    id_format = re.compile(r"[A-Za-z0-9.\-]{1,64}")
    time_format = re.compile(r"(\d{4}-\d\d-\d\d)(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?)?")

    def moment(text: Any) -> tuple[str | None, str | None]:
        match = time_format.fullmatch(text) if isinstance(text, str) else None
        if not match:
            return None, None
        try:
            if not match[4]:
                datetime.fromisoformat(match[1])
                return match[1], None
            return match[1], datetime.fromisoformat(text).astimezone(UTC).isoformat()
        except ValueError:
            return None, None

    def reference(element: Any, kind: str) -> str | None:
        parts = (element or {}).get("reference", "").split("/")
        return parts[-1] if len(parts) > 1 and parts[-2] == kind and id_format.fullmatch(parts[-1]) else None

    def codings(element: Any) -> list[tuple[str, str]]:
        concepts = element if isinstance(element, list) else [element or {}]
        found = [coding for one in concepts for coding in [*one.get("coding", []), one] if "code" in coding]
        return [(one.get("system", ""), one["code"]) for one in found]

    def disposition(found: list[tuple[str, str]]) -> str:
        for system, code in found:
            for part in ("discharge-disposition", "nubc", "snomed", ""):
                text = code.lower().zfill(2) if part == "nubc" else code.lower()
                if part in system.lower() and (part, text) in listed:
                    return listed[part, text]
        return "unknown"

    def pseudonym(kind: Any, id_: str | None) -> str | None:
        return id_ and hmac.new(PSEUDONYM_KEY, f"{kind}/{id_}".encode(), "sha256").hexdigest()[:32]

    def infection(found: list[tuple[str, str]]) -> str | None:
        for system, code in found:
            for part, listed_code, kind in infections:
                if (part == "snomed" and system == "http://snomed.info/sct" and code == listed_code) or (
                    part in system and code.upper().replace(".", "").startswith(listed_code)
                ):
                    return kind
        return None

    reasons: Counter[str] = Counter()
    number = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(path).open("rb") as source,
        Path(folder, "bronze").open("w", encoding="utf-8") as bronze,
        Path(folder, "quarantine").open("w", encoding="utf-8") as quarantine,
    ):
        for number, line in enumerate(source, 1):
            why, out = None, {"source_key": path, "line_number": number, "record_number": number}
            try:
                value = json.loads(line, parse_constant=int)
            except ValueError:
                why = "malformed_json"
            if not why:
                kind = value.get("resourceType") if isinstance(value, dict) else None
                meta = value.get("meta", {}) if isinstance(value, dict) else {}
                if not isinstance(kind, str):
                    why = "not_a_resource"
                elif kind not in KINDS:
                    why = "wrong_resource_type"
                elif not id_format.fullmatch(value.get("id", "")):
                    why = "id_invalid"
                elif "lastUpdated" in meta and moment(meta["lastUpdated"])[1] is None:
                    why = "last_updated_invalid"
            if why:
                reasons[why] += 1
                quarantine.write(
                    json.dumps(out | {"reject_reason": why, "raw": line.decode(errors="replace")}) + "\n"
                )
                bronze.write(json.dumps(out | {"reject_reason": why}) + "\n")
                continue
            out |= {
                "id": value["id"],
                "pseudonym": pseudonym(kind, value["id"]),
                "version_id": meta.get("versionId"),
                "updated": moment(meta.get("lastUpdated"))[1],
            }
            if kind == "Encounter":
                period, left = (
                    value.get("period", {}),
                    value.get("hospitalization", {}).get("dischargeDisposition"),
                )
                out["encounter"] = {
                    "status": value.get("status"),
                    "void": value.get("status") == "entered-in-error",
                    **{
                        name: [code.upper() for _, code in codings(value.get(element))]
                        for name, element in (
                            ("class_codes", "class"),
                            ("type_codes", "type"),
                            ("service_codes", "serviceType"),
                            ("priority_codes", "priority"),
                        )
                    },
                    "patient_ref": (patient := reference(value.get("subject"), "Patient")),
                    "patient_pseudonym": pseudonym("Patient", patient),
                    "org_id": reference(value.get("serviceProvider"), "Organization"),
                    "part_of": reference(value.get("partOf"), "Encounter"),
                    "start": [period.get("start"), *moment(period.get("start"))],
                    "end": [period.get("end"), *moment(period.get("end"))],
                    "disposition": disposition(codings(left)),
                    "disposition_codings": ["|".join(one) for one in codings(left)],
                }
            elif kind == "Condition":
                found = codings(value.get("code"))
                status = [code for _, code in codings(value.get("verificationStatus"))]
                out["condition"] = {
                    "void": "entered-in-error" in status,
                    "codings": ["|".join(one) for one in found],
                    "infection_type": infection(found),
                    "verification": status[:1],
                    "patient_ref": (patient := reference(value.get("subject"), "Patient")),
                    "patient_pseudonym": pseudonym("Patient", patient),
                    "encounter_id": (encounter := reference(value.get("encounter"), "Encounter")),
                    "encounter_pseudonym": pseudonym("Encounter", encounter),
                    "onset": [value.get("onsetDateTime"), *moment(value.get("onsetDateTime"))],
                    "recorded_date": moment(value.get("recordedDate"))[0],
                }
            else:
                out["patient"] = {
                    "identifiers": [
                        f"{one.get('system')}|{one['value']}" for one in value.get("identifier", [])
                    ],
                    "gender": value.get("gender"),
                    "birth_date": moment(value.get("birthDate"))[0],
                    "deceased": moment(value.get("deceasedDateTime")),
                    "deceased_flag": value.get("deceasedBoolean"),
                }
            bronze.write(json.dumps(out) + "\n")
    return [number, dict(sorted(reasons.items()))]


@dataclass(frozen=True)
class _Upload:
    key: str = "landing/fhir/bundles/bench.ndjson"
    upload_id: str = "0123456789abcdef01234567"
    slice: str | None = None


def ours(path: str) -> Any:
    from medlaunch.clinical.loading import load

    with (
        tempfile.TemporaryDirectory() as folder,
        Path(path).open("rb") as source,
        Path(folder, "bronze").open("wb") as bronze,
        Path(folder, "quarantine").open("wb") as quarantine,
    ):
        counts = load(source, _Upload(), OneSlice(bronze), quarantine, reference=REFERENCE, key=PSEUDONYM_KEY)
    return [counts.lines, dict(sorted(counts.rejected_by_reason.items()))]


def decode_only(path: str) -> Any:
    """The limit: lines through msgspec, and nothing done with them."""
    import msgspec

    decode, number = msgspec.json.Decoder(msgspec.Raw).decode, 0
    with Path(path).open("rb") as source:
        for line in source:
            try:
                decode(line)
            except msgspec.DecodeError:
                continue
            number += 1
    return number


def fhir_file(people: int) -> Path:
    """NDJSON of the sample's resources, all versions; made once and kept under build/bench/."""
    from sample_data.clinical import people as persons

    path = ROOT / "build" / "bench" / f"fhir-{people}-{SEED}.ndjson"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"unfinished-{path.name}")
        defects = cycle(
            [
                b"{",
                b"[]",
                b'{"resourceType": "Group", "id": "1"}',
                b'{"resourceType": "Patient", "id": "1 2"}',
            ]
        )
        with unfinished.open("wb") as file:
            for person in persons(SEED, people):
                for _, resource in person.versions:
                    file.write(json.dumps(resource, ensure_ascii=False).encode() + b"\n")
                    if person.random() < 0.01:
                        file.write(next(defects) + b"\n")
        unfinished.rename(path)
    return path


def run(people: tuple[int, ...] = PEOPLE) -> list[dict[str, Any]]:
    """Rows for 100,000 resources and a million."""
    rows = []
    for number in people:
        path = fhir_file(number)
        found: dict[str, Measured] = measure(
            __name__, {"plain": [path], "decode_only": [path], "ours": [path]}
        )
        assert found["plain"].result == found["ours"].result
        what = f"loading FHIR, {found['ours'].result[0]:,} resources, {megabytes(path):,.0f} MB"
        rows += [
            row(what, "json loop, same checks", found["plain"], found["ours"], ">= 4"),
            row(what, "msgspec alone", found["decode_only"], found["ours"]),
        ]
    return rows


if __name__ == "__main__":
    run_candidate(
        {"plain": plain, "ours": ours, "decode_only": decode_only},
        imports={"ours": ("medlaunch.clinical.loading",), "decode_only": ("msgspec",)},
    )
