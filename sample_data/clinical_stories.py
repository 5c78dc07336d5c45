"""Stories of persons in hospital as FHIR R4 resources, each with what it adds to the measures.

A story is made to have a known result: the author of a readmission on day 30 knows that it is one. No rule of the
measures is computed here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sample_data.places import PLACES
from sample_data.randomness import Stream, pick

Resource = dict[str, Any]

INFECTIONS = {
    "sepsis": [("http://snomed.info/sct", "91302008"), ("http://hl7.org/fhir/sid/icd-10-cm", "A41.9")],
    "pneumonia": [("http://snomed.info/sct", "425464007"), ("http://hl7.org/fhir/sid/icd-10-cm", "J18.9")],
    "uti": [("http://snomed.info/sct", "68566005"), ("http://hl7.org/fhir/sid/icd-10-cm", "T83.511A")],
    "cdiff": [("http://snomed.info/sct", "186431008"), ("http://hl7.org/fhir/sid/icd-10-cm", "A04.72")],
    "ssi": [("http://hl7.org/fhir/sid/icd-10-cm", "T81.41XA")],
}
MEASURES = (
    "mortality_in_hospital", "mortality_30d", "readmission_30d", "readmission_30d_unplanned", "alos", "same_day_stays",
    "stays_with_hai", "hai_per_1000_patient_days", *(f"hai_{kind}_per_1000_patient_days" for kind in INFECTIONS),
)  # fmt: skip
ORGANIZATIONS = ("north", "north", "north", "south", "south", "riverside")

#: All parts of names and addresses: none may be seen outside the uploads.
GIVEN = (
    "Aurelia",
    "Bartholomew",
    "Clementine",
    "Demetrius",
    "Esperanza",
    "Fitzgerald",
    "Guinevere",
    "Hyacinth",
)
FAMILY = ("Abernathy", "Blumenthal", "Castellanos", "Drinkwater", "Etcheverry", "Featherstone", "Groenewald")
STREETS = ("Thistledown Lane", "Quartermaine Street", "Ravenscroft Avenue", "Silverbirch Crescent")

_HL7 = "http://terminology.hl7.org/CodeSystem/discharge-disposition"
_NUBC = "https://www.nubc.org/CodeSystem/PatDischargeStatus"
_SCT = "http://snomed.info/sct"
_LEFT = {
    "died": [(_HL7, "exp"), (_NUBC, "20"), (_SCT, "371828006"), ("urn:example:codes", "EXPIRED")],
    "home": [(_HL7, "home"), (_NUBC, "1"), (_NUBC, "01"), ("urn:example:codes", "HOME")],
    "acute_transfer": [(_HL7, "other-hcf"), (_NUBC, "02")],
    "hospice": [(_HL7, "hosp"), (_NUBC, "50"), (_SCT, "428361000124107")],
    "ama": [(_HL7, "aadvice"), (_NUBC, "7"), (_SCT, "445060000")],
}
_CLASS = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


@dataclass(frozen=True, slots=True)
class Stay:
    """What a story says of one stay."""

    id: str
    org: str
    admit: date
    discharge: date

    @property
    def month(self) -> str:
        return f"{self.discharge:%Y-%m}"


#: (measure, organization, month), and what is added: numerator, denominator, reason if it is excluded instead.
Credit = tuple[tuple[str, str, str], int, int, str | None]


@dataclass(slots=True)
class Person:
    """A person's resources by export (0, 1, 2), and what they add to the measures.

    ``superseded`` is how many of the versions are not the current ones.
    """

    id: str
    random: Stream
    begin: date
    versions: list[tuple[int, Resource]] = field(default_factory=list)
    credits: list[Credit] = field(default_factory=list)
    superseded: int = 0
    _numbers: int = 0

    def patient(self, **elements: Any) -> None:
        place = pick(self.random, PLACES)
        given, family = pick(self.random, GIVEN), pick(self.random, FAMILY)
        self.add(
            {
                "resourceType": "Patient",
                "id": self.id,
                "meta": _meta(1),
                "identifier": [{"system": "urn:example:mrn", "value": f"MRN{self.id}"}],
                "name": [
                    {"use": "official", "family": family, "given": [given], "text": f"{given} {family}"}
                ],
                "address": [
                    {
                        "line": [f"{int(self.random() * 900) + 1} {pick(self.random, STREETS)}"],
                        "city": place.city,
                        "state": place.state,
                        "postalCode": place.zip,
                    }
                ],
                "gender": pick(self.random, ("female", "male", "other", "unknown")),
                "birthDate": f"{1930 + int(self.random() * 70)}-0{1 + int(self.random() * 9)}-15",
                **elements,
            }
        )

    def stay(
        self,
        after: int,
        days: int,
        *,
        org: str | None = None,
        left: str | None = "home",
        died: bool = False,
        infections: tuple[str, ...] = (),
        **elements: Any,
    ) -> Stay:
        """Add a stay that begins ``after`` days from the story's begin, and what each stay adds to the measures."""
        one = Stay(
            self._id("e"),
            org or pick(self.random, ORGANIZATIONS),
            self.begin + timedelta(after),
            self.begin + timedelta(after + days),
        )
        self.encounter(one, left=left, **elements)
        self.credit("mortality_in_hospital", one, died, 1)
        self.credit("alos", one, days, 1)
        self.credit("same_day_stays", one, days == 0, 1)
        self.credit("stays_with_hai", one, bool(infections), 1)
        self.credit("hai_per_1000_patient_days", one, len(infections), days)
        for kind in INFECTIONS:
            self.credit(f"hai_{kind}_per_1000_patient_days", one, infections.count(kind), days)
        return one

    def episode(
        self,
        first: Stay,
        index: Stay | None = None,
        *,
        dead: bool = False,
        unknown: str | None = None,
        back: bool = False,
        planned: bool = False,
        excluded: str | None = None,
    ) -> None:
        """Add what a chain of stays adds: ``unknown`` excludes it from mortality, ``excluded`` from readmission."""
        index = index or first
        self.credit("mortality_30d", first, dead, 1, unknown)
        self.credit("readmission_30d", index, back, 1, excluded)
        self.credit("readmission_30d_unplanned", index, back and not planned, 1, excluded)

    def credit(
        self, measure: str, stay: Stay, numerator: int, denominator: int, excluded: str | None = None
    ) -> None:
        key = (measure, stay.org, stay.month)
        self.credits.append((key, 0, 0, excluded) if excluded else (key, int(numerator), denominator, None))

    def encounter(
        self, stay: Stay, *, left: str | None = None, export: int = 0, version: int = 1, **elements: Any
    ) -> Resource:
        """Add an Encounter with the times of a stay."""
        opening, closing = pick(
            self.random,
            (("", ""), ("T08:15:00-05:00", "T17:40:00-05:00"), ("T00:05:00Z", "T23:55:00Z"), ("T07:00:00.125+10:00",) * 2),
        )  # fmt: skip
        one: Resource = {
            "resourceType": "Encounter",
            "id": stay.id,
            "meta": _meta(version),
            "status": "finished",
            "class": {"system": _CLASS, "code": pick(self.random, ("IMP", "IMP", "ACUTE", "NONAC"))},
            "subject": {"reference": f"Patient/{self.id}"},
            "period": {"start": f"{stay.admit}{opening}", "end": f"{stay.discharge}{closing}"},
            "serviceProvider": {"reference": f"Organization/{stay.org}"},
        }
        if left:
            coding = dict(zip(("system", "code"), pick(self.random, _LEFT[left]), strict=True))
            one["hospitalization"] = {"dischargeDisposition": {"coding": [coding]}}
        one = {name: value for name, value in (one | elements).items() if value is not None}
        self.add(one, export)
        return one

    def infection(self, kind: str, stay: Stay, onset: date, *, status: str = "confirmed") -> None:
        system, code = pick(self.random, INFECTIONS[kind])
        self.add(
            {
                "resourceType": "Condition",
                "id": self._id("c"),
                "meta": _meta(1),
                "clinicalStatus": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                            "code": "active",
                        }
                    ]
                }
                if status != "entered-in-error"
                else None,
                "verificationStatus": {"coding": [{"system": _VERIFICATION, "code": status}]},
                "code": {"coding": [{"system": system, "code": code}]},
                "subject": {"reference": f"Patient/{self.id}"},
                "encounter": {"reference": f"Encounter/{stay.id}"},
                "onsetDateTime": f"{onset}",
            }
        )

    def add(self, resource: Resource, export: int = 0) -> None:
        self.versions.append((export, {name: value for name, value in resource.items() if value is not None}))

    def other(self, after: int, days: int, **elements: Any) -> Stay:
        """Add an encounter that is no stay."""
        one = Stay(
            self._id("e"), "north", self.begin + timedelta(after), self.begin + timedelta(after + days)
        )
        self.encounter(one, **elements)
        return one

    def _id(self, letter: str) -> str:
        self._numbers += 1
        return f"{self.id}.{letter}{self._numbers}"


