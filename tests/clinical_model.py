"""The clinical measures computed a second time, the slow and obvious way, from the resources themselves.

Shares no code with the product. Loops over patients, no sets and no windows; exact fractions, no decimals.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

TYPES = ("Patient", "Encounter", "Condition")
FOLDERS = {"patients": "Patient", "encounters": "Encounter", "conditions": "Condition", "bundles": None}
MALFORMED = object()


# --- files -----------------------------------------------------------------------------------------


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def parse(text: bytes) -> Any:
    return json.loads(text.decode("utf-8"), parse_constant=_no_constant)


def split(content: bytes) -> list[Any]:
    """The values of a file; MALFORMED for what is none."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        whole = parse(content)
    except ValueError:
        pass
    else:
        return whole if isinstance(whole, list) else [whole]
    lines = [line for line in content.split(b"\n") if line.strip(b" \t\r")]
    parsed = []
    for line in lines:
        try:
            parsed.append(parse(line))
        except ValueError:
            parsed.append(MALFORMED)
    if any(isinstance(value, dict) and "resourceType" in value for value in parsed):
        return parsed
    found: list[Any] = []
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    # As far as it is UTF-8; what is not ends the file like any other error.
    text = content.decode("utf-8", "surrogateescape")
    position = 0
    while True:
        while position < len(text) and text[position] in " \t\r\n":
            position += 1
        if position == len(text):
            return found
        try:
            value, end = decoder.raw_decode(text, position)
            text[position:end].encode("utf-8")
        except ValueError:
            return [*found, MALFORMED]
        found.append(value)
        position = end


@dataclass
class Upload:
    """A file: its time in whole seconds (ISO text), its key ``fhir/<folder>/...``, and its values."""

    uploaded_at: str
    key: str
    values: list[Any]


@dataclass
class Versions:
    """What was read: the current versions by type and id, and the account."""

    current: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    read: int = 0
    ignored_bundle_entries: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def accepted(self) -> int:
        return len(self.current)

    @property
    def superseded(self) -> int:
        return self.read - self.accepted - sum(self.rejected.values())

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        return {key[1]: resource for key, resource in self.current.items() if key[0] == kind}


def read_uploads(uploads: list[Upload]) -> Versions:
    versions = Versions()
    best: dict[tuple[str, str], Any] = {}
    for order, upload in enumerate(sorted(uploads, key=lambda one: (one.uploaded_at, one.key))):
        folder = upload.key.split("fhir/", 1)[1].split("/", 1)[0]
        position = 0
        for value, in_bundle in _opened(upload.values, versions):
            position += 1
            versions.read += 1
            reason = _reject_reason(value, None if in_bundle else FOLDERS[folder])
            if reason:
                versions.rejected[reason] += 1
                continue
            meta = value.get("meta")
            meta = meta if isinstance(meta, dict) else {}
            number = meta.get("versionId")
            number = number if isinstance(number, str) and re.fullmatch("[0-9]+", number) else "-1"
            moment = _moment(meta.get("lastUpdated"))
            rank = (
                moment if moment else (datetime.min.replace(tzinfo=UTC), Fraction(0)),
                int(number),
                order,
                position,
            )
            key = (value["resourceType"], value["id"])
            if key not in best or rank > best[key]:
                best[key] = rank
                versions.current[key] = value
    return versions


def _opened(values: list[Any], versions: Versions) -> list[tuple[Any, bool]]:
    found: list[tuple[Any, bool]] = []
    for value in values:
        if not (isinstance(value, dict) and value.get("resourceType") == "Bundle"):
            found.append((value, False))
            continue
        entries = value.get("entry")
        for entry in entries if isinstance(entries, list) else []:
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if not isinstance(resource, dict) or resource.get("resourceType") not in TYPES:
                versions.ignored_bundle_entries += 1
                continue
            url = entry.get("fullUrl")
            if resource.get("id") is None and isinstance(url, str) and url.startswith("urn:uuid:"):
                resource = {**resource, "id": url[9:]}
            found.append((resource, True))
    return found


