"""JSON (https://trino.io/docs/435/functions/json.html)."""

from __future__ import annotations

import re

from local_aws.athena import jsonpath
from local_aws.athena import types as ty
from local_aws.athena.errors import not_supported
from local_aws.athena.expressions import LAZY, E, cast, coerce, raise_sql, raise_text, to_json, to_varchar
from local_aws.athena.functions.registry import (
    TEXT,
    Call,
    Overload,
    Special,
    Table,
    overloaded,
    quoted,
)
from local_aws.athena.parser import JsonCall
from local_aws.athena.plan import Compiler, Scope
from local_aws.athena.types import BIGINT, BOOLEAN, JSON, VARCHAR, duckdb_type

_NAME = re.compile(
    r"""\.([A-Za-z_0-9\-:]+)|\[(\d+)\]|\[\s*"((?:[^"\\]|\\.)*)"\s*\]|\[\s*'([^']*)'\s*\]|\."([^"]*)\""""
)


def _path(c: Call, e: E) -> str:
    """A JSONPath literal as DuckDB reads it: fields and subscripts only."""
    if not isinstance(e.value, str):
        raise not_supported("A JSON path that is no literal")
    text = e.value.strip()
    if re.match(r"\w", text):
        text = "$." + text
    if not text.startswith("$"):
        raise c.fail("INVALID_FUNCTION_ARGUMENT", f"Invalid JSON path: '{e.value}'")
    out, rest = "$", text[1:]
    while rest:
        m = _NAME.match(rest)
        if m is None:
            if "*" in rest or ".." in rest:
                raise not_supported(f"JSON path '{e.value}' (wildcards and filters)")
            raise c.fail("INVALID_FUNCTION_ARGUMENT", f"Invalid JSON path: '{e.value}'")
        if m.group(2) is not None:
            out += f"[{m.group(2)}]"
        else:
            name = next(g for g in (m.group(1), m.group(3), m.group(4), m.group(5)) if g is not None)
            if '"' in name:
                raise not_supported(f"JSON path '{e.value}' (quotes in names)")
            out += f'."{name}"'
        rest = rest[m.end() :]
    return quoted(out)


def _text(c: Call, e: E) -> str:
    if e.type.base not in ("varchar", "json", "char", "unknown"):
        raise c.unexpected()
    # Text that is no JSON gives NULL.
    return e.sql if e.type.base == "json" else f"CASE WHEN json_valid({e.sql}) THEN {e.sql} END"


def _extract(c: Call, e: E, path: E) -> E:
    return E(f"trino_json_text(CAST(json_extract({_text(c, e)}, {_path(c, path)}) AS VARCHAR))", JSON)


def _extract_scalar(c: Call, e: E, path: E) -> E:
    text, p = _text(c, e), _path(c, path)
    return E(
        # The text of a number with a fraction is kept as it was written.
        f"CASE WHEN json_type({text}, {p}) = 'DOUBLE' THEN py_json_number({text}, {p}) "
        f"WHEN json_type({text}, {p}) NOT IN ('OBJECT', 'ARRAY') THEN json_extract_string({text}, {p}) END",
        ty.varchar_of(e.type),
    )


def _size(c: Call, e: E, path: E) -> E:
    text, p = _text(c, e), _path(c, path)
    kind = f"json_type({text}, {p})"
    return E(
        f"CASE WHEN {kind} IS NULL THEN NULL WHEN {kind} = 'ARRAY' THEN "
        f"CAST(json_array_length({text}, {p}) AS BIGINT) WHEN {kind} = 'OBJECT' "
        f"THEN len(json_keys({text}, {p})) ELSE 0 END",
        BIGINT,
    )


def _parsed(text: str) -> str:
    bad = raise_sql(
        "INVALID_FUNCTION_ARGUMENT", f"'Cannot convert value to JSON: ''' || {text} || ''''", "VARCHAR"
    )
    # Objects and numbers with fractions have a canonical form that DuckDB does not write.
    made = (
        f"CASE WHEN regexp_matches({text}, '[{{.eE]') THEN py_json_canonical({text}) "
        f"ELSE trino_json_text(CAST(json({text}) AS VARCHAR)) END"
    )
    return f"CASE WHEN {text} IS NULL OR json_valid({text}) THEN {made} ELSE {bad} END"


_PARSE = [Overload((VARCHAR,), JSON, _parsed)]


def _parse(c: Call, e: E) -> E:
    if not isinstance(e.value, str):
        return overloaded(c, _PARSE)
    try:
        made = jsonpath.canonical(e.value)
    except ValueError:
        message = f"Cannot convert value to JSON: '{e.value}'"
        return E(raise_text("INVALID_FUNCTION_ARGUMENT", message, "VARCHAR"), JSON)
    return E(quoted(made), JSON)


def _array_get(c: Call, e: E, index: E) -> E:
    return E(f"py_json_array_get({e.sql}, CAST({index.sql} AS BIGINT))", JSON)


def _array_contains(c: Call, e: E, value: E) -> E:
    if value.type.base not in ("varchar", "boolean", *ty.NUMERIC):
        raise c.unexpected()
    return E(f"py_json_array_contains({e.sql}, {to_json(value.sql, value.type)})", BOOLEAN)


def _array_length(text: str) -> str:
    is_array = f"json_valid({text}) AND json_type({text}) = 'ARRAY'"
    return f"CASE WHEN {is_array} THEN CAST(json_array_length({text}) AS BIGINT) END"


