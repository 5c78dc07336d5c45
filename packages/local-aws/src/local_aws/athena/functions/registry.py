"""What the tables of functions are made of, and how a call is compiled with them.

Each module of this package ends with its table: names as Trino has them, with the types of parameters and results and
what becomes of a call in DuckDB's SQL. A function whose result depends on more than types is a Python function over
compiled arguments, `Special`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena import zones
from local_aws.athena.errors import QueryError
from local_aws.athena.expressions import E, cast
from local_aws.athena.plan import Compiler
from local_aws.athena.types import Type


@dataclass(frozen=True)
class Call:
    """A function's call, with its arguments compiled."""

    compiler: Compiler
    name: str
    args: list[E]
    node: exp.Expression

    def fail(self, code: str, message: str) -> QueryError:
        return self.compiler.fail(code, message, self.node)

    def unexpected(self, expected: str = "") -> QueryError:
        """No function of this name takes arguments of these types."""
        given = ", ".join(str(a.type) for a in self.args)
        message = f"Unexpected parameters ({given}) for function {self.name}"
        return self.fail("FUNCTION_NOT_FOUND", f"{message}. Expected: {expected}" if expected else message)

    def element_type(self, e: E) -> Type:
        """The type of an array's elements."""
        if e.type.base == "unknown":
            return ty.UNKNOWN
        if e.type.base != "array":
            raise self.unexpected()
        return e.type.args[0]

    def entry_types(self, e: E) -> tuple[Type, Type]:
        """The types of a map's keys and values."""
        if e.type.base != "map":
            raise self.unexpected()
        return e.type.args[0], e.type.args[1]

    def number_type(self, e: E) -> Type:
        if e.type.base not in ty.NUMERIC:
            raise self.unexpected()
        return e.type

    def texts(self, *args: E) -> list[str]:
        """The SQL of arguments that have to be texts."""
        taken = [accept(a, ty.VARCHAR) for a in args]
        if any(t is None for t in taken):
            raise self.unexpected()
        return [cast(t, ty.VARCHAR).sql for t in taken if t is not None]

    def common_type(self, *args: E) -> Type:
        """The type to which all of the arguments can be brought."""
        if not args:
            raise self.unexpected()
        t = args[0].type
        for a in args[1:]:
            both = ty.common(t, a.type)
            if both is None:
                raise self.fail(
                    "TYPE_MISMATCH",
                    f"All {self.name.upper()} operands must be the same type or coercible to a common type. "
                    f"Cannot find common type between {t} and {a.type}",
                )
            t = both
        return t


class Kind(Enum):
    """A parameter that takes several types."""

    ANY = "any"
    NUMBER = "number"
    # Dates and timestamps; those with a time zone as its clock shows them.
    TEMPORAL = "temporal"
    # What has hours: times and timestamps.
    CLOCK = "clock"
    # Texts and JSON.
    TEXT = "text"

    def __str__(self) -> str:
        return self.value


ANY, NUMBER, TEMPORAL, CLOCK, TEXT = Kind
Parameter = Type | Kind
# A result of the type of the first argument, or a varchar as long as it, or an array of such.
SAME: Type | None = None
PART = Type("varchar", p=-1)
PARTS = ty.array(PART)


@dataclass(frozen=True)
class Overload:
    """A function for arguments of certain types.

    sql: the DuckDB function of the same arguments, or what writes the SQL over theirs. strict: its SQL would answer, or
    fail, although an argument is NULL.
    """

    parameters: tuple[Parameter, ...]
    result: Type | None
    sql: str | Callable[..., str]
    strict: bool = False

    def compile(self, args: list[E]) -> E | None:
        """None if the arguments are not for this one."""
        if len(args) != len(self.parameters):
            return None
        taken = [accept(a, p) for a, p in zip(args, self.parameters, strict=True)]
        sqls = [t.sql for t in taken if t is not None]
        if len(sqls) != len(args):
            return None
        made = f"{self.sql}({', '.join(sqls)})" if isinstance(self.sql, str) else self.sql(*sqls)
        result = E(f"({made})", self._result(args))
        return strictly(args, result) if self.strict else result

    def _result(self, args: list[E]) -> Type:
        if self.result in (PART, PARTS):
            part = ty.varchar_of(args[0].type)
            return part if self.result == PART else ty.array(part)
        return args[0].type if self.result is None else self.result


