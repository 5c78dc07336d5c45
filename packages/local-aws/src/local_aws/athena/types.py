"""Trino's types: written as Trino and as Hive write them, stored as DuckDB stores them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from sqlglot import exp

from local_aws.athena.errors import QueryError, not_supported


@dataclass(frozen=True)
class Type:
    """A Trino type. `args` are the element types, `names` a row's field names (None: anonymous).

    zone: of timestamps with time zone, the zone of all values (None: UTC, see zones); no part of the type.
    """

    base: str
    args: tuple[Type, ...] = ()
    names: tuple[str | None, ...] = ()
    p: int | None = None
    s: int | None = None
    zone: str | None = field(default=None, compare=False)

    @property
    def digits(self) -> tuple[int, int]:
        """A decimal's precision and scale."""
        return self.p or 0, self.s or 0

    def __str__(self) -> str:
        if self.base == "decimal":
            return f"decimal({self.p},{self.s})"
        if self.base in ("varchar", "char") and self.p is not None:
            return f"{self.base}({self.p})"
        if self.base in ("timestamp", "time"):
            return f"{self.base}({self.p})"
        if self.base in ("timestamp with time zone", "time with time zone"):
            return f"{self.base.split()[0]}({self.p}) with time zone"
        if self.base in ("array", "map", "qdigest"):
            return f"{self.base}({', '.join(map(str, self.args))})"
        if self.base == "row":
            return (
                "row("
                + ", ".join(f"{n} {t}" if n else str(t) for n, t in zip(self.names, self.args, strict=True))
                + ")"
            )
        return self.base


BOOLEAN = Type("boolean")
TINYINT = Type("tinyint")
SMALLINT = Type("smallint")
INTEGER = Type("integer")
BIGINT = Type("bigint")
REAL = Type("real")
DOUBLE = Type("double")
VARCHAR = Type("varchar")
VARBINARY = Type("varbinary")
DATE = Type("date")
TIME = Type("time", p=3)
TIME_TZ = Type("time with time zone", p=3)
TIMESTAMP = Type("timestamp", p=3)
TIMESTAMP_TZ = Type("timestamp with time zone", p=3)
INTERVAL_DAY = Type("interval day to second")
INTERVAL_YEAR = Type("interval year to month")
JSON = Type("json")
UUID = Type("uuid")
UNKNOWN = Type("unknown")
IP_ADDRESS = Type("ipaddress")
IP_PREFIX = Type("ipprefix")
# Written as Trino writes them.
GEOMETRY = Type("Geometry")
SPHERICAL = Type("SphericalGeography")
BING_TILE = Type("BingTile")
HYPERLOGLOG = Type("HyperLogLog")
TDIGEST = Type("tdigest")
# The zone of values that have several.
MIXED = "?"

INTEGERS = ("tinyint", "smallint", "integer", "bigint")
NUMERIC = (*INTEGERS, "decimal", "real", "double")
_INT_DIGITS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}


def decimal(p: int, s: int) -> Type:
    return Type("decimal", p=min(p, 38), s=s)


def varchar(n: int | None) -> Type:
    return Type("varchar", p=n)


def varchar_of(t: Type) -> Type:
    """The type of texts that are parts of one of the type t."""
    return varchar(t.p if t.base in ("varchar", "char") else None)


def array(t: Type) -> Type:
    return Type("array", (t,))


def map_of(k: Type, v: Type) -> Type:
    return Type("map", (k, v))


def row(*fields: tuple[str | None, Type]) -> Type:
    return Type("row", tuple(t for _, t in fields), tuple(n for n, _ in fields))


def quote(name: str) -> str:
    """A DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A DuckDB string literal."""
    return "'" + value.replace("'", "''") + "'"


def field_name(names: tuple[str | None, ...], index: int) -> str:
    """What a row's field is called inside DuckDB, where names are unique and never missing."""
    name = names[index]
    if name is None or [n.lower() for n in names if n].count(name.lower()) > 1:
        return f"_{index}"
    return name


_DUCKDB = {
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double": "DOUBLE",
    "varchar": "VARCHAR",
    "char": "VARCHAR",
    "varbinary": "BLOB",
    "date": "DATE",
    "time": "TIME",
    # In UTC.
    "time with time zone": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMPTZ",
    "interval day to second": "INTERVAL",
    "interval year to month": "INTERVAL",
    # Not DuckDB's JSON: its casts parse and unparse, Trino's JSON is text here with checked producers.
    "json": "VARCHAR",
    "uuid": "UUID",
    "unknown": "INTEGER",
    "ipaddress": "BLOB",
    "ipprefix": "BLOB",
    "Geometry": "BLOB",
    "SphericalGeography": "BLOB",
    "BingTile": "BIGINT",
    "HyperLogLog": "VARCHAR[]",
    "tdigest": "DOUBLE[]",
}


