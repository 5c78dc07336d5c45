"""FHIR resources for uploads, and uploads loaded in memory."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import random
from datetime import date, timedelta
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


def connection(key: bytes = KEY) -> dict[str, str]:
    """The environment variable that holds the key of pseudonyms."""
    return {
        "AIRFLOW_CONN_MEDLAUNCH_PSEUDONYMS": json.dumps({"conn_type": "generic", "password": key.decode()})
    }


# --- resources -------------------------------------------------------------------------------------


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


FOLDER = {"Patient": "patients", "Encounter": "encounters", "Condition": "conditions"}


# --- random populations ----------------------------------------------------------------------------

DAY_0 = date(2024, 2, 10)
DISPOSITIONS = [None, None, "exp", "home", "hosp", "aadvice", "other-hcf", "psy"]
CODES = ["68566005", "68566005", "91302008", "233604007", "186431008", "22298006", "34014006"]


def story(rng: random.Random) -> list[dict[str, Any]]:
    """A person's resources, close together in time, so that every rule is met often."""

    def day(number: int) -> str:
        clocks = ["", "", "T00:00:00Z", "T23:30:00-05:00", "T10:00:00+02:00", "T08:15"]
        return (DAY_0 + timedelta(days=number)).isoformat() + rng.choice(clocks)

    values: list[dict[str, Any]] = []
    kind = rng.choice(["", "", "", "date", "true", "false", "month", "orphan", "identifier"])
    if kind != "orphan":
        extra: dict[str, Any] = {"identifier": [{"system": "mrn", "value": "P"}]}
        if kind == "date":
            extra["deceasedDateTime"] = day(rng.randint(0, 70))
        elif kind in ("true", "false"):
            extra["deceasedBoolean"] = kind == "true"
        elif kind == "month":
            extra["deceasedDateTime"] = "2024-03"
        values.append(patient("P", **extra))
    begin = rng.randint(0, 20)
    for number in range(rng.randint(0, 5)):
        end = begin + rng.choice([0, 0, 1, 1, 2, 3, 5, 8, 15, 31]) - rng.choice([0] * 9 + [1])
        one = encounter(
            f"E{number}",
            "P",
            day(begin),
            day(end),
            org=rng.choice(["A", "A", "B", "C", None]),
            left=rng.choice(DISPOSITIONS),
        )
        if kind == "identifier":
            one["subject"] = {"identifier": {"system": "mrn", "value": "P"}}
        quirk = rng.randint(0, 24)
        if quirk == 0:
            one["status"] = rng.choice(["entered-in-error", "in-progress"])
        elif quirk == 1:
            one["class"] = rng.choice([{"code": "AMB"}, {"code": "acute"}, [{"coding": [{"code": "EMER"}]}]])
        elif quirk == 2:
            one["partOf"] = {"reference": f"Encounter/E{rng.randint(0, 4)}"}
        elif quirk == 3:
            del one["period"][rng.choice(["start", "end"])]
        elif quirk == 4:
            one["priority"] = {"coding": [{"code": "EL"}]}
        elif quirk == 5:
            one["serviceType"] = {"coding": [{"code": "394587001"}]}
        elif quirk == 6:
            del one["subject"]
        values.append(one)
        # The next one begins inside this one, at its end, soon after, or around 30 days after.
        soon = [begin, begin + 1, end - 1, end, end, end + 1, end + 1, end + 2, end + 29, end + 30, end + 31]
        begin = max(0, rng.choice(soon))
    for number in range(rng.randint(0, 4)):
        one = condition(
            f"C{number}",
            "P",
            day(rng.randint(-3, 60)),
            rng.choice(CODES),
            stay=rng.choice([None, "E0", "E1", "E2"]),
        )
        quirk = rng.randint(0, 14)
        if quirk == 0:
            one["verificationStatus"] = {"coding": [{"code": rng.choice(["refuted", "entered-in-error"])}]}
        elif quirk == 1:
            del one["verificationStatus"]
        elif quirk == 2:
            one["onsetPeriod"] = {"start": one.pop("onsetDateTime")}
        elif quirk == 3:
            one["recordedDate"] = one.pop("onsetDateTime")
        values.append(one)
    return values


def named(values: list[dict[str, Any]], prefix: str) -> list[dict[str, Any]]:
    """The same resources with ids that no other person's have."""
    text = (
        json.dumps(values)
        .replace('"value": "P"', f'"value": "{prefix}"')
        .replace('"id": "', f'"id": "{prefix}-')
    )
    for kind in FOLDER:
        text = text.replace(f"{kind}/", f"{kind}/{prefix}-")
    return json.loads(text)


def population(rng: random.Random, people: int) -> list[dict[str, Any]]:
    return [one for number in range(people) for one in named(story(rng), f"{number}")]
