"""Each statement of the clinical pipeline on the local Athena, against a model that shares no code with it."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medlaunch import lake
from medlaunch.athena import statements
from sample_data.clinical import write_uploads
from tests import clinical_model as model
from tests.clinical_uploads import (
    FOLDER,
    HL7,
    ROOT,
    SCT,
    condition,
    encounter,
    named,
    patient,
    population,
    pseudonym,
)
from tests.sql.clinical_lake import DAG, KINDS, SLICES, STAY_CLASSES, ClinicalLake

SHARED = ROOT.parent / "shared/data/fhir/synthea-10"


@pytest.fixture(scope="module")
def clinical(aws: Any, s3: Any) -> ClinicalLake:
    return ClinicalLake(aws("athena"), s3)


def ndjson(values: list[Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def uploads_of(values: list[Any], hour: int = 0) -> list[model.Upload]:
    """One upload per type, all of the same second."""
    when = f"2026-01-01T{hour:02d}:00:00Z"
    return [
        model.Upload(when, f"landing/fhir/{folder}/{hour:02d}.ndjson", those)
        for kind, folder in FOLDER.items()
        if (those := [one for one in values if one["resourceType"] == kind])
    ]


# --- comparing -------------------------------------------------------------------------------------


def merge(lake_: ClinicalLake, uploads: list[model.Upload]) -> str:
    return lake_.merge([(one.uploaded_at, one.key, ndjson(one.values)) for one in uploads])


def compare(
    lake_: ClinicalLake,
    versions: model.Versions,
    *,
    stay_classes: list[str] | None = None,
    data_end: str = "",
    zone: str = "",
) -> tuple[model.Result, str]:
    """Silver as it is must give what the model makes of these versions: stays, fates and measures, to the last digit."""
    run = lake_.compute(stay_classes=stay_classes, data_end=data_end, zone=zone)
    expected = model.compute(
        versions,
        stay_classes=tuple(stay_classes or STAY_CLASSES),
        data_end=date.fromisoformat(data_end) if data_end else None,
        zone=zone or None,
    )
    stays = {
        one["encounter_id"]: one
        for one in lake_.query(f"SELECT * FROM staging_gold_stays WHERE run = '{run}'")
    }
    assert {id_: one["not_stay_reason"] or None for id_, one in stays.items()} == {
        pseudonym("Encounter", id_): reason for id_, reason in expected.reasons.items()
    }
    assert {
        id_: (
            one["episode_id"],
            one["died"],
            one["los"],
            one["death_date"],
            one["vital_unknown"],
            one["month"],
        )
        for id_, one in stays.items()
        if not one["not_stay_reason"]
    } == {
        pseudonym("Encounter", id_): (
            f"{pseudonym('Patient', one.patient)}|{pseudonym('Encounter', one.episode[0].id)}",
            str(one.died).lower(),
            str(one.los),
            str(one.death or ""),
            str(one.vital_unknown).lower(),
            one.month,
        )
        for id_, one in expected.stays.items()
    }
    fates = lake_.query(f"SELECT condition_id, fate FROM staging_gold_infection_events WHERE run = '{run}'")
    assert {one["condition_id"]: one["fate"] for one in fates} == {
        pseudonym("Condition", id_): fate for id_, fate in expected.fates.items()
    }
    assert len(fates) == len(expected.fates)
    rows = lake_.query(
        "SELECT measure, org_id, month, numerator, denominator, rate, data_end,"
        " array_join(array_sort(transform(map_entries(exclusions), e -> e[1] || '=' || CAST(e[2] AS varchar))), ',') AS exclusions"
        f" FROM staging_gold_clinical_measures WHERE run = '{run}'"
    )
    assert {
        (one["measure"], one["org_id"], one["month"]): (
            one["numerator"],
            one["denominator"],
            one["rate"],
            one["exclusions"],
            one["data_end"],
        )
        for one in rows
    } == {
        key: (
            str(numerator),
            str(denominator),
            "" if (rate := model.rate(key[0], numerator, denominator)) is None else f"{rate:.5f}",
            ",".join(sorted(f"{reason}={count}" for reason, count in exclusions.items())),
            str(expected.data_end),
        )
        for key, (numerator, denominator, exclusions) in expected.measures.items()
    }
    assert len(rows) == len(expected.measures)
    return expected, run


def check(lake_: ClinicalLake, values: list[Any], **params: Any) -> model.Result:
    """Silver of nothing but these resources; what the model says, after comparing."""
    lake_.empty_silver()
    uploads = uploads_of(values)
    merge(lake_, uploads)
    return compare(lake_, model.read_uploads(uploads), **params)[0]


FEW = settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))


@FEW
@given(st.randoms(use_true_random=False), st.integers(1, 8))
def test_measures_of_a_few_people_equal_the_model(
    clinical: ClinicalLake, rng: random.Random, people: int
) -> None:
    check(clinical, population(rng, people))


@pytest.mark.parametrize(
    ("seed", "params"),
    [
        (1, {}),
        (2, {"data_end": "2024-03-20", "zone": "America/New_York"}),
        (3, {"data_end": "2024-06-30", "stay_classes": ["IMP", "EMER"]}),
    ],
)
def test_measures_of_many_people_equal_the_model(
    clinical: ClinicalLake, seed: int, params: dict[str, Any]
) -> None:
    expected = check(clinical, population(random.Random(seed), 400), **params)
    # The population meets every rule.
    assert set(expected.reasons.values()) == {
        None, "entered_in_error", "class_not_inpatient", "sub_encounter", "status_not_finished", "subject_missing",
        "period_start_invalid", "period_end_invalid", "end_before_start", "activity_after_death", "nested_stay",
    }  # fmt: skip
    assert set(expected.fates.values()) == {
        "entered_in_error", "not_confirmed", "onset_unknown", "hospital_onset", "present_on_admission",
        "after_discharge", "no_stay", "repeat_within_14_days",
    }  # fmt: skip
    assert max(len(episode) for episode in expected.episodes) > 2
    late = {"insufficient_follow_up"}
    assert set(expected.total("mortality_30d")[2]) - late == {"ama", "hospice", "vital_status_unknown"}
    reasons = set(expected.total("readmission_30d")[2])
    assert reasons - late == {"died", "acute_transfer", "ama", "psychiatric_or_rehab"}
    assert late <= reasons or "data_end" not in params


# --- real data and worked examples -----------------------------------------------------------------


@pytest.mark.skipif(
    not SHARED.exists(), reason="the Synthea export is not beside the checkout (../shared/data)"
)
def test_a_synthea_bulk_export(clinical: ClinicalLake) -> None:
    """Section 8, example 4."""
    clinical.empty_silver()
    files = [
        (f"{SHARED}/{kind}.000.ndjson", f"landing/fhir/{folder}/{kind}.000.ndjson")
        for kind, folder in FOLDER.items()
    ]
    contents = [("2026-01-01T00:00:00Z", key, Path(path).read_bytes()) for path, key in files]
    before = clinical.counts["lines"]
    clinical.merge(contents)
    assert clinical.counts["lines"] - before == 1783
    versions = model.read_uploads(
        [model.Upload(when, key, model.split(content)) for when, key, content in contents]
    )
    assert (versions.read, versions.accepted, dict(versions.rejected)) == (1783, 1783, {})
    result, run = compare(clinical, versions)
    assert result.total("alos")[:2] == (274, 49)
    assert result.total("readmission_30d") == (12, 48, {"insufficient_follow_up": 1})
    assert {stay.disposition for stay in result.stays.values()} == {"unknown"}
    # The clocks change inside: 2018-10-18T02:16:29-04:00 to 2018-11-06T01:31:29-05:00.
    assert [stay.los for id_, stay in result.stays.items() if id_.startswith("cab1c886")] == [19]
    warnings = {
        one["warning"]: one["count_found"]
        for one in clinical.run("check/warnings.sql", run=run, slices=SLICES)
    }
    assert warnings == {"disposition_unknown": "49"}


def cases() -> dict[str, tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Resources and what they must give: reasons by encounter, fates by condition, totals by measure."""
    late = {"deceasedDateTime": "2025-01-01"}
    p, e, c = patient("p"), encounter, condition

    def back(days: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Discharged on 03-01, back ``days`` later."""
        second = (date(2024, 3, 1) + timedelta(days=days)).isoformat()
        stays = [e("1", "p", "2024-02-20", "2024-03-01"), e("2", "p", second, second)]
        return [p, *stays], {"readmission_30d": (int(1 <= days <= 30), 2 if days else 1)}

    def infected(onset: str, fate: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        return [p, e("1", "p", "2024-03-01", "2024-03-05"), c("i", "p", onset, stay="1")], {"i": fate}

    def reason(one: dict[str, Any], why: str | None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        return [p, one], {one["id"]: why}

    def dead(
        deceased: Any, left: str | None, end: str, died: int, **more: Any
    ) -> tuple[list[Any], dict[str, Any]]:
        key = "deceasedBoolean" if isinstance(deceased, bool) else "deceasedDateTime"
        who = patient("p", **({} if deceased is None else {key: deceased}))
        return [who, e("1", "p", "2024-03-01T10:00:00Z", end, left=left)], {
            "mortality_in_hospital": (died, 1)
        } | more

    def left_with(system: str | None, code: str, category: str) -> tuple[list[Any], dict[str, Any]]:
        coding = {"code": code} | ({"system": system} if system else {})
        unmapped = {"system": "urn:local", "code": "Z"}
        discharge: dict[str, Any] = {
            "hospitalization": {"dischargeDisposition": {"coding": [unmapped, coding]}}
        }
        return [p, e("1", "p", "2024-03-01", "2024-03-02", **discharge)], {"disposition 1": category}

    def coded(codings: list[dict[str, str]], fate: str | None) -> tuple[list[Any], dict[str, Any]]:
        one = c("i", "p", "2024-03-03", stay="1", code_={"coding": codings})
        one["code"] = one.pop("code_")
        return [p, e("1", "p", "2024-03-01", "2024-03-05"), one], {"i": fate}

    icd = "http://hl7.org/fhir/sid/icd-10-cm"
    nubc = "https://www.nubc.org/CodeSystem/PatDischargeStatus"
    inpatient = e("1", "p", "2024-03-01", "2024-03-02", type=[{"text": "Inpatient"}])
    del inpatient["class"]
    r5 = e("1", "p", None, None, status="completed")
    r5["class"] = [{"coding": [{"code": "IMP"}]}]
    r5["actualPeriod"] = {"start": "2024-03-01", "end": "2024-03-04"}
    r5["admission"] = {"dischargeDisposition": {"coding": [{"system": HL7, "code": "exp"}]}}
    del r5["period"]
    part = e("2", "p", "2024-03-02", "2024-03-03", partOf={"reference": "Encounter/1"})

    return {
        # Section 8.
        "example_2": (
            [
                patient("p", deceasedDateTime="2180-09-09"),
                e("1", "p", "2180-05-06", "2180-05-07", left="home"),
                e("2", "p", "2180-06-26", "2180-06-27", left="home"),
                e("3", "p", "2180-07-23", "2180-07-25", left="home"),
                e("4", "p", "2180-08-05", "2180-08-07", left="hosp"),
            ],
            {"alos": (6, 4), "readmission_30d": (2, 4), "mortality_30d": (0, 3, {"hospice": 1})},
        ),
        "example_3": (
            [
                p,
                e("1", "p", "2193-08-05", "2193-08-05"),
                e("2", "p", "2193-08-05", "2193-08-11", serviceType={"coding": [{"code": "psych"}]}),
                e("3", "p", "2197-04-07", "2197-04-08"),
                e("4", "p", "2197-04-08", "2197-04-15", serviceType={"coding": [{"code": "394587001"}]}),
            ],
            {"1": "nested_stay", "readmission_30d": (0, 0, {"psychiatric_or_rehab": 2}), "mortality_30d": (0, 2)},
        ),
        "example_5": (
            [
                p,
                e("1", "p", "2024-03-01", "2024-03-12", left="other-hcf"),
                e("2", "p", "2024-03-12", "2024-03-20", org="B"),
                c("a", "p", "2024-03-02", "68566005"),
                c("b", "p", "2024-03-15", "68566005"),
                c("c", "p", "2024-03-16", "68566005"),
                c("d", "p", "2024-03-03", "233604007"),
                c("e", "p", "2024-03-13", "186431008", stay="2"),
            ],
            {
                "a": "present_on_admission",
                "b": "repeat_within_14_days",
                "c": "hospital_onset in 2",
                "d": "hospital_onset in 1",
                "e": "hospital_onset in 1",
                "mortality_30d": (0, 1),
            },
        ),
        # Section 9, in its order.
        "r5": ([p, r5], {"1": None, "alos": (3, 1), "mortality_in_hospital": (1, 1)}),
        "type_inpatient": reason(inpatient, None),
        "no_end": reason(e("1", "p", "2024-03-01", None), "period_end_invalid"),
        "year": reason(e("1", "p", "2024", "2024-03-01"), "period_start_invalid"),
        "no_day": reason(e("1", "p", "2024-02-30", "2024-03-01"), "period_start_invalid"),
        "no_time": reason(e("1", "p", "2024-02-01", "2024-03-01T24:00:00Z"), "period_end_invalid"),
        "backwards": reason(e("1", "p", "2024-03-01T10:00:00Z", "2024-03-01T09:00:00Z"), "end_before_start"),
        "leap_day": ([p, e("1", "p", "2024-02-28", "2024-03-01")], {"alos": (2, 1)}),
        "clocks": (
            [p, e("1", "p", "2024-03-01T23:30:00-05:00", "2024-11-05T00:30:00-05:00")],
            {"alos": (249, 1)},
        ),
        "midnight": ([p, e("1", "p", "2024-03-01T10:00:00Z", "2024-03-04T00:00:00Z")], {"alos": (3, 1)}),
        "orphan": ([e("1", "q", "2024-03-01", "2024-03-04")], {"mortality_30d": (0, 0, {"vital_status_unknown": 1})}),
        "absolute": ([p, e("1", "https://h/fhir/Patient/p", "2024-03-01", "2024-03-04")], {"mortality_30d": (0, 1)}),
        "versioned": ([p, e("1", "Patient/p/_history/3", "2024-03-01", "2024-03-04")], {"mortality_30d": (0, 1)}),
        "urn": ([p, e("1", "urn:uuid:{}-p", "2024-03-01", "2024-03-04")], {"mortality_30d": (0, 1)}),
        "conditional": (
            [
                patient("p", identifier=[{"system": "urn:mrn", "value": "{}"}]),
                e("1", "Patient?identifier=urn%3Amrn%7C{}", "2024-03-01", "2024-03-04"),
                e("2", "Patient?identifier=urn%3Amrn|{}", "2024-03-04", "2024-03-06"),
            ],
            {"mortality_30d": (0, 1), "alos": (5, 2)},
        ),
        "group": reason(e("1", "Group/9", "2024-03-01", "2024-03-04"), "subject_missing"),
        "nubc_1": left_with(nubc, "1", "home"),
        "nubc_20": left_with(nubc, "20", "died"),
        "snomed": left_with(SCT, "445060000", "ama"),
        "mimic": left_with("http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-discharge-disposition", "DIED", "died"),
        "nowhere": left_with("http://terminology.hl7.org/CodeSystem/v2-0112", "20", "unknown"),
        "part": ([p, e("1", "p", "2024-03-01", "2024-03-04"), part], {"1": None, "2": "sub_encounter"}),
        "part_of_void": (
            [p, e("1", "p", "2024-03-01", "2024-03-04", status="entered-in-error"), part],
            {"1": "entered_in_error", "2": None},
        ),
        "part_of_nothing": reason(part, None),
        "nested": (
            [
                p,
                e("1", "p", "2024-03-01", "2024-03-09"),
                e("2", "p", "2024-03-02", "2024-03-09"),
                e("3", "p", "2024-03-02", "2024-03-10"),
                e("4", "p", "2024-03-02", "2024-03-03", org="B"),
                e("5", "p", "2024-03-10", "2024-03-10"),
                e("6", "p", "2024-03-10", "2024-03-10"),
            ],
            {"1": None, "2": "nested_stay", "3": None, "4": None, "5": None, "6": "nested_stay"},
        ),
        "transfer": (
            [
                p,
                e("1", "p", "2024-03-01", "2024-03-03"),
                e("2", "p", "2024-03-03", "2024-03-05", org="B"),
                e("3", "p", "2024-03-06", "2024-03-07", org="C"),
                e("4", "p", "2024-03-07", "2024-03-08", org="C"),
                e("5", "p", "2024-03-09", "2024-03-09", org="C"),
            ],
            {"mortality_30d": (0, 2), "readmission_30d": (1, 2)},
        ),
        **{f"back_{days}": back(days) for days in (0, 1, 30, 31)},
        "three": (
            [p, *(e(str(n), "p", f"2024-03-{n:02d}", f"2024-03-{n:02d}") for n in (1, 5, 25))],
            {"readmission_30d": (2, 3)},
        ),
        "planned_first": (
            [
                p,
                e("1", "p", "2024-03-01", "2024-03-01"),
                e("2", "p", "2024-03-05", "2024-03-05", priority={"coding": [{"code": "EL"}]}),
                e("3", "p", "2024-03-25", "2024-03-25"),
            ],
            {"readmission_30d": (2, 3), "readmission_30d_unplanned": (1, 3)},
        ),
        "boolean": dead(True, None, "2024-03-04", 0, mortality_30d=(0, 0, {"vital_status_unknown": 1})),
        "imprecise": dead("2024-11", None, "2024-03-04", 0, mortality_30d=(0, 0, {"vital_status_unknown": 1})),
        "day_of_discharge_home": dead("2024-03-04", "home", "2024-03-04", 0, mortality_30d=(1, 1)),
        "day_of_discharge": dead("2024-03-04", None, "2024-03-04", 1),
        "later_that_day": dead("2024-03-04T18:00:00Z", None, "2024-03-04T12:00:00Z", 0),
        "earlier_that_day": dead("2024-03-04T11:00:00Z", None, "2024-03-04T12:00:00Z", 1),
        "within": dead("2024-03-03", "home", "2024-03-04", 1),
        "day_30": dead("2024-03-31", "home", "2024-03-04", 0, mortality_30d=(1, 1)),
        "day_31": dead("2024-04-01", "home", "2024-03-04", 0, mortality_30d=(0, 1)),
        "exp_and_after": (
            [p, e("1", "p", "2024-03-01", "2024-03-04", left="exp"), e("2", "p", "2024-03-05", "2024-03-06")],
            {"1": None, "2": "activity_after_death", "mortality_30d": (1, 1), "readmission_30d": (0, 0, {"died": 1})},
        ),
        "after_death": ([patient("p", deceasedDateTime="2024-01-01"), e("1", "p", "2024-03-01", "2024-03-04")],
                        {"1": "activity_after_death"}),
        "died_later": ([patient("p", **late), e("1", "p", "2024-03-01", "2024-03-04")], {"mortality_30d": (0, 1)}),
        "day_2": infected("2024-03-02", "present_on_admission"),
        "day_3": infected("2024-03-03", "hospital_onset in 1"),
        "day_after": infected("2024-03-06", "hospital_onset in 1"),
        "two_days_after": infected("2024-03-07", "after_discharge"),
        "before": infected("2024-02-01", "present_on_admission"),
        "imprecise_onset": infected("2024-03", "onset_unknown"),
        "no_stay": ([p, c("i", "p", "2024-03-01")], {"i": "no_stay"}),
        "window": (
            [
                p,
                e("1", "p", "2024-03-01", "2024-04-30"),
                *(c(day, "p", f"2024-{day}") for day in ("03-05", "03-18", "03-19", "04-01", "04-02")),
            ],
            {
                "03-05": "hospital_onset in 1",
                "03-18": "repeat_within_14_days",
                "03-19": "hospital_onset in 1",
                "04-01": "repeat_within_14_days",
                "04-02": "hospital_onset in 1",
                "stays_with_hai": (1, 1),
                "hai_uti_per_1000_patient_days": (3, 60),
            },
        ),
        **{
            f"status_{status}": (
                [p, c("i", "p", "2024-03-01", verificationStatus={"coding": [{"code": status}]})],
                {"i": fate},
            )
            for status, fate in (
                ("refuted", "not_confirmed"),
                ("provisional", "not_confirmed"),
                ("entered-in-error", "entered_in_error"),
            )
        },
        "no_status": ([p, c("i", "p", "2024-03-01", verificationStatus=None)], {"i": "no_stay"}),
        "nobody": ([c("i", None, "2024-03-01")], {"i": "subject_missing"}),
        "no_system": coded([{"code": "68566005"}], "hospital_onset in 1"),
        "dotted": coded([{"system": icd, "code": "t83.511A"}], "hospital_onset in 1"),
        "undotted": coded([{"system": "urn:oid:icd10", "code": "A419"}], "hospital_onset in 1"),
        "other_system": coded([{"system": "urn:local", "code": "A419"}], None),
        "first_wins": coded([{"system": icd, "code": "A04.7"}, {"system": SCT, "code": "68566005"}], "cdiff"),
        "period": ([p, c("i", "p", None, onsetPeriod={"start": "2024-03-01"})], {"i": "no_stay"}),
        "recorded": ([p, c("i", "p", None, recordedDate="2024-03-01")], {"i": "onset_unknown"}),
        "heart_attack": ([p, c("i", "p", "2024-03-01", "22298006")], {"i": None}),
        "virus": ([p, c("i", "p", "2024-03-01", "34014006")], {"i": None}),
    }  # fmt: skip


def test_cases_of_the_contract(clinical: ClinicalLake) -> None:
    """All of them in one population, each with its own ids: the model agrees, and both say what the contract says."""
    everything = {name.replace("_", "-"): case for name, case in cases().items()}
    values = []
    for name, (resources, _) in everything.items():
        text = json.dumps(named(resources, name)).replace("{}", name)
        values += json.loads(text.replace("Organization/", f"Organization/{name}-"))
    result = check(clinical, values, data_end="2300-12-31")
    run = f"run{clinical._runs}"
    gold = {
        one["encounter_id"]: one
        for one in clinical.query(
            f"SELECT encounter_id, disposition FROM staging_gold_stays WHERE run = '{run}'"
        )
    }
    events = {
        one["condition_id"]: one
        for one in clinical.query(
            f"SELECT condition_id, fate, stay_id, infection_type FROM staging_gold_infection_events WHERE run = '{run}'"
        )
    }
    for name, (resources, expected) in everything.items():
        types = {one["id"]: one["resourceType"] for one in resources}
        for what, value in expected.items():
            if what.startswith("disposition "):
                stay = gold[pseudonym("Encounter", f"{name}-{what.split()[1]}")]
                assert stay["disposition"] == value, name
            elif types.get(what) == "Encounter":
                assert result.reasons[f"{name}-{what}"] == value, name
            elif types.get(what) == "Condition":
                event = events.get(pseudonym("Condition", f"{name}-{what}"))
                if value in model.INFECTIONS:
                    assert event is not None, name
                    assert event["infection_type"] == value, name
                elif value and " in " in value:
                    assert event is not None, name
                    fate, stay_id = value.split(" in ")
                    assert event["fate"] == fate, name
                    assert event["stay_id"] == pseudonym("Encounter", f"{name}-{stay_id}"), name
                else:
                    assert (event and event["fate"]) == value, name
            else:
                assert totals(result, name, what) == (*value, {})[:3], f"{name}: {what}"


def totals(result: model.Result, name: str, measure: str) -> tuple[int, int, dict[str, int]]:
    """What the organizations of a case have, over all months; each case has its own."""
    numerator = denominator = 0
    excluded: dict[str, int] = {}
    for (one, org, _), (n, d, exclusions) in result.measures.items():
        if one == measure and org in (f"{name}-A", f"{name}-B", f"{name}-C"):
            numerator, denominator = numerator + n, denominator + d
            for reason, count in exclusions.items():
                excluded[reason] = excluded.get(reason, 0) + count
    return numerator, denominator, excluded


def test_sample_uploads_over_three_exports_give_their_account(clinical: ClinicalLake, tmp_path: Path) -> None:
    """Each export is a run; the last comes first. The sample knows what it put in, the model is not asked."""
    account = write_uploads(tmp_path, people_=150, seed=5, defects=0.02)
    clinical.empty_silver()
    clinical.counts.clear()
    runs: dict[int, list[tuple[str, str, bytes]]] = {}
    for name in account.files:
        second = int((tmp_path / name).stat().st_mtime)
        when = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"
        runs.setdefault(second, []).append((when, f"landing/fhir/{name}", (tmp_path / name).read_bytes()))
    assert len(runs) == 3
    for second in sorted(runs, reverse=True):
        clinical.merge(runs[second])
    assert clinical.counts.pop("lines") == account.read
    assert clinical.counts == account.rejected
    kept = sum(int(clinical.query(f"SELECT count(*) AS n FROM silver_{kind}")[0]["n"]) for kind in KINDS)
    assert kept == account.accepted
    run = clinical.compute()
    rows = clinical.query(
        f"SELECT * FROM staging_gold_clinical_measures WHERE run = '{run}'",
    )
    assert {
        (one["measure"], one["org_id"], one["month"]): (int(one["numerator"]), int(one["denominator"]))
        for one in rows
    } == {key: (above, below) for key, (above, below, _) in account.measures.items()}


# --- versions --------------------------------------------------------------------------------------


def silver(lake_: ClinicalLake) -> dict[tuple[str, str], str]:
    """What silver holds of the elements that tell versions apart."""
    parts = {
        "Patient": "coalesce(gender, '')",
        "Encounter": "status || CASE WHEN void THEN ' void' ELSE '' END",
        "Condition": "verification || CASE WHEN void THEN ' void' ELSE '' END",
    }
    return {
        (kind, one["id"]): one["what"]
        for kind, expression in parts.items()
        for one in lake_.query(f"SELECT id, {expression} AS what FROM silver_{kind.lower()}")
    }


def expected_silver(versions: model.Versions) -> dict[tuple[str, str], str]:
    found = {}
    for (kind, id_), one in versions.current.items():
        what = {
            "Patient": one.get("gender"),
            "Encounter": one.get("status"),
            "Condition": model.verification(one.get("verificationStatus")),
        }[kind]
        found[kind, id_] = f"{what}{' void' if what == 'entered-in-error' else ''}"
    return found


def history(rng: random.Random) -> list[model.Upload]:
    """Exports that tell of the same few resources, with every way to say, or not to say, which version is newer."""
    moments = [
        None, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.100Z", "2024-01-01T00:00:00.1Z", "2023-12-31T19:00:00-05:00",
        "2024-01-01T09:00:00+09:00", "2023-06-01T00:00:00Z",
    ]  # fmt: skip
    numbers = [None, "9", "10", "010", "W/3", "1"]
    uploads = []
    for number in range(rng.randint(1, 6)):
        values: list[Any] = []
        for _ in range(rng.randint(1, 6)):
            id_ = str(rng.randint(0, 3))
            status = rng.choice(["finished", "in-progress", "planned", "entered-in-error"])
            one: dict[str, Any] = rng.choice(
                [
                    patient(id_, gender=rng.choice(["male", "female", "other"])),
                    encounter(id_, "0", "2024-01-01", "2024-01-02", status=status),
                    condition(
                        id_,
                        "0",
                        "2024-01-01",
                        verificationStatus={
                            "coding": [{"code": rng.choice(["confirmed", "entered-in-error"])}]
                        },
                    ),
                ]
            )
            meta = {"lastUpdated": rng.choice(moments), "versionId": rng.choice(numbers)}
            if meta := {name: value for name, value in meta.items() if value}:
                one["meta"] = meta
            values.append(one)
        # Two uploads of the same second: the key decides.
        when = f"2026-01-01T00:00:{number // 2:02d}Z"
        uploads.append(model.Upload(when, f"landing/fhir/bundles/{rng.choice('ab')}{number}.ndjson", values))
    return uploads


@FEW
@given(st.randoms(use_true_random=False))
def test_versions_win_in_any_order_of_arrival(clinical: ClinicalLake, rng: random.Random) -> None:
    uploads = history(rng)
    expected = expected_silver(model.read_uploads(uploads))
    clinical.empty_silver()
    shuffled = rng.sample(uploads, len(uploads))
    cut = rng.randint(0, len(uploads))
    # Some come again, in the same run or in the next.
    for part in (shuffled[:cut] + shuffled[:1], shuffled[cut:] + shuffled[:cut]):
        if part:
            merge(clinical, part)
    assert silver(clinical) == expected


def test_a_version_of_before_does_not_revive_what_was_entered_in_error(clinical: ClinicalLake) -> None:
    clinical.empty_silver()
    good = encounter("1", "p", "2024-01-01", "2024-01-02", meta={"lastUpdated": "2024-02-01T00:00:00Z"})
    void = good | {"status": "entered-in-error", "meta": {"lastUpdated": "2024-02-02T00:00:00Z"}}
    merge(clinical, [model.Upload("2026-01-01T00:00:00Z", "landing/fhir/encounters/1", [void])])
    merge(clinical, [model.Upload("2026-01-02T00:00:00Z", "landing/fhir/encounters/2", [good])])
    assert silver(clinical) == {("Encounter", "1"): "entered-in-error void"}


def test_the_same_version_again_makes_no_snapshot(clinical: ClinicalLake) -> None:
    clinical.empty_silver()
    upload = model.Upload("2026-01-01T00:00:00Z", "landing/fhir/patients/1", [patient("1", gender="other")])
    merge(clinical, [upload])
    before = clinical.query('SELECT count(*) AS n FROM "silver_patient$snapshots"')
    merge(clinical, [upload])
    assert clinical.query('SELECT count(*) AS n FROM "silver_patient$snapshots"') == before


def test_gold_of_a_run_is_what_it_is_after_its_merge(clinical: ClinicalLake) -> None:
    """New, changed and late versions, of which none is in silver yet."""
    clinical.empty_silver()
    values = population(random.Random(8), 30)
    first, second = values[::2], [one | {"meta": {"versionId": "2"}} for one in values[1::3]] + values[1::2]

    def contents(those: list[Any], hour: int) -> list[tuple[str, str, bytes]]:
        return [(one.uploaded_at, one.key, ndjson(one.values)) for one in uploads_of(those, hour)]

    def gold(run: str) -> list[list[dict[str, str]]]:
        columns = {
            "gold_stays": "*",
            "gold_infection_events": "*",
            "gold_clinical_measures": "measure, org_id, month, numerator, denominator, rate",
        }
        tables = {
            name: f"SELECT {chosen} FROM staging_{name} WHERE run = '{run}' ORDER BY 1, 2, 3"
            for name, chosen in columns.items()
        }
        return [[{**row, "run": ""} for row in clinical.query(text)] for text in tables.values()]

    clinical.merge(contents(first, 0))
    run = clinical.stage(contents(second, 1))
    before = gold(clinical.compute(run=run))
    for kind in KINDS:
        clinical.run(f"merge/silver_{kind}.sql", run=run, slices=SLICES)
    assert gold(clinical.compute()) == before
    # What is merged already is found again by a run that starts over.
    assert gold(clinical.compute(run=run)) == before


def test_an_organization_named_all_is_not_the_total(clinical: ClinicalLake) -> None:
    stays = [encounter(org, "p", "2024-03-01", "2024-03-03", org=org) for org in ("ALL", "B")]
    assert check(clinical, [patient("p"), *stays]).total("alos", "Organization/ALL")[:2] == (2, 1)


# --- checks and views ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checked(aws: Any, s3: Any) -> tuple[ClinicalLake, str]:
    """A lake of its own, whose gold tables hold a population with organizations of very different sizes, and its run."""
    values = population(random.Random(4), 60)
    for number in range(40):
        day = f"2024-05-{number % 20 + 1:02d}"
        values += [
            patient(f"x{number}"),
            encounter(f"x{number}", f"x{number}", day, "2024-05-25", org="BIG", left="home"),
        ]
    for number in range(15):
        values += [
            patient(f"y{number}"),
            encounter(f"y{number}", f"y{number}", "2024-05-01", "2024-05-25", org="MID", left="exp"),
        ]
    values.append(encounter("z", "nobody", "2024-05-01", "2024-05-03", org="SMALL"))
    values.append(patient("d", deceasedDateTime="2024-05-20"))
    values.append(encounter("d", "d", "2024-05-01", "2024-05-03", org="BIG", left="exp"))
    values.append(patient("l"))
    values.append(encounter("l", "l", "2022-05-01", "2024-05-03", org=None))
    clinical = ClinicalLake(aws("athena"), s3)
    merge(clinical, uploads_of(values))
    run = clinical.compute()
    clinical.publish(run)
    for name in statements.statements(f"{DAG}/views"):
        clinical.query(clinical.render(name, minimum_cell="11"))
    return clinical, run


def test_checks_find_nothing_where_nothing_is_wrong(checked: tuple[ClinicalLake, str]) -> None:
    clinical, run = checked
    for name in ("duplicate_keys", "missing_rows", "inconsistent_measures"):
        assert clinical.run(f"check/{name}.sql", run=run, slices=SLICES) == [], name


@pytest.mark.parametrize(
    ("table", "statement", "check_name", "found"),
    [
        ("gold_stays", "SELECT * FROM {rows} WHERE encounter_id <> '{x0}'", "missing_rows", {pseudonym("Encounter", "x0")}),
        ("gold_stays", "SELECT * FROM {rows} WHERE encounter_id <> '{x0}'", "inconsistent_measures", {"differs_from_stays"}),
        ("gold_stays", "SELECT * FROM {rows} UNION ALL SELECT * FROM {rows} WHERE encounter_id = '{x0}'", "duplicate_keys", {pseudonym("Encounter", "x0")}),
        ("gold_clinical_measures", "SELECT * FROM {rows} WHERE org_id <> 'SMALL'", "inconsistent_measures",
         {"differs_from_stays", "organizations_differ_from_all"}),
    ],
)  # fmt: skip
def test_checks_find_what_is_wrong(
    checked: tuple[ClinicalLake, str], table: str, statement: str, check_name: str, found: set[str]
) -> None:
    clinical, run = checked
    broken = f"{run}broken{abs(hash((table, check_name)))}"
    for name in ("gold_stays", "gold_infection_events", "gold_clinical_measures"):
        listed = (ROOT / "include/sql" / DAG / "columns" / f"{name}.columns").read_text()
        columns = [line.split()[0] for line in listed.splitlines()]
        rows = f"(SELECT {', '.join(columns)} FROM staging_{name} WHERE run = '{run}')"
        text = (statement if name == table else "SELECT * FROM {rows}").format(
            rows=rows, x0=pseudonym("Encounter", "x0")
        )
        target = lake.s3_uri(clinical.bucket, f"{lake.staging_prefix(DAG, broken)}{name}/slice=all/")
        clinical.query(f"UNLOAD ({text}) TO '{target}' WITH (format = 'PARQUET')")
    rows_ = clinical.run(f"check/{check_name}.sql", run=broken, slices=SLICES)
    assert {one.get("broken_rule") or one["id"] for one in rows_} == found


def test_warnings(checked: tuple[ClinicalLake, str]) -> None:
    clinical, run = checked
    warnings = {one["warning"] for one in clinical.run("check/warnings.sql", run=run, slices=SLICES)}
    assert warnings == {
        "patient_unknown", "organization_unknown", "death_dates_differ", "stay_of_a_year", "onset_unknown"
    }  # fmt: skip
    none = clinical.compute(stay_classes=["OBSENC"])
    assert "no_stays" in {
        one["warning"] for one in clinical.run("check/warnings.sql", run=none, slices=SLICES)
    }


def test_lines_and_versions_are_counted(clinical: ClinicalLake) -> None:
    clinical.empty_silver()
    body = ndjson([patient("1"), patient("1", gender="male"), patient("bad id"), 42]) + b"{"
    run = clinical.merge([("2026-01-01T00:00:00Z", "landing/fhir/patients/1", body)])
    counts = {
        one["outcome"]: int(one["lines"])
        for one in clinical.run("check/count_lines.sql", run=run, slices=["all"])
    }
    assert counts == {"valid": 2, "id_invalid": 1, "not_a_resource": 1, "malformed_json": 1, "accepted": 1}


def test_the_public_view_hides_small_cells_and_what_would_show_them(
    checked: tuple[ClinicalLake, str],
) -> None:
    clinical, _ = checked
    published = {
        (one["measure"], one["org_id"]): one
        for one in clinical.query("SELECT * FROM v_public_clinical_measures WHERE month = '2024-05'")
    }
    own = {
        (one["measure"], one["org_id"]): (int(one["numerator"]), int(one["denominator"]))
        for one in clinical.query("SELECT * FROM gold_clinical_measures WHERE month = '2024-05'")
    }
    assert published.keys() == own.keys()
    for (measure, org), one in published.items():
        numerator, denominator = own[measure, org]
        small = [numerator, denominator]
        if measure != "alos" and not measure.startswith("hai"):
            small.append(denominator - numerator)
        if any(1 <= cell <= 10 for cell in small):
            assert (one["suppressed"], one["numerator"], one["rate"], one["ci_low"]) == (
                "true",
                "",
                "",
                "",
            ), one
    assert published["same_day_stays", "MID"]["suppressed"] == "false"
    assert published["same_day_stays", "MID"]["denominator"] == "15"
    for measure in {measure for measure, _ in published}:
        hidden = [
            org for name, org in published if name == measure and published[name, org]["suppressed"] == "true"
        ]
        assert hidden != [org for org in hidden if org != "ALL"] or len(hidden) != 1, measure


def test_views(checked: tuple[ClinicalLake, str]) -> None:
    clinical, _ = checked
    gold = clinical.query("SELECT * FROM gold_clinical_measures")
    names = [Path(name).stem for name in statements.statements(f"{DAG}/views")]
    for name in set(names) & {f"v_{one['measure']}" for one in gold} - {"v_hai_per_1000_patient_days"}:
        rows = clinical.query(f"SELECT org_id, month, numerator, denominator, rate, data_end FROM {name}")
        assert sorted(map(str, rows)) == sorted(
            str({column: one[column] for column in rows[0]}) for one in gold if f"v_{one['measure']}" == name
        )
    assert {one["measure"] for one in clinical.query("SELECT measure FROM v_hai_per_1000_patient_days")} == {
        one["measure"] for one in gold if one["measure"].startswith("hai_")
    }
    for one in clinical.query("SELECT * FROM v_clinical_overview"):
        those = [row for row in gold if (row["measure"], row["org_id"]) == (one["measure"], one["org_id"])]
        numerator = sum(int(row["numerator"]) for row in those)
        denominator = sum(int(row["denominator"]) for row in those)
        rate = model.rate(one["measure"], numerator, denominator)
        assert (one["numerator"], one["denominator"], one["rate"]) == (
            str(numerator), str(denominator), "" if rate is None else f"{rate:.5f}"
        )  # fmt: skip
    for one in clinical.query("SELECT * FROM v_clinical_overview_month"):
        rates = {
            row["measure"]: row["rate"]
            for row in gold
            if (row["org_id"], row["month"]) == (one["org_id"], one["month"])
        }
        for measure in ("alos", "mortality_in_hospital", "readmission_30d", "stays_with_hai"):
            assert one[measure] == rates[measure]
    (stay, *_) = clinical.query("SELECT * FROM v_clinical_stays")
    assert not [column for column in stay if column.endswith("_id") and column != "org_id"]


def test_intervals_are_wilsons(checked: tuple[ClinicalLake, str]) -> None:
    """By the closed form that solves (p - x)^2 = z^2 x (1 - x) / n for x."""
    clinical, _ = checked
    rows = clinical.query("SELECT * FROM gold_clinical_measures WHERE ci_low IS NOT NULL")
    assert {one["measure"] for one in rows} == {
        "mortality_in_hospital", "mortality_30d", "readmission_30d", "readmission_30d_unplanned", "same_day_stays",
        "stays_with_hai",
    }  # fmt: skip
    z = 1.959963984540054
    for one in rows:
        n, p = int(one["denominator"]), int(one["numerator"]) / int(one["denominator"])
        for end in (float(one["ci_low"]), float(one["ci_high"])):
            assert abs((p - end) ** 2 - z * z * end * (1 - end) / n) < 5e-5
        assert 0 <= float(one["ci_low"]) <= p <= float(one["ci_high"]) <= 1
