"""The Athena API (JSON 1.1 over HTTP): https://docs.aws.amazon.com/athena/latest/APIReference/"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from local_aws.athena.catalog import Catalog, Table
from local_aws.athena.errors import ApiError, QueryError
from local_aws.athena.executions import ENGINE_VERSION, Executor, WorkGroup, invalid
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
    start = _untoken(request.get("NextToken")) or 0
    if not isinstance(start, int):
        raise invalid(f"NextToken '{request['NextToken']}' is not valid")
    size = _size(request, default, limit)
    return items[start : start + size], _token(start + size) if start + size < len(items) else None


def _size(request: Request, default: int, limit: int = 50) -> int:
    size = int(request["MaxResults"]) if request.get("MaxResults") is not None else default
    if not 1 <= size <= limit:
        raise invalid(f"MaxResults {size} must be between 1 and {limit}")
    return size


def _paged(name: str, page: tuple[list[Any], str | None]) -> dict[str, Any]:
    out: dict[str, Any] = {name: page[0]}
    if page[1]:
        out["NextToken"] = page[1]
    return out


# Operations that change what all requests see: one at a time.
_CHANGES = ("Create", "Update", "Delete", "Tag", "Untag")


class Api:
    """Dispatches Athena's operations. changed: called after workgroups, named queries and the like changed."""

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
        self.changed = executor.changed = changed
        self._lock = threading.Lock()

    def call(self, operation: str, region: str, request: Request) -> dict[str, Any]:
        """Raises ApiError for what Athena refuses with a 400."""
        handler = getattr(self, f"_{operation}", None)
        if handler is None:
            raise ApiError("UnknownOperationException", f"Athena's {operation} is not supported by local_aws")
        try:
            if operation.startswith(_CHANGES):
                with self._lock:
                    answer = handler(region, request)
                    self.changed()
                    return answer
            return handler(region, request)
        except QueryError as e:  # what the caller may not see of the catalog
            raise ApiError("MetadataException", e.reason) from e

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
        # Continued after an execution, not after a number of them: new ones come in at the front.
        after = _untoken(r.get("NextToken"))
        if after is not None:
            if after not in ids:
                raise invalid(f"NextToken '{r['NextToken']}' is not valid")
            ids = ids[ids.index(after) + 1 :]
        size = _size(r, 50)
        out: dict[str, Any] = {"QueryExecutionIds": ids[:size]}
        if len(ids) > size:
            out["NextToken"] = _token(ids[size - 1])
        return out

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
        if r.get("QueryResultType") not in (None, "DATA_ROWS"):
            raise invalid(
                f"QueryResultType {r['QueryResultType']} is not supported by local_aws: DATA_ROWS is"
            )
        size = _size(r, 1000, 1000)
        out: dict[str, Any] = {"ResultSet": {"Rows": [], "ResultSetMetadata": {"ColumnInfo": e.columns}}}
        if e.update_count is not None:
            out["UpdateCount"] = e.update_count
        elif e.substatement != "SELECT":
            out["UpdateCount"] = 0
        if not e.kind:
            return out
        path = self.executor.result_path(e)
        if path is None:
            where = f"at {e.output_location}: the object is gone" if e.managed is None else "after 24 hours"
            raise invalid(f"Could not find results of {e.id} {where}", "INVALID_QUERY_EXECUTION_STATE")
        offset = _untoken(r.get("NextToken")) or 0
        if not isinstance(offset, int):
            raise invalid(f"NextToken '{r['NextToken']}' is not valid")
        if e.kind == "csv":
            rows, following = read_csv_page(path, offset, size)
        else:
            rows, following = _text_page(path, offset, size)
        out["ResultSet"]["Rows"] = [
            {"Data": [{"VarCharValue": v} if v is not None else {} for v in row]} for row in rows
        ]
        if following is not None:
            out["NextToken"] = _token(following)
        return out

    def _GetQueryRuntimeStatistics(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        e = self.executor.get(region, _required(r, "QueryExecutionId"))
        # The number of rows read is not known here, and left out.
        rows = {"InputBytes": e.scanned, "OutputBytes": e.result_bytes, "OutputRows": e.rows}
        return {"QueryRuntimeStatistics": {"Timeline": e.timeline(), "Rows": rows}}

    # -------------------------------------------------------------------------------- workgroups

    def _workgroup(self, region: str, name: str) -> WorkGroup:
        found = self.executor.region(region).workgroups.get(name)
        if found is None:
            raise invalid(f"WorkGroup {name} is not found.")
        return found

    def _CreateWorkGroup(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        name = str(_required(r, "Name"))
        if not re.fullmatch(r"[a-zA-Z0-9._-]{1,128}", name):
            raise invalid(
                f"1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9._-]{{1,128}}"
            )
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
        tags = _tags(r)
        groups[name] = WorkGroup(
            name, r.get("Description") or "", configuration, created=time.time(), tags=tags
        )
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
        if r.get("State") not in (None, "ENABLED", "DISABLED"):
            raise invalid(f"State {r['State']} must be ENABLED or DISABLED")
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
        managed = dict(configuration.get("ManagedQueryResultsConfiguration") or {})
        asked = dict(updates.get("ManagedQueryResultsConfigurationUpdates") or {})
        if asked.pop("RemoveEncryptionConfiguration", False):
            managed.pop("EncryptionConfiguration", None)
        if managed or asked:
            configuration["ManagedQueryResultsConfiguration"] = managed | asked
        special = (
            "ResultConfigurationUpdates",
            "RemoveBytesScannedCutoffPerQuery",
            "ManagedQueryResultsConfigurationUpdates",
        )
        configuration |= {k: v for k, v in updates.items() if k not in special}
        _check_configuration(configuration)
        group.configuration = configuration
        group.state = r.get("State") or group.state
        if r.get("Description") is not None:
            group.description = r["Description"]
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
                {
                    "NamedQueryId": i,
                    "ErrorCode": "INVALID_INPUT",
                    "ErrorMessage": f"NamedQuery {i} was not found",
                }
                for i in ids
                if i not in named
            ],
        }

    def _ListNamedQueries(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        group = r.get("WorkGroup") or "primary"
        ids = [k for k, v in self.executor.region(region).named.items() if v["WorkGroup"] == group]
        return _paged("NamedQueryIds", _page(ids, r))

    def _UpdateNamedQuery(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        found = self._GetNamedQuery(region, r)["NamedQuery"]
        found.update(Name=_required(r, "Name"), QueryString=_required(r, "QueryString"))
        if r.get("Description") is not None:
            found["Description"] = r["Description"]
        return {}

    def _DeleteNamedQuery(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        self._GetNamedQuery(region, r)
        del self.executor.region(region).named[r["NamedQueryId"]]
        return {}

    def _CreatePreparedStatement(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        group, name = _required(r, "WorkGroup"), str(_required(r, "StatementName"))
        self._workgroup(region, group)
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_@:]{0,255}", name):
            raise invalid(
                f"1 validation error detected: Value '{name}' at 'statementName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z_][a-zA-Z0-9_@:]{{1,256}}"
            )
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
        return {}

    def _prepared(self, region: str, r: Request) -> dict[str, Any]:
        group, name = _required(r, "WorkGroup"), _required(r, "StatementName")
        found = self.executor.region(region).prepared.get((group, name))
        if found is None:
            raise ApiError("ResourceNotFoundException", f"PreparedStatement {name} was not found")
        return found

    def _GetPreparedStatement(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        return {"PreparedStatement": self._prepared(region, r)}

    def _BatchGetPreparedStatement(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        group, names = _required(r, "WorkGroup"), _required(r, "PreparedStatementNames")
        prepared = self.executor.region(region).prepared
        return {
            "PreparedStatements": [prepared[group, n] for n in names if (group, n) in prepared],
            "UnprocessedPreparedStatementNames": [
                {
                    "StatementName": n,
                    "ErrorCode": "STATEMENT_NOT_FOUND",
                    "ErrorMessage": f"PreparedStatement {n} was not found in workgroup {group}",
                }
                for n in names
                if (group, n) not in prepared
            ],
        }

    def _UpdatePreparedStatement(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        found = self._prepared(region, r)
        found.update(
            QueryStatement=_required(r, "QueryStatement"),
            Description=r.get("Description") or "",
            LastModifiedTime=time.time(),
        )
        return {}

    def _DeletePreparedStatement(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        self._prepared(region, r)
        del self.executor.region(region).prepared[(r["WorkGroup"], r["StatementName"])]
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
        return {"DataCatalog": self._data_catalog(region, _required(r, "Name"))}

    def _data_catalog(self, region: str, name: str) -> dict[str, Any]:
        if name.lower() == "awsdatacatalog":
            return {
                "Name": "AwsDataCatalog",
                "Description": "AWS Glue Data Catalog",
                "Type": "GLUE",
                "Parameters": {"catalog-id": self.account},
                "Status": "CREATE_COMPLETE",
            }
        entry = self.executor.region(region).catalogs.get(name.lower())
        if entry is None:
            raise invalid(f"Data catalog {name} was not found")
        return {k: v for k, v in entry.items() if k != "Tags"}

    def _CreateDataCatalog(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        name, kind = str(_required(r, "Name")), _required(r, "Type")
        catalogs = self.executor.region(region).catalogs
        if name.lower() == "awsdatacatalog" or name.lower() in catalogs:
            raise invalid(f"Data catalog {name} already exists")
        # Connectors are functions and stacks of AWS: what they would read is not here.
        if kind not in ("GLUE", "LAMBDA", "HIVE"):
            raise invalid(
                f"Data catalogs of type {kind} are not supported by local_aws: GLUE, LAMBDA, HIVE are"
            )
        if kind == "GLUE" and not (r.get("Parameters") or {}).get("catalog-id"):
            raise invalid(
                "Parameters of a data catalog of type GLUE need catalog-id: the account that has it"
            )
        catalogs[name.lower()] = {
            "Name": name,
            "Description": r.get("Description") or "",
            "Type": kind,
            "Parameters": dict(r.get("Parameters") or {}),
            "Status": "CREATE_COMPLETE",
            "Tags": _tags(r),
        }
        return {"DataCatalog": self._data_catalog(region, name)}

    def _own_data_catalog(self, region: str, name: str) -> dict[str, Any]:
        if name.lower() == "awsdatacatalog":
            raise invalid("The data catalog AwsDataCatalog cannot be changed")
        self._data_catalog(region, name)
        return self.executor.region(region).catalogs[name.lower()]

    def _UpdateDataCatalog(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        entry = self._own_data_catalog(region, _required(r, "Name"))
        if _required(r, "Type") != entry["Type"]:
            raise invalid(
                f"The type of data catalog {entry['Name']} is {entry['Type']} and cannot be changed"
            )
        entry["Description"] = r.get("Description", entry["Description"])
        entry["Parameters"] = dict(r.get("Parameters") or entry["Parameters"])
        return {}

    def _DeleteDataCatalog(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        entry = self._own_data_catalog(region, _required(r, "Name"))
        del self.executor.region(region).catalogs[entry["Name"].lower()]
        return {
            "DataCatalog": {k: v for k, v in entry.items() if k != "Tags"} | {"Status": "DELETE_COMPLETE"}
        }

    def _ListDataCatalogs(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        entries = [
            self._data_catalog(region, "AwsDataCatalog"),
            *sorted(self.executor.region(region).catalogs.values(), key=lambda c: c["Name"]),
        ]
        items = [{"CatalogName": c["Name"], "Type": c["Type"], "Status": c["Status"]} for c in entries]
        return _paged("DataCatalogsSummary", _page(items, r))

    def _ListEngineVersions(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        version = ENGINE_VERSION["EffectiveEngineVersion"]
        items = [{"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": version}]
        items.append({"SelectedEngineVersion": version, "EffectiveEngineVersion": version})
        return _paged("EngineVersions", _page(items, r, default=10, limit=10))

    def _readable(self, region: str, r: Request) -> None:
        self.executor.require_catalog(self.executor.region(region), _required(r, "CatalogName"))

    def _seen(self, region: str) -> Catalog:
        """The catalog as the caller may use it."""
        return self.executor.seen_by_caller(self.catalog(region), self.executor.store)[0]

    def _GetDatabase(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        self._readable(region, r)
        catalog, name = self._seen(region), str(_required(r, "DatabaseName"))
        if not catalog.has_database(name):
            raise ApiError("MetadataException", f"EntityNotFoundException: Database {name} not found.")
        return {"Database": _database(catalog.database(name))}

    def _ListDatabases(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        self._readable(region, r)
        return _paged("DatabaseList", _page([_database(d) for d in self._seen(region).databases()], r))

    def _GetTableMetadata(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        self._readable(region, r)
        database, name = _required(r, "DatabaseName"), _required(r, "TableName")
        table = self._seen(region).find(database, name)
        if table is None:
            raise ApiError(
                "MetadataException", f"EntityNotFoundException: Entity Not Found: table {database}.{name}"
            )
        return {"TableMetadata": _table(table)}

    def _ListTableMetadata(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        self._readable(region, r)
        database = _required(r, "DatabaseName")
        catalog = self._seen(region)
        if not catalog.has_database(database):
            raise ApiError("MetadataException", f"EntityNotFoundException: Database {database} not found.")
        tables = sorted(catalog.tables(database.lower()), key=lambda t: t.name)
        expression = r.get("Expression")
        if expression:
            # A regular expression; Glue's * alone, which many clients send, is taken too.
            pattern = expression if ".*" in expression else expression.replace("*", ".*")
            try:
                tables = [t for t in tables if re.fullmatch(pattern, t.name, re.IGNORECASE)]
            except re.error as e:
                raise invalid(f"Expression '{expression}' is not a regular expression: {e}") from e
        return _paged("TableMetadataList", _page([_table(t) for t in tables], r))

    # -------------------------------------------------------------------------------------- tags

    def _tagged(self, region: str, r: Request) -> dict[str, str]:
        """The tags of what an ARN names, to be changed in place."""
        arn = str(_required(r, "ResourceARN"))
        kind, _, name = arn.rpartition(":")[2].partition("/")
        if kind == "workgroup":
            return self._workgroup(region, name).tags
        if kind == "datacatalog":
            return self._own_data_catalog(region, name)["Tags"]
        raise ApiError(
            "ResourceNotFoundException",
            f"Resource {arn} was not found: workgroups and data catalogs have tags",
        )

    def _TagResource(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        _required(r, "Tags")
        self._tagged(region, r).update(_tags(r))
        return {}

    def _UntagResource(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        tags = self._tagged(region, r)
        for key in _required(r, "TagKeys"):
            tags.pop(key, None)
        return {}

    def _ListTagsForResource(self, region: str, r: Request) -> dict[str, Any]:  # noqa: N802
        items = [{"Key": k, "Value": v} for k, v in self._tagged(region, r).items()]
        return _paged("Tags", _page(items, r, default=75, limit=1000))


def _tags(r: Request) -> dict[str, str]:
    return {t["Key"]: t.get("Value", "") for t in r.get("Tags") or []}


def _required(r: Request, name: str) -> Any:
    value = r.get(name)
    if value is None or value == "":
        raise invalid(
            f"1 validation error detected: Value at '{name[0].lower() + name[1:]}' failed to satisfy constraint: Member must not be null"
        )
    return value


def _check_configuration(c: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/athena/latest/APIReference/API_WorkGroupConfiguration.html"""
    limit = c.get("BytesScannedCutoffPerQuery")
    if limit is not None and int(limit) < 10_000_000:
        raise invalid("BytesScannedCutoffPerQuery must be at least 10000000 (10 MB)")
    location = (c.get("ResultConfiguration") or {}).get("OutputLocation")
    if location and not location.startswith("s3://"):
        raise invalid(f"outputLocation is not a valid S3 path. Provided: {location}")
    version = (c.get("EngineVersion") or {}).get("SelectedEngineVersion", "AUTO")
    if version not in ("AUTO", ENGINE_VERSION["EffectiveEngineVersion"]):
        raise invalid(
            f"{version} is not supported by local_aws: AUTO and {ENGINE_VERSION['EffectiveEngineVersion']} are"
        )
    # https://docs.aws.amazon.com/athena/latest/APIReference/API_ManagedQueryResultsConfiguration.html
    if location and (c.get("ManagedQueryResultsConfiguration") or {}).get("Enabled"):
        raise invalid(
            "A workgroup cannot have ResultConfiguration.OutputLocation and ManagedQueryResultsConfiguration.Enabled"
        )


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
    if "comment" in parameters:
        # Clients that run on AWS get it on one line.
        parameters["comment"] = re.sub(r"\s+", " ", parameters["comment"])
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
