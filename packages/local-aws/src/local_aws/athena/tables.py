"""Tables, partitions and views as the Glue catalog describes them, and the storage formats that Athena knows."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any, Protocol

from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.types import Type, parse_hive_type

CATALOG = "awsdatacatalog"
# https://docs.aws.amazon.com/athena/latest/ug/tables-databases-columns-names.html
DEFAULT_LOCATION_PREFIX = "hdfs://"

HIVE_JSON_SERDE = "org.apache.hive.hcatalog.data.JsonSerDe"
CLOUDTRAIL_SERDE = "com.amazon.emr.hive.serde.CloudTrailSerde"
JSON_SERDES = ("org.openx.data.jsonserde.JsonSerDe", HIVE_JSON_SERDE, CLOUDTRAIL_SERDE)
GROK_SERDE = "com.amazonaws.glue.serde.GrokSerDe"
ION_SERDE = "com.amazon.ionhiveserde.IonHiveSerDe"
CSV_SERDE = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
LAZY_SERDE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
PARQUET_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
REGEX_SERDES = (
    "org.apache.hadoop.hive.serde2.RegexSerDe",
    "org.apache.hadoop.hive.contrib.serde2.RegexSerDe",
)
AVRO_SERDE = "org.apache.hadoop.hive.serde2.avro.AvroSerDe"
ORC_SERDE = "org.apache.hadoop.hive.ql.io.orc.OrcSerde"
TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
# Of text tables without STORED AS: Hive's default has the older name.
DEFAULT_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.IgnoreKeyTextOutputFormat"
PARQUET_INPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
PARQUET_OUTPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
ORC_INPUT = "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat"
ORC_OUTPUT = "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat"
AVRO_INPUT = "org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat"
AVRO_OUTPUT = "org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat"
ION_INPUT = "com.amazon.ionhiveserde.formats.IonInputFormat"
ION_OUTPUT = "com.amazon.ionhiveserde.formats.IonOutputFormat"
CLOUDTRAIL_INPUT = "com.amazon.emr.cloudtrail.CloudTrailInputFormat"
SYMLINK_INPUT = "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat"
INPUT_FORMATS = {
    TEXT_INPUT, PARQUET_INPUT, ORC_INPUT, AVRO_INPUT, ION_INPUT, CLOUDTRAIL_INPUT, SYMLINK_INPUT,
}  # fmt: skip
# Athena reads them, local_aws does not.
UNSUPPORTED_INPUT_FORMATS = {
    "org.apache.hudi.hadoop.HoodieParquetInputFormat": "Hudi tables",
    "org.apache.hudi.hadoop.realtime.HoodieParquetRealtimeInputFormat": "Hudi tables",
    "com.hadoop.mapred.DeprecatedLzoTextInputFormat": "LZO compression",
    "org.apache.hadoop.mapred.SequenceFileInputFormat": "SequenceFiles",
    "org.apache.hadoop.hive.ql.io.RCFileInputFormat": "RCFiles",
}
# STORED AS and CTAS' format: SerDe, input format, output format.
STORAGE_FORMATS = {
    "PARQUET": (PARQUET_SERDE, PARQUET_INPUT, PARQUET_OUTPUT),
    "ORC": (ORC_SERDE, ORC_INPUT, ORC_OUTPUT),
    "AVRO": (AVRO_SERDE, AVRO_INPUT, AVRO_OUTPUT),
    "TEXTFILE": (LAZY_SERDE, TEXT_INPUT, TEXT_OUTPUT),
    "JSON": (HIVE_JSON_SERDE, TEXT_INPUT, TEXT_OUTPUT),
    "ION": (ION_SERDE, ION_INPUT, ION_OUTPUT),
}


DEFAULT_PARTITION = "__HIVE_DEFAULT_PARTITION__"


class ConcurrentModification(Exception):
    """A table is no longer in the version that a change was made for."""


class TableCatalog(Protocol):
    """What a table asks of the catalog that it is in."""

    region: str

    def find(self, database: str, name: str) -> Table | None: ...
    def create_table(self, database: str, entry: dict[str, Any]) -> None: ...
    def replace_table(self, table: Table, entry: dict[str, Any], version: str) -> None: ...


@dataclass(frozen=True)
class Partition:
    """A partition's values, as text, and where its files lie."""

    values: tuple[str | None, ...]
    location: str


