"""Clients' own suites against local AWS: ``make test-peers PYATHENA_TESTS=DIR AWSWRANGLER_TESTS=DIR DBT_ATHENA_TESTS=DIR``.

Their authors run them on the real service, so what they assert is Athena's behaviour. Each DIR is a checkout of the
client's repository or its folder of tests; the tests are copied to build/peers and run there with the clients of
requirements.lock. expected/<suite>.txt lists the tests that fail and why: a comment, then the tests that it is about.
A failure that is not listed and a listed test that passes both end with status 1. Tests below a comment that begins with
`either:` may do both: what they test is not local AWS.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import local_aws
from local_aws_tests.harness import make_client

HERE = Path(__file__).parent
BUILD = Path("build/peers")
REGION = "us-east-1"


@dataclass
class Suite:
    """A client's suite. runs: pytest's arguments of each run. prepare: makes what the tests expect to find."""

    name: str
    variable: str
    runs: list[list[str]]
    prepare: Callable[[str], None]
    environment: dict[str, str] = field(default_factory=dict)
    # Files beside the tests, with their content.
    settings: dict[str, str] = field(default_factory=dict)


def _bucket(url: str, name: str) -> str:
    make_client(url, "s3").create_bucket(Bucket=name)
    return name


def _workgroup(url: str, name: str, location: str) -> None:
    configuration = {
        "ResultConfiguration": {"OutputLocation": location},
        "EnforceWorkGroupConfiguration": False,
    }
    make_client(url, "athena").create_work_group(Name=name, Configuration=configuration)


def _pyathena(url: str) -> None:
    _bucket(url, "pyathena-peers")
    for name in ("pyathena", "pyathena-spark"):
        _workgroup(url, name, "s3://pyathena-peers/workgroup/")


def _dbt(url: str) -> None:
    _bucket(url, "dbt-peers")
    _workgroup(url, "dbt-peers", "s3://dbt-peers/workgroup/")


def _awswrangler(url: str) -> None:
    """The suite reads the names of what it uses from the outputs of a stack."""
    bucket = _bucket(url, "wrangler-peers")
    make_client(url, "glue").create_database(
        DatabaseInput={"Name": "aws_sdk_pandas", "LocationUri": f"s3://{bucket}"}
    )
    key = make_client(url, "kms").create_key(Description="AWS SDK for pandas Test Key.")["KeyMetadata"]["Arn"]
    outputs = {
        "Region": REGION,
        "BucketName": bucket,
        "GlueDatabaseName": "aws_sdk_pandas",
        "KmsKeyArn": key,
        "BucketAccessPointArn": bucket,
    }
    template = {
        "Resources": {"Nothing": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    make_client(url, "cloudformation").create_stack(
        StackName="aws-sdk-pandas-base", TemplateBody=json.dumps(template)
    )


# Of awswrangler's tests those of what Athena, Glue's catalog and S3 do.
_WRANGLER = [
    "athena", "athena_cache", "athena_csv", "athena_geospatial", "athena_iceberg", "athena_parquet", "athena_prepared",
    "athena_projection", "catalog", "fs", "metadata", "pandas_pyarrow_dtype_backend", "routines", "s3", "s3_excel",
    "s3_orc", "s3_parquet", "s3_text", "s3_text_compressed", "s3_wait", "session", "sql_params_formatter",
]  # fmt: skip

SUITES = [
    Suite(
        "pyathena",
        "PYATHENA_TESTS",
        [
            ["tests/pyathena", "--ignore=tests/pyathena/spark", "--ignore=tests/pyathena/aio/spark"],
            ["tests/sqlalchemy"],
        ],
        _pyathena,
        {
            "AWS_ATHENA_S3_STAGING_DIR": "s3://pyathena-peers/staging/",
            "AWS_ATHENA_WORKGROUP": "pyathena",
            "AWS_ATHENA_SPARK_WORKGROUP": "pyathena-spark",
        },
        # SQLAlchemy's suite reads it.
        {
            "setup.cfg": "[sqla_testing]\n"
            "requirement_cls = pyathena.sqlalchemy.requirements:Requirements\n"
            "profile_file = tests/sqlalchemy/profiles.txt\n"
        },
    ),
    Suite("awswrangler", "AWSWRANGLER_TESTS", [[f"tests/unit/test_{n}.py" for n in _WRANGLER]], _awswrangler),
    Suite(
        "dbt-athena",
        "DBT_ATHENA_TESTS",
        [["tests/functional", "--ignore=tests/functional/adapter/test_python_submissions.py"]],
        _dbt,
        {
            "DBT_TEST_ATHENA_S3_STAGING_DIR": "s3://dbt-peers/staging/",
            "DBT_TEST_ATHENA_S3_TMP_TABLE_DIR": "s3://dbt-peers/tables/",
            "DBT_TEST_ATHENA_REGION_NAME": REGION,
            "DBT_TEST_ATHENA_DATABASE": "awsdatacatalog",
            "DBT_TEST_ATHENA_SCHEMA": "dbt_peers",
            "DBT_TEST_ATHENA_WORK_GROUP": "dbt-peers",
            "DBT_TEST_ATHENA_POLL_INTERVAL": "0.1",
            "DBT_TEST_ATHENA_NUM_RETRIES": "0",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DO_NOT_TRACK": "1",
        },
    ),
]


def expected(suite: str) -> tuple[dict[str, str], set[str]]:
    """The reason of each test that fails, and the tests that may do both."""
    failing: dict[str, str] = {}
    either: set[str] = set()
    path, reason = HERE / "expected" / f"{suite}.txt", ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line.startswith("#") or not line.strip():
            continue
        elif reason.startswith("either:"):
            either.add(line)
        else:
            failing[line] = reason
    return failing, either


def outcomes(report: Path) -> dict[str, tuple[str, str]]:
    """By test: passed, failed or skipped, and the first line of why."""
    found: dict[str, tuple[str, str]] = {}
    for case in ET.parse(report).iter("testcase"):  # pytest wrote it
        kinds = {"failure": "failed", "error": "failed", "skipped": "skipped"}
        name = f"{case.get('classname')}::{case.get('name')}"
        result = ("passed", "")
        for child in case:
            if child.tag in kinds:
                lines = (child.get("message") or child.text or "").strip().splitlines()
                result = (kinds[child.tag], lines[0] if lines else "")
        # A test whose teardown fails has two entries.
        if found.get(name, ("",))[0] != "failed":
            found[name] = result
    return found


def _copy(folder: Path, target: Path, settings: dict[str, str]) -> None:
    """The tests alone: beside the repository's source they would import that instead of the client."""
    tests = folder / "tests" if (folder / "tests").is_dir() else folder
    if not any(tests.rglob("test_*.py")):
        raise SystemExit(
            f"{folder} has no tests (test_*.py): name the client's repository or its folder of tests"
        )
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(tests, target / "tests")
    # A file of its own, or pytest would take this repository's.
    for name, content in {"pytest.ini": "[pytest]\n", **settings}.items():
        (target / name).write_text(content, encoding="utf-8")


