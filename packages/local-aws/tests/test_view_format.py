"""How a view's query is shown: what a real Trino 435 made of the same statements (PREPARE gives it)."""

from __future__ import annotations

import pytest

from local_aws.athena.view_format import formatted

CASES = [
    ("SELECT * FROM t", "SELECT *\nFROM\n  t"),
    (
        "SELECT id, name AS n FROM db1.t1 WHERE id > 1 AND name LIKE 'a%'",
        "SELECT\n  id\n, name n\nFROM\n  db1.t1\nWHERE ((id > 1) AND (name LIKE 'a%'))",
    ),
    (
        "WITH a AS (SELECT 1 x), b (y) AS (SELECT 2 UNION ALL SELECT 3 FROM k) SELECT * FROM a, b ORDER BY x OFFSET 2 LIMIT 3",
        "WITH\n  a AS (\n   SELECT 1 x\n\n) \n, b (y) AS (\n   SELECT 2\n\nUNION ALL    SELECT 3\n   FROM\n     k\n) \nSELECT *\nFROM\n  a\n, b\nORDER BY x ASC\nOFFSET 2 ROWS\nLIMIT 3",
    ),
    (
        "SELECT DISTINCT a, count(*) AS c, sum(DISTINCT x) FILTER (WHERE x > 1), CAST(a AS decimal(10,2)), -x, a AND b OR NOT c FROM t JOIN u ON t.a = u.a LEFT JOIN w USING (k), z CROSS JOIN UNNEST(xs, ys) WITH ORDINALITY AS q (x, y, n) WHERE a IN (1,2) AND b NOT IN (SELECT 1) AND d BETWEEN 1 AND 2 AND e IS NOT NULL GROUP BY a, 1 HAVING count(*) > 1",
        "SELECT DISTINCT\n  a\n, count(*) c\n, sum(DISTINCT x) FILTER (WHERE (x > 1))\n, CAST(a AS decimal(10, 2))\n, -(x)\n, ((a AND b) OR (NOT c))\nFROM\n  ((t\nINNER JOIN u ON (t.a = u.a))\nLEFT JOIN w USING (k))\n, (z\nCROSS JOIN UNNEST(xs, ys) WITH ORDINALITY q (x, y, n))\nWHERE ((a IN (1, 2)) AND (NOT (b IN (SELECT 1\n\n))) AND (d BETWEEN 1 AND 2) AND (e IS NOT NULL))\nGROUP BY a, 1\nHAVING (count(*) > 1)",
    ),
    (
        'SELECT a FROM (SELECT b, row_number() OVER (PARTITION BY a ORDER BY b DESC) AS "Rn" FROM "My" AS d) x WHERE "Rn" = 1',
        'SELECT a\nFROM\n  (\n   SELECT\n     b\n   , row_number() OVER (PARTITION BY a ORDER BY b DESC) "Rn"\n   FROM\n     "My" d\n)  x\nWHERE ("Rn" = 1)',
    ),
    (
        "SELECT CASE WHEN a THEN 1 ELSE 2 END, IF(a, 1), coalesce(a, b), a[1], ARRAY[1,2], transform(a, x -> x + 1), INTERVAL '1' DAY, DATE '2020-01-01', DECIMAL '1.5', 'it''s' || b, NULL, true, EXTRACT(YEAR FROM d), TRY_CAST(a AS bigint), CAST(r AS row(x integer, y array(varchar))) FROM t",
        "SELECT\n  (CASE WHEN a THEN 1 ELSE 2 END)\n, IF(a, 1)\n, COALESCE(a, b)\n, a[1]\n, ARRAY[1,2]\n, transform(a, (x) -> (x + 1))\n, INTERVAL '1' DAY\n, DATE '2020-01-01'\n, DECIMAL '1.5'\n, concat('it''s', b)\n, null\n, true\n, EXTRACT(YEAR FROM d)\n, TRY_CAST(a AS bigint)\n, CAST(r AS ROW(x integer, y array(varchar)))\nFROM\n  t",
    ),
]


@pytest.mark.parametrize(("sql", "text"), CASES)
def test_format(sql: str, text: str) -> None:
    assert formatted(sql) == text


def test_doubles_and_what_is_not_known() -> None:
    assert formatted("SELECT 1.5, 10.25e0, 100e0") == "SELECT\n  1.5E0\n, 1.025E1\n, 1E2"
    for sql in ("SELECT a FROM t TABLESAMPLE BERNOULLI (10)", "SELECT a FROM t ORDER BY a NULLS LAST"):
        assert formatted(sql) == sql
