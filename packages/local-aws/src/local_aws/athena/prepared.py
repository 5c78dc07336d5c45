"""PREPARE, EXECUTE and DEALLOCATE PREPARE.

https://docs.aws.amazon.com/athena/latest/ug/querying-with-prepared-statements.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from local_aws.athena.errors import QueryError


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
