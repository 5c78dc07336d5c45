"""Further functions of Trino: regular expressions, formatting, and the rarer ones of arrays and maps.

Split from `functions` for its size; importing it registers them there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena.errors import not_supported
from local_aws.athena.expressions import E, cast, raise_sql, raise_text, struct_field, to_varchar
from local_aws.athena.functions import _accept, _arity, _of_array, _of_map, special
from local_aws.athena.types import Type, duckdb_type

if TYPE_CHECKING:
    from local_aws.athena.plan import Compiler

# -------------------------------------------------------------------------------- regular expressions

# What RE2, DuckDB's engine, has not, or reads otherwise than Trino: look-around, back references, possessive
# quantifiers, classes in \p and in [[ ]], \b beside letters that are not ASCII, and $ before a final line break.
_JAVA_ONLY = re.compile(r"\(\?(?![:imsU)-]|P<)|\\[1-9kpPhHvVRXGZQbB]|[*+?}]\+|&&|\[[^\]]*\[|(?<!\\)\$(?!\{)")
# Groups that may take no part in a match: Trino gives NULL for them, RE2 an empty string.
_OPTIONAL = re.compile(r"\||\)[?*]|\)\{0?,")


def _in_re2(pattern: E) -> bool:
    return isinstance(pattern.value, str) and not _JAVA_ONLY.search(pattern.value)


def _groups(pattern: str) -> int:
    """How many groups a pattern has; none if it is none, which whoever runs it will say."""
    try:
        return re.compile(re.sub(r"\(\?<(?=[A-Za-z])", "(?P<", pattern)).groups
    except re.error:
        return 0


def _matches_nothing(pattern: E) -> bool:
    """Whether an empty string matches, between whose matches DuckDB splits and counts otherwise."""
    try:
        return re.compile(str(pattern.value)).match("") is not None
    except re.error:
        return True


def _texts(c: Compiler, args: list[E], name: str, node: exp.Expression, count: int = 2) -> list[str]:
    """The first `count` arguments, which have to be texts."""
    taken = [_accept(a, "varchar") for a in args[:count]]
    if any(t is None for t in taken):
        given = ", ".join(str(a.type) for a in args)
        raise c.fail("FUNCTION_NOT_FOUND", f"Unexpected parameters ({given}) for function {name}", node)
    return [cast(t, ty.VARCHAR).sql for t in taken if t is not None]


@special("regexp_like")
def _regexp_like(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "regexp_like", args, node, 2)
    text, pattern = _texts(c, args, "regexp_like", node)
    value = args[1].value
    if isinstance(value, str):
        # Before a final line break, too; for a test it does not matter that this consumes it.
        plain = re.sub(r"(?<!\\)\$$", r"\\n?\\z", value)
        if not _JAVA_ONLY.search(plain):
            return E(f"regexp_matches({text}, '{plain.replace(chr(39), chr(39) * 2)}')", ty.BOOLEAN)
    return E(f"py_regexp_like({text}, {pattern})", ty.BOOLEAN)


@special("regexp_extract", "regexp_extract_all")
def _regexp_extract(c: Compiler, args: list[E], node: exp.Expression) -> E:
    name = str(node.name).lower()
    _arity(c, name, args, node, 2, 3)
    text, pattern = _texts(c, args, name, node)
    group = args[2].sql if len(args) == 3 else "0"
    value = args[1].value
    exact = _in_re2(args[1]) and (len(args) == 2 or not _OPTIONAL.search(str(value)))
    everything = name == "regexp_extract_all"
    t = ty.array(ty.VARCHAR) if everything else ty.VARCHAR
    if exact and (len(args) == 2 or isinstance(args[2].value, int)):
        groups = _groups(str(value)) if len(args) == 3 else 0
        if len(args) == 3 and not 0 <= args[2].value <= groups:
            message = f"Pattern has {groups} groups. Cannot access group {args[2].value}"
            return E(raise_text("INVALID_FUNCTION_ARGUMENT", message, duckdb_type(t)), t)
        if everything:
            return E(f"regexp_extract_all({text}, {pattern}, {group})", t)
        return E(
            f"CASE WHEN regexp_matches({text}, {pattern}) THEN regexp_extract({text}, {pattern}, {group}) END",
            t,
        )
    return E(f"py_{name}({text}, {pattern}, CAST({group} AS BIGINT))", t)


@special("regexp_count")
def _regexp_count(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "regexp_count", args, node, 2)
    text, pattern = _texts(c, args, "regexp_count", node)
    if _in_re2(args[1]):
        return E(f"len(regexp_extract_all({text}, {pattern}))", ty.BIGINT)
    return E(f"py_regexp_count({text}, {pattern})", ty.BIGINT)


@special("regexp_position")
def _regexp_position(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "regexp_position", args, node, 2, 3, 4)
    text, pattern = _texts(c, args, "regexp_position", node)
    numbers = [*[f"CAST({a.sql} AS BIGINT)" for a in args[2:]], "1", "1"][:2]
    return E(f"py_regexp_position({text}, {pattern}, {', '.join(numbers)})", ty.INTEGER)


@special("regexp_split")
def _regexp_split(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "regexp_split", args, node, 2)
    text, pattern = _texts(c, args, "regexp_split", node)
    function = (
        "string_split_regex" if _in_re2(args[1]) and not _matches_nothing(args[1]) else "py_regexp_split"
    )
    return E(f"{function}({text}, {pattern})", ty.array(ty.VARCHAR))


@special("regexp_replace")
def _regexp_replace(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "regexp_replace", args, node, 2, 3)
    text, pattern, *rest = _texts(c, args, "regexp_replace", node, 3)
    if len(args) == 2:
        if _in_re2(args[1]):
            return E(f"regexp_replace({text}, {pattern}, '', 'g')", ty.VARCHAR)
        return E(f"py_regexp_replace({text}, {pattern}, '')", ty.VARCHAR)
    replacement = args[2].value
    if _in_re2(args[1]) and isinstance(replacement, str) and not re.search(r"\$\{|\$\d\d", replacement):
        groups = _groups(args[1].value)
        if all(int(n) <= groups for n in re.findall(r"\$(\d)", replacement)):
            # $1 is \1 to RE2; a backslash makes the next character plain.
            plain = re.sub(
                r"\\(.)|\$(\d)|(\\$)",
                lambda m: (
                    "\\" + m.group(2) if m.group(2) else "\\\\" if m.group(1) == "\\" else m.group(1) or ""
                ),
                replacement,
                flags=re.S,
            )
            return E(
                f"regexp_replace({text}, {pattern}, '{plain.replace(chr(39), chr(39) * 2)}', 'g')", ty.VARCHAR
            )
    return E(f"py_regexp_replace({text}, {pattern}, {rest[0]})", ty.VARCHAR)


# --------------------------------------------------------------------------------------------- strings


@special("normalize")
def _normalize(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "normalize", args, node, 1, 2)
    form = args[1].value if len(args) == 2 else "NFC"
    if form not in ("NFC", "NFD", "NFKC", "NFKD"):
        raise c.fail(
            "INVALID_FUNCTION_ARGUMENT", "Normalization form must be one of [NFD, NFC, NFKD, NFKC]", node
        )
    (text,) = _texts(c, args, "normalize", node, 1)
    return E(f"nfc_normalize({text})" if form == "NFC" else f"py_normalize({text}, '{form}')", ty.VARCHAR)


@special("format")
def _format(c: Compiler, args: list[E], node: exp.Expression) -> E:
    """https://trino.io/docs/435/functions/conversion.html#format"""
    if len(args) < 2:
        raise c.fail("FUNCTION_NOT_FOUND", "Unexpected parameters for function format", node)
    letters = {"decimal": "n", "double": "f", "real": "f", "boolean": "b", "date": "t", "timestamp": "t"}
    kinds = "".join("i" if a.type.base in ty.INTEGERS else letters.get(a.type.base, "s") for a in args[1:])
    (form,) = _texts(c, args, "format", node, 1)
    values = []
    for a in args[1:]:
        if a.type.args or a.type.base == "varbinary" or a.type.base.startswith("interval"):
            raise c.fail("NOT_SUPPORTED", f"Type not supported for formatting: {a.type}", node)
        # Numbers in full, not as 1.0E10.
        values.append(f"CAST({to_varchar(a.sql, a.type)} AS VARCHAR)")
    return E(f"py_format({form}, [{', '.join(values)}], '{kinds}')", ty.VARCHAR)


