"""The pipeline clinical_quality: its datasets, results, params and checks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from medlaunch import lake
from medlaunch.declaration import (
    CheckContext,
    Dataset,
    Findings,
    IcebergResult,
    Mismatch,
    PartitionedResult,
    Pipeline,
    SliceCounts,
)

_FOLDERS = ("patients", "encounters", "conditions", "bundles")
_CLASS = re.compile(r"[A-Z0-9._-]+", re.ASCII)
_DAYS = re.compile(r"P(\d{1,4})D", re.ASCII)


def read_params(params: Mapping[str, Any]) -> dict[str, str]:
    """The params of a run: ``data_end``, ``stay_classes``, and from which dates and in which zone days are read.

    ``data_end`` is a date, or as many days before today as ``P3D`` says, or empty: the last discharge of all stays.

    Raises:
        ValueError: naming the param that cannot be used.
    """
    classes = [one.strip().upper() for one in params["stay_classes"].split(",")]
    if not all(_CLASS.fullmatch(one) for one in classes):
        raise ValueError(
            f"stay_classes {params['stay_classes']!r}: write codes with commas between, as in IMP,ACUTE,NONAC"
        )
    zone = params["facility_timezone"] or ""
    return {
        "data_end": _data_end(params["data_end"] or ""),
        "stay_classes": ",".join(dict.fromkeys(classes)),
        "dates_from": "instant" if zone else "written",
        "facility_timezone": _zone(zone or "UTC"),
    }


def _data_end(text: str) -> str:
    if not text:
        return ""
    if days := _DAYS.fullmatch(text):
        return (datetime.now(UTC).date() - timedelta(days=int(days[1]))).isoformat()
    try:
        return lake.parse_date(text).isoformat()
    except ValueError as error:
        raise ValueError(f"data_end: {error}; or write P3D for three days before today") from error


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"facility_timezone {name!r} is no time zone such as America/New_York") from error


def checks(context: CheckContext) -> Iterator[Mismatch]:
    """Each resource once, each with a row in gold, measures that can be recounted, and pseudonyms of one key."""
    from medlaunch.publish.reconcile import unequal

    for row in context.rows["duplicate_keys"]:
        yield f"{row['table_name']} holds {row['id']} {row['copies']} times"
    for row in context.rows["missing_rows"]:
        yield f"{row['table_name']} lacks {row['id']}"
    for row in context.rows["inconsistent_measures"]:
        yield f"{row['measure']} of {row['org_id']} in {row['month']}: {row['broken_rule']}"
    keys = context.rows["pseudonym_keys"]
    if len(keys) > 1:
        counts = ", ".join(f"{row['resources']} by the key {row['key_id']}" for row in keys)
        yield (
            f"pseudonyms come from {len(keys)} keys ({counts}), so that a person would be two. Put the earlier key back, "
            "or start again with the new one: docs/clinical-quality.md, section Pseudonyms"
        )
    for one in context.slices:
        stays, encounters = one.rows.get("gold_stays", 0), one.rows.get("silver_encounter", 0)
        yield from unequal("encounters", "silver_encounter", encounters, "gold_stays", stays)


_WARNINGS = {
    "disposition_unknown": "{count} of {total} stays have no known discharge disposition: in-hospital deaths may be missing",
    "patient_unknown": "{count} of {total} stays are of patients that no upload had",
    "no_stays": "none of {total} encounters is a stay: is the param stay_classes right for this source?",
    "organization_unknown": "{count} of {total} stays name no organization",
    "death_dates_differ": "of {count} stays that ended with death the patient's date of death is another one",
    "stay_of_a_year": "{count} of {total} stays took a year or longer",
    "onset_unknown": "{count} of {total} infections have no day of onset and cannot count",
}


def findings(context: CheckContext) -> Findings:
    """What may be right and should be looked at."""
    rows = context.rows["warnings"]
    return Findings(
        warnings=[
            _WARNINGS[one["warning"]].format(count=one["count_found"], total=one["total"]) for one in rows
        ]
    )


def summarise(params: Mapping[str, str], slices: Sequence[SliceCounts]) -> str:
    """How much was looked at, and until when the data are taken to cover."""
    rows = slices[0].rows
    until = f"until {params['data_end']}" if params["data_end"] else "until the last discharge"
    return f"{rows.get('silver_encounter', 0):,} encounters of {rows.get('silver_patient', 0):,} patients, {until}."


CLINICAL_QUALITY = Pipeline(
    dag_id="clinical_quality",
    title="Clinical quality",
    datasets=tuple(
        Dataset(
            name=f"fhir/{folder}",
            extensions=(".ndjson", ".jsonl", ".json"),
            loader="medlaunch.clinical.loading:load",
            pseudonyms=True,
        )
        for folder in _FOLDERS
    ),
    slice_column="slice",
    slice_name="data set",
    record_name=("resource", "resources"),
    results=(
        *(
            IcebergResult(
                name=f"silver_{kind}",
                table=f"silver_{kind}",
                merge=f"merge/silver_{kind}.sql",
                keys=("id",),
                slice_column="slice",
            )
            for kind in ("patient", "encounter", "condition")
        ),
        PartitionedResult(name="gold_stays", table="gold_stays"),
        PartitionedResult(name="gold_infection_events", table="gold_infection_events"),
        PartitionedResult(name="gold_clinical_measures", table="gold_clinical_measures"),
    ),
    tags=("clinical", "athena"),
    view_settings=("minimum_cell",),
    recompute=False,
    refresh=True,
    read_params=read_params,
    checks=checks,
    findings=findings,
    summarise=summarise,
)
