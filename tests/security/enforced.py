"""The real DAG as the workers' role: with an encrypted lake, and with exactly the permissions it is given.

The local AWS enforces IAM (``iam.py`` of packages/local-aws) on the keys of assumed roles, for requests and for what Athena
reads and writes on their behalf. Everything else in the tests is done as the account's administrator.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import httpx

from medlaunch import lake, permissions
from medlaunch.aws.objects import ObjectChanged
from medlaunch.ingest.fetch_parts import StagedParts
from medlaunch.ingest.fetch_run import VARIABLE
from medlaunch.permissions import EnvironmentArns, Statement
from medlaunch.pipelines import by_dag, iceberg_tables
from medlaunch.pipelines.cms_files import FETCHED_DATASETS
from tests.file_server import Resource, serve_files
from tests.pipeline import DAG_ID, ROOT, Pipeline
from tests.staffing_uploads import PBJ_HEADER, PROVIDER_HEADER, as_csv, pbj_row, provider_row

REGION, ACCOUNT = "us-east-1", "123456789012"
DAY = "2026-11-01"
ROLLBACK, REPLAY, FRESHNESS = "rollback_publication", "replay_uploads", "check_freshness"
FETCH, MAINTENANCE = "fetch_cms_files", "maintain_tables"


class EnforcedPipeline(Pipeline):
    """A pipeline whose tasks run as a role of their own, in a lake that is encrypted with a key of its own."""

    def __init__(self, aws: Any, url: str):
        super().__init__(
            aws,
            url,
            settings={"AIRFLOW_CONN_MEDLAUNCH_PSEUDONYMS": _KEY, "MEDLAUNCH_LOAD_PART_BYTES": "65536"},
        )
        self.aws = aws
        name = uuid.uuid4().hex[:10]
        key = aws("kms").create_key()["KeyMetadata"]["Arn"]
        self.s3.put_bucket_encryption(
            Bucket=self.bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [
                    {
                        "ApplyServerSideEncryptionByDefault": {
                            "SSEAlgorithm": "aws:kms",
                            "KMSMasterKeyID": key,
                        },
                        "BucketKeyEnabled": True,
                    }
                ]
            },
        )
        self.topic = aws("sns").create_topic(Name=f"alerts-{name}", Attributes={"KmsMasterKeyId": key})[
            "TopicArn"
        ]
        self.success_topic = aws("sns").create_topic(Name=f"successes-{name}")["TopicArn"]
        self.queues = {
            dag_id: aws("sqs").create_queue(
                QueueName=f"uploads-{name}-{dag_id}", Attributes={"KmsMasterKeyId": key}
            )["QueueUrl"]
            for dag_id in by_dag()
        }
        aws("glue").put_data_catalog_encryption_settings(
            DataCatalogEncryptionSettings={
                "EncryptionAtRest": {"CatalogEncryptionMode": "SSE-KMS", "SseAwsKmsKeyId": key},
                "ConnectionPasswordEncryption": {"ReturnConnectionPasswordEncrypted": False},
            }
        )
        # As in a new account: Athena creates its database `default` with the permissions of the first query.
        with suppress(aws("glue").exceptions.EntityNotFoundException):
            aws("glue").delete_database(Name="default")
        self.place = EnvironmentArns.of(
            region=REGION,
            account=ACCOUNT,
            bucket=self.bucket,
            database=self.database,
            workgroup=self.workgroup,
            alerts_topic=self.topic,
            success_topic=self.success_topic,
            uploads_queues=f"arn:aws:sqs:{REGION}:{ACCOUNT}:uploads-{name}-",
            key=key,
        )
        self.role = f"worker-{name}"
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "airflow-env.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        aws("iam").create_role(RoleName=self.role, AssumeRolePolicyDocument=json.dumps(trust))
        self.allow(permissions.of(DAG_ID))
        granted = aws("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{self.role}", RoleSessionName="worker"
        )["Credentials"]
        self.keys_of_role = {
            "AWS_ACCESS_KEY_ID": granted["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": granted["SecretAccessKey"],
            "AWS_SESSION_TOKEN": granted["SessionToken"],
        }

    def close(self) -> None:
        """Leave the catalog, which all tests share, as it was."""
        plain = {
            "EncryptionAtRest": {"CatalogEncryptionMode": "DISABLED"},
            "ConnectionPasswordEncryption": {"ReturnConnectionPasswordEncrypted": False},
        }
        self.aws("glue").put_data_catalog_encryption_settings(DataCatalogEncryptionSettings=plain)
        self.s3.delete_bucket_encryption(Bucket=self.bucket)

    def allow(self, statements: Sequence[Statement]) -> None:
        """Give the role these permissions, and take all others away."""
        document = json.dumps(permissions.policy(statements, self.place))
        self.aws("iam").put_role_policy(RoleName=self.role, PolicyName="pipeline", PolicyDocument=document)

    @contextmanager
    def environment(self) -> Iterator[None]:
        values = {**self.keys_of_role, "MEDLAUNCH_TASK_RETRIES": "0"}
        with patch.dict(os.environ, values), super().environment():
            yield

    def ledger(self) -> list[dict[str, Any]]:
        """What the role asked for since the last time, and which statements allowed it."""
        used = httpx.delete(f"{self.url}/_local_aws/permissions").json()["used"]
        return [one for one in used if f"/{self.role}/" in one["caller"]]


# ---------------------------------------------------------------------------------------------- the day


def _facility(number: int, **other: Any) -> dict[str, Any]:
    return {
        "facility_id": f"FAC{number:05d}",
        "facility_name": f"Facility {number}",
        "location": {"address": "1 Main St", "city": "Ann Arbor", "state": "MI", "zip": "48104"},
        "employee_count": 10,
        "services": ["a"],
        "labs": [],
        "accreditations": [
            {"accreditation_body": "J", "accreditation_id": "J1", "valid_until": "2027-01-31"}
        ],
        **other,
    }


def _lines(*records: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in records)


@lru_cache(maxsize=1)
def unreadable_upload() -> bytes:
    """More good and more rejected lines than one part of a multipart upload holds, and then the end of the file
    is missing: a writer has something to abort."""
    name = "x" * 20_000
    good = [_facility(100 + number, facility_name=name) for number in range(500)]
    bad = [_facility(100 + number, facility_name=name, employee_count=-1) for number in range(500)]
    packed = gzip.compress(_lines(*good, *bad), 1)
    return packed[: len(packed) - 100]


def _large_upload() -> bytes:
    """One that is loaded in parts, of which the last one rejects a line."""
    good = [_facility(2_000 + number, facility_name="x" * 1_000) for number in range(200)]
    return _lines(*good, _facility(2_000, employee_count=-1))


def first_run(pipeline: EnforcedPipeline) -> Any:
    """Uploads with and without tags, a large one, one that is not data, one that breaks off."""
    for file, body in {
        "a.jsonl": _lines(_facility(1), _facility(2, employee_count=-1)),
        "large.jsonl": _large_upload(),
        ".keep": b"",
        "broken.jsonl.gz": unreadable_upload(),
    }.items():
        pipeline.s3.put_object(
            Bucket=pipeline.bucket,
            Key=f"landing/facilities/{DAY}/{file}",
            Body=body,
            Tagging="source=partner",
        )
    return pipeline.run()


def second_run(pipeline: EnforcedPipeline) -> Any:
    """The same file again, with nothing to reject, and another: the snapshot gets a new version."""
    pipeline.next_second()
    pipeline.upload(DAY, "c.jsonl", _lines(_facility(3, employee_count=-1)))
    pipeline.upload(DAY, "a.jsonl", _lines(_facility(1), _facility(2)))
    return pipeline.run()


# --- nurse staffing: two data sets, each with its own tasks

STAFFING = "nurse_staffing"
QUARTERS = {"pbj": "2024Q2", "provider_info": "2024Q2"}


def _pbj(*names: str) -> bytes:
    """A record for each name; a name that begins with a sign is that of a record with an invalid CCN."""
    rows = [
        pbj_row("" if name.startswith("!") else f"{15009 + number:06}", "2024-04-01", rn="20")
        for number, name in enumerate(names)
    ]
    return as_csv(PBJ_HEADER, [[row[0], name, *row[2:]] for row, name in zip(rows, names, strict=True)])


def _provider_info(*names: str) -> bytes:
    rows = [
        provider_row("" if name.startswith("!") else f"{15009 + number:06}", "2024-05-01")
        for number, name in enumerate(names)
    ]
    return as_csv(PROVIDER_HEADER, [[row[0], name, *row[2:]] for row, name in zip(rows, names, strict=True)])


_MAKE = {"pbj": _pbj, "provider_info": _provider_info}


@lru_cache(maxsize=2)
def _unreadable_staffing(dataset: str) -> bytes:
    """As :func:`unreadable_upload`."""
    name = "x" * 2_500
    packed = gzip.compress(_MAKE[dataset](*([name] * 4_500), *([f"!{name}"] * 4_500)), 1)
    return packed[: len(packed) - 100]


def first_staffing_run(pipeline: EnforcedPipeline) -> Any:
    """Uploads of both data sets, with something to reject, one that is not data, one that breaks off."""
    for dataset, make in _MAKE.items():
        for file, body in {
            "a.csv": make("Home", "!Home"),
            ".keep": b"",
            "broken.csv.gz": _unreadable_staffing(dataset),
        }.items():
            pipeline.s3.put_object(
                Bucket=pipeline.bucket, Key=f"landing/{dataset}/{file}", Body=body, Tagging="source=cms"
            )
    return pipeline.run(STAFFING)


def second_staffing_run(pipeline: EnforcedPipeline) -> Any:
    """The same files again, with nothing to reject."""
    pipeline.next_second()
    for dataset, make in _MAKE.items():
        pipeline.s3.put_object(
            Bucket=pipeline.bucket, Key=f"landing/{dataset}/a.csv", Body=make("Home", "Another")
        )
    return pipeline.run(STAFFING)


def _staffing_rolled_back(track: str, pipeline: EnforcedPipeline) -> Any:
    return pipeline.run(
        ROLLBACK,
        pipeline=f"{STAFFING}.{track}",
        slice=QUARTERS[track],
        reason="a test",
        dry_run=False,
    )


def _staffing_replayed(track: str, pipeline: EnforcedPipeline) -> Any:
    quarter = QUARTERS[track]
    return pipeline.run(
        REPLAY, dataset=track, slice_from=quarter, slice_to=quarter, reason="a test", dry_run=False
    )


# --- clinical quality: one pipeline with four datasets

CLINICAL = "clinical_quality"
_KEY = json.dumps({"conn_type": "generic", "password": "the key of tests, not of anything else"})


def _resource(kind: str, number: int, text: str = "a", *, bad: bool = False) -> dict[str, Any]:
    """A resource that is as long as ``text`` in bronze too; a bad one is rejected."""
    day = f"2026-01-{number % 28 + 1:02}"
    own: dict[str, dict[str, Any]] = {
        "Patient": {"identifier": [{"value": text}]},
        "Encounter": {
            "status": "finished",
            "class": {"code": "IMP"},
            "type": [{"coding": [{"code": text}]}],
            "subject": {"reference": "Patient/1"},
            "serviceProvider": {"reference": "Organization/1"},
            "period": {"start": day, "end": "2026-02-20"},
        },
        "Condition": {
            "verificationStatus": {"coding": [{"system": _VERIFICATION, "code": "confirmed"}]},
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "233604007"}, {"code": text}]},
            "subject": {"reference": "Patient/1"},
            "encounter": {"reference": "Encounter/1"},
            "onsetDateTime": "2026-02-01",
        },
    }
    meta = {"meta": {"lastUpdated": "yesterday"}} if bad else {}
    return {"resourceType": kind, "id": f"{number}", **own[kind], **meta}


_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_FHIR = {"patients": "Patient", "encounters": "Encounter", "conditions": "Condition", "bundles": "Patient"}


@lru_cache(maxsize=4)
def _unreadable_fhir(folder: str) -> bytes:
    """As :func:`unreadable_upload`."""
    text = "x" * 20_000
    lines = [_resource(_FHIR[folder], 100 + number, text, bad=number >= 500) for number in range(1000)]
    packed = gzip.compress(_lines(*lines), 1)
    return packed[: len(packed) - 100]


def first_clinical_run(pipeline: EnforcedPipeline) -> Any:
    """Uploads to each folder, with something to reject, one that is not data, one that breaks off."""
    for folder, kind in _FHIR.items():
        for file, body in {
            "a.ndjson": _lines(_resource(kind, 1), _resource(kind, 2, bad=True)),
            ".keep": b"",
            "broken.ndjson.gz": _unreadable_fhir(folder),
        }.items():
            pipeline.s3.put_object(
                Bucket=pipeline.bucket,
                Key=f"landing/fhir/{folder}/{file}",
                Body=body,
                Tagging="source=clinic",
            )
    return pipeline.run(CLINICAL)


def second_clinical_run(pipeline: EnforcedPipeline) -> Any:
    """The same files again, with nothing to reject and a resource more."""
    pipeline.next_second()
    for folder, kind in _FHIR.items():
        body = _lines(_resource(kind, 1), _resource(kind, 2))
        pipeline.s3.put_object(Bucket=pipeline.bucket, Key=f"landing/fhir/{folder}/a.ndjson", Body=body)
    return pipeline.run(CLINICAL)


def _clinical_rolled_back(pipeline: EnforcedPipeline) -> Any:
    return pipeline.run(ROLLBACK, pipeline=CLINICAL, slice="all", reason="a test", dry_run=False)


def _clinical_replayed(folder: str, pipeline: EnforcedPipeline) -> Any:
    return pipeline.run(
        REPLAY, dataset=f"fhir/{folder}", slice_from="all", slice_to="all", reason="a test", dry_run=False
    )


# --- every pipeline

#: DAG -> of each of its pipelines, a task that runs a statement and writes a result.
QUERY_TASKS = {
    DAG_ID: ("extract.facility_metrics",),
    CLINICAL: ("extract.gold_stays",),
    STAFFING: ("pbj.extract.silver_pbj_daily", "provider_info.extract.silver_provider_info"),
}


def _query_tasks(dag_id: str) -> list[Any]:
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(ROOT / "dags").dags[dag_id]
    return [dag.get_task(one) for one in QUERY_TASKS[dag_id]]


def retried_query(dag_id: str, pipeline: EnforcedPipeline) -> None:
    """A query is tried again, and its target is not empty: the first try was killed while it wrote."""
    pipeline.athena.start_query_execution(QueryString="SELECT 1", WorkGroup=pipeline.workgroup)
    with pipeline.environment():
        for operator in _query_tasks(dag_id):
            target = f"{lake.staging_prefix(operator.pipeline, 'retried')}{operator.writes}/"
            pipeline.s3.put_object(Bucket=pipeline.bucket, Key=f"{target}half-written", Body=b"half")
            operator.target = target
            operator.query = (
                f"UNLOAD (SELECT 1 AS one) TO 's3://{pipeline.bucket}/{target}' WITH (format = 'JSON')"
            )
            operator.execute({"ti": SimpleNamespace(xcom_push=lambda *_: None, try_number=2)})
            assert f"{target}half-written" not in pipeline.keys(target)


def stopped_query(dag_id: str, pipeline: EnforcedPipeline) -> None:
    """A task is killed while its query runs."""
    with pipeline.environment():
        operator = _query_tasks(dag_id)[0]
        operator.query_execution_id = operator.hook.run_query("SELECT 1", {}, {}, None, pipeline.workgroup)
        operator.on_kill()


def waking_event(dag_id: str, pipeline: EnforcedPipeline) -> None:
    """An event in the uploads queue, as the triggerer's watcher takes it."""
    from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger

    pipeline.aws("sqs").send_message(QueueUrl=pipeline.queues[dag_id], MessageBody="{}")

    async def first_event() -> None:
        trigger = SqsSensorTrigger(
            sqs_queue=pipeline.queues[dag_id], waiter_delay=1, max_messages=1, wait_time_seconds=0
        )
        async for _ in trigger.run():
            return

    with pipeline.environment():
        asyncio.run(asyncio.wait_for(first_event(), 20))


