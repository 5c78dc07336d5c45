"""What each table shows if readers see these versions, by the models of the three pipelines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from tests import clinical_model, oracle, staffing_model
from tests.clinical_uploads import pseudonym
from tests.history.model import Version

AS_OF, UNTIL = date(2026, 11, 20), date(2027, 5, 20)
Rows = list[dict[str, Any]]
Seen = Mapping[str, Version]


def accreditation(seen: Seen) -> dict[str, Rows]:
    tables: defaultdict[str, Rows] = defaultdict(list)
    for slice_, version in sorted(seen.items()):
        day, found = date.fromisoformat(slice_), {"snapshot_date": slice_}
        uploads = [oracle.Upload(day, one.key.rsplit("/", 1)[1], one.body, datetime.fromtimestamp(one.second, UTC))
                   for one in version.inputs]  # fmt: skip
        result = oracle.expect(uploads)[day]
        for one in result.facilities.values():
            tables["facility_metrics"].append({
                "facility_id": one.id, "facility_name": one.name, "employee_count": one.employees, "state": one.location["state"],
                "number_of_offered_services": one.services, "expiry_date_of_first_accreditation": min(one.dates, default=None),
                "first_listed_accreditation_expiry": one.accreditations[0][2] if one.accreditations else None, **found})  # fmt: skip
        for upload in uploads:
            for number, value in enumerate(oracle.values(upload.body, upload.file), start=1):
                if reason := oracle.judge(value)[0]:
                    reject = {"reject_reason": reason, "source_file": upload.key, "line_number": number}
                    tables["facility_rejects"].append(reject | found)
        for code, name, good, count in result.by_state(AS_OF):
            counts = {
                "state_code": code,
                "state_name": name,
                "accredited_facilities": good,
                "facilities": count,
                "as_of": AS_OF,
            }
            tables["accredited_facilities_by_state"].append(counts | found)
        soon = result.expiring(AS_OF, UNTIL)
        tables["expiring_accreditations"] += [
            {"facility_id": id_, "facility_name": result.facilities[id_].name, "valid_until": day,
             "accreditation_id": result.facilities[id_].accreditations[place][1], "run_date": AS_OF, **found}
            for day, id_, place in soon]  # fmt: skip
        tables["expiring_facilities"] += [
            {"facility_id": id_, **found} for id_ in {id_ for _, id_, _ in soon}
        ]
    newest = max((row["snapshot_date"] for row in tables["accredited_facilities_by_state"]), default=None)
    for name in ("accredited_facilities_by_state", "expiring_accreditations"):
        tables[f"current_{name}"] = [row for row in tables[name] if row["snapshot_date"] == newest]
    latest = {row["facility_id"]: row for row in tables["facility_metrics"]}
    return tables | {"current_facility_metrics": list(latest.values())}


def staffing(pbj: Seen, provider_info: Seen) -> dict[str, Rows]:
    model = staffing_model.Model()
    for dataset, seen, table in (("pbj", pbj, model.pbj), ("provider_info", provider_info, model.provider)):
        for slice_, version in seen.items():
            one = staffing_model.Model()
            one.run((dataset, upload.key, upload.body, upload.second) for upload in version.merged)
            rows = one.pbj if dataset == "pbj" else one.provider
            table |= {key: found for key, found in rows.items() if found[1]["quarter"] == slice_}
    tables = {name: rows(model) for name, rows in staffing_model.TABLES.items()}
    return tables | {name: model.view(name) for name in staffing_model.VIEWS}


def clinical(seen: Seen) -> dict[str, Rows]:
    return {name: rows for version in seen.values() for name, rows in _clinical(version)}


def _clinical(version: Version) -> Iterator[tuple[str, Rows]]:
    files = {(one.second, one.key): clinical_model.split(one.body) for one in version.merged}
    uploads = [clinical_model.Upload(f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}", key, values)
               for (second, key), values in files.items()]  # fmt: skip
    versions = clinical_model.read_uploads(uploads)
    end = date.fromisoformat(version.data_end) if version.data_end else None
    result = clinical_model.compute(versions, data_end=end)
    for kind in clinical_model.TYPES:
        yield f"silver_{kind.lower()}", [{"id": id_} for id_ in versions.of(kind)]
    yield "gold_stays", [{"encounter_id": pseudonym("Encounter", id_), "not_stay_reason": reason}
                         | ({"died": stay.died, "los": stay.los, "death_date": stay.death, "month": stay.month}
                            if (stay := result.stays.get(id_)) else dict.fromkeys(("died", "los", "death_date", "month")))
                         for id_, reason in result.reasons.items()]  # fmt: skip
    yield (
        "gold_infection_events",
        [{"condition_id": pseudonym("Condition", id_), "fate": fate} for id_, fate in result.fates.items()],
    )
    yield "gold_clinical_measures", [
        {"measure": measure, "org_id": org, "month": month, "numerator": numerator, "denominator": denominator,
         "rate": clinical_model.rate(measure, numerator, denominator), "data_end": result.data_end}
        for (measure, org, month), (numerator, denominator, _) in result.measures.items()]  # fmt: skip