def _reject_reason(value: Any, wanted: str | None) -> str | None:
    if value is MALFORMED:
        return "malformed_json"
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        return "not_a_resource"
    if value["resourceType"] not in TYPES or (wanted and value["resourceType"] != wanted):
        return "wrong_resource_type"
    if not isinstance(value.get("id"), str) or not re.fullmatch(r"[A-Za-z0-9.\-]{1,64}", value["id"]):
        return "id_invalid"
    meta = value.get("meta")
    if isinstance(meta, dict) and meta.get("lastUpdated") is not None and not _moment(meta["lastUpdated"]):
        return "last_updated_invalid"
    return None


# --- elements --------------------------------------------------------------------------------------

_WRITTEN = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)


def _parse_date_time(text: Any) -> tuple[date, tuple[datetime, Fraction] | None] | None:
    """The written day and the moment, if the offset is known; None if it is no real and full date."""
    match = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        written = date(int(year), int(month), int(day))
        if hour is None:
            return written, None
        leap = second == "60"
        second = "59" if leap else second or "00"
        clock = datetime.fromisoformat(f"{written}T{hour}:{minute}:{second}")
        if offset is None:
            return written, None
        minutes = 0
        if offset != "Z":
            if int(offset[4:]) > 59:
                return None
            minutes = int(offset[1:3]) * 60 + int(offset[4:])
            if minutes > 14 * 60:
                return None
            minutes = -minutes if offset[0] == "-" else minutes
        moment = clock.replace(tzinfo=UTC) - timedelta(minutes=minutes) + timedelta(seconds=leap)
    except (ValueError, OverflowError):
        return None
    return written, (moment, Fraction("0" + fraction) if fraction else Fraction(0))


def _moment(text: Any) -> tuple[datetime, Fraction] | None:
    parsed = _parse_date_time(text)
    return parsed[1] if parsed else None


def _day(text: Any, zone: str | None) -> date | None:
    parsed = _parse_date_time(text)
    if not parsed:
        return None
    if zone and parsed[1]:
        return parsed[1][0].astimezone(ZoneInfo(zone)).date()
    return parsed[0]


def _reference(element: Any, kind: str) -> str | None:
    if not isinstance(element, dict):
        return None
    if isinstance(element.get("type"), str) and element["type"].split("/")[-1] != kind:
        return None
    text = element.get("reference")
    if isinstance(text, str) and not text.startswith("#"):
        text = text.strip()
        if text.startswith("urn:uuid:"):
            return text[9:] or None
        if "?" in text:
            path, query = text.split("?", 1)
            if path.split("/")[-1] != kind:
                return None
            for part in query.split("&"):
                name, _, value = part.partition("=")
                if name == "identifier" and value:
                    value = unquote(value)
                    return f"identifier:{value}" if "|" in value else f"identifier:|{value}"
            return None
        parts = text.split("/")
        if len(parts) >= 3 and parts[-2] == "_history":
            parts = parts[:-2]
        if len(parts) >= 2 and parts[-2] != kind:
            return None
        return parts[-1] if re.fullmatch(r"[A-Za-z0-9.\-]{1,64}", parts[-1]) else None
    identifier = element.get("identifier")
    if isinstance(identifier, dict) and identifier.get("value"):
        return f"identifier:{identifier.get('system') or ''}|{identifier['value']}"
    return None


def _codings(element: Any) -> list[dict[str, Any]]:
    if isinstance(element, list):
        return [coding for one in element for coding in _codings(one)]
    if not isinstance(element, dict):
        return []
    if isinstance(element.get("concept"), dict):
        return _codings(element["concept"])
    found = [coding for coding in element.get("coding") or [] if isinstance(coding, dict)]
    return [*found, element] if "code" in element else found


def _codes(element: Any) -> set[str]:
    return {coding["code"].upper() for coding in _codings(element) if coding.get("code")}


