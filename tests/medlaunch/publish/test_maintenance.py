"""Maintaining an Iceberg table, on the local Athena, and what Athena says when it wants to be asked again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from medlaunch.athena.queries import Queries, QueryFailed
from medlaunch.publish import maintenance
from medlaunch.publish.maintenance import ROUNDS, Outcome, State, maintain
from tests.sql.lake import Athena

MORE = "Query 1 ended as FAILED: ICEBERG_VACUUM_MORE_RUNS_NEEDED: Removed 20000 files in this round of vacuum"


@pytest.fixture
def lake(aws: Any, s3: Any) -> Athena:
    bucket = "test-maintenance"
    s3.create_bucket(Bucket=bucket)
    made = Athena(aws("athena"), s3, bucket)
    made.query(made.render("common/database/database.sql"))
    return made


class Busy(Queries):
    """Athena, which fails so often before it does what it is asked to, with these texts."""

    def __init__(self, lake: Athena, *failures: str):
        super().__init__(
            lambda: lake.client,
            lake.s3,
            database=lake.database,
            workgroup="primary",
            poll_seconds=0.01,
            timeout_seconds=60,
        )
        self._lake, self._failures = lake, list(failures)
        self.ran: list[str] = []

    def run(self, text: str) -> Mapping[str, Any]:
        statement = text.splitlines()[-1].split()[0]
        if statement in ("OPTIMIZE", "VACUUM"):
            self.ran.append(statement)
            if statement == "VACUUM" and self._failures:
                raise QueryFailed(self._failures.pop(0))
        return self._lake.query(text)[1]


def table_of(lake: Athena, inserts: int, **properties: str) -> None:
    more = "".join(f", '{name}' = '{value}'" for name, value in properties.items())
    lake.query(
        f"CREATE TABLE t (id int) LOCATION 's3://{lake.bucket}/{lake.database}/t/' TBLPROPERTIES ('table_type' = 'ICEBERG'{more})"
    )
    for number in range(inserts):
        lake.query(f"INSERT INTO t VALUES ({number})")


def test_small_files_become_one_and_old_snapshots_go(lake: Athena, aws: Any) -> None:
    table_of(lake, 6, vacuum_max_snapshot_age_seconds="0")
    outcome = maintain(Busy(lake), aws("glue"), lake.database, "t")
    assert outcome.before
    assert outcome.after
    assert (outcome.before.files, outcome.before.snapshots) == (6, 6)
    assert (outcome.after.files, outcome.after.snapshots) == (1, 1)
    assert len(lake.select("SELECT id FROM t")) == 6
    assert outcome.line() == "t: 6 files (0.0 MB), 6 snapshots before; 1 file (0.0 MB), 1 snapshot now"
    assert maintain(Busy(lake), aws("glue"), lake.database, "t").before == outcome.after


def test_a_table_that_is_not_there_yet(lake: Athena, aws: Any) -> None:
    queries = Busy(lake)
    outcome = maintain(queries, aws("glue"), lake.database, "t")
    assert outcome == Outcome(table="t", before=None, after=None)
    assert outcome.line() == "t: not there yet, its pipeline has published nothing"
    assert queries.ran == []
    assert maintenance.summary([outcome]) == "No Iceberg table is there yet"


def test_athena_is_asked_again_while_it_has_more_to_do(lake: Athena, aws: Any) -> None:
    table_of(lake, 1)
    queries = Busy(lake, MORE, MORE)
    maintain(queries, aws("glue"), lake.database, "t")
    assert queries.ran == ["OPTIMIZE", "VACUUM", "VACUUM", "VACUUM"]


def test_but_not_for_ever(lake: Athena, aws: Any) -> None:
    table_of(lake, 1)
    queries = Busy(lake, *[MORE] * 99)
    with pytest.raises(QueryFailed, match="MORE_RUNS_NEEDED"):
        maintain(queries, aws("glue"), lake.database, "t")
    assert queries.ran.count("VACUUM") == ROUNDS


def test_another_failure_is_left_to_the_task(lake: Athena, aws: Any) -> None:
    table_of(lake, 1)
    queries = Busy(lake, "Query 1 ended as FAILED: ICEBERG_COMMIT_ERROR: another commit was first")
    with pytest.raises(QueryFailed, match="ICEBERG_COMMIT_ERROR"):
        maintain(queries, aws("glue"), lake.database, "t")
    assert queries.ran == ["OPTIMIZE", "VACUUM"]


def test_a_summary_counts_what_is_there() -> None:
    before, after = State(files=6, bytes=60, snapshots=9), State(files=1, bytes=50, snapshots=2)
    outcomes = [Outcome(table="a", before=before, after=after), Outcome(table="b", before=None, after=None)]
    assert (
        maintenance.summary(outcomes)
        == "Maintained 1 Iceberg table: 6 files and 9 snapshots before, 1 file and 2 snapshots now"
    )
