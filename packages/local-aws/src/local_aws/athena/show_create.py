"""SHOW CREATE TABLE: the statement that would make a table.

https://docs.aws.amazon.com/athena/latest/ug/show-create-table.html
"""

from __future__ import annotations

from local_aws.athena import tables as tb
from local_aws.athena.tables import Table

_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\0": "\\u0000"}


def quoted(text: str) -> str:
    """A string of Hive's."""
    return "'" + "".join(_ESCAPES.get(c, c if c >= " " else f"\\u{ord(c):04x}") for c in text) + "'"


# What ROW FORMAT DELIMITED says, in its order.
_DELIMITERS = {
    "field.delim": "FIELDS TERMINATED BY",
    "escape.delim": "ESCAPED BY",
    "collection.delim": "COLLECTION ITEMS TERMINATED BY",
    "mapkey.delim": "MAP KEYS TERMINATED BY",
    "line.delim": "LINES TERMINATED BY",
    "serialization.null.format": "NULL DEFINED AS",
}


def _row_format(table: Table) -> list[str]:
    """The lines of ROW FORMAT; serialization.format, which each table has, is not among them."""
    parameters = {k: v for k, v in table.serde_parameters.items() if k != "serialization.format"}
    if table.serde == tb.LAZY_SERDE and parameters and parameters.keys() <= _DELIMITERS.keys():
        clauses = [
            f"  {words} {quoted(parameters[k])} " for k, words in _DELIMITERS.items() if k in parameters
        ]
        return ["ROW FORMAT DELIMITED ", *clauses]
    lines = ["ROW FORMAT SERDE ", f"  {quoted(table.serde)} "]
    if parameters:
        shown = ", \n".join(f"  {quoted(k)}={quoted(v)}" for k, v in sorted(parameters.items()))
        lines += ["WITH SERDEPROPERTIES ( ", shown + ") "]
    return lines


def create_statement(table: Table) -> str:
    """SHOW CREATE TABLE."""

    def column(c: dict[str, str]) -> str:
        comment = f" COMMENT {quoted(c['Comment'])}" if c.get("Comment") else ""
        return f"  `{c['Name']}` {c['Type']}{comment}"

    lines = [f"CREATE EXTERNAL TABLE `{table.name}`("]
    lines.append(", \n".join(column(c) for c in table.storage.get("Columns") or []) + ")")
    if table.parameters.get("comment"):
        lines.append(f"COMMENT {quoted(table.parameters['comment'])}")
    if table.description.get("PartitionKeys"):
        lines.append("PARTITIONED BY ( ")
        lines.append(", \n".join(column(c) for c in table.description["PartitionKeys"]) + ")")
    if table.storage.get("BucketColumns"):
        lines.append("CLUSTERED BY ( ")
        lines.append(", \n".join(f"  {c}" for c in table.storage["BucketColumns"]) + ") ")
        if table.storage.get("SortColumns"):
            lines.append("SORTED BY ( ")
            order = [
                f"  {c['Column']} {'ASC' if c['SortOrder'] else 'DESC'}" for c in table.storage["SortColumns"]
            ]
            lines.append(", \n".join(order) + ") ")
        lines.append(f"INTO {table.storage.get('NumberOfBuckets')} BUCKETS")
    lines += _row_format(table)
    lines.append("STORED AS INPUTFORMAT ")
    lines.append(f"  {quoted(str(table.storage.get('InputFormat')))} ")
    lines.append("OUTPUTFORMAT ")
    lines.append(f"  {quoted(str(table.storage.get('OutputFormat')))}")
    lines.append("LOCATION")
    lines.append(f"  {quoted(table.location)}")
    shown = {k: v for k, v in table.parameters.items() if k not in ("EXTERNAL", "comment")}
    lines.append("TBLPROPERTIES (")
    lines.append(", \n".join(f"  {quoted(k)}={quoted(v)}" for k, v in sorted(shown.items())) + ")")
    return "\n".join(lines)