def _meta(version: int) -> dict[str, str]:
    return {"versionId": f"{version}", "lastUpdated": f"2026-10-{version:02d}T06:00:00.000+02:00"}


def _days(person: Person) -> int:
    return 1 + int(person.random() * 9)


# --- the stories -----------------------------------------------------------------------------------


def home(p: Person) -> None:
    p.patient()
    p.episode(p.stay(0, _days(p), left=pick(p.random, ("home", None))))


def same_day(p: Person) -> None:
    p.patient()
    p.episode(p.stay(0, 0))


def outpatient(p: Person) -> None:
    p.patient()
    for number in range(3):
        p.other(number * 9, 0, **{"class": {"system": _CLASS, "code": pick(p.random, ("AMB", "EMER", "VR"))}})


def readmitted(p: Person) -> None:
    p.patient()
    days, gap = _days(p), pick(p.random, (2, 7, 29, 30))
    p.episode(p.stay(0, days), back=True)
    p.episode(p.stay(days + gap, _days(p)))


def next_day(p: Person) -> None:
    """Back on the day after, at the same hospital: no transfer."""
    p.patient()
    p.episode(p.stay(0, 3, org="south"), back=True)
    p.episode(p.stay(4, 2, org="south"))


def back_too_late(p: Person) -> None:
    p.patient()
    p.episode(p.stay(0, 4))
    p.episode(p.stay(4 + pick(p.random, (31, 45)), 2))


