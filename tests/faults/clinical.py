"""Cells of clinical quality: three Iceberg tables by MERGE, then gold tables by their partitions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tests.clinical_uploads import condition, encounter, patient
from tests.faults.cells import (
    MOVES,
    NO_RETRY,
    Row,
    kill,
    kill_rule,
    killed_publishing,
    outage,
    overtaken,
    query_fails,
)
from tests.faults.proxy import Rule, kill_after, kill_before, refuse
from tests.faults.stage import Stage, Story, failed_at_once, require, rules_fired


def _ndjson(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def _meta(day: int) -> dict[str, Any]:
    return {"meta": {"lastUpdated": f"2024-06-{day:02}T00:00:00Z"}}


UPLOADS: dict[str, bytes] = {
    "patients/a.ndjson": _ndjson(
        patient("p1", deceasedDateTime="2024-05-20", **_meta(2)), patient("p2", **_meta(2)), patient("a b")
    )
    + b"broken\n",
    "encounters/a.ndjson": _ndjson(
        encounter("e1", "p1", "2024-05-01", "2024-05-10", **_meta(2)),
        encounter("e2", "p1", "2024-05-15", "2024-05-20", left="exp", **_meta(2)),
        encounter("e3", "p2", "2024-05-02", "2024-05-03", org="B", **_meta(2)),
    ),
    "conditions/a.json": json.dumps([condition("c1", "p1", "2024-05-05", **_meta(2))]).encode(),
    "conditions/empty.ndjson": b"",
}
#: A correction, a tombstone, an older version that comes late, and a resource that is new.
CORRECTED = {
    "encounters/b.ndjson": _ndjson(
        encounter("e3", "p2", "2024-05-02", "2024-05-09", org="B", **_meta(3)),
        encounter("e1", "p1", "2024-05-01", "2024-06-10", **_meta(1)),
        encounter("e4", "p2", "2024-05-30", "2024-06-02", org="B", **_meta(3)),
    ),
    "bundles/b.json": json.dumps(
        {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [
                {
                    "resource": condition(
                        "c1",
                        "p1",
                        "2024-05-05",
                        verificationStatus={"coding": [{"code": "entered-in-error"}]},
                        **_meta(3),
                    )
                }
            ],
        }
    ).encode(),
}
CLINICAL = Story("clinical_quality", "landing/fhir/", {}, UPLOADS)

#: Every step that changes something, in its order.
STEPS = (
    "claim_uploads",
    "load_bronze",
    "plan_slices",
    "extract.silver_patient",
    "extract.silver_encounter",
    "extract.silver_condition",
    "extract.gold_stays",
    "extract.gold_infection_events",
    "extract.gold_clinical_measures",
    "check_results",
    "publish_results",
    "write_report",
    "archive_uploads",
)
_PUBLISH = "publish_results"
_MERGES = ("silver_patient", "silver_encounter", "silver_condition")


def clinical() -> Iterator[Row]:
    for step, fault, recovery, play in _cells():
        yield f"clinical.{step}", fault, recovery, play


def _cells() -> Iterator[Row]:
    for step in STEPS:
        for recovery in ("retry", "next run"):
            yield (
                step, "SIGKILL in the middle of its effects", recovery,
                partial(_killed, step=step, retried=recovery == "retry"),
            )  # fmt: skip
    moments: dict[str, Callable[[], Rule]] = {
        f"{moment} the MERGE of {table} is sent": partial(_merge, table, action)
        for table in _MERGES
        for moment, action in {"before": kill_before, "after": kill_after}.items()
    }
    moments["between two partitions"] = partial(
        Rule, kill_before, task=_PUBLISH, operation=MOVES, nth=2, attempt=1
    )
    moments["before the manifest"] = partial(
        Rule, kill_before, task=_PUBLISH, key="prod/manifests/", writes=True, attempt=1
    )
    for moment, rule in moments.items():
        for recovery in ("retry", "next run"):
            yield (
                _PUBLISH, f"SIGKILL {moment}", recovery,
                partial(_killed_publishing, rule=rule, retried=recovery == "retry"),
            )  # fmt: skip
    for table in _MERGES:
        yield (
            _PUBLISH, f"Athena: the MERGE of {table} fails, can be tried again", "retry",
            partial(_merge_fails, table=table),
        )  # fmt: skip
        yield (
            _PUBLISH, f"another run takes the same uploads, and more, before the MERGE of {table}", "next run",
            partial(_overtaken, table=table),
        )  # fmt: skip
    for step in ("load_bronze", _PUBLISH, "archive_uploads"):
        yield step, "S3: 503 SlowDown for a whole try", "retry", partial(_outage, step=step)
    yield "extract.gold_stays", "SIGKILL in a run without uploads", "next run", _killed_recomputing
    yield "load_bronze", "another key of pseudonyms", "next run", _another_key


def _merge(table: str, action: Callable[..., None]) -> Rule:
    return Rule(action, task=_PUBLISH, operation="StartQueryExecution", body=f"MERGE INTO {table}", attempt=1)


def _killed(stage: Stage, step: str, retried: bool) -> None:
    stage = stage.of(CLINICAL)
    kill(stage, kill_rule(stage, step, "in the middle of"), retried, merges=True)


def _killed_publishing(stage: Stage, rule: Callable[[], Rule], retried: bool) -> None:
    killed_publishing(stage.of(CLINICAL), rule, CORRECTED, retried)


def _merge_fails(stage: Stage, table: str) -> None:
    query_fails(stage.of(CLINICAL), step=_PUBLISH, of=f"MERGE INTO {table}")


def _overtaken(stage: Stage, table: str) -> None:
    overtaken(stage.of(CLINICAL), partial(_merge, table), more=CORRECTED, merges=True)


def _outage(stage: Stage, step: str) -> None:
    outage(stage.of(CLINICAL), step=step, action=refuse(503, "SlowDown"))


def _killed_recomputing(stage: Stage) -> None:
    """A run that only computes the measures anew dies; the next run, which has uploads, is not in its way."""
    stage = stage.of(CLINICAL)
    lake = stage.lake()
    before = lake.run()
    rule = Rule(kill_after, task="extract.gold_stays", operation="StartQueryExecution", attempt=1)
    outcome = lake.run([rule], settings=NO_RETRY, conf={"refresh": True})
    rules_fired([rule])
    require(outcome.state == "failed", "The run does not fail", outcome)
    lake.upload_all(CORRECTED)
    stage.recover(lake, [before, outcome], UPLOADS, CORRECTED, reports=False)


def _another_key(stage: Stage) -> None:
    """With another key nothing is published; with the right one the same uploads are."""
    stage = stage.of(CLINICAL)
    lake = stage.lake()
    before = lake.run()
    lake.upload_all(CORRECTED)
    other = json.dumps({"conn_type": "generic", "password": "another key, which makes other pseudonyms"})
    outcome = lake.run(settings={"AIRFLOW_CONN_MEDLAUNCH_PSEUDONYMS": other})
    failed_at_once(outcome, "check_results", lake, "pseudonyms come from 2 keys")
    stage.recover(lake, [before, outcome], UPLOADS, CORRECTED, reports=False)
