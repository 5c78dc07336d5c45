"""FHIR resources for uploads, and uploads loaded in memory."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from pathlib import Path
from typing import Any

from medlaunch.clinical.loading import load
from medlaunch.declaration import LineCounts

ROOT = Path(__file__).parents[1]
#: Makes the pseudonyms of tests.
KEY = b"the key of tests, not of anything else"
SCT = "http://snomed.info/sct"
HL7 = "http://terminology.hl7.org/CodeSystem/discharge-disposition"
VER = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


class Upload:
    """What a loader may know about an upload."""

    def __init__(self, key: str, upload_id: str):
        self.key, self.upload_id, self.slice = key, upload_id, None


class Lines:
    """Keeps the lines that a loader writes, to bronze or to the quarantine."""

    def __init__(self) -> None:
        self.data = b""

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.data.splitlines()]


class Bronze(Lines):
    def write(self, slice_: str, lines: bytes) -> None:
        assert slice_ == "all"
        self.data += lines


class Rejects(Lines):
    def write(self, lines: bytes, /) -> int:
        self.data += lines
        return len(lines)


def load_bytes(
    name: str, content: bytes, upload_id: str = "u", *, key: bytes = KEY
) -> tuple[LineCounts, Bronze, Rejects]:
    """Counts, bronze lines and rejects of one upload ``name``; ``key`` makes the pseudonyms."""
    bronze, rejects = Bronze(), Rejects()
    counts = load(
        io.BytesIO(content),
        Upload(name, upload_id),
        bronze,
        rejects,
        reference=ROOT / "include/reference",
        key=key,
    )
    return counts, bronze, rejects


def pseudonym(kind: str, id_: str, key: bytes = KEY) -> str:
    """What stands for a resource in published tables."""
    return hmac.new(key, f"{kind}/{id_}".encode(), hashlib.sha256).hexdigest()[:32]


def patient(id_: str, **elements: Any) -> dict[str, Any]:
    """A Patient with its id, and what else is given."""
    return {"resourceType": "Patient", "id": id_, **elements}


def encounter(
    id_: str,
    who: str | None,
    start: str | None,
    end: str | None,
    *,
    org: str | None = "A",
    left: str | None = None,
    **elements: Any,
) -> dict[str, Any]:
    """An inpatient Encounter of a patient (``who``), left with an HL7 discharge disposition."""
    one: dict[str, Any] = {
        "resourceType": "Encounter",
        "id": id_,
        "status": "finished",
        "class": {"code": "IMP"},
        "period": {name: value for name, value in (("start", start), ("end", end)) if value},
    }
    if who:
        one["subject"] = {"reference": who if set(":/?") & set(who) else f"Patient/{who}"}
    if org:
        one["serviceProvider"] = {"reference": f"Organization/{org}"}
    if left:
        one["hospitalization"] = {"dischargeDisposition": {"coding": [{"system": HL7, "code": left}]}}
    return one | elements


def condition(
    id_: str,
    who: str | None,
    onset: str | None,
    code: str = "68566005",
    *,
    stay: str | None = None,
    **elements: Any,
) -> dict[str, Any]:
    """A confirmed Condition by its SNOMED CT code, sepsis unless another is given."""
    one: dict[str, Any] = {
        "resourceType": "Condition",
        "id": id_,
        "verificationStatus": {"coding": [{"system": VER, "code": "confirmed"}]},
        "code": {"coding": [{"system": SCT, "code": code}]},
    }
    if who:
        one["subject"] = {"reference": f"Patient/{who}"}
    if onset:
        one["onsetDateTime"] = onset
    if stay:
        one["encounter"] = {"reference": f"Encounter/{stay}"}
    return one | elements
