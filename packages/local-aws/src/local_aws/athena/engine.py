"""DuckDB as the machine that runs compiled queries.

Another engine (a Trino server) would take this module's place together with the compiler; nothing else
knows DuckDB's API.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import duckdb
from duckdb.func import FunctionNullHandling, PythonUDFType

from local_aws.athena.errors import Cancelled, QueryError, not_supported
from local_aws.athena.expressions import LAZY, MARK
from local_aws.athena.macros import MACROS


class Session:
    """A query's own connection: it can be interrupted without disturbing others."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        define: Callable[[str], None],
        planning: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._connection = connection
        self._define = define
        self._planning = planning
        self._cancelled = threading.Event()
        self._functions: list[str] = []
        # What the SerDe whose files are read says of a line that is no JSON.
        self.json_failure = "Row is not a valid JSON Object - JSONException"

    def execute(self, sql: str) -> duckdb.DuckDBPyConnection:
        """Runs SQL. Raises Cancelled after cancel(), QueryError for what DuckDB refuses.

        There are no parameters on purpose: DuckDB imports pandas to bind one, which takes a second.
        """
        if self._cancelled.is_set():
            raise Cancelled
        if "py_" in sql:
            self._define(sql)
        try:
            if LAZY in sql and not sql.startswith("EXPLAIN"):
                with self._planning():
                    self._connection.execute(f"PREPARE lazy AS {sql}")
                return self._connection.execute("EXECUTE lazy")
            return self._connection.execute(sql)
        except duckdb.Error as e:
            if self._cancelled.is_set():
                raise Cancelled from e
            raise translate(e, self.json_failure) from e

    def function(self, name: str, apply: Callable[..., Any], parameter: str, returns: str) -> None:
        """Makes a function of one parameter, which is given Arrow arrays, for this session's SQL."""
        self._connection.create_function(
            name,
            apply,
            [parameter],
            returns,
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )
        self._functions.append(name)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.execute(sql).fetchall()

    def cancel(self) -> None:
        self._cancelled.set()
        self._connection.interrupt()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def close(self) -> None:
        for name in self._functions:
            # They belong to the database, which outlives the session.
            self._connection.remove_function(name)
        self._connection.close()


class Engine:
    """One in-memory DuckDB database, shared by all queries; it keeps no tables."""

    def __init__(self, temporary: Path, memory_limit: str | None = None, threads: int | None = None) -> None:
        temporary.mkdir(parents=True, exist_ok=True)
        self.temporary = temporary
        self._database = duckdb.connect(
            ":memory:",
            config={
                # Nothing may be downloaded while a query runs.
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "temp_directory": str(temporary / "spill"),
                "memory_limit": memory_limit or os.environ.get("LOCAL_AWS_MEMORY") or default_memory(),
                "threads": threads or int(os.environ.get("LOCAL_AWS_THREADS", os.cpu_count() or 2)),
            },
        )
        self._database.execute("SET TimeZone = 'UTC'")
        self._database.execute("SET preserve_insertion_order = true")
        for macro in MACROS:
            self._database.execute(macro)
        # cursor() is not safe to call from several threads at once.
        self._lock = threading.Lock()
        self._defined: set[str] = set()

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        with self._lock:
            cursor = self._database.cursor()
        session = Session(cursor, self._define, self._planning)
        try:
            yield session
        finally:
            session.close()

    @contextlib.contextmanager
    def _planning(self) -> Iterator[None]:
        """While a statement is planned whose expressions are computed one by one; DuckDB's setting is for all sessions,
        so that what others plan meanwhile is computed thus, too."""
        with self._lock:
            self._database.execute("SET disabled_optimizers = 'common_subexpressions'")
            try:
                yield
            finally:
                self._database.execute("RESET disabled_optimizers")

    def _define(self, sql: str) -> None:
        """Registers the functions in Python that a query calls; DuckDB takes long to do so for the first time.

        On the connection that lives as long as the engine: with its connection a function loses its code, and
        calling it then ends the process.
        """
        from local_aws.athena.udf import called

        with self._lock:
            for name, f in called(sql).items():
                if name not in self._defined:
                    # Called for each row: what a function of Arrow arrays gives is freed too early where a lambda has
                    # it in CASE or COALESCE.
                    kinds: dict[str, Any] = {"type": "native", "null_handling": "special"}
                    self._database.create_function(name, f.strict(), f.parameters, f.result, **kinds)
                    self._defined.add(name)

    def close(self) -> None:
        with self._lock:
            self._database.close()


