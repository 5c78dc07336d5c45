"""Strings (https://trino.io/docs/435/functions/string.html)."""

from __future__ import annotations

from dataclasses import replace

from local_aws.athena import types as ty
from local_aws.athena.expressions import E, cast, raise_sql, raise_text, to_varchar
from local_aws.athena.functions.registry import (
    PART,
    PARTS,
    SAME,
    Call,
    Overload,
    Special,
    Table,
    accept,
    overloaded,
    strictly,
)
from local_aws.athena.functions.sets import first_of_each, unique_map
from local_aws.athena.types import BIGINT, BOOLEAN, DOUBLE, VARBINARY, VARCHAR

# All Unicode white space, which Trino trims where DuckDB trims blanks only.
_SPACE = "' ' || " + " || ".join(
    f"chr({n})"
    for n in (
        *range(9, 14), *range(28, 32), 5760, *range(8192, 8199), *range(8200, 8203), 8232, 8233, 8287, 12288,
    )
)  # fmt: skip
_INVALID = "INVALID_FUNCTION_ARGUMENT"


def _upper(text: str) -> str:
    # Of one letter no two are made.
    return (
        f"CASE WHEN contains({text}, 'ß') THEN replace(upper(replace({text}, 'ß', chr(57344))), chr(57344), 'ß') "
        f"ELSE upper({text}) END"
    )


def _replace(text: str, old: str, new: str) -> str:
    # Nothing is found before, between and behind the letters.
    each = f"list_transform(regexp_extract_all({text}, '(?s).'), lambda λc: λc || {new})"
    spread = (
        f"CASE WHEN {text} = '' THEN {new} ELSE {new} || list_reduce({each}, lambda λa, λb: λa || λb) END"
    )
    return f"CASE WHEN {old} <> '' THEN replace({text}, {old}, {new}) ELSE {spread} END"


def _strpos(text: str, part: str, instance: str) -> str:
    zero = raise_text(_INVALID, "'instance' must be a positive or negative number.", "BIGINT")
    return f"CASE WHEN {instance} = 0 THEN {zero} ELSE trino_strpos({text}, {part}, {instance}) END"


_NO_DELIMITER = raise_text(_INVALID, "The delimiter may not be the empty string", "VARCHAR[]")


def _split(text: str, delimiter: str) -> str:
    return f"CASE WHEN {delimiter} = '' THEN {_NO_DELIMITER} ELSE string_split({text}, {delimiter}) END"


def _split_at_most(text: str, delimiter: str, limit: str) -> str:
    none = raise_text(_INVALID, "Limit must be positive", "VARCHAR[]")
    return (
        f"CASE WHEN {limit} <= 0 THEN {none} WHEN {delimiter} = '' THEN {_NO_DELIMITER} "
        f"ELSE trino_split({text}, {delimiter}, {limit}) END"
    )


def _split_part(text: str, delimiter: str, index: str) -> str:
    below = raise_text(_INVALID, "Index must be greater than zero", "VARCHAR")
    return (
        f"CASE WHEN {index} > len(string_split({text}, {delimiter})) THEN NULL WHEN {index} < 1 THEN {below} "
        f"ELSE split_part({text}, {delimiter}, {index}) END"
    )


def _substr(text: str, start: str, length: str = "") -> str:
    nothing = f"{start} = 0 OR {f'{length} <= 0 OR ' if length else ''}abs({start}) > length({text})"
    rest = f", {length}" if length else ""
    return f"CASE WHEN {nothing} THEN '' ELSE substr({text}, {start}{rest}) END"


def _substr_of_bytes(data: str, start: str, length: str = "") -> str:
    nothing = f"{start} = 0 OR {f'{length} <= 0 OR ' if length else ''}abs({start}) > octet_length({data})"
    rest = f", 2 * {length}" if length else ""
    return (
        f"unhex(CASE WHEN {nothing} THEN '' WHEN {start} < 0 THEN substr(hex({data}), 2 * {start}{rest}) "
        f"ELSE substr(hex({data}), 2 * {start} - 1{rest}) END)"
    )


def _pad(side: str) -> Overload:
    def sql(text: str, size: str, padding: str) -> str:
        empty = raise_text(_INVALID, "Padding string must not be empty", "VARCHAR")
        negative = raise_text(_INVALID, "Target length must be in the range [0..2147483647]", "VARCHAR")
        return (
            f"CASE WHEN {padding} = '' THEN {empty} WHEN {size} < 0 THEN {negative} "
            f"ELSE {side}({text}, CAST({size} AS INTEGER), {padding}) END"
        )

    return Overload((VARCHAR, BIGINT, VARCHAR), VARCHAR, sql, strict=True)


def _pad_bytes(side: str) -> Overload:
    def sql(data: str, size: str, padding: str) -> str:
        return f"unhex({side}(hex({data}), CAST(2 * {size} AS INTEGER), hex({padding})))"

    return Overload((VARBINARY, BIGINT, VARBINARY), VARBINARY, sql, strict=True)


