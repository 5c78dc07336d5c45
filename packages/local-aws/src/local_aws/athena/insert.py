"""INSERT INTO tables whose rows are in files below their partitions' locations."""

from __future__ import annotations

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena.assignment import assignable, stored
from local_aws.athena.context import Context, Outcome
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.expressions import E
from local_aws.athena.parser import parse_query
from local_aws.athena.serdes import delimiters, null_format
from local_aws.athena.tables import CSV_SERDE, Partition, Table, split_location
from local_aws.athena.write import Target, Writer, compression_of, hive_folders, ion_encoding

# What INSERT writes into tables of a format.
_INSERTABLE = {
    "parquet": "PARQUET", "orc": "ORC", "avro": "AVRO", "json": "JSON", "text": "TEXTFILE", "csv": "TEXTFILE",
    "ion": "ION",
}  # fmt: skip


def parts(context: Context, sql: str) -> tuple[exp.Insert, Table, list[str] | None]:
    """INSERT's syntax, its target, and the columns that it names."""
    tree = parse_query(sql)
    if not isinstance(tree, exp.Insert) or tree.args.get("overwrite"):
        raise not_supported("This form of INSERT")
    into = tree.this
    columns: list[str] | None = None
    if isinstance(into, exp.Schema):
        columns = [c.name.lower() for c in into.expressions]
        into = into.this
    database = (into.db or context.database).lower()
    table = context.catalog.resolve(into.catalog or None, database, into.name.lower(), (1, 13))
    if not isinstance(table, Table):
        raise QueryError("NOT_SUPPORTED", "Inserting into views is not supported", (1, 1))
    return tree, table, columns


def insert(
    context: Context, table: Table, sql: str, tree: exp.Insert, columns_given: list[str] | None
) -> Outcome:
    """https://docs.aws.amazon.com/athena/latest/ug/insert-into.html"""
    kind = _INSERTABLE.get(table.format)
    if kind is None:
        raise not_supported(f"INSERT INTO {table.format} tables")
    if table.storage.get("BucketColumns"):
        # https://docs.aws.amazon.com/athena/latest/ug/insert-into.html#insert-into-limitations
        raise QueryError(
            "NOT_SUPPORTED",
            f"INSERT INTO is not supported on bucketed tables ({table.database}.{table.name})",
            (1, 13),
        )
    body, query, compiler = context.compile(sql, node=tree.expression)
    wanted = [*table.columns, *table.partition_keys]
    names = columns_given if columns_given is not None else [n for n, _ in wanted]
    unknown = [n for n in names if n not in dict(wanted)]
    if unknown:
        raise QueryError(
            "COLUMN_NOT_FOUND", f"Insert column name does not exist in target table: {unknown[0]}", (1, 1)
        )
    twice = [n for n in names if names.count(n) > 1]
    if twice:
        raise QueryError(
            "DUPLICATE_COLUMN_NAME", f"Insert column name is specified more than once: {twice[0]}", (1, 1)
        )
    types = [dict(wanted)[n] for n in names]
    if len(types) != len(query.fields) or any(
        not assignable(f.type, t) for f, t in zip(query.fields, types, strict=False)
    ):
        have = ", ".join(str(f.type) for f in query.fields)
        raise QueryError(
            "TYPE_MISMATCH",
            f"Insert query has mismatched column types: Table: [{', '.join(map(str, types))}], Query: [{have}]",
            (1, 1),
        )
    items: list[str] = []
    for n, t in wanted:
        if n in names:
            i = names.index(n)
            e = E(f'q."c{i}"', query.fields[i].type)
            value = stored(e, t, compiler, tree)
        else:
            value = f"CAST(NULL AS {ty.duckdb_type(t)})"
        items.append(f'{value} AS "c{len(items)}"')
    keys = [n for n, _ in table.partition_keys]
    target = _insert_target(context, table, kind)
    written = Writer(context).write(
        f"SELECT {', '.join(items)} FROM ({body}) AS q", wanted, target, ordered=query.ordered
    )
    if keys:
        context.catalog.add_partitions(
            table,
            [Partition(v, loc.rstrip("/")) for v, loc in sorted(written.partitions.items(), key=str)],
        )
    return context.counted(written.rows, written.files)


def _insert_target(context: Context, table: Table, kind: str) -> Target:
    compression = "snappy" if kind == "PARQUET" else compression_of(kind, None)
    for key in (
        "parquet.compression",
        "parquet.compress",
        "orc.compress",
        "write.compression",
        "write_compression",
    ):
        if table.parameters.get(key):
            compression = compression_of(kind, table.parameters[key])
            break
    target = Target(table.location, kind, compression, [n for n, _ in table.partition_keys])
    target.ion_encoding = ion_encoding(table.serde_parameters.get("ion.encoding"))
    if table.serde == CSV_SERDE:
        p = table.serde_parameters
        quotation = p.get("quoteChar", '"')
        target.csv = {"separator": p.get("separatorChar", ","), "quote": quotation, "escape": quotation}
        target.compression = "uncompressed"
    elif kind == "TEXTFILE":
        target.delimiters, target.null = delimiters(table), null_format(table)
        target.escape = table.serde_parameters.get("escape.delim", "")
    split_location(table.location)
    existing = {p.values: p.location for p in context.catalog.partitions(table)}
    folders = hive_folders(target)

    def place(values: tuple[str | None, ...]) -> str:
        """An existing partition grows where it lies."""
        if table.projected:
            return context.reader.partitions.projected_location(table, values)
        return existing.get(values) or folders(values)

    target.place = place
    return target