def default_memory() -> str:
    """A quarter of the machine's memory, between 1 and 8 GB. LOCAL_AWS_MEMORY overrules it."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        total = 8 << 30
    return f"{min(max(total // 4, 1 << 30), 8 << 30) >> 20}MiB"


_TRINO_FAILURE = re.compile(f"{MARK}([A-Z_]+){MARK}(.*?){MARK}", re.S)


def translate(e: duckdb.Error, json_failure: str = "") -> QueryError:
    """DuckDB's failure in Trino's words, without the paths of files here."""
    text = re.sub(r' (?:in file )?"?/[^"\s]+"?,?', "", str(e))
    # Before what DuckDB repeats of the SQL, which has such texts too, and before where it was in its own code.
    text = re.split(r"\n\n(?:LINE |Stack Trace)", text)[0]
    m = _TRINO_FAILURE.search(text)
    if m is not None:
        return QueryError(m.group(1), m.group(2))
    first = text.strip().split(": ", 1)[-1]
    if isinstance(e, duckdb.OutOfMemoryException):
        return QueryError(
            "EXCEEDED_LOCAL_MEMORY_LIMIT",
            f"Query exceeded the memory of local_aws (LOCAL_AWS_MEMORY): {first}",
        )
    if "maximum_object_size" in text:
        return QueryError("HIVE_BAD_DATA", f"A JSON value is longer than local_aws reads (16 MB): {first}")
    if "JSON transform error" in text or "Malformed JSON in file" in str(e):
        first = first.split("\nTry setting")[0]
        if "Malformed JSON" in text or "has duplicate key" in text:
            return QueryError("HIVE_CURSOR_ERROR", f"{json_failure}: {first}")
        return QueryError("HIVE_BAD_DATA", f"Error parsing JSON: {first}")
    if "Malformed JSON" in text:
        return QueryError("INVALID_FUNCTION_ARGUMENT", f"Cannot convert value to JSON: {first}")
    if "CSV Error" in text or "Error when sniffing" in text:
        return QueryError("HIVE_BAD_DATA", f"Error reading text file: {first}")
    if "read_parquet" in text or "Parquet" in text or "No magic bytes" in text:
        return QueryError("HIVE_BAD_DATA", f"Not a valid Parquet file, or damaged: {first}")
    if "More than one row returned by a subquery" in text:
        return QueryError("SUBQUERY_MULTIPLE_ROWS", "Scalar sub-query has returned multiple rows")
    m = re.search(
        r"with value (\S+) can't be cast because the value is out of range for the destination type (\w+)",
        text,
    )
    if m is not None:
        names = {"INT8": "tinyint", "INT16": "smallint", "INT32": "integer", "INT64": "bigint"}
        if "Type INT" in text and m.group(2) in names:
            return QueryError(
                "NUMERIC_VALUE_OUT_OF_RANGE", f"Out of range for {names[m.group(2)]}: {m.group(1)}"
            )
        return QueryError(
            "INVALID_CAST_ARGUMENT", f"Cannot cast {m.group(1)} to {names.get(m.group(2), m.group(2))}"
        )
    if "Unimplemented expression class" in text and "WINDOW" in text:
        return not_supported("A window function over aggregates inside of TRY")
    if "non-inner join on subquery" in text:
        return not_supported("A subquery in the condition of an outer join")
    if "Map keys must be unique" in text:
        return QueryError("INVALID_FUNCTION_ARGUMENT", "Duplicate map keys are not allowed")
    if "map key list does not align" in text:
        return QueryError("INVALID_FUNCTION_ARGUMENT", "Key and value arrays must be the same length")
    if isinstance(e, duckdb.OutOfRangeException):
        return QueryError("NUMERIC_VALUE_OUT_OF_RANGE", first)
    if isinstance(e, duckdb.ConversionException):
        if "out of range" in text or "date field value" in text or "timestamp field value" in text:
            return QueryError("INVALID_CAST_ARGUMENT", f"Value cannot be cast: {first}")
        return QueryError("INVALID_CAST_ARGUMENT", first)
    if isinstance(e, duckdb.InvalidInputException) and ("regex" in text.lower() or "perl operator" in text):
        return QueryError("INVALID_FUNCTION_ARGUMENT", f"Invalid regular expression: {first}")
    if isinstance(e, duckdb.IOException):
        return QueryError("HIVE_CANNOT_OPEN_SPLIT", first)
    if isinstance(e, duckdb.BinderException | duckdb.ParserException | duckdb.CatalogException):
        # The compiler lets nothing pass that DuckDB refuses, or so it should be.
        return QueryError("GENERIC_INTERNAL_ERROR", f"local_aws could not plan the query: {first}")
    if isinstance(e, duckdb.InvalidInputException):
        return QueryError("INVALID_FUNCTION_ARGUMENT", first)
    return QueryError("GENERIC_USER_ERROR", first)