def duckdb_type(t: Type) -> str:
    """The DuckDB type in which values of `t` are kept."""
    if t.base == "decimal":
        return f"DECIMAL({t.p},{t.s})"
    if t.base in ("array", "qdigest"):
        return duckdb_type(t.args[0]) + "[]"
    if t.base == "map":
        return f"MAP({duckdb_type(t.args[0])}, {duckdb_type(t.args[1])})"
    if t.base == "row":
        fields = ", ".join(f"{quote(field_name(t.names, i))} {duckdb_type(a)}" for i, a in enumerate(t.args))
        return f"STRUCT({fields})"
    return _DUCKDB[t.base]


# ---------------------------------------------------------------------------------------------- Hive

_HIVE = {
    "boolean": BOOLEAN,
    "tinyint": TINYINT,
    "smallint": SMALLINT,
    "int": INTEGER,
    "integer": INTEGER,
    "bigint": BIGINT,
    "float": REAL,
    "real": REAL,
    "double": DOUBLE,
    "string": VARCHAR,
    "varchar": VARCHAR,
    "binary": VARBINARY,
    "date": DATE,
    "timestamp": TIMESTAMP,
}


def parse_hive_type(text: str) -> Type:
    """Reads a Hive type as Glue keeps it, such as array<struct<a:int,b:string>>.

    Raises QueryError for a type that Athena does not have.
    """
    tokens = re.findall(r"`[^`]+`|[A-Za-z0-9_$\-.]+|[<>(),:]", text)
    pos = 0

    def peek() -> str:
        return tokens[pos] if pos < len(tokens) else ""

    def take(expected: str | None = None) -> str:
        nonlocal pos
        token = peek()
        if not token or (expected and token != expected):
            raise QueryError("HIVE_INVALID_METADATA", f"Invalid type '{text}' near '{token or 'end'}'")
        pos += 1
        return token

    def one() -> Type:
        name = take().lower()
        if name == "array":
            take("<")
            t = array(one())
            take(">")
            return t
        if name == "map":
            take("<")
            k = one()
            take(",")
            v = one()
            take(">")
            return map_of(k, v)
        if name == "struct":
            take("<")
            fields = []
            while True:
                field = take().strip("`").lower()
                take(":")
                fields.append((field, one()))
                if take() == ">":
                    return row(*fields)
        params: list[int] = []
        if peek() == "(":
            take("(")
            while True:
                params.append(int(take()))
                if take() == ")":
                    break
        if name in ("decimal", "numeric"):
            return decimal(params[0] if params else 10, params[1] if len(params) > 1 else 0)
        if name in ("varchar", "char"):
            return Type(name, p=params[0] if params else None)
        if name in _HIVE:
            return _HIVE[name]
        raise QueryError("HIVE_INVALID_METADATA", f"Unknown type '{name}' in '{text}'")

    t = one()
    if pos != len(tokens):
        raise QueryError("HIVE_INVALID_METADATA", f"Invalid type '{text}' near '{peek()}'")
    return t


def hive_type(t: Type) -> str:
    """How Hive, and so Glue, writes `t`."""
    if t.base == "array":
        return f"array<{hive_type(t.args[0])}>"
    if t.base == "map":
        return f"map<{hive_type(t.args[0])},{hive_type(t.args[1])}>"
    if t.base == "row":
        return "struct<" + ",".join(f"{n}:{hive_type(a)}" for n, a in zip(t.names, t.args, strict=True)) + ">"
    if t.base == "decimal":
        return f"decimal({t.p},{t.s})"
    if t.base == "varchar":
        return "string" if t.p is None else f"varchar({t.p})"
    if t.base == "char":
        return f"char({t.p})"
    simple = {"integer": "int", "real": "float", "varbinary": "binary", "timestamp": "timestamp"}
    if t.base in simple:
        return simple[t.base]
    if t.base in ("boolean", "tinyint", "smallint", "bigint", "double", "date"):
        return t.base
    raise QueryError("NOT_SUPPORTED", f"Unsupported Hive type: {t}")


# --------------------------------------------------------------------------------------------- Trino

_TRINO = {
    "BOOLEAN": BOOLEAN,
    "TINYINT": TINYINT,
    "SMALLINT": SMALLINT,
    "INT": INTEGER,
    "BIGINT": BIGINT,
    "FLOAT": REAL,
    "DOUBLE": DOUBLE,
    "DATE": DATE,
    "VARBINARY": VARBINARY,
    "JSON": JSON,
    "UUID": UUID,
    "IPADDRESS": IP_ADDRESS,
    "IPPREFIX": IP_PREFIX,
}


