"""The whole pipeline clinical_quality on real uploads, and what readers see.

Expected results come from tests/clinical_model.py, which shares no code with the product.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from medlaunch.aws.sensors import AnyS3KeySensor
from sample_data.clinical import ClinicalAccount, write_uploads
from sample_data.clinical_stories import FAMILY, GIVEN, STREETS
from tests import clinical_model as model
from tests.clinical_uploads import KEY, ROOT, connection, pseudonym
from tests.pipeline import Pipeline

DAG, ROLLBACK, REPLAY = "clinical_quality", "rollback_publication", "replay_uploads"
SHARED = ROOT.parent / "shared/data/fhir/synthea-10"
NAMES = {*GIVEN, *FAMILY, *STREETS}
GOLD = ("gold_stays", "gold_infection_events", "gold_clinical_measures")

Measures = dict[tuple[str, str, str], tuple[int, int, dict[str, int]]]


@pytest.fixture
def pipeline(aws: Any, aws_url: str) -> Pipeline:
    return Pipeline(aws, aws_url, settings=connection())


def put(pipeline: Pipeline, name: str, body: bytes) -> str:
    key = f"landing/fhir/{name}"
    pipeline.s3.put_object(Bucket=pipeline.bucket, Key=key, Body=body)
    return key


def ndjson(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def exports(folder: Path, account: ClinicalAccount) -> list[list[Path]]:
    """The files of a sample by their time, which is that of their export, without those that hold no data."""
    files = sorted((folder / one for one in account.files), key=lambda one: one.stat().st_mtime)
    return [list(those) for _, those in groupby(files, key=lambda one: int(one.stat().st_mtime))]


def put_all(pipeline: Pipeline, folder: Path, files: Iterable[Path]) -> list[str]:
    return [put(pipeline, one.relative_to(folder).as_posix(), one.read_bytes()) for one in files]


def measures(pipeline: Pipeline) -> Measures:
    """What readers see."""
    rows = pipeline.select(
        "SELECT measure, org_id, month, numerator, denominator, rate, json_format(CAST(exclusions AS json)) AS exclusions"
        " FROM gold_clinical_measures"
    )
    for one in rows:
        rate = model.rate(one["measure"], int(one["numerator"]), int(one["denominator"]))
        assert one["rate"] == ("" if rate is None else f"{rate:.5f}")
    return {
        (one["measure"], one["org_id"], one["month"]): (
            int(one["numerator"]),
            int(one["denominator"]),
            json.loads(one["exclusions"]),
        )
        for one in rows
    }


def versions_of(files: dict[str, bytes]) -> model.Versions:
    """What the model reads of files that all came in one second."""
    return model.read_uploads(
        [
            model.Upload("2026-11-01T00:00:00Z", f"landing/fhir/{name}", model.split(body))
            for name, body in files.items()
        ]
    )


# --- a sample: counts, measures, and nothing personal -----------------------------------------------


def everything_written(pipeline: Pipeline) -> bytes:
    """All that anybody may read but the uploads and the rejected ones themselves: files, alerts, and queries."""
    prefixes = ("bronze/", "staging/", "prod/", "reports/", "publications/", "freshness/", "athena-results/")
    found = [pipeline.read(key) for prefix in prefixes for key in pipeline.keys(prefix)]
    found += [json.dumps(one).encode() for one in pipeline.alerts()]
    ids: list[str] = []
    for page in pipeline.athena.get_paginator("list_query_executions").paginate(WorkGroup=pipeline.workgroup):
        ids += page["QueryExecutionIds"]
    for start in range(0, len(ids), 50):
        queries = pipeline.athena.batch_get_query_execution(QueryExecutionIds=ids[start : start + 50])
        found += [one["Query"].encode() for one in queries["QueryExecutions"]]
    assert len(found) > 100
    return b"\n".join(found)


def test_a_sample_gives_its_account_and_shows_nothing_personal(
    pipeline: Pipeline, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    account = write_uploads(tmp_path, people_=60, seed=3, defects=0.02)
    for files in exports(tmp_path, account):
        put_all(pipeline, tmp_path, files)
    put_all(pipeline, tmp_path, [tmp_path / one for one in account.skipped])
    report = pipeline.report(DAG)
    lines = report["lines"]
    assert (lines["read"], lines["accepted"], lines["superseded"]) == (
        account.read,
        account.accepted,
        account.superseded,
    )
    assert lines["rejected_by_reason"] == account.rejected
    assert report["measures"]["ignored_bundle_entries"] == account.ignored_bundle_entries
    assert measures(pipeline) == account.measures
    assert pipeline.keys("landing/") == []

    uploads = b"\n".join(path.read_bytes() for path in tmp_path.rglob("*.ndjson"))
    assert sum(name.encode() in uploads for name in NAMES) > 10
    read = capfd.readouterr()
    shown = everything_written(pipeline) + (read.out + read.err + caplog.text).encode()
    assert b"Loaded s3://" in shown
    assert {name for name in NAMES if name.encode() in shown} == set()
    assert KEY not in shown
    # What is published for readers has pseudonyms only.
    patients = [f"p{number}" for number in range(60)]
    known = {pseudonym("Patient", one) for one in patients}
    stays = pipeline.select("SELECT encounter_id, patient_id, episode_id FROM gold_stays")
    events = pipeline.select(
        "SELECT condition_id, patient_id, linked_encounter_id, stay_id FROM gold_infection_events"
    )
    encounters = {
        pseudonym("Encounter", one["id"]) for one in pipeline.select("SELECT id FROM silver_encounter")
    }
    assert {one["encounter_id"] for one in stays} == encounters
    assert {one["patient_id"] for one in [*stays, *events] if one["patient_id"]} <= known
    assert {
        part for one in stays if one["episode_id"] for part in one["episode_id"].split("|")
    } <= known | encounters
    assert {one["stay_id"] for one in events if one["stay_id"]} <= encounters


# --- updates, rollback, replay ----------------------------------------------------------------------


def test_exports_in_any_order_then_back_and_again(pipeline: Pipeline, tmp_path: Path) -> None:
    """The last export comes first, one comes twice; a rollback takes the latest back, a replay brings it again."""
    account: ClinicalAccount = write_uploads(tmp_path, people_=40, seed=5, defects=0)
    first, second, third = exports(tmp_path, account)
    put_all(pipeline, tmp_path, third)
    pipeline.report(DAG)
    pipeline.next_second()
    put_all(pipeline, tmp_path, first)
    pipeline.report(DAG)
    before = measures(pipeline)
    silver = {
        name: pipeline.select(f"SELECT * FROM {name} ORDER BY id")
        for name in ("silver_patient", "silver_encounter", "silver_condition")
    }
    pipeline.next_second()
    fresh = put_all(pipeline, tmp_path, second)
    put_all(pipeline, tmp_path, first)  # nothing of it is new
    report = pipeline.report(DAG)
    lines = report["lines"]
    assert lines["read"] == lines["accepted"] + lines["superseded"]
    assert measures(pipeline) == account.measures
    kept = sum(int(pipeline.select(f"SELECT count(*) AS n FROM {name}")[0]["n"]) for name in silver)
    assert kept == account.accepted

    pipeline.report(ROLLBACK, pipeline=DAG, slice="all", dry_run=False, reason="a mistake")
    assert measures(pipeline) == before
    assert {name: pipeline.select(f"SELECT * FROM {name} ORDER BY id") for name in silver} == silver
    pipeline.report(
        REPLAY,
        dataset="fhir/encounters",
        slice_from="all",
        slice_to="all",
        include_excluded=True,
        dry_run=False,
        reason="r",
    )
    waiting = pipeline.keys("landing/")
    assert set(waiting) >= {key for key in fresh if "/encounters/" in key}
    put_all(pipeline, tmp_path, [one for one in second if "encounters" not in one.parts])
    pipeline.report(DAG)
    assert measures(pipeline) == account.measures


# --- without uploads --------------------------------------------------------------------------------


def stay(number: int, admit: str, discharge: str, **other: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": f"e{number}",
        "status": "finished",
        "class": {"code": "IMP"},
        "subject": {"reference": f"Patient/p{number}"},
        "serviceProvider": {"reference": "Organization/ALL"},
        "period": {"start": admit, "end": discharge},
        **other,
    }


def _skipped(*_: Any, **__: Any) -> None:
    raise AirflowSkipException("nothing came")


def test_windows_close_without_uploads(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """And an organization whose id is ALL does not meet the total."""
    files = {
        "encounters/a.ndjson": ndjson(
            stay(1, "2026-01-01", "2026-01-05"),
            stay(2, "2026-01-20", "2026-01-25", **{"class": {"code": "OBSENC"}}),
            stay(3, "2026-01-20", "2026-01-26"),
        ),
        "patients/a.ndjson": ndjson(
            *({"resourceType": "Patient", "id": f"p{number}"} for number in (1, 2, 3))
        ),
    }
    for name, body in files.items():
        put(pipeline, name, body)
    pipeline.report(DAG)
    seen = measures(pipeline)
    assert seen["readmission_30d", "ALL", "2026-01"] == (0, 0, {"insufficient_follow_up": 2})
    assert seen["alos", "Organization/ALL", "2026-01"] == seen["alos", "ALL", "2026-01"] == (10, 2, {})
    report = pipeline.report(DAG, refresh=True, data_end="2026-03-31", stay_classes="imp, obsenc")
    assert report["params"] == {
        "data_end": "2026-03-31",
        "stay_classes": "IMP,OBSENC",
        "dates_from": "written",
        "facility_timezone": "UTC",
    }
    assert measures(pipeline)["readmission_30d", "ALL", "2026-01"] == (0, 3, {})
    # By itself, after it has waited; with the default again. dag.test() lets a trigger wait for ever, so the sensor
    # ends here as the scheduler would end it.
    monkeypatch.setattr(AnyS3KeySensor, "execute", _skipped)
    assert pipeline.report(DAG)["lines"]["read"] == 0
    assert measures(pipeline) == seen
    actions = pipeline.select(
        f"SELECT action FROM publications WHERE pipeline = '{DAG}' ORDER BY published_at, publication"
    )
    assert sorted(one["action"] for one in actions) == ["publish", "refresh", "refresh"]


@pytest.mark.parametrize(
    ("param", "value"),
    [("data_end", "2026-02-30"), ("stay_classes", "IMP;ACUTE"), ("facility_timezone", "Nowhere/At_All")],
)
def test_params_that_cannot_be_used(param: str, value: str) -> None:
    from medlaunch.pipelines.clinical_quality import read_params

    good = {"data_end": None, "stay_classes": "IMP", "facility_timezone": None}
    assert read_params(good | {"data_end": "P0D"})["data_end"] >= "2026-01-01"
    assert read_params(good | {"facility_timezone": "Asia/Tokyo"})["dates_from"] == "instant"
    with pytest.raises(ValueError, match=value):
        read_params(good | {param: value})


# --- the key ----------------------------------------------------------------------------------------


def test_without_a_key_and_with_another_one_nothing_is_published(pipeline: Pipeline) -> None:
    key = put(pipeline, "patients/a.ndjson", ndjson({"resourceType": "Patient", "id": "p1"}))
    pipeline.settings = {}
    assert pipeline.run(DAG).state == "failed"
    (alert,) = pipeline.alerts()
    text = alert["failed_tasks"][0]["error"]["text"]
    assert "MEDLAUNCH_PSEUDONYM_CONN_ID" in text
    assert "medlaunch_pseudonyms" in text
    assert pipeline.keys("landing/") == [key]
    pipeline.settings = connection()
    pipeline.report(DAG)
    pipeline.settings = connection(KEY[::-1])
    put(pipeline, "patients/b.ndjson", ndjson({"resourceType": "Patient", "id": "p2"}))
    assert pipeline.run(DAG).state == "failed"
    assert "come from 2 keys" in pipeline.alerts()[0]["failed_tasks"][0]["error"]["text"]
    assert [one["id"] for one in pipeline.select("SELECT id FROM silver_patient")] == ["p1"]


# --- real files -------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not SHARED.exists(), reason="the Synthea export is not beside the checkout (../shared/data)"
)
def test_a_synthea_bulk_export(pipeline: Pipeline) -> None:
    """docs/clinical-quality.md on files that nobody here made."""
    folders = {"Patient": "patients", "Encounter": "encounters", "Condition": "conditions"}
    files = {
        f"{folder}/{kind}.000.ndjson": (SHARED / f"{kind}.000.ndjson").read_bytes()
        for kind, folder in folders.items()
    }
    for name, body in files.items():
        put(pipeline, name, body)
    report = pipeline.report(DAG)
    lines = report["lines"]
    assert (lines["read"], lines["accepted"], lines["rejected"]) == (1783, 1783, 0)
    assert report["warnings"] == [
        "49 of 49 stays have no known discharge disposition: in-hospital deaths may be missing"
    ]
    assert measures(pipeline) == model.compute(versions_of(files)).measures