HL7 = {
    "exp": "died", "home": "home", "alt-home": "home", "other-hcf": "acute_transfer", "hosp": "hospice",
    "aadvice": "ama", "snf": "snf", "rehab": "rehab", "psy": "psych", "long": "ltc", "oth": "other",
}  # fmt: skip
NUBC = {
    "died": "20 40 41 42", "home": "01 06 81 86", "acute_transfer": "02 05 43 66 82 85 88 94", "hospice": "50 51",
    "ama": "07", "snf": "03 61 83 89", "rehab": "62 90", "psych": "65 93", "ltc": "04 63 64 84 91 92",
    "other": "21 69 70 87 95",
}  # fmt: skip
SNOMED_DISPOSITION = {
    "371828006": "died", "434781000124105": "acute_transfer", "428361000124107": "hospice",
    "428371000124100": "hospice", "445060000": "ama",
}  # fmt: skip
MIMIC = {
    "DIED": "died", "EXPIRED": "died", "HOME": "home", "HOME HEALTH CARE": "home", "ASSISTED LIVING": "home",
    "ACUTE HOSPITAL": "acute_transfer", "TRANSFER": "acute_transfer", "HOSPICE": "hospice", "AGAINST ADVICE": "ama",
    "LEFT AGAINST MEDICAL ADVICE": "ama", "ELOPED": "ama", "SKILLED NURSING FACILITY": "snf", "REHAB": "rehab",
    "PSYCH FACILITY": "psych", "CHRONIC/LONG TERM ACUTE CARE": "ltc", "OTHER": "other", "OTHER FACILITY": "other",
    "HEALTHCARE FACILITY": "other",
}  # fmt: skip
SNOMED_INFECTION = {
    "91302008": "sepsis", "10001005": "sepsis", "76571007": "sepsis", "233604007": "pneumonia",
    "425464007": "pneumonia", "429271009": "pneumonia", "68566005": "uti", "186431008": "cdiff",
}  # fmt: skip
ICD_INFECTION = {
    "sepsis": "A40 A41 R652 T80211 T8144", "pneumonia": "J12 J13 J14 J15 J16 J17 J18 J95851", "uti": "N390 T83511",
    "cdiff": "A047", "ssi": "T8140 T8141 T8142 T8143 T8149",
}  # fmt: skip
INFECTIONS = ("sepsis", "pneumonia", "uti", "cdiff", "ssi")


def disposition(codings: list[dict[str, Any]]) -> str:
    for coding in codings:
        system, code = (coding.get("system") or "").lower(), (coding.get("code") or "").strip()
        if "nubc" in system:
            for category, codes in NUBC.items():
                if code.zfill(2) in codes.split():
                    return category
        if (not system or "discharge-disposition" in system) and code.lower() in HL7:
            return HL7[code.lower()]
        if (not system or "snomed" in system) and code in SNOMED_DISPOSITION:
            return SNOMED_DISPOSITION[code]
        if code.upper() in MIMIC:
            return MIMIC[code.upper()]
    return "unknown"


def infection(codings: list[dict[str, Any]]) -> str | None:
    for coding in codings:
        system, code = coding.get("system") or "", (coding.get("code") or "").strip()
        if system in ("", "http://snomed.info/sct"):
            if code in SNOMED_INFECTION:
                return SNOMED_INFECTION[code]
        elif "icd-10" in system.lower() or "icd10" in system.lower():
            plain = code.upper().replace(".", "")
            for kind, prefixes in ICD_INFECTION.items():
                if plain.startswith(tuple(prefixes.split())):
                    return kind
    return None


def verification(element: Any) -> str | None:
    if isinstance(element, str):
        return element
    codes = [coding["code"] for coding in _codings(element) if coding.get("code")]
    for code in ("entered-in-error", "confirmed"):
        if code in codes:
            return code
    if codes:
        return str(codes[0])
    return element.get("text") if isinstance(element, dict) else None


# --- stays -----------------------------------------------------------------------------------------


@dataclass
class Stay:
    id: str
    patient: str
    org: str
    admit: date
    discharge: date
    end: tuple[datetime, Fraction] | None
    disposition: str
    planned: bool
    psychiatric: bool
    death: date | None = None
    death_moment: tuple[datetime, Fraction] | None = None
    vital_unknown: bool = False
    episode: list[Stay] = field(default_factory=list, repr=False)

    @property
    def los(self) -> int:
        return (self.discharge - self.admit).days

    @property
    def month(self) -> str:
        return self.discharge.isoformat()[:7]

    @property
    def died(self) -> bool:
        if self.disposition == "died":
            return True
        if self.death is None:
            return False
        if self.admit <= self.death < self.discharge:
            return True
        if self.death != self.discharge or self.disposition != "unknown":
            return False
        return not (self.end and self.death_moment and self.death_moment > self.end)