def _trim(name: str) -> list[Overload]:
    return [
        Overload((VARCHAR,), PART, lambda text: f"{name}({text}, {_SPACE})"),
        Overload((VARCHAR, VARCHAR), PART, name),
    ]


def _trimmed(name: str) -> Special:
    """A char is trimmed without the blanks that fill it."""
    overloads = _trim(name)

    def compile_(c: Call, text: E, characters: E | None = None) -> E:
        if text.type.base == "char":
            text = E(f"rtrim({text.sql}, ' ')", ty.varchar(text.type.p))
        args = [text] if characters is None else [text, characters]
        return overloaded(replace(c, args=args), overloads)

    return Special(compile_)


def _levenshtein(a: str, b: str) -> str:
    # DuckDB counts bytes.
    return f"CASE WHEN {_ascii(a, b)} THEN levenshtein({a}, {b}) ELSE py_levenshtein({a}, {b}) END"


def _hamming(a: str, b: str) -> str:
    message = "The input strings to hamming_distance function must have the same length"
    return (
        f"CASE WHEN length({a}) <> length({b}) THEN {raise_text(_INVALID, message, 'BIGINT')} WHEN {a} = '' THEN 0 "
        f"WHEN {_ascii(a, b)} THEN hamming({a}, {b}) ELSE py_hamming({a}, {b}) END"
    )


def _ascii(a: str, b: str) -> str:
    return f"strlen({a}) = length({a}) AND strlen({b}) = length({b})"


def _codepoint(c: Call, character: E) -> E:
    if character.type != ty.varchar(1):
        raise c.unexpected("codepoint(varchar(1))")
    return E(f"unicode({character.sql})", ty.INTEGER)


def _normalize(c: Call, text: E, form: E | None = None) -> E:
    name = form.value if form is not None else "NFC"
    if name not in ("NFC", "NFD", "NFKC", "NFKD"):
        raise c.fail(_INVALID, "Normalization form must be one of [NFD, NFC, NFKD, NFKC]")
    (sql,) = c.texts(text)
    return E(f"nfc_normalize({sql})" if name == "NFC" else f"py_normalize({sql}, '{name}')", VARCHAR)


def _concat_ws(c: Call, *args: E) -> E:
    if len(args) == 2 and args[1].type.base == "array":
        joined = f"coalesce(array_to_string({args[1].sql}, {args[0].sql}), '')"
        return strictly([args[0], args[1]], E(joined, VARCHAR))
    if len(args) < 2:
        raise c.fail(_INVALID, "There must be two or more arguments")
    return E(f"concat_ws({', '.join(cast(a, VARCHAR).sql for a in args)})", VARCHAR)


def _format(c: Call, form: E, first: E, *more: E) -> E:
    """https://trino.io/docs/435/functions/conversion.html#format"""
    letters = {"decimal": "n", "double": "f", "real": "f", "boolean": "b", "date": "t", "timestamp": "t"}
    kinds, values = "", []
    for a in (first, *more):
        if a.type.args or a.type.base == "varbinary" or a.type.base.startswith("interval"):
            raise c.fail("NOT_SUPPORTED", f"Type not supported for formatting: {a.type}")
        kinds += "i" if a.type.base in ty.INTEGERS else letters.get(a.type.base, "s")
        # Numbers in full, not as 1.0E10.
        values.append(f"CAST({to_varchar(a.sql, a.type)} AS VARCHAR)")
    (text,) = c.texts(form)
    return E(f"py_format({text}, [{', '.join(values)}], '{kinds}')", VARCHAR)


def _reverse(c: Call, e: E) -> E:
    """Of arrays and of bytes, too."""
    if e.type.base == "array":
        return E(f"list_reverse({e.sql})", e.type)
    if e.type.base == "varbinary":
        pairs = f"regexp_extract_all(hex({e.sql}), '..')"
        return E(f"unhex(array_to_string(list_reverse({pairs}), ''))", VARBINARY)
    text = accept(e, VARCHAR)
    if text is None:
        raise c.unexpected()
    return E(f"trino_reverse({text.sql})", e.type)


def _split_to_map(c: Call, text: E, entry_delimiter: E, pair_delimiter: E) -> E:
    t = ty.map_of(VARCHAR, VARCHAR)
    return E(unique_map(_entries(*c.texts(text, entry_delimiter, pair_delimiter)), t), t)


def _split_to_multimap(c: Call, text: E, entry_delimiter: E, pair_delimiter: E) -> E:
    entries = _entries(*c.texts(text, entry_delimiter, pair_delimiter))
    keys = f"list_transform({entries}, lambda λp: λp.key)"
    return E(
        f"map_from_entries(list_transform({first_of_each(keys)}, lambda λk: {{'key': λk, 'value': "
        f"list_transform(list_filter({entries}, lambda λp: λp.key = λk), lambda λp: λp.value)}}))",
        ty.map_of(VARCHAR, ty.array(VARCHAR)),
    )


