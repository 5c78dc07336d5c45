"""Random INSERT, UPDATE, DELETE and MERGE statements against a model of them in plain Python."""

from __future__ import annotations

import itertools
import os
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as h

from local_aws_tests.harness import Athena, connect

Row = tuple[int | None, int | None, str | None]
FAILS = "MERGE_TARGET_ROW_MULTIPLE_MATCHES"

ids = h.none() | h.integers(0, 6)
numbers = h.none() | h.integers(-2, 2)
texts = h.none() | h.sampled_from(["", "a", "A", "null", "ä/b=c d", "'"])
rows = h.lists(h.tuples(ids, numbers, texts), max_size=6)


def literal(value: int | str | None) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def values(of: list[Row]) -> str:
    """A VALUES list whose columns have the table's types."""
    listed = ", ".join(f"({', '.join(map(literal, r))})" for r in of) or "(NULL, NULL, NULL)"
    where = "" if of else " WHERE false"
    return (
        "(SELECT CAST(id AS integer) AS id, CAST(n AS bigint) AS n, CAST(s AS varchar) AS s "
        f"FROM (VALUES {listed}) AS v(id, n, s){where})"
    )


@dataclass(frozen=True)
class Condition:
    """A predicate over a row: as SQL with {0} for the row's name and a dot, and as Python."""

    sql: str
    holds: Callable[[Row], bool]

    def __repr__(self) -> str:
        return self.sql


def _compared(column: int, test: Callable[[Any], bool]) -> Callable[[Row], bool]:
    return lambda row: row[column] is not None and test(row[column])


conditions = h.one_of(
    h.integers(0, 6).map(lambda c: Condition(f"{{0}}id = {c}", _compared(0, lambda x: x == c))),
    h.integers(0, 6).map(lambda c: Condition(f"{{0}}id < {c}", _compared(0, lambda x: x < c))),
    h.integers(-2, 2).map(lambda c: Condition(f"{{0}}n >= {c}", _compared(1, lambda x: x >= c))),
    h.just(Condition("{0}s = 'a'", _compared(2, lambda x: x == "a"))),
    h.just(Condition("{0}n IS NULL", lambda row: row[1] is None)),
    h.just(Condition("NOT ({0}n > 0)", _compared(1, lambda x: x <= 0))),
)


@dataclass(frozen=True)
class Clause:
    """WHEN [NOT] MATCHED. Of a matched row: `action` DELETE, or what to set."""

    matched: bool
    condition: Condition | None
    of_source: bool
    action: str

    def sql(self) -> str:
        name = "src." if self.of_source or not self.matched else "t."
        test = f" AND {self.condition.sql.format(name)}" if self.condition is not None else ""
        if not self.matched:
            then = {
                "all": "INSERT (id, n, s) VALUES (src.id, src.n, src.s)",
                "some": "INSERT (s, id) VALUES (upper(src.s), src.id)",
            }[self.action]
            return f"WHEN NOT MATCHED{test} THEN {then}"
        then = {
            "delete": "DELETE",
            "number": "UPDATE SET n = coalesce(t.n, 0) + src.n",
            "both": "UPDATE SET s = src.s, n = t.n",
            "key": "UPDATE SET id = t.id + 10",
        }[self.action]
        return f"WHEN MATCHED{test} THEN {then}"

    def applies(self, target: Row | None, source: Row) -> bool:
        if self.condition is None:
            return True
        row = source if self.of_source or target is None else target
        return self.condition.holds(row)

    def changed(self, t: Row, s: Row) -> Row | None:
        if self.action == "number":
            return (t[0], None if s[1] is None else (t[1] or 0) + s[1], t[2])
        if self.action == "both":
            return (t[0], t[1], s[2])
        if self.action == "key":
            return (None if t[0] is None else t[0] + 10, t[1], t[2])
        return None

    def inserted(self, s: Row) -> Row:
        return s if self.action == "all" else (s[0], None, None if s[2] is None else s[2].upper())


clauses = h.lists(
    h.builds(
        Clause,
        h.just(True),
        h.none() | conditions,
        h.booleans(),
        h.sampled_from(["delete", "number", "both", "key"]),
    )
    | h.builds(Clause, h.just(False), h.none() | conditions, h.just(True), h.sampled_from(["all", "some"])),
    min_size=1,
    max_size=4,
)
statements = h.one_of(
    h.tuples(h.just("insert"), rows),
    h.tuples(h.just("update"), conditions, h.sampled_from(["n", "s", "id"])),
    h.tuples(h.just("delete"), conditions),
    h.tuples(h.just("merge"), rows, clauses),
    h.tuples(h.just("merge"), rows, clauses),
)


