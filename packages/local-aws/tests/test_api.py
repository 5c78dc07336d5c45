"""The Athena API as clients use it: executions, results, workgroups, metadata, cancellation."""

from __future__ import annotations

import concurrent.futures
import json
import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws_tests.harness import ENDLESS, Athena, Process, make_client

Client = Callable[[str], Any]
Put = Callable[..., None]
OPENX = "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'"


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    """The message with which Athena refuses a call as an InvalidRequestException."""
    with pytest.raises(ClientError) as e:
        call(**arguments)
    assert e.value.response["Error"]["Code"] == "InvalidRequestException"
    return str(e.value.response["Error"]["Message"])


@pytest.mark.supports("API", "Query executions: states, statistics, StateChangeReason, AthenaError")
def test_execution(athena: Athena) -> None:
    result = athena("SELECT 1 AS a")
    e = result.execution
    assert e["Query"] == "SELECT 1 AS a"
    assert (e["StatementType"], e["SubstatementType"], e["WorkGroup"]) == ("DML", "SELECT", "primary")
    assert e["QueryExecutionContext"] == {"Database": athena.database, "Catalog": "awsdatacatalog"}
    assert (
        e["ResultConfiguration"]["OutputLocation"]
        == f"s3://{athena.bucket}/results/{e['QueryExecutionId']}.csv"
    )
    assert e["Status"]["CompletionDateTime"] >= e["Status"]["SubmissionDateTime"]
    assert (
        e["Statistics"]["TotalExecutionTimeInMillis"] >= e["Statistics"]["EngineExecutionTimeInMillis"] >= 0
    )
    assert e["EngineVersion"]["EffectiveEngineVersion"] == "Athena engine version 3"
    failed = athena.wait(athena.start("SELECT x"))
    assert failed["Status"]["State"] == "FAILED"
    assert failed["Status"]["AthenaError"]["ErrorCategory"] == 2
    runtime = athena.client.get_query_runtime_statistics(QueryExecutionId=e["QueryExecutionId"])[
        "QueryRuntimeStatistics"
    ]
    assert runtime["Rows"] == {"InputBytes": 0, "OutputBytes": 8, "OutputRows": 1}
    assert runtime["Timeline"] == {k: v for k, v in e["Statistics"].items() if k.endswith("InMillis")}


def protocol_buffer(data: bytes) -> list[tuple[int, Any]]:
    """(number, value) of the fields of a message: integers, and bytes."""
    pos = 0

    def varint() -> int:
        nonlocal pos
        value = shift = 0
        while True:
            byte = data[pos]
            pos += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    fields: list[tuple[int, Any]] = []
    while pos < len(data):
        key = varint()
        if key & 7 == 2:
            size = varint()
            fields.append((key >> 3, data[pos : pos + size]))
            pos += size
        else:
            fields.append((key >> 3, varint()))
    return fields


@pytest.mark.supports("API", "Result files: quoted CSV with NULL as nothing, .metadata, .txt of DDL")
def test_result_files(athena: Athena, client: Client) -> None:
    result = athena("""SELECT 'a "b", c' AS "X", '' AS empty, CAST(NULL AS varchar) AS n, 'two
lines' AS l, 1 AS i, ARRAY[1, NULL] AS arr, X'0a' AS b""")
    s3, query_id = client("s3"), result.execution["QueryExecutionId"]
    body = s3.get_object(Bucket=athena.bucket, Key=f"results/{query_id}.csv")["Body"].read()
    assert body == b'"X","empty","n","l","i","arr","b"\n"a ""b"", c","",,"two\nlines","1","[1, null]","0a"\n'
    assert result.rows == [
        ["X", "empty", "n", "l", "i", "arr", "b"],
        ['a "b", c', "", None, "two\nlines", "1", "[1, null]", "0a"],
    ]
    metadata = s3.get_object(Bucket=athena.bucket, Key=f"results/{query_id}.csv.metadata")["Body"].read()
    assert protocol_buffer(metadata)[0] == (1, query_id.encode())
    columns = [protocol_buffer(value) for number, value in protocol_buffer(metadata) if number == 4]
    assert [[value for _, value in c] for c in columns] == [
        [c["CatalogName"].encode(), c["Name"].encode(), c["Label"].encode(), c["Type"].encode(), c["Precision"], c["Scale"], 3, int(c["CaseSensitive"])]
        for c in result.columns
    ]  # fmt: skip
    ddl = athena("SHOW TABLES")
    text = s3.get_object(Bucket=athena.bucket, Key=f"results/{ddl.execution['QueryExecutionId']}.txt")[
        "Body"
    ].read()
    assert text == b""
    assert ddl.execution["StatementType"] == "UTILITY"


@pytest.mark.supports(
    "API", "GetQueryResults: pages, header row, column types with precision and scale, UpdateCount"
)
def test_result_pages_and_types(athena: Athena) -> None:
    result = athena(
        "SELECT x, 'r' || CAST(x AS varchar) AS r FROM UNNEST(sequence(1, 2500)) AS t(x) ORDER BY x"
    )
    pages = list(
        athena.client.get_paginator("get_query_results").paginate(
            QueryExecutionId=result.execution["QueryExecutionId"]
        )
    )
    assert [len(p["ResultSet"]["Rows"]) for p in pages] == [1000, 1000, 501]
    rows = [[c["VarCharValue"] for c in r["Data"]] for p in pages for r in p["ResultSet"]["Rows"]]
    assert rows == [["x", "r"], *[[str(i), f"r{i}"] for i in range(1, 2501)]]
    small = athena.client.get_query_results(
        QueryExecutionId=result.execution["QueryExecutionId"], MaxResults=2
    )
    assert len(small["ResultSet"]["Rows"]) == 2
    assert "NextToken" in small
    typed = athena(
        "SELECT 1 AS i, BIGINT '1' AS b, DECIMAL '1.25' AS d, 1e0 AS f, CAST(1 AS real) AS r, true AS o, 'abc' AS v, CAST('a' AS varchar) AS s, DATE '2026-01-01' AS day, "
        "TIMESTAMP '2026-01-01 00:00:00' AS ts, ARRAY[1] AS a, MAP(ARRAY['k'], ARRAY[1]) AS m, ROW(1) AS w, SMALLINT '1' AS si, JSON '1' AS j"
    )
    assert [(c["Name"], c["Type"], c["Precision"], c["Scale"]) for c in typed.columns] == [
        ("i", "integer", 10, 0), ("b", "bigint", 19, 0), ("d", "decimal", 3, 2), ("f", "double", 17, 0), ("r", "float", 17, 0), ("o", "boolean", 0, 0),
        ("v", "varchar", 3, 0), ("s", "varchar", 2147483647, 0), ("day", "date", 0, 0), ("ts", "timestamp", 3, 0), ("a", "array", 0, 0),
        ("m", "map", 0, 0), ("w", "row", 0, 0), ("si", "smallint", 5, 0), ("j", "json", 0, 0),
    ]  # fmt: skip
    assert {c["Nullable"] for c in typed.columns} == {"UNKNOWN"}
    assert athena("SELECT 1, 2 AS x, 3").header == ["_col0", "x", "_col2"]


