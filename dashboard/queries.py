"""The queries of the pages: statements from ``dashboard/sql``, run by Athena, answers kept until something is published.

A statement names its values as ``:name``. They go to Athena as execution parameters, never into the text; Athena accepts
them in WHERE only. Every answer has at most :data:`ROWS` rows.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import pandas as pd
from botocore.config import Config as ClientConfig
from cachetools import TTLCache
from pyathena import connect
from pyathena.converter import DefaultTypeConverter
from pyathena.cursor import Cursor

from dashboard.config import Config
from dashboard.errors import QueryError, Slow, explained

SQL = Path(__file__).parent / "sql"
#: No answer has more rows: a table that is longer is paged by its query.
ROWS = 10_000
#: Athena bills at least this much for a query.
_BILLED_AT_LEAST = 10_000_000
_NAME = re.compile(r":([a-z_]+)\b")
_COMMENT = re.compile(r"--[^\n]*")

Value = str | int


@dataclass(frozen=True)
class Query:
    """A statement of ``dashboard/sql`` with its values.

    ``version`` stands for what is published: another version is another query.
    """

    name: str
    values: tuple[tuple[str, Value], ...] = ()
    version: str = ""

    @classmethod
    def of(cls, name: str, version: str = "", **values: Value) -> Query:
        return cls(name, tuple(sorted(values.items())), version)


@dataclass(frozen=True)
class Answer:
    """The rows of a query, and what it cost. ``cut``: there are more rows than :data:`ROWS`."""

    frame: pd.DataFrame
    query_id: str
    bytes_scanned: int
    seconds: float
    cut: bool


@dataclass
class Cost:
    """What the queries of this process have scanned, and what Athena bills for it."""

    queries: int = 0
    answers_from_cache: int = 0
    bytes_scanned: int = 0
    bytes_billed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, scanned: int, *, reused: bool) -> None:
        """Count a query. An answer that Athena reuses costs nothing."""
        with self.lock:
            self.queries += 1
            self.bytes_scanned += scanned
            self.bytes_billed += 0 if reused else max(scanned, _BILLED_AT_LEAST)

    def add_cached(self) -> None:
        with self.lock:
            self.answers_from_cache += 1


class Reader:
    """Runs queries, several at once, each once however many ask for it."""

    def __init__(self, config: Config):
        self.config = config
        self.cost = Cost()
        self._pool = ThreadPoolExecutor(16, thread_name_prefix="athena")
        self._lock = threading.Lock()
        self._running: dict[Query, Future[Answer]] = {}
        self._kept = self._new_cache(config.cache_seconds)
        # What is published is asked for again and again. An answer that is older than version_seconds is still shown, so
        # that no page waits for it, and asked for anew beside the page's own queries; see current().
        self._fresh = self._new_cache(config.version_seconds)
        self._seen = self._new_cache(config.cache_seconds)
        self._connection: Any = None

    def _new_cache(self, seconds: int) -> TTLCache[Query, Answer]:
        size = self.config.cache_megabytes * 1_000_000
        return TTLCache(size, seconds, getsizeof=lambda one: int(one.frame.memory_usage(deep=True).sum()) + 1)

    def rows(self, *queries: Query) -> list[Answer]:
        """The answers of queries, which run side by side.

        Raises:
            QueryError: of the first that failed, in words for the reader of a page.
        """
        futures = [self._future(one) for one in queries]
        return self._wait(queries, futures)

    def begin(self, *queries: Query) -> None:
        """Start queries that :meth:`rows` will be asked for later, so that they run beside what comes before."""
        for one in queries:
            self._future(one)

    def current(self, query: Query) -> Answer:
        """The answer of a query without a version that is not older than ``version_seconds``; waits for it.

        Raises:
            QueryError: as :meth:`rows`.
        """
        with self._lock:
            kept = self._fresh.get(query)
            future = self._running.get(query)
        if kept is not None:
            return kept
        return self._wait([query], [future or self._future(query)])[0]

    def _wait(self, queries: Sequence[Query], futures: Sequence[Future[Answer]]) -> list[Answer]:
        deadline = time.monotonic() + self.config.query_seconds + 5
        answers = []
        for query, future in zip(queries, futures, strict=True):
            try:
                answers.append(future.result(max(0.1, deadline - time.monotonic())))
            except FutureTimeout:
                raise Slow(query.name, self.config.query_seconds) from None
        return answers

    def _future(self, query: Query) -> Future[Answer]:
        with self._lock:
            cached = (self._kept if query.version else self._fresh).get(query)
            running = self._running.get(query)
            if cached is None and running is None:
                running = self._running[query] = self._pool.submit(self._run, query)
            if cached is None and not query.version:
                cached = self._seen.get(query)
            if cached is None:
                assert running is not None
                return running
            self.cost.add_cached()
            done: Future[Answer] = Future()
            done.set_result(cached)
            return done

    def _run(self, query: Query) -> Answer:
        try:
            answer = self._ask(query)
            with self._lock:
                for kept in (self._kept,) if query.version else (self._fresh, self._seen):
                    # An answer that is larger than the whole memory for answers is not kept.
                    if kept.getsizeof(answer) <= kept.maxsize:
                        kept[query] = answer
            return answer
        finally:
            with self._lock:
                self._running.pop(query, None)

    def _ask(self, query: Query) -> Answer:
        text, values = statement(query)
        began = time.monotonic()
        stop: threading.Timer | None = None
        late = threading.Event()
        try:
            cursor: Cursor = self._connect().cursor()

            def cancel() -> None:
                late.set()
                cursor.cancel()

            stop = threading.Timer(self.config.query_seconds, cancel)
            stop.daemon = True
            stop.start()
            cursor.execute(
                text,
                values,
                paramstyle="qmark",
                # Athena's own reuse compares the text, which holds the version.
                result_reuse_enable=bool(query.version),
                result_reuse_minutes=max(1, self.config.cache_seconds // 60),
            )
            stop.cancel()
            rows = cursor.fetchall()
            scanned = cursor.data_scanned_in_bytes or 0
            self.cost.add(scanned, reused=bool(cursor.reused_previous_result))
            return Answer(
                frame=_frame(cast("list[tuple[Any, ...]]", rows[:ROWS]), cursor.description or []),
                query_id=cursor.query_id or "",
                bytes_scanned=scanned,
                seconds=time.monotonic() - began,
                cut=len(rows) > ROWS,
            )
        except Exception as error:
            if late.is_set():
                raise Slow(query.name, self.config.query_seconds) from error
            raise explained(error, query.name, self.config) from error
        finally:
            if stop:
                stop.cancel()

    def _connect(self) -> Any:
        with self._lock:
            if self._connection is None:
                config = self.config
                self._connection = connect(
                    s3_staging_dir=config.output or None,
                    schema_name=config.database,
                    work_group=config.workgroup,
                    poll_interval=0.1,
                    converter=DefaultTypeConverter(),
                    config=ClientConfig(
                        connect_timeout=3,
                        read_timeout=30,
                        retries={"mode": "standard", "max_attempts": 2},
                        max_pool_connections=32,
                    ),
                )
            return self._connection


def versions(published: pd.DataFrame) -> dict[str, str]:
    """For each pipeline a short text that changes whenever the pipeline publishes or is rolled back."""
    return {
        str(pipeline): hashlib.sha256(
            "\n".join(sorted(rows["slice"] + " " + rows["publication"])).encode()
        ).hexdigest()[:12]
        for pipeline, rows in published.groupby("pipeline")
    }


def statement(query: Query) -> tuple[str, list[str]]:
    """The text with ``?``, and the execution parameters in their order.

    Raises:
        KeyError: for a value that is missing; ValueError: for one that the statement does not name.
    """
    text = _text(query.name)
    values = dict(query.values)
    names = _NAME.findall(text)
    if unknown := values.keys() - set(names):
        raise ValueError(f"sql/{query.name}.sql names no value {', '.join(sorted(unknown))}")
    version = f"-- published: {query.version}\n" if query.version else ""
    return f"{version}{_NAME.sub('?', text)}\nLIMIT {ROWS + 1}", [literal(values[one]) for one in names]


@cache
def _text(name: str) -> str:
    return _COMMENT.sub("", (SQL / f"{name}.sql").read_text(encoding="utf-8")).strip()


def literal(value: Value) -> str:
    """A value as Athena wants an execution parameter: a literal in SQL's spelling."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"{value!r} cannot be a value of a query")
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("'", "''") + "'"


_INTEGERS = {"tinyint", "smallint", "integer", "bigint"}
_NUMBERS = {"float", "real", "double", "decimal"}


def _frame(rows: Sequence[Sequence[Any]], description: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Rows as a table with the types that charts and downloads need."""
    columns: Mapping[str, list[Any]] = {
        column[0]: [row[place] for row in rows] for place, column in enumerate(description)
    }
    frame = pd.DataFrame(columns)
    for name, kind, *_ in description:
        if kind in _INTEGERS:
            frame[name] = frame[name].astype("Int64")
        elif kind in _NUMBERS:
            frame[name] = pd.to_numeric(frame[name]).astype("float64")
        elif kind in ("date", "timestamp"):
            frame[name] = pd.to_datetime(frame[name])
        elif kind == "boolean":
            frame[name] = frame[name].astype("boolean")
        else:
            frame[name] = frame[name].astype("str")
    return frame


__all__ = ["ROWS", "Answer", "Cost", "Query", "QueryError", "Reader", "literal", "statement", "versions"]