@dataclass
class Result:
    reasons: dict[str, str | None]
    stays: dict[str, Stay]
    episodes: list[list[Stay]]
    fates: dict[str, str]
    #: (measure, org, month) -> (numerator, denominator, exclusions)
    measures: dict[tuple[str, str, str], tuple[int, int, dict[str, int]]]
    data_end: date | None

    def total(self, measure: str, org: str = "ALL") -> tuple[int, int, dict[str, int]]:
        """Over all months."""
        numerator = denominator = 0
        excluded: Counter[str] = Counter()
        for (name, where, _), (n, d, exclusions) in self.measures.items():
            if (name, where) == (measure, org):
                numerator, denominator = numerator + n, denominator + d
                excluded.update(exclusions)
        return numerator, denominator, dict(excluded)


def rate(measure: str, numerator: int, denominator: int) -> Decimal | None:
    if not denominator:
        return None
    exact = Fraction(numerator * (1000 if "per_1000" in measure else 1), denominator)
    scaled = exact * 10**5
    return Decimal(int(scaled + Fraction(1, 2))).scaleb(-5).quantize(Decimal("0.00001"), ROUND_HALF_UP)


def compute(
    versions: Versions,
    *,
    stay_classes: tuple[str, ...] = ("IMP", "ACUTE", "NONAC"),
    data_end: date | None = None,
    zone: str | None = None,
) -> Result:
    patients, encounters = versions.of("Patient"), versions.of("Encounter")
    known: dict[str, str] = {}
    for id_ in sorted(patients, reverse=True):
        for one in patients[id_].get("identifier") or []:
            if one.get("value"):
                known[f"identifier:{one.get('system') or ''}|{one['value']}"] = id_

    def patient_of(resource: dict[str, Any]) -> str | None:
        found = _reference(resource.get("subject"), "Patient")
        return known.get(found, found) if found else None

    reasons: dict[str, str | None] = {}
    candidates: list[Stay] = []
    for id_, one in encounters.items():
        reason, stay = _first_rules(id_, one, encounters, patient_of(one), stay_classes, zone)
        reasons[id_] = reason
        if stay:
            candidates.append(stay)

    by_patient: defaultdict[str, list[Stay]] = defaultdict(list)
    for stay in candidates:
        by_patient[stay.patient].append(stay)
    stays: dict[str, Stay] = {}
    episodes: list[list[Stay]] = []
    for patient, theirs in by_patient.items():
        _find_death(theirs, patients.get(patient), zone)
        kept: list[Stay] = []
        for stay in sorted(theirs, key=lambda s: (s.admit, -s.discharge.toordinal(), s.id)):
            if stay.death and stay.admit > stay.death:
                reasons[stay.id] = "activity_after_death"
            elif any(_inside(stay, other) for other in kept):
                reasons[stay.id] = "nested_stay"
            else:
                kept.append(stay)
        stays |= {stay.id: stay for stay in kept}
        episodes += _chain(kept)

    end = data_end or max((stay.discharge for stay in stays.values()), default=None)
    fates, events = _infections(versions.of("Condition"), stays, patient_of, zone)
    return Result(reasons, stays, episodes, fates, _measures(stays, episodes, events, end), end)


