"""Maps (https://trino.io/docs/435/functions/map.html). Those that take lambdas are in `lambdas`."""

from __future__ import annotations

from local_aws.athena import types as ty
from local_aws.athena.expressions import E, cast, struct_field
from local_aws.athena.functions.registry import Call, Special, Table
from local_aws.athena.functions.sets import first_of_each
from local_aws.athena.types import DOUBLE, UNKNOWN, Type


def _map(c: Call, *lists: E) -> E:
    if not lists:
        return E("MAP {}", ty.map_of(UNKNOWN, UNKNOWN))
    if len(lists) != 2:
        raise c.unexpected()
    k, v = (c.element_type(e) for e in lists)
    return E(f"MAP({lists[0].sql}, {lists[1].sql})", ty.map_of(k, v))


def _pair_type(c: Call, entries: E) -> Type:
    """The type of the rows of two fields that an array has."""
    t = c.element_type(entries)
    if t.base != "row" or len(t.args) != 2:
        raise c.unexpected()
    return t


def _from_entries(c: Call, entries: E) -> E:
    if c.element_type(entries) == UNKNOWN:
        return E("MAP {}", ty.map_of(UNKNOWN, UNKNOWN))
    t = _pair_type(c, entries)
    pair = f"{{'key': {struct_field('λy', t, 0)}, 'value': {struct_field('λy', t, 1)}}}"
    return E(f"map_from_entries(list_transform({entries.sql}, lambda λy: {pair}))", ty.map_of(*t.args))


def _multimap_from_entries(c: Call, entries: E) -> E:
    if c.element_type(entries) == UNKNOWN:
        return E("MAP {}", ty.map_of(UNKNOWN, UNKNOWN))
    t = _pair_type(c, entries)
    key, value = struct_field("λp", t, 0), struct_field("λp", t, 1)
    keys = f"list_transform({entries.sql}, lambda λp: {key})"
    values = f"list_transform(list_filter({entries.sql}, lambda λp: {key} = λk), lambda λp: {value})"
    made = f"list_transform({first_of_each(keys)}, lambda λk: {{'key': λk, 'value': {values}}})"
    return E(f"map_from_entries({made})", ty.map_of(t.args[0], ty.array(t.args[1])))


def _entries(c: Call, m: E) -> E:
    k, v = c.entry_types(m)
    return E(
        f"list_transform(map_entries({m.sql}), lambda λy: {{'_0': λy.key, '_1': λy.value}})",
        ty.array(ty.row((None, k), (None, v))),
    )


def _keys(c: Call, m: E) -> E:
    """map_values(), too."""
    k, v = c.entry_types(m)
    return E(f"{c.name}({m.sql})", ty.array(k if c.name == "map_keys" else v))


def _concat(c: Call, *maps: E) -> E:
    t = c.common_type(*maps)
    items = [cast(m, t).sql for m in maps]
    nulls = " OR ".join(f"{i} IS NULL" for i in items)
    return E(f"CASE WHEN {nulls} THEN NULL ELSE map_concat({', '.join(items)}) END", t)


def _cosine_similarity(c: Call, first: E, second: E) -> E:
    for e in (first, second):
        k, v = c.entry_types(e)
        if k.base != "varchar" or v.base not in ty.NUMERIC:
            raise c.unexpected()
    a, b = first.sql, second.sql

    def norm(m: str) -> str:
        return f"sqrt(list_sum(list_transform(map_values({m}), lambda λx: CAST(λx * λx AS DOUBLE))))"

    products = f"list_transform(map_keys({a}), lambda λk: CAST({a}[λk] * coalesce({b}[λk], 0) AS DOUBLE))"
    return E(f"(coalesce(list_sum({products}), 0) / ({norm(a)} * {norm(b)}))", DOUBLE)


FUNCTIONS: Table = {
    "cosine_similarity": Special(_cosine_similarity),
    "map": Special(_map),
    "map_concat": Special(_concat),
    "map_entries": Special(_entries),
    "map_from_entries": Special(_from_entries),
    "map_keys": Special(_keys),
    "map_values": Special(_keys),
    "multimap_from_entries": Special(_multimap_from_entries),
}