@pytest.mark.supports(
    "API", "SHOW, DESCRIBE and their like give columns of type string; times of day as precise as they are"
)
def test_types_of_utilities_and_times(athena: Athena) -> None:
    athena(
        f"CREATE EXTERNAL TABLE t (a int) PARTITIONED BY (p int) {OPENX} LOCATION 's3://{athena.bucket}/t/'"
    )
    for sql in ("SHOW TABLES", "SHOW COLUMNS IN t", "DESCRIBE t", "SHOW CREATE TABLE t", "SHOW TBLPROPERTIES t", "SHOW PARTITIONS t"):  # fmt: skip
        assert {(c["Type"], c["Precision"], c["Scale"], c["CaseSensitive"]) for c in athena(sql).columns} == {
            ("string", 0, 0, False)
        }, sql
    times = athena(
        "SELECT TIME '13:24:11' AS a, TIME '13:24:11.5' AS b, CAST(TIMESTAMP '2026-01-01 13:24:11' AS time) AS c, "
        "TIMESTAMP '2026-01-01 13:24:11' AS d"
    )
    assert times.data == [["13:24:11", "13:24:11.5", "13:24:11.000", "2026-01-01 13:24:11.000"]]
    assert {(c["Type"], c["Precision"]) for c in times.columns} == {("time", 3), ("timestamp", 3)}


@pytest.mark.supports("API", "ClientRequestToken: the same request once, another refused, also under races")
def test_tokens(athena: Athena, aws_url: str) -> None:
    token = uuid.uuid4().hex
    first = athena.start("SELECT 1", ClientRequestToken=token)
    assert athena.start("SELECT 1", ClientRequestToken=token) == first
    location = {"OutputLocation": f"s3://{athena.bucket}/r/"}
    for other in (
        {"QueryString": "SELECT 2"},
        {"QueryString": "SELECT 1", "QueryExecutionContext": {"Database": "default"}},
        {"QueryString": "SELECT 1", "ResultConfiguration": location},
    ):
        context = {"QueryExecutionContext": {"Database": athena.database}, "ResultConfiguration": {"OutputLocation": f"s3://{athena.bucket}/results/"}}  # fmt: skip
        assert "Idempotent parameters do not match" in refused(
            athena.client.start_query_execution, **{**context, **other}, ClientRequestToken=token
        )
    token = uuid.uuid4().hex
    barrier = threading.Barrier(8)

    def race(_: int) -> str:
        mine = Athena(make_client(aws_url, "athena"), athena.bucket, athena.database)
        barrier.wait(30)
        return mine.start("SELECT 3", ClientRequestToken=token)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(race, range(8)))
    assert len(ids) == 1
    ran = [
        e
        for e in athena.client.batch_get_query_execution(
            QueryExecutionIds=athena.client.list_query_executions()["QueryExecutionIds"]
        )["QueryExecutions"]
        if e["Query"] == "SELECT 3" and e["QueryExecutionContext"]["Database"] == athena.database
    ]
    assert {e["QueryExecutionId"] for e in ran} == ids


@pytest.mark.supports(
    "API", "BatchGetQueryExecution, ListQueryExecutions page by page while others start queries"
)
def test_lists(athena: Athena) -> None:
    client, group = athena.client, f"wg-{uuid.uuid4().hex[:8]}"
    client.create_work_group(Name=group, Configuration={"EnforceWorkGroupConfiguration": False})
    ids = [athena.start(f"SELECT {i}", WorkGroup=group) for i in range(7)]
    missing = str(uuid.uuid4())
    batch = client.batch_get_query_execution(QueryExecutionIds=[ids[0], missing])
    assert [e["QueryExecutionId"] for e in batch["QueryExecutions"]] == [ids[0]]
    assert [u["QueryExecutionId"] for u in batch["UnprocessedQueryExecutionIds"]] == [missing]
    seen = []
    for page in client.get_paginator("list_query_executions").paginate(
        WorkGroup=group, PaginationConfig={"PageSize": 3}
    ):
        seen += page["QueryExecutionIds"]
        athena.start("SELECT 99", WorkGroup=group)
    assert seen == ids[::-1]
    assert f"QueryExecution {missing} was not found" in refused(
        client.get_query_execution, QueryExecutionId=missing
    )


@pytest.mark.supports(
    "API", "ResultReuseConfiguration: the result of the same query, while it is young enough"
)
def test_result_reuse(athena: Athena, put: Put) -> None:
    put("t/1.json", [{"a": 1}])
    athena(f"CREATE EXTERNAL TABLE t (a int) {OPENX} LOCATION 's3://{athena.bucket}/t/'")
    reuse = {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 5}}
    first = athena("SELECT a FROM t", ResultReuseConfiguration=reuse).execution
    assert first["Statistics"]["ResultReuseInformation"] == {"ReusedPreviousResult": False}
    put("t/1.json", [{"a": 2}])
    again = athena("SELECT a FROM t", ResultReuseConfiguration=reuse)
    assert again.data == [["1"]]
    assert again.execution["QueryExecutionId"] != first["QueryExecutionId"]
    assert again.execution["Statistics"]["ResultReuseInformation"] == {"ReusedPreviousResult": True}
    assert again.execution["ResultConfiguration"] == first["ResultConfiguration"]
    assert (again.scanned, again.execution["ResultReuseConfiguration"]) == (0, reuse)
    assert athena("SELECT a FROM t").data == [["2"]]
    now = {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 0}}
    assert athena("SELECT a FROM t", ResultReuseConfiguration=now).data == [["2"]]