def _first_rules(
    id_: str,
    one: dict[str, Any],
    encounters: dict[str, dict[str, Any]],
    patient: str | None,
    stay_classes: tuple[str, ...],
    zone: str | None,
) -> tuple[str | None, Stay | None]:
    if one.get("status") == "entered-in-error":
        return "entered_in_error", None
    classes = _codes(one.get("class"))
    said = one.get("type")
    types: list[Any] = said if isinstance(said, list) else [said]
    if not classes:
        words = [t.get("text") for t in types if isinstance(t, dict)]
        words += [coding.get("display") for coding in _codings(types)]
        if any(isinstance(word, str) and word.strip().lower() == "inpatient" for word in words):
            classes = {"IMP"}
    if not classes & set(stay_classes):
        return "class_not_inpatient", None
    whole = _reference(one.get("partOf"), "Encounter")
    if (
        whole
        and whole != id_
        and whole in encounters
        and encounters[whole].get("status") != "entered-in-error"
    ):
        return "sub_encounter", None
    if one.get("status") not in ("finished", "completed", "discharged"):
        return "status_not_finished", None
    if patient is None:
        return "subject_missing", None
    period = one.get("period") or one.get("actualPeriod") or {}
    admit, discharge = _day(period.get("start"), zone), _day(period.get("end"), zone)
    if admit is None:
        return "period_start_invalid", None
    if discharge is None:
        return "period_end_invalid", None
    start, end = _moment(period.get("start")), _moment(period.get("end"))
    if discharge < admit or (start and end and end < start):
        return "end_before_start", None
    leaving = one.get("hospitalization") or one.get("admission") or {}
    return None, Stay(
        id_,
        patient,
        _organization(one.get("serviceProvider")),
        admit,
        discharge,
        end,
        disposition(_codings(leaving.get("dischargeDisposition"))),
        "EL" in _codes(one.get("priority")),
        bool({"394587001", "394602003", "PSYCH"} & (_codes(one.get("serviceType")) | _codes(types))),
    )


def _organization(provider: Any) -> str:
    """ALL is the name of the total."""
    found = _reference(provider, "Organization") or "unknown"
    return "Organization/ALL" if found == "ALL" else found


def _find_death(stays: list[Stay], patient: dict[str, Any] | None, zone: str | None) -> None:
    death = moment = None
    says_dead = False
    if patient:
        death = _day(patient.get("deceasedDateTime"), zone)
        moment = _moment(patient.get("deceasedDateTime")) if death else None
        says_dead = patient.get("deceasedBoolean") is True or patient.get("deceasedDateTime") is not None
    died = sorted((stay.discharge, stay.id) for stay in stays if stay.disposition == "died")
    if death is None and died:
        death = died[0][0]
    for stay in stays:
        stay.death, stay.death_moment = death, moment
        stay.vital_unknown = death is None and (says_dead or patient is None)


def _inside(stay: Stay, other: Stay) -> bool:
    if stay.org != other.org:
        return False
    if (stay.admit, stay.discharge) == (other.admit, other.discharge):
        return True
    return other.admit <= stay.admit < other.discharge and stay.discharge <= other.discharge


def _chain(stays: list[Stay]) -> list[list[Stay]]:
    episodes: list[list[Stay]] = []
    before: Stay | None = None
    for stay in sorted(stays, key=lambda s: (s.admit, s.discharge, s.id)):
        if before and episodes:
            reach = max(other.discharge for other in episodes[-1])
            if stay.admit <= reach + timedelta(days=int(stay.org != before.org)):
                episodes[-1].append(stay)
                stay.episode = episodes[-1]
                before = stay
                continue
        episodes.append([stay])
        stay.episode = episodes[-1]
        before = stay
    return episodes


def _infections(
    conditions: dict[str, dict[str, Any]], stays: dict[str, Stay], patient_of: Any, zone: str | None
) -> tuple[dict[str, str], list[tuple[str, Stay]]]:
    fates: dict[str, str] = {}
    placed: defaultdict[tuple[str, str], list[tuple[date, str, str, Stay]]] = defaultdict(list)
    for id_, one in conditions.items():
        kind = infection(_codings(one.get("code")))
        if kind is None:
            continue
        status = verification(one.get("verificationStatus"))
        period = one.get("onsetPeriod")
        onset = _day(one.get("onsetDateTime"), zone)
        if onset is None and isinstance(period, dict):
            onset = _day(period.get("start"), zone)
        patient = patient_of(one)
        if status == "entered-in-error":
            fates[id_] = "entered_in_error"
        elif status not in (None, "confirmed"):
            fates[id_] = "not_confirmed"
        elif patient is None:
            fates[id_] = "subject_missing"
        elif onset is None:
            fates[id_] = "onset_unknown"
        else:
            linked = stays.get(_reference(one.get("encounter") or one.get("context"), "Encounter") or "")
            fate, stay = _place(onset, patient, linked, stays)
            fates[id_] = fate
            if stay:
                placed[patient, kind].append((max(onset, stay.admit), id_, fate, stay))
    events = []
    for (_, kind), theirs in placed.items():
        last: date | None = None
        for day, id_, fate, stay in sorted(theirs, key=lambda item: item[:2]):
            if last and (day - last).days < 14:
                fates[id_] = "repeat_within_14_days"
                continue
            last = day
            if fate == "hospital_onset":
                events.append((kind, stay))
    return fates, events


