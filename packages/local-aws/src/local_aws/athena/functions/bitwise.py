"""Bits of integers (https://trino.io/docs/435/functions/bitwise.html)."""

from __future__ import annotations

from local_aws.athena.expressions import E, raise_sql
from local_aws.athena.functions.registry import Call, Overload, Special, Table
from local_aws.athena.types import BIGINT, duckdb_type

_BITS = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64}


def _shift(c: Call, value: E, by: E) -> E:
    t = value.type
    bits = _BITS.get(t.base)
    if bits is None:
        raise c.unexpected()
    x, n = f"CAST({value.sql} AS HUGEINT)", f"CAST({by.sql} AS INTEGER)"
    # Java takes the last six bits of a negative shift.
    n = f"(CASE WHEN {n} < 0 THEN {n} & 63 ELSE {n} END)"
    unsigned = f"(CASE WHEN {x} < 0 THEN {x} + {2**bits} ELSE {x} END)"
    if c.name == "bitwise_right_shift_arithmetic":
        wide = f"CAST(floor(CAST({x} AS DOUBLE) / pow(2, {n})) AS HUGEINT)"
        if bits == 64:
            all_out = f"CASE WHEN {x} < 0 THEN -1 ELSE 0 END"
            wide = f"CASE WHEN {n} >= 64 THEN {all_out} ELSE CAST({value.sql} AS BIGINT) >> {n} END"
        return E(f"CAST({wide} AS {duckdb_type(t)})", t)
    power = f"CAST(pow(2, {n}) AS HUGEINT)"
    moved = (
        f"{unsigned} // {power}"
        if c.name == "bitwise_right_shift"
        else f"({unsigned} * {power}) % CAST('{2**bits}' AS HUGEINT)"
    )
    wide = f"CASE WHEN {n} >= {bits} THEN 0 ELSE {moved} END"
    signed = f"(CASE WHEN ({wide}) >= {2 ** (bits - 1)} THEN ({wide}) - {2**bits} ELSE ({wide}) END)"
    return E(f"CAST({signed} AS {duckdb_type(t)})", t)


def _bit_count(x: str, bits: str) -> str:
    code = "INVALID_FUNCTION_ARGUMENT"
    few = f"'Bits specified in bit_count must be between 2 and 64, got ' || CAST({bits} AS VARCHAR)"
    wide = (
        f"'Number must be representable with the bits specified. ' || CAST({x} AS VARCHAR) || "
        f"' cannot be represented with ' || CAST({bits} AS VARCHAR) || ' bits'"
    )
    most = f"(CAST(1 AS BIGINT) << (CAST({bits} AS INTEGER) - 1))"
    return (
        f"CASE WHEN {bits} NOT BETWEEN 2 AND 64 THEN {raise_sql(code, few, 'BIGINT')} "
        f"WHEN {bits} < 64 AND {x} NOT BETWEEN -{most} AND {most} - 1 THEN {raise_sql(code, wide, 'BIGINT')} "
        f"ELSE trino_bit_count({x}, {bits}) END"
    )


FUNCTIONS: Table = {
    "bit_count": [Overload((BIGINT, BIGINT), BIGINT, _bit_count)],
    "bitwise_and": [Overload((BIGINT, BIGINT), BIGINT, lambda a, b: f"({a} & {b})")],
    "bitwise_left_shift": Special(_shift, strict=True),
    "bitwise_not": [Overload((BIGINT,), BIGINT, lambda a: f"(~{a})")],
    "bitwise_or": [Overload((BIGINT, BIGINT), BIGINT, lambda a, b: f"({a} | {b})")],
    "bitwise_right_shift": Special(_shift, strict=True),
    "bitwise_right_shift_arithmetic": Special(_shift, strict=True),
    "bitwise_xor": [Overload((BIGINT, BIGINT), BIGINT, "xor")],
}