@pytest.mark.supports("API", "Requests that Athena refuses are InvalidRequestExceptions")
def test_refused_requests(athena: Athena, client: Client) -> None:
    start = athena.client.start_query_execution
    location = {"OutputLocation": f"s3://{athena.bucket}/r/"}
    assert "No output location provided" in refused(start, QueryString="SELECT 1")
    assert "outputLocation is not a valid S3 path" in refused(
        start, QueryString="SELECT 1", ResultConfiguration={"OutputLocation": "/tmp"}
    )
    assert "WorkGroup nope is not found" in refused(
        start, QueryString="SELECT 1", WorkGroup="nope", ResultConfiguration=location
    )
    assert "length greater than or equal to 1" in refused(
        start, QueryString=" ", ResultConfiguration=location
    )
    assert "Data catalog other was not found" in refused(
        start,
        QueryString="SELECT 1",
        QueryExecutionContext={"Catalog": "other"},
        ResultConfiguration=location,
    )
    failed = athena.wait(athena.start("SELECT x"))["QueryExecutionId"]
    assert "Query did not finish successfully. Final query state: FAILED" in refused(
        athena.client.get_query_results, QueryExecutionId=failed
    )
    assert (
        refused(
            start, QueryString="SELECT 1", ResultConfiguration={"OutputLocation": "s3://no-such-bucket/x/"}
        )
        == "Unable to verify/create output bucket no-such-bucket"
    )
    before = athena.client.list_query_executions(MaxResults=1)["QueryExecutionIds"]
    with pytest.raises(ClientError) as e:
        start(QueryString="SELECT 1 FORM t", ResultConfiguration=location)
    answer: Any = e.value.response
    assert (answer["Error"]["Code"], answer["AthenaErrorCode"]) == (
        "InvalidRequestException",
        "MALFORMED_QUERY",
    )
    # What is refused leaves no trace.
    assert athena.client.list_query_executions(MaxResults=1)["QueryExecutionIds"] == before


@pytest.mark.supports("API", "What cannot be parsed is refused at once with line and column, as by Athena")
@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELEC 1", "line 1:1: mismatched input 'SELEC'. Expecting: 'ALTER', 'CREATE'"),
        ("-- a comment\n  FOO", "line 2:3: mismatched input 'FOO'. Expecting:"),
        ("SELECT a b c FROM t", "line 1:12: mismatched input 'c'."),
        ("SELECT 1 FROM", "line 1:14: mismatched input '<EOF>'."),
        ("SELECT (1", "line 1:10: mismatched input '<EOF>'. Expecting: ')'"),
        ("SELECT 1 -- it's\n, 'a''b", "line 2:3: mismatched input. A quote or comment is not closed"),
        ("SELECT a, FROM t", "line 1:11: mismatched input 'FROM'."),
        ("SELECT a, b,", "line 1:13: mismatched input '<EOF>'."),
        ("SELECT count(,a) FROM t", "line 1:14: mismatched input ','."),
        ("SELECT 1 AS", "line 1:12: mismatched input '<EOF>'."),
        ("SELECT", "line 1:7: mismatched input '<EOF>'."),
        ("SELECT a::int FROM t", "line 1:9: mismatched input '::'."),
        ("SELECT [1, 2]", "line 1:8: mismatched input '['."),
        (
            "SELECT * FROM a JOIN b",
            "line 1:17: mismatched input. A JOIN lacks its condition. Expecting: 'ON'",
        ),
        ("SELECT 1; SELECT 2", "Only one sql statement is allowed. Got: SELECT 1; SELECT 2"),
        ("CREATE TABL x (a int)", "line 1:8: mismatched input 'TABL'"),
        ("CREATE VIEW v AS SELECT * FROM", "line 1:31: mismatched input '<EOF>'."),
        ("CREATE TABLE c AS SELECT * FROM", "line 1:32: mismatched input '<EOF>'."),
        ("UNLOAD (SELECT 1 +) TO 's3://x/'", "line 1:19: mismatched input '<EOF>'."),
        ("EXPLAIN SELECT 1 FROM", "line 1:22: mismatched input '<EOF>'."),
        ("EXPLAIN ANALYZE SELEC 1", "line 1:17: mismatched input 'SELEC'. Expecting: 'ALTER'"),
        ("UPDATE t SET", "line 1:13: mismatched input '<EOF>'."),
        ("DELETE FROM t WHERE", "line 1:20: mismatched input '<EOF>'."),
        ("MERGE INTO t USING s ON", "line 1:24: mismatched input '<EOF>'."),
        ("OPTIMIZE t REWRITE DATA", "line 1:24: mismatched input '<EOF>' expecting 'USING'"),
        ("VACUUM", "line 1:7: mismatched input '<EOF>'"),
        ("VACUUM t now", "line 1:10: mismatched input 'now' expecting <EOF>"),
        ("EXECUTE", "line 1:8: mismatched input '<EOF>'"),
        ("PREPARE p FROM", "line 1:15: mismatched input '<EOF>'. Expecting: <statement>"),
    ],
)
def test_syntax_errors(athena: Athena, sql: str, message: str) -> None:
    text = refused(
        athena.client.start_query_execution,
        QueryString=sql,
        ResultConfiguration={"OutputLocation": f"s3://{athena.bucket}/r/"},
    )
    assert text.startswith(message)


