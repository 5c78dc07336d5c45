"""What a statement names more than once is computed once, where nobody can tell."""

from __future__ import annotations

import pytest

from local_aws.athena.sharing import reachable, share, use
from local_aws_tests.harness import Athena


def test_two_uses_that_came_out_the_same_have_one_query() -> None:
    uses = ["SELECT r0.a FROM t AS r0", "SELECT r7.a FROM t AS r7"]
    assert share(uses, f"SELECT 1 FROM ({use(0)}) AS r1, ({use(1)}) AS r8") == (
        "WITH w0 AS (SELECT r0.a FROM t AS r0) SELECT 1 FROM (SELECT * FROM w0) AS r1, (SELECT * FROM w0) AS r8"
    )


def test_a_single_use_stays_where_it_is() -> None:
    assert share(["SELECT 1"], f"SELECT * FROM ({use(0)}) AS r0") == "SELECT * FROM (SELECT 1) AS r0"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 'r1'", "SELECT 'r2'"),
        ('SELECT r0."r1" FROM t AS r0', 'SELECT r3."r2" FROM t AS r3'),
        ("SELECT r0.a FROM t AS r0, u AS r1", "SELECT r2.a FROM u AS r1, t AS r2"),
    ],
)
def test_uses_that_differ_are_not_shared(one: str, other: str) -> None:
    query = f"SELECT * FROM ({use(0)}) AS x, ({use(1)}) AS y"
    assert share([one, other], query) == f"SELECT * FROM ({one}) AS x, ({other}) AS y"


def test_a_query_within_a_shared_one_comes_first_and_counts_once() -> None:
    uses = [
        "SELECT 1 AS a",
        f"SELECT * FROM ({use(0)})",
        "SELECT 1 AS a",
        f"SELECT * FROM ({use(2)})",
        "SELECT 1 AS a",
    ]
    assert share(uses, f"SELECT * FROM ({use(1)}), ({use(3)})") == (
        "WITH w1 AS (SELECT * FROM (SELECT 1 AS a)) SELECT * FROM (SELECT * FROM w1), (SELECT * FROM w1)"
    )
    assert share(uses, f"SELECT * FROM ({use(1)}), ({use(3)}), ({use(4)})") == (
        "WITH w0 AS (SELECT 1 AS a), w1 AS (SELECT * FROM (SELECT * FROM w0)) "
        "SELECT * FROM (SELECT * FROM w1), (SELECT * FROM w1), (SELECT * FROM w0)"
    )
    assert reachable(uses, f"SELECT * FROM ({use(3)})") == {2, 3}


def test_what_varies_is_computed_for_each_use(athena: Athena) -> None:
    """Athena puts the query of WITH in wherever it is named."""
    drawn = "SELECT random() AS x FROM UNNEST(sequence(1, 5)) AS u (n)"
    same = "SELECT count(*) FROM t AS a JOIN t AS b ON a.x = b.x"
    assert athena(f"WITH t AS ({drawn}) {same}").data == [["0"]]
    assert athena(f"WITH s AS ({drawn}), t AS (SELECT x FROM s) {same}").data == [["0"]]
    assert athena(f"WITH t AS ({drawn.replace('random()', '1.0')}) {same}").data == [["25"]]


def test_recursion_keeps_its_own(athena: Athena) -> None:
    text = (
        "WITH RECURSIVE few (m) AS (VALUES 1, 2), "
        "t (n) AS (VALUES 1 UNION ALL SELECT n + a.m FROM t CROSS JOIN few AS a CROSS JOIN few AS b WHERE n < 3 AND b.m = 1) "
        "SELECT a.n, count(*) FROM t AS a CROSS JOIN t AS b GROUP BY 1 ORDER BY 1"
    )
    assert athena(text).data == [["1", "5"], ["2", "5"], ["3", "10"], ["4", "5"]]


def test_each_use_reads_its_own_partitions(athena: Athena) -> None:
    location = f"s3://{athena.bucket}/shared/"
    athena(
        f"CREATE TABLE shared WITH (external_location = '{location}', partitioned_by = ARRAY['p']) AS SELECT n, p FROM (VALUES (1, 'a'), (2, 'b'), (3, 'b')) AS v (n, p)"
    )
    text = "WITH t AS (SELECT n, p FROM shared) SELECT (SELECT sum(n) FROM t WHERE p = 'a'), (SELECT sum(n) FROM t WHERE p = 'b'), (SELECT sum(n) FROM t)"
    assert athena(text).data == [["1", "5", "6"]]
    athena("CREATE VIEW seen AS SELECT n, p FROM shared")
    assert athena("SELECT a.n, b.n FROM seen AS a JOIN seen AS b ON a.p = b.p AND a.n < b.n").data == [
        ["2", "3"]
    ]