def success_published(dag_id: str, pipeline: EnforcedPipeline) -> None:
    """A run has succeeded, and the topic of successes gets a message."""
    from medlaunch.operate import alerts

    message = {"summary": "published", "pipeline": dag_id, "environment": "test", "severity": "info"}
    with pipeline.environment():
        alerts.publish(message, topic_arn=pipeline.success_topic)


def found_stale(pipeline: EnforcedPipeline) -> Any:
    """The last publication is longer ago than it may be."""
    with patch.dict(os.environ, {"MEDLAUNCH_STALE_AFTER_SECONDS": "0.001"}):
        return pipeline.run(FRESHNESS)


def rolled_back(pipeline: EnforcedPipeline) -> Any:
    """The second version was a mistake."""
    return pipeline.run(ROLLBACK, slice=DAY, reason="a test", dry_run=False)


def replayed(pipeline: EnforcedPipeline) -> Any:
    """All that was archived of the snapshot is processed once more."""
    return pipeline.run(
        REPLAY, slice_from=DAY, slice_to=DAY, include_excluded=True, reason="a test", dry_run=False
    )


@contextmanager
def _offering(*bodies: bytes) -> Iterator[str]:
    """A server with a file of each of these bodies for each dataset that files are fetched for; yields the sources."""
    with serve_files() as server:
        server.files = {f"/{number}.csv": Resource.of(body) for number, body in enumerate(bodies)}
        entries = [{"downloadURL": path} for path in server.files]
        document = {"dataset": [{"title": "Files", "distribution": entries}]}
        server.files["/data.json"] = Resource.of(json.dumps(document).encode())
        yield json.dumps(
            [
                {
                    "kind": "catalogue",
                    "name": f"agency-{number}",
                    "url": f"{server.url}/data.json",
                    "wanted": [{"title": "Files", "dataset": dataset, "extensions": [".csv"]}],
                }
                for number, dataset in enumerate(FETCHED_DATASETS)
            ]
        )