# https://docs.aws.amazon.com/athena/latest/ug/error-reference.html
FAILURES = [
    ("SELECT * FROM nowhere", "TABLE_NOT_FOUND: line 1:15: ", 1110),
    ("SELECT nope", "COLUMN_NOT_FOUND: line 1:8: ", 1006),
    ("SELECT 'a' + 1", "TYPE_MISMATCH: line 1:8: ", 1006),
    ("SELECT nofunction(1)", "FUNCTION_NOT_FOUND: line 1:8: ", 1303),
    ("SELECT 1 / 0", "DIVISION_BY_ZERO: ", 1001),
    ("SELECT CAST('x' AS integer)", "INVALID_CAST_ARGUMENT: ", 1001),
    ("EXPLAIN (TYPE IO) SELECT 1 AS a", "NOT_SUPPORTED: ", 1200),
    ("SELECT * FROM bad", "HIVE_BAD_DATA: ", 1001),
    ("UNLOAD (SELECT 1 AS a) TO 's3://{bucket}/bad/' WITH (format = 'PARQUET')", "HIVE_PATH_ALREADY_EXISTS: ", 1009),
    (f"CREATE EXTERNAL TABLE n (a int) {OPENX} LOCATION 's3://no-such-bucket/t/'", "FAILED: Execution Error, return code 1 from ", 1003),
    ("SELECT * FROM gone", "HIVE_UNKNOWN_ERROR: Failed to list directory: s3://", 1306),
    ("CREATE TABLE c WITH (external_location = 's3://no-such-bucket/c/') AS SELECT 1 AS a", "HIVE_UNKNOWN_ERROR: The specified bucket does not exist", 1306),
    ("UNLOAD (SELECT 1 AS a) TO 's3://no-such-bucket/x/' WITH (format = 'PARQUET')", "HIVE_UNKNOWN_ERROR: The specified bucket does not exist", 1306),
]  # fmt: skip


@pytest.mark.supports(
    "API", "Failures: StateChangeReason and AthenaError with category, type of the catalog, Retryable"
)
def test_failures(athena: Athena, put: Put, client: Client) -> None:
    put("bad/1.json", '{"a": "x"}\n')
    athena(f"CREATE EXTERNAL TABLE bad (a int) {OPENX} LOCATION 's3://{athena.bucket}/bad/'")
    other = f"{athena.bucket}-gone"
    client("s3").create_bucket(Bucket=other)
    athena(f"CREATE EXTERNAL TABLE gone (a int) {OPENX} LOCATION 's3://{other}/t/'")
    client("s3").delete_bucket(Bucket=other)
    for sql, reason, kind in FAILURES:
        status = athena.wait(athena.start(sql.replace("{bucket}", athena.bucket)))["Status"]
        assert status["State"] == "FAILED", sql
        assert status["StateChangeReason"].startswith(reason)
        assert status["AthenaError"] == {
            "ErrorCategory": 2,
            "ErrorType": kind,
            "Retryable": False,
            "ErrorMessage": status["StateChangeReason"],
        }


@pytest.mark.supports("API", "Errors name objects, never files of the machine that local_aws runs on")
def test_no_local_path_in_an_error(athena: Athena, put: Put) -> None:
    put("broken/1.parquet", b"PAR1 and nothing else PAR1")
    put("json/1.json", '{"a": 1}\n{"a": \n')
    put("csv/1.csv", b"a,b\n\xff\xfe,2\n")
    for ddl in (
        "CREATE EXTERNAL TABLE broken (a int) STORED AS PARQUET",
        f"CREATE EXTERNAL TABLE json (a int) {OPENX}",
        "CREATE EXTERNAL TABLE csv (a int, b int) ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'",
    ):
        athena(f"{ddl} LOCATION 's3://{athena.bucket}/{ddl.split()[3]}/'")
    reasons = [athena.fails(f"SELECT * FROM {name}") for name in ("broken", "json", "csv")]
    assert f"s3://{athena.bucket}/broken/1.parquet" in reasons[0]
    for reason in reasons:
        assert "local-aws" not in reason
        assert "/bodies/" not in reason


@pytest.mark.supports("API", "StopQueryExecution interrupts at once, also what is queued")
def test_stop(athena: Athena) -> None:
    running = athena.start(ENDLESS)
    pause = threading.Event()
    while (
        athena.client.get_query_execution(QueryExecutionId=running)["QueryExecution"]["Status"]["State"]
        == "QUEUED"
    ):
        pause.wait(0.002)
    pause.wait(0.2)
    began = time.monotonic()
    athena.client.stop_query_execution(QueryExecutionId=running)
    ended = athena.wait(running)
    assert time.monotonic() - began < 5
    assert (ended["Status"]["State"], ended["Status"]["StateChangeReason"]) == (
        "CANCELLED",
        "Query cancelled by user",
    )
    # Stopping what is over changes nothing.
    athena.client.stop_query_execution(QueryExecutionId=running)
    assert athena.wait(running)["Status"]["State"] == "CANCELLED"
    assert athena("SELECT 1 AS a").data == [["1"]]


def test_stopped_writing_leaves_nothing(athena: Athena, client: Client) -> None:
    """A CREATE TABLE AS that is stopped makes no table and leaves no file."""
    query = athena.start(
        f"CREATE TABLE made WITH (external_location = 's3://{athena.bucket}/made/') AS "
        + ENDLESS.replace("count(*)", "a.x * b.x AS v")
    )
    pause = threading.Event()
    while athena.client.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]["State"] == "QUEUED":  # fmt: skip
        pause.wait(0.002)
    pause.wait(0.3)
    began = time.monotonic()
    athena.client.stop_query_execution(QueryExecutionId=query)
    assert athena.wait(query)["Status"]["State"] == "CANCELLED"
    assert time.monotonic() - began < 5
    assert athena("SHOW TABLES").rows == []
    assert client("s3").list_objects_v2(Bucket=athena.bucket, Prefix="made/")["KeyCount"] == 0


