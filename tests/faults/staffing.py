"""Cells of nurse staffing: two tracks, whose Iceberg tables change by one MERGE each."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tests.faults.cells import (
    Row,
    kill,
    kill_rule,
    killed_publishing,
    outage,
    overtaken,
    query_fails,
)
from tests.faults.proxy import Rule, kill_after, kill_before, refuse
from tests.faults.stage import Stage, Story, require, rules_fired
from tests.staffing_uploads import PBJ_HEADER, PROVIDER_HEADER, as_csv, pbj_row, provider_row


def _pbj(*rows: list[object]) -> bytes:
    return as_csv(PBJ_HEADER, rows)


def _provider(*rows: list[object]) -> bytes:
    return as_csv(PROVIDER_HEADER, rows)


def _days(ccn: str, month: int, **hours: Any) -> list[list[object]]:
    return [pbj_row(ccn, f"2024-{month:02}-{day:02}", 10, **hours) for day in range(1, 4)]


UPLOADS: dict[str, bytes] = {
    "pbj/PBJ_2024Q1.csv": _pbj(*_days("015009", 2, Hrs_RN=8)),
    "pbj/PBJ_2024Q2.csv": _pbj(
        *_days("015009", 4, Hrs_RN=8, Hrs_CNA=24),
        *_days("415001", 5, Hrs_LPN=12),
        pbj_row("1", "2024-04-31"),  # rejected
    ),
    "pbj/empty.csv": b"",
    "provider_info/NH_2024-04.csv": _provider(
        provider_row("015009", "2024-04-01", total="3.2"), provider_row("415001", "2024-04-01", beds=5)
    ),
}
#: Restates a day of one quarter, makes a value blank, and adds another quarter and a snapshot.
RESTATED = {
    "pbj/PBJ_2024Q2_restated.csv": _pbj(
        pbj_row("015009", "2024-04-01", "", Hrs_RN=16), *_days("415001", 7, Hrs_LPN=9)
    ),
    "provider_info/NH_2024-05.csv": _provider(provider_row("015009", "2024-05-01", beds=30, total="4.1")),
}
STAFFING = Story("nurse_staffing", "landing/", {"expect_change": True}, UPLOADS)

#: The steps of a track that change something, in their order.
STEPS = (
    "pbj.claim_uploads",
    "pbj.load_bronze",
    "pbj.plan_slices",
    "pbj.extract.silver_pbj_daily",
    "pbj.extract.gold_daily_staffing_fact",
    "pbj.extract.gold_pbj_facility",
    "pbj.check_results",
    "pbj.publish_results",
    "pbj.write_report",
    "pbj.archive_uploads",
    "provider_info.extract.silver_provider_info",
    "provider_info.publish_results",
)
_PUBLISH = "pbj.publish_results"
_MERGES = ("silver_pbj_daily", "gold_daily_staffing_fact", "gold_pbj_facility")


def staffing() -> Iterator[Row]:
    for step in STEPS:
        for recovery in ("retry", "next run"):
            yield (
                step, "SIGKILL in the middle of its effects", recovery,
                partial(_killed, step=step, retried=recovery == "retry"),
            )  # fmt: skip
    for table in _MERGES:
        for moment, action in {"before": kill_before, "after": kill_after}.items():
            rule = partial(_merge, table, action)
            for recovery in ("retry", "next run"):
                yield (
                    _PUBLISH, f"SIGKILL {moment} the MERGE of {table} is sent", recovery,
                    partial(_killed_publishing, rule=rule, retried=recovery == "retry"),
                )  # fmt: skip
        yield (
            _PUBLISH, f"Athena: the MERGE of {table} fails, can be tried again", "retry",
            partial(_merge_fails, table=table),
        )  # fmt: skip
    for step in ("pbj.load_bronze", "pbj.publish_results", "provider_info.archive_uploads"):
        yield (
            step,
            "S3: 503 SlowDown for a whole try",
            "retry",
            partial(_outage, step=step),
        )
    for step, other in (
        ("pbj.load_bronze", "provider_info"),
        ("provider_info.load_bronze", "pbj"),
        ("pbj.publish_results", "provider_info"),
    ):
        yield (
            step,
            f"AccessDenied; {other} goes on to its end",
            "next run",
            partial(_one_track, step=step, other=other),
        )
    for table in _MERGES:
        yield (
            _PUBLISH,
            f"another run takes the same uploads, and more, before the MERGE of {table}",
            "next run",
            partial(_overtaken, table=table),
        )
    yield "pbj.load_bronze", "a zip bomb beside good uploads", "none needed", _zip_bomb


def _merge(table: str, action: Callable[..., None]) -> Rule:
    return Rule(action, task=_PUBLISH, operation="StartQueryExecution", body=f"MERGE INTO {table}", attempt=1)


def _killed(stage: Stage, step: str, retried: bool) -> None:
    stage = stage.of(STAFFING)
    kill(stage, kill_rule(stage, step, "in the middle of"), retried, merges=True)


def _killed_publishing(stage: Stage, rule: Callable[[], Rule], retried: bool) -> None:
    killed_publishing(stage.of(STAFFING), rule, RESTATED, retried)


def _merge_fails(stage: Stage, table: str) -> None:
    query_fails(stage.of(STAFFING), step=_PUBLISH, of=f"MERGE INTO {table}")


def _outage(stage: Stage, step: str) -> None:
    outage(stage.of(STAFFING), step=step, action=refuse(503, "SlowDown"))


def _overtaken(stage: Stage, table: str) -> None:
    overtaken(stage.of(STAFFING), partial(_merge, table), more=RESTATED, merges=True)


def _one_track(stage: Stage, step: str, other: str) -> None:
    """The other track publishes and archives; the run fails, with one alert; the next run does the rest."""
    stage = stage.of(STAFFING)
    lake = stage.lake()
    rule = Rule(refuse(403, "AccessDenied"), task=step, operation="PutObject", times=None)
    outcome = lake.run([rule])
    rules_fired([rule])
    require(outcome.state == "failed", "The run does not fail", outcome)
    ended = {task: state for task, state in outcome.tasks.items() if task.startswith(f"{other}.")}
    require(set(ended.values()) == {"success"}, f"The other track did not end well: {ended}", outcome)
    stage.recover(lake, [outcome], reports=False)


def _zip_bomb(stage: Stage) -> None:
    """It is skipped with a warning; everything else is published."""
    packed = io.BytesIO()
    # A thousand times as large as the archive, and more than 1 GiB: beyond what is read of any.
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("PBJ.csv", "w") as member,
    ):
        for _ in range(70):
            member.write(bytes(16 * 1024**2))
    stage = stage.of(STAFFING)
    lake = stage.lake(UPLOADS | {"pbj/bomb.zip": packed.getvalue()})
    outcome = lake.run()
    require(outcome.state == "success", "The run fails", outcome)
    lake.read_alerts()
    require(len(lake.warnings) == 1, f"{len(lake.warnings)} warnings", outcome)
    for folder in ("archive/pbj", "quarantine/pbj/skipped"):
        lake.s3.delete_object(Bucket=lake.bucket, Key=f"{folder}/bomb.zip")
    stage.recover(lake, [outcome], reports=False)