def _entries(text: str, entry_delimiter: str, pair_delimiter: str) -> str:
    """A text's entries as a list of structs of key and value."""
    alike = raise_text(_INVALID, "entryDelimiter and keyValueDelimiter must not be the same", "VARCHAR")
    text = f"CASE WHEN {entry_delimiter} = {pair_delimiter} THEN {alike} ELSE {text} END"
    message = "'Key-value delimiter must appear exactly once in each entry. Bad input: ' || chr(39) || λe || chr(39)"
    bad = raise_sql(_INVALID, message, "VARCHAR")
    checked = f"CASE WHEN len(string_split(λe, {pair_delimiter})) = 2 THEN λe ELSE {bad} END"
    # One delimiter at the end begins no entry.
    whole = (
        f"CASE WHEN ends_with({text}, {entry_delimiter}) THEN left({text}, -length({entry_delimiter})) "
        f"ELSE {text} END"
    )
    parts = (
        f"CASE WHEN {text} = '' THEN CAST([] AS VARCHAR[]) ELSE string_split({whole}, {entry_delimiter}) END"
    )
    at = f"instr(λe, {pair_delimiter})"
    key, value = f"substr(λe, 1, {at} - 1)", f"substr(λe, {at} + length({pair_delimiter}))"
    return (
        f"list_transform(list_transform({parts}, lambda λe: {checked}), "
        f"lambda λe: {{'key': {key}, 'value': {value}}})"
    )


_SUBSTR = [
    Overload((VARCHAR, BIGINT), PART, _substr, strict=True),
    Overload((VARCHAR, BIGINT, BIGINT), PART, _substr, strict=True),
    Overload((VARBINARY, BIGINT), VARBINARY, _substr_of_bytes, strict=True),
    Overload((VARBINARY, BIGINT, BIGINT), VARBINARY, _substr_of_bytes, strict=True),
]

FUNCTIONS: Table = {
    "chr": [Overload((BIGINT,), ty.varchar(1), lambda n: f"chr(CAST({n} AS INTEGER))")],
    "codepoint": Special(_codepoint),
    "concat_ws": Special(_concat_ws),
    "format": Special(_format),
    "format_number": [Overload((DOUBLE,), VARCHAR, "py_format_number")],
    "hamming_distance": [Overload((VARCHAR, VARCHAR), BIGINT, _hamming)],
    "human_readable_seconds": [Overload((DOUBLE,), VARCHAR, "py_human_readable_seconds")],
    "length": [Overload((VARCHAR,), BIGINT, "length"), Overload((VARBINARY,), BIGINT, "octet_length")],
    "levenshtein_distance": [Overload((VARCHAR, VARCHAR), BIGINT, _levenshtein)],
    "lower": [Overload((VARCHAR,), SAME, "lower")],
    "lpad": [_pad_bytes("lpad"), _pad("lpad")],
    "ltrim": _trimmed("ltrim"),
    "luhn_check": [Overload((VARCHAR,), BOOLEAN, "py_luhn_check")],
    "normalize": Special(_normalize),
    "replace": [
        Overload((VARCHAR, VARCHAR), PART, lambda text, old: f"replace({text}, {old}, '')"),
        Overload((VARCHAR, VARCHAR, VARCHAR), VARCHAR, _replace, strict=True),
    ],
    "reverse": Special(_reverse),
    "rpad": [_pad_bytes("rpad"), _pad("rpad")],
    "rtrim": _trimmed("rtrim"),
    "soundex": [Overload((VARCHAR,), ty.varchar(4), "py_soundex")],
    "split": [
        Overload((VARCHAR, VARCHAR), PARTS, _split, strict=True),
        Overload((VARCHAR, VARCHAR, BIGINT), PARTS, _split_at_most, strict=True),
    ],
    "split_part": [Overload((VARCHAR, VARCHAR, BIGINT), PART, _split_part, strict=True)],
    "split_to_map": Special(_split_to_map, strict=True),
    "split_to_multimap": Special(_split_to_multimap, strict=True),
    "starts_with": [Overload((VARCHAR, VARCHAR), BOOLEAN, "starts_with")],
    "strpos": [
        Overload((VARCHAR, VARCHAR), BIGINT, lambda text, part: f"CAST(instr({text}, {part}) AS BIGINT)"),
        Overload((VARCHAR, VARCHAR, BIGINT), BIGINT, _strpos),
    ],
    "substr": _SUBSTR,
    "substring": _SUBSTR,
    "translate": [Overload((VARCHAR, VARCHAR, VARCHAR), VARCHAR, "translate")],
    "trim": _trimmed("trim"),
    "upper": [Overload((VARCHAR,), SAME, _upper)],
}