@pytest.mark.supports("API", "Queueing: 20 queries run at once, the others are QUEUED until there is room")
def test_queueing_under_load(athena: Athena) -> None:
    ids = [athena.start(ENDLESS) for _ in range(24)]

    def states() -> list[str]:
        found = athena.client.batch_get_query_execution(QueryExecutionIds=ids)["QueryExecutions"]
        return [e["Status"]["State"] for e in found]

    def wait_for(wanted: list[str]) -> None:
        deadline = time.monotonic() + 60
        while (now := states()) != wanted:
            assert time.monotonic() < deadline, now
            pause.wait(0.01)

    pause = threading.Event()
    try:
        wait_for(["RUNNING"] * 20 + ["QUEUED"] * 4)
        # One that waits is cancelled at once, and those that run make room in their order.
        athena.client.stop_query_execution(QueryExecutionId=ids[20])
        assert states()[20] == "CANCELLED"
        for i in ids[:2]:
            athena.client.stop_query_execution(QueryExecutionId=i)
        wait_for(["CANCELLED"] * 2 + ["RUNNING"] * 18 + ["CANCELLED"] + ["RUNNING"] * 2 + ["QUEUED"])
        waited = athena.client.get_query_execution(QueryExecutionId=ids[21])["QueryExecution"]["Statistics"]
        assert waited["QueryQueueTimeInMillis"] > 0
    finally:
        for i in ids:
            athena.client.stop_query_execution(QueryExecutionId=i)
    assert {athena.wait(i)["Status"]["State"] for i in ids} == {"CANCELLED"}
    assert athena("SELECT 2 AS a").data == [["2"]]


@pytest.mark.supports(
    "API", "Workgroups: enforced configuration, output location, per-query byte limit that cancels, tags"
)
def test_workgroups(athena: Athena, put: Put) -> None:
    client, name = athena.client, f"wg-{uuid.uuid4().hex[:8]}"
    own = f"s3://{athena.bucket}/enforced/"
    client.create_work_group(
        Name=name,
        Description="mine",
        Configuration={
            "ResultConfiguration": {"OutputLocation": own},
            "EnforceWorkGroupConfiguration": True,
            "BytesScannedCutoffPerQuery": 10_000_000,
        },
        Tags=[{"Key": "k", "Value": "v"}],
    )
    assert "already created" in refused(client.create_work_group, Name=name)
    assert "regular expression pattern" in refused(client.create_work_group, Name="a b")
    assert "PySpark engine version 3 is not supported by local_aws" in refused(
        client.create_work_group,
        Name=name + "s",
        Configuration={"EngineVersion": {"SelectedEngineVersion": "PySpark engine version 3"}},
    )
    result = athena("SELECT 1 AS a", WorkGroup=name)
    assert result.execution["ResultConfiguration"]["OutputLocation"].startswith(own)
    assert client.list_query_executions(WorkGroup=name)["QueryExecutionIds"] == [
        result.execution["QueryExecutionId"]
    ]
    put("big/1.json", b'{"a": "' + b"x" * 11_000_000 + b'"}\n')
    athena(f"CREATE EXTERNAL TABLE big (a string) {OPENX} LOCATION 's3://{athena.bucket}/big/'")
    stopped = athena.wait(athena.start("SELECT count(*) FROM big", WorkGroup=name))
    assert stopped["Status"]["State"] == "CANCELLED"
    assert "Bytes scanned limit was exceeded" in stopped["Status"]["StateChangeReason"]
    client.update_work_group(
        WorkGroup=name,
        ConfigurationUpdates={
            "RemoveBytesScannedCutoffPerQuery": True,
            "EnforceWorkGroupConfiguration": False,
        },
    )
    assert (
        athena("SELECT count(*) FROM big", WorkGroup=name)
        .execution["ResultConfiguration"]["OutputLocation"]
        .startswith(f"s3://{athena.bucket}/results/")
    )
    client.update_work_group(WorkGroup=name, State="DISABLED")
    assert "is disabled" in refused(client.start_query_execution, QueryString="SELECT 1", WorkGroup=name)
    arn = f"arn:aws:athena:us-east-1:123456789012:workgroup/{name}"
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    assert name in [g["Name"] for g in client.list_work_groups()["WorkGroups"]]
    assert "is not empty" in refused(client.delete_work_group, WorkGroup=name)
    client.delete_work_group(WorkGroup=name, RecursiveDeleteOption=True)
    assert "is not found" in refused(client.get_work_group, WorkGroup=name)
    assert client.get_work_group(WorkGroup="primary")["WorkGroup"]["State"] == "ENABLED"
    assert "cannot be deleted" in refused(client.delete_work_group, WorkGroup="primary")


@pytest.mark.supports(
    "API", "Managed query results: workgroups without an output location, results by GetQueryResults only"
)
def test_managed_results(athena: Athena, client: Client) -> None:
    api, name = athena.client, f"wg-{uuid.uuid4().hex[:8]}"
    managed = {"Enabled": True}
    both = {"ManagedQueryResultsConfiguration": managed, "ResultConfiguration": {"OutputLocation": "s3://b/"}}
    assert "cannot have ResultConfiguration.OutputLocation" in refused(
        api.create_work_group, Name=name, Configuration=both
    )
    api.create_work_group(Name=name, Configuration={"ManagedQueryResultsConfiguration": managed})
    query = api.start_query_execution(QueryString="SELECT 1 AS a, CAST(NULL AS varchar) AS b", WorkGroup=name)
    execution = athena.wait(query["QueryExecutionId"])
    assert execution["Status"]["State"] == "SUCCEEDED"
    assert execution["ManagedQueryResultsConfiguration"] == managed
    assert "OutputLocation" not in execution["ResultConfiguration"]
    assert athena.rows(query["QueryExecutionId"]) == [["a", "b"], ["1", None]]
    assert client("s3").list_objects_v2(Bucket=athena.bucket)["KeyCount"] == 0

    def run(sql: str, **more: Any) -> dict[str, Any]:
        context = {"Database": athena.database}
        started = api.start_query_execution(
            QueryString=sql, WorkGroup=name, QueryExecutionContext=context, **more
        )
        found: dict[str, Any] = athena.wait(started["QueryExecutionId"])
        return found

    shown = run("SHOW TABLES")["QueryExecutionId"]
    assert athena.rows(shown) == []
    unloaded = f"s3://{athena.bucket}/out/"
    assert (
        run(f"UNLOAD (SELECT 1 AS a) TO '{unloaded}' WITH (format = 'JSON')")["Status"]["State"]
        == "SUCCEEDED"
    )
    assert client("s3").list_objects_v2(Bucket=athena.bucket, Prefix="out/")["KeyCount"] == 1
    made = f"CREATE TABLE made WITH (external_location = 's3://{athena.bucket}/made/') AS SELECT 1 AS a"
    assert run(made)["Status"]["State"] == "SUCCEEDED"
    assert (
        "needs external_location" in run("CREATE TABLE other AS SELECT 1 AS a")["Status"]["StateChangeReason"]
    )
    # Results are not reused.
    reuse = {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 5}}
    for _ in range(2):
        again = run("SELECT a FROM made", ResultReuseConfiguration=reuse)
        assert again["Statistics"]["ResultReuseInformation"] == {"ReusedPreviousResult": False}
    location = {"OutputLocation": f"s3://{athena.bucket}/r/"}
    api.update_work_group(
        WorkGroup=name,
        ConfigurationUpdates={
            "ManagedQueryResultsConfigurationUpdates": {"Enabled": False},
            "ResultConfigurationUpdates": location,
        },
    )
    assert run("SELECT 1")["ResultConfiguration"]["OutputLocation"].startswith(location["OutputLocation"])


