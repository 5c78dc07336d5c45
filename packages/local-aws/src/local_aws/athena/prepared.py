"""PREPARE, EXECUTE and DEALLOCATE PREPARE.

https://docs.aws.amazon.com/athena/latest/ug/querying-with-prepared-statements.html
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from local_aws.athena.errors import QueryError
from local_aws.athena.parser import offset_position
from local_aws.athena.write import tokens


@dataclass
class PreparedStatements:
    """The prepared statements of a workgroup, which the API's operations and SQL share.

    statements: of all workgroups, by workgroup and name, as GetPreparedStatement shows them. changed: called
    after each change.
    """

    workgroup: str = "primary"
    statements: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    changed: Callable[[], None] = lambda: None

    def get(self, name: str) -> str:
        found = self.statements.get((self.workgroup, name))
        if found is None:
            raise QueryError(
                "NOT_FOUND", f"Prepared statement not found: {name} (workgroup {self.workgroup})"
            )
        return str(found["QueryStatement"])

    def put(self, name: str, sql: str) -> None:
        """Keeps a statement; one of the same name is replaced."""
        self.statements[(self.workgroup, name)] = {
            "StatementName": name,
            "QueryStatement": sql,
            "WorkGroupName": self.workgroup,
            "Description": "",
            "LastModifiedTime": time.time(),
        }
        self.changed()

    def drop(self, name: str) -> None:
        self.get(name)
        del self.statements[(self.workgroup, name)]
        self.changed()


def parse_prepare(sql: str) -> tuple[str, str]:
    """Name and text of PREPARE name FROM statement."""
    ts = tokens(sql)
    _expect(sql, ts, 2, "FROM")
    if len(ts) < 4:
        raise QueryError(
            "", "mismatched input '<EOF>'. Expecting: <statement>", offset_position(sql, len(sql))
        )
    return _name(sql, ts, 1), sql[ts[3][2] :]


def parse_deallocate(sql: str) -> str:
    ts = tokens(sql)
    _expect(sql, ts, 1, "PREPARE")
    _end(sql, ts, 3)
    return _name(sql, ts, 2)


def parse_execute(sql: str) -> tuple[str, list[str]]:
    """Name and parameters, as SQL, of EXECUTE name [USING parameter, ...]."""
    ts = tokens(sql)
    name = _name(sql, ts, 1)
    if len(ts) == 2:
        return name, []
    _expect(sql, ts, 2, "USING")
    values, depth, start = [], 0, ts[2][3]
    for kind, word, at, end in ts[3:]:
        if kind != "op":
            continue
        if word in "([":
            depth += 1
        elif word in ")]":
            depth -= 1
        elif word == "," and not depth:
            values.append(sql[start:at].strip())
            start = end
    values.append(sql[start:].strip())
    if not all(values):
        raise QueryError("", "mismatched input. Expecting: <expression>", offset_position(sql, start))
    return name, values


def _name(sql: str, ts: list[tuple[str, str, int, int]], i: int) -> str:
    if i >= len(ts) or ts[i][0] not in ("word", "name"):
        _end(sql, ts, i, "<identifier>")
    return re.sub(r'^"|"$', "", ts[i][1]).replace('""', '"')


def _expect(sql: str, ts: list[tuple[str, str, int, int]], i: int, word: str) -> None:
    if i >= len(ts) or ts[i][1].upper() != word:
        _end(sql, ts, i, f"'{word}'")


def _end(sql: str, ts: list[tuple[str, str, int, int]], i: int, expected: str = "<EOF>") -> None:
    found, at = (ts[i][1], ts[i][2]) if i < len(ts) else ("<EOF>", len(sql))
    if (found, expected) != ("<EOF>", "<EOF>"):
        raise QueryError("", f"mismatched input '{found}'. Expecting: {expected}", offset_position(sql, at))