def _place(onset: date, patient: str, linked: Stay | None, stays: dict[str, Stay]) -> tuple[str, Stay | None]:
    day = timedelta(days=1)
    theirs = sorted((s for s in stays.values() if s.patient == patient), key=lambda s: (s.admit, s.id))
    for stay in theirs:
        if stay.admit + 2 * day <= onset <= stay.discharge + day:
            return "hospital_onset", stay
    for stay in theirs:
        if stay.admit <= onset < stay.admit + 2 * day:
            return "present_on_admission", stay
    if linked and onset < linked.admit:
        return "present_on_admission", linked
    return ("after_discharge" if linked else "no_stay"), None


def _measures(
    stays: dict[str, Stay], episodes: list[list[Stay]], events: list[tuple[str, Stay]], end: date | None
) -> dict[tuple[str, str, str], tuple[int, int, dict[str, int]]]:
    numerators: Counter[tuple[str, str, str]] = Counter()
    denominators: Counter[tuple[str, str, str]] = Counter()
    exclusions: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    names = ["mortality_in_hospital", "mortality_30d", "readmission_30d", "readmission_30d_unplanned", "alos",
             "same_day_stays", "stays_with_hai", "hai_per_1000_patient_days",
             *(f"hai_{kind}_per_1000_patient_days" for kind in INFECTIONS)]  # fmt: skip
    places = {(org, stay.month) for stay in stays.values() for org in (stay.org, "ALL")}

    def count(
        measure: str, stay: Stay, numerator: int, denominator: int = 0, exclusion: str | None = None
    ) -> None:
        for org in (stay.org, "ALL"):
            key = (measure, org, stay.month)
            if exclusion:
                exclusions[key][exclusion] += 1
            else:
                numerators[key] += numerator
                denominators[key] += denominator

    with_event = {stay.id for _, stay in events}
    for stay in stays.values():
        count("mortality_in_hospital", stay, stay.died, 1)
        count("alos", stay, stay.los, 1)
        count("same_day_stays", stay, stay.los == 0, 1)
        count("stays_with_hai", stay, stay.id in with_event, 1)
        for name in names:
            if name.startswith("hai_"):
                count(name, stay, 0, stay.los)
    for kind, stay in events:
        count("hai_per_1000_patient_days", stay, 1)
        count(f"hai_{kind}_per_1000_patient_days", stay, 1)

    month = timedelta(days=30)
    by_patient: defaultdict[str, list[list[Stay]]] = defaultdict(list)
    for episode in episodes:
        by_patient[episode[0].patient].append(episode)
    for theirs in by_patient.values():
        for episode, following in zip(theirs, [*theirs[1:], None], strict=True):
            assert end
            first = episode[0]
            excluded = None
            if first.disposition in ("ama", "hospice"):
                excluded = first.disposition
            elif first.vital_unknown:
                excluded = "vital_status_unknown"
            elif first.admit + month > end:
                excluded = "insufficient_follow_up"
            dead = first.death is not None and 0 <= (first.death - first.admit).days <= 30
            count("mortality_30d", first, dead, 1, excluded)

            index = max(episode, key=lambda s: (s.discharge, s.admit, s.id))
            excluded = None
            if any(stay.died for stay in episode):
                excluded = "died"
            elif index.disposition == "acute_transfer" and index is episode[-1]:
                excluded = "acute_transfer"
            elif index.disposition == "ama":
                excluded = "ama"
            elif index.psychiatric:
                excluded = "psychiatric_or_rehab"
            elif index.discharge + month > end:
                excluded = "insufficient_follow_up"
            back = following is not None and 1 <= (following[0].admit - index.discharge).days <= 30
            count("readmission_30d", index, back, 1, excluded)
            unplanned = back and following is not None and not following[0].planned
            count("readmission_30d_unplanned", index, unplanned, 1, excluded)
    return {
        (name, org, when): (
            numerators[name, org, when],
            denominators[name, org, when],
            dict(exclusions[name, org, when]),
        )
        for name in names
        for org, when in places
    }
