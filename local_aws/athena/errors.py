"""Failures, with the names and texts that Athena gives them.

Error categories are those of the Athena API: 1 system, 2 user, 3 other
(https://docs.aws.amazon.com/athena/latest/APIReference/API_AthenaError.html).
"""

from __future__ import annotations

from typing import Any

USER = 2
SYSTEM = 1

# AthenaError.ErrorType of a failure's code
# (https://docs.aws.amazon.com/athena/latest/ug/error-reference.html).
ERROR_TYPES = {
    "SYNTAX_ERROR": 1006,
    "TABLE_NOT_FOUND": 1003,
    "SCHEMA_NOT_FOUND": 1003,
    "COLUMN_NOT_FOUND": 1006,
    "TYPE_MISMATCH": 1006,
    "FUNCTION_NOT_FOUND": 1006,
    "NOT_SUPPORTED": 1006,
    "CONSTRAINT_VIOLATION": 1001,
    "DIVISION_BY_ZERO": 1001,
    "INVALID_CAST_ARGUMENT": 1001,
    "INVALID_FUNCTION_ARGUMENT": 1001,
    "NUMERIC_VALUE_OUT_OF_RANGE": 1001,
    "SUBQUERY_MULTIPLE_ROWS": 1001,
    "EXCEEDED_MEMORY_LIMIT": 204,
    "HIVE_BAD_DATA": 401,
    "HIVE_CURSOR_ERROR": 401,
    "HIVE_CANNOT_OPEN_SPLIT": 401,
    "HIVE_METASTORE_ERROR": 1300,
    "HIVE_INVALID_METADATA": 1300,
    "HIVE_PATH_ALREADY_EXISTS": 1200,
    "INVALID_TABLE_PROPERTY": 1006,
}


class QueryError(Exception):
    """A query failed. `code` is Trino's or Athena's name for the failure, '' where Athena gives none."""

    def __init__(self, code: str, message: str, position: tuple[int, int] | None = None) -> None:
        self.code = code
        self.message = message
        self.position = position
        super().__init__(self.reason)

    @property
    def reason(self) -> str:
        """The text of StateChangeReason."""
        where = f"line {self.position[0]}:{self.position[1]}: " if self.position else ""
        return f"{self.code}: {where}{self.message}" if self.code else f"{where}{self.message}"

    def athena_error(self) -> dict[str, Any]:
        """The AthenaError structure of GetQueryExecution."""
        return {
            "ErrorCategory": USER if self.code != "GENERIC_INTERNAL_ERROR" else SYSTEM,
            "ErrorType": ERROR_TYPES.get(self.code, 1),
            "Retryable": False,
            "ErrorMessage": self.reason,
        }


class Cancelled(Exception):
    """The query was stopped, by StopQueryExecution or by its workgroup's limit."""


class ApiError(Exception):
    """An Athena API call was refused: an HTTP 400 with __type."""

    def __init__(self, kind: str, message: str, code: str | None = None) -> None:
        self.kind = kind
        self.message = message
        self.code = code
        super().__init__(f"{kind}: {message}")


def not_supported(what: str, position: tuple[int, int] | None = None) -> QueryError:
    """What this engine cannot do fails by name: a wrong answer would be worse."""
    return QueryError("NOT_SUPPORTED", f"{what} is not supported by local_aws", position)