def fetched(pipeline: EnforcedPipeline) -> Any:
    """Files are fetched for each dataset; one of them comes in more than one part."""
    with _offering(b"fetched", b"x" * (17 * 1024**2)) as sources:
        values = {f"AIRFLOW_VAR_{VARIABLE.upper()}": sources, "MEDLAUNCH_FETCH_INTERVAL_SECONDS": "0"}
        with patch.dict(os.environ, values):
            return pipeline.run(FETCH)


def assembly_broken_off(pipeline: EnforcedPipeline) -> None:
    """While a file is put together in landing, another process writes parts of it."""
    from medlaunch.aws.clients import s3_client

    for dataset in FETCHED_DATASETS:
        with pipeline.environment():
            prefix = lake.parts_prefix(FETCH, "agency", dataset)
            parts = StagedParts(s3_client("aws_default"), pipeline.bucket, prefix)
            parts.restart("1")
            parts.append(b"x" * (9 * 1024**2))
            with suppress(ObjectChanged):
                parts.assemble(lake.landing_key(dataset, "broken.csv"), "0" * 64)
            parts.restart(None)


def maintained(pipeline: EnforcedPipeline) -> Any:
    """Every table has several files, and snapshots that it need not keep."""
    keep = "'optimize_rewrite_data_file_threshold' = '2', 'vacuum_max_snapshot_age_seconds' = '0'"
    for table in iceberg_tables():
        pipeline.select(f"ALTER TABLE {table} SET TBLPROPERTIES ({keep})")
        pipeline.select(f"INSERT INTO {table} SELECT * FROM {table}")
    return pipeline.run(MAINTENANCE)