def merged(table: list[Row], source: list[Row], whens: list[Clause]) -> tuple[list[Row], int] | None:
    """MERGE's result and its count; None where it must fail."""
    changes: dict[int, list[tuple[int, Row | None]]] = {}
    inserts: list[Row] = []
    for s in source:
        matches = [i for i, t in enumerate(table) if t[0] is not None and t[0] == s[0]]
        for i in matches:
            case = next((k for k, w in enumerate(whens) if w.matched and w.applies(table[i], s)), -1)
            new = whens[case].changed(table[i], s) if case >= 0 else None
            changes.setdefault(i, []).append((case, new))
        if not matches:
            case = next((k for k, w in enumerate(whens) if not w.matched and w.applies(None, s)), -1)
            if case >= 0:
                inserts.append(whens[case].inserted(s))
    applied = 0
    after: list[Row] = []
    for i, t in enumerate(table):
        found = changes.get(i, [])
        done = [(case, new) for case, new in found if case >= 0]
        if len({case for case, _ in found}) < len(found) or len(done) > 1:
            return None
        applied += len(done)
        kept = t if not done else done[0][1]
        if kept is not None:
            after.append(kept)
    return after + inserts, applied + len(inserts)


names = itertools.count()
PARTITIONS = [
    "",
    "PARTITIONED BY (s)",
    "PARTITIONED BY (bucket(3, id))",
    "PARTITIONED BY (truncate(4, id), truncate(1, s))",
]


@pytest.mark.supports(
    "Iceberg",
    "Random sequences of INSERT, UPDATE, DELETE and MERGE against a model, on partitioned tables too; PyIceberg agrees",
)
@settings(
    max_examples=int(os.environ.get("ICEBERG_EXAMPLES", "10")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    sequence=h.lists(statements, min_size=1, max_size=6), first=rows, partitions=h.sampled_from(PARTITIONS)
)
def test_statements_as_in_the_model(
    athena: Athena,
    client: Callable[[str], Any],
    aws_url: str,
    sequence: list[Any],
    first: list[Row],
    partitions: str,
) -> None:
    name = f"t{next(names)}"
    athena(
        f"CREATE TABLE {name} (id int, n bigint, s string) {partitions} "
        f"LOCATION 's3://{athena.bucket}/{name}-{uuid.uuid4().hex}/' TBLPROPERTIES ('table_type'='ICEBERG')"
    )
    table: list[Row] = []
    for statement in [("insert", first), *sequence]:
        sql, expected = _next(name, table, statement)
        execution = athena.wait(athena.start(sql))
        state = execution["Status"]["State"]
        if expected is None:
            assert state == "FAILED", sql
            assert execution["Status"]["StateChangeReason"].startswith(FAILS), sql
        else:
            assert state == "SUCCEEDED", (sql, execution["Status"])
            results = client("athena").get_query_results(QueryExecutionId=execution["QueryExecutionId"])
            assert results["UpdateCount"] == expected[1], sql
            table = expected[0]
        found = [
            (None if i is None else int(i), None if n is None else int(n), s)
            for i, n, s in athena(f"SELECT id, n, s FROM {name}").data
        ]
        assert Counter(found) == Counter(table), sql
    arrow = connect(aws_url).load_table((athena.database, name)).scan().to_arrow().to_pylist()
    assert Counter((r["id"], r["n"], r["s"]) for r in arrow) == Counter(table)


def _next(name: str, table: list[Row], statement: Any) -> tuple[str, tuple[list[Row], int] | None]:
    kind = statement[0]
    if kind == "insert":
        return f"INSERT INTO {name} SELECT * FROM {values(statement[1])}", (
            table + statement[1],
            len(statement[1]),
        )
    if kind == "merge":
        whens = " ".join(w.sql() for w in statement[2])
        sql = f"MERGE INTO {name} AS t USING {values(statement[1])} AS src ON t.id = src.id {whens}"
        return sql, merged(table, statement[1], statement[2])
    condition = statement[1]
    hit = [condition.holds(r) for r in table]
    where = condition.sql.format("")
    if kind == "delete":
        return f"DELETE FROM {name} WHERE {where}", (
            [r for r, x in zip(table, hit, strict=True) if not x],
            sum(hit),
        )
    change: dict[str, tuple[str, Callable[[Row], Row]]] = {
        "n": ("n = n * 2", lambda r: (r[0], None if r[1] is None else r[1] * 2, r[2])),
        "s": ("s = s || 'x', n = NULL", lambda r: (r[0], None, None if r[2] is None else r[2] + "x")),
        "id": ("id = n", lambda r: (r[1], r[1], r[2])),
    }
    assignment, apply = change[statement[2]]
    if statement[2] == "id":
        assignment = "id = CAST(n AS integer)"
    after = [apply(r) if x else r for r, x in zip(table, hit, strict=True)]
    return f"UPDATE {name} SET {assignment} WHERE {where}", (after, sum(hit))