@pytest.mark.supports(
    "API", "PREPARE, EXECUTE ... USING, DEALLOCATE PREPARE, shared with the API's prepared statements"
)
def test_prepared_in_sql(athena: Athena) -> None:
    client, name = athena.client, f"p_{athena.database}"
    athena(f"PREPARE {name} FROM SELECT ? + 1 AS n, upper(?) AS s, '?' AS mark")
    assert (
        client.get_prepared_statement(StatementName=name, WorkGroup="primary")["PreparedStatement"][
            "QueryStatement"
        ]
        == "SELECT ? + 1 AS n, upper(?) AS s, '?' AS mark"
    )
    result = athena(f"EXECUTE {name} USING abs(-5), concat('a,', 'b')")
    assert result.rows == [["n", "s", "mark"], ["6", "A,B", "?"]]
    assert (result.execution["StatementType"], result.execution["SubstatementType"]) == ("DML", "SELECT")
    assert athena(f"EXECUTE {name}", ExecutionParameters=["1", "'x'"]).data == [["2", "X", "?"]]
    assert "expected 2 but found 0" in athena.fails(f"EXECUTE {name}")
    client.update_prepared_statement(StatementName=name, WorkGroup="primary", QueryStatement="SELECT 7 AS n")
    assert athena(f"EXECUTE {name}").data == [["7"]]
    athena(f"DEALLOCATE PREPARE {name}")
    assert athena.fails(f"EXECUTE {name}").startswith("NOT_FOUND: Prepared statement not found")
    assert athena.fails("PREPARE x FROM SHOW TABLES").startswith(
        "NOT_SUPPORTED: line 1:1: Invalid statement type"
    )
    assert athena.fails("EXECUTE").startswith("line 1:8: mismatched input '<EOF>'")


@pytest.mark.supports("API", "EXPLAIN [ANALYZE] with DuckDB's plan, EXPLAIN (TYPE VALIDATE)")
def test_explain(athena: Athena, client: Callable[[str], Any]) -> None:
    client("s3").put_object(Bucket=athena.bucket, Key="t/1", Body=b"1\n2\n")
    athena(f"CREATE EXTERNAL TABLE t (a int) ROW FORMAT DELIMITED LOCATION 's3://{athena.bucket}/t/'")
    plan = athena("EXPLAIN SELECT a, count(*) FROM t GROUP BY a")
    assert plan.rows[0] == ["Query Plan"]
    assert any("GROUP_BY" in str(r[0]) for r in plan.rows)
    assert "athena/" not in str(plan.rows)
    analyzed = athena("EXPLAIN ANALYZE SELECT a FROM t WHERE a > 1")
    assert any("Total Time" in str(r[0]) for r in analyzed.rows)
    assert analyzed.scanned == 4
    json.loads("\n".join(str(r[0]) for r in athena("EXPLAIN (FORMAT JSON) SELECT 1 AS a").rows[1:]))
    assert athena("EXPLAIN (TYPE VALIDATE) SELECT 1 AS a").rows == [["true"]]
    assert athena.fails("EXPLAIN (TYPE VALIDATE) SELECT b").startswith("COLUMN_NOT_FOUND")
    assert "EXPLAIN (TYPE IO) is not supported" in athena.fails("EXPLAIN (TYPE IO) SELECT 1 AS a")


@pytest.mark.supports("API", "Named queries, prepared statements (definitions), ExecutionParameters")
def test_named_prepared_parameters(athena: Athena) -> None:
    client = athena.client
    named = client.create_named_query(Name="n", Database="d", QueryString="SELECT 1")["NamedQueryId"]
    assert client.get_named_query(NamedQueryId=named)["NamedQuery"]["QueryString"] == "SELECT 1"
    assert named in client.list_named_queries()["NamedQueryIds"]
    client.update_named_query(NamedQueryId=named, Name="n2", QueryString="SELECT 2")
    found = client.batch_get_named_query(NamedQueryIds=[named, str(uuid.uuid4())])
    assert [(q["Name"], q["QueryString"]) for q in found["NamedQueries"]] == [("n2", "SELECT 2")]
    assert len(found["UnprocessedNamedQueryIds"]) == 1
    client.delete_named_query(NamedQueryId=named)
    client.create_prepared_statement(StatementName="p", WorkGroup="primary", QueryStatement="SELECT ?")
    assert (
        client.get_prepared_statement(StatementName="p", WorkGroup="primary")["PreparedStatement"][
            "QueryStatement"
        ]
        == "SELECT ?"
    )
    client.update_prepared_statement(StatementName="p", WorkGroup="primary", QueryStatement="SELECT ?, 2")
    batch = client.batch_get_prepared_statement(PreparedStatementNames=["p", "q"], WorkGroup="primary")
    assert [s["QueryStatement"] for s in batch["PreparedStatements"]] == ["SELECT ?, 2"]
    assert [s["StatementName"] for s in batch["UnprocessedPreparedStatementNames"]] == ["q"]
    assert "p" in [
        s["StatementName"] for s in client.list_prepared_statements(WorkGroup="primary")["PreparedStatements"]
    ]
    assert "already exists" in refused(
        client.create_prepared_statement, StatementName="p", WorkGroup="primary", QueryStatement="SELECT 1"
    )
    client.delete_prepared_statement(StatementName="p", WorkGroup="primary")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_prepared_statement(StatementName="p", WorkGroup="primary")
    sql = (
        "SELECT x FROM (VALUES (1, 'a'), (2, 'it''s')) AS t(x, s) WHERE s = ? AND x > ? AND '?' = '?' LIMIT ?"
    )
    assert athena(sql, ExecutionParameters=["'it''s'", "-1", "5"]).data == [["2"]]
    assert athena(sql, ExecutionParameters=["a", "0", "5"]).data == [["1"]]
    assert athena.fails(sql, ExecutionParameters=["1"]).startswith(
        "INVALID_PARAMETER_USAGE: line 1:1: Incorrect number of parameters: expected 3 but found 1"
    )
    # A value cannot become SQL.
    assert athena("SELECT ? AS v", ExecutionParameters=["1 OR true"]).data == [["1 OR true"]]


