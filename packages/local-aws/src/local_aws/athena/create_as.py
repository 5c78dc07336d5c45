"""CREATE TABLE AS and UNLOAD: a query's rows in new files."""

from __future__ import annotations

from typing import Any

from local_aws.athena.context import Context, Outcome
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.syntax import CreateTableAs, parse_unload
from local_aws.athena.tables import STORAGE_FORMATS, Partition
from local_aws.athena.types import hive_type
from local_aws.athena.write import (
    Target,
    Writer,
    compression_of,
    ion_encoding,
    level_of,
    set_delimiter,
    unload_target,
)

_CTAS_PROPERTIES = {
    "format", "external_location", "partitioned_by", "bucketed_by", "bucket_count", "write_compression",
    "parquet_compression", "orc_compression", "compression_level", "field_delimiter", "table_type",
    "is_external", "ion_encoding",
}  # fmt: skip


def unload(context: Context, sql: str) -> Outcome:
    """https://docs.aws.amazon.com/athena/latest/ug/unload.html"""
    statement = parse_unload(sql)
    target = unload_target(statement)
    body, query, _ = context.compile(statement.query)
    columns = [(n.lower(), t) for n, t in context.columns(query)]
    writer = Writer(context)
    writer.require_empty(target.location)
    written = writer.write(body, columns, target, ordered=query.ordered)
    return context.counted(written.rows, written.files)


def create_as(context: Context, statement: CreateTableAs) -> Outcome:
    """https://docs.aws.amazon.com/athena/latest/ug/create-table-as.html"""
    options = statement.options
    unknown = next((key for key in options if key not in _CTAS_PROPERTIES), None)
    if unknown is not None:
        raise QueryError(
            "INVALID_TABLE_PROPERTY",
            f"Catalog 'awsdatacatalog' table property '{unknown}' does not exist; there are {', '.join(sorted(_CTAS_PROPERTIES))}",
            (1, 1),
        )
    if str(options.get("table_type", "HIVE")).upper() != "HIVE":
        raise not_supported(f"CREATE TABLE AS ... WITH (table_type = '{options['table_type']}')")
    if options.get("is_external", True) is not True:
        raise not_supported("CREATE TABLE AS ... WITH (is_external = false) of tables that are not Iceberg's")
    name = statement.name.name
    database = statement.name.database or context.database
    if not context.catalog.has_database(database):
        raise QueryError("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist", (1, 1))
    if context.catalog.find(database, name) is not None:
        if statement.if_not_exists:
            return context.nothing()
        raise QueryError(
            "TABLE_ALREADY_EXISTS",
            f"Destination table 'awsdatacatalog.{database}.{name}' already exists",
            (1, 1),
        )
    kind = str(options.get("format", "PARQUET")).upper()
    if kind not in STORAGE_FORMATS:
        raise QueryError(
            "INVALID_TABLE_PROPERTY",
            f"Unable to set catalog 'awsdatacatalog' table property 'format' to ['{kind}']; there are {', '.join(STORAGE_FORMATS)}",
            (1, 1),
        )
    if "external_location" not in options and not context.output_location:
        raise QueryError(
            "INVALID_TABLE_PROPERTY",
            f"Table {database}.{name} needs external_location = 's3://bucket/folder/': its workgroup has managed query results, and so no output location",
            (1, 1),
        )
    location = str(
        options.get("external_location")
        or f"{context.output_location.rstrip('/')}/tables/{context.query_id}/"
    )
    target = _ctas_target(kind, location, options)
    keys = target.partitioned_by
    body, query, _ = context.compile(statement.query)
    columns = [(n.lower(), t) for n, t in context.columns(query)]
    for position, f in enumerate(query.fields, start=1):
        if f.name is None:
            raise QueryError(
                "MISSING_COLUMN_NAME", f"Column name not specified at position {position}", (1, 1)
            )
        if f.type.base == "unknown":
            raise QueryError("COLUMN_TYPE_UNKNOWN", f"Column type is unknown at position {position}", (1, 1))
        hive_type(f.type)
    missing = next((n for n in [*keys, *target.bucketed_by] if n not in dict(columns)), None)
    if missing is not None:
        raise QueryError(
            "INVALID_TABLE_PROPERTY",
            f"Column '{missing}' of partitioned_by or bucketed_by is not in the query",
            (1, 1),
        )
    writer = Writer(context)
    writer.require_empty(location)
    written = writer.write(
        body if statement.with_data else f"SELECT * FROM ({body}) WHERE false",
        columns,
        target,
        ordered=query.ordered,
    )
    data, parted = columns[: len(columns) - len(keys)], columns[len(columns) - len(keys) :]
    serde, inp, outp = STORAGE_FORMATS[kind]
    serde_parameters = {"serialization.format": "1"}
    if kind == "TEXTFILE":
        delimiter = target.delimiters[0]
        serde_parameters = {"serialization.format": delimiter, "field.delim": delimiter}
    context.catalog.create_table(
        database,
        {
            "Name": name,
            "Owner": "hadoop",
            "TableType": "EXTERNAL_TABLE",
            "Retention": 0,
            "PartitionKeys": [{"Name": n, "Type": hive_type(t)} for n, t in parted],
            "Parameters": {"EXTERNAL": "TRUE", "has_encrypted_data": "false", "auto.purge": "false"},
            "StorageDescriptor": {
                "Columns": [{"Name": n, "Type": hive_type(t)} for n, t in data],
                "Location": location.rstrip("/"),
                "InputFormat": inp,
                "OutputFormat": outp,
                "SerdeInfo": {"SerializationLibrary": serde, "Parameters": serde_parameters},
                "NumberOfBuckets": target.bucket_count or -1,
                "BucketColumns": target.bucketed_by,
            },
        },
    )
    table = context.catalog.find(database, name)
    assert table is not None
    if keys:
        context.catalog.add_partitions(
            table, [Partition(v, loc) for v, loc in sorted(written.partitions.items(), key=str)]
        )
    return context.counted(written.rows, written.files)


def _ctas_target(kind: str, location: str, options: dict[str, Any]) -> Target:
    given = {
        k: options[k]
        for k in ("write_compression", f"{kind.lower()}_compression")
        if options.get(k) is not None
    }
    if len(given) > 1:
        raise QueryError("INVALID_TABLE_PROPERTY", f"Only one of {' and '.join(given)} may be set", (1, 1))
    compression = compression_of(kind, next(iter(given.values()), None))
    target = Target(
        location,
        kind,
        compression,
        [str(k).lower() for k in options.get("partitioned_by", [])],
        level_of(kind, compression, options.get("compression_level")),
        [str(k).lower() for k in options.get("bucketed_by", [])],
        int(options.get("bucket_count", 0)),
    )
    if bool(target.bucketed_by) != bool(target.bucket_count):
        raise QueryError(
            "INVALID_TABLE_PROPERTY", "bucketed_by and bucket_count must be set together", (1, 1)
        )
    if options.get("field_delimiter") is not None and kind != "TEXTFILE":
        raise QueryError(
            "INVALID_TABLE_PROPERTY", f"field_delimiter is for format = 'TEXTFILE', not {kind}", (1, 1)
        )
    set_delimiter(target, options.get("field_delimiter"))
    target.ion_encoding = ion_encoding(options.get("ion_encoding"))
    return target
