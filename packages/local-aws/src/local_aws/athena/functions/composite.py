"""What puts values together and takes them apart again: ||, ROW and subscripts.

https://trino.io/docs/435/functions/string.html, .../array.html, .../map.html
"""

from __future__ import annotations

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena.expressions import E, cast, raise_sql, raise_text, struct_field, to_varchar
from local_aws.athena.plan import Compiler
from local_aws.athena.types import Type, duckdb_type


def concat(c: Compiler, args: list[E], node: exp.Expression) -> E:
    """|| and concat(): strings, bytes, arrays; NULL where any is NULL."""
    types = [a.type for a in args]
    if any(t.base == "array" for t in types):
        t = _array_of_all(types)
        if t is None:
            raise c.fail("TYPE_MISMATCH", f"Cannot concat: {', '.join(map(str, types))}", node)
        parts = [
            cast(a, t).sql if ty.common(a.type, t) is not None else f"[{cast(a, t.args[0]).sql}]"
            for a in args
        ]
        # An element that is NULL makes all of it NULL, too.
        nulls = " OR ".join(f"{a.sql} IS NULL" for a in args)
        joined = parts[0]
        for p in parts[1:]:
            joined = f"list_concat({joined}, {p})"
        return E(f"CASE WHEN {nulls} THEN NULL ELSE {joined} END", t)
    if all(t.base in ("varbinary", "unknown") for t in types) and any(t.base == "varbinary" for t in types):
        return E("(" + " || ".join(cast(a, ty.VARBINARY).sql for a in args) + ")", ty.VARBINARY)
    if all(t.base in ("varchar", "char", "unknown") for t in types):
        texts = [cast(a, ty.VARCHAR).sql if a.type.base == "unknown" else a.sql for a in args]
        t = ty.VARCHAR
        if any(x.base == "char" for x in types) and all(x.p is not None for x in types):
            t = Type("char", p=sum(x.p or 0 for x in types))
        return E("(" + " || ".join(texts) + ")", t)
    raise c.fail(
        "FUNCTION_NOT_FOUND" if len(args) != 2 else "TYPE_MISMATCH",
        f"Unexpected parameters ({', '.join(map(str, types))}) for function concat",
        node,
    )


def _array_of_all(types: list[Type]) -> Type | None:
    """The type of what || makes of arrays and of elements, which may be arrays themselves."""
    t: Type | None = max(types, key=_depth)
    for one in types:
        if t is not None:
            t = ty.common(t, one) or ty.common(t, ty.array(one))
    return t


def _depth(t: Type) -> int:
    return 1 + _depth(t.args[0]) if t.base == "array" else 0


def make_row(items: list[E]) -> E:
    t = ty.row(*[(None, i.type) for i in items])
    fields = ", ".join(f"'{ty.field_name(t.names, i)}': {e.sql}" for i, e in enumerate(items))
    return E(f"{{{fields}}}", t)


def subscript(c: Compiler, base: E, index: E, node: exp.Expression) -> E:
    """base[index]: fails where there is no such element (element_at gives NULL)."""
    code = "INVALID_FUNCTION_ARGUMENT"
    if base.type.base == "unknown":
        return E("NULL", ty.UNKNOWN)
    if base.type.base == "array" and index.type.base == "unknown":
        return cast(E("NULL", ty.UNKNOWN), base.type.args[0])
    if base.type.base == "array":
        if index.type.base not in ty.INTEGERS:
            raise c.fail("TYPE_MISMATCH", f"Cannot use {index.type} for subscript of {base.type}", node)
        t = base.type.args[0]
        d = duckdb_type(t)
        at = f"CAST({index.sql} AS VARCHAR)"
        zero = raise_text(code, "SQL array indices start at 1", d)
        negative = raise_sql(code, f"'Array subscript is negative: ' || {at}", d)
        beyond = raise_sql(
            code,
            f"'Array subscript must be less than or equal to array length: ' || {at} || ' > ' "
            f"|| CAST(len({base.sql}) AS VARCHAR)",
            d,
        )
        return E(
            f"CASE WHEN {index.sql} = 0 THEN {zero} WHEN {index.sql} < 0 THEN {negative} "
            f"WHEN {index.sql} > len({base.sql}) THEN {beyond} "
            f"ELSE list_extract({base.sql}, CAST({index.sql} AS BIGINT)) END",
            t,
        )
    if base.type.base == "map":
        k, t = base.type.args
        both = ty.common(index.type, k)
        if both is None:
            raise c.fail("TYPE_MISMATCH", f"Cannot use {index.type} for subscript of {base.type}", node)
        if both != k and k.base != "varchar":
            base = cast(base, ty.map_of(both, t))
        # A longer text than the keys' stays what it is.
        key = cast(index, both).sql
        missing = raise_sql(code, f"'Key not present in map: ' || {to_varchar(key, k)}", duckdb_type(t))
        return E(
            f"CASE WHEN {base.sql} IS NULL OR {key} IS NULL THEN NULL WHEN NOT map_contains({base.sql}, {key}) "
            f"THEN {missing} ELSE {base.sql}[{key}] END",
            t,
        )
    if base.type.base == "row":
        if not isinstance(index.value, int) or not 1 <= index.value <= len(base.type.args):
            raise c.fail(code, f"ROW index out of bounds: {index.sql}", node)
        return E(struct_field(base.sql, base.type, index.value - 1), base.type.args[index.value - 1])
    raise c.fail("TYPE_MISMATCH", f"Cannot use {index.type} for subscript of {base.type}", node)