@pytest.mark.supports("API", "Databases, table metadata, data catalogs, information_schema")
def test_metadata(athena: Athena) -> None:
    client, db = athena.client, athena.database
    athena(
        f"CREATE EXTERNAL TABLE t (a int COMMENT 'x') PARTITIONED BY (d string) {OPENX} LOCATION 's3://{athena.bucket}/t/'"
    )
    athena("CREATE VIEW v AS SELECT a FROM t")
    table = client.get_table_metadata(CatalogName="AwsDataCatalog", DatabaseName=db, TableName="t")[
        "TableMetadata"
    ]
    assert (table["Columns"], table["PartitionKeys"]) == (
        [{"Name": "a", "Type": "int", "Comment": "x"}],
        [{"Name": "d", "Type": "string"}],
    )
    assert table["Parameters"]["serde.serialization.lib"] == "org.openx.data.jsonserde.JsonSerDe"
    listed = client.list_table_metadata(CatalogName="AwsDataCatalog", DatabaseName=db)["TableMetadataList"]
    assert [(t["Name"], t["TableType"]) for t in listed] == [("t", "EXTERNAL_TABLE"), ("v", "VIRTUAL_VIEW")]
    assert client.get_database(CatalogName="AwsDataCatalog", DatabaseName=db)["Database"]["Name"] == db
    pages = client.get_paginator("list_databases").paginate(CatalogName="AwsDataCatalog")
    assert {db, "default"} <= {d["Name"] for p in pages for d in p["DatabaseList"]}
    assert client.list_data_catalogs()["DataCatalogsSummary"][0]["CatalogName"] == "AwsDataCatalog"
    assert client.get_data_catalog(Name="AwsDataCatalog")["DataCatalog"]["Type"] == "GLUE"
    with pytest.raises(ClientError) as e:
        client.get_table_metadata(CatalogName="AwsDataCatalog", DatabaseName=db, TableName="nope")
    assert e.value.response["Error"]["Code"] == "MetadataException"
    rows = athena(
        f"SELECT column_name, data_type, extra_info FROM information_schema.columns WHERE table_schema = '{db}' AND table_name = 't' ORDER BY ordinal_position"
    ).data
    assert rows == [["a", "integer", None], ["d", "varchar", "partition key"]]
    assert athena(
        f"SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = '{db}' ORDER BY 1"
    ).data == [["t", "BASE TABLE"], ["v", "VIEW"]]


@pytest.mark.supports(
    "API", "Data catalogs: other names for the Glue catalog; others can be kept, not queried"
)
def test_data_catalogs(athena: Athena) -> None:
    client, name = athena.client, f"Catalog_{uuid.uuid4().hex[:8]}"
    account = client.get_data_catalog(Name="awsdatacatalog")["DataCatalog"]["Parameters"]["catalog-id"]
    client.create_data_catalog(
        Name=name, Type="GLUE", Parameters={"catalog-id": account}, Tags=[{"Key": "a", "Value": "b"}]
    )
    assert "already exists" in refused(
        client.create_data_catalog, Name=name, Type="GLUE", Parameters={"catalog-id": account}
    )
    names = [c["CatalogName"] for c in client.list_data_catalogs()["DataCatalogsSummary"]]
    assert (names[0], name in names) == ("AwsDataCatalog", True)
    arn = f"arn:aws:athena:us-east-1:{account}:datacatalog/{name}"
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    result = athena("SELECT 1 AS a", QueryExecutionContext={"Catalog": name, "Database": athena.database})
    assert result.data == [["1"]]
    database = client.get_database(CatalogName=name, DatabaseName=athena.database)["Database"]
    assert database["Name"] == athena.database
    client.update_data_catalog(Name=name, Type="GLUE", Parameters={"catalog-id": "999999999999"})
    assert f"local_aws reads the Glue catalog of account {account} only" in refused(
        client.start_query_execution, QueryString="SELECT 1", QueryExecutionContext={"Catalog": name},
        ResultConfiguration={"OutputLocation": f"s3://{athena.bucket}/r/"},
    )  # fmt: skip
    client.delete_data_catalog(Name=name)
    assert "was not found" in refused(client.get_data_catalog, Name=name)
    assert "cannot be changed" in refused(client.delete_data_catalog, Name="AwsDataCatalog")
    versions = client.list_engine_versions()["EngineVersions"]
    assert {v["EffectiveEngineVersion"] for v in versions} == {"Athena engine version 3"}