@special("split_to_map", "split_to_multimap")
def _split_to_map(c: Compiler, args: list[E], node: exp.Expression) -> E:
    name = str(node.name).lower()
    _arity(c, name, args, node, 3)
    text, entries, pairs = _texts(c, args, name, node, 3)
    message = "'Key-value delimiter must appear exactly once in each entry. Bad input: ' || chr(39) || λe || chr(39)"
    bad = raise_sql("INVALID_FUNCTION_ARGUMENT", message, "VARCHAR")
    checked = f"CASE WHEN len(string_split(λe, {pairs})) = 2 THEN λe ELSE {bad} END"
    # One delimiter at the end begins no entry.
    whole = f"CASE WHEN ends_with({text}, {entries}) THEN left({text}, -length({entries})) ELSE {text} END"
    parts = f"CASE WHEN {text} = '' THEN CAST([] AS VARCHAR[]) ELSE string_split({whole}, {entries}) END"
    split = (
        f"list_transform(list_transform({parts}, lambda λe: {checked}), "
        f"lambda λe: {{'key': substr(λe, 1, instr(λe, {pairs}) - 1), 'value': substr(λe, instr(λe, {pairs}) + length({pairs}))}})"
    )
    if name == "split_to_multimap":
        keys = f"list_transform({split}, lambda λp: λp.key)"
        return E(
            f"map_from_entries(list_transform({_distinct(keys)}, lambda λk: {{'key': λk, 'value': "
            f"list_transform(list_filter({split}, lambda λp: λp.key = λk), lambda λp: λp.value)}}))",
            ty.map_of(ty.VARCHAR, ty.array(ty.VARCHAR)),
        )
    t = ty.map_of(ty.VARCHAR, ty.VARCHAR)
    return E(_unique_map(split, t, ty.VARCHAR), t)


