"""What outlives a server: stopped, killed, started by other versions."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_aws_tests.harness import ENDLESS, Athena, Process

Start = Callable[..., Process]
OPENX = "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'"


TOKEN = "t" * 32


def fill(server: Process) -> dict[str, Any]:
    """Some of everything, and how to recognise it."""
    s3, glue, sns, sqs = (server.client(n) for n in ("s3", "glue", "sns", "sqs"))
    s3.create_bucket(Bucket="lake")
    s3.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_lifecycle_configuration(
        Bucket="lake",
        LifecycleConfiguration={
            "Rules": [
                {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 7}}
            ]
        },
    )
    queue = sqs.create_queue(QueueName="events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.put_bucket_notification_configuration(
        Bucket="lake",
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    s3.put_object(Bucket="lake", Key="d/a b.json", Body=b'{"a": 1}\n', Metadata={"m": "1"}, Tagging="t=1")
    s3.put_object(Bucket="lake", Key="d/a b.json", Body=b'{"a": 2}\n')
    s3.put_object(Bucket="lake", Key="gone", Body=b"x")
    s3.delete_object(Bucket="lake", Key="gone")
    athena = Athena(server.client("athena"), "lake", "db")
    athena("CREATE DATABASE db")
    athena(f"CREATE EXTERNAL TABLE t (a int) PARTITIONED BY (d string) {OPENX} LOCATION 's3://lake/x/'")
    glue.batch_create_partition(
        DatabaseName="db",
        TableName="t",
        PartitionInputList=[{"Values": ["1"], "StorageDescriptor": {"Location": "s3://lake/d/"}}],
    )
    athena("CREATE VIEW v AS SELECT a + 1 AS b FROM t")
    server.client("athena").create_work_group(
        Name="team", Configuration={"BytesScannedCutoffPerQuery": 10_000_000}
    )
    api = server.client("athena")
    named = api.create_named_query(Name="n", Database="db", QueryString="SELECT 1", WorkGroup="team")
    api.create_prepared_statement(StatementName="p", WorkGroup="team", QueryStatement="SELECT ?")
    api.create_data_catalog(Name="Other", Type="GLUE", Parameters={"catalog-id": "111122223333"})
    api.tag_resource(
        ResourceARN="arn:aws:athena:us-east-1:123456789012:workgroup/team", Tags=[{"Key": "k", "Value": "v"}]
    )
    result = athena("SELECT b FROM v", ClientRequestToken=TOKEN)
    assert result.data == [["3"]]
    return {
        "named": named["NamedQueryId"],
        "query": result.execution["QueryExecutionId"],
        "versions": versions(s3),
        "topic": topic,
        "queue": queue,
    }


def versions(s3: Any) -> list[Any]:
    listed = s3.list_object_versions(Bucket="lake", Prefix="")
    return [
        *[
            (v["Key"], v["VersionId"], v["ETag"], v["IsLatest"], v["LastModified"], v["Size"])
            for v in listed["Versions"]
            if not v["Key"].startswith("results/")
        ],
        *[(m["Key"], m["VersionId"], m["IsLatest"], m["LastModified"]) for m in listed["DeleteMarkers"]],
    ]


def check(server: Process, before: dict[str, Any]) -> None:
    s3, client = server.client("s3"), server.client("athena")
    assert versions(s3) == before["versions"]
    assert s3.get_object(Bucket="lake", Key="d/a b.json")["Body"].read() == b'{"a": 2}\n'
    oldest = next(v for v in before["versions"] if v[0] == "d/a b.json" and not v[3])
    old = s3.get_object(Bucket="lake", Key="d/a b.json", VersionId=oldest[1])
    assert (old["Body"].read(), old["Metadata"]) == (b'{"a": 1}\n', {"m": "1"})
    tags = s3.get_object_tagging(Bucket="lake", Key="d/a b.json", VersionId=oldest[1])["TagSet"]
    assert tags == [{"Key": "t", "Value": "1"}]
    assert s3.get_bucket_versioning(Bucket="lake")["Status"] == "Enabled"
    assert s3.get_bucket_lifecycle_configuration(Bucket="lake")["Rules"][0]["ID"] == "r"
    athena = Athena(client, "lake", "db")
    execution = client.get_query_execution(QueryExecutionId=before["query"])["QueryExecution"]
    assert (execution["Status"]["State"], execution["Query"]) == ("SUCCEEDED", "SELECT b FROM v")
    rows = client.get_query_results(QueryExecutionId=before["query"])["ResultSet"]["Rows"]
    assert rows[1]["Data"] == [{"VarCharValue": "3"}]
    assert before["query"] in client.list_query_executions()["QueryExecutionIds"]
    assert athena("SELECT b FROM v").data == [["3"]]
    assert (
        client.get_work_group(WorkGroup="team")["WorkGroup"]["Configuration"]["BytesScannedCutoffPerQuery"]
        == 10_000_000
    )
    assert athena.start("SELECT b FROM v", ClientRequestToken=TOKEN) == before["query"]
    assert client.get_named_query(NamedQueryId=before["named"])["NamedQuery"]["WorkGroup"] == "team"
    prepared = client.get_prepared_statement(StatementName="p", WorkGroup="team")["PreparedStatement"]
    assert prepared["QueryStatement"] == "SELECT ?"
    assert [c["CatalogName"] for c in client.list_data_catalogs()["DataCatalogsSummary"]][1:] == ["Other"]
    arn = "arn:aws:athena:us-east-1:123456789012:workgroup/team"
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "k", "Value": "v"}]


@pytest.mark.supports(
    "State", "Everything survives a stop: objects with versions, catalog, queries, workgroups, queues, topics"
)
def test_restart(start: Start, tmp_path: Path) -> None:
    server = start("--state", str(tmp_path / "s"))
    before = fill(server)
    assert server.stop() == 0
    server = start("--state", str(tmp_path / "s"))
    check(server, before)
    sqs, sns = server.client("sqs"), server.client("sns")
    sqs.purge_queue(QueueUrl=before["queue"])
    sns.publish(TopicArn=before["topic"], Message="hello")
    assert "hello" in sqs.receive_message(QueueUrl=before["queue"])["Messages"][0]["Body"]
    server.client("s3").put_object(Bucket="lake", Key="new", Body=b"")
    event = json.loads(sqs.receive_message(QueueUrl=before["queue"])["Messages"][0]["Body"])
    assert event["Records"][0]["s3"]["object"]["key"] == "new"


@pytest.mark.supports("State", "Acknowledged S3, Glue and Athena writes survive SIGKILL")
def test_killed(start: Start, tmp_path: Path) -> None:
    server = start("--state", str(tmp_path / "s"))
    before = fill(server)
    server.kill()
    check(start("--state", str(tmp_path / "s")), before)


@pytest.mark.supports("State", "Multipart uploads go on after a stop or SIGKILL")
def test_multipart_upload_goes_on(start: Start, tmp_path: Path) -> None:
    server = start("--state", str(tmp_path / "s"))
    s3 = server.client("s3")
    s3.create_bucket(Bucket="lake")
    first, last = os.urandom(5 << 20), b"the end"
    named: dict[str, Any] = {"Bucket": "lake", "Key": "a"}
    named["UploadId"] = s3.create_multipart_upload(**named, Metadata={"m": "1"})["UploadId"]
    aborted = s3.create_multipart_upload(Bucket="lake", Key="b")["UploadId"]
    s3.upload_part(**named, PartNumber=1, Body=b"replaced")
    etags = [s3.upload_part(**named, PartNumber=1, Body=first)["ETag"]]
    s3.abort_multipart_upload(Bucket="lake", Key="b", UploadId=aborted)
    server.kill()
    server = start("--state", str(tmp_path / "s"))
    s3 = server.client("s3")
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket="lake")["Uploads"]] == [named["UploadId"]]
    assert [(p["ETag"], p["Size"]) for p in s3.list_parts(**named)["Parts"]] == [(etags[0], len(first))]
    etags.append(s3.upload_part(**named, PartNumber=2, Body=last)["ETag"])
    assert server.stop() == 0
    server = start("--state", str(tmp_path / "s"))
    s3 = server.client("s3")
    parts = [{"PartNumber": n, "ETag": e} for n, e in enumerate(etags, 1)]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    server.kill()
    s3 = start("--state", str(tmp_path / "s")).client("s3")
    found = s3.get_object(Bucket="lake", Key="a")
    assert (found["Body"].read(), found["Metadata"]) == (first + last, {"m": "1"})
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="lake")
    assert len([p for p in (tmp_path / "s" / "bodies").rglob("*") if p.is_file()]) == 1


def test_killed_while_writing(start: Start, tmp_path: Path) -> None:
    """Whatever moment it dies in: what was acknowledged is there, whole, and nothing is torn."""
    server = start("--state", str(tmp_path / "s"))
    s3 = server.client("s3")
    s3.create_bucket(Bucket="lake")
    acknowledged: dict[str, int] = {}
    enough = threading.Event()

    def write(worker: int) -> None:
        client = server.client("s3")
        for i in range(10_000):
            key, size = f"{worker}/{i % 7}", 1 + (i * 7919) % 200_000
            try:
                client.put_object(Bucket="lake", Key=key, Body=bytes([i % 251]) * size)
            except Exception:
                return
            acknowledged[key] = i
            if i >= 40:
                enough.set()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    assert enough.wait(60)
    server.kill()
    for t in threads:
        t.join()
    s3 = start("--state", str(tmp_path / "s")).client("s3")
    assert len(acknowledged) == 28
    for key, i in acknowledged.items():
        got = s3.get_object(Bucket="lake", Key=key)
        data = got["Body"].read()
        # The version acknowledged last, or one that was on its way when the server died.
        following = i + 7
        assert (data[:1], len(data)) in [
            (bytes([i % 251]), 1 + (i * 7919) % 200_000),
            (bytes([following % 251]), 1 + (following * 7919) % 200_000),
        ], key
        assert set(data) == {data[0]}


@pytest.mark.supports(
    "State", "Killed while queries write: every table whole, the history complete, what ran has FAILED"
)
def test_killed_while_queries_write(start: Start, tmp_path: Path) -> None:
    server = start("--state", str(tmp_path / "s"), "--log-level", "WARNING")
    server.client("s3").create_bucket(Bucket="lake")
    setup = Athena(server.client("athena"), "lake", "default")
    setup(
        "CREATE EXTERNAL TABLE t (batch int, x int) PARTITIONED BY (p int) STORED AS PARQUET LOCATION 's3://lake/t/'"
    )
    rows = "SELECT {batch} AS batch, x, x % 4 AS p FROM UNNEST(sequence(1, 2000)) AS s(x)"
    setup("INSERT INTO t " + rows.format(batch=-1))
    setup(
        "CREATE TABLE ice (batch int, x int, p int) PARTITIONED BY (p) LOCATION 's3://lake/ice/' "
        "TBLPROPERTIES ('table_type' = 'ICEBERG')"
    )
    started: dict[str, tuple[str, int]] = {}
    succeeded: set[str] = set()
    enough = threading.Event()

    def write(worker: int) -> None:
        athena = Athena(server.client("athena"), "lake", "default")
        for i in range(10_000):
            batch = worker * 10_000 + i
            target, sql = (
                ("t", "INSERT INTO t "),
                (f"c{batch}", f"CREATE TABLE c{batch} WITH (partitioned_by = ARRAY['p']) AS "),
                ("ice", "INSERT INTO ice "),
            )[i % 3]
            try:
                query = athena.start(sql + rows.format(batch=batch))
                started[query] = (target, batch)
                if athena.wait(query)["Status"]["State"] == "SUCCEEDED":
                    succeeded.add(query)
            except Exception:
                return
            if i >= 3:
                enough.set()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    assert enough.wait(60)
    started[setup.start(ENDLESS)] = ("", 0)
    server.kill()
    for t in threads:
        t.join()
    server = start("--state", str(tmp_path / "s"))
    athena = Athena(server.client("athena"), "lake", "default")
    batches: dict[str, set[int]] = {}
    for table in ("t", "ice"):
        found = athena(f"SELECT batch, count(*), count(DISTINCT p) FROM {table} GROUP BY batch").data
        assert {(n, p) for _, n, p in found} == {("2000", "4")}
        batches[table] = {int(str(batch)) for batch, _, _ in found}
    made = {str(r[0]) for r in athena("SHOW TABLES 'c*'").rows}
    for name in made:
        assert athena(f"SELECT count(*), count(DISTINCT p) FROM {name}").data == [["2000", "4"]]
    running = 0
    for query, (target, batch) in started.items():
        status = athena.client.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
        if query in succeeded:
            assert status["State"] == "SUCCEEDED"
            assert batch in batches[target] if target in batches else target in made
        elif status["State"] != "SUCCEEDED":
            running += 1
            assert (status["State"], status["AthenaError"]["Retryable"]) == ("FAILED", True)
            assert status["StateChangeReason"].endswith("local_aws was stopped while the query ran")
    assert len(succeeded) > 6
    assert running
    assert not list((tmp_path / "s" / "scratch").iterdir())


def test_bodies_nobody_knows_are_removed(start: Start, tmp_path: Path) -> None:
    server = start("--state", str(tmp_path / "s"))
    s3 = server.client("s3")
    s3.create_bucket(Bucket="lake")
    for _ in range(5):
        s3.put_object(Bucket="lake", Key="k", Body=b"x" * 1000)
    server.kill()
    bodies = tmp_path / "s" / "bodies"
    (bodies / "00").mkdir(exist_ok=True)
    (bodies / "00" / ("0" * 32)).write_bytes(b"torn")
    server = start("--state", str(tmp_path / "s"))
    assert [p.stat().st_size for p in bodies.rglob("*") if p.is_file()] == [1000]


@pytest.mark.supports("State", "A state of another moto version is refused, and --reset begins anew")
def test_other_version(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    server = start("--state", str(folder))
    server.client("s3").create_bucket(Bucket="lake")
    assert server.stop() == 0
    with sqlite3.connect(folder / "index.sqlite") as db:
        db.execute("UPDATE meta SET value = '1.0.0' WHERE name = 'moto'")
    db.close()
    with pytest.raises(RuntimeError, match=r"exit 1: .*moto 1\.0\.0; this is .*--reset"):
        start("--state", str(folder))
    server = start("--state", str(folder), "--reset")
    assert server.client("s3").list_buckets()["Buckets"] == []


def test_a_state_folder_has_one_server(start: Start, tmp_path: Path) -> None:
    start("--state", str(tmp_path / "s"))
    with pytest.raises(RuntimeError, match="in use by another local_aws"):
        start("--state", str(tmp_path / "s"))


@pytest.mark.supports(
    "State", "Health: states of queries; log: a line for each query and for each request refused"
)
def test_port_file_health_and_log(start: Start, tmp_path: Path) -> None:
    import urllib.request

    server = start("--port-file", str(tmp_path / "port"))
    assert server.url == f"http://127.0.0.1:{(tmp_path / 'port').read_text().strip()}"
    server.client("s3").create_bucket(Bucket="lake")
    athena = Athena(server.client("athena"), "lake", "default")
    query = athena("SELECT 1 AS a").execution["QueryExecutionId"]
    athena.fails("SELEC 1")
    with urllib.request.urlopen(server.url + "/_local_aws/health") as answer:
        health = json.load(answer)
    assert (health["status"], health["buckets"]) == ("healthy", 1)
    assert health["queries"] == {"total": 1, "queued": 0, "running": 0}
    assert server.stop() == 0
    assert server.process.stderr is not None
    log = server.process.stderr.read()
    assert f"{query} SUCCEEDED SELECT" in log
    assert "StartQueryExecution refused: InvalidRequestException: line 1:1: mismatched input 'SELEC'" in log
    assert "Traceback" not in log


def test_a_port_in_use_is_named(start: Start) -> None:
    port = start().url.rsplit(":", 1)[1]
    with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{port}"):
        start("--port", port)


def test_stopped_while_a_query_runs(start: Start, tmp_path: Path) -> None:
    """SIGTERM cancels queries and ends at once; afterwards their state says so."""
    server = start("--state", str(tmp_path / "s"))
    server.client("s3").create_bucket(Bucket="lake")
    athena = Athena(server.client("athena"), "lake", "default")
    running = athena.start(ENDLESS)
    pause = threading.Event()
    while (
        athena.client.get_query_execution(QueryExecutionId=running)["QueryExecution"]["Status"]["State"]
        == "QUEUED"
    ):
        pause.wait(0.01)
    assert server.stop() == 0
    client = start("--state", str(tmp_path / "s")).client("athena")
    status = client.get_query_execution(QueryExecutionId=running)["QueryExecution"]["Status"]
    assert status["State"] == "CANCELLED"
