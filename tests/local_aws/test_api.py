"""The Athena API as clients use it: executions, results, workgroups, metadata, cancellation."""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.clients import Athena, Process, make_client

Client = Callable[[str], Any]
Put = Callable[..., None]
OPENX = "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'"
# Takes hours, in little memory.
ENDLESS = (
    "SELECT count(*) FROM t AS a, t AS b, t AS c, t AS d, t AS e WHERE (a.x * b.x + c.x * d.x + e.x) % 7 = 3"
)
ENDLESS = f"WITH t AS (SELECT x FROM UNNEST(sequence(1, 1000)) AS s(x)) {ENDLESS}"


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
    assert runtime["Rows"]["OutputRows"] == 1


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
    assert s3.head_object(Bucket=athena.bucket, Key=f"results/{query_id}.csv.metadata")["ContentLength"] > 0
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
        "SELECT 1 AS i, BIGINT '1' AS b, 1.25 AS d, 1e0 AS f, CAST(1 AS real) AS r, true AS o, 'abc' AS v, CAST('a' AS varchar) AS s, DATE '2026-01-01' AS day, "
        "TIMESTAMP '2026-01-01 00:00:00' AS ts, ARRAY[1] AS a, MAP(ARRAY['k'], ARRAY[1]) AS m, ROW(1) AS w, SMALLINT '1' AS si, JSON '1' AS j"
    )
    assert [(c["Name"], c["Type"], c["Precision"], c["Scale"]) for c in typed.columns] == [
        ("i", "integer", 10, 0), ("b", "bigint", 19, 0), ("d", "decimal", 3, 2), ("f", "double", 17, 0), ("r", "float", 17, 0), ("o", "boolean", 0, 0),
        ("v", "varchar", 3, 0), ("s", "varchar", 2147483647, 0), ("day", "date", 0, 0), ("ts", "timestamp", 3, 0), ("a", "array", 0, 0),
        ("m", "map", 0, 0), ("w", "row", 0, 0), ("si", "smallint", 5, 0), ("j", "json", 0, 0),
    ]  # fmt: skip
    assert {c["Nullable"] for c in typed.columns} == {"UNKNOWN"}
    assert athena("SELECT 1, 2 AS x, 3").header == ["_col0", "x", "_col2"]


@pytest.mark.supports("API", "ClientRequestToken, BatchGetQueryExecution, ListQueryExecutions")
def test_tokens_and_lists(athena: Athena) -> None:
    token = uuid.uuid4().hex
    first = athena.start("SELECT 1", ClientRequestToken=token)
    assert athena.start("SELECT 1", ClientRequestToken=token) == first
    location = {"OutputLocation": f"s3://{athena.bucket}/r/"}
    start = athena.client.start_query_execution
    assert "Idempotent parameters do not match" in refused(
        start, QueryString="SELECT 2", ClientRequestToken=token, ResultConfiguration=location
    )
    athena.wait(first)
    missing = str(uuid.uuid4())
    batch = athena.client.batch_get_query_execution(QueryExecutionIds=[first, missing])
    assert [e["QueryExecutionId"] for e in batch["QueryExecutions"]] == [first]
    assert [u["QueryExecutionId"] for u in batch["UnprocessedQueryExecutionIds"]] == [missing]
    assert athena.client.list_query_executions(MaxResults=1)["QueryExecutionIds"] == [first]
    assert f"QueryExecution {missing} was not found" in refused(
        athena.client.get_query_execution, QueryExecutionId=missing
    )


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
    assert "Data catalog other is not found" in refused(
        start,
        QueryString="SELECT 1",
        QueryExecutionContext={"Catalog": "other"},
        ResultConfiguration=location,
    )
    failed = athena.wait(athena.start("SELECT x"))["QueryExecutionId"]
    assert "Query did not finish successfully. Final query state: FAILED" in refused(
        athena.client.get_query_results, QueryExecutionId=failed
    )
    gone = athena.wait(
        athena.start("SELECT 1", ResultConfiguration={"OutputLocation": "s3://no-such-bucket-here/x/"})
    )
    assert gone["Status"]["StateChangeReason"].startswith(
        "Unable to verify/create output bucket no-such-bucket-here"
    )


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


def test_queueing_under_load(athena: Athena) -> None:
    """More queries than run at once: the others wait, and can be cancelled while they do."""
    ids = [athena.start(ENDLESS) for _ in range(24)]
    try:
        states = [
            e["Status"]["State"]
            for e in athena.client.batch_get_query_execution(QueryExecutionIds=ids)["QueryExecutions"]
        ]
        assert "QUEUED" in states
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


@pytest.mark.supports("API", "Named queries, prepared statements (definitions), ExecutionParameters")
def test_named_prepared_parameters(athena: Athena) -> None:
    client = athena.client
    named = client.create_named_query(Name="n", Database="d", QueryString="SELECT 1")["NamedQueryId"]
    assert client.get_named_query(NamedQueryId=named)["NamedQuery"]["QueryString"] == "SELECT 1"
    assert named in client.list_named_queries()["NamedQueryIds"]
    client.delete_named_query(NamedQueryId=named)
    client.create_prepared_statement(StatementName="p", WorkGroup="primary", QueryStatement="SELECT ?")
    assert (
        client.get_prepared_statement(StatementName="p", WorkGroup="primary")["PreparedStatement"][
            "QueryStatement"
        ]
        == "SELECT ?"
    )
    client.delete_prepared_statement(StatementName="p", WorkGroup="primary")
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
    assert client.list_data_catalogs()["DataCatalogsSummary"] == [
        {"CatalogName": "AwsDataCatalog", "Type": "GLUE"}
    ]
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


def test_unknown_operation_is_named(athena: Athena) -> None:
    with pytest.raises(ClientError, match="ListCapacityReservations is not supported by local_aws"):
        athena.client.list_capacity_reservations()


@pytest.mark.supports("API", "Many clients at once: each gets its own result, and sees its own files whole")
def test_concurrent_clients(athena: Athena, put: Put, aws_url: str) -> None:
    put("t/1.json", [{"v": i} for i in range(1000)])
    athena(f"CREATE EXTERNAL TABLE t (v int) {OPENX} LOCATION 's3://{athena.bucket}/t/'")
    local = threading.local()

    def query(n: int) -> None:
        if not hasattr(local, "athena"):
            local.athena = Athena(make_client(aws_url, "athena"), athena.bucket, athena.database)
        if n % 5 == 0:
            # Replaced while others read it: a query sees the one or the other, never half of one.
            make_client(aws_url, "s3").put_object(
                Bucket=athena.bucket, Key="t/1.json", Body="".join(f'{{"v": {i}}}\n' for i in range(1000))
            )
        assert local.athena(f"SELECT count(*), {n}, sum(v) FROM t").data == [["1000", str(n), "499500"]]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(query, range(60)))


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
    athena("UNLOAD (SELECT * FROM t) TO 's3://lake/out/' WITH (format = 'JSON', compression = 'NONE')")
    unloaded = s3.list_objects_v2(Bucket="lake", Prefix="out/")["Contents"]
    assert sum(o["Size"] for o in unloaded) > 0.9 * size
    assert resident() < 900, resident()