@pytest.mark.supports("API", "Glue's SearchTables; what moto lacks is refused by name, and not tried again")
def test_search_tables_and_gaps(athena: Athena, client: Client) -> None:
    for i in range(3):
        athena(
            f"CREATE EXTERNAL TABLE t{i} (a int COMMENT 'of {athena.database}') {OPENX} LOCATION 's3://{athena.bucket}/t/'"
        )
    glue = client("glue")
    found = glue.search_tables(SearchText=athena.database.upper(), MaxResults=2)
    rest = glue.search_tables(SearchText=athena.database.upper(), NextToken=found["NextToken"])
    tables = [*found["TableList"], *rest["TableList"]]
    assert [(t["DatabaseName"], t["Name"]) for t in tables] == [(athena.database, f"t{i}") for i in range(3)]
    assert "NextToken" not in rest
    with pytest.raises(ClientError) as e:
        glue.list_blueprints()
    assert (e.value.response["Error"]["Code"], e.value.response["ResponseMetadata"]["HTTPStatusCode"]) == (
        "NotImplementedException",
        501,
    )
    assert "ListBlueprints" in str(e.value)
    assert e.value.response["ResponseMetadata"]["RetryAttempts"] == 0


def test_unknown_operation_is_named(athena: Athena) -> None:
    with pytest.raises(ClientError, match="ListCapacityReservations is not supported by local_aws"):
        athena.client.list_capacity_reservations()


@pytest.mark.supports(
    "API", "20 queries at once from 8 clients: each gets its own result, and sees files whole"
)
def test_concurrent_clients(athena: Athena, put: Put, aws_url: str) -> None:
    put("t/1.json", [{"v": i} for i in range(1000)])
    athena(f"CREATE EXTERNAL TABLE t (v int) {OPENX} LOCATION 's3://{athena.bucket}/t/'")
    together = threading.Barrier(8)

    def client(n: int) -> None:
        """Starts two or three queries of different kinds at once, then reads what each gave."""
        mine = Athena(make_client(aws_url, "athena"), athena.bucket, athena.database)
        s3 = make_client(aws_url, "s3")
        together.wait(30)
        for turn in range(4):
            # Replaced while others read it: a query sees the one or the other, never half of one.
            s3.put_object(
                Bucket=athena.bucket, Key="t/1.json", Body="".join(f'{{"v": {i}}}\n' for i in range(1000))
            )
            name = f"{n}_{turn}"
            started = {
                mine.start(f"SELECT count(*), {n}, sum(v) FROM t"): [["1000", str(n), "499500"]],
                mine.start(f"CREATE TABLE made_{name} AS SELECT v FROM t WHERE v < {n + 1}"): None,
            }
            if n < 4:
                started[mine.start(f"SELECT sum(v * {n}) FROM t WHERE v % 10 = {n}")] = [
                    [str(sum(v * n for v in range(n, 1000, 10)))]
                ]
            for query, rows in started.items():
                status = mine.wait(query)["Status"]
                assert status["State"] == "SUCCEEDED", status
                if rows is not None:
                    assert mine.rows(query)[1:] == rows
            assert mine(f"SELECT count(*) FROM made_{name}").data == [[str(n + 1)]]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
    assert athena("SHOW TABLES 'made_*'").rows == sorted(
        [f"made_{n}_{t}"] for n in range(8) for t in range(4)
    )


@pytest.mark.supports("API", "INSERTs from many clients into one table: none is lost")
def test_concurrent_inserts(athena: Athena, aws_url: str) -> None:
    athena(
        f"CREATE EXTERNAL TABLE t (a int) PARTITIONED BY (p int) STORED AS PARQUET LOCATION 's3://{athena.bucket}/t/'"
    )
    done = threading.Event()
    seen: list[int] = []

    def write(n: int) -> None:
        mine = Athena(make_client(aws_url, "athena"), athena.bucket, athena.database)
        for i in range(4):
            mine(f"INSERT INTO t SELECT x, x % 5 FROM UNNEST(sequence({n * 1000 + i * 10}, {n * 1000 + i * 10 + 9})) AS s(x)")  # fmt: skip

    def watch() -> None:
        mine = Athena(make_client(aws_url, "athena"), athena.bucket, athena.database)
        while not done.is_set():
            seen.append(int(str(mine("SELECT count(*) FROM t").data[0][0])))

    with concurrent.futures.ThreadPoolExecutor(7) as pool:
        watching = pool.submit(watch)
        for written in [pool.submit(write, n) for n in range(6)]:
            written.result()
        done.set()
        watching.result()
    assert athena("SELECT count(*), count(DISTINCT a), count(DISTINCT p) FROM t").data == [
        ["240", "240", "5"]
    ]
    assert seen == sorted(seen)


def test_body_size_costs_no_memory(start: Callable[..., Process], tmp_path: Path) -> None:
    """Uploading, copying, querying and unloading 300 MB: the server's memory follows its limit, not the data."""
    server = start("--state", str(tmp_path / "s"), LOCAL_AWS_MEMORY="500MB")
    s3 = server.client("s3")
    s3.create_bucket(Bucket="lake")
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.exists():
        pytest.skip("no /proc")

    def resident() -> int:
        return (
            int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))
            // 1024
        )

    before = resident()
    source = tmp_path / "data.json"
    line = (b'{"id": 12345, "text": "' + os.urandom(400).hex().encode() + b'"}\n') * 1000
    with source.open("wb") as f:
        for _ in range(360):
            f.write(line)
    size = source.stat().st_size
    with source.open("rb") as upload:
        s3.put_object(Bucket="lake", Key="t/one.json", Body=upload)
    s3.copy_object(Bucket="lake", Key="copy", CopySource={"Bucket": "lake", "Key": "t/one.json"})
    got = 0
    for block in s3.get_object(Bucket="lake", Key="copy")["Body"].iter_chunks(1 << 20):
        got += len(block)
    assert got == size
    moved = resident()
    assert moved - before < 60, (before, moved)
    athena = Athena(server.client("athena"), "lake", "default")
    athena(f"CREATE EXTERNAL TABLE t (id bigint, text string) {OPENX} LOCATION 's3://lake/t/'")
    assert athena("SELECT count(*), sum(id) FROM t").data == [["360000", str(360000 * 12345)]]
    plain = "format = 'JSON', external_location = 's3://lake/out/', write_compression = 'NONE'"
    athena(f"CREATE TABLE plain WITH ({plain}) AS SELECT * FROM t")
    unloaded = s3.list_objects_v2(Bucket="lake", Prefix="out/")["Contents"]
    assert sum(o["Size"] for o in unloaded) > 0.9 * size
    assert resident() < 900, resident()