def _is_scalar(text: str) -> str:
    bad = raise_sql("INVALID_FUNCTION_ARGUMENT", f"'Invalid JSON value: ' || {text}", "BOOLEAN")
    scalar = f"json_type({text}) NOT IN ('OBJECT', 'ARRAY')"
    return f"CASE WHEN {text} IS NULL THEN NULL WHEN json_valid({text}) THEN {scalar} ELSE {bad} END"


FUNCTIONS: Table = {
    "is_json_scalar": [Overload((TEXT,), BOOLEAN, _is_scalar)],
    "json_array_contains": Special(_array_contains),
    "json_array_get": Special(_array_get),
    "json_array_length": [Overload((TEXT,), BIGINT, _array_length)],
    "json_extract": Special(_extract),
    "json_extract_scalar": Special(_extract_scalar),
    "json_format": [Overload((JSON,), VARCHAR, lambda e: e)],
    "json_parse": Special(_parse),
    "json_size": Special(_size),
}


# ------------------------------------------------------------------------------------- with words between


def json_call(c: Compiler, node: JsonCall, scope: Scope) -> E:
    """JSON_OBJECT, JSON_ARRAY, JSON_EXISTS, JSON_VALUE and JSON_QUERY."""
    kind = node.args["kind"]
    args = [c.expr(e, scope) for e in node.expressions]
    if kind == "JSON_OBJECT":
        pairs = [(args[i], args[i + 1]) for i in range(0, len(args), 2)]
        return _made("{", "}", [(k, v) for k, v in pairs], bool(node.args["absent"]))
    if kind == "JSON_ARRAY":
        return _made("[", "]", [(None, v) for v in args], bool(node.args["absent"]))
    if args[0].type.base not in ("varchar", "char", "json", "unknown"):
        raise c.fail(
            "TYPE_MISMATCH", f"Cannot read input of type {args[0].type} as JSON using formatting JSON", node
        )
    text = cast(args[0], VARCHAR).sql if args[0].type.base == "unknown" else args[0].sql
    path = args[1]
    if not isinstance(path.value, str):
        raise not_supported("A JSON path that is no literal")
    jsonpath.check(path.value, c, node)
    if kind == "JSON_EXISTS":
        return _exists(node, text, path.sql)
    return _queried(c, node, scope, text, path.sql)


def _exists(node: JsonCall, text: str, path: str) -> E:
    found = f"py_json_exists({text}, {path})"
    on_error = {
        "TRUE": "true",
        "UNKNOWN": "CAST(NULL AS BOOLEAN)",
        "ERROR": _failure(found, "BOOLEAN"),
    }.get(node.args.get("error") or "FALSE", "false")
    return E(
        f"CASE {found} WHEN 'true' THEN true WHEN 'false' THEN false "
        f"ELSE CASE WHEN {text} IS NULL THEN NULL ELSE {on_error} END END",
        BOOLEAN,
    )


def _queried(c: Compiler, node: JsonCall, scope: Scope, text: str, path: str) -> E:
    """JSON_VALUE and JSON_QUERY."""
    target = ty.trino_type(node.args["returning"]) if node.args.get("returning") is not None else VARCHAR
    if node.args["kind"] == "JSON_QUERY":
        options = f"{node.args.get('wrapper') or 'without'} {node.args.get('quotes') or 'keep'}"
        found = f"py_json_query({text}, {path}, '{options}')"
    else:
        found = f"py_json_value({text}, {path})"
    if target.base not in ("varchar", "char", *ty.NUMERIC, "boolean", "date", "timestamp", "time"):
        raise not_supported(f"{node.args['kind']} RETURNING {target}")
    d = duckdb_type(target)

    def case(name: str) -> str:
        behaviour = node.args.get(name) or "NULL"
        if behaviour == "DEFAULT":
            return coerce(c, c.expr(node.args[f"{name}_value"], scope), target, node).sql
        if behaviour == "ERROR":
            return _failure(found, d)
        return {"EMPTY ARRAY": "'[]'", "EMPTY OBJECT": "'{}'"}.get(behaviour, f"CAST(NULL AS {d})")

    value = coerce(c, E(f"substr({found}, 2)", VARCHAR), target, node).sql
    if node.args.get("error") != "ERROR" and target.base != "varchar":
        # A value that the type cannot hold is an error of the path, too.
        tried = f"TRY({LAZY}{value})"
        value = f"CASE WHEN {tried} IS NULL THEN {case('error')} ELSE {tried} END"
    return E(
        f"CASE left({found}, 1) WHEN 'v' THEN {value} WHEN 'e' THEN {case('empty')} WHEN 'x' THEN {case('error')} END",
        target,
    )


def _failure(found: str, d: str) -> str:
    none = "cannot extract value from JSON: JSON path found no items"
    return raise_sql(
        "JSON_VALUE_RESULT_ERROR",
        f"CASE WHEN {found} = 'e' THEN '{none}' ELSE substr({found}, 2) END",
        d,
    )


def _made(opening: str, closing: str, items: list[tuple[E | None, E]], absent: bool) -> E:
    parts = []
    for key, value in items:
        text = (
            f"coalesce({to_json(value.sql, value.type) if value.type.base != 'unknown' else 'NULL'}, 'null')"
        )
        if key is not None:
            text = f"CAST(to_json({to_varchar(key.sql, key.type)}) AS VARCHAR) || ':' || {text}"
        parts.append(f"CASE WHEN {value.sql} IS NULL THEN NULL ELSE {text} END" if absent else text)
    if not parts:
        return E(f"'{opening}{closing}'", VARCHAR)
    return E(f"('{opening}' || concat_ws(',', {', '.join(parts)}) || '{closing}')", VARCHAR)