def query_stopped(pipeline: EnforcedPipeline) -> None:
    """A task is killed while its query runs."""
    from medlaunch.aws.clients import athena_client

    with pipeline.environment():
        athena = athena_client("aws_default")
        started = athena.start_query_execution(QueryString="SELECT 1", WorkGroup=pipeline.workgroup)
        athena.stop_query_execution(QueryExecutionId=started["QueryExecutionId"])


@dataclass(frozen=True)
class Stage:
    """Something that happens in a pipeline's life, with the permissions of a DAG.

    ``after`` names what must have happened before it. ``missing`` (Sid, action) is taken away in a life that is
    lived for the record, so that there is a failed run, and its alert, too. ``is_run``: what happens is a run of
    the DAG; otherwise it is a part of one, and raises.
    """

    dag_id: str
    happens: Callable[[EnforcedPipeline], Any]
    after: tuple[str, ...] = ()
    missing: tuple[str, str] | None = None
    is_run: bool = True


def _parts(dag_id: str, title: str = "") -> dict[str, Stage]:
    """What happens beside the runs of a DAG."""
    parts = {
        "retried query": retried_query,
        "stopped query": stopped_query,
        "waking event": waking_event,
        "success published": success_published,
    }
    return {
        f"{title}{name}": Stage(dag_id, partial(happens, dag_id), is_run=False)
        for name, happens in parts.items()
    }


