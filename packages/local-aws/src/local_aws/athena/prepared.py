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
    after each change. may: raises QueryError if the caller may not do an action of Athena's API.
    """

    workgroup: str = "primary"
    statements: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    changed: Callable[[], None] = lambda: None
    may: Callable[[str], None] = lambda action: None

    def get(self, name: str) -> str:
        """The text of a statement. Raises QueryError where there is none of that name."""
        self.may("GetPreparedStatement")
        return self._find(name)

    def _find(self, name: str) -> str:
        found = self.statements.get((self.workgroup, name))
        if found is None:
            raise QueryError(
                "NOT_FOUND", f"Prepared statement not found: {name} (workgroup {self.workgroup})"
            )
        return str(found["QueryStatement"])

    def put(self, name: str, sql: str) -> None:
        """Keeps a statement; one of the same name is replaced."""
        known = (self.workgroup, name) in self.statements
        self.may("UpdatePreparedStatement" if known else "CreatePreparedStatement")
        self.statements[(self.workgroup, name)] = {
            "StatementName": name,
            "QueryStatement": sql,
            "WorkGroupName": self.workgroup,
            "Description": "",
            "LastModifiedTime": time.time(),
        }
        self.changed()

    def drop(self, name: str) -> None:
        self.may("DeletePreparedStatement")
        self._find(name)
        del self.statements[(self.workgroup, name)]
        self.changed()
