"""What the tests of local_aws talk to it with."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import boto3.session
from botocore.config import Config

SESSION: Any = boto3.session.Session(
    aws_access_key_id="local", aws_secret_access_key="local", region_name="us-east-1"
)


# Takes hours, in little memory.
ENDLESS = (
    "WITH t AS (SELECT x FROM UNNEST(sequence(1, 1000)) AS s(x)) "
    "SELECT count(*) FROM t AS a, t AS b, t AS c, t AS d, t AS e WHERE (a.x * b.x + c.x * d.x + e.x) % 7 = 3"
)


def make_client(url: str, service: str) -> Any:
    """A boto3 client. Athena's checks every answer against the service's own model."""
    client = SESSION.client(
        service, endpoint_url=url, config=Config(retries={"max_attempts": 1}, read_timeout=60)
    )
    if service == "athena":
        client.meta.events.register("before-parse.athena", _check_answer)
    return client


def _check_answer(operation_model: Any, response_dict: Any, **_: Any) -> None:
    """botocore ignores members that the model does not have and takes numbers for strings; other SDKs do not."""
    if response_dict["status_code"] == 200:
        _check_shape(operation_model.output_shape, json.loads(response_dict["body"]), operation_model.name)


def _check_shape(shape: Any, value: Any, where: str) -> None:
    kinds: dict[str, Any] = {
        "string": str, "boolean": bool, "integer": int, "long": int, "double": (int, float),
        "timestamp": (int, float), "structure": dict, "map": dict, "list": list,
    }  # fmt: skip
    kind = shape.type_name
    assert isinstance(value, kinds[kind]), f"{where} is {value!r}, not a {kind}"
    assert kind == "boolean" or not isinstance(value, bool), f"{where} is {value!r}, not a {kind}"
    if kind == "structure":
        for name, member in value.items():
            assert name in shape.members, f"{where} has a member {name}, which the API does not have"
            _check_shape(shape.members[name], member, f"{where}.{name}")
        missing = [n for n in shape.required_members if n not in value]
        assert not missing, f"{where} lacks {missing}"
    elif kind in ("list", "map"):
        for member in value if kind == "list" else value.values():
            _check_shape(shape.member if kind == "list" else shape.value, member, f"{where}[]")
    elif kind == "string" and getattr(shape, "enum", None):
        assert value in shape.enum, f"{where} is {value}, not one of {shape.enum}"


@dataclass
class Result:
    """A finished query."""

    execution: dict[str, Any]
    rows: list[list[str | None]] = field(default_factory=list)
    columns: list[dict[str, Any]] = field(default_factory=list)

    @property
    def header(self) -> list[str | None]:
        return self.rows[0]

    @property
    def data(self) -> list[list[str | None]]:
        return self.rows[1:]

    @property
    def scanned(self) -> int:
        return int(self.execution["Statistics"]["DataScannedInBytes"])


def _rows(result_set: Any) -> list[list[str | None]]:
    return [[c.get("VarCharValue") for c in r["Data"]] for r in result_set["Rows"]]


class QueryFailedError(Exception):
    """The query ended otherwise than well; the text is its StateChangeReason."""

    def __init__(self, execution: dict[str, Any]) -> None:
        self.execution = execution
        super().__init__(execution["Status"].get("StateChangeReason", execution["Status"]["State"]))


class Athena:
    """Runs queries as boto3 does, in a database and bucket of its own."""

    def __init__(self, client: Any, bucket: str, database: str) -> None:
        self.client, self.bucket, self.database = client, bucket, database

    def start(self, sql: str, **more: Any) -> str:
        request: dict[str, Any] = {
            "QueryString": sql,
            "QueryExecutionContext": {"Database": self.database},
            "ResultConfiguration": {"OutputLocation": f"s3://{self.bucket}/results/"},
            **more,
        }
        return str(self.client.start_query_execution(**request)["QueryExecutionId"])

    def wait(self, query_id: str) -> dict[str, Any]:
        pause = threading.Event()
        deadline = time.monotonic() + 60
        while True:
            execution = self.client.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            if execution["Status"]["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return dict(execution)
            assert time.monotonic() < deadline, execution
            pause.wait(0.002)

    def __call__(self, sql: str, **more: Any) -> Result:
        """Runs a statement and reads its first 1000 rows. Raises QueryFailedError."""
        execution = self.wait(self.start(sql, **more))
        if execution["Status"]["State"] != "SUCCEEDED":
            raise QueryFailedError(execution)
        answer = self._results(execution["QueryExecutionId"])
        return Result(execution, _rows(answer), answer["ResultSetMetadata"]["ColumnInfo"])

    def rows(self, query_id: str) -> list[list[str | None]]:
        """The first 1000 rows of a finished query, with the header of a SELECT."""
        return _rows(self._results(query_id))

    def _results(self, query_id: str) -> Any:
        return self.client.get_query_results(QueryExecutionId=query_id)["ResultSet"]

    def fails(self, sql: str, **more: Any) -> str:
        """The reason for which a statement fails, or is refused because it cannot be parsed."""
        try:
            query_id = self.start(sql, **more)
        except self.client.exceptions.InvalidRequestException as e:
            if e.response["AthenaErrorCode"] != "MALFORMED_QUERY":
                raise
            return str(e.response["Error"]["Message"])
        status = self.wait(query_id)["Status"]
        assert status["State"] == "FAILED", status
        assert status["AthenaError"]["ErrorMessage"] == status["StateChangeReason"]
        return str(status["StateChangeReason"])


@dataclass
class Process:
    """python -m local_aws."""

    process: subprocess.Popen[str]
    url: str

    def client(self, service: str) -> Any:
        return make_client(self.url, service)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


def connect(url: str) -> Any:
    """PyIceberg's Glue catalog at a server, from outside of it."""
    from pyiceberg.catalog import load_catalog

    keys = {"access-key-id": "local", "secret-access-key": "local", "region": "us-east-1", "endpoint": url}
    properties = {f"{service}.{k}": v for service in ("glue", "s3") for k, v in keys.items()}
    return load_catalog("external", type="glue", **properties)