#: In the order in which they can happen.
STAGES = {
    "first run": Stage(DAG_ID, first_run),
    "replay": Stage(REPLAY, replayed, ("first run",), missing=("WriteReports", "s3:PutObject")),
    "second run": Stage(
        DAG_ID,
        second_run,
        ("first run",),
        missing=("RemoveProcessedUploads", "s3:DeleteObjectVersion"),
    ),
    **_parts(DAG_ID),
    "first staffing run": Stage(STAFFING, first_staffing_run),
    **{
        f"replay of {track}": Stage(REPLAY, partial(_staffing_replayed, track), ("first staffing run",))
        for track in QUARTERS
    },
    "second staffing run": Stage(
        STAFFING,
        second_staffing_run,
        ("first staffing run",),
        missing=("RemoveProcessedUploads", "s3:DeleteObjectVersion"),
    ),
    **_parts(STAFFING, "staffing: "),
    "first clinical run": Stage(CLINICAL, first_clinical_run),
    **{
        f"replay of {folder}": Stage(REPLAY, partial(_clinical_replayed, folder), ("first clinical run",))
        for folder in _FHIR
    },
    "second clinical run": Stage(
        CLINICAL,
        second_clinical_run,
        ("first clinical run",),
        missing=("RemoveProcessedUploads", "s3:DeleteObjectVersion"),
    ),
    **_parts(CLINICAL, "clinical: "),
    "fetch": Stage(FETCH, fetched, missing=("WriteReports", "s3:PutObject")),
    "assembly broken off": Stage(FETCH, assembly_broken_off, is_run=False),
    "stale": Stage(FRESHNESS, found_stale, ("first run", "first staffing run", "first clinical run")),
    "rollback": Stage(
        ROLLBACK, rolled_back, ("first run", "second run"), missing=("WriteReports", "s3:PutObject")
    ),
    "rollback: stopped query": Stage(ROLLBACK, query_stopped, is_run=False),
    **{
        f"rollback of {track}": Stage(
            ROLLBACK,
            partial(_staffing_rolled_back, track),
            ("first staffing run", "second staffing run"),
        )
        for track in QUARTERS
    },
    "rollback of clinical quality": Stage(
        ROLLBACK, _clinical_rolled_back, ("first clinical run", "second clinical run")
    ),
    "maintenance": Stage(
        MAINTENANCE,
        maintained,
        ("first staffing run", "first clinical run"),
        missing=("WriteReports", "s3:PutObject"),
    ),
    "maintenance: stopped query": Stage(MAINTENANCE, query_stopped, is_run=False),
}


def live(pipeline: EnforcedPipeline) -> dict[str, list[dict[str, Any]]]:
    """Go through all stages; returns what each of them asked for."""
    used = {}
    for name, stage in STAGES.items():
        statements = permissions.of(stage.dag_id)
        pipeline.allow(without(statements, *stage.missing) if stage.missing else statements)
        run = stage.happens(pipeline)
        assert run is None or run.state == ("failed" if stage.missing else "success"), name
        used[name] = pipeline.ledger()
    return used


def failed_tasks(run: Any) -> set[str]:
    return {one.task_id for one in run.get_task_instances() if one.state == "failed"}


def without(statements: Sequence[Statement], sid: str, action: str) -> list[Statement]:
    """The statements less one action of one of them."""
    less = []
    for one in statements:
        if one.sid == sid:
            left = tuple(other for other in one.actions if other != action)
            if left:
                less.append(replace(one, actions=left))
        else:
            less.append(one)
    return less