def _distinct(a: str) -> str:
    return f"list_filter({a}, lambda λx, λi: list_position({a}, λx) = λi)"


def _unique_map(entries: str, t: Type, key: Type) -> str:
    """A map of key/value structs; fails where a key comes twice, as Trino does."""
    keys = f"list_transform({entries}, lambda λp: λp.key)"
    twice = f"list_filter({keys}, lambda λx, λi: list_position({keys}, λx) < λi)"
    message = f"'Duplicate map keys (' || {to_varchar(f'{twice}[1]', key)} || ') are not allowed'"
    return (
        f"CASE WHEN len({twice}) > 0 THEN {raise_sql('INVALID_FUNCTION_ARGUMENT', message, duckdb_type(t))} "
        f"ELSE map_from_entries({entries}) END"
    )


# ---------------------------------------------------------------------------------------------- binary


@special("bitwise_left_shift", "bitwise_right_shift", "bitwise_right_shift_arithmetic")
def _shift(c: Compiler, args: list[E], node: exp.Expression) -> E:
    """https://trino.io/docs/435/functions/bitwise.html"""
    name = str(node.name).lower()
    _arity(c, name, args, node, 2)
    t = args[0].type
    bits = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64}.get(t.base)
    if bits is None:
        raise c.fail(
            "FUNCTION_NOT_FOUND", f"Unexpected parameters ({t}, {args[1].type}) for function {name}", node
        )
    x, n = f"CAST({args[0].sql} AS HUGEINT)", f"CAST({args[1].sql} AS INTEGER)"
    # Java takes the last six bits of a negative shift.
    n = f"(CASE WHEN {n} < 0 THEN {n} & 63 ELSE {n} END)"
    unsigned = f"(CASE WHEN {x} < 0 THEN {x} + {2**bits} ELSE {x} END)"
    if name == "bitwise_right_shift_arithmetic":
        wide = f"CAST(floor(CAST({x} AS DOUBLE) / pow(2, {n})) AS HUGEINT)"
        if bits == 64:
            wide = f"CASE WHEN {n} >= 64 THEN CASE WHEN {x} < 0 THEN -1 ELSE 0 END ELSE CAST({args[0].sql} AS BIGINT) >> {n} END"
        return E(f"CAST({wide} AS {duckdb_type(t)})", t)
    if name == "bitwise_right_shift":
        wide = f"CASE WHEN {n} >= {bits} THEN 0 ELSE {unsigned} // CAST(pow(2, {n}) AS HUGEINT) END"
    else:
        wide = f"CASE WHEN {n} >= {bits} THEN 0 ELSE ({unsigned} * CAST(pow(2, {n}) AS HUGEINT)) % CAST('{2**bits}' AS HUGEINT) END"
    signed = f"(CASE WHEN ({wide}) >= {2 ** (bits - 1)} THEN ({wide}) - {2**bits} ELSE ({wide}) END)"
    return E(f"CAST({signed} AS {duckdb_type(t)})", t)