class Table:
    """A Glue table."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.description = description
        self.database: str = description["DatabaseName"]
        self.name: str = description["Name"]
        self.storage: dict[str, Any] = description.get("StorageDescriptor") or {}
        self.parameters: dict[str, str] = description.get("Parameters") or {}
        serde = self.storage.get("SerdeInfo") or {}
        self.serde: str = serde.get("SerializationLibrary") or ""
        self.serde_parameters: dict[str, str] = serde.get("Parameters") or {}
        self.location: str = self.storage.get("Location") or ""

    @property
    def columns(self) -> list[tuple[str, Type]]:
        return [(c["Name"].lower(), self._type(c)) for c in self.storage.get("Columns") or []]

    @property
    def partition_keys(self) -> list[tuple[str, Type]]:
        return [(c["Name"].lower(), self._type(c)) for c in self.description.get("PartitionKeys") or []]

    def _type(self, column: dict[str, str]) -> Type:
        try:
            return parse_hive_type(column.get("Type") or "string")
        except QueryError as e:
            raise QueryError(
                "HIVE_INVALID_METADATA",
                f"Glue table '{self.database}.{self.name}' column '{column['Name']}' has invalid data type: {column.get('Type')} ({e.message})",
            ) from e

    @property
    def is_view(self) -> bool:
        return self.description.get("TableType") == "VIRTUAL_VIEW"

    @property
    def projected(self) -> bool:
        return self.parameters.get("projection.enabled", "").lower() == "true"

    @property
    def format(self) -> str:
        """parquet, orc, avro, ion, json, csv, text, regex, grok or iceberg; the SerDe's name if it is another."""
        if self.parameters.get("table_type", "").upper() == "ICEBERG":
            return "iceberg"
        if self.serde in JSON_SERDES:
            return "json"
        if self.serde == GROK_SERDE:
            return "grok"
        if self.serde == ION_SERDE:
            return "ion"
        if self.serde == CSV_SERDE:
            return "csv"
        if self.serde == PARQUET_SERDE or "parquet" in (self.storage.get("InputFormat") or "").lower():
            return "parquet"
        if self.serde == ORC_SERDE:
            return "orc"
        if self.serde == AVRO_SERDE:
            return "avro"
        if self.serde in REGEX_SERDES:
            return "regex"
        if self.serde in (LAZY_SERDE, ""):
            return "text"
        return self.serde

    @property
    def input_format(self) -> str:
        return self.storage.get("InputFormat") or ""

    def require_known_input_format(self) -> None:
        """Raises for files that need an input format which Athena or local_aws does not have."""
        name = self.input_format
        if name in UNSUPPORTED_INPUT_FORMATS:
            raise not_supported(
                f"Reading {UNSUPPORTED_INPUT_FORMATS[name]} ('{self.database}.{self.name}', {name})"
            )
        if name and name not in INPUT_FORMATS:
            raise QueryError("HIVE_UNSUPPORTED_FORMAT", f"Unable to create input format {name}")


@dataclass
class View:
    """A view's query and where its unqualified names are looked up."""

    sql: str
    database: str
    columns: list[tuple[str, Type]]


@dataclass
class VirtualTable:
    """Rows that the catalog itself gives, such as information_schema's."""

    columns: list[tuple[str, Type]]
    sql: str


def view_text(sql: str, database: str, columns: list[tuple[str, Type]]) -> str:
    """A view's ViewOriginalText, as Athena writes it: a comment with base64 of JSON."""
    body = {
        "originalSql": sql,
        "catalog": CATALOG,
        "schema": database,
        "columns": [{"name": n, "type": _presto(t)} for n, t in columns],
    }
    return f"/* Presto View: {base64.b64encode(json.dumps(body, separators=(',', ':')).encode()).decode()} */"


def _presto(t: Type) -> str:
    return str(t)


def parse_view(table: Table) -> View:
    text = table.description.get("ViewOriginalText") or ""
    if not text.startswith("/* Presto View: "):
        raise QueryError(
            "NOT_SUPPORTED",
            f"View '{table.database}.{table.name}' is no Athena view: it was made by Hive or Spark",
        )
    body = json.loads(base64.b64decode(text[len("/* Presto View: ") : -len(" */")]))
    return View(body["originalSql"], body.get("schema") or table.database, table.columns)


def split_location(location: str) -> tuple[str, str]:
    """Bucket and prefix (with its final slash) of an s3:// folder. Raises QueryError for other locations."""
    m = re.fullmatch(r"s3[an]?://([^/]+)/?(.*)", location)
    if m is None:
        raise QueryError(
            "HIVE_METASTORE_ERROR", f"Location '{location}' is no S3 location (s3://bucket/folder/)"
        )
    bucket, prefix = m.group(1), m.group(2)
    return bucket, prefix if not prefix or prefix.endswith("/") else prefix + "/"


# FileUtils of Hive: these characters are escaped in partition folders.
_ESCAPED = set("\"#%'*/:=?\\\x7f{[]^") | {chr(i) for i in range(1, 32)}


def escape_path(value: str) -> str:
    return "".join(f"%{ord(ch):02X}" if ch in _ESCAPED else ch for ch in value)


def unescape_path(value: str) -> str:
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda m: chr(int(m.group(1), 16)), value)
