"""What the SerDes make of a field's text: DuckDB SQL of a value of the column's type."""

from __future__ import annotations

import re
from typing import Any

from local_aws.athena import types as ty
from local_aws.athena.errors import not_supported
from local_aws.athena.expressions import raise_sql, raise_text, whole_number
from local_aws.athena.tables import Table
from local_aws.athena.types import Type, duckdb_type, quote, text

# A field without a value in Quoted files.
NO_VALUE = "\x01\x02"
DOUBLE_DIGITS = 15
# How keys are really spelled: by lower-case field the spelling, and the spellings inside the field.
Spelling = dict[str, tuple[str, Any]]


def delimiters(table: Table) -> list[str]:
    """LazySimpleSerDe's delimiters: of fields, of collections' items, of maps' keys, and of what is nested
    deeper, as Hive numbers them."""
    p = table.serde_parameters

    def one(value: str) -> str:
        return chr(int(value)) if re.fullmatch(r"\d{1,3}", value) and len(value) > 1 else value

    field = p.get("field.delim")
    if not field:
        field = p.get("serialization.format") or "\x01"
        field = chr(int(field)) if field.isdigit() else field
    collection = p.get("collection.delim") or p.get("colelction.delim") or "\x02"
    return [one(field), one(collection), one(p.get("mapkey.delim") or "\x03"), *map(chr, range(4, 9))]


def null_format(table: Table) -> str:
    return table.serde_parameters.get("serialization.null.format", "\\N")


def _unparsable(sql: str, duckdb: str, position: int | None) -> str:
    """SQL that fails as Hive's readers do for a value that is none of the column's type."""
    where = "" if position is None else f" for field {position}"
    return raise_sql(
        "HIVE_BAD_DATA",
        f"'Error parsing field value ''' || {sql} || '''{where}: For input string: \"' || {sql} || '\"'",
        duckdb,
    )


def json_type(t: Type, names: Spelling) -> str:
    """The DuckDB type as which JSON values are read.

    Integers as text: DuckDB would round 1.5 to 2 where the SerDe refuses it. Long decimals as JSON, which tells
    numbers, that DuckDB has made doubles of, from strings.
    """
    if _long_decimal(t):
        return "JSON"
    if t.base in ty.INTEGERS or t.base == "varbinary":
        return "VARCHAR"
    if t.base == "array":
        return json_type(t.args[0], names) + "[]"
    if t.base == "map":
        return f"MAP({json_type(t.args[0], {})}, {json_type(t.args[1], names)})"
    if t.base == "row":
        fields = []
        for n, a in zip(t.names, t.args, strict=True):
            spelled, inner = names.get(n or "", (n or "", {}))
            fields.append(f"{quote(spelled)} {json_type(a, inner)}")
        return f"STRUCT({', '.join(fields)})"
    return duckdb_type(t)


def _long_decimal(t: Type) -> bool:
    """Whether a decimal can have more digits than a double keeps of a decimal number."""
    return t.base == "decimal" and (t.p or 0) > DOUBLE_DIGITS


def json_value(sql: str, t: Type, names: Spelling, position: int | None = None) -> str:
    if _long_decimal(t):
        value = f"({sql} ->> '$')"
        digits = f"length(ltrim(regexp_replace(split_part(lower({value}), 'e', 1), '[^0-9]', '', 'g'), '0'))"
        exact = f"starts_with(CAST({sql} AS VARCHAR), '\"') OR regexp_full_match({value}, '-?[0-9]+') OR {digits} <= {DOUBLE_DIGITS}"
        lost = raise_text(
            "NOT_SUPPORTED",
            f"A number of more than {DOUBLE_DIGITS} digits in JSON, for a column of type {t}, is not supported by local_aws: as a string it is read exactly",
            duckdb_type(t),
        )
        d = duckdb_type(t)
        bad = _unparsable(value, d, position)
        return f"CASE WHEN {value} IS NULL THEN NULL WHEN TRY_CAST({value} AS {d}) IS NULL THEN {bad} WHEN {exact} THEN CAST({value} AS {d}) ELSE {lost} END"
    if t.base in ty.INTEGERS:
        return whole_number(sql, duckdb_type(t), _unparsable(sql, duckdb_type(t), position))
    if t.base == "varbinary":
        return f"from_base64({sql})"
    if t.base == "varchar" and t.p is not None:
        return f"left({sql}, {t.p})"
    if t.base in ("array", "map", "row") and json_type(t, names) != duckdb_type(t):
        if t.base == "array":
            return f"list_transform({sql}, lambda λv: {json_value('λv', t.args[0], names)})"
        if t.base == "map":
            return (
                f"map_from_entries(list_transform(map_entries({sql}), lambda λv: "
                f"{{'key': {json_value('λv.key', t.args[0], {})}, 'value': {json_value('λv.value', t.args[1], names)}}}))"
            )
        fields = []
        for n, a in zip(t.names, t.args, strict=True):
            spelled, inner = names.get(n or "", (n or "", {}))
            fields.append(
                f"{text(n or '')}: {json_value(f'struct_extract({sql}, {text(spelled)})', a, inner)}"
            )
        return f"CASE WHEN {sql} IS NULL THEN NULL ELSE {{{', '.join(fields)}}} END"
    return sql