@special("parse_data_size")
def _parse_data_size(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "parse_data_size", args, node, 1)
    (text,) = _texts(c, args, "parse_data_size", node, 1)
    t = ty.decimal(38, 0)
    return E(f"CAST(py_parse_data_size({text}) AS {duckdb_type(t)})", t)


# -------------------------------------------------------------------------------------- arrays and maps


@special("trim_array")
def _trim_array(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "trim_array", args, node, 2)
    _of_array(c, args[0], "trim_array", node)
    a, n = args[0].sql, args[1].sql
    code, d = "INVALID_FUNCTION_ARGUMENT", duckdb_type(args[0].type)
    return E(
        f"CASE WHEN {n} < 0 THEN {raise_text(code, 'size must not be negative: -1', d)} "
        f"WHEN {n} > len({a}) THEN {raise_sql(code, f'''{chr(39)}size must not exceed array cardinality {chr(39)} || CAST(len({a}) AS VARCHAR) || {chr(39)}: {chr(39)} || CAST({n} AS VARCHAR)''', d)} "
        f"ELSE list_slice({a}, 1, len({a}) - {n}) END",
        args[0].type,
    )


@special("ngrams")
def _ngrams(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "ngrams", args, node, 2)
    _of_array(c, args[0], "ngrams", node)
    a, n = args[0].sql, args[1].sql
    return E(
        f"list_transform(range(CAST(1 AS BIGINT), CAST(greatest(len({a}) - {n} + 1, 1) + 1 AS BIGINT)), "
        f"lambda λi: list_slice({a}, λi, λi + {n} - 1))",
        ty.array(args[0].type),
    )


@special("combinations")
def _combinations(c: Compiler, args: list[E], node: exp.Expression) -> E:
    """All subsets of n elements, in the order of their positions from the last on."""
    _arity(c, "combinations", args, node, 2)
    _of_array(c, args[0], "combinations", node)
    n = args[1].value
    if not isinstance(n, int):
        raise not_supported("combinations with a number that is no literal")
    if not 0 <= n <= 5:
        raise c.fail(
            "INVALID_FUNCTION_ARGUMENT",
            f"combination size must not be {'negative' if n < 0 else 'greater than 5'}: {n}",
            node,
        )
    a, d = args[0].sql, duckdb_type(args[0].type)
    positions = "[[0]]" if n else "CAST([[]] AS BIGINT[][])"
    for i in range(n):
        # Each list of positions grows by a later one; the 0 before the first is cut off.
        positions = (
            f"flatten(list_transform({positions}, lambda λp{i}: list_transform(range(CAST(λp{i}[-1] + 1 AS BIGINT), "
            f"CAST(len({a}) + 1 AS BIGINT)), lambda λq{i}: list_append(λp{i}, λq{i}))))"
        )
    if n:
        positions = f"list_transform({positions}, lambda λr: list_slice(λr, 2, len(λr)))"
        positions = f"list_sort(list_transform({positions}, lambda λr: list_reverse(λr)))"
        positions = f"list_transform({positions}, lambda λr: list_reverse(λr))"
    return E(
        f"CASE WHEN {a} IS NULL THEN NULL ELSE CAST(list_transform({positions}, lambda λr: list_transform(λr, lambda λj: list_extract({a}, λj))) AS {d}[]) END",
        ty.array(args[0].type),
    )