def planned_return(p: Person) -> None:
    p.patient()
    p.episode(p.stay(0, 4), back=True, planned=True)
    priority = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActPriority", "code": "EL"}]}
    p.episode(p.stay(14, 2, priority=priority))


def transferred(p: Person) -> None:
    p.patient()
    gap = pick(p.random, (0, 1))
    first = p.stay(0, 4, org="riverside", left="acute_transfer")
    p.episode(first, p.stay(4 + gap, _days(p), org="north"))


def three_hospitals(p: Person) -> None:
    p.patient()
    first = p.stay(0, 2, org="riverside", left="acute_transfer")
    p.stay(3, 2, org="south", left="acute_transfer")
    p.episode(first, p.stay(5, 3, org="north"))


def same_day_return(p: Person) -> None:
    p.patient()
    first = p.stay(0, 3, org="south")
    p.episode(first, p.stay(3, 1, org="south"))


def left_to_acute_care(p: Person) -> None:
    p.patient()
    p.episode(p.stay(0, 3, left="acute_transfer"), excluded="acute_transfer")


def died(p: Person) -> None:
    days = pick(p.random, (0, 5, 30, 31))
    last = p.begin + timedelta(days)
    p.patient(deceasedDateTime=pick(p.random, (None, f"{last}")))
    p.episode(p.stay(0, days, left="died", died=True), dead=days <= 30, excluded="died")


def died_at_home(p: Person) -> None:
    days = pick(p.random, (12, 30, 31))
    p.patient(deceasedDateTime=f"{p.begin + timedelta(days)}")
    p.episode(p.stay(0, 4), dead=days <= 30)


def died_some_day(p: Person) -> None:
    said: tuple[Resource, ...] = ({"deceasedBoolean": True}, {"deceasedDateTime": f"{p.begin:%Y}"})
    p.patient(**pick(p.random, said))
    p.episode(p.stay(0, 4), unknown="vital_status_unknown")


def unknown_person(p: Person) -> None:
    p.episode(p.stay(0, 4), unknown="vital_status_unknown")


def against_advice(p: Person) -> None:
    p.patient()
    p.episode(p.stay(0, 1, left="ama"), unknown="ama", excluded="ama")


