"""CREATE VIEW."""

from __future__ import annotations

import re
from typing import Any

from local_aws.athena.context import Context, Outcome
from local_aws.athena.errors import QueryError
from local_aws.athena.parser import offset_position, padded, tokens
from local_aws.athena.reserved import begins_with_digit
from local_aws.athena.tables import view_text
from local_aws.athena.types import Type, hive_type


def create_view(context: Context, sql: str) -> Outcome:
    """https://docs.aws.amazon.com/athena/latest/ug/create-view.html"""
    m = re.match(r"\s*(?:(?:--[^\n]*\n|/\*.*?\*/)\s*)*CREATE\s+(OR\s+REPLACE\s+)?VIEW\s+", sql, re.I | re.S)
    if m is None:
        raise QueryError("", "mismatched input. Expecting: CREATE [OR REPLACE] VIEW name AS query", (1, 1))
    ts = tokens(sql, m.end())
    parts = []
    i = 0
    while i < len(ts) and ts[i][0] in ("word", "name"):
        if begins_with_digit(ts[i][1]):
            raise QueryError(
                "",
                "identifiers must not start with a digit; surround the identifier with double quotes",
                offset_position(sql, ts[i][2]),
            )
        parts.append(ts[i][1].strip('"').lower())
        i += 1
        if i < len(ts) and ts[i][1] == ".":
            i += 1
            continue
        break
    if i < len(ts) and ts[i][1].upper() == "COMMENT":
        i += 2
    if i >= len(ts) or ts[i][1].upper() != "AS" or not parts:
        raise QueryError(
            "", f"mismatched input '{ts[i][1] if i < len(ts) else '<EOF>'}'. Expecting: 'AS'", (1, 1)
        )
    name = parts[-1]
    database = parts[-2] if len(parts) > 1 else context.database
    if not context.catalog.has_database(database):
        raise QueryError("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist", (1, 1))
    query_text = sql[ts[i][3] :].strip()
    _, query, _ = context.plan_only(padded(sql, ts[i][3], len(sql)))
    columns = context.columns(query)
    for n, f in zip([c for c, _ in columns], query.fields, strict=True):
        if f.name is None:
            raise QueryError(
                "MISSING_COLUMN_NAME",
                f"Column name not specified at position {n[4:]}: give it an alias",
                (1, 1),
            )
    lower = [n.lower() for n, _ in columns]
    if len(set(lower)) != len(lower):
        twice = next(n for n in lower if lower.count(n) > 1)
        raise QueryError("DUPLICATE_COLUMN_NAME", f"Column name '{twice}' specified more than once", (1, 1))
    existing = context.catalog.find(database, name)
    if existing is not None and not existing.is_view:
        raise QueryError(
            "TABLE_ALREADY_EXISTS",
            f"Table 'awsdatacatalog.{database}.{name}' already exists; it is no view",
            (1, 1),
        )
    if existing is not None and not m.group(1):
        raise QueryError(
            "TABLE_ALREADY_EXISTS", f"View already exists: 'awsdatacatalog.{database}.{name}'", (1, 1)
        )
    entry: dict[str, Any] = {
        "Name": name,
        "TableType": "VIRTUAL_VIEW",
        "ViewOriginalText": view_text(query_text, context.database, columns),
        "ViewExpandedText": "/* Presto View */",
        "Parameters": {"presto_view": "true", "comment": "Presto View"},
        "PartitionKeys": [],
        "StorageDescriptor": {
            "Columns": [{"Name": n.lower(), "Type": _view_type(t)} for n, t in columns],
            "Location": "",
            "SerdeInfo": {},
        },
    }
    if existing is not None:
        context.catalog.update_table(existing, entry)
    else:
        context.catalog.create_table(database, entry)
    return context.text([], [])


def _view_type(t: Type) -> str:
    try:
        return hive_type(t)
    except QueryError:
        return "string"
