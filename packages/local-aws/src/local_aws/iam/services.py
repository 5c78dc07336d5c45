"""What requests to Glue, Athena, SNS and SQS need.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Protocol

from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from local_aws.iam import kms
from local_aws.iam.callers import ACCOUNT
from local_aws.iam.policies import Access, Unknown

# --------------------------------------------------------------------------------------------- Glue


def glue_arns(region: str, database: str | None = None, table: str | None = None) -> list[str]:
    """A resource of the catalog and its ancestors, for each of which Glue wants the permission."""
    root = f"arn:aws:glue:{region}:{ACCOUNT}"
    arns = [f"{root}:catalog"]
    if database is not None:
        arns.append(f"{root}:database/{database}")
        if table is not None:
            arns.append(f"{root}:table/{database}/{table}")
    return arns


def glue(operation: str, body: dict[str, Any], region: str) -> Iterator[Access]:
    database = body.get("DatabaseName")
    table = body.get("TableName") or (body.get("TableInput") or {}).get("Name")
    if re.fullmatch(r"(Get|Create|Update|Delete)Database", operation):
        database = body.get("Name") or (body.get("DatabaseInput") or {}).get("Name")
    elif operation in ("GetTable", "DeleteTable"):
        table = body.get("Name")
    elif operation == "GetTables":
        table = "*"
    elif operation not in ("GetDatabases", "CreateTable", "UpdateTable") and "Partition" not in operation:
        raise Unknown
    for arn in glue_arns(region, database, table):
        yield Access(f"glue:{operation}", arn)
    yield from kms.catalog(operation, region)


# ------------------------------------------------------------------------------------------- Athena

# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonathena.html: what each action is on.
_ON_WORKGROUP = {
    *("StartQueryExecution", "GetQueryExecution", "StopQueryExecution", "BatchGetQueryExecution"),
    *("ListQueryExecutions", "GetQueryResults", "GetQueryRuntimeStatistics"),
    *("CreateNamedQuery", "GetNamedQuery", "BatchGetNamedQuery", "ListNamedQueries", "UpdateNamedQuery"),
    *("DeleteNamedQuery", "CreatePreparedStatement", "GetPreparedStatement", "BatchGetPreparedStatement"),
    *("ListPreparedStatements", "UpdatePreparedStatement", "DeletePreparedStatement"),
    *("CreateWorkGroup", "GetWorkGroup", "UpdateWorkGroup", "DeleteWorkGroup"),
}
_ON_CATALOG = {
    *("CreateDataCatalog", "GetDataCatalog", "UpdateDataCatalog", "DeleteDataCatalog"),
    *("GetDatabase", "ListDatabases", "GetTableMetadata", "ListTableMetadata"),
}
_ON_TAGGED = {"TagResource", "UntagResource", "ListTagsForResource"}
_ON_NOTHING = {"ListDataCatalogs", "ListEngineVersions", "ListWorkGroups"}


class Athena(Protocol):
    """What a request to Athena is about, where it names that by an id only."""

    def workgroup_of(self, region: str, identifier: str) -> str | None:
        """The workgroup of a query execution or of a named query."""
        ...

    def result_of(self, region: str, query_id: str) -> tuple[str, str] | None:
        """Bucket and key of a query's result; None where Athena keeps it."""
        ...


def workgroup_arn(region: str, name: str) -> str:
    return f"arn:aws:athena:{region}:{ACCOUNT}:workgroup/{name}"


def _catalog_arn(region: str, name: str) -> str:
    return f"arn:aws:athena:{region}:{ACCOUNT}:datacatalog/{name}"


def athena(operation: str, body: dict[str, Any], region: str, known: Athena) -> Iterator[Access]:
    action = f"athena:{operation}"
    if operation in _ON_WORKGROUP:
        for workgroup in _workgroups(body, region, known):
            yield Access(action, workgroup_arn(region, workgroup))
    elif operation in _ON_CATALOG:
        yield Access(action, _catalog_arn(region, body.get("CatalogName") or body.get("Name") or "*"))
    elif operation in _ON_TAGGED:
        yield Access(action, body.get("ResourceARN") or "*")
    elif operation in _ON_NOTHING:
        yield Access(action, "*")
    else:
        raise Unknown
    if operation == "StartQueryExecution":
        # "Example policy for querying a specified data catalog"; the account's own needs nothing of its own.
        # https://docs.aws.amazon.com/athena/latest/ug/datacatalogs-example-policies.html
        catalog = (body.get("QueryExecutionContext") or {}).get("Catalog") or ""
        if catalog.lower() not in ("", "awsdatacatalog"):
            yield Access("athena:GetDataCatalog", _catalog_arn(region, catalog))
    if operation == "GetQueryResults":
        # https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html
        result = known.result_of(region, str(body.get("QueryExecutionId")))
        if result is not None:
            yield Access("s3:GetObject", "arn:aws:s3:::" + "/".join(result))
            yield from kms.reading(result[0], region)


def _workgroups(body: dict[str, Any], region: str, known: Athena) -> list[str]:
    """The workgroups that a request is about."""
    if isinstance(body.get("Name"), str) and "QueryString" not in body and "NamedQueryId" not in body:
        return [body["Name"]]  # CreateWorkGroup's
    if body.get("WorkGroup"):
        return [body["WorkGroup"]]
    ids = [body.get(name) for name in ("QueryExecutionId", "NamedQueryId")]
    ids += [*(body.get("QueryExecutionIds") or []), *(body.get("NamedQueryIds") or [])]
    found = {known.workgroup_of(region, str(one)) or "primary" for one in ids if one}
    return sorted(found) or ["primary"]


# -------------------------------------------------------------------------------------- SNS and SQS


def sns(form: dict[str, str], region: str) -> Iterator[Access]:
    operation = form.get("Action", "")
    topic = form.get("TopicArn") or form.get("TargetArn") or "*"
    yield Access(f"sns:{operation}", topic)
    found: Any = sns_backends[ACCOUNT][region].topics.get(topic)
    if operation == "Publish" and (key := getattr(found, "kms_master_key_id", "")):
        yield kms.use_key("GenerateDataKey", key, region, "sns")
        yield kms.use_key("Decrypt", key, region, "sns")


def sqs(operation: str, body: dict[str, Any], region: str) -> Iterator[Access]:
    name = body.get("QueueName") or str(body.get("QueueUrl", "")).rsplit("/", 1)[-1]
    action = operation.removesuffix("Batch")
    yield Access(f"sqs:{action}", f"arn:aws:sqs:{region}:{ACCOUNT}:{name}" if name else "*")
    found: Any = sqs_backends[ACCOUNT][region].queues.get(name)
    if key := getattr(found, "kms_master_key_id", None):
        if action in ("SendMessage", "ReceiveMessage"):
            yield kms.use_key("Decrypt", key, region, "sqs")
        if action == "SendMessage":
            yield kms.use_key("GenerateDataKey", key, region, "sqs")
