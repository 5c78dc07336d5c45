"""A query while it is compiled: the tables that it scans, its scopes, and what every part of the compiler shares.

Every expression is compiled together with its Trino type, because what an operator does depends on types (7 / 2 is 3),
and because Trino refuses what DuckDB would quietly convert. Relations get unique aliases and columns positional names,
so neither case nor duplicate names matter in DuckDB.
"""

from __future__ import annotations

import datetime as dt
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena.errors import QueryError
from local_aws.athena.expressions import E, cast, struct_field
from local_aws.athena.parser import position
from local_aws.athena.tables import Table, View, VirtualTable
from local_aws.athena.types import Type


class Lookup(Protocol):
    """Looks up what a FROM clause names. Raises QueryError where there is nothing."""

    def resolve(
        self, catalog: str | None, database: str, name: str, where: tuple[int, int] | None
    ) -> Table | View | VirtualTable: ...


@dataclass
class Bound:
    """What the query demands of a partition column: `op` and the constants' DuckDB SQL."""

    op: str
    constants: list[str]


@dataclass
class Scan:
    """One use of a table in a query."""

    id: int
    table: Table
    used: set[str] = field(default_factory=set)
    bounds: dict[str, list[Bound]] = field(default_factory=dict)
    # Predicates over partition columns only, as DuckDB SQL over p."column".
    filters: list[str] = field(default_factory=list)
    # What an Iceberg table's scan reads, once it is planned.
    plan: list[Any] = field(default_factory=list)

    @property
    def token(self) -> str:
        return f"\x00scan{self.id}\x00"


Origin = tuple[Scan, str]
# Columns that SELECT * leaves out.
HIDDEN = [("$path", ty.VARCHAR), ("$file_size", ty.BIGINT)]


@dataclass
class Field:
    """A column of a relation. `origins`: the table columns that it is, unchanged."""

    name: str | None
    type: Type
    sql: str
    origins: tuple[Origin, ...] = ()
    hidden: bool = False
    # The scan and column to mark as read when somebody uses the field.
    mark: tuple[Origin, ...] = ()


@dataclass
class Relation:
    alias: str | None
    fields: list[Field]
    database: str | None = None


@dataclass
class Query:
    """A compiled query: columns c0, c1, ... of `sql` are `fields`."""

    sql: str
    fields: list[Field]
    ordered: bool = False


@dataclass
class Scope:
    relations: list[Relation]
    parent: Scope | None = None
    # Output columns by alias, for ORDER BY.
    outputs: dict[str, E] | None = None


@dataclass
class Cte:
    node: exp.Expression
    columns: list[str]
    context: dict[str, Cte]
    recursive: bool = False
    # What the name means inside of its own recursion.
    step: Query | None = None


