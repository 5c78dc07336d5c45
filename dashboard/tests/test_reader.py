"""The dashboard with exactly the permissions of readers: each is needed, and nothing else is allowed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from dashboard import app
from dashboard.config import Config
from dashboard.errors import Forbidden, QueryError
from dashboard.queries import Query, Reader
from dashboard.tests.pages import PAGES, Open, messages

# What a small, unencrypted lake does not need: results in parts, a key, a query that is stopped.
NOT_NEEDED_HERE = {
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "athena:StopQueryExecution",
}
QUERIES: dict[str, dict[str, str | int]] = {
    "common/published": {},
    "common/runs": {"rows": 5},
    "accreditation/trend": {"state": ""},
    "staffing/states": {"quarter": "2024Q2"},
    "clinical/months": {"org": "ALL", "measures": "alos"},
}
DAGS = {
    "accreditation": "facility_accreditation",
    "staffing": "nurse_staffing",
    "clinical": "clinical_quality",
}


def declared(lake: dict[str, Any], name: str) -> bool:
    """Whether the pipeline of a page or a statement is declared, from which the readers' permissions are built."""
    return DAGS.get(name.replace("/", "_").split("_")[0], lake["dags"][0]) in lake["dags"]


@contextmanager
def as_reader(
    lake: dict[str, Any], environment: pytest.MonkeyPatch, policy: dict[str, Any]
) -> Iterator[None]:
    """The keys of the reader's role, with these permissions only."""
    role = lake["reader"]["role"]
    boto3.session.Session().client("iam").put_role_policy(
        RoleName=role.rsplit("/", 1)[1], PolicyName="reader", PolicyDocument=json.dumps(policy)
    )
    keys = (
        boto3.session.Session()
        .client("sts")
        .assume_role(RoleArn=role, RoleSessionName="dashboard")["Credentials"]
    )
    with environment.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
        patch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
        yield


def actions(policy: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["Sid"], action) for one in policy["Statement"] for action in one["Action"]]


def without(policy: dict[str, Any], sid: str, action: str) -> dict[str, Any]:
    less = copy.deepcopy(policy)
    for one in less["Statement"]:
        if one["Sid"] == sid:
            one["Action"].remove(action)
    less["Statement"] = [one for one in less["Statement"] if one["Action"]]
    return less


def test_every_page_works_with_the_readers_permissions(
    page: Open, lake: dict[str, Any], environment: pytest.MonkeyPatch
) -> None:
    with as_reader(lake, environment, lake["reader"]["policy"]):
        for name in (one for one in PAGES if declared(lake, one)):
            shown = page(name)
            assert not shown.exception
            assert not shown.error, f"{name}: {messages(shown)}"


def test_each_permission_is_needed(lake: dict[str, Any], environment: pytest.MonkeyPatch) -> None:
    policy = lake["reader"]["policy"]
    needed = [one for one in actions(policy) if one[1] not in NOT_NEEDED_HERE]
    assert len(needed) > 8
    asked = {name: values for name, values in QUERIES.items() if declared(lake, name)}
    with as_reader(lake, environment, policy):
        Reader(Config.from_environment()).rows(
            *(Query.of(name, "all", **values) for name, values in asked.items())
        )
    idle = []
    for number, (sid, action) in enumerate(needed):
        with as_reader(lake, environment, without(policy, sid, action)):
            reader = Reader(Config.from_environment())
            try:
                # A version of its own, so that no answer of another query is used again.
                reader.rows(*(Query.of(name, f"{sid}{number}", **values) for name, values in asked.items()))
            except Forbidden:
                continue
            except QueryError as error:
                pytest.fail(f"Without {action} of {sid}: {error.detail}")
            idle.append(f"{sid}: {action}")
    assert idle == []


@pytest.mark.parametrize(
    "prefix", ["landing/", "archive/", "bronze/", "staging/", "quarantine/", "prod/silver_patient/"]
)
def test_what_is_not_published_cannot_be_read(
    lake: dict[str, Any], environment: pytest.MonkeyPatch, prefix: str
) -> None:
    bucket = lake["reader"]["bucket"]
    found = (
        boto3.session.Session()
        .client("s3")
        .list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        .get("Contents", [])
    )
    key = found[0]["Key"] if found else f"{prefix}any"
    with as_reader(lake, environment, lake["reader"]["policy"]):
        s3 = boto3.session.Session().client("s3")
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.get_object(Bucket=bucket, Key=key)
        if not prefix.startswith("prod"):
            with pytest.raises(ClientError, match="AccessDenied"):
                s3.list_objects_v2(Bucket=bucket, Prefix=prefix)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT birth_date FROM silver_patient",
        "DROP TABLE accredited_facilities_by_state",
        "DELETE FROM gold_daily_staffing_fact",
        "CREATE TABLE mine AS SELECT 1 AS one",
    ],
)
def test_readers_only_read_what_is_published(
    lake: dict[str, Any], environment: pytest.MonkeyPatch, statement: str
) -> None:
    with as_reader(lake, environment, lake["reader"]["policy"]):
        athena = boto3.session.Session().client("athena")
        try:
            query = athena.start_query_execution(
                QueryString=statement,
                QueryExecutionContext={"Database": lake["environment"]["DASHBOARD_DATABASE"]},
                WorkGroup=lake["environment"]["DASHBOARD_WORKGROUP"],
            )["QueryExecutionId"]
        except ClientError as error:
            assert "AccessDenied" in str(error)  # noqa: PT017  # refused at once or when it runs
            return
        while True:
            status = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
            if status["State"] not in ("QUEUED", "RUNNING"):
                break
    assert status["State"] == "FAILED"
    assert (
        "denied" in status["StateChangeReason"].lower()
        or "not authorized" in status["StateChangeReason"].lower()
    )


def test_another_workgroup_is_refused(lake: dict[str, Any], environment: pytest.MonkeyPatch) -> None:
    with as_reader(lake, environment, lake["reader"]["policy"]):
        environment.setenv("DASHBOARD_WORKGROUP", "primary")
        with pytest.raises(Forbidden):
            Reader(Config.from_environment()).rows(Query.of("common/published", "other"))


def test_pages_are_listed_once() -> None:
    files = [file for pages in app.PAGES.values() for file, *_ in pages]
    assert len(files) == len(set(files))