def run(
    suite: Suite, folder: Path, python: Path, url: str, arguments: list[str]
) -> dict[str, tuple[str, str]]:
    target = (BUILD / suite.name).resolve()
    _copy(folder, target, suite.settings)
    (target / "peers_plugin.py").write_text(
        (HERE / "plugin.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    suite.prepare(url)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PYTHONPATH": str(target),
        **suite.environment,
    }
    found: dict[str, tuple[str, str]] = {}
    for number, chosen in enumerate(suite.runs):
        report = target / f"report-{number}.xml"
        report.unlink(missing_ok=True)
        present = [a for a in chosen if a.startswith("-") or (target / a).exists()]
        command = [
            str(python), "-m", "pytest", "-q", "-p", "peers_plugin", "-p", "no:cacheprovider", "-W", "ignore",
            "--timeout", "300", "--tb", "short", "--show-capture", "no", f"--junitxml={report}", *present, *arguments,
        ]  # fmt: skip
        with (target / f"log-{number}.txt").open("w", encoding="utf-8") as log:
            status = subprocess.run(
                command, cwd=target, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        # 5: the arguments choose none of them.
        if status.returncode not in (0, 1, 5):
            raise SystemExit(f"{suite.name}: pytest ended with {status.returncode}; see {log.name}")
        found |= outcomes(report)
    return found


def judge(suite: str, found: dict[str, tuple[str, str]]) -> bool:
    """Prints what differs from the list; whether nothing does."""
    failing, either = expected(suite)
    failed = {n: why for n, (result, why) in found.items() if result == "failed"}
    passed = {n for n, (result, _) in found.items() if result == "passed"}
    ran = len(failed) + len(passed)
    known = {n for n in failed if n in failing or n in either}
    print(f"{suite}: {len(passed)} of {ran} pass; {len(known)} of {len(failed)} failures are explained")
    surprises = sorted(failed.keys() - known)
    mended = sorted(failing.keys() & passed)
    for name in surprises:
        print(f"  fails: {name}\n    {failed[name][:300]}")
    for name in mended:
        print(f"  passes, and is listed as failing: {name}")
    return not surprises and not mended


def main() -> int:
    python = Path(os.environ["PEERS_PYTHON"])
    arguments = sys.argv[1:]
    chosen = [(s, Path(os.environ[s.variable])) for s in SUITES if os.environ.get(s.variable)]
    if not chosen:
        print(
            f"Which suites? make test-peers {' '.join(s.variable + '=DIR' for s in SUITES)}", file=sys.stderr
        )
        return 2
    good = True
    with local_aws.serve() as server:
        for suite, folder in chosen:
            found = run(suite, folder, python, server.url, arguments)
            good &= judge(suite.name, found)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