@special("array_histogram")
def _array_histogram(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "array_histogram", args, node, 1)
    t = _of_array(c, args[0], "array_histogram", node)
    a = f"list_filter({args[0].sql}, lambda λx: λx IS NOT NULL)"
    return E(
        f"map_from_entries(list_transform({_distinct(a)}, lambda λk: {{'key': λk, 'value': len(list_filter({a}, lambda λx: λx = λk))}}))",
        ty.map_of(t, ty.BIGINT),
    )


@special("shuffle")
def _shuffle(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "shuffle", args, node, 1)
    _of_array(c, args[0], "shuffle", node)
    c.changes()
    keyed = f"list_transform({args[0].sql}, lambda λx: {{'k': random(), 'x': λx}})"
    return E(f"list_transform(list_sort({keyed}), lambda λx: λx.x)", args[0].type)


@special("multimap_from_entries")
def _multimap_from_entries(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "multimap_from_entries", args, node, 1)
    t = _of_array(c, args[0], "multimap_from_entries", node)
    if t.base != "row" or len(t.args) != 2:
        raise c.fail(
            "FUNCTION_NOT_FOUND",
            f"Unexpected parameters ({args[0].type}) for function multimap_from_entries",
            node,
        )
    a = args[0].sql
    keys = f"list_transform({a}, lambda λp: {struct_field('λp', t, 0)})"
    return E(
        f"map_from_entries(list_transform({_distinct(keys)}, lambda λk: {{'key': λk, 'value': "
        f"list_transform(list_filter({a}, lambda λp: {struct_field('λp', t, 0)} = λk), lambda λp: {struct_field('λp', t, 1)})}}))",
        ty.map_of(t.args[0], ty.array(t.args[1])),
    )


@special("cosine_similarity")
def _cosine_similarity(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "cosine_similarity", args, node, 2)
    for e in args:
        k, v = _of_map(c, e, "cosine_similarity", node)
        if k.base != "varchar" or v.base not in ty.NUMERIC:
            raise c.fail(
                "FUNCTION_NOT_FOUND",
                f"Unexpected parameters ({e.type}, ...) for function cosine_similarity",
                node,
            )
    a, b = (x.sql for x in args)

    def norm(m: str) -> str:
        return f"sqrt(list_sum(list_transform(map_values({m}), lambda λx: CAST(λx * λx AS DOUBLE))))"

    product = f"coalesce(list_sum(list_transform(map_keys({a}), lambda λk: CAST({a}[λk] * coalesce({b}[λk], 0) AS DOUBLE))), 0)"
    return E(f"({product} / ({norm(a)} * {norm(b)}))", ty.DOUBLE)


@special("contains_sequence")
def _contains_sequence(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "contains_sequence", args, node, 2)
    t = ty.common(args[0].type, args[1].type)
    if t is None or t.base != "array":
        raise c.fail(
            "FUNCTION_NOT_FOUND",
            f"Unexpected parameters ({args[0].type}, {args[1].type}) for function contains_sequence",
            node,
        )
    a, b = (cast(x, t).sql for x in args)
    starts = f"range(CAST(1 AS BIGINT), CAST(len({a}) - len({b}) + 2 AS BIGINT))"
    found = f"list_filter({starts}, lambda λi: list_slice({a}, λi, λi + len({b}) - 1) = {b})"
    return E(f"CASE WHEN {a} IS NULL OR {b} IS NULL THEN NULL ELSE len({found}) > 0 END", ty.BOOLEAN)