def hospice(p: Person) -> None:
    p.patient(deceasedDateTime=f"{p.begin + timedelta(20)}")
    p.episode(p.stay(0, 5, left="hospice"), unknown="hospice")


def psychiatric(p: Person) -> None:
    p.patient()
    service = {"coding": [{"system": _SCT, "code": pick(p.random, ("394587001", "394602003"))}]}
    p.episode(p.stay(0, 20, serviceType=service), excluded="psychiatric_or_rehab")


def infected(p: Person) -> None:
    p.patient()
    kind = pick(p.random, tuple(INFECTIONS))
    stay = p.stay(0, 8, infections=(kind,))
    p.infection(kind, stay, stay.admit + timedelta(pick(p.random, (2, 5, 8, 9))))
    p.episode(stay)


def infected_again(p: Person) -> None:
    p.patient()
    stay = p.stay(0, 30, infections=("uti", "uti", "sepsis"))
    for day in (4, 17, 18):
        p.infection("uti", stay, stay.admit + timedelta(day))
    p.infection("sepsis", stay, stay.admit + timedelta(20))
    p.episode(stay)


def infected_before(p: Person) -> None:
    p.patient()
    stay = p.stay(0, 8)
    p.infection("uti", stay, stay.admit + timedelta(pick(p.random, (-9, 0, 1))))
    p.infection("cdiff", stay, stay.discharge + timedelta(2))
    p.infection(
        "sepsis", stay, stay.admit + timedelta(4), status=pick(p.random, ("refuted", "entered-in-error"))
    )
    p.episode(stay)


def intensive_care(p: Person) -> None:
    p.patient()
    stay = p.stay(0, 9)
    p.other(2, 3, partOf={"reference": f"Encounter/{stay.id}"})
    p.episode(stay)


def observed_first(p: Person) -> None:
    p.patient()
    p.other(0, 0)
    p.episode(p.stay(0, 6, org="north"))


def unfinished(p: Person) -> None:
    p.patient()
    p.other(0, 9, status=pick(p.random, ("in-progress", "planned", "cancelled", "onleave")))


def still_open_at_first(p: Person) -> None:
    """The first export tells of a stay that is going on, the second that it ended."""
    p.patient()
    stay = p.stay(0, 6, export=1, version=2)
    p.encounter(stay, status="in-progress", period={"start": f"{stay.admit}"})
    p.superseded += 1
    p.episode(stay)


def corrected(p: Person) -> None:
    """The second export corrects the discharge; versions have no number and no time, so that the upload decides."""
    p.patient()
    stay = p.stay(0, 6, export=1, meta=None)
    wrong = Stay(stay.id, stay.org, stay.admit, stay.discharge + timedelta(40))
    p.encounter(wrong, left="died", meta=None)
    p.superseded += 1
    p.episode(stay)


def entered_in_error(p: Person) -> None:
    """The second export withdraws a stay; the third brings its first version once more, too late."""
    p.patient()
    wrong = p.other(0, 5, export=1, version=2, status="entered-in-error")
    for export in (0, 2):
        p.encounter(wrong, left="died", export=export)
    p.superseded += 2
    p.episode(p.stay(60, 2))


def older_version_late(p: Person) -> None:
    p.patient()
    stay = p.stay(0, 6, export=1, version=10)
    p.encounter(Stay(stay.id, "south", stay.admit, stay.discharge), left="ama", export=2, version=9)
    p.superseded += 1
    p.episode(stay)


STORIES: tuple[Callable[[Person], None], ...] = (
    home, same_day, outpatient, readmitted, next_day, back_too_late, planned_return, transferred, three_hospitals,
    same_day_return, left_to_acute_care, died, died_at_home, died_some_day, unknown_person, against_advice, hospice,
    psychiatric, infected, infected_again, infected_before, intensive_care, observed_first, unfinished,
    still_open_at_first, corrected, entered_in_error, older_version_late,
)  # fmt: skip
#: Stories that are told more often.
COMMON = (home, home, home, outpatient, outpatient, outpatient, readmitted, infected, died)
#: No story is longer.
LONGEST = 90


def recent(p: Person) -> None:
    """So close to the end of the data that nobody knows what came of it."""
    p.patient()
    p.episode(p.stay(0, 0), unknown="insufficient_follow_up", excluded="insufficient_follow_up")