def trino_type(node: exp.DataType) -> Type:
    """The type that a DataType of sqlglot's Trino parser means. Raises QueryError for others."""
    name = node.this.name if isinstance(node.this, exp.DataType.Type) else str(node.this).upper()
    params = [int(e.this.name) for e in node.expressions if isinstance(e, exp.DataTypeParam)]
    if name in _TRINO:
        return _TRINO[name]
    if name in ("VARCHAR", "TEXT", "NVARCHAR"):
        return varchar(params[0] if params else None)
    if name in ("CHAR", "NCHAR"):
        return Type("char", p=params[0] if params else 1)
    if name == "DECIMAL":
        return decimal(params[0] if params else 38, params[1] if len(params) > 1 else 0)
    temporal = {
        "TIMESTAMP": "timestamp",
        "TIMESTAMPTZ": "timestamp with time zone",
        "TIME": "time",
        "TIMETZ": "time with time zone",
    }
    if name in temporal:
        p = params[0] if params else 3
        if p > 6:
            raise not_supported(f"{temporal[name]}({p}), finer than microseconds,")
        return Type(temporal[name], p=p)
    if name in ("ARRAY", "LIST"):
        return array(trino_type(node.expressions[0]))
    if name == "MAP":
        return map_of(trino_type(node.expressions[0]), trino_type(node.expressions[1]))
    if name == "STRUCT":
        fields: list[tuple[str | None, Type]] = []
        for e in node.expressions:
            if isinstance(e, exp.ColumnDef):
                assert e.kind is not None
                fields.append((e.name.lower(), trino_type(e.kind)))
            else:
                fields.append((None, trino_type(e)))
        return row(*fields)
    raise not_supported(f"Type {node.sql('trino')}")


def common(a: Type, b: Type) -> Type | None:
    """The type to which Trino implicitly converts values of both, or None.

    https://trino.io/docs/435/language/types.html and TypeCoercion.getCommonSuperType.
    """
    if a == b:
        return a if a.zone == b.zone and not a.args else _merged(a, b)
    if a.base == "unknown":
        return b
    if b.base == "unknown":
        return a
    if a.base in NUMERIC and b.base in NUMERIC:
        for t in (DOUBLE, REAL):
            if t.base in (a.base, b.base):
                return t
        if "decimal" in (a.base, b.base):
            (pa, sa), (pb, sb) = as_decimal(a).digits, as_decimal(b).digits
            s = max(sa, sb)
            return decimal(max(pa - sa, pb - sb) + s, s)
        return a if INTEGERS.index(a.base) >= INTEGERS.index(b.base) else b
    if a.base == b.base:
        if a.base in ("varchar", "char"):
            return Type(a.base, p=None if a.p is None or b.p is None else max(a.p, b.p))
        if a.base.startswith("time"):
            return _merged(a, b)
        if a.base in ("array", "map", "row") and len(a.args) == len(b.args):
            args = []
            for x, y in zip(a.args, b.args, strict=True):
                element = common(x, y)
                if element is None:
                    return None
                args.append(element)
            names = tuple(x if x == y else None for x, y in zip(a.names, b.names, strict=True))
            return Type(a.base, tuple(args), names)
    if {a.base, b.base} == {"varchar", "char"}:
        # Of a varchar without a length it would be the longest char, with all of its blanks.
        return VARCHAR if a.p is None or b.p is None else Type("char", p=max(a.p, b.p))
    if {a.base, b.base} == {"date", "timestamp"}:
        return a if a.base == "timestamp" else b
    if {a.base, b.base} == {"time", "time with time zone"}:
        zoned, other = (a, b) if a.base == "time with time zone" else (b, a)
        return replace(_merged(zoned, Type(zoned.base)), p=max(zoned.p or 0, other.p or 0))
    if {a.base, b.base} <= {"date", "timestamp", "timestamp with time zone"}:
        zoned, other = (a, b) if a.base == "timestamp with time zone" else (b, a)
        return replace(_merged(zoned, Type(zoned.base)), p=max(zoned.p or 0, other.p or 0))
    return None


def _merged(a: Type, b: Type) -> Type:
    """Two types that differ in precision or zone at most."""
    if a.args:
        return replace(a, args=tuple(_merged(x, y) for x, y in zip(a.args, b.args, strict=True)))
    zone = a.zone if (a.zone or "UTC") == (b.zone or "UTC") else MIXED
    return replace(a, p=None if a.p is None else max(a.p, b.p or 0), zone=zone)


def as_decimal(t: Type) -> Type:
    return t if t.base == "decimal" else decimal(_INT_DIGITS[t.base], 0)
