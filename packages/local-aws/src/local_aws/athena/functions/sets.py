"""SQL over DuckDB's lists that functions of several families write.

Names of lambda parameters begin with a λ, which no column's name does: DuckDB takes x.key for a field of a column x, if
there is one.
"""

from __future__ import annotations

from local_aws.athena.expressions import raise_sql, to_varchar
from local_aws.athena.types import Type, duckdb_type


def first_of_each(a: str) -> str:
    """A list's first occurrences in order, a NULL counting as a value."""
    return f"list_filter({a}, lambda λx, λi: list_position({a}, λx) = λi)"


def unique_map(entries: str, t: Type) -> str:
    """A map of the type `t` of key/value structs; fails where a key comes twice, as Trino does."""
    keys = f"list_transform({entries}, lambda λp: λp.key)"
    twice = f"list_filter({keys}, lambda λx, λi: list_position({keys}, λx) < λi)"
    message = f"'Duplicate map keys (' || {to_varchar(f'{twice}[1]', t.args[0])} || ') are not allowed'"
    return (
        f"CASE WHEN len({twice}) > 0 THEN {raise_sql('INVALID_FUNCTION_ARGUMENT', message, duckdb_type(t))} "
        f"ELSE map_from_entries({entries}) END"
    )


def greatest_number(items: str, otherwise: str) -> str:
    """The greatest number of a list. NaN, the greatest to DuckDB, loses against every number."""
    return f"coalesce(list_max(list_filter({items}, lambda λx: NOT isnan(λx))), {otherwise})"