class Compiler(ABC):
    """What compiling one statement keeps, and what its parts ask of one another.

    `default_database` is the QueryExecutionContext's.
    """

    def __init__(self, catalog: Lookup, default_database: str, sql: str) -> None:
        self.catalog = catalog
        self.database = default_database
        self.source = sql
        self.scans: list[Scan] = []
        self.ctes: dict[str, Cte] = {}
        # The SQL of each use of a query of WITH, or of a view; see sharing.py. The step of a recursion, whose SQL
        # means something in its place only, has none.
        self.uses: list[str] = []
        self.in_recursion = 0
        self.now = dt.datetime.now(dt.UTC)
        # Gives the value of a constant's SQL; time travel needs it while it compiles.
        self.evaluate: Callable[[str], Any] | None = None
        # One statement sees one state of each table.
        self.resolved: dict[tuple[str | None, str, str], Table | View | VirtualTable] = {}
        self.views: list[tuple[str, str]] = []
        # Lambda parameters by name, innermost last.
        self.lambdas: list[dict[str, E]] = []
        # Columns named outside aggregates, for the SELECT at hand to check; the SQL that it is grouped by (None: it is
        # not grouped).
        self.free: list[tuple[str, exp.Expression]] = []
        self.group_sql: list[set[str] | None] = [None]
        self.in_aggregate = 0
        # Aggregates and keys of a grouped query, windows and columns of another, that are computed in a query of their
        # own (see select._project): their SQL, and what it is called outside.
        self.lifted: dict[str, str] | None = None
        self.windows: list[exp.Expression] = []
        self.named_windows: dict[str, exp.Expression] = {}
        # How many columns, parameters and random values were met: an expression that met none is a constant.
        self.variables = 0
        # The columns that the condition at hand names, and the scan whose partitions it is to choose.
        self.references: list[Field] = []
        # The columns of queries around the SELECT at hand that it names.
        self.outer: list[Field] = []
        self.partition_scan: Scan | None = None
        # Whether NULL and false mean the same to whoever uses the expression (a WHERE clause), so that
        # cheaper SQL may be written: `wants_truth` for the next expression, `truth` for the one at hand.
        self.wants_truth = False
        self.truth = False
        # Whether the expression at hand is a condition on rows.
        self.filtering = False
        self._aliases = itertools.count()

    @abstractmethod
    def query(self, node: exp.Expression, parent: Scope | None = None) -> Query:
        """Compiles a SELECT, VALUES, set operation or a parenthesised one."""

    @abstractmethod
    def expr(self, node: exp.Expression, scope: Scope) -> E:
        """Compiles one expression."""

    def fail(self, code: str, message: str, node: exp.Expression | None = None) -> QueryError:
        # Inside a view the position would point into another text.
        return QueryError(code, message, None if self.views else (position(self.source, node) or (1, 1)))

    def parameter(self) -> str:
        """The DuckDB name of the next lambda's parameter; the same whenever the same text is compiled."""
        return f"λ{len(self.lambdas)}"

    def lift(self, e: E) -> E:
        """An aggregate or key as the query around its own one names it."""
        if self.lifted is None or self.in_aggregate:
            return e
        name = self.lifted.setdefault(e.sql, f'λg."l{len(self.lifted)}"')
        return E(name, e.type, e.origins, const=e.const, value=e.value)

    def changes(self) -> None:
        """Notes that the expression at hand is no constant."""
        self.variables += 1

    def alias(self) -> str:
        return f"r{next(self._aliases)}"

    @contextmanager
    def bind(self, values: dict[str, E]) -> Iterator[None]:
        """Lambda parameters, by name, while the lambda's body is compiled."""
        self.lambdas.append({k.lower(): v for k, v in values.items()})
        try:
            yield
        finally:
            self.lambdas.pop()

    def lambda_value(self, name: str) -> E | None:
        for frame in reversed(self.lambdas):
            if name.lower() in frame:
                self.variables += 1
                return frame[name.lower()]
        return None

    def touch(self, f: Field) -> None:
        for scan, column in f.mark:
            scan.used.add(column)

    def find(self, scope: Scope, parts: list[str], node: exp.Expression) -> Field:
        """The field that a dotted name means, innermost query first. Raises COLUMN_NOT_FOUND."""
        found = self.lookup(scope, parts, node)
        if found is None:
            raise self.fail(
                "COLUMN_NOT_FOUND",
                f"Column '{'.'.join(parts)}' cannot be resolved or requester is not authorized to access requested resources",
                node,
            )
        return found[0]

    def lookup(self, scope: Scope, parts: list[str], node: exp.Expression) -> tuple[Field, Scope] | None:
        """The column, or field of a column, that a dotted name means, and the scope that has it.

        As many of the name's parts as can be are a relation's name (Trino's Scope.resolveField).
        """
        names = [p.lower() for p in parts]
        current: Scope | None = scope
        while current is not None:
            for split in reversed(range(len(names))):
                qualifier, rest = names[:split], names[split:]
                matches = [
                    f
                    for r in current.relations
                    if qualifies(r, qualifier)
                    for f in r.fields
                    if f.name is not None and f.name.lower() == rest[0]
                ]
                if len(matches) > 1:
                    raise self.fail("AMBIGUOUS_NAME", f"Column '{'.'.join(parts)}' is ambiguous", node)
                if matches:
                    f = matches[0]
                    if len(rest) == 1:
                        return f, current
                    e = E(f.sql, f.type)
                    for name in rest[1:]:
                        e = self.dereference(e, name, node)
                    return Field(parts[-1], e.type, e.sql, (), mark=f.mark), current
            current = current.parent
        return None

    def dereference(self, e: E, name: str, node: exp.Expression) -> E:
        if e.type.base != "row":
            raise self.fail("TYPE_MISMATCH", f"Expression {node.sql('trino')} is not of type ROW", node)
        for i, n in enumerate(e.type.names):
            if n is not None and n.lower() == name.lower():
                return E(struct_field(e.sql, e.type, i), e.type.args[i])
        raise self.fail("COLUMN_NOT_FOUND", f"Column '{node.sql('trino')}' cannot be resolved", node)

    def boolean(self, node: exp.Expression, scope: Scope, where: str) -> E:
        saved, self.wants_truth, filtering = self.wants_truth, True, self.filtering
        self.filtering = filtering or where in ("WHERE clause", "JOIN ON")
        try:
            e = self.expr(node, scope)
        finally:
            self.wants_truth, self.filtering = saved, filtering
        if e.type.base == "unknown":
            return E("CAST(NULL AS BOOLEAN)", ty.BOOLEAN)
        if e.type != ty.BOOLEAN:
            raise self.fail(
                "TYPE_MISMATCH", f"{where} must evaluate to a boolean: actual type {e.type}", node
            )
        return e

    def common(self, a: E, b: E, op: str, node: exp.Expression) -> tuple[E, E, Type]:
        t = ty.common(a.type, b.type)
        if t is None:
            raise self.fail("TYPE_MISMATCH", f"Cannot apply operator: {a.type} {op} {b.type}", node)
        if t.base == "varchar" and "char" in (a.type.base, b.type.base):
            # Compared as char, that is without the blanks at the end.
            return E(f"rtrim({a.sql}, ' ')", ty.VARCHAR), E(f"rtrim({b.sql}, ' ')", ty.VARCHAR), ty.VARCHAR
        return cast(a, t), cast(b, t), t


def sort_key(sql: str, t: Type, ordered: exp.Expression, number: str | None = None) -> str:
    """A key of ORDER BY. number: what the key is called in an expression, if that is not its SQL."""
    way = direction(ordered)
    if t.base in ("real", "double") and way.endswith("FIRST"):
        # Whoever puts NULLs first has NaN before the numbers, and behind them in descending order.
        return f"isnan({number or sql}) {'ASC' if 'DESC' in way else 'DESC'} NULLS FIRST, {sql}{way}"
    return sql + way


def direction(ordered: exp.Expression) -> str:
    """ASC or DESC with Trino's default for NULLs: last, in both directions.

    https://trino.io/docs/435/sql/select.html#order-by-clause
    """
    descending = bool(ordered.args.get("desc"))
    first = ordered.args.get("nulls_first")
    return f" {'DESC' if descending else 'ASC'} NULLS {'FIRST' if first else 'LAST'}"


def qualifies(r: Relation, qualifier: list[str]) -> bool:
    """Whether a name's first parts mean a relation."""
    if not qualifier:
        return True
    if len(qualifier) == 1:
        return r.alias == qualifier[0]
    return r.alias == qualifier[-1] and r.database == qualifier[-2]
