"""Failures, with the names and texts that Athena gives them.

Error categories are those of the Athena API: 1 system, 2 user, 3 other
(https://docs.aws.amazon.com/athena/latest/APIReference/API_AthenaError.html).
"""

from __future__ import annotations

from typing import Any

SYSTEM = 1
USER = 2

# AthenaError.ErrorType of a failure's code, by the meanings in Athena's error catalog
# (https://docs.aws.amazon.com/athena/latest/ug/error-reference.html). Which code gets which type is published for
# Iceberg only, whose clients try again on it; the others follow the catalog's descriptions.
DATA, DDL_FAILED, SCHEMA, SYNTAX, FAILED = 1001, 1003, 1004, 1006, 1009
INVALID_ARGUMENT, INVALID_TABLE_PROPERTY, INVALID_FUNCTION_ARGUMENT = 1100, 1103, 1106
NO_SUCH_TABLE, NOT_SUPPORTED, NO_SUCH_FUNCTION, NO_SUCH_BUCKET = 1110, 1200, 1303, 1306
ICEBERG, METASTORE, ENGINE, EXHAUSTED = 233, 204, 200, 0
ERROR_TYPES = {
    "SYNTAX_ERROR": SYNTAX,
    "TABLE_NOT_FOUND": NO_SUCH_TABLE,
    "SCHEMA_NOT_FOUND": NO_SUCH_TABLE,
    "CATALOG_NOT_FOUND": NO_SUCH_TABLE,
    "TABLE_ALREADY_EXISTS": SCHEMA,
    "COLUMN_NOT_FOUND": SYNTAX,
    "AMBIGUOUS_NAME": SYNTAX,
    "TYPE_MISMATCH": SYNTAX,
    "MISSING_COLUMN_NAME": SYNTAX,
    "COLUMN_TYPE_UNKNOWN": SYNTAX,
    "DUPLICATE_COLUMN_NAME": SYNTAX,
    "FUNCTION_NOT_FOUND": NO_SUCH_FUNCTION,
    "NOT_SUPPORTED": NOT_SUPPORTED,
    "CONSTRAINT_VIOLATION": DATA,
    "DIVISION_BY_ZERO": DATA,
    "INVALID_CAST_ARGUMENT": DATA,
    "NUMERIC_VALUE_OUT_OF_RANGE": DATA,
    "SUBQUERY_MULTIPLE_ROWS": DATA,
    "INVALID_FUNCTION_ARGUMENT": INVALID_FUNCTION_ARGUMENT,
    "INVALID_PARAMETER_USAGE": INVALID_ARGUMENT,
    "INVALID_UNLOAD_PROPERTY": INVALID_ARGUMENT,
    "INVALID_TABLE_PROPERTY": INVALID_TABLE_PROPERTY,
    "HIVE_BAD_DATA": DATA,
    "HIVE_CURSOR_ERROR": DATA,
    "HIVE_CANNOT_OPEN_SPLIT": DATA,
    "HIVE_METASTORE_ERROR": METASTORE,
    "HIVE_INVALID_METADATA": SCHEMA,
    "HIVE_UNKNOWN_ERROR": NO_SUCH_BUCKET,
    "EXCEEDED_LOCAL_MEMORY_LIMIT": EXHAUSTED,
    "GENERIC_INTERNAL_ERROR": ENGINE,
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

    def athena_error(self, *, retryable: bool = False) -> dict[str, Any]:
        """The AthenaError structure of GetQueryExecution. retryable: whether the same query might succeed."""
        if self.code.startswith("ICEBERG_"):
            kind = ICEBERG
        else:
            # Without a code: what Hive's DDL or the parser refused.
            plain = DDL_FAILED if self.message.startswith("FAILED:") else SYNTAX
            kind = ERROR_TYPES.get(self.code, FAILED) if self.code else plain
        return {
            "ErrorCategory": USER if self.code != "GENERIC_INTERNAL_ERROR" else SYSTEM,
            "ErrorType": kind,
            "Retryable": retryable,
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