def csv_value(sql: str, t: Type, position: int) -> str:
    if t.base in ("varchar", "char"):
        # The SerDe reads line by line: https://docs.aws.amazon.com/athena/latest/ug/csv-serde.html
        bad = raise_text(
            "HIVE_BAD_DATA",
            "OpenCSVSerde does not support line breaks inside values; real Athena would read broken rows",
            "VARCHAR",
        )
        return f"CASE WHEN contains({sql}, chr(10)) THEN {bad} ELSE {sql} END"
    d = duckdb_type(t)
    bad = _unparsable(sql, d, position)
    if t.base in ty.INTEGERS:
        return whole_number(sql, d, bad)
    if t.base in ("double", "real", "decimal"):
        return f"CASE WHEN {sql} IS NULL OR TRY_CAST({sql} AS {d}) IS NOT NULL THEN CAST({sql} AS {d}) ELSE {bad} END"
    if t.base == "boolean":
        return f"CASE WHEN {sql} IS NULL THEN NULL ELSE lower({sql}) = 'true' END"
    if t.base == "date":
        # Days since 1970-01-01.
        return f"CASE WHEN {sql} IS NULL OR regexp_full_match({sql}, '-?[0-9]+') THEN DATE '1970-01-01' + CAST({sql} AS INTEGER) ELSE {bad} END"
    if t.base == "timestamp":
        return f"CASE WHEN {sql} IS NULL OR regexp_full_match({sql}, '-?[0-9]+') THEN epoch_ms(CAST({sql} AS BIGINT)) ELSE {bad} END"
    raise not_supported(f"OpenCSVSerde columns of type {t}")


def lazy_value(sql: str, t: Type, delimiters: list[str], null: str) -> str:
    """LazySimpleSerDe: what cannot be parsed is NULL."""
    if t.base in ("varchar", "char"):
        return f"left({sql}, {t.p})" if t.p is not None else sql
    if t.base in ty.INTEGERS:
        return (
            f"CASE WHEN regexp_full_match({sql}, '[+-]?[0-9]+') THEN TRY_CAST({sql} AS {duckdb_type(t)}) END"
        )
    if t.base == "boolean":
        return f"CASE lower({sql}) WHEN 'true' THEN true WHEN 'false' THEN false END"
    if t.base == "varbinary":
        return f"from_base64({sql})"
    if t.base in ("date", "timestamp", "double", "real", "decimal"):
        return f"TRY_CAST({sql} AS {duckdb_type(t)})"
    if not delimiters:
        raise not_supported("Deeper nesting in a text table")
    delimiter = f"chr({ord(delimiters[0])})"
    element = f"CASE WHEN λv = {text(null)} THEN NULL ELSE λv END"
    if t.base == "array":
        return f"CASE WHEN {sql} = '' THEN [] ELSE list_transform(string_split({sql}, {delimiter}), lambda λv: {lazy_value(f'({element})', t.args[0], delimiters[1:], null)}) END"
    if t.base == "map" and len(delimiters) > 1:
        key = f"split_part(λv, chr({ord(delimiters[1])}), 1)"
        value = f"split_part(λv, chr({ord(delimiters[1])}), 2)"
        nullable = f"CASE WHEN {value} = {text(null)} THEN NULL ELSE {value} END"
        pairs = f"list_transform(string_split({sql}, {delimiter}), lambda λv: {{'key': {lazy_value(key, t.args[0], [], null)}, 'value': {lazy_value(f'({nullable})', t.args[1], delimiters[2:], null)}}})"
        # Of a key written twice the first counts (LazyMap.parse).
        return f"CASE WHEN {sql} = '' THEN CAST(MAP {{}} AS {duckdb_type(t)}) ELSE trino_map_of_entries({pairs}) END"
    if t.base == "row":
        fields = []
        for i, (n, a) in enumerate(zip(t.names, t.args, strict=True)):
            part = f"nullif(split_part({sql}, {delimiter}, {i + 1}), {text(null)})"
            fields.append(f"{text(n or '')}: {lazy_value(part, a, delimiters[1:], null)}")
        return f"CASE WHEN {sql} IS NULL THEN NULL ELSE {{{', '.join(fields)}}} END"
    raise not_supported(f"Text columns of type {t}")
