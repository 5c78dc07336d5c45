"""The Athena API (JSON 1.1 over HTTP): https://docs.aws.amazon.com/athena/latest/APIReference/"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from local_aws.athena.catalog import Catalog, Table
from local_aws.athena.errors import ApiError, QueryError
from local_aws.athena.executions import Executor, WorkGroup, invalid
from local_aws.athena.results import read_csv_page

Request = dict[str, Any]


def _token(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def _untoken(token: str | None) -> Any:
    if not token:
        return None
    try:
        return json.loads(base64.urlsafe_b64decode(token))
    except ValueError as e:
        raise invalid(f"NextToken '{token}' is not valid") from e


def _page(
    items: list[Any], request: Request, default: int = 50, limit: int = 50
) -> tuple[list[Any], str | None]:
    start = int(_untoken(request.get("NextToken")) or 0)
    size = int(request.get("MaxResults") or default)
    if not 1 <= size <= max(limit, 1):
        raise invalid(f"MaxResults {size} must be between 1 and {limit}")
    return items[start : start + size], _token(start + size) if start + size < len(items) else None


def _paged(name: str, page: tuple[list[Any], str | None]) -> dict[str, Any]:
    out: dict[str, Any] = {name: page[0]}
    if page[1]:
        out["NextToken"] = page[1]
    return out


class Api:
    """Dispatches Athena's operations. changed: called after workgroups or named queries changed."""

    def __init__(
        self,
        executor: Executor,
        catalog: Callable[[str], Catalog],
        account: str,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.executor = executor
        self.catalog = catalog
        self.account = account
        self.changed = changed

    def call(self, operation: str, region: str, request: Request) -> dict[str, Any]:
        """Raises ApiError for what Athena refuses with a 400."""
        handler = getattr(self, f"_{operation}", None)
        if handler is None:
            raise ApiError("UnknownOperationException", f"Athena's {operation} is not supported by local_aws")
        return handler(region, request)

    # -------------------------------------------------------------------------------- executions

    def _StartQueryExecution(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        return {"QueryExecutionId": self.executor.start(region, r)}

    def _StopQueryExecution(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        self.executor.stop(region, _required(r, "QueryExecutionId"))
        return {}

    def _GetQueryExecution(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        return {"QueryExecution": self.executor.get(region, _required(r, "QueryExecutionId")).describe()}

    def _BatchGetQueryExecution(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        known = self.executor.region(region).executions
        ids = _required(r, "QueryExecutionIds")
        return {
            "QueryExecutions": [known[i].describe() for i in ids if i in known],
            "UnprocessedQueryExecutionIds": [
                {
                    "QueryExecutionId": i,
                    "ErrorCode": "INVALID_INPUT",
                    "ErrorMessage": f"QueryExecution {i} was not found",
                }
                for i in ids
                if i not in known
            ],
        }

    def _ListQueryExecutions(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        group = r.get("WorkGroup") or "primary"
        self._workgroup(region, group)
        executions = list(self.executor.region(region).executions.values())
        ids = [e.id for e in reversed(executions) if e.workgroup == group]
        return _paged("QueryExecutionIds", _page(ids, r))

    def _GetQueryResults(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        e = self.executor.get(region, _required(r, "QueryExecutionId"))
        if e.state in ("QUEUED", "RUNNING"):
            raise invalid(
                f"Query has not yet finished. Current state: {e.state}", "INVALID_QUERY_EXECUTION_STATE"
            )
        if e.state != "SUCCEEDED":
            raise invalid(
                f"Query did not finish successfully. Final query state: {e.state}",
                "INVALID_QUERY_EXECUTION_STATE",
            )
        size = int(r.get("MaxResults") or 1000)
        if not 1 <= size <= 1000:
            raise invalid("MaxResults is more than maximum allowed length 1000.")
        out: dict[str, Any] = {
            "ResultSet": {"Rows": [], "ResultSetMetadata": {"ColumnInfo": e.columns, "ResultRows": []}},
        }
        if e.update_count is not None:
            out["UpdateCount"] = e.update_count
        elif e.statement_type != "DML" or e.substatement != "SELECT":
            out["UpdateCount"] = 0
        del out["ResultSet"]["ResultSetMetadata"]["ResultRows"]
        if not e.kind:
            return out
        bucket, key = e.output_location[len("s3://") :].split("/", 1)
        body = self.executor.store.get(bucket, key)
        if body is None:
            raise invalid(
                f"Could not find results of {e.id} at {e.output_location}: the object is gone",
                "INVALID_QUERY_EXECUTION_STATE",
            )
        offset = int(_untoken(r.get("NextToken")) or 0)
        if e.kind == "csv":
            rows, following = read_csv_page(body.path, offset, size)
        else:
            rows, following = _text_page(body.path, offset, size)
        out["ResultSet"]["Rows"] = [
            {"Data": [{"VarCharValue": v} if v is not None else {} for v in row]} for row in rows
        ]
        if following is not None:
            out["NextToken"] = _token(following)
        return out

    def _GetQueryRuntimeStatistics(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        e = self.executor.get(region, _required(r, "QueryExecutionId"))
        described = e.describe()["Statistics"]
        return {
            "QueryRuntimeStatistics": {
                "Timeline": {
                    "QueryQueueTimeInMillis": described["QueryQueueTimeInMillis"],
                    "QueryPlanningTimeInMillis": described["QueryPlanningTimeInMillis"],
                    "EngineExecutionTimeInMillis": described["EngineExecutionTimeInMillis"],
                    "ServiceProcessingTimeInMillis": 0,
                    "ServicePreProcessingTimeInMillis": 0,
                    "TotalExecutionTimeInMillis": described["TotalExecutionTimeInMillis"],
                },
                "Rows": {"InputRows": 0, "InputBytes": e.scanned, "OutputBytes": 0, "OutputRows": e.rows},
            }
        }

    # -------------------------------------------------------------------------------- workgroups

    def _workgroup(self, region: str, name: str) -> WorkGroup:
        found = self.executor.region(region).workgroups.get(name)
        if found is None:
            raise invalid(f"WorkGroup {name} is not found.")
        return found

    def _CreateWorkGroup(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        name = _required(r, "Name")
        groups = self.executor.region(region).workgroups
        if name in groups:
            raise invalid(f"WorkGroup {name} is already created")
        # https://docs.aws.amazon.com/athena/latest/APIReference/API_WorkGroupConfiguration.html
        configuration = {
            "EnforceWorkGroupConfiguration": True,
            "PublishCloudWatchMetricsEnabled": True,
            **(r.get("Configuration") or {}),
        }
        _check_configuration(configuration)
        tags = {t["Key"]: t.get("Value", "") for t in r.get("Tags") or []}
        groups[name] = WorkGroup(
            name, r.get("Description") or "", configuration, created=time.time(), tags=tags
        )
        self.changed()
        return {}

    def _GetWorkGroup(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        return {"WorkGroup": self._workgroup(region, _required(r, "WorkGroup")).describe()}

    def _ListWorkGroups(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        groups = sorted(self.executor.region(region).workgroups.values(), key=lambda g: g.name)
        items = [
            {
                "Name": g.name,
                "State": g.state,
                "Description": g.description,
                "CreationTime": g.created,
                "EngineVersion": g.describe()["Configuration"]["EngineVersion"],
            }
            for g in groups
        ]
        return _paged("WorkGroups", _page(items, r))

    def _UpdateWorkGroup(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        group = self._workgroup(region, _required(r, "WorkGroup"))
        if r.get("Description") is not None:
            group.description = r["Description"]
        if r.get("State"):
            group.state = r["State"]
        updates = r.get("ConfigurationUpdates") or {}
        configuration = dict(group.configuration)
        result = dict(configuration.get("ResultConfiguration") or {})
        given = updates.get("ResultConfigurationUpdates") or {}
        for key in ("OutputLocation", "EncryptionConfiguration", "ExpectedBucketOwner", "AclConfiguration"):
            if given.get(f"Remove{key}"):
                result.pop(key, None)
            elif key in given:
                result[key] = given[key]
        configuration["ResultConfiguration"] = result
        if updates.get("RemoveBytesScannedCutoffPerQuery"):
            configuration.pop("BytesScannedCutoffPerQuery", None)
        special = ("ResultConfigurationUpdates", "RemoveBytesScannedCutoffPerQuery")
        configuration |= {k: v for k, v in updates.items() if k not in special}
        _check_configuration(configuration)
        group.configuration = configuration
        self.changed()
        return {}

    def _DeleteWorkGroup(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        name = _required(r, "WorkGroup")
        if name == "primary":
            raise invalid("Primary WorkGroup cannot be deleted")
        group = self._workgroup(region, name)
        state = self.executor.region(region)
        used = any(e.workgroup == name for e in state.executions.values()) or any(
            n["WorkGroup"] == name for n in state.named.values()
        )
        if used and not r.get("RecursiveDeleteOption"):
            raise invalid(f"WorkGroup {name} is not empty")
        del state.workgroups[group.name]
        for k in [k for k, n in state.named.items() if n["WorkGroup"] == name]:
            del state.named[k]
        for key in [k for k in state.prepared if k[0] == name]:
            del state.prepared[key]
        self.changed()
        return {}

    # --------------------------------------------------------------------- named queries, prepared

    def _CreateNamedQuery(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        group = r.get("WorkGroup") or "primary"
        self._workgroup(region, group)
        query_id = str(uuid.uuid4())
        self.executor.region(region).named[query_id] = {
            "Name": _required(r, "Name"),
            "Description": r.get("Description") or "",
            "Database": _required(r, "Database"),
            "QueryString": _required(r, "QueryString"),
            "NamedQueryId": query_id,
            "WorkGroup": group,
        }
        self.changed()
        return {"NamedQueryId": query_id}

    def _GetNamedQuery(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        found = self.executor.region(region).named.get(_required(r, "NamedQueryId"))
        if found is None:
            raise invalid(f"NamedQuery {r['NamedQueryId']} was not found")
        return {"NamedQuery": found}

    def _BatchGetNamedQuery(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        named, ids = self.executor.region(region).named, _required(r, "NamedQueryIds")
        return {
            "NamedQueries": [named[i] for i in ids if i in named],
            "UnprocessedNamedQueryIds": [
                {"NamedQueryId": i, "ErrorCode": "INVALID_INPUT", "ErrorMessage": "not found"}
                for i in ids
                if i not in named
            ],
        }

    def _ListNamedQueries(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        group = r.get("WorkGroup") or "primary"
        ids = [k for k, v in self.executor.region(region).named.items() if v["WorkGroup"] == group]
        return _paged("NamedQueryIds", _page(ids, r))

    def _DeleteNamedQuery(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        self._GetNamedQuery(region, r)
        del self.executor.region(region).named[r["NamedQueryId"]]
        self.changed()
        return {}

    def _CreatePreparedStatement(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        group, name = _required(r, "WorkGroup"), _required(r, "StatementName")
        self._workgroup(region, group)
        prepared = self.executor.region(region).prepared
        if (group, name) in prepared:
            raise invalid(f"Prepared statement {name} already exists in workgroup {group}")
        prepared[(group, name)] = {
            "StatementName": name,
            "QueryStatement": _required(r, "QueryStatement"),
            "WorkGroupName": group,
            "Description": r.get("Description") or "",
            "LastModifiedTime": time.time(),
        }
        self.changed()
        return {}

    def _prepared(self, region: str, r: Request) -> dict[str, Any]:
        group, name = _required(r, "WorkGroup"), _required(r, "StatementName")
        found = self.executor.region(region).prepared.get((group, name))
        if found is None:
            raise ApiError("ResourceNotFoundException", f"PreparedStatement {name} was not found")
        return found

    def _GetPreparedStatement(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        return {"PreparedStatement": self._prepared(region, r)}

    def _UpdatePreparedStatement(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        found = self._prepared(region, r)
        found.update(
            QueryStatement=_required(r, "QueryStatement"),
            Description=r.get("Description") or "",
            LastModifiedTime=time.time(),
        )
        self.changed()
        return {}

    def _DeletePreparedStatement(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        self._prepared(region, r)
        del self.executor.region(region).prepared[(r["WorkGroup"], r["StatementName"])]
        self.changed()
        return {}

    def _ListPreparedStatements(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        group = _required(r, "WorkGroup")
        items = [
            {"StatementName": v["StatementName"], "LastModifiedTime": v["LastModifiedTime"]}
            for (g, _), v in sorted(self.executor.region(region).prepared.items())
            if g == group
        ]
        return _paged("PreparedStatements", _page(items, r))

    # ---------------------------------------------------------------------------------- metadata

    def _GetDataCatalog(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        return {"DataCatalog": self._catalog_entry(_required(r, "Name"))}

    def _catalog_entry(self, name: str) -> dict[str, Any]:
        if name.lower() != "awsdatacatalog":
            raise invalid(f"Data catalog {name} was not found")
        return {
            "Name": "AwsDataCatalog",
            "Description": "AWS Glue Data Catalog",
            "Type": "GLUE",
            "Parameters": {"catalog-id": self.account},
        }

    def _ListDataCatalogs(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        return {"DataCatalogsSummary": [{"CatalogName": "AwsDataCatalog", "Type": "GLUE"}]}

    def _GetDatabase(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        self._catalog_entry(_required(r, "CatalogName"))
        try:
            return {"Database": _database(self.catalog(region).database(_required(r, "DatabaseName")))}
        except QueryError as e:
            raise ApiError(
                "MetadataException", f"EntityNotFoundException: Database {r['DatabaseName']} not found."
            ) from e

    def _ListDatabases(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        self._catalog_entry(_required(r, "CatalogName"))
        return _paged("DatabaseList", _page([_database(d) for d in self.catalog(region).databases()], r))

    def _GetTableMetadata(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        self._catalog_entry(_required(r, "CatalogName"))
        database, name = _required(r, "DatabaseName"), _required(r, "TableName")
        table = self.catalog(region).find(database, name)
        if table is None:
            raise ApiError(
                "MetadataException", f"EntityNotFoundException: Entity Not Found: table {database}.{name}"
            )
        return {"TableMetadata": _table(table)}

    def _ListTableMetadata(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        import re

        self._catalog_entry(_required(r, "CatalogName"))
        database = _required(r, "DatabaseName")
        if not self.catalog(region).has_database(database):
            raise ApiError("MetadataException", f"EntityNotFoundException: Database {database} not found.")
        expression = r.get("Expression")
        tables = sorted(self.catalog(region).tables(database.lower()), key=lambda t: t.name)
        kept = [
            _table(t)
            for t in tables
            if not expression
            or re.fullmatch(expression.replace("*", ".*") if ".*" not in expression else expression, t.name)
        ]
        return _paged("TableMetadataList", _page(kept, r))

    # -------------------------------------------------------------------------------------- tags

    def _tagged(self, region: str, r: Request) -> WorkGroup:
        arn = str(_required(r, "ResourceARN"))
        kind, _, name = arn.rpartition(":")[2].partition("/")
        if kind != "workgroup":
            raise invalid(f"Resource {arn} is not supported by local_aws: only workgroups have tags")
        return self._workgroup(region, name)

    def _TagResource(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        self._tagged(region, r).tags.update({t["Key"]: t.get("Value", "") for t in _required(r, "Tags")})
        self.changed()
        return {}

    def _UntagResource(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        group = self._tagged(region, r)
        for key in _required(r, "TagKeys"):
            group.tags.pop(key, None)
        self.changed()
        return {}

    def _ListTagsForResource(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        return {"Tags": [{"Key": k, "Value": v} for k, v in self._tagged(region, r).tags.items()]}


def _required(r: Request, name: str) -> Any:
    value = r.get(name)
    if value is None or value == "":
        raise invalid(
            f"1 validation error detected: Value at '{name[0].lower() + name[1:]}' failed to satisfy constraint: Member must not be null"
        )
    return value


def _check_configuration(c: dict[str, Any]) -> None:
    limit = c.get("BytesScannedCutoffPerQuery")
    # https://docs.aws.amazon.com/athena/latest/APIReference/API_WorkGroupConfiguration.html
    if limit is not None and int(limit) < 10_000_000:
        raise invalid("BytesScannedCutoffPerQuery must be at least 10000000 (10 MB)")
    location = (c.get("ResultConfiguration") or {}).get("OutputLocation")
    if location and not location.startswith("s3://"):
        raise invalid(f"outputLocation is not a valid S3 path. Provided: {location}")


def _database(d: dict[str, Any]) -> dict[str, Any]:
    out = {"Name": d["Name"], "Parameters": d.get("Parameters") or {}}
    if d.get("Description"):
        out["Description"] = d["Description"]
    return out


def _table(t: Table) -> dict[str, Any]:
    def column(c: dict[str, Any]) -> dict[str, Any]:
        return {
            k: v
            for k, v in (("Name", c["Name"]), ("Type", c.get("Type")), ("Comment", c.get("Comment")))
            if v is not None
        }

    parameters = dict(t.parameters)
    if not t.is_view:
        parameters.update(
            {
                "inputformat": str(t.storage.get("InputFormat") or ""),
                "location": t.location,
                "outputformat": str(t.storage.get("OutputFormat") or ""),
                "serde.serialization.lib": t.serde,
                **{f"serde.param.{k}": v for k, v in t.serde_parameters.items()},
            }
        )
    created = t.description.get("CreateTime")
    return {
        "Name": t.name,
        "CreateTime": created.timestamp() if created is not None else 0,
        "LastAccessTime": 0,
        "TableType": t.description.get("TableType") or "EXTERNAL_TABLE",
        "Columns": [column(c) for c in t.storage.get("Columns") or []],
        "PartitionKeys": [column(c) for c in t.description.get("PartitionKeys") or []],
        "Parameters": parameters,
    }


def _text_page(path: str, offset: int, count: int) -> tuple[list[list[str | None]], int | None]:
    rows: list[list[str | None]] = []
    with open(path, "rb") as f:  # noqa: PTH123
        f.seek(offset)
        for _ in range(count):
            line = f.readline()
            if not line:
                break
            rows.append([line.decode().rstrip("\n")])
        end = f.tell()
        more = f.seek(0, 2) > end
    return rows, end if more else None