@dataclass(frozen=True)
class Special:
    """A function that decides by itself what it takes and gives.

    compile: gets the call and its arguments, and takes as many as it has parameters. strict: see Overload.
    """

    compile: Callable[..., E]
    strict: bool = False

    def takes(self, count: int) -> bool:
        code = self.compile.__code__
        most = code.co_argcount - 1
        least = most - len(self.compile.__defaults__ or ())
        variadic = bool(code.co_flags & 0x04)
        return least <= count and (variadic or count <= most)


Function = list[Overload] | Special
Table = Mapping[str, Function]


def accept(e: E, want: Parameter) -> E | None:
    """The argument as a parameter takes it, or None."""
    t = e.type
    if want is ANY:
        return e
    if t.base == "unknown":
        of_kind = {NUMBER: ty.DOUBLE, TEMPORAL: ty.TIMESTAMP, CLOCK: ty.TIMESTAMP, TEXT: ty.VARCHAR}
        return cast(e, want if isinstance(want, Type) else of_kind[want])
    if want is NUMBER:
        return e if t.base in ty.NUMERIC else None
    if want is TEMPORAL or want is CLOCK:
        if t.base == "timestamp with time zone" or (t.base == "time with time zone" and want is CLOCK):
            return on_clock(e)
        return e if t.base in ("timestamp", "date" if want is TEMPORAL else "time") else None
    if want is TEXT:
        return e if t.base in ("varchar", "char", "json") else None
    assert isinstance(want, Type)
    if t.base == want.base and t.base != "array":
        return e
    if want == ty.VARCHAR and t.base == "char":
        return cast(e, ty.VARCHAR)
    if t.base in ty.NUMERIC and want.base in ty.NUMERIC:
        both = ty.common(t, want)
        return cast(e, want) if both is not None and both.base == want.base else None
    if t.base == "date" and want.base == "timestamp":
        return cast(e, want)
    if t.base == "array" and t.args[0].base == "unknown" and want.base == "array":
        return cast(e, want)
    return e if t == want else None


def on_clock(e: E) -> E:
    """What the wall clock shows: of a timestamp with time zone that in its zone, else the value itself."""
    if e.type.base == "time with time zone":
        return E(zones.shifted(e.sql, zones.fixed(e.type)), Type("time", p=e.type.p))
    if e.type.base != "timestamp with time zone" or zones.zone(e.type) == zones.UTC:
        return e
    return E(zones.local(e.sql, e.type), Type("timestamp", p=e.type.p))


def strictly(args: list[E], result: E) -> E:
    """The result of a function that is NULL where any of its arguments is."""
    nulls = [f"{a.sql} IS NULL" for a in args if a.value is None]
    if not nulls:
        return result
    return replace(result, sql=f"CASE WHEN {' OR '.join(nulls)} THEN NULL ELSE {result.sql} END")


def special(call: Call, function: Special) -> E:
    if not function.takes(len(call.args)):
        raise call.unexpected()
    result = function.compile(call, *call.args)
    return strictly(call.args, result) if function.strict else result


def overloaded(call: Call, overloads: list[Overload]) -> E:
    """The first of the overloads that takes the arguments."""
    for overload in overloads:
        e = overload.compile(call.args)
        if e is not None:
            return e
    raise call.unexpected(", ".join(f"{call.name}({', '.join(map(str, o.parameters))})" for o in overloads))


def quoted(text: str) -> str:
    """A text as a literal of DuckDB's."""
    return "'" + text.replace("'", "''") + "'"


def merged(*tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of several families as one. No name may be in two of them."""
    out: dict[str, Any] = {}
    for table in tables:
        twice = out.keys() & table.keys()
        assert not twice, f"functions in several tables: {sorted(twice)}"
        out.update(table)
    return out
